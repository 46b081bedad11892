from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import TONG_2024
from designspace.sampling.probe import GivenLevels, MeasuredTimeSteps, Probe
from designspace.sampling.rows import TimeSteps
from designspace.sampling.sample import follow

STARTS = ("edm", "cosine", "logsnr")
"""The rules with the best of which the search begins."""
FIRST, SMALLEST = 0.4, 0.02
"""The first and the smallest move of a level, as a fraction of the way to its neighbour in ln sigma."""


class Fitted(MeasuredTimeSteps, name="fitted"):
    r"""Levels with which the solver ends nearest to the converged solution, found by a coordinate search.

    The error is the root mean square of the distance from the end point :math:`x^*` of the converged solution, over
    ``images`` images, as in the metric ``endpoint_error``. Where all images end in the same modes, levels can have the
    same error, to five digits; those with a smaller mean distance from the solution at all levels are then better. The
    search begins with the best of ``edm``, ``cosine`` and ``logsnr``. It moves one level after another a part of the
    way to its neighbours, and keeps what is better; when no move is, moves become half as large.

    ``sigma_max`` and ``sigma_min`` are fixed, since the error hardly depends on the last level, but the sharpness of
    images does. The solver must be deterministic and not adaptive; unlike the student of ``oss``, it may be a multistep
    method. The idea is that of Tong et al. (2024), who follow the gradient of a perceptual distance instead.

    The search takes at most ``runs`` runs of the solver, that is, ``runs`` times its evaluations per image, in addition
    to 1,025 of the converged solution.
    """

    formula = r"""
        \min_{\sigma_1, \dots, \sigma_{N-2}} \sqrt{\tfrac{1}{n d} \sum_k |x_k - x^*_k|^2}, \qquad
            \sigma_0 = \sigma_\max, \quad \sigma_{N-1} = \sigma_\min
    """
    sources = (TONG_2024,)
    uses = tuple(f"time_steps/{name}" for name in STARTS)
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0
    runs: Annotated[int, Field(ge=3, le=10_000)] = 200

    def start(self) -> TimeSteps:
        return self._rule("edm")

    def _rule(self, name: str) -> TimeSteps:
        return TimeSteps.get(name).model_validate({"sigma_min": self.sigma_min, "sigma_max": self.sigma_max})

    @torch.no_grad()
    def place(self, probe: Probe) -> Tensor:
        fitted = self.within(*probe.limits)
        starts = [fitted._rule(name).sigmas(probe.num_steps) for name in STARTS]
        for levels in starts:  # without rounding errors, so that one converged solution serves all
            levels[0], levels[-1] = fitted.sigma_max, fitted.sigma_min
        errors = [_error(probe, levels) for levels in starts]
        least = min(errors)
        best, left, part = starts[errors.index(least)], self.runs - len(starts), FIRST
        while part >= SMALLEST and left > 0:
            moved = False
            for i in range(1, len(best) - 1):
                for neighbour in (i - 1, i + 1):
                    if left == 0:
                        return best
                    tried = best.clone()
                    tried[i] = best[i] * (best[neighbour] / best[i]) ** part
                    left -= 1
                    if (error := _error(probe, tried)) < least:
                        best, least, moved = tried, error, True
                        break
            part = part if moved else part / 2
        return best


def _error(probe: Probe, levels: Tensor) -> tuple[float, float]:
    """The distance of the solver's end points from those of the converged solution, and the mean over all levels."""
    design = probe.design.with_time_steps(GivenLevels(levels=tuple(levels.tolist())))
    tried = replace(probe, design=design)
    exact, sigmas = tried.solution(), tried.flow.sigma
    states = zip(follow(design.solver, tried.flow, tried.latents), sigmas, strict=True)
    gaps = torch.stack([(x - exact.at(sigma)).square().mean().sqrt() for x, sigma in states])
    return float(f"{gaps[-1].item():.5g}"), gaps.mean().item()
