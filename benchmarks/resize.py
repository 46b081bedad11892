"""Resizing to the input size of Inception, compared with clean-fid's resizer, which takes one image at a time.

    pip install -r benchmarks/requirements.txt && python benchmarks/resize.py [--rounds 9]

Both start from uint8 images in memory and return float32 in 0..255, one image after another; neither has to assemble
batches for a network. The table shows medians of CPU time per image and the largest difference of any pixel. The goals
are 0.25 of clean-fid's time and a difference below 1e-3.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import torch
from cleanfid.resize import build_resizer
from side_by_side import bar, heading, take_turns
from torch import Tensor
from torch.nn.functional import interpolate

from designspace.evaluation.inception import SIDE
from designspace.evaluation.resize import resized

IMAGES = {32: 64, 64: 64, 128: 32, 512: 16}
"""How many a round, by their side."""
TIME, DIFFERENCE = 0.25, 1e-3
CPU = torch.device("cpu")
Resize = Callable[[Tensor], Iterator[Tensor]]


def clean_fid(images: Tensor) -> Iterator[Tensor]:
    resizer = build_resizer("clean")
    for image in images.permute(0, 2, 3, 1).numpy():
        yield torch.from_numpy(resizer(image)).permute(2, 0, 1)[None]


def torch_bicubic(images: Tensor) -> Iterator[Tensor]:
    for x in images.split(4):
        yield interpolate(x.float(), (299, 299), mode="bicubic", antialias=True).clamp_(0, 255)


def ours(images: Tensor) -> Iterator[Tensor]:
    return resized(images, SIDE, 1, CPU)


METHODS: dict[str, Resize] = {"clean-fid": clean_fid, "torch, antialiased bicubic": torch_bicubic, "designspace": ours}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    generator = torch.Generator().manual_seed(0)
    for side, count in IMAGES.items():
        images = torch.randint(256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
        heading(f"3 x {side} x {side} to 3 x 299 x 299")
        results = {name: torch.cat(list(resize(images))) for name, resize in METHODS.items()}
        error = {name: float((x - results["clean-fid"]).abs().max()) for name, x in results.items()}
        del results
        spent = {name: partial(lambda resize, x: deque(resize(x), 0), f, images) for name, f in METHODS.items()}
        timed = take_turns(spent, rounds)
        print("| method | CPU ms an image | / clean-fid | largest difference |\n|---|---|---|---|")
        for name, t in timed.items():
            ratio = t.over(timed["clean-fid"])
            print(f"| {name} | {1e3 * t.seconds() / count:.3f} | {ratio:.3f} | {error[name]:.1e} |")
        print()
        bar("of clean-fid's time", timed["designspace"].over(timed["clean-fid"]), TIME)
        bar("largest difference", error["designspace"], DIFFERENCE)


if __name__ == "__main__":
    main()
