"""The Fréchet distance in 2,048 dimensions, compared with the four libraries that are used most.

    pip install -r benchmarks/requirements.txt && python benchmarks/frechet_distance.py [--rounds 3]

Features are Gaussian with a decaying spectrum, and those of the reference are stretched. The methods take turns on one
thread. The table shows medians of CPU seconds, and errors relative to the distance computed from singular values, which
avoids the loss of digits by squaring. The goals are 0.12 of clean-fid's time, 0.1 if the root of the reference is
cached, 0.03 for fewer images than dimensions, and errors below 1e-6.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from cleanfid.fid import frechet_distance
from pytorch_fid.fid_score import calculate_frechet_distance
from side_by_side import bar, heading, take_turns
from torch import Tensor
from torch_fidelity.metric_fid import fid_statistics_to_metric
from torchmetrics.image.fid import _compute_fid

from designspace.evaluation.frechet import frechet
from designspace.evaluation.moments import Moments

D, REFERENCE = 2048, 10_000
BARS = {5_000: {"designspace": 0.12, "designspace, root kept": 0.1}, 1_000: {"designspace, features": 0.03}}
"""Of clean-fid's time, by the number of images."""
ERROR = 1e-6


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
    tensors = a.mean, a.cov, b.mean, b.cov
    arrays = [tensor.numpy() for tensor in tensors]
    named = [dict(zip(("mu", "sigma"), pair, strict=True)) for pair in (arrays[:2], arrays[2:])]
    return {
        "clean-fid": lambda: float(frechet_distance(*arrays)),
        "pytorch-fid": lambda: float(calculate_frechet_distance(*arrays)),
        "torch-fidelity": lambda: fid_statistics_to_metric(*named, False)["frechet_inception_distance"],
        "torchmetrics": lambda: float(_compute_fid(*tensors)),
        "designspace": lambda: frechet(a, Moments(b.n, b.mean, b.cov)),
        "designspace, root kept": lambda: frechet(a, b),
        "designspace, features": lambda: frechet(Moments.of(x), b),
        "designspace, mu and sigma": lambda: frechet(Moments(a.n, a.mean, a.cov), b),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    reference = Moments.of(features(REFERENCE, 0, stretch=1.1))
    assert reference.root.shape == (D, D)
    for n, bars in BARS.items():
        x = features(n, 1)
        truth = exact(x, reference)
        heading(f"{n} images, {D} dimensions, reference of {REFERENCE}: distance {truth:.9g}")
        timed = take_turns(methods(x, Moments.of(x), reference), rounds)
        base, error = timed["clean-fid"], {name: abs(t.value / truth - 1) for name, t in timed.items()}
        print("| method | CPU s | / clean-fid | relative error |\n|---|---|---|---|")
        for name, t in timed.items():
            print(f"| {name} | {t.seconds():.3f} | {t.over(base):.3f} | {error[name]:.1e} |")
        print()
        for name, most in bars.items():
            bar(f"{name}, of clean-fid's time", timed[name].over(base), most)
        bar("error of ours", max(error[name] for name in error if name.startswith("designspace")), ERROR)


if __name__ == "__main__":
    main()
