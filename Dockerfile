# bako's own images, built by bako itself: `bako --context . --target executor --destination ...`,
# and with `--platform linux/amd64,linux/arm64` for both.

# An image with the Rust toolchain and a C compiler.
ARG RUST_IMAGE=docker.io/library/rust:1.95-bookworm
# Where the debug image's shell comes from.
ARG BUSYBOX_IMAGE=docker.io/library/busybox:stable-musl

# Compiled on the machine that builds, also for the other architecture: nothing is emulated.
FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS build
# `dev` builds faster; then CARGO_FLAGS may also say `--offline`.
ARG PROFILE=release
ARG CARGO_FLAGS="--locked"
ARG BUILDARCH
ARG TARGETARCH
WORKDIR /src
COPY . .
RUN <<EOF
set -e
case "$TARGETARCH" in
    amd64) cpu=x86_64 ;;
    arm64) cpu=aarch64 ;;
    *) echo "bako runs on amd64 and arm64, not on $TARGETARCH" >&2; exit 1 ;;
esac
if [ "$TARGETARCH" != "$BUILDARCH" ]; then
    apt-get update
    apt-get install -y --no-install-recommends "gcc-$(echo $cpu | tr _ -)-linux-gnu" "libc6-dev-$TARGETARCH-cross"
    rustup target add "$cpu-unknown-linux-gnu"
    linker="CARGO_TARGET_$(echo $cpu | tr a-z A-Z)_UNKNOWN_LINUX_GNU_LINKER"
    export "$linker=$cpu-linux-gnu-gcc"
fi
cargo build ${CARGO_FLAGS} --profile ${PROFILE} --bin bako --target "$cpu-unknown-linux-gnu" --target-dir /target
bako="$(find /target/$cpu-unknown-linux-gnu -name bako -type f -perm -100 -not -path '*/deps/*')"
install -D -m 755 "$bako" /out/bako
EOF

# All that is in the images, where users of Kaniko look for it.
FROM --platform=$BUILDPLATFORM ${BUSYBOX_IMAGE} AS files
COPY --from=build --chmod=755 /out/bako /out/kaniko/executor
COPY --from=build /etc/ssl/certs/ca-certificates.crt /out/kaniko/ssl/certs/
RUN cd /out \
 && ln -s executor kaniko/warmer \
 && ln -s executor kaniko/bako \
 && mkdir -p kaniko/.docker workspace cache etc/ssl/certs \
 && ln -s ../../../kaniko/ssl/certs/ca-certificates.crt etc/ssl/certs/ca-certificates.crt \
 && mkdir -m 700 root \
 && mkdir -m 1777 tmp \
 && mkdir /links \
 && ln -s /busybox /links/bin

FROM ${BUSYBOX_IMAGE} AS busybox

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
COPY --from=busybox /bin /busybox
COPY --from=files /links/ /
ENV PATH=/usr/local/bin:/kaniko:/busybox

# What `bako` builds when no target is named.
FROM executor
