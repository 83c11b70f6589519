#!/bin/sh
# Build the image of the single-file program: `make binary` first. Takes buildah, podman or docker,
# whichever is there.
#
# Where no registry can be reached, BASE_ROOT=DIR makes the base image from a root that debootstrap
# has made (`debootstrap --variant=minbase bookworm DIR`), with buildah.
set -eu
cd "$(dirname "$0")/.."
[ -x dist/locshare ] || { echo "There is no dist/locshare yet: make binary" >&2; exit 1; }

version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
tag=${TAG:-locshare}
base=${BASE:-docker.io/library/debian:bookworm-slim}

if command -v buildah >/dev/null 2>&1; then
  # chroot isolation and plain copies work without namespaces and overlays too.
  export BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}" STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}"
  if [ -n "${BASE_ROOT:-}" ]; then
    base=localhost/debian-root
    made=$(buildah from scratch)
    tar -c -C "$BASE_ROOT" --one-file-system --exclude='./var/cache/apt/archives/*.deb' . \
      | tar -x -C "$(buildah mount "$made")"
    buildah unmount "$made" >/dev/null
    buildah commit --quiet --rm "$made" "$base" >/dev/null
  fi
  set -- buildah build --format docker "$@"
elif command -v podman >/dev/null 2>&1; then
  set -- podman build --format docker "$@"
elif command -v docker >/dev/null 2>&1; then
  set -- docker build "$@"
else
  echo "There is no buildah, podman or docker; on Debian: apt install buildah" >&2
  exit 1
fi
# The health check is of Docker's format; OCI's has none.
"$@" --build-arg "BASE=$base" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
  --tag "$tag:$version" --tag "$tag:latest" .
