"""The peer of bench/data.ts: a torchvision ImageFolder, decoded by PIL in a DataLoader with a worker for each core."""
import json
import os
import sys
import time

import torch
import torchvision
from torchvision.transforms import CenterCrop, Compose, PILToTensor, Resize

BATCH = 64


def decode(folder: str, size: int) -> dict:
    start = time.perf_counter()
    prepare = Compose([Resize(size), CenterCrop(size), PILToTensor()])
    images = torchvision.datasets.ImageFolder(folder, prepare)
    workers = len(os.sched_getaffinity(0))
    loader = torch.utils.data.DataLoader(images, batch_size=BATCH, num_workers=workers)
    count = sum(batch.shape[0] for batch, _ in loader)
    return {"seconds": time.perf_counter() - start, "images": count}


for line in sys.stdin:
    request = json.loads(line)
    answer = (
        {"version": torchvision.__version__}
        if "version" in request
        else decode(request["folder"], request["size"])
    )
    print(json.dumps(answer), flush=True)
