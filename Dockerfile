# bako's own images, built by bako itself: `bako --context . --target executor --destination ...`

# An image with the Rust toolchain and a C compiler.
ARG RUST_IMAGE=docker.io/library/rust:1.95-bookworm
# Where the debug image's shell comes from.
ARG BUSYBOX_IMAGE=docker.io/library/busybox:latest

FROM ${RUST_IMAGE} AS build
# `dev` builds faster; then CARGO_FLAGS may also say `--offline`.
ARG PROFILE=release
ARG CARGO_FLAGS="--locked"
WORKDIR /src
COPY . .
RUN cargo build ${CARGO_FLAGS} --profile ${PROFILE} --bin bako --target-dir /target \
 && bako="$(find /target -name bako -type f -perm -100 -not -path '*/deps/*')" \
 && install -D -m 755 "$bako" /out/kaniko/executor \
 && install -D -m 644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt \
 && mkdir -m 1777 /out/tmp

FROM scratch AS executor
COPY --from=build /out/ /
ENV PATH=/kaniko:/usr/local/bin:/usr/bin:/bin HOME=/root SSL_CERT_DIR=/etc/ssl/certs
WORKDIR /workspace
ENTRYPOINT ["/kaniko/executor"]

FROM ${BUSYBOX_IMAGE} AS debug
COPY --from=executor / /
ENV PATH=/kaniko:/usr/local/bin:/usr/bin:/bin HOME=/root SSL_CERT_DIR=/etc/ssl/certs
WORKDIR /workspace
ENTRYPOINT ["/kaniko/executor"]

# What `bako` builds when no target is named.
FROM executor
