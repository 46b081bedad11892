from typing import Literal

import numpy as np
import torch
from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import LEE_2024
from designspace.sampling.levels import BetaLevels, flow_time, ramp
from designspace.sampling.rows import TimeSteps


class Beta(BetaLevels, TimeSteps, name="beta"):
    r"""Quantiles of a beta distribution of time, which are dense at both ends if ``alpha`` and ``beta`` are below 1.

    ``over`` says what time is. With ``index``, it is the index of the levels on which a network is trained, as in Lee
    et al. (2024) and in ComfyUI: ``schedule``, ``M``, ``beta_1`` and the like define these levels as in ``ddpm``, and
    only those between ``sigma_min`` and ``sigma_max`` are used; below, M is their number, and N is at most M. Indices
    are rounded. If two are then equal, which ComfyUI omits, the second one moves to the next level.

    With ``flow_time``, it is the time t of flow matching between those of ``sigma_max`` and ``sigma_min``, and the
    fields of the trained levels have no effect: :math:`\sigma = t / (1 - t)`. This is ``use_beta_sigmas`` of diffusers
    for schedulers of flow matching. For other schedulers, diffusers takes quantiles in sigma itself, which leaves
    nearly no levels below 20; they are not provided here.
    """

    formula = r"""
        \mathrm{index:}\ \sigma_i = u_{j_i}, \quad j_i = M - 1 - \lfloor F^{-1}(1 - \tfrac{i}{N}) (M - 1) \rceil, \qquad
            \mathrm{flow\_time:}\ t_i = t_\min + F^{-1}(1 - \tfrac{i}{N-1}) (t_\max - t_\min), \quad i < N
    """
    sources = (LEE_2024,)
    over: Literal["index", "flow_time"] = "index"
    alpha: Positive = 0.6
    beta: Positive = 0.6
    sigma_min: Positive = 0.001
    sigma_max: Positive = 4096.0

    def sigmas(self, n: int) -> Tensor:
        if self.over == "flow_time":
            low, high = flow_time(self.sigma_min), flow_time(self.sigma_max)
            t = low + self._quantiles(1 - ramp(n)) * (high - low)
            return t / (1 - t)
        u = self.within_range(self.sigma_min, self.sigma_max)
        i, last = (ramp(n) * (n - 1)).round(), len(u) - 1
        if n > len(u):
            raise ValueError(f"time_steps beta: {n} steps, but its grid has only {len(u)} levels")
        indices = last - (self._quantiles(1 - i / n) * last).round()
        distinct = (indices - i).cummax(0).values.clamp(max=len(u) - n) + i
        return u[distinct.long()]

    def _quantiles(self, q: Tensor) -> Tensor:
        from scipy.special import betaincinv  # imported here, because it takes 0.2 s

        return torch.from_numpy(np.asarray(betaincinv(self.alpha, self.beta, q.numpy())))
