#!/bin/sh
# Skaffold's custom build script: https://skaffold.dev/docs/builders/builder-types/custom/
# It gives $IMAGE, $BUILD_CONTEXT, $PUSH_IMAGE and $PLATFORMS.
set -eu
set -- --context "$BUILD_CONTEXT" --destination "$IMAGE"
if [ "${PUSH_IMAGE:-true}" = false ]; then
  # Without a push there is a file for `docker load`.
  set -- "$@" --no-push --tar-path "${TMPDIR:-/tmp}/image.tar"
fi
if [ -n "${PLATFORMS:-}" ]; then
  set -- "$@" --platform "$PLATFORMS"
fi
exec bako "$@"
