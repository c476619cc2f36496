#!/bin/sh
# Builds the images for all their platforms, with a list of what is in them (SBOM) and where they come from (provenance),
# pushes them, and writes k8s/release.yaml: values of the chart that name each by the digest that the registry tells. A digest
# that cannot be had is an error: none is ever guessed, and nothing is written then.
#
#   scripts/release-images.sh REGISTRY [TARGET…]       REGISTRY as registry.example.com/team; all targets by default
#   helm install ballast k8s/chart -f k8s/gpu.yaml -f k8s/release.yaml
#
# Takes Docker with buildx, an engine that answers, and a registry that you are logged in to.
set -eu

fail() {
  echo "release-images: $*" >&2
  exit 1
}

[ $# -ge 1 ] || fail 'usage: scripts/release-images.sh REGISTRY [TARGET…]'
registry=${1%/}
shift
cd "$(dirname "$0")/.."
. k8s/versions.env
all='ballast ballast-cuda ballast-tfjs-gpu'
targets=${*:-$all}
for target in $targets; do
  case " $all " in
    *" $target "*) ;;
    *) fail "$target: no target of the Dockerfile; it has $all" ;;
  esac
done

command -v docker >/dev/null 2>&1 || fail 'docker is not there: images are built where it is; nothing was written'
docker info >/dev/null 2>&1 || fail 'no container engine answers `docker info`: start one; nothing was written'
docker buildx version >/dev/null 2>&1 || fail 'docker has no buildx, which reads digests; nothing was written'

# NVIDIA's libraries for TensorFlow 2.9 are there for amd64 only.
platforms_of() {
  case $1 in
    ballast-tfjs-gpu) echo linux/amd64 ;;
    *) echo linux/amd64,linux/arm64 ;;
  esac
}

# The digest of what a name stands for in its registry: of all its platforms together.
digest_of() {
  digest=$(docker buildx imagetools inspect "$1" --format '{{.Manifest.Digest}}') ||
    fail "$1: the registry tells no digest; nothing was written"
  echo "$digest" | grep -Eqx 'sha256:[0-9a-f]{64}' ||
    fail "$1: '$digest' is no digest; nothing was written"
  echo "$digest"
}

written=$(mktemp)
trap 'rm -f "$written"' EXIT
{
  echo "# Written by scripts/release-images.sh for version $BALLAST. Base images at that time:"
  for base in "$NODE_IMAGE" "$DEBIAN_IMAGE" "$CUDA12_IMAGE" "$CUDA11_IMAGE"; do
    digest=$(digest_of "$base") || exit 1
    echo "#   $base@$digest"
  done
  printf 'image:\n  prefix: %s\n  tag: %s\n  digests:\n' "$registry" "$BALLAST"
} >"$written" || exit 1
for target in $targets; do
  image=$registry/$target:$BALLAST
  docker buildx build --target "$target" --tag "$image" --platform "$(platforms_of "$target")" \
    --build-arg "NODE_IMAGE=$NODE_IMAGE" --build-arg "DEBIAN_IMAGE=$DEBIAN_IMAGE" \
    --build-arg "CUDA12_IMAGE=$CUDA12_IMAGE" --build-arg "CUDA11_IMAGE=$CUDA11_IMAGE" \
    --sbom=true --provenance=mode=max --push . >&2 || fail "$target: the build failed; nothing was written"
  digest=$(digest_of "$image") || exit 1
  echo "    $target: $digest" >>"$written"
done
cp "$written" k8s/release.yaml
chmod 644 k8s/release.yaml
echo 'k8s/release.yaml is written: give it to helm after your other values'
