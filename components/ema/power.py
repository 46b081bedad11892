import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

from pydantic import Field
from torch import Tensor

from designspace.registry.literature import KARRAS_2024
from designspace.training.averages import exponent, fit
from designspace.training.rows import EMA


class Power(EMA, name="power"):
    r"""Power-function weights of the relative width ``std``, which is chosen after training.

    The average after t images weights the parameters after :math:`\tau` images in proportion to :math:`\tau^\gamma`.
    ``std`` (s) is the standard deviation of these weights over :math:`\tau / t`; it determines :math:`\gamma`.

    Training does not depend on ``std``. It tracks the averages of the widths 0.05 and 0.1 and keeps snapshots of both.
    Afterwards, the average of any width is a sum of these snapshots, whose coefficients are a least-squares fit in
    float64 of its weights. An axis ``denoiser.ema.std: [0.02, 0.05, 0.1, 0.2]`` therefore trains only once.

    The snapshots are 1/128 to 1/64 of the training apart at its end, and further apart before. There are never more
    than 18, so that the training state takes 41 times the memory of the parameters, instead of 4 times. From 200 steps
    on, the error of the weights, relative to their root mean square, is below 0.011 for widths from 0.02 to 0.1, and
    below 0.08 up to 0.2. Loading a spec causes a warning if it exceeds 0.1. Karras et al. (2024), Section 3.
    """

    formula = r"""
        \hat\theta(t) = \frac{\gamma + 1}{t^{\gamma + 1}} \int_0^t \tau^\gamma\, \theta(\tau)\, \mathrm d\tau, \quad
            s^2 = \frac{\gamma + 1}{(\gamma + 2)^2 (\gamma + 3)}
    """
    sources = (KARRAS_2024,)
    std: Annotated[float, Field(gt=0, lt=0.28)] = 0.1
    TRACKED: ClassVar[tuple[float, ...]] = (0.05, 0.1)
    """The widths of the averages that training tracks."""

    def decay(self, images: int, batch_size: int) -> float:
        return float((images / (images + batch_size)) ** (exponent(self.std) + 1))

    def tracked(self) -> tuple[Self, ...]:
        return tuple(type(self)(std=std) for std in self.TRACKED)

    def kept(self, step: int) -> tuple[int, ...]:
        """The last 6 multiples of h, 2 h, 4 h, ..., where h is a power of 2 between 1/128 and 1/64 of ``step``."""
        spacing, found = 2 ** max(0, math.floor(math.log2(max(step, 1) / 64))), set[int]()
        while spacing <= step:
            last = step // spacing
            found |= {k * spacing for k in range(max(1, last - 5), last + 1)}
            spacing *= 2
        return tuple(sorted(found))

    def weights(self, steps: Sequence[int]) -> Tensor:
        return self._fit(steps)[0]

    def error(self, steps: Sequence[int]) -> float:
        return self._fit(steps)[1]

    def _fit(self, steps: Sequence[int]) -> tuple[Tensor, float]:
        return fit(self.std, self.TRACKED, tuple(steps))

    @property
    def tag(self) -> str:
        return f"-std{self.std:g}"
