"""The best that a metric can be expected to show: the reference measured against itself."""

from __future__ import annotations

import statistics

import torch

from designspace.evaluation.measure import Sample
from designspace.evaluation.rows import Metric
from designspace.sampling.noise import generator

DRAWS = 8


def floor(metric: Metric, reference: Sample, n: int) -> tuple[float, int]:
    """The metric of one random half of the reference against the other, and their size n' = min(n, N // 2).

    The halves depend on N and n alone. With n' below n, a biased metric's floor is higher than that of n images.
    Raises ``ValueError`` if the halves are too small for the metric.
    """
    size = min(n, len(reference) // 2)
    if size < metric.least:
        text = f"a reference of {len(reference)} images has no two halves to compare by metric {metric}"
        raise ValueError(f"{text}: it takes {2 * metric.least} at least")
    one, other = reference.once(("halves", size), lambda: _halves(reference, size))
    return metric.measure(one, other).value, size


def drawn(metric: Metric, reference: Sample, n: int) -> tuple[float, float]:
    """The metric of n images drawn from the reference, with replacement, against it: mean and deviation of 8 draws.

    A denoiser that gives its data back scores that with a perfect sampler: what is left is chance and bias.
    The draws depend on N and n alone.
    """
    values = [metric.measure(_draw(reference, n, k), reference).value for k in range(DRAWS)]
    return statistics.fmean(values), statistics.stdev(values)


def _halves(reference: Sample, size: int) -> tuple[Sample, Sample]:
    order = torch.from_numpy(generator("floor").permutation(len(reference)))
    return Sample(reference.features[order[:size]]), Sample(reference.features[order[size : 2 * size]])


def _draw(reference: Sample, n: int, k: int) -> Sample:
    """The k-th draw; what one metric finds out about it is kept for the next, its features are not."""
    chosen = torch.from_numpy(generator("drawn", n, k).integers(len(reference), size=n))
    return Sample(reference.features[chosen], reference.once(("drawn", n, k), dict))
