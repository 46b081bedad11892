from torch import Tensor

from designspace.registry.component import Fraction, Positive
from designspace.registry.literature import ZHANG_2022
from designspace.sampling.levels import VP_EPSILON_S, ramp, vp_betas, vp_sigma
from designspace.sampling.rows import TimeSteps


class VPPower(TimeSteps, name="vp_power"):
    r"""Uniform in a power of the time of a VP schedule that is fitted to the range.

    :math:`\sigma_\mathrm{VP}(t) = \sqrt{e^{\frac12 \beta_d t^2 + \beta_\min t} - 1}`, with betas such that
    :math:`\sigma_\mathrm{VP}(\epsilon_s) = \sigma_\min` and :math:`\sigma_\mathrm{VP}(1) = \sigma_\max`. ``rho`` = 1 is
    uniform in time; 2 places more levels at low noise. Zhang and Chen (2022), Section 4 (Ingredient 4).
    """

    formula = r"""
        \sigma_i = \sigma_\mathrm{VP}(t_i), \qquad
            t_i = \left(1 + \tfrac{i}{N-1} (\epsilon_s^{1/\rho} - 1)\right)^\rho, \quad i < N
    """
    sources = (ZHANG_2022,)
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0
    rho: Positive = 2.0
    epsilon_s: Fraction = VP_EPSILON_S

    def sigmas(self, n: int) -> Tensor:
        t = (1 + ramp(n) * (self.epsilon_s ** (1 / self.rho) - 1)) ** self.rho
        return vp_sigma(t, *vp_betas(self.sigma_min, self.sigma_max, self.epsilon_s))
