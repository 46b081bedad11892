"""Features of lite0 from images in memory, compared with the bare network on prepared batches.

    python benchmarks/lite0.py [--images 400] [--rounds 7]

The bare network runs with the memory format and batch size that suit it best among those tried. The detector starts
from uint8 images and also resizes and normalises them. The goal is at least 90 % of the bare network's images/s.
"""

from __future__ import annotations

import argparse
from functools import partial
from importlib import import_module

import torch
from side_by_side import bar, heading, take_turns
from torch import Tensor

import designspace as ds
from designspace.evaluation.efficientnet_lite import EfficientNetLite0

SHAPES = ((3, 32, 32), (1, 28, 28))
BATCHES = (8, 25, 64)
TIME = 1 / 0.9
CPU = torch.device("cpu")


def bare(network: EfficientNetLite0, x: Tensor, batch: int) -> None:
    for part in x.split(batch):
        network(part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    lite0 = ds.Detector.get("lite0")()
    weights = import_module(type(lite0).__module__).WEIGHTS.load()
    ours, network = lite0.load(CPU), EfficientNetLite0(weights, CPU)
    generator = torch.Generator().manual_seed(0)
    for shape in SHAPES:
        pixels = torch.randint(256, (args.images, *shape), generator=generator, dtype=torch.uint8)
        x = torch.randn(args.images, shape[0], lite0.size, lite0.size, generator=generator)
        ready = {"channels first": x, "channels last": x.contiguous(memory_format=torch.channels_last)}
        methods = {
            f"bare, {layout}, batch {batch}": partial(bare, network, x, batch)
            for layout, x in ready.items()
            for batch in BATCHES
        }
        heading(f"{args.images} images of {' x '.join(map(str, shape))} at {lite0.size} pixels")
        timed = take_turns(methods | {"designspace": partial(ours, pixels)}, args.rounds)
        best = min((timed[name] for name in methods), key=lambda t: t.seconds())
        print("| method | images a CPU second | / the best bare one |\n|---|---|---|")
        for name, t in timed.items():
            print(f"| {name} | {args.images / t.seconds():.0f} | {1 / t.over(best):.3f} |")
        print()
        bar("time over the bare network's", timed["designspace"].over(best), TIME)


if __name__ == "__main__":
    main()
