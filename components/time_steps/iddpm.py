from torch import Tensor

from designspace.registry.component import Count, Positive
from designspace.registry.literature import KARRAS_2022, NICHOL_2021
from designspace.sampling.levels import iddpm_levels, pick
from designspace.sampling.rows import TimeSteps


class IDDPM(TimeSteps, name="iddpm"):
    r"""Evenly spaced among the noise levels on which an iDDPM network is trained.

    :math:`\bar\alpha_j = \sin^2(\frac\pi2 \frac{j}{M(C_2+1)})`. In place of :math:`j_0`, only the levels between
    ``sigma_min`` and ``sigma_max`` are used; 0.002 to 81 leaves 992 of 1000, which is :math:`j_0 = 8`. N is at most
    their number. Nichol and Dhariwal (2021); Karras et al. (2022), Table 1.
    """

    formula = r"""
        \sigma_i = u_{\lfloor j_0 + \frac{M-1-j_0}{N-1} i + \frac12 \rfloor}, \qquad
            u_M = 0, \quad u_{j-1} = \sqrt{\frac{u_j^2 + 1}{\max(\bar\alpha_{j-1}/\bar\alpha_j, C_1)} - 1}
    """
    sources = (NICHOL_2021, KARRAS_2022)
    M: Count = 1000
    C_1: Positive = 0.001
    C_2: Positive = 0.008
    sigma_min: Positive = 0.002
    sigma_max: Positive = 81.0

    def sigmas(self, n: int) -> Tensor:
        u = iddpm_levels(self.M, self.C_1, self.C_2)
        return pick(u[(self.sigma_min <= u) & (u <= self.sigma_max)], n, self.name)
