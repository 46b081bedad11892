from typing import ClassVar

import torch

from designspace.evaluation.measure import Measured, Sample, mean
from designspace.evaluation.neighbours import nearest
from designspace.evaluation.rows import Metric
from designspace.registry.component import Fraction
from designspace.registry.literature import GU_2023, YOON_2023


class Memorised(Metric, name="memorised"):
    """The share of generated images that are copies of the reference's: much nearer to one than to any other.

    with the nearest and the second nearest image of the reference, and c = ``ratio``. The exact denoiser's samples are
    copies, 1; images of the reference's distribution score what its halves do against each other. Lower is not better
    by itself: noise is no copy either. It is a mean over generated images: the standard error is exact.
    """

    formula = r"\frac1n \left|\left\{i : |x_i - y_{(1)}| \le c\, |x_i - y_{(2)}|\right\}\right|"
    sources = (YOON_2023, GU_2023)
    higher_is_better: ClassVar[bool | None] = None
    ratio: Fraction = 1 / 3

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        first, second, *_ = nearest(generated, reference, 2).squares.T
        return mean(torch.from_numpy(first <= self.ratio**2 * second).double())
