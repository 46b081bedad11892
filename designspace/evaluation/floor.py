"""The least that a metric can be expected to show: the reference measured against itself."""

from __future__ import annotations

import statistics

import torch

from designspace.evaluation.measure import Sample
from designspace.keyed import generator
from designspace.rows import Metric

DRAWS = 8


def floor(metric: Metric, reference: Sample, n: int) -> tuple[float, int]:
    """The metric of one random half of the reference against the other, and their size n' = min(n, N // 2).

    The halves depend on N and n alone. With n' below n, a biased metric's floor is higher than that of n images.
    Raises ``ValueError`` if the reference has fewer than 4 images.
    """
    size = min(n, len(reference) // 2)
    if size < 2:
        raise ValueError(f"a reference of {len(reference)} images has no two halves to compare: it takes 4 at least")
    order = torch.from_numpy(generator("floor").permutation(len(reference)))
    one, other = (Sample(reference.features[half]) for half in (order[:size], order[size : 2 * size]))
    return metric.measure(one, other).value, size


def drawn(metric: Metric, reference: Sample, n: int) -> tuple[float, float]:
    """The metric of n images drawn from the reference, with replacement, against it: mean and deviation of 8 draws.

    A denoiser that gives its data back scores that with a perfect sampler: what is left is chance and bias.
    The draws depend on N and n alone.
    """
    values = []
    for k in range(DRAWS):
        chosen = torch.from_numpy(generator("drawn", n, k).integers(len(reference), size=n))
        values.append(metric.measure(Sample(reference.features[chosen]), reference).value)
    return statistics.fmean(values), statistics.stdev(values)
