# syntax=docker/dockerfile:1
ARG GO_VERSION=1.26
ARG ALPINE_VERSION=3.22

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-alpine${ALPINE_VERSION} AS base
WORKDIR /src
ENV CGO_ENABLED=0 \
    GOFLAGS="-trimpath -mod=readonly"
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download

FROM base AS build
ARG TARGETOS TARGETARCH
ARG VERSION=dev
RUN --mount=type=bind,target=. \
    --mount=type=cache,target=/root/.cache/go-build \
    # the linker strips symbols
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build \
        -ldflags "-s -w -X main.version=${VERSION}" \
        -o /out/app ./cmd/app

FROM scratch AS release
LABEL org.opencontainers.image.title="app" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build --chmod=0755 /out/app /usr/bin/app
COPY --from=base /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
USER 65532:65532
EXPOSE 8080 9090/udp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --retries=2 CMD ["/usr/bin/app", "health"]
ENTRYPOINT ["/usr/bin/app"]
CMD ["serve", "--listen=:8080"]
