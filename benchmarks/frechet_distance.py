"""The Fréchet distance at 2,048 dimensions: ours against clean-fid's, in the same run.

    pip install -r benchmarks/requirements.txt && python benchmarks/frechet_distance.py

Features are Gaussian with a decaying spectrum, the reference's stretched. Methods take turns on one thread. Shown
are medians of CPU seconds, and errors relative to the distance by singular values, which loses no digits to squaring.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from cleanfid.fid import frechet_distance
from threadpoolctl import threadpool_limits
from torch import Tensor

from designspace.evaluation.frechet import frechet
from designspace.evaluation.moments import Moments

D, REFERENCE, ROUNDS = 2048, 10_000, 3
GENERATED = (5_000, 1_000)


def features(n: int, seed: int, stretch: float = 1.0) -> Tensor:
    x = torch.randn(n, D, generator=torch.Generator().manual_seed(seed))
    return (x + 0.1) * stretch * torch.arange(1, D + 1) ** -0.7


def exact(x: Tensor, reference: Moments) -> float:
    """The distance by the singular values of X B, where X X' = C and the reference's covariance is B B'."""
    x = x.double()
    mean = x.mean(0)
    centred = (x - mean) / (len(x) - 1) ** 0.5
    cross = torch.linalg.svdvals(centred @ torch.linalg.cholesky(reference.cov)).sum()
    trace = centred.square().sum() + reference.cov.trace()
    return float((mean - reference.mean).square().sum() + trace - 2 * cross)


def methods(x: Tensor, a: Moments, b: Moments) -> dict[str, Callable[[], float]]:
    mu_sigma = [v.numpy() for v in (a.mean, a.cov, b.mean, b.cov)]
    return {
        "clean-fid": lambda: float(frechet_distance(*mu_sigma)),
        "designspace, reference prepared": lambda: frechet(a, b),
        "designspace": lambda: frechet(a, replace(b)),
        "designspace, moments of the features included": lambda: frechet(Moments.of(x), b),
        "designspace, from mu and sigma": lambda: frechet(Moments(a.n, a.mean, a.cov), b),
    }


def main() -> None:
    reference = Moments.of(features(REFERENCE, 0, stretch=1.1))
    assert reference.root.shape == (D, D)
    for n in GENERATED:
        x = features(n, 1)
        timed = methods(x, Moments.of(x), reference)
        truth, seconds, value = exact(x, reference), {name: [] for name in timed}, {}
        for _ in range(ROUNDS):
            for name, method in timed.items():
                start = time.process_time()
                value[name] = method()
                seconds[name].append(time.process_time() - start)
        base = statistics.median(seconds["clean-fid"])
        print(f"\n## {n} images, {D} dimensions, reference of {REFERENCE}: distance {truth:.9g}\n")
        print("| method | CPU s | / clean-fid | relative error |\n|---|---|---|---|")
        for name, times in seconds.items():
            median = statistics.median(times)
            print(f"| {name} | {median:.3f} | {median / base:.3f} | {abs(value[name] / truth - 1):.1e} |")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with threadpool_limits(1):
        main()
