from torch import Tensor

from designspace.registry.component import Count, Fraction, Positive
from designspace.registry.literature import HO_2020
from designspace.sampling.levels import ddpm_levels, pick
from designspace.sampling.rows import TimeSteps


class DDPM(TimeSteps, name="ddpm"):
    r"""Evenly spaced among the noise levels on which a DDPM network is trained.

    :math:`\beta_s` is linear from ``beta_1`` to ``beta_M``, which gives levels from 0.0100 to 157.4. Only the levels
    between ``sigma_min`` and ``sigma_max`` are used, by default all 1000, and N is at most their number. The column is
    derived from Ho et al. (2020); it is not in Table 1 of the EDM paper.
    """

    formula = r"""
        \sigma_i = u_{\lfloor \frac{M-1}{N-1} i + \frac12 \rfloor}, \qquad
            u_j = \sqrt{(1 - \bar\alpha_{M-j}) / \bar\alpha_{M-j}}, \quad \bar\alpha_t = \prod_{s \le t} (1 - \beta_s)
    """
    sources = (HO_2020,)
    M: Count = 1000
    beta_1: Fraction = 1e-4
    beta_M: Fraction = 0.02
    sigma_min: Positive = 0.01
    sigma_max: Positive = 158.0

    def sigmas(self, n: int) -> Tensor:
        u = ddpm_levels(self.M, self.beta_1, self.beta_M)
        return pick(u[(self.sigma_min <= u) & (u <= self.sigma_max)], n, self.name)
