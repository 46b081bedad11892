r"""The converged solution of the probability flow, against which the few steps of a design are measured.

With sigma as time, Eq. 4 of Karras et al. (2022), https://arxiv.org/abs/2206.00364, is
:math:`dx / d\ln\sigma = x - D(x; \sigma)` for the unscaled sample, whatever the schedule and the scaling are.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import UserDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar

import torch
from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema
from torch import Tensor

from designspace.registry.calling import calling, require_tensor
from designspace.registry.component import Component, Count
from designspace.registry.identity import Since
from designspace.registry.known import ROWS
from designspace.sampling import rows
from designspace.sampling.counted import Calling
from designspace.sampling.flow import Flow, make_flow
from designspace.sampling.levels import interpolated
from designspace.sampling.rows import TimeSteps
from designspace.sampling.solver import SamplingRows, take_step

STEPS = 256
"""The number of steps of the classical Runge-Kutta method, at four evaluations each."""
LOWEST = 2e-4
"""The noise level at which a solution to sigma = 0 stops, if the denoiser supports it; D there is the end point."""
RHO = 7.0
"""The steps are uniform in sigma^(1 / rho), like those of the EDM paper."""


@dataclass(frozen=True, eq=False)
class Converged:
    """The trajectories of some images from their latents, at the decreasing levels ``sigma`` ``[L + 1]``."""

    sigma: Tensor
    x: Tensor
    """The unscaled samples, ``[L + 1, B, ...]``."""
    denoised: Tensor
    """D(x; sigma) at each level, ``[L + 1, B, ...]``."""

    @property
    def nfe(self) -> int:
        """The evaluations per image that it takes."""
        return 4 * (len(self.sigma) - 1) + 1

    @classmethod
    def of(cls, D: rows.D, latents: Tensor, sigma_max: float, sigma_min: float, steps: int = STEPS) -> Converged:
        """Follow the flow from ``latents`` times ``sigma_max`` down to ``sigma_min`` by RK4 in ln sigma."""
        ends = torch.tensor([sigma_max, sigma_min], dtype=torch.float64) ** (1 / RHO)
        sigma = torch.lerp(ends[0], ends[1], torch.linspace(0, 1, steps + 1, dtype=torch.float64)) ** RHO
        x = latents * sigma[0].item()
        path, denoised = [x], [D(x, sigma[0])]
        for a, b in sigma.unfold(0, 2, 1).log().tolist():
            path.append(_rk4(D, path[-1], denoised[-1], a, b))
            denoised.append(D(path[-1], torch.tensor(b, dtype=torch.float64).exp()))
        return cls(sigma, torch.stack(path), torch.stack(denoised))

    def at(self, sigma: float) -> Tensor:
        """The samples at any level of the range, by cubic Hermite interpolation in ln sigma; at 0, the last D."""
        if sigma == 0:
            return self.denoised[-1]
        level = torch.tensor(sigma, dtype=torch.float64)
        i = int((self.sigma > level).sum().clamp(1, len(self.sigma) - 1)) - 1
        a, b = self.sigma[i : i + 2].log().tolist()
        h, u = b - a, (level.log().item() - a) / (b - a)
        slopes = [h * (self.x[k] - self.denoised[k]) for k in (i, i + 1)]
        # The Hermite basis for the values and the slopes at both ends.
        value, slope, last = (1 + 2 * u) * (1 - u) ** 2, u * (1 - u) ** 2, u**2 * (u - 1)
        found: Tensor = value * self.x[i] + slope * slopes[0] + (1 - value) * self.x[i + 1] + last * slopes[1]
        return found


class Solutions(UserDict[tuple[float, float, float, int], Converged]):
    """Converged solutions for the same images, by the standard deviation of the start, both end levels and the steps.

    ``asked`` has the keys of those that were used.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[tuple[float, float, float, int]] = set()

    def __getitem__(self, key: tuple[float, float, float, int]) -> Converged:
        self.asked.add(key)
        return super().__getitem__(key)


@dataclass(frozen=True, eq=False)
class Probe:
    """A design, a denoiser and a few images, on which the steps of the design are measured."""

    design: SamplingRows
    D: rows.D
    """The denoiser, bound to the labels of the images."""
    latents: Tensor
    """The latents of the images, float64 ``[B, ...]``."""
    num_steps: int
    solutions: Solutions = field(default_factory=Solutions)
    """Solutions for the same images that were computed before."""

    @cached_property
    def flow(self) -> Flow:
        """The flow through the levels of the design."""
        flow = make_flow(self.design, self.D, self.num_steps, lambda step, draw: torch.zeros_like(self.latents))
        with calling(self.design.solver, may_refuse=True):
            self.design.solver.check(flow)
        return flow

    @torch.no_grad()
    def solution(self, steps: int = STEPS) -> Converged:
        """The solution to which the design would converge with more steps, computed by ``steps`` steps of RK4."""
        ends, spread = self.ends(), self.flow.spread
        key = (spread, *ends, steps)
        if key not in self.solutions:
            start = self.latents * (spread / ends[0])  # a factor of exactly 1 unless the design starts at unit noise
            self.solutions[key] = Converged.of(self.D, start, *ends, steps)
        return self.solutions[key]

    @property
    def limits(self) -> tuple[float, float]:
        """The noise levels that the denoiser supports."""
        return float(getattr(self.D, "sigma_min", 0.0)), float(getattr(self.D, "sigma_max", math.inf))

    def ends(self) -> tuple[float, float]:
        """The noise levels at which the solution begins and ends."""
        levels = self.flow.sigma
        if levels[-1] > 0:
            return levels[0], levels[-1]
        return levels[0], min(max(self.limits[0], LOWEST), levels[-2])

    @torch.no_grad()
    def local_errors(self) -> Tensor:
        """The root mean square error of each step that begins on the converged solution, ``[steps, B]``.

        The history of a multistep solver then lies on the solution as well. For a solver that corrects a step in the
        next one, such as UniPC, it is the error of the prediction.
        """
        exact, levels = self.solution(), self.flow.sigma
        return torch.stack([rms(x - exact.at(sigma)) for x, sigma in zip(self.steps(), levels[1:], strict=True)])

    def steps(self) -> Iterator[Tensor]:
        """The end of each step of the solver that begins on the converged solution."""
        exact, memory = self.solution(), None
        for i, sigma in enumerate(self.flow.sigma[:-1]):
            x, memory = take_step(self.design.solver, self.flow, exact.at(sigma), i, sigma, memory)
            yield x


def _denoiser(value: Any, info: ValidationInfo) -> Any:
    return None if value is None else ROWS["denoiser"].model_validate(value, context=info.context)


class MeasuredTimeSteps(TimeSteps):
    """Levels that depend on the solver and the denoiser. ``place`` finds them before sampling begins."""

    follows_solver: ClassVar[bool] = True
    """Whether ``place`` takes steps of the solver of the design, which then has to be deterministic."""
    images: Count = 32
    """The number of images on which the levels are measured, independently of those that are sampled."""
    denoiser: Annotated[
        Component | None,
        BeforeValidator(_denoiser),
        WithJsonSchema({"anyOf": [{"type": kind} for kind in ("string", "object", "null")]}),
        Since(None),
    ] = None
    """The denoiser on which the levels are measured, without guidance; by default that of the trial, with guidance."""

    @abstractmethod
    def start(self) -> TimeSteps:
        """The rule whose levels the search begins with."""

    def sigmas(self, n: int) -> Tensor:
        """The levels that the search begins with."""
        return self.start().sigmas(n)

    @abstractmethod
    def place(self, probe: Probe) -> Tensor:
        """The levels for the design, the denoiser and the images of ``probe``, float64 ``[N]``."""


def placed(rule: MeasuredTimeSteps, probe: Probe) -> tuple[Tensor, int | float]:
    """The levels that ``rule.place`` finds, and the calls of networks per image that this takes.

    Those of guidance count, too, and so does a solution that ``probe`` knows already. Raises ``BrokenRowError`` unless
    ``place`` returns ``[N]`` floating-point numbers.
    """
    known, D = dict(probe.solutions), Calling(probe.D)
    probe.solutions.asked.clear()
    with calling(rule):
        found = rule.place(replace(probe, D=D))
    levels = require_tensor(rule, "the result of place", found, (probe.num_steps,))
    return levels, D.number + sum(known[key].nfe for key in probe.solutions.asked & known.keys())


class GivenLevels(TimeSteps):
    """Levels that ``MeasuredTimeSteps`` found. Only the framework creates it; it is not a registered component."""

    name: ClassVar[str] = "given"
    levels: tuple[float, ...]

    def sigmas(self, n: int) -> Tensor:
        """The levels, interpolated in ln sigma if there are not exactly ``n``."""
        return interpolated(torch.tensor(self.levels, dtype=torch.float64), n)


def rms(x: Tensor) -> Tensor:
    """The root mean square of the values of each image, ``[B, ...]`` to ``[B]``, on the CPU."""
    return x.flatten(1).square().mean(1).sqrt().double().cpu()


def _rk4(D: rows.D, x: Tensor, denoised: Tensor, a: float, b: float) -> Tensor:
    def slope(x: Tensor, level: float) -> Tensor:
        return x - D(x, torch.tensor(level, dtype=torch.float64).exp())

    h, first = b - a, x - denoised
    second = slope(x + h / 2 * first, a + h / 2)
    third = slope(x + h / 2 * second, a + h / 2)
    return x + h / 6 * (first + 2 * second + 2 * third + slope(x + h * third, b))
