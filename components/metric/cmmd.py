from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from designspace.evaluation.measure import Draw, Measured, Sample
from designspace.evaluation.mmd import mmd_of_draws, squared_mmd
from designspace.evaluation.rows import Metric
from designspace.registry.component import Positive
from designspace.registry.literature import GRETTON_2012, HOEFFDING_1948, JAYASUMANA_2024

SCALE = 1000


class CMMD(Metric, name="cmmd"):
    r"""The squared maximum mean discrepancy with a Gaussian kernel, times 1000, as published for CLIP's embeddings.

    Features are divided by their length, as CLIP's embeddings are, unless ``normalised`` is false. Since features of
    length 1 are at most 2 apart, the published ``sigma`` of 10 then makes the kernel nearly linear in the squared
    distance: the value is close to :math:`1000\,|\bar x - \bar y|^2 / \sigma^2`, and differences of the spread hardly
    count. A ``sigma`` near 1 sees them.

    ``statistic`` is ``U`` for the unbiased estimate, which may be negative, or ``V`` for the published one, which
    counts the pairs of each image with itself. V is larger by about 1000 (1/n + 1/m) (1 - mean k), where k is averaged
    over pairs of different images.

    With the reference fixed, either is a mean over pairs of generated images. Its standard error is that of this
    U-statistic, as for ``kid``; it is ``None`` for fewer than 4 images. Raises ``ValueError`` for fewer than 2.
    """

    formula = r"""
        1000 \left( \mathbb E\, k(x, x') + \mathbb E\, k(y, y') - 2\, \mathbb E\, k(x, y) \right), \qquad
            k(x, y) = e^{-|x - y|^2 / (2 \sigma^2)}
    """
    sources = (JAYASUMANA_2024, GRETTON_2012, HOEFFDING_1948)
    sigma: Positive = 10.0
    statistic: Literal["U", "V"] = "U"
    normalised: bool = True

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        generated, reference = self._of(generated), self._of(reference)
        found = squared_mmd(generated, reference, Gaussian(self.sigma), diagonal=self._diagonal)
        assert found.influence is not None
        assert found.pairs is not None
        return replace(
            found,
            value=SCALE * found.value,
            se=None if found.se is None else SCALE * found.se,
            influence=SCALE * found.influence,
            pairs=SCALE * found.pairs,
        )

    def drawn(self, reference: Sample, draws: Sequence[Draw]) -> list[float]:
        found = mmd_of_draws(self._of(reference), draws, Gaussian(self.sigma), diagonal=self._diagonal)
        return [SCALE * value for value in found]

    @property
    def _diagonal(self) -> float | None:
        return 1.0 if self.statistic == "V" else None

    def _of(self, sample: Sample) -> Sample:
        return sample.once("unit length", partial(_unit, sample)) if self.normalised else sample


@dataclass(frozen=True)
class Gaussian:
    """The kernel exp(-|x - y|^2 / (2 sigma^2))."""

    sigma: float

    def __call__(self, products: Tensor, x: Tensor, y: Tensor, d: int) -> Tensor:
        squares = products.mul_(-2).add_(x).add_(y).clamp_(min=0)
        return squares.div_(-2 * self.sigma**2).exp_()


def _unit(sample: Sample) -> Sample:
    """The features divided by their lengths; a feature of length 0 stays 0."""
    tiny = torch.finfo(torch.float64).tiny
    return sample.derived("unit length", torch.nn.functional.normalize(sample.features.double(), eps=tiny))
