#!/bin/sh
# What `helm test` does: a run on drawn shapes, which ends with one image. Exits non-zero, with the reason, when it does not.
set -eu
folder=/var/lib/ballast/data/helm-test
export BALLAST_API_TOKEN_FILE=/etc/ballast/client/token
cd /tmp

mkdir -p "$folder"
node - "$folder/shapes" <<'EOF'
const { createRequire } = require('node:module');
const { mkdirSync } = require('node:fs');
const sharp = createRequire('/opt/ballast/package.json')('sharp');
const shapes = {
  disc: (r) => `<circle cx="14" cy="14" r="${r}" fill="#ddd"/>`,
  square: (r) => `<rect x="${14 - r}" y="${14 - r}" width="${2 * r}" height="${2 * r}" fill="#ddd"/>`,
};
(async () => {
  for (const split of ['train', 'test'])
    for (const [name, draw] of Object.entries(shapes)) {
      mkdirSync(`${process.argv[2]}/${split}/${name}`, { recursive: true });
      for (let i = 0; i < 12; i++)
        await sharp(Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="28" height="28"><rect width="28" height="28" fill="#${i % 4}${i % 4}${i % 4}"/>${draw(4 + (i % 6) + (split === 'test' ? 0.5 : 0))}</svg>`))
          .removeAlpha().toColourspace('b-w').toFile(`${process.argv[2]}/${split}/${name}/${i}.png`);
    }
})();
EOF
cp -f /opt/ballast/priors/fashion-mnist-lt/config.json /opt/ballast/priors/fashion-mnist-lt/prior.safetensors "$folder/"

run=helm-test-$(date +%s)
ballast submit --id "$run" --data "$folder/shapes" --prior "$folder/prior.safetensors" --method iois --epochs 1 \
  --batch-size 4 --budget 4 --watch
ballast synthesize "$run" --class disc --count 1 --out /tmp/images
ls /tmp/images/disc-00001.png
