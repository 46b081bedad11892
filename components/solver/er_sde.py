from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from torch import Tensor

from designspace.flow import Flow, combine
from designspace.multistep import History, levels, remember, weighted
from designspace.quadrature import lagrange
from designspace.table1 import Solver

NODE, WEIGHT = np.polynomial.legendre.leggauss(64)


class ERSDE(Solver, name="er_sde"):
    r"""Extended reverse-time SDE of order ``order`` (1 to 3): one evaluation a step.

    .. math:: x_{i+1} = \tfrac{f(b)}{f(a)} x_i + f(b) \int_a^b \tilde D(u)\, d\tfrac{1}{f(u)}
        + \sqrt{b^2 - a^2 f(b)^2 / f(a)^2}\, z, \qquad f(\sigma) = \sigma (e^{\sigma^{0.3}} + 10)

    with a = :math:`\sigma_i`, b = :math:`\sigma_{i+1}` and the Taylor polynomial :math:`\tilde D` in sigma whose
    derivatives are those of the parabola (line, constant) through the last evaluations of D. The step to sigma = 0
    returns D; schedule and scaling do not matter. Cui et al. (2023), https://arxiv.org/abs/2309.06169, the default
    of its code.
    """

    stochastic: ClassVar[bool] = True
    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    order: Annotated[int, Field(ge=1, le=3)] = 3

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: History | None) -> tuple[Tensor, History]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        history = remember(memory, sigma, denoised, self.order)
        if following == 0:
            return denoised, history
        ratio = float(_f(following) / _f(sigma))
        x = combine((ratio, x), *weighted(_weights(levels(history), following), history))
        up = max(following**2 - (sigma * ratio) ** 2, 0.0) ** 0.5
        return (x.add_(flow.noise(i, 0), alpha=up) if up > 0 else x), history


def _f(sigma: np.ndarray | float) -> np.ndarray:
    return np.asarray(sigma * (np.exp(np.power(sigma, 0.3)) + 10))


def _weights(sigmas: list[float], following: float) -> list[float]:
    r"""By parts: :math:`f(b) \int_a^b l\, d(1/f) = l(b) - l(a) f(b)/f(a) - f(b) \int_a^b l' / f\, du`."""
    start, step = sigmas[0], following - sigmas[0]
    u = (NODE + 1) / 2
    kernel = _f(following) / _f(start + step * u) * WEIGHT / 2
    scaled = lagrange([(sigma - start) / step for sigma in sigmas])
    ratio = _f(following) / _f(start)
    return [float(p(1.0) - p(0.0) * ratio - np.sum(kernel * p.deriv()(u))) for p in scaled]
