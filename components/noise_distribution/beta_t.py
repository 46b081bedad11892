from typing import Annotated

import torch
from pydantic import Field
from scipy.special import betaincinv, betaln
from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import BLACK_2024
from designspace.training.rows import NoiseDistribution


class BetaT(NoiseDistribution, name="beta_t"):
    r"""The time of flow matching from a beta distribution, by default with a preference for high noise.

    With :math:`t = \sigma / (1 + \sigma)`, x is distributed as Beta(a, b). Times below ``t_min``, that is, levels below
    :math:`t_\min / (1 - t_\min)`, are not drawn. With b = 1, one level in a thousand is above 1500. The defaults are
    those of :math:`\pi_0`, which counts time from the noise to the signal. Black et al. (2024).
    """

    formula = r"""
        \sigma = t / (1 - t), \quad t = t_\min + (1 - t_\min)\, x, \quad x = I^{-1}_u(a, b), \quad 0 < u < 1
    """
    sources = (BLACK_2024,)
    a: Positive = 1.5
    b: Positive = 1.0
    t_min: Annotated[float, Field(ge=0, lt=1)] = 0.001

    def from_uniform(self, u: Tensor) -> Tensor:
        x = torch.as_tensor(betaincinv(self.a, self.b, u.numpy()))
        rest = torch.as_tensor(betaincinv(self.b, self.a, (1 - u).numpy()))  # 1 - x, also near x = 1
        return (self.t_min + (1 - self.t_min) * x) / ((1 - self.t_min) * rest)

    def density(self, sigma: Tensor) -> Tensor:
        t, rest = sigma / (1 + sigma), 1 / ((1 + sigma) * (1 - self.t_min))
        x = (t - self.t_min) / (1 - self.t_min)
        log = (self.a - 1) * x.log() + self.b * rest.log() - float(betaln(self.a, self.b))
        return t * log.exp()
