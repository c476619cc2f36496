"""Writes data/testing/rand-augment-vectors.json: digests of what torchvision's RandAugment operations make of two images.

  python test/peer/rand_augment_vectors.py

Needs torchvision and Pillow. The images are Pillow's, since torchvision's tensor operations round differently from those.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import PIL
import torchvision
from PIL import Image
from torchvision.transforms import InterpolationMode, RandAugment
from torchvision.transforms.autoaugment import _apply_op

HEIGHT, WIDTH = 18, 21


def image(channels):
    row, column, channel = np.meshgrid(range(HEIGHT), range(WIDTH), range(channels), indexing="ij")
    values = 30 + (37 * (7 * row + 13 * column + 29 * channel + row * column)) % 190
    return values.astype(np.uint8)


def made(pixels, name, level):
    source = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(_apply_op(source, name, level, InterpolationMode.NEAREST, None))


cases = {}
for name, (levels, signed) in RandAugment()._augmentation_space(31, (HEIGHT, WIDTH)).items():
    for magnitude in (4, 9, 21, 30) if levels.ndim else (9,):
        for sign in (1, -1) if signed else (1,):
            level = sign * float(levels[magnitude]) if levels.ndim else 0.0
            for channels in (1, 3):
                digest = hashlib.sha256(made(image(channels), name, level).tobytes()).hexdigest()
                cases[f"{name} {sign * magnitude} {channels}"] = digest

path = Path(__file__).parents[2] / "data" / "testing" / "rand-augment-vectors.json"
versions = {"torchvision": torchvision.__version__, "pillow": PIL.__version__}
path.write_text(json.dumps({"versions": versions, "height": HEIGHT, "width": WIDTH, "sha256": cases}, indent=2) + "\n")
print(f"{len(cases)} digests in {path}")
