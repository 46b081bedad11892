from collections.abc import Sequence
from typing import ClassVar

import torch

from designspace.evaluation.measure import Draw, Measured, Sample, mean
from designspace.evaluation.neighbours import nearest
from designspace.evaluation.rows import Metric
from designspace.registry.component import Fraction
from designspace.registry.literature import GU_2023, YOON_2023


class Memorised(Metric, name="memorised"):
    """The share of generated images that are copies: much closer to one reference image than to any other.

    Here :math:`y_{(1)}` and :math:`y_{(2)}` are the nearest and the second nearest reference image, and c is ``ratio``.
    Samples of the exact denoiser are copies and score 1. Images of the reference's distribution score as one half of
    the reference does against the other. Lower is not better by itself, since noise is not a copy either. The value is
    a mean over generated images, so its standard error is exact.
    """

    formula = r"\frac1n \left|\left\{i : |x_i - y_{(1)}| \le c\, |x_i - y_{(2)}|\right\}\right|"
    sources = (YOON_2023, GU_2023)
    higher_is_better: ClassVar[bool | None] = None
    ratio: Fraction = 1 / 3

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        first, second, *_ = nearest(generated, reference, 2).squares.T
        return mean(torch.from_numpy(first <= self.ratio**2 * second).double())

    def drawn(self, reference: Sample, draws: Sequence[Draw]) -> list[float]:
        return [1.0] * len(draws)  # images that are drawn from the reference are copies
