from typing import Self

import torch
from torch import Tensor

from designspace.registry.component import Finite, Fraction, Positive
from designspace.registry.literature import KARRAS_2022, SONG_2021
from designspace.sampling.levels import VP_EPSILON_S, ramp, vp_betas, vp_sigma
from designspace.sampling.rows import TimeSteps


class VP(TimeSteps, name="vp"):
    r"""Uniform in the time of the VP schedule.

    :math:`\sigma_\mathrm{VP}(t) = \sqrt{e^{\frac12 \beta_d t^2 + \beta_\min t} - 1}`. The default levels are from
    0.0105 to 152.2. Song et al. (2021); Karras et al. (2022), Table 1.
    """

    formula = r"\sigma_i = \sigma_\mathrm{VP}\!\left(1 + \tfrac{i}{N-1} (\epsilon_s - 1)\right), \quad i < N"
    sources = (SONG_2021, KARRAS_2022)
    beta_d: Positive = 19.9
    beta_min: Finite = 0.1
    epsilon_s: Fraction = VP_EPSILON_S

    def sigmas(self, n: int) -> Tensor:
        return vp_sigma(1 + ramp(n) * (self.epsilon_s - 1), self.beta_d, self.beta_min)

    def within(self, lo: float, hi: float) -> Self:
        """The same rule, with betas fitted to the part of its range in ``[lo, hi]``, as in the sampler of the paper.

        Raises ``ValueError`` if no VP curve spans this part.
        """
        ends = vp_sigma(torch.tensor([self.epsilon_s, 1.0], dtype=torch.float64), self.beta_d, self.beta_min).tolist()
        low, high = self.common(ends[0], ends[1], lo, hi)
        if low <= ends[0] * (1 + 1e-9) and high >= ends[1] * (1 - 1e-9):
            return self
        beta_d, beta_min = vp_betas(low, high, self.epsilon_s)
        if beta_d <= 0:
            text = "the part of its range that the denoiser supports"
            raise ValueError(f"time_steps {self}: no VP curve spans {low:.4g} to {high:.4g}, {text}")
        return self.model_validate({**dict(self), "beta_d": beta_d, "beta_min": beta_min})
