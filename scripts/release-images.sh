#!/bin/sh
# Builds the images, pushes them, and writes k8s/components/release, which names each by the digest that the registry
# tells. A digest that cannot be had is an error: none is ever guessed, and nothing is written then.
#
#   scripts/release-images.sh REGISTRY [TARGET…]       REGISTRY as registry.example.com/team; all targets by default
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
all='coordinator trainer worker-cpu worker-cuda worker-tfjs-gpu'
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

version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
[ -n "$version" ] || fail 'package.json tells no version'

# The digest of what a name stands for in its registry.
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
  echo "# Written by scripts/release-images.sh for version $version. Base images at that time:"
  sed -n 's/^ARG [A-Z0-9_]*_IMAGE=//p' Dockerfile | while read -r base; do
    digest=$(digest_of "$base") || exit 1
    echo "#   $base@$digest"
  done || exit 1
  echo 'apiVersion: kustomize.config.k8s.io/v1alpha1'
  echo 'kind: Component'
  echo 'images:'
} >"$written" || exit 1
for target in $targets; do
  image=$registry/$target:$version
  docker build --target "$target" --tag "$image" . >&2 || fail "$target: the build failed; nothing was written"
  docker push "$image" >&2 || fail "$image: the push failed; nothing was written"
  digest=$(digest_of "$image") || exit 1
  {
    echo "  - name: ballast/$target"
    echo "    newName: $registry/$target"
    echo "    digest: $digest"
  } >>"$written"
done
mkdir -p k8s/components/release
cp "$written" k8s/components/release/kustomization.yaml
chmod 644 k8s/components/release/kustomization.yaml
echo 'k8s/components/release is written: name it in the overlay in place of components/images'
