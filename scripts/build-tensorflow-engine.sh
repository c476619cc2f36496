#!/bin/sh
# Builds the addon of tfjs-node from source against the shared libraries of a TensorFlow pip wheel, for the engine
# `tensorflow` (docs/gpu.md). Linux only. The wheel is read as a zip file; Python is needed by node-gyp alone.
#
#   scripts/build-tensorflow-engine.sh WHEEL [DEST]
#
# WHEEL is tensorflow_cpu-*.whl (builds @tensorflow/tfjs-node) or tensorflow-*.whl, the CUDA one (builds
# @tensorflow/tfjs-node-gpu). DEST keeps the unpacked libraries and the built addon, about 900 MB for the CPU wheel;
# the default is a folder of ~/.cache/ballast. node_modules points there, so it must stay. Running it again
# does only what is missing: after `npm ci`, which takes the package away, that is a matter of seconds.
set -eu

fail() {
  echo "build-tensorflow-engine: $*" >&2
  exit 1
}

[ $# -ge 1 ] && [ $# -le 2 ] || fail 'usage: scripts/build-tensorflow-engine.sh WHEEL [DEST]'
[ "$(uname -s)" = Linux ] || fail "TensorFlow's wheels have the libraries in this form on Linux only"
[ -f "$1" ] || fail "$1: no such file; fetch one with: pip download --no-deps tensorflow (or tensorflow-cpu)"
for command in node npm npx unzip make g++ python3; do
  command -v "$command" >/dev/null || fail "needs $command, which is not there"
done

wheel=$(realpath "$1")
name=$(basename "$wheel" .whl)
case $name in
  tensorflow_cpu-*) package=@tensorflow/tfjs-node ;;
  tensorflow-*) package=@tensorflow/tfjs-node-gpu ;;
  *) fail "$name: not a wheel of tensorflow or tensorflow-cpu" ;;
esac
dest=${2:-${BALLAST_DATA_DIR:-$HOME/.cache/ballast}/$name}
mkdir -p "$dest"
dest=$(realpath "$dest")
cd "$(dirname "$0")/.."
log=$dest/build.log

# The shared libraries and headers, under the names by which tfjs-node links them.
unpack() {
  echo "Unpacking $name into $dest"
  rm -rf "$dest/partial" "$dest/include" "$dest/lib"
  mkdir -p "$dest/partial" "$dest/lib"
  unzip -qo "$wheel" 'tensorflow/include/*' tensorflow/libtensorflow_cc.so.2 \
    tensorflow/libtensorflow_framework.so.2 -d "$dest/partial" ||
    fail "$wheel: lacks libtensorflow_cc.so.2, libtensorflow_framework.so.2 or headers; 2.21.0 has them"
  mv "$dest/partial/tensorflow/include" "$dest/include"
  for library in libtensorflow_cc.so.2 libtensorflow_framework.so.2; do
    mv "$dest/partial/tensorflow/$library" "$dest/lib/"
  done
  ln -s libtensorflow_cc.so.2 "$dest/lib/libtensorflow.so"
  ln -s libtensorflow_framework.so.2 "$dest/lib/libtensorflow_framework.so"
  rm -rf "$dest/partial"
  echo "$name" >"$dest/unpacked"
}

install_package() {
  echo "Installing $package without its install script, which would download a library of 2022"
  scripts/install-tfjs-node.sh "$package"
}

# Headers of the node that runs: beside its binary, or the system's. Prints nothing where there are none.
find_node_headers() {
  for prefix in "$(dirname "$(realpath "$(command -v node)")")/.." /usr /usr/local; do
    if [ -f "$prefix/include/node/node_api.h" ]; then
      realpath "$prefix"
      return
    fi
  done
}

build() {
  echo "Building the addon (a minute or two; log in $log)"
  headers=$(find_node_headers)
  # Without local headers node-gyp fetches them from nodejs.org.
  npx --yes node-gyp@11 rebuild --directory="$root" ${headers:+--nodedir="$headers"} --module_name=tfjs_binding \
    --module_path="$root/build/addon" --napi_build_version="$napi" >"$log" 2>&1 || {
    tail -n 15 "$log" >&2
    fail "the addon did not compile; the whole log is $log"
  }
  cp "$root/build/Release/tfjs_binding.node" "$addon.partial"
  mv "$addon.partial" "$addon"
}

[ "$(cat "$dest/unpacked" 2>/dev/null)" = "$name" ] || {
  rm -f "$dest"/tfjs_binding-*.node
  unpack
}
root=$PWD/node_modules/$package
[ -f "$root/package.json" ] || install_package

rm -rf "$root/deps"
mkdir -p "$root/deps"
ln -s "$dest/include" "$root/deps/include"
ln -s "$dest/lib" "$root/deps/lib"

# Where the package itself will look for its addon.
target=$(cd "$root" && node -p "require('@mapbox/node-pre-gyp').find('$root/package.json')")
napi=$(basename "$(dirname "$target")" | sed 's/napi-v//')
addon=$dest/tfjs_binding-napi-v$napi.node # the same for every version of Node that has this N-API
[ -f "$addon" ] || build
mkdir -p "$(dirname "$target")"
cp "$addon" "$target"

node -e '
  const util = require("node:util");
  util.isNullOrUndefined ??= (value) => value == null;
  util.isArray ??= Array.isArray;
  process.env.TF_CPP_MIN_LOG_LEVEL ??= "2";
  const tf = require(process.argv[1]);
  const [sum] = tf.matMul(tf.ones([1, 3]), tf.ones([3, 1])).dataSync();
  if (sum !== 3) throw new Error(`1·1 + 1·1 + 1·1 came out as ${sum}`);
  console.log(`Works: ${process.argv[1]} on ${tf.backend().isUsingGpuDevice ? "a GPU" : "the CPU; it sees no GPU"}`);
' "$package" || fail "$package was built, but does not run"
