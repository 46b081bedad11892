"""The networks of NVIDIA's checkpoints, compared with diffusers' UNet2DModel of the same sizes.

    python benchmarks/import_networks.py [--rounds 7] [--batch 8] [--dtype float32]

Each pair has the same channels, blocks, sides with attention and batch. The methods take turns on one thread. Ratios
are of CPU time per floating-point operation of convolutions and matrix products, as torch.utils.flop_counter counts
them. The goal is 1.15.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch
from diffusers import UNet2DModel
from side_by_side import bar, heading, take_turns
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import designspace as ds

SIDE, TIME = 32, 1.15
NCSNPP = {
    "embedding_type": "fourier", "encoder_type": "residual", "channel_mult_noise": 2, "resample_filter": [1, 3, 3, 1],
}  # fmt: skip
CASES = {
    "edm, DDPM++": ("edm", {"model_channels": 64, "channel_mult": [1, 2, 2], "num_blocks": 2}),
    "edm, NCSN++": ("edm", {"model_channels": 64, "channel_mult": [1, 2, 2], "num_blocks": 2, **NCSNPP}),
    "adm": ("adm", {"model_channels": 64, "channel_mult": [1, 2, 3], "num_blocks": 2, "attn_resolutions": [16, 8]}),
    "edm2": ("edm2", {"model_channels": 64, "channel_mult": [1, 2, 3], "num_blocks": 2, "attn_resolutions": [16, 8]}),
}


def peer(channel_mult: list[int], attention: list[int], blocks: int, channels: int, head: int) -> nn.Module:
    attends = [SIDE >> level in attention for level in range(len(channel_mult))]
    return UNet2DModel(
        sample_size=SIDE,
        block_out_channels=[channels * multiple for multiple in channel_mult],
        layers_per_block=blocks,
        down_block_types=["AttnDownBlock2D" if attend else "DownBlock2D" for attend in attends],
        up_block_types=["AttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)],
        attention_head_dim=head,
    ).eval()


def flops(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@torch.no_grad()
def compare(title: str, name: str, fields: dict[str, object], x: Tensor, rounds: int) -> None:
    network = ds.Network.get(name).model_validate(fields)
    ours = network.build((3, SIDE, SIDE)).to(x.dtype)
    for parameter in ours.parameters():  # zeros take less time
        parameter.add_(0.02 * torch.randn_like(parameter))
    head = network.model_channels * network.channel_mult[1] if name == "edm" else 64
    attention = list(network.attn_resolutions)
    theirs = peer(list(network.channel_mult), attention, network.num_blocks, network.model_channels, head).to(x.dtype)
    c_noise = torch.linspace(-1.0, 1.0, len(x))
    methods = {"designspace": partial(ours, x, c_noise), "diffusers": partial(theirs, x, c_noise)}
    count = {method: flops(run) for method, run in methods.items()}
    heading(f"{title}, batch {len(x)}, {SIDE} x {SIDE}, {x.dtype}")
    timed = take_turns(methods, rounds)
    print("| method | GFLOP | CPU ms | GFLOP/s |\n|---|---|---|---|")
    for method, t in timed.items():
        giga = count[method] / 1e9
        print(f"| {method} | {giga:.2f} | {1e3 * t.seconds():.0f} | {giga / t.seconds():.1f} |")
    ratio = timed["designspace"].over(timed["diffusers"]) * count["diffusers"] / count["designspace"]
    print()
    bar("CPU time per operation, relative to diffusers", ratio, TIME)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(args.batch, 3, SIDE, SIDE).to(getattr(torch, args.dtype))
    for title, (name, fields) in CASES.items():
        compare(title, name, fields, x, args.rounds)


if __name__ == "__main__":
    main()
