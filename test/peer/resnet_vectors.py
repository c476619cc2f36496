"""Writes models/testing/resnet-vectors.json: what torchvision's ResNets make of weights drawn by a rule.

  python test/peer/resnet_vectors.py

Needs torch and torchvision. It computes in double precision, so that the differences seen by models/resnet.test.ts are those
of Ballast. Weights, images and labels follow from `drawn` alone (models/testing/drawn.ts draws the same); of each gradient the
file keeps its norm and its product with other drawn numbers, so that a wrong element shows. Of many batches of images it takes
the one in which rounding is least able to decide which units, and which places of a window's maximum, pass a gradient.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision

from drawn import drawn, parameter, rounded, summary

CLASSES, ROWS = 5, 4
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# Of a ResNet-50's two million units at 64 px, some are always too near zero, unless shifts keep them away; with batch statistics,
# 32 px leave too few numbers for each channel.
CASES = [
    ("resnet18", False, 64, 0),
    ("resnet18", True, 64, 0),
    ("resnet50", False, 32, 0),
    ("resnet50", True, 64, 1.5),
]
STREAMS = range(1000, 1400)


class Model:
    """A network with drawn parameters, which keeps what its units see."""

    def __init__(self, architecture, training, shift, dtype):
        self.dtype = dtype
        self.net = getattr(torchvision.models, architecture)(num_classes=CLASSES).to(dtype)
        self.names = sorted(name for name in self.net.state_dict() if not name.endswith("num_batches_tracked"))
        self.stream = {name: i + 1 for i, name in enumerate(self.names)}
        shapes = {name: tuple(self.net.state_dict()[name].shape) for name in self.names}
        self.state = {name: parameter(self.stream[name], name, shape, shift) for name, shape in shapes.items()}
        self.net.train(training)
        self.inputs = []
        for module in self.net.modules():
            if isinstance(module, torch.nn.ReLU):
                module.register_forward_pre_hook(lambda _module, given: self.inputs.append(given[0].detach().clone()))

    def logits(self, images):
        """Of all images but the last row, which is padding: PyTorch never sees it."""
        self.net.load_state_dict(self.state, strict=False)
        self.inputs.clear()
        per_channel = lambda values: torch.tensor(values, dtype=self.dtype).reshape(1, 3, 1, 1)
        return self.net((((images + 1) / 2 - per_channel(MEAN)) / per_channel(DEVIATION))[:-1])


def least_gap(stem):
    """The least difference between the two largest values of a window of the maximum that is not all zero."""
    windows = F.unfold(F.pad(stem.relu(), (1, 1, 1, 1)), 3, stride=2).reshape(len(stem), 64, 9, -1)
    two = windows.topk(2, dim=2).values
    return (two[:, :, 0] - two[:, :, 1])[two[:, :, 0] > 0].min().item()


def margin(exact, rounded_model, images):
    """How far the unit, or the window, that is nearest to a tie is from it, in roundings of its layer in single precision."""
    with torch.no_grad():
        exact.logits(images)
        rounded_model.logits(images.float())
    roundings = [(a - b.double()).abs().max().item() for a, b in zip(exact.inputs, rounded_model.inputs)]
    units = min(a.abs().min().item() / r for a, r in zip(exact.inputs, roundings))
    return min(units, least_gap(exact.inputs[0]) / (2 * roundings[0]))


def vectors(architecture, training, size, shift):
    exact, single = (Model(architecture, training, shift, dtype) for dtype in (torch.float64, torch.float32))
    images_of = lambda stream: drawn(stream, (ROWS, 3, size, size)) * 2
    margins = {stream: margin(exact, single, images_of(stream)) for stream in STREAMS}
    stream = max(margins, key=margins.get)
    print(f"{architecture}, training {training}: margin {margins[stream]:.2g}", file=sys.stderr)
    about = {"imageStream": stream, "size": size, "shift": shift}
    return about | of_images(exact, images_of(stream).requires_grad_())


def of_images(model, images):
    logits = model.logits(images)
    labels = torch.arange(ROWS - 1) % CLASSES
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    after = model.net.state_dict()
    summary_of = lambda name, value: summary(3000 + model.stream[name], value)
    return {
        "logits": logits.flatten().tolist(),
        "loss": loss.item(),
        "image": summary(2000, images.grad),
        "gradients": {name: summary_of(name, p.grad) for name, p in sorted(model.net.named_parameters())},
        "statistics": {
            name: summary_of(name, after[name]) for name in model.names if "running" in name and model.net.training
        },
    }


if __name__ == "__main__":
    torch.set_num_threads(2)
    found = {f"{a} {'batch' if t else 'running'}": rounded(vectors(a, t, *how)) for a, t, *how in CASES}
    found["versions"] = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
    path = Path(__file__).parents[2] / "models" / "testing" / "resnet-vectors.json"
    path.write_text(json.dumps(found) + "\n")
    print(f"wrote {path}", file=sys.stderr)
