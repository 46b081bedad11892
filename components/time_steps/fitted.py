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
    ``images`` images, as in the metric ``endpoint_error``. The search begins with the best of ``edm``, ``cosine`` and
    ``logsnr`` and moves one level after another a part of the way to its neighbours, if this lowers the error; when no
    move does, moves become half as large. ``sigma_max`` and ``sigma_min`` are fixed: the error hardly depends on the
    last level, but the sharpness of images does. The solver must be deterministic and not adaptive; unlike in ``oss``,
    it may be a multistep method. The idea is that of Tong et al. (2024), who follow the gradient of a perceptual
    distance instead.

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


def _error(probe: Probe, levels: Tensor) -> float:
    """The root mean square distance of the solver's end points from those of the converged solution."""
    design = probe.design.with_time_steps(GivenLevels(levels=tuple(levels.tolist())))
    tried = replace(probe, design=design)
    for x in follow(design.solver, tried.flow, tried.latents):  # noqa: B007
        pass
    return float((x - tried.solution().at(tried.flow.sigma[-1])).square().mean().sqrt())
