#!/bin/sh
# Makes the folder of the program that an image holds: what is built, the packages that it needs at run time, and nothing
# to build with. The Dockerfile calls it, and test/image.test.ts runs what it made.
#
#   scripts/image-root.sh ENGINE DEST
#
# ENGINE is cpu, cuda (ONNX Runtime's libraries for CUDA 12, fetched from NuGet) or tfjs-gpu (@tensorflow/tfjs-node-gpu,
# whose install script fetches TensorFlow's library). `npm run build` must have run before.
set -eu

fail() {
  echo "image-root: $*" >&2
  exit 1
}

[ $# = 2 ] || fail 'usage: scripts/image-root.sh cpu|cuda|tfjs-gpu DEST'
engine=$1
case $engine in
  cpu | cuda | tfjs-gpu) ;;
  *) fail "$engine: unknown; use cpu, cuda or tfjs-gpu" ;;
esac
mkdir -p "$2"
dest=$(cd "$2" && pwd)
[ -z "$(ls -A "$dest")" ] || fail "$dest: not empty"
cd "$(dirname "$0")/.."
[ -f dist/bundle/cli/main.js ] || fail 'dist/ is not built: npm run build'

cp package.json package-lock.json .npmrc "$dest/"
(cd "$dest" && npm ci --omit=dev --omit=peer --prefer-offline --no-fund --no-audit)

case $engine in
  cuda)
    (cd "$dest" && ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node --ignore-scripts=false)
    ls "$dest"/node_modules/onnxruntime-node/bin/*/linux/x64/libonnxruntime_providers_cuda.so >/dev/null ||
      fail 'the CUDA libraries of ONNX Runtime did not arrive'
    ;;
  tfjs-gpu)
    scripts/install-tfjs-node.sh @tensorflow/tfjs-node-gpu "$dest"
    npm run --prefix "$dest/node_modules/@tensorflow/tfjs-node-gpu" install
    ls "$dest"/node_modules/@tensorflow/tfjs-node-gpu/deps/lib/libtensorflow.so* >/dev/null ||
      fail "TensorFlow's library did not arrive"
    ;;
esac

# Libraries of other systems, and what only a compiler or a person reads.
platform=$(node -p 'process.platform')
arch=$(node -p 'process.arch')
for folder in "$dest"/node_modules/onnxruntime-node/bin/*/*/*; do
  case $folder in
    */"$platform"/"$arch") ;;
    *) rm -rf "$folder" ;;
  esac
done
find "$dest/node_modules/echarts" -type f ! -name echarts.esm.min.mjs ! -name package.json ! -name 'LICENSE*' ! -name NOTICE -delete
find "$dest/node_modules/dejavu-fonts-ttf" -name '*.ttf' ! -name DejaVuSans.ttf -delete
find "$dest/node_modules" \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -type f -delete

# The files of the package, without declarations, maps, benchmarks, the change log and what Grafana reads.
node -p "require('./package.json').files.join('\n')" | while read -r name; do
  case $name in grafana/* | CHANGELOG.md | '!'*) continue ;; esac
  cp -R "$name" "$dest/"
done
cp LICENSE "$dest/"
rm -rf "$dest/dist/bench" "$dest/dist/bundle/bench" "$dest/dist/examples" "$dest/dist/.built"
find "$dest/dist" \( -name '*.map' -o -name '*.d.ts' \) -type f -delete
rm "$dest/package-lock.json" "$dest/.npmrc" "$dest/node_modules/.package-lock.json"
chmod 755 "$dest/dist/bundle/cli/main.js"
chmod -R a+rX,go-w "$dest"
node "$dest/dist/bundle/cli/main.js" --version >/dev/null || fail 'what was made does not start'
