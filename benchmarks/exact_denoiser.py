"""The exact denoiser compared with the time of its two matrix products alone.

    python benchmarks/exact_denoiser.py [CIFAR-10.zip] [--images 10000] [--batch 256] [--threads 2] [--rounds 7]

The samples are images with noise. The methods take turns, and the minimal times are shown. "tie" is the largest error,
relative to a direct evaluation in float64, half-way between an image and its nearest neighbour; "error" is that of the
samples themselves.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

import designspace as ds
from designspace.data.images import Images

SIGMAS = (0.002, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0, 80.0)
CHECKED = 16


def images(path: str | None, n: int) -> Images:
    generator = torch.Generator().manual_seed(0)
    if path is None:
        return Images(torch.randint(256, (n, 3, 32, 32), generator=generator, dtype=torch.uint8))
    pixels = ds.Data.get("zip").model_validate({"path": path}).load().pixels
    return Images(pixels[torch.randperm(len(pixels), generator=generator)[:n]])


def direct(y: Tensor, x: Tensor, sigma: float) -> Tensor:
    logits = [-(y.double() - row).square().sum(1) / (2 * sigma**2) for row in x.double()]
    return torch.stack([row.softmax(0) @ y.double() for row in logits])


def fastest(methods: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    best = dict.fromkeys(methods, float("inf"))
    for _ in range(rounds):
        for name, method in methods.items():
            start = time.perf_counter()
            method()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zip", nargs="?", help="images to use; by default random ones, 3 x 32 x 32")
    for option, default in (("images", 10_000), ("batch", 256), ("threads", 2), ("rounds", 7)):
        parser.add_argument(f"--{option}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    data = images(args.zip, args.images)
    D = ds.Denoiser.get("exact")().load(data, ds.Design.preset("edm"), torch.device("cpu")).bind(None)
    y = data.scaled().flatten(1)
    clean, weights = y[: args.batch], torch.rand(args.batch, len(y)).softmax(1)
    neighbours = torch.cdist(clean[:CHECKED], y).topk(2, largest=False).indices[:, 1]
    ties = (clean[:CHECKED] + y[neighbours]) / 2
    print(f"{len(y)} x {y.shape[1]}, batch {len(clean)}, {args.threads} threads")
    print("  sigma    ours ms  products ms   ratio    error      tie")
    for sigma in SIGMAS:
        level, x = torch.tensor(sigma, dtype=torch.float64), clean + sigma * torch.randn_like(clean)
        call, bound = lambda x=x, level=level: D(x, level), lambda x=x: (torch.mm(x, y.T), torch.mm(weights, y))
        best = fastest({"ours": call, "bound": bound}, args.rounds)
        errors = [(D(p, level) - direct(y, p, sigma)).abs().max().item() for p in (x[:CHECKED], ties)]
        ms, ratio = {name: 1e3 * seconds for name, seconds in best.items()}, best["ours"] / best["bound"]
        print(f"{sigma:7} {ms['ours']:10.1f} {ms['bound']:12.1f} {ratio:7.2f} {errors[0]:8.1e} {errors[1]:8.1e}")


if __name__ == "__main__":
    main()
