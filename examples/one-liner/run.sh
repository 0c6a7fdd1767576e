#!/bin/sh
# A build with nothing installed but a container engine: the context is the current folder, the login that of `docker login`.
exec "${ENGINE:-docker}" run --rm \
  --volume "$PWD:/workspace:ro" \
  --volume "$HOME/.docker/config.json:/kaniko/.docker/config.json:ro" \
  registry.example/bako:latest \
  --context /workspace --destination "$1"
