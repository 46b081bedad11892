"""Warnings about evaluations: budgets that a solver cannot spend in full, and evaluations that move nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from designspace.denoising.rows import CNoise, Denoiser
from designspace.design import Design
from designspace.errors import DocPath, Kind, Problem
from designspace.sampling.counting import Cost, cost
from designspace.spec.paths import STEPS, Setting
from designspace.spec.trial import Point, Trial

LISTED = 3
"""The largest number of configurations whose levels fall together that are described individually."""

_cost = lru_cache(4096)(cost)


def supported(design: Design, denoiser: Denoiser) -> CNoise | None:
    """The row that limits and rounds noise levels to those that the denoiser supports, if it depends on this row."""
    return design.c_noise if "c_noise" in denoiser.rows else None


def cost_of(design: Design, denoiser: Denoiser, num_steps: int) -> Cost:
    """The evaluations of a trial, counted at the levels that its denoiser supports. Raises what its rows raise."""
    return _cost(design, num_steps, supported(design, denoiser))


def budget_of(settings: Sequence[Setting]) -> int | None:
    """The budget of evaluations that the settings of a valid trial give; ``None`` if they give the number of steps."""
    steps = [setting for setting in settings if setting.path[0] in STEPS]
    return int(steps[-1].value) if steps and steps[-1].path == ("nfe",) else None


def warnings_of(points: Sequence[Point], settings: Sequence[Setting]) -> Iterator[Problem]:
    """Yield at most two warnings about the ``points``, whose numbers of steps are among ``settings``."""
    place = next((s.key for s in reversed(settings) if s.path[0] in STEPS), ("num_steps",))
    costs = [(point, found) for point in points if (found := _cost_if_known(point.trial))]
    yield from _unspent(costs, place)
    if idle := list(dict.fromkeys(found.idle for _, found in costs if found.idle)):
        more = [f"and {len(idle) - LISTED} more configurations have such levels"] if len(idle) > LISTED else []
        yield Problem("; ".join(idle[:LISTED] + more), place, Kind.IDLE, key=True)


def _cost_if_known(trial: Trial) -> Cost | None:
    try:
        return None if trial.design.solver.adaptive else cost_of(trial.design, trial.denoiser, trial.num_steps)
    except Exception:  # in a component of the user: the run will record it
        return None


def _why_no_more(trial: Trial) -> str:
    """Why another step is refused, in brackets; empty if it only costs too much."""
    try:
        cost_of(trial.design, trial.denoiser, trial.num_steps + 1)
    except ValueError as error:
        return f" ({error})"
    return ""


def _unspent(points: Sequence[tuple[Point, Cost]], place: DocPath) -> Iterator[Problem]:
    """Yield one warning for all budgets that are not spent: ``heun spends 5 of 6, 7 of 8 evaluations``.

    If another step is refused, the warning says why.
    """
    spent: dict[str, dict[str, None]] = {}
    for point, found in points:
        if point.budget is not None and found.nfe < point.budget:
            text = f"{found.nfe} of {point.budget}{_why_no_more(point.trial)}"
            spent.setdefault(str(point.trial.design.solver), {})[text] = None
    alike: dict[str, list[str]] = {}
    for solver, parts in spent.items():
        alike.setdefault(", ".join(parts), []).append(solver)
    if alike:
        each = (f"{', '.join(them)} spend{'s' if len(them) == 1 else ''} {parts}" for parts, them in alike.items())
        yield Problem(f"{'; '.join(each)} evaluations", place, Kind.UNSPENT, key=True)
