#!/bin/sh
# Puts Fashion-MNIST where Ballast looks for it, if it is nowhere yet: from Debian's dataset-fashion-mnist package,
# unpacked into the cache (no root needed, nothing is installed). Where that cannot be had, Ballast itself fetches
# the files from the internet when it first loads them, so this script never fails.
set -eu

system=/usr/share/datasets/fashion-mnist
cache="${BALLAST_DATA_DIR:-${HOME:-/tmp}/.cache/ballast}"
file=train-images-idx3-ubyte

for folder in "$system" "$cache/fashion-mnist" "${HOME:-/tmp}/.cache/ballast/fashion-mnist"; do
  if [ -e "$folder/$file.gz" ] || [ -e "$folder/$file" ]; then
    echo "Fashion-MNIST: $folder"
    exit 0
  fi
done

# Fetches the package into the current folder. A fresh machine has no package lists yet: they are then fetched beside it,
# so that no root is needed and the system's own stay as they are.
download() {
  apt-get download dataset-fashion-mnist && return
  mkdir -p lists/partial
  apt-get -o Dir::State::lists="$work/lists" -o Dir::Cache="$work" update &&
    apt-get -o Dir::State::lists="$work/lists" -o Dir::Cache="$work" download dataset-fashion-mnist
}

work=$(mktemp -d)
chmod 755 "$work" # apt downloads as a separate user
trap 'rm -rf "$work"' EXIT
if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null &&
  (cd "$work" && download >"$work/log" 2>&1 </dev/null) &&
  dpkg-deb -x "$work"/dataset-fashion-mnist_*.deb "$work/root" 2>>"$work/log"; then
  mkdir -p "$cache"
  rm -rf "$cache/fashion-mnist"
  cp -r "$work/root$system" "$cache/fashion-mnist.partial"
  mv "$cache/fashion-mnist.partial" "$cache/fashion-mnist"
  echo "Fashion-MNIST: $cache/fashion-mnist (from Debian's dataset-fashion-mnist)"
else
  echo "Fashion-MNIST: not here yet; it will be fetched when first used"
fi
