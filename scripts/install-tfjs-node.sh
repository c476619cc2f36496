#!/bin/sh
# Installs a tfjs-node package beside those of the lock file, for the engine `tensorflow` (docs/gpu.md).
#
#   scripts/install-tfjs-node.sh PACKAGE [FOLDER]
#
# PACKAGE is @tensorflow/tfjs-node-gpu or @tensorflow/tfjs-node; FOLDER holds node_modules, by default the project. The
# package's own install script is not run: `npm run --prefix FOLDER/node_modules/PACKAGE install` fetches its library.
#
# `npm install --no-save PACKAGE` does nothing from npm 11.6 on, because the lock file names the package as an optional peer.
# So it is installed in an empty folder and moved; what else it needs lies within it, and tfjs itself is the project's.
set -eu

fail() {
  echo "install-tfjs-node: $*" >&2
  exit 1
}

case $# in
  1) folder=$(dirname "$0")/.. ;;
  2) folder=$2 ;;
  *) fail 'usage: scripts/install-tfjs-node.sh PACKAGE [FOLDER]' ;;
esac
case $1 in
  @tensorflow/tfjs-node | @tensorflow/tfjs-node-gpu) package=$1 ;;
  *) fail "$1: not @tensorflow/tfjs-node-gpu or @tensorflow/tfjs-node" ;;
esac
modules=$(cd "$folder" && pwd)/node_modules
tfjs=$modules/@tensorflow/tfjs/package.json
[ -f "$tfjs" ] || fail "$tfjs: no such file; run npm ci first"
version=$(node -p 'require(process.argv[1]).version' "$tfjs")

# Within node_modules, so that the package is moved and not copied.
fresh=$(mktemp -d "$modules/.tfjs-node-XXXXXX")
trap 'rm -rf "$fresh"' EXIT
trap 'exit 130' INT TERM
echo '{"private": true}' >"$fresh/package.json"
(cd "$fresh" && npm install --no-audit --no-fund --no-package-lock --ignore-scripts "$package@$version") >"$fresh/log" 2>&1 || {
  tail -n 5 "$fresh/log" >&2
  fail "npm could not install $package@$version"
}
mv "$fresh/node_modules/$package" "$fresh/package"
rm -rf "$fresh/node_modules/@tensorflow" "$modules/$package"
mv "$fresh/node_modules" "$fresh/package/others"
[ ! -d "$fresh/package/node_modules" ] || cp -R "$fresh/package/node_modules/." "$fresh/package/others/"
rm -rf "$fresh/package/node_modules"
mv "$fresh/package/others" "$fresh/package/node_modules"
mv "$fresh/package" "$modules/$package"
echo "Installed $package@$version"
