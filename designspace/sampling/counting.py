"""How many evaluations a number of steps costs, and how many steps a budget allows, found by counting."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from designspace.errors import BrokenRowError, RowError
from designspace.registry.isolation import settings_kept
from designspace.sampling import rows
from designspace.sampling.flow import Lift
from designspace.sampling.probe import MeasuredTimeSteps, Probe, placed
from designspace.sampling.rows import SupportedLevels
from designspace.sampling.sample import fall_together, follow, prepare
from designspace.sampling.solver import SamplingRows

BEYOND = 4
"""How many larger numbers of steps are tried, at least, once one is found that costs too much."""


class Half:
    """The denoiser D = x / 2; with ``known``, only at the noise levels that a network supports."""

    def __init__(self, known: SupportedLevels | None) -> None:
        if known:
            self.sigma_min, self.sigma_max = known.limits()
            self.round_sigma = known.round_sigma

        self.c_skip = self.c_in = torch.zeros_like
        self.c_out = torch.ones_like

    def bind(self, labels: Tensor | None) -> rows.D:
        """The same function for any labels."""
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return (1,)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return x / 2


def most_within(count: Callable[[int], float], nfe: int, who: str, guidance_cost: float = 1) -> int:
    """The largest number of steps for which ``count`` is at most ``nfe``.

    A count need not grow with the number of steps: with one step more, the evaluations at which guidance applies may be
    fewer. If each of them counts ``guidance_cost``, so many more steps may cost less. The result is the largest number
    if ``count`` does not return to ``nfe`` after ``BEYOND + 2 * guidance_cost`` steps above it.

    Raises ``ValueError``, with a message that begins with ``who``, if there is none.
    """
    low = _fewest(count, nfe + 1)
    if (least := count(low)) > nfe:
        raise ValueError(f"{who} needs at least {least:.10g} evaluations, not {nfe}")
    most = nfe + 2  # n levels cost at least n - 1 evaluations, as the last one may cost none
    high = most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _works(count, middle, nfe) else (low, middle)
    beyond = range(min(low + BEYOND + math.ceil(2 * guidance_cost), most - 1), low, -1)
    return next((num_steps for num_steps in beyond if _works(count, num_steps, nfe)), low)


def _fewest(count: Callable[[int], float], most: int) -> int:
    """The smallest number of steps that runs. If there is none, raises the ``ValueError`` that two steps raise."""
    for num_steps in range(2, most + 1):
        if _works(count, num_steps):
            return num_steps
    count(2)
    return 2


def _works(count: Callable[[int], float], num_steps: int, nfe: float = math.inf) -> bool:
    """Whether a run with ``num_steps`` steps is possible and costs at most ``nfe`` evaluations.

    Raises the error of a row that is broken, and that of a schedule, which would occur with any number of steps.
    """
    try:
        return count(num_steps) <= nfe
    except ValueError as error:
        if isinstance(error, BrokenRowError) or (isinstance(error, RowError) and error.row == "schedule"):
            raise
        return False  # too few steps for the solver, or more than the grid has levels


class Cost(NamedTuple):
    """The evaluations per image that a number of steps costs."""

    nfe: int | float
    guidance: int | float = 0
    """Those that guidance adds."""
    idle: str = ""
    """Which part of them moves nothing, because levels fall together; empty if all of them are of use."""
    lifts: tuple[Lift, ...] | None = None
    """The noise that stochasticity adds; empty if it adds none, ``None`` if the levels have to be measured."""

    def total(self, guidance_cost: int | float = 1) -> int | float:
        """All evaluations, where one that guidance adds counts ``guidance_cost``."""
        return self.nfe + self.guidance * guidance_cost


def cost(
    design: SamplingRows,
    num_steps: int,
    known: SupportedLevels | None = None,
    guided: Callable[[Half], rows.D] | None = None,
) -> Cost:
    """The evaluations that ``num_steps`` steps cost, counted on a one-element latent with a simple D.

    With ``known``, D limits and rounds noise levels as a denoiser with the row c_noise does; ``guided`` adds guidance
    to D. Raises ``ValueError`` if the design cannot run with this number of steps.
    """
    one, rule = torch.ones(1, 1, dtype=torch.float64), design.time_steps
    if isinstance(rule, MeasuredTimeSteps):  # the number of evaluations does not depend on where the levels lie
        design = design.with_time_steps(rule.start())
    with settings_kept():
        D = Half(known)
        flow = prepare(design, guided(D) if guided else D, num_steps, lambda step, draw: one)
        deque(follow(design.solver, flow, one), maxlen=0)
    known_levels = not isinstance(rule, MeasuredTimeSteps)
    idle = fall_together(flow, known) if flow.D.idle and known_levels else ""
    lifts = flow.lifts if any(lift.std for lift in flow.lifts) else ()
    return Cost(flow.D.main.mean(), flow.D.guidance.mean(), idle, lifts if known_levels else None)


def noise_order(design: SamplingRows, num_steps: int, known: SupportedLevels | None = None) -> list[tuple[int, int]]:
    """The (step, draw) of all noise that a run adds, in order, found as in ``cost``; empty for an adaptive solver."""
    if design.solver.adaptive or not (design.solver.stochastic or design.stochasticity.noisy):
        return []
    one, asked = torch.ones(1, 1, dtype=torch.float64), list[tuple[int, int]]()

    def noise(step: int, draw: int) -> Tensor:
        asked.append((step, draw))
        return one

    with settings_kept():
        flow = prepare(design, Half(known), num_steps, noise)
        deque(follow(design.solver, flow, one), maxlen=0)
    return asked


def search_nfe(
    design: SamplingRows,
    num_steps: int,
    known: SupportedLevels | None = None,
    guided: Callable[[Half], rows.D] | None = None,
) -> int | float:
    """The calls of networks per image that the search for measured time steps takes; 0 for other time steps.

    They are counted with the simple D of ``cost``, so that a search whose length depends on D may take more or fewer.
    """
    rule = design.time_steps
    if not isinstance(rule, MeasuredTimeSteps):
        return 0
    with settings_kept():
        D, images = Half(known), torch.linspace(-1, 1, 4, dtype=torch.float64).reshape(4, 1)
        return placed(rule, Probe(design, guided(D) if guided else D, images, num_steps))[1]
