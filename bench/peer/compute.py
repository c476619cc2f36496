"""PyTorch's side of `npm run bench -- compute` and `-- gpu`: the same networks, written once more, run eagerly: on one
thread of the CPU, or on a CUDA GPU.

Reads one JSON request a line from standard input and answers each with one line, {"error": MESSAGE} if it failed:
  {"about": true}             version, name of the CUDA GPU (null without one)
  {"load": FOLDER}            weights and inputs as safetensors, settings.json; "device": "cuda" for the GPU
  {"check": NAME}             runs once, writes FOLDER/peer-NAME.safetensors
  {"run": NAME, "times": N}   seconds of each of N runs, and the most memory on the GPU since the load, in bytes
"""

import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)
# Ours computes in float32 throughout.
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
TIME_FEATURES = 64


def conv(p, name, x, stride=1):
    weight = p[f"{name}.weight"]
    return F.conv2d(x, weight, p.get(f"{name}.bias"), stride=stride, padding=(weight.shape[2] - 1) // 2)


def norm(p, name, x, groups):
    return F.group_norm(x, groups, p[f"{name}.weight"], p[f"{name}.bias"], 1e-5)


def linear(p, name, x):
    return F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])


RESNET50_BLOCKS = [3, 4, 6, 3]


def batch_norm(p, name, x):
    """By the batch's statistics; the running ones follow."""
    parts = [p[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    return F.batch_norm(x, *parts, training=True)


def resnet50(p, x):
    h = F.relu(batch_norm(p, "bn1", conv(p, "conv1", x, 2)))
    h = F.max_pool2d(h, 3, 2, 1)
    for stage, blocks in enumerate(RESNET50_BLOCKS):
        for i in range(blocks):
            name = f"layer{stage + 1}.{i}"
            stride = 2 if stage > 0 and i == 0 else 1
            change = F.relu(batch_norm(p, f"{name}.bn1", conv(p, f"{name}.conv1", h)))
            change = F.relu(batch_norm(p, f"{name}.bn2", conv(p, f"{name}.conv2", change, stride)))
            change = batch_norm(p, f"{name}.bn3", conv(p, f"{name}.conv3", change))
            if f"{name}.downsample.0.weight" in p:
                h = batch_norm(p, f"{name}.downsample.1", conv(p, f"{name}.downsample.0", h, stride))
            h = F.relu(h + change)
    return linear(p, "fc", h.mean((2, 3)))


def classifier(c, p, x):
    if c.get("architecture") == "resnet50":
        return resnet50(p, x)
    groups, widths = c["groups"], c["widths"]
    h = F.silu(norm(p, "stem.norm", conv(p, "stem.conv", x), groups))
    for stage, width in enumerate(widths):
        for i in range(c["blocksPerStage"]):
            name = f"stages.{stage}.blocks.{i}"
            stride = 2 if stage > 0 and i == 0 else 1
            first = F.silu(norm(p, f"{name}.norm1", conv(p, f"{name}.conv1", h, stride), groups))
            second = norm(p, f"{name}.norm2", conv(p, f"{name}.conv2", first), groups)
            if f"{name}.shortcut.conv.weight" in p:
                h = norm(p, f"{name}.shortcut.norm", conv(p, f"{name}.shortcut.conv", h, stride), groups)
            h = F.silu(h + second)
    return linear(p, "head", h.mean((2, 3)))


def block(c, p, name, x, time_features):
    h = conv(p, f"{name}.conv1", F.silu(norm(p, f"{name}.norm1", x, c["groups"])))
    scale, shift = linear(p, f"{name}.time", time_features)[:, :, None, None].chunk(2, 1)
    h = norm(p, f"{name}.norm2", h, c["groups"]) * (scale + 1) + shift
    h = conv(p, f"{name}.conv2", F.silu(h))
    return h + (conv(p, f"{name}.skip", x) if f"{name}.skip.weight" in p else x)


def attention(c, p, name, x):
    n, channels, height, width = x.shape
    q, k, v = conv(p, f"{name}.qkv", norm(p, f"{name}.norm", x, c["groups"])).reshape(n, 3 * channels, -1).chunk(3, 1)
    weights = torch.softmax(q.transpose(1, 2) @ k / math.sqrt(channels), -1)
    return x + conv(p, f"{name}.out", (v @ weights.transpose(1, 2)).reshape(x.shape))


def unet(c, p, x, t):
    half = TIME_FEATURES // 2
    frequencies = 1000 * torch.exp(-math.log(1e4) * torch.arange(half, device=x.device) / half)
    angles = t.reshape(-1, 1) * frequencies
    features = torch.cat([angles.cos(), angles.sin()], 1)
    features = F.silu(linear(p, "time.1", F.silu(linear(p, "time.0", features))))
    last = len(c["widths"]) - 1
    h = conv(p, "stem.conv", F.pixel_unshuffle(x, c["patch"]))
    skips = []
    for level in range(last + 1):
        if level > 0:
            h = conv(p, f"down.{level - 1}.downsample", h, 2)
        for i in range(c["blocksPerLevel"]):
            h = block(c, p, f"down.{level}.blocks.{i}", h, features)
            skips.append(h)
    if c["attention"]:
        h = attention(c, p, "middle.attention", h)
    for level in range(last, -1, -1):
        if level < last:
            h = conv(p, f"up.{level}.upsample", F.interpolate(h, scale_factor=2, mode="nearest"))
        for i in range(c["blocksPerLevel"]):
            h = block(c, p, f"up.{level}.blocks.{i}", torch.cat([h, skips.pop()], 1), features)
    return F.pixel_shuffle(conv(p, "head.conv", F.silu(norm(p, "head.norm", h, c["groups"]))), c["patch"])


class Trained:
    """A network's parameters with AdamW, clipping and a moving average: what one training step of ours does."""

    def __init__(self, params, loss_of):
        self.loss_of = loss_of
        self.params = {name: value.clone().requires_grad_() for name, value in params.items()}
        decayed = [value for value in self.params.values() if value.dim() >= 2]
        others = [value for value in self.params.values() if value.dim() < 2]
        groups = [{"params": decayed, "weight_decay": 1e-4}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3)
        self.average = [value.detach().clone() for value in self.params.values()]

    def gradients(self):
        """The loss and the gradient of each parameter, before clipping."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss_of(self.params)
        loss.backward()
        return {"loss": loss.detach().reshape(1), **{name: value.grad for name, value in self.params.items()}}

    def step(self):
        loss = self.gradients()["loss"]
        norm = torch.nn.utils.clip_grad_norm_(list(self.params.values()), 1.0)
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list(self.params.values()), 0.001)
        return {"loss": loss, "gradientNorm": norm.reshape(1)}


class Peer:
    def load(self, folder, device):
        self.folder, self.device = folder, device
        with open(f"{folder}/settings.json") as file:
            self.settings = json.load(file)
        self.runs = {}
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        for name, kind in self.settings["benchmarks"].items():
            tensors = load_file(f"{folder}/{name}.safetensors", device=device)
            params = {key[len("params/") :]: value for key, value in tensors.items() if key.startswith("params/")}
            prior = {key[len("prior/") :]: value for key, value in tensors.items() if key.startswith("prior/")}
            self.runs[name] = getattr(self, kind["kind"])(kind, params, prior, tensors)

    def denoiserForward(self, kind, params, prior, tensors):
        def run():
            with torch.no_grad():
                return {"output": unet(kind["unet"], params, tensors["x"], tensors["t"])}

        return run

    def run(self, name):
        result = self.runs[name]()
        if self.device == "cuda":
            torch.cuda.synchronize()
        return result

    def classifierStep(self, kind, params, prior, tensors):
        buffers = {key[len("buffers/") :]: value for key, value in tensors.items() if key.startswith("buffers/")}

        def loss_of(p):
            log_probability = F.log_softmax(classifier(kind["classifier"], {**p, **buffers}, tensors["images"]), -1)
            return -(tensors["labels"] * log_probability).sum(-1).mean()

        return Trained(params, loss_of).step

    def classifierGradients(self, kind, params, prior, tensors):
        mask = tensors["mask"]

        def loss_of(p):
            logits = classifier(kind["classifier"], p, tensors["images"]) + tensors["adjustment"]
            losses = F.cross_entropy(logits, tensors["labels"], reduction="none")
            return (losses * tensors["weights"] * mask).sum() / mask.sum()

        return Trained(params, loss_of).gradients

    def denoiserStep(self, kind, params, prior, tensors):
        return self.denoiserTrained(kind, params, tensors).step

    def denoiserGradients(self, kind, params, prior, tensors):
        return self.denoiserTrained(kind, params, tensors).gradients

    def denoiserTrained(self, kind, params, tensors):
        a, s = tensors["a"].reshape(-1, 1, 1, 1), tensors["s"].reshape(-1, 1, 1, 1)
        x0, noise = tensors["images"], tensors["noise"]

        def loss_of(p):
            output = unet(kind["unet"], p, a * x0 + s * noise, tensors["t"])
            error = (output - (a * noise - s * x0)) ** 2
            return (error.mean((1, 2, 3)) * tensors["weights"]).mean()

        return Trained(params, loss_of)

    def guidedSampling(self, kind, params, prior, tensors):
        """The default rule: detached x0, softened logits, a step of fixed length, clipped."""
        labels, rows = tensors["labels"], kind["rows"]
        dimensions = math.prod(tensors["x"].shape[1:])
        tau1, tau2 = kind["softening"]

        def run():
            x, previous = tensors["x"], torch.zeros_like(tensors["x"])
            for row in rows:
                with torch.no_grad():
                    v = unet(kind["unet"], prior, x, torch.tensor([row["t"]], dtype=torch.float32, device=x.device))
                    x0 = (row["a"] * x - row["s"] * v).clamp(-1, 1)
                x0.requires_grad_()
                z = classifier(kind["classifier"], params, x0)
                objective = (labels * ((tau1 - tau2) * z + F.log_softmax(tau2 * z, -1))).sum()
                (g,) = torch.autograd.grad(objective, x0)
                with torch.no_grad():
                    unit = g * g.square().sum((1, 2, 3), keepdim=True).clamp_min(1e-24).rsqrt() * math.sqrt(dimensions)
                    x0 = (x0 + row["weight"] * unit).clamp(-1, 1)
                    x = row["cX"] * x + row["cD"] * x0 + row["cP"] * previous
                    previous = x0
            return {"output": x}

        return run

    def sgemm(self, kind, params, prior, tensors):
        a = tensors["a"]
        return lambda: {"output": a @ a}


def answer(peer, request):
    if "about" in request:
        name = torch.cuda.get_device_name() if torch.cuda.is_available() else None
        return {"version": torch.__version__, "cuda": name}
    if "load" in request:
        peer.load(request["load"], request.get("device", "cpu"))
        return {"version": torch.__version__}
    if "check" in request:
        result = peer.run(request["check"])
        values = {key: value.cpu().contiguous() for key, value in result.items()}
        save_file(values, f"{peer.folder}/peer-{request['check']}.safetensors")
        return {}
    seconds = []
    for _ in range(request["times"]):
        start = time.perf_counter()
        peer.run(request["run"])
        seconds.append(time.perf_counter() - start)
    device_bytes = torch.cuda.max_memory_allocated() if peer.device == "cuda" else None
    return {"seconds": seconds, "deviceBytes": device_bytes}


def main():
    peer = Peer()
    for line in sys.stdin:
        try:
            reply = answer(peer, json.loads(line))
        except Exception as error:  # out of memory, for one: the next case may fit
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


main()
