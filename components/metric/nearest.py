from collections.abc import Sequence
from typing import ClassVar

import torch

from designspace.evaluation.measure import Draw, Measured, Sample, mean
from designspace.evaluation.neighbours import nearest
from designspace.evaluation.rows import Metric
from designspace.registry.literature import SALIMANS_2016


class Nearest(Metric, name="nearest"):
    """The mean distance of generated images from the nearest reference image.

    The value is in units of the features, and 0 for copies. Neither lower nor higher is better: images of the
    reference's distribution are about as far from the reference images as these are from each other, which is reported
    as ``among_reference``. Much closer images are copies, and much more distant ones are unlike the reference.
    ``median`` is the median over generated images. The value is a mean over generated images, so its standard error is
    exact. Salimans et al. (2016) search for copies in this way.
    """

    formula = r"\frac1n \sum_i \min_j |x_i - y_j|"
    sources = (SALIMANS_2016,)
    higher_is_better: ClassVar[bool | None] = None

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        apart, among = (_distances(of, reference) for of in (generated, reference))
        return mean(apart, extra={"median": float(apart.median()), "among_reference": float(among.mean())})

    def drawn(self, reference: Sample, draws: Sequence[Draw]) -> list[float]:
        return [0.0] * len(draws)  # images that are drawn from the reference are copies


def _distances(points: Sample, reference: Sample) -> torch.Tensor:
    return torch.from_numpy(nearest(points, reference, 1).squares[:, 0]).sqrt()
