import math
from functools import cache
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from designspace.flow import Flow, combine
from designspace.multistep import History, levels, remember, weighted
from designspace.noise_levels import vp_betas, vp_sigma_inv
from designspace.quadrature import lagrange
from designspace.table1 import Solver


class DEIS(Solver, name="deis"):
    r"""DEIS-tAB: Adams-Bashforth with polynomials in the time of the VP schedule; one evaluation a step.

    .. math:: x_{i+1} = x_i + \sum_j e_{i-j} \int_{\sigma_i}^{\sigma_{i+1}} l_j(t(\sigma))\, d\sigma,
        \qquad e = (x - D) / \sigma

    with the Lagrange polynomials :math:`l_j` of the last ``order`` points (2 to 4) in t, the VP time fitted to the
    range of the noise levels, whatever the row schedule says; fewer points at the start. The integral is
    Gauss-Legendre's with 64 nodes in :math:`\ln\sigma`. The step to sigma = 0 returns D. Zhang and Chen (2022),
    https://arxiv.org/abs/2204.13902.
    """

    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    order: Annotated[int, Field(ge=2, le=4)] = 3

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: History | None) -> tuple[Tensor, History]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        history = remember(memory, sigma, (x - denoised) / sigma, self.order)
        if following == 0:
            return denoised, history
        weights = _weights(levels(history), following, self._betas(flow))
        return combine((1, x), *weighted(weights, history)), history

    def check(self, flow: Flow) -> None:
        if self._betas(flow)[0] <= 0:
            raise ValueError(
                f"solver deis: no VP time spans {flow.sigma[0]:.4g} down to {flow.sigma[-1]:.4g}; lower sigma_min"
            )

    def _betas(self, flow: Flow) -> tuple[float, float]:
        return vp_betas(flow.sigma[flow.num_steps - 1], flow.sigma[0])


def _weights(sigmas: list[float], following: float, betas: tuple[float, float]) -> list[float]:
    start, end = math.log(sigmas[0]), math.log(following)
    node, weight = _gauss()
    sigma = np.exp(start + (end - start) * (node + 1) / 2)
    t = vp_sigma_inv(torch.from_numpy(np.append(sigma, sigmas)), *betas).numpy()
    t = (t - t[64]) / (t[63] - t[64])  # the first point of the step at 0, its end near 1: well scaled
    dsigma = weight * sigma * (end - start) / 2
    return [float(np.sum(dsigma * polynomial(t[:64]))) for polynomial in lagrange(t[64:].tolist())]


@cache
def _gauss() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(64)
