"""Writes models/testing/resnet-vectors.json: what torchvision's ResNets make of weights drawn by a rule.

  python test/peer/resnet_vectors.py

Needs torch and torchvision. It computes in double precision, so that the differences seen by models/resnet.test.ts are those
of Ballast. Weights, images and labels follow from `drawn` alone (models/testing/drawn.ts draws the same); of each gradient the
file keeps its norm and its product with other drawn numbers, so that a wrong element shows.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision

from drawn import drawn, parameter, rounded, summary

CLASSES, ROWS, SIZE = 5, 4, 64
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def least_gap(stem):
    """The least difference between the two largest values of a window of the maximum that is not all zero."""
    windows = F.unfold(F.pad(stem, (1, 1, 1, 1)), 3, stride=2).reshape(len(stem), 64, 9, -1)
    two = windows.topk(2, dim=2).values
    return (two[:, :, 0] - two[:, :, 1])[two[:, :, 0] > 0].min().item()


def vectors(architecture, training, dtype=torch.float64):
    """None where two places of a window are so close that rounding may choose between them."""
    for stream in range(1000, 1100):
        found = of_images(stream, architecture, training, dtype)
        if found is not None:
            return found


def of_images(image_stream, architecture, training, dtype):
    model = getattr(torchvision.models, architecture)(num_classes=CLASSES).to(dtype)
    names = sorted(name for name in model.state_dict() if not name.endswith("num_batches_tracked"))
    stream = {name: i + 1 for i, name in enumerate(names)}
    state = {name: parameter(stream[name], name, tuple(model.state_dict()[name].shape)) for name in names}
    model.load_state_dict(state, strict=False)
    model.train(training)
    images = (drawn(image_stream, (ROWS, 3, SIZE, SIZE)) * 2).to(dtype).requires_grad_()
    per_channel = lambda values: torch.tensor(values, dtype=dtype).reshape(1, 3, 1, 1)
    # The last row is padding: PyTorch never sees it.
    normal = ((images + 1) / 2 - per_channel(MEAN)) / per_channel(DEVIATION)
    stems = []
    model.relu.register_forward_hook(lambda _module, _inputs, output: stems.append(output.detach()))
    logits = model(normal[:-1])
    if dtype == torch.float64 and least_gap(stems[0]) < 3e-6:
        return None
    labels = torch.arange(ROWS - 1) % CLASSES
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    after = model.state_dict()
    return {
        "imageStream": image_stream,
        "logits": logits.flatten().tolist(),
        "loss": loss.item(),
        "image": summary(2000, images.grad),
        "gradients": {name: summary(3000 + stream[name], p.grad) for name, p in sorted(model.named_parameters())},
        "statistics": {
            name: summary(3000 + stream[name], after[name]) for name in names if "running" in name and training
        },
    }


if __name__ == "__main__":
    torch.set_num_threads(2)
    cases = [(a, t) for a in ("resnet18", "resnet50") for t in (False, True)]
    found = {f"{a} {'batch' if t else 'running'}": rounded(vectors(a, t)) for a, t in cases}
    found["versions"] = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
    path = Path(__file__).parents[2] / "models" / "testing" / "resnet-vectors.json"
    path.write_text(json.dumps(found) + "\n")
    print(f"wrote {path}", file=sys.stderr)
