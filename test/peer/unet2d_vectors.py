"""Writes services/prior-importer/testing/unet2d-vectors.json: what diffusers' UNet2DModel and its scheduler make of numbers drawn by a rule.

  python test/peer/unet2d_vectors.py

Needs torch and diffusers. It computes in double precision, so that the differences seen by services/prior-importer/diffusers-folder.test.ts are
those of Ballast. Weights, images and outputs follow from `drawn` alone (models/testing/drawn.ts draws the same).
"""

import json
import sys
from pathlib import Path

import diffusers
import torch
from diffusers import DDIMScheduler, UNet2DModel

from drawn import drawn, parameter, rounded

ROWS = 2
STEPS = [999.0, 12.5]
PIXELS = 8

# Together they take every choice of the configuration that Ballast imports.
CONFIGS = {
    "as the first DDPMs": {
        **{"in_channels": 3, "out_channels": 3, "block_out_channels": [8, 16, 16], "layers_per_block": 2},
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
        **{"attention_head_dim": None, "norm_num_groups": 4, "norm_eps": 1e-6, "downsample_padding": 0},
        **{"freq_shift": 1, "flip_sin_to_cos": False},
    },
    "with heads, scale and shift": {
        **{"in_channels": 1, "out_channels": 1, "block_out_channels": [9, 12], "layers_per_block": 1},
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
        **{"attention_head_dim": 4, "norm_num_groups": 3, "resnet_time_scale_shift": "scale_shift"},
        **{"mid_block_scale_factor": 1.5, "time_embedding_dim": 20},
    },
    "with groups of its own for the middle": {
        **{"in_channels": 1, "out_channels": 1, "block_out_channels": [8, 8], "layers_per_block": 1},
        "down_block_types": ["DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D"],
        **{"norm_num_groups": 4, "attn_norm_num_groups": 2, "attention_head_dim": 8},
    },
    "without attention": {
        **{"in_channels": 1, "out_channels": 1, "block_out_channels": [8], "layers_per_block": 2},
        "down_block_types": ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"],
        **{"norm_num_groups": 8, "add_attention": False},
    },
    "without a middle": {
        **{"in_channels": 1, "out_channels": 1, "block_out_channels": [8, 8], "layers_per_block": 1},
        "down_block_types": ["AttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "AttnUpBlock2D"],
        **{"norm_num_groups": 8, "mid_block_type": None},
    },
}


def drawn_model(config):
    """The attention's linear layers are drawn as the 1×1 convolutions that they are."""
    model = UNet2DModel(sample_size=PIXELS, **config).double().eval()
    state = model.state_dict()

    def value(stream, name):
        shape = tuple(state[name].shape)
        as_convolution = ".attentions." in name and len(shape) == 2
        return parameter(stream, name, (*shape, 1, 1) if as_convolution else shape).reshape(shape)

    model.load_state_dict({name: value(i + 1, name) for i, name in enumerate(sorted(state))})
    return model


def network_case(config):
    model = drawn_model(config)
    x = drawn(1000, (ROWS, config["in_channels"], PIXELS, PIXELS)) * 4
    with torch.no_grad():
        y = model(x, torch.tensor(STEPS, dtype=torch.float64)).sample
    saved = {name: value for name, value in model.config.items() if name != "_use_default_values"}
    return {"config": {"_class_name": "UNet2DModel", **saved}, "steps": STEPS, "output": y.flatten().tolist()}


def scheduler_case(schedule, prediction):
    scheduler = DDIMScheduler(
        beta_schedule=schedule, prediction_type=prediction, beta_start=2e-4, beta_end=0.015, clip_sample=False
    )
    scheduler.set_timesteps(10)
    step = int(scheduler.timesteps[3])
    x, output = drawn(1, (1, 1, 2, 3)), drawn(2, (1, 1, 2, 3))
    done = scheduler.step(output, step, x)
    return {
        **{"schedule": schedule, "prediction": prediction, "step": step},
        "signal": [scheduler.alphas_cumprod[i].item() ** 0.5 for i in (0, 1, 500, 900)],
        "clean": done.pred_original_sample.flatten().tolist(),
    }


if __name__ == "__main__":
    schedules, predictions = ("linear", "scaled_linear", "squaredcos_cap_v2"), ("epsilon", "v_prediction", "sample")
    found = {
        "networks": {name: network_case(config) for name, config in CONFIGS.items()},
        "schedulers": [scheduler_case(s, p) for s in schedules for p in predictions],
        "versions": f"torch {torch.__version__}, diffusers {diffusers.__version__}",
    }
    for case in found["networks"].values():
        case["output"] = rounded(case["output"])
    for case in found["schedulers"]:
        case["clean"] = rounded(case["clean"])
    path = Path(__file__).parents[2] / "services" / "prior-importer" / "testing" / "unet2d-vectors.json"
    path.write_text(json.dumps(found) + "\n")
    print(f"wrote {path}", file=sys.stderr)
