from typing import ClassVar

import torch

from designspace.evaluation.measure import Measured, Sample, mean
from designspace.evaluation.neighbours import nearest
from designspace.evaluation.rows import Metric
from designspace.registry.literature import SALIMANS_2016


class Nearest(Metric, name="nearest"):
    """How far generated images are from the nearest image of the reference, on average.

    in units of the features; 0 for copies. Neither lower nor higher is better: images of the reference's distribution
    are about as far from its images as these are from each other, ``among_reference``; much nearer ones are copied,
    much further ones are unlike it. ``median`` is that over generated images. It is a mean over generated images: the
    standard error is exact. Salimans et al. (2016), look for copies by it.
    """

    formula = r"\frac1n \sum_i \min_j |x_i - y_j|"
    sources = (SALIMANS_2016,)
    higher_is_better: ClassVar[bool | None] = None

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        apart, among = (_distances(of, reference) for of in (generated, reference))
        return mean(apart, extra={"median": float(apart.median()), "among_reference": float(among.mean())})


def _distances(points: Sample, reference: Sample) -> torch.Tensor:
    return torch.from_numpy(nearest(points, reference, 1).squares[:, 0]).sqrt()
