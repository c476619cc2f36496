"""Numbers and parameters that models/testing/drawn.ts draws too, to the bit; what is kept of them."""

import numpy as np
import torch


def drawn(stream, shape):
    """Numbers in [-1/2, 1/2): a hash of stream and place (the finaliser of MurmurHash3)."""
    i = np.arange(int(np.prod(shape)), dtype=np.uint64)
    h = (i * np.uint64(0x9E3779B1) + np.uint64(stream * 0x85EBCA77)) & np.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        h ^= h >> np.uint64(shift)
        h = (h * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    values = (h.astype(np.float64) / 2**32 - 0.5).astype(np.float32)
    return torch.from_numpy(values.reshape(shape)).double()


def parameter(stream, name, shape, shift=0):
    """`shift` takes the channels of a ResNet's normalised units away from zero, to either side."""
    u = drawn(stream, shape)
    if len(shape) == 4:
        return (u * float(np.sqrt(24 / np.prod(shape[1:])))).float().double()
    if len(shape) == 2:
        return (u * 0.1).float().double()
    if name.endswith("running_var"):
        return (u + 1.5).float().double()
    if name.endswith("weight"):
        return (u * 0.4 + 0.6).float().double()
    return (u * 0.4 + (u.sign() * shift if name.endswith("bias") else 0)).float().double()


def summary(stream, tensor):
    return [tensor.norm().item(), (tensor * drawn(stream, tensor.shape)).sum().item()]


def rounded(value):
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else float(f"{value:.7g}")
