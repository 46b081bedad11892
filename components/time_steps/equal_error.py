from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import DEBOOR_1973, KARRAS_2022
from designspace.sampling.probe import GivenLevels, MeasuredTimeSteps, Probe
from designspace.sampling.rows import TimeSteps

ROUNDS, EVEN = 30, 1.02
"""The largest number of rounds, and the ratio of the largest to the smallest error at which the search ends."""
NEGLIGIBLE = 1e-3
"""Smaller errors, relative to the largest one, count as this much; otherwise steps would grow without limit."""

ACCURACY = 1e-6
"""The accuracy of the converged solution, relative to the noise level; smaller errors cannot be measured."""


class EqualError(MeasuredTimeSteps, name="equal_error"):
    r"""Levels between which every step of the solver makes the same error.

    Here x* is the converged solution for ``images`` images with the actual denoiser. The search begins with the levels
    of ``edm`` on the same range. Each round spreads the sum of :math:`\tau^{1/4}` evenly over the steps, until the
    errors differ by at most 2 %. ``sigma_max``, ``sigma_min`` and the step to zero are fixed. Where steps make no
    error, few levels are placed. The solver must be deterministic and not adaptive. Equidistribution is due to de Boor
    (1973); Karras et al. (2022), Appendix D.1, show the local error as a function of sigma.
    """

    formula = r"""
        \tau_0 = \tau_1 = \dots = \tau_{N-2}, \qquad
            \tau_i^2 = \tfrac{1}{n d} \sum_k |x_{k,i+1} - x^*_k(\sigma_{i+1})|^2, \quad x_{k,i} = x^*_k(\sigma_i)
    """
    sources = (DEBOOR_1973, KARRAS_2022)
    uses = ("time_steps/edm",)
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0

    def start(self) -> TimeSteps:
        return TimeSteps.get("edm").model_validate({"sigma_min": self.sigma_min, "sigma_max": self.sigma_max})

    def place(self, probe: Probe) -> Tensor:
        levels = best = self.within(*probe.limits).sigmas(probe.num_steps)
        least = np.inf
        for _ in range(ROUNDS):
            errors = self._errors(probe, levels)
            if (spread := errors.max() / errors.min()) < least:
                best, least = levels, spread
            if spread < EVEN:
                break
            levels = _spread_evenly(levels, errors)
        return best

    def _errors(self, probe: Probe, levels: Tensor) -> np.ndarray:
        design = probe.design.with_time_steps(GivenLevels(levels=tuple(levels.tolist())))
        steps = replace(probe, design=design).local_errors()[: len(levels) - 1]
        errors = steps.square().mean(1).sqrt().numpy()
        known = ACCURACY * levels[:-1].numpy()
        return np.maximum(errors, NEGLIGIBLE * errors.max()) if (errors > known).any() else np.ones_like(errors)


def _spread_evenly(levels: Tensor, errors: np.ndarray) -> Tensor:
    """Levels with the same ends and an equal share of the sum of errors^(1/4) in each step.

    The power of 1/4 makes the rounds converge for solvers of any order up to 6.
    """
    total = np.concatenate([[0.0], np.cumsum(errors**0.25)])
    even = np.interp(np.linspace(0, total[-1], len(levels)), total, levels.log().numpy())
    inner = torch.from_numpy(np.exp(even[1:-1]))
    return torch.cat([levels[:1], inner, levels[-1:]])
