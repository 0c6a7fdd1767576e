# bako's own images, built by bako itself: `bako --context . --target executor --destination ...`

# An image with the Rust toolchain and a C compiler.
ARG RUST_IMAGE=docker.io/library/rust:1.95-bookworm
# Where the debug image's shell comes from.
ARG BUSYBOX_IMAGE=docker.io/library/busybox:stable-musl

FROM ${RUST_IMAGE} AS build
# `dev` builds faster; then CARGO_FLAGS may also say `--offline`.
ARG PROFILE=release
ARG CARGO_FLAGS="--locked"
WORKDIR /src
COPY . .
RUN cargo build ${CARGO_FLAGS} --profile ${PROFILE} --bin bako --target-dir /target \
 && bako="$(find /target -name bako -type f -perm -100 -not -path '*/deps/*')" \
 && install -D -m 755 "$bako" /out/bako

# All that is in the images, where users of Kaniko look for it.
FROM ${BUSYBOX_IMAGE} AS files
COPY --from=build --chmod=755 /out/bako /out/kaniko/executor
COPY --from=build /etc/ssl/certs/ca-certificates.crt /out/kaniko/ssl/certs/
RUN cd /out \
 && ln -s executor kaniko/warmer \
 && ln -s executor kaniko/bako \
 && mkdir -p kaniko/.docker workspace cache etc/ssl/certs \
 && ln -s ../../../kaniko/ssl/certs/ca-certificates.crt etc/ssl/certs/ca-certificates.crt \
 && mkdir -m 700 root \
 && mkdir -m 1777 tmp

FROM scratch AS executor
COPY --from=files /out/ /
ENV HOME=/root \
    USER=root \
    PATH=/usr/local/bin:/kaniko \
    SSL_CERT_DIR=/kaniko/ssl/certs \
    DOCKER_CONFIG=/kaniko/.docker/
WORKDIR /workspace
ENTRYPOINT ["/kaniko/executor"]

FROM executor AS warmer
ENTRYPOINT ["/kaniko/warmer"]

FROM executor AS debug
COPY --from=files /bin /busybox
RUN ["/busybox/ln", "-s", "/busybox", "/bin"]
ENV PATH=/usr/local/bin:/kaniko:/busybox

# What `bako` builds when no target is named.
FROM executor
