"""How far known changes of real images are for each detector, in units of the distance of two halves of the data.

    python benchmarks/detectors.py [--splits 3] [--detectors lite0 xfeat]

The digits are split at random into two halves of 898. One half is changed and compared with the other by the Fréchet
distance; the table has the mean over the splits of the distance divided by that of the unchanged half, and its standard
deviation over the splits.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

import designspace as ds

CPU = torch.device("cpu")
Change = Callable[[Tensor, Tensor], Tensor]
"""From pixels and labels of one half to the pixels of the changed images."""


def uint8(x: Tensor) -> Tensor:
    return x.round().clip(0, 255).to(torch.uint8)


def noise(strength: float) -> Change:
    def change(pixels: Tensor, labels: Tensor) -> Tensor:
        drawn = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(1))
        return uint8(pixels + strength * drawn)

    return change


def blur(width: float) -> Change:
    def change(pixels: Tensor, labels: Tensor) -> Tensor:
        smooth = gaussian_filter(pixels.numpy().astype(np.float32), (0, 0, width, width), mode="nearest")
        return uint8(torch.from_numpy(smooth))

    return change


CHANGES: dict[str, Change] = {
    **{f"noise, standard deviation {s} of 255": noise(s) for s in (2, 5, 10, 20)},
    **{f"Gaussian blur, {s} pixels": blur(s) for s in (0.5, 1)},
    "contrast 80 %": lambda pixels, labels: uint8(0.8 * pixels),
    "without one of 10 classes": lambda pixels, labels: pixels[labels != 0],
    "without half of the classes": lambda pixels, labels: pixels[labels >= 5],
    "a tenth of the images, each 10 times": lambda pixels, labels: pixels[::10].repeat_interleave(10, 0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--detectors", nargs="+", default=["lite0", "xfeat"])
    args = parser.parse_args()
    data = ds.Data.model_validate("digits").load()
    pixels, labels, half = data.pixels, data.labels, len(data.pixels) // 2
    print("| change |", *(f"{name} |" for name in args.detectors))
    print("| --- |", *("---: |" for _ in args.detectors))
    found: dict[tuple[str, str], list[float]] = {}
    for name in args.detectors:
        features = ds.Detector.model_validate(name).load(CPU)
        for split in range(args.splits):
            order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(split))
            one, other = order[:half], order[half : 2 * half]
            reference = ds.Moments.of(features(pixels[one]))

            def distance(changed: Tensor) -> float:
                return ds.frechet(ds.Moments.of(features(changed)), reference)  # noqa: B023

            unit = distance(pixels[other])
            for change, make in CHANGES.items():
                ratio = distance(make(pixels[other], labels[other])) / unit
                found.setdefault((change, name), []).append(ratio)
    for change in CHANGES:
        cells = (found[change, name] for name in args.detectors)
        print(f"| {change} |", *(f"{np.mean(cell):.3g} ± {np.std(cell, ddof=1):.1g} |" for cell in cells))


if __name__ == "__main__":
    main()
