from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval
from pydantic import Field

from designspace.registry.literature import CUI_2023
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import DataMultistep, lagrange

NODE, WEIGHT = np.polynomial.legendre.leggauss(64)


class ERSDE(DataMultistep, name="er_sde"):
    r"""ER-SDE: the extended reverse-time SDE, solved by a multistep method; one evaluation per step.

    Here a is :math:`\sigma_i` and b is :math:`\sigma_{i+1}`. :math:`\tilde D` is the Taylor polynomial in sigma whose
    derivatives are those of the polynomial through the last ``order`` (1 to 3) evaluations of D. The step to sigma = 0
    returns D. Schedule and scaling have no effect. Cui et al. (2023), with the noise function that is the default of
    their code.
    """

    formula = r"""
        x_{i+1} = \tfrac{f(b)}{f(a)} x_i + f(b) \int_a^b \tilde D(u)\, d\tfrac{1}{f(u)}
            + \sqrt{b^2 - a^2 f(b)^2 / f(a)^2}\, z, \qquad f(\sigma) = \sigma (e^{\sigma^{0.3}} + 10)
    """
    sources = (CUI_2023,)
    stochastic: ClassVar[bool] = True
    order: Annotated[int, Field(ge=1, le=3)] = 3

    def order_at(self, flow: Flow, i: int) -> int:
        return self.order

    def weights(self, sigmas: Sequence[float], following: float) -> list[float]:
        # By parts: f(b) int l d(1/f) = l(b) - l(a) f(b) / f(a) - f(b) int l' / f du.
        start, step = sigmas[0], following - sigmas[0]
        u = (NODE + 1) / 2
        kernel = _f(following) / _f(start + step * u) * WEIGHT / 2
        basis = lagrange([(sigma - start) / step for sigma in sigmas])
        ratio = float(_f(following) / _f(start))
        return [sum(p) - p[0] * ratio - float(kernel @ polyval(u, polyder(p))) for p in basis]

    def split(self, sigma: float, following: float) -> tuple[float, float]:
        down = sigma * float(_f(following) / _f(sigma))
        return down, max(following**2 - down**2, 0.0) ** 0.5


def _f(sigma: np.ndarray | float) -> np.ndarray:
    return np.asarray(sigma * (np.exp(np.power(sigma, 0.3)) + 10))
