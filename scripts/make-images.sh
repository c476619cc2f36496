#!/bin/sh
# `make images`: the image `ballast`. Where Docker answers, by the Dockerfile. Elsewhere, as root on Debian, the same without an
# engine or a registry: the root of the image as a folder, whose base mmdebstrap makes and whose program scripts/image-root.sh
# makes, as the Dockerfile's steps do. test/containers runs it with runc. Up-to-date parts are kept.
#
#   scripts/make-images.sh          by Docker where it answers
#   scripts/make-images.sh root     the folder in any case: ~/.cache/ballast/images/root
set -eu
cd "$(dirname "$0")/.."
. k8s/versions.env

fail() {
  echo "make-images: $*" >&2
  exit 1
}

if [ "${1:-}" != root ] && docker info >/dev/null 2>&1; then
  docker build --target ballast --tag "ballast/ballast:$BALLAST" .
  exit
fi
for command in mmdebstrap tar npm; do
  command -v $command >/dev/null 2>&1 || fail "neither Docker nor $command is there"
done
[ "$(id -u)" = 0 ] || fail 'without Docker only root can make an image'
[ -f dist/bundle/cli/main.js ] || fail 'dist/ is not built: npm run build'

images=${XDG_CACHE_HOME:-$HOME/.cache}/ballast/images
node=${NODE_IMAGE#node:}
node=${node%%-*}
release=${DEBIAN_IMAGE#debian:}
release=${release%%-*}
base=$images/$release-node-$node
mkdir -p "$images"

if [ ! -d "$base" ]; then
  echo "Making a base of Debian $release with Node $node" >&2
  work=$(mktemp -d "$images/base.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mmdebstrap --quiet --variant=minbase --include=libstdc++6,tini "$release" "$work/base.tar" </dev/null
  mkdir "$work/root"
  tar -xf "$work/base.tar" -C "$work/root" --exclude=./dev --exclude=./var/cache/apt --exclude=./var/lib/apt/lists
  npm pack --silent --pack-destination "$work" "node-linux-$(node -p process.arch)@$node" >/dev/null
  tar -xzf "$work"/node-*.tgz -C "$work" package/bin/node
  mv "$work/package/bin/node" "$work/root/usr/local/bin/node"
  cp "$work/root/usr/bin/tini-static" "$work/root/usr/local/bin/tini"
  mkdir -p "$work/root/dev" # the runtime fills it
  chmod 755 "$work/root"
  mv "$work/root" "$base"
fi

rm -rf "$images/root.new"
cp -al "$base" "$images/root.new"
rm -rf "$images/root.new/opt/ballast"
scripts/image-root.sh cpu "$images/root.new/opt/ballast" >&2
ln -sf /opt/ballast/dist/bundle/cli/main.js "$images/root.new/usr/local/bin/ballast" # whatever an older base has
rm -rf "$images/root"
mv "$images/root.new" "$images/root"
echo "$images/root"
