"""Saves a UNet2DModel of random weights as diffusers does, and beside it what it puts out: python unet2d_live.py DIR"""

import sys
from pathlib import Path

import torch
from diffusers import DDIMScheduler, DDPMPipeline, UNet2DModel
from safetensors.torch import save_file

folder = Path(sys.argv[1])
torch.manual_seed(0)
torch.set_num_threads(1)
# The default blocks and heads of diffusers, narrower.
model = UNet2DModel(sample_size=32, block_out_channels=(32, 64, 96, 128), norm_num_groups=16).eval()
DDPMPipeline(model, DDIMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")).save_pretrained(folder)
x = torch.randn(4, 3, 32, 32)
steps = torch.tensor([0.0, 3.0, 500.0, 999.0])
with torch.no_grad():
    exact = model.double()(x.double(), steps.double()).sample
    output = model.float()(x, steps).sample
save_file({"x": x, "steps": steps, "output": exact.float(), "float32": output}, folder / "answers.safetensors")
