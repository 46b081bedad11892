from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from designspace.evaluation.measure import Draw, Measured, Sample
from designspace.evaluation.mmd import mmd_of_draws, squared_mmd
from designspace.evaluation.rows import Metric
from designspace.registry.literature import BINKOWSKI_2018, HOEFFDING_1948


class KID(Metric, name="kid"):
    """The squared maximum mean discrepancy of the features, unbiased for independent sets; it may be negative.

    The sums are over all n generated features x and all m reference features y, both ``[., d]``: there are no random
    subsets and hence no seed. The value is not multiplied by 1000, as it is in some papers.

    With the reference fixed, KID is the mean over pairs of generated images of a kernel h_ij. The standard error is
    that of this U-statistic (Hoeffding, 1948), including the second-order term, so it also holds where generated and
    reference images are alike. It is ``None`` for fewer than 4 images. Raises ``ValueError`` for fewer than 2.

    Values below 0 need care. The value is unbiased only on average over references as well; a single reference adds the
    same offset to all trials. Images that a denoiser has memorised are not independent of the reference: they score
    below 0, like images drawn from the reference itself, and there lower is not better.
    """

    version: ClassVar[int] = 2
    formula = r"""
        \frac{1}{n (n - 1)} \sum_{i \ne j} k(x_i, x_j) + \frac{1}{m (m - 1)} \sum_{i \ne j} k(y_i, y_j)
            - \frac{2}{n m} \sum_{i, j} k(x_i, y_j), \qquad k(x, y) = (x^\top y / d + 1)^3
    """
    sources = (BINKOWSKI_2018, HOEFFDING_1948)

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        return squared_mmd(generated, reference, Cubic())

    def drawn(self, reference: Sample, draws: Sequence[Draw]) -> list[float]:
        return mmd_of_draws(reference, draws, Cubic())


@dataclass(frozen=True)
class Cubic:
    """The polynomial kernel (x^T y / d + 1)^3."""

    def __call__(self, products: Tensor, x: Tensor, y: Tensor, d: int) -> Tensor:
        base = products.div_(d).add_(1)
        return (base * base).mul_(base)
