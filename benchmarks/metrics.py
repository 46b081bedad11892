"""The time of each metric of features and of its references, compared with the distances of pairs in float64.

    python benchmarks/metrics.py [--images 2000] [--reference 10000] [--features 320] [--rounds 3] [--device cpu]

Features are like those of a network with ReLU: skewed, correlated and with a mean. The first table has, for each
metric, CPU seconds of a value with its error, of a value for a reference that was not seen before, of the halves of the
reference, and of the draws from it, with the ratios of the last two to the first. The second table compares products in
float32 with products in float64: CPU seconds per pair, their ratio, the largest difference, and the number of distances
that float32 leaves in doubt, which are computed again in float64. On a GPU, times are those of the clock. The goals are
draws in twice the time of a value, and 50,000 x 10,000 pairs of 320 features in 20 s on two cores and in 1 s on a GPU.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from importlib import import_module

import torch
from torch import Tensor

import designspace as ds
from designspace.evaluation import mmd
from designspace.evaluation.evaluate import drawn, floor
from designspace.evaluation.measure import Sample
from designspace.evaluation.neighbours import _Search
from designspace.evaluation.products import computing_on
from designspace.evaluation.rows import Metric
from designspace.registry.float32 import full_float32

METRICS = (
    *("frechet", "kid", "cmmd", "precision", "recall", "density", "coverage"),
    *("fid_infinity", "sliced_wasserstein", "vendi", "nearest", "memorised"),
)


def features(n: int, d: int, seed: int, shift: float = 0.0) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    mix = torch.randn(d, d, generator=draw) * torch.arange(1, d + 1) ** -0.5 / d**0.5
    return (torch.randn(n, d, generator=draw.manual_seed(seed)) @ mix + 0.3 + shift).relu()


def seconds(work: Callable[[], object], device: torch.device) -> float:
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    start = clock()
    work()
    return clock() - start


def of_metric(metric: Metric, x: Tensor, y: Tensor, device: torch.device) -> list[float]:
    """Seconds of a value, of the first value with a reference, of its halves, and of its draws."""
    reference = Sample(y)
    first = seconds(lambda: metric.measure(Sample(x), reference), device)
    value = seconds(lambda: metric.measure(Sample(x), reference), device)
    halves = seconds(lambda: floor(metric, reference, len(x)), device)
    return [value, first, halves, seconds(lambda: drawn(metric, reference, len(x)), device)]


def kernel_means(x: Tensor, y: Tensor, dtype: torch.dtype) -> Tensor:
    """The mean of KID's kernel over the reference for each image."""
    mmd.EXACT = 0 if dtype == torch.float32 else len(x) * len(y)
    kernel = import_module(ds.Metric.get("kid").__module__).Cubic()
    return mmd._cross_means(x, Sample(y), kernel)


def neighbours(x: Tensor, y: Tensor, dtype: torch.dtype) -> Tensor:
    """The squared distances of six neighbours; rows that float32 leaves in doubt count as infinite."""
    squares, _, sure = _Search(x, y, same=False).find(torch.arange(len(x)), 6, dtype)
    return torch.where(sure[:, None], squares, torch.inf)


def compare(work: Callable[..., Tensor], x: Tensor, y: Tensor, device: torch.device, rounds: int) -> str:
    """Compare products in float32 with products in float64; a line of the second table."""
    times = [
        [seconds(lambda t=t: work(x, y, t), device) for t in (torch.float32, torch.float64)] for _ in range(rounds)
    ]
    ours, exact = (work(x, y, t) for t in (torch.float32, torch.float64))
    known = ours.isfinite()
    error = float((ours[known] / exact[known] - 1).abs().max())
    per_pair, ratio = (
        statistics.median(t[0] for t in times) / len(x) / len(y),
        statistics.median(a / b for a, b in times),
    )
    times_of = f"{1e9 * per_pair:.1f} | {5e8 * per_pair:.1f} | {ratio:.2f}"
    return f"| {work.__name__} | {times_of} | {error:.0e} | {int((~known).sum())} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--reference", type=int, default=10_000)
    parser.add_argument("--features", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--metrics", nargs="+", default=METRICS)
    asked = parser.parse_args()
    device = torch.device(asked.device)
    x = features(asked.images, asked.features, 1, 0.02)
    y = features(asked.reference, asked.features, 2)
    print(f"{asked.images} images, reference of {asked.reference}, {asked.features} features, {device}\n")
    print("| metric | value s | first s | halves s | draws s | halves / value | draws / value |")
    print("|---|---|---|---|---|---|---|")
    with computing_on(device):
        for name in asked.metrics:
            metric = ds.Metric.get(name)()
            rounds = [of_metric(metric, x, y, device) for _ in range(asked.rounds)]
            value, first, halves, draws = (statistics.median(each) for each in zip(*rounds, strict=True))
            ratios = [statistics.median(r[k] / r[0] for r in rounds) for k in (2, 3)]
            times = " | ".join(f"{found:.3f}" for found in (value, first, halves, draws))
            print(f"| {name} | {times} | {ratios[0]:.2f} | {ratios[1]:.2f} |", flush=True)
    print("\n| pairs | ns per pair | s for 50,000 x 10,000 | / float64 | largest relative difference | in doubt |")
    print("|---|---|---|---|---|---|")
    with computing_on(device), full_float32():
        for work in (kernel_means, neighbours):
            print(compare(work, x, y, device, asked.rounds), flush=True)


if __name__ == "__main__":
    main()
