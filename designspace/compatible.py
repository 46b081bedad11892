"""Rows of a design that cannot go together; what is only worse than it could be is not refused: ablations show it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import torch

from designspace.table1 import MeasuredTimeSteps

if TYPE_CHECKING:
    from designspace.design import Design

MOST_OUTSIDE = 0.1
"""The share of trained levels that may lie outside of what c_noise supports; they are moved to its ends."""


class Misfit(NamedTuple):
    """Why a row cannot go with the others."""

    row: str
    kind: str
    text: str


def misfits(design: Design) -> Iterator[Misfit]:
    """What is wrong, each with the row that is best changed."""
    if text := _noise_between_the_steps_of_a_multistep_method(design):
        yield Misfit("stochasticity", "churn_multistep", text)
    if text := _levels_measured_where_noise_is_drawn(design):
        yield Misfit("time_steps", "levels_of_noise", text)
    if text := _levels_that_the_network_cannot_be_told(design):
        yield Misfit("noise_distribution", "levels_not_supported", text)


def _noise_between_the_steps_of_a_multistep_method(design: Design) -> str:
    if not design.stochasticity.noisy or design.solver.one_step:
        return ""
    return (
        f"{design.stochasticity.name} adds noise between steps, which spoils what the multistep solver"
        f" {design.solver.name} remembers; use stochasticity none or a one-step solver such as heun"
    )


def _levels_measured_where_noise_is_drawn(design: Design) -> str:
    solver, noisy = design.solver, design.stochasticity.noisy
    if not isinstance(design.time_steps, MeasuredTimeSteps) or not (solver.stochastic or solver.adaptive or noisy):
        return ""
    what = f"solver {solver.name} chooses its own steps" if solver.adaptive else "the design draws noise"
    return f"{design.time_steps.name} measures the error of single steps, but {what}; use a deterministic solver"


def _levels_that_the_network_cannot_be_told(design: Design) -> str:
    low, high = design.c_noise.limits()
    if low <= 0 and high == float("inf"):
        return ""
    sigma = design.noise_distribution.from_uniform((torch.arange(1000, dtype=torch.float64) + 0.5) / 1000)
    slack = 1e-9  # ends that are computed in two ways
    outside = ((sigma < low * (1 - slack)) | (sigma > high * (1 + slack))).double().mean().item()
    if outside <= MOST_OUTSIDE:
        return ""
    return (
        f"{design.noise_distribution} draws {outside:.0%} of its noise levels outside of {low:.3g} to {high:.3g}, which"
        f" are all that c_noise {design.c_noise} supports; change its range, or use c_noise edm, which supports any"
    )
