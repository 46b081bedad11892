from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from numpy.polynomial.polynomial import polyval
from pydantic import Field

from designspace.registry.literature import ZHANG_2022
from designspace.sampling.flow import Flow
from designspace.sampling.levels import vp_betas, vp_sigma_inv
from designspace.sampling.multistep import NoiseMultistep, lagrange

NODE, WEIGHT = np.polynomial.legendre.leggauss(64)


class DEIS(NoiseMultistep, name="deis"):
    r"""DEIS-tAB: Adams-Bashforth with polynomials in the time of the VP schedule; one evaluation per step.

    :math:`l_j` are the Lagrange polynomials through the last ``order`` levels (2 to 4), or fewer at the start. Their
    argument t is the time of a VP schedule that is fitted to the range of the noise levels, independently of the row
    schedule. The integrals are computed by Gauss-Legendre quadrature with 64 nodes in :math:`\ln\sigma`. The step to
    sigma = 0 returns D.
    """

    formula = r"""
        x_{i+1} = x_i + \sum_j e_{i-j} \int_{\sigma_i}^{\sigma_{i+1}} l_j(t(\sigma))\, d\sigma,
            \qquad e = (x - D) / \sigma
    """
    sources = (ZHANG_2022,)
    order: Annotated[int, Field(ge=2, le=4)] = 3

    def weights(self, flow: Flow, sigmas: Sequence[float], following: float) -> list[float]:
        start, step = np.log(sigmas[0]), np.log(following / sigmas[0])
        sigma = np.exp(start + step * (NODE + 1) / 2)
        t = vp_sigma_inv(torch.from_numpy(np.append(sigma, sigmas)), *self._betas(flow)).numpy()
        t = (t - t[64]) / (t[63] - t[64])  # from 0 at the start of the step to about 1 at its end, which is well scaled
        basis = polyval(t[:64], np.transpose(lagrange(t[64:].tolist())))
        integrals: list[float] = (basis @ (WEIGHT * sigma * step / 2)).tolist()
        return integrals

    def check(self, flow: Flow) -> None:
        if self._betas(flow)[0] <= 0:
            ends = f"{flow.sigma[0]:.4g} down to {flow.sigma[flow.num_steps - 1]:.4g}"
            raise ValueError(f"solver deis: no VP time spans {ends}; lower sigma_min")

    def _betas(self, flow: Flow) -> tuple[float, float]:
        return vp_betas(flow.sigma[flow.num_steps - 1], flow.sigma[0])
