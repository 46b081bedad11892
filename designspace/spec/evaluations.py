"""The evaluations that trials cost: the steps that a budget affords, and warnings about evaluations without use."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import NamedTuple, Self

from designspace.data.load import load_images
from designspace.data.rows import Data
from designspace.denoising.flops import guidance_cost
from designspace.denoising.guidance import Guidance, PairGuidance
from designspace.denoising.rows import Denoiser
from designspace.design import Design
from designspace.errors import DocPath, Kind, Problem
from designspace.interrupts import contained
from designspace.sampling import rows as sampling
from designspace.sampling.counting import Cost, Half, cost, most_within
from designspace.sampling.rows import Scaling, Schedule, Start, Stochasticity, SupportedLevels, TimeSteps
from designspace.sampling.solver import Solver
from designspace.spec.limits import MOST_STEPS_TRIED, MOST_TRIALS
from designspace.spec.paths import STEPS, Setting
from designspace.spec.sections import Draft
from designspace.spec.trial import Point, Trial

Configuration = tuple[int, int, int, int]
"""The ids of a design, of the levels that its denoiser supports and of the guidance, and a number of steps."""
LISTED = 3
"""The largest number of configurations whose levels fall together that are described individually."""
OVERHEAD = 10
"""The number of steps that take about as long as the preparation of a flow."""


class Sampled(NamedTuple):
    """What the evaluations of a trial depend on, besides the number of steps: the sampling rows of its design."""

    solver: Solver
    time_steps: TimeSteps
    schedule: Schedule
    scaling: Scaling
    stochasticity: Stochasticity
    to_zero: bool
    known: SupportedLevels | None
    """What limits and rounds noise levels to those that the denoiser supports, if it has one."""
    guidance: Guidance
    start: Start = "sigma_max"
    """What latents are multiplied by has no effect on the number of evaluations."""

    @classmethod
    def of(cls, design: Design, denoiser: Denoiser, guidance: Guidance) -> Self:
        """The sampling rows of a design, for a denoiser with guidance."""
        known = denoiser.supported(design)
        rows = (design.solver, design.time_steps, design.schedule, design.scaling, design.stochasticity)
        return cls(*rows, design.to_zero, known, guidance)

    def with_time_steps(self, time_steps: TimeSteps) -> Self:
        """The same rows with other time steps."""
        return self._replace(time_steps=time_steps)

    def with_start(self, start: Start) -> Self:
        """The same rows with another start."""
        return self._replace(start=start)

    def guided(self, D: Half) -> sampling.D:
        """``D`` with guidance by itself."""
        return self.guidance.wrap(D, *[D] * self.guidance.takes_guide).bind(None)

    def cost(self, num_steps: int) -> Cost:
        """The evaluations that ``num_steps`` steps cost. Raises what the rows raise."""
        found = _counted(self, num_steps)
        if isinstance(found, Exception):
            raise found.with_traceback(None)
        return found

    def affordable(self, nfe: int) -> int:
        """The largest number of steps that costs at most ``nfe`` evaluations; ``ValueError`` if there is none."""
        return self._most(lambda cost: cost.nfe, nfe, "", 1)

    def affordable_in_total(self, nfe_total: int, guidance_cost: float) -> int:
        """The largest number of steps that costs at most ``nfe_total`` evaluations with those that guidance adds."""
        guided = f" with guidance {self.guidance.name}" if self.guidance.effective else ""
        return self._most(lambda cost: cost.total(guidance_cost), nfe_total, guided, guidance_cost)

    def _most(self, spent: Callable[[Cost], float], budget: int, guided: str, guidance_cost: float) -> int:
        if self.solver.adaptive:
            raise ValueError(f"solver {self.solver} is adaptive: its NFE is a result, not a choice")
        return most_within(lambda n: spent(self.cost(n)), budget, f"solver {self.solver}{guided}", guidance_cost)


@lru_cache(2 * MOST_TRIALS)
def _counted(rows: Sampled, num_steps: int) -> Cost | Exception:
    try:
        return cost(rows, num_steps, rows.known, rows.guided if rows.guidance.effective else None)
    except Exception as error:
        return error


def cost_of(of: Draft | Trial, num_steps: int) -> Cost:
    """The evaluations of a trial, counted at the levels that its denoiser supports. Raises what its rows raise."""
    return Sampled.of(of.design, of.denoiser, of.guidance).cost(num_steps)


def guidance_cost_of(of: Draft | Trial) -> int | float:
    """The cost of an evaluation that guidance adds, in evaluations of the denoiser; see ``guidance_cost``."""
    if not of.guidance.effective:  # it need not even have a guide
        return 1
    return _guidance_cost(of.guidance.guide_of(of.denoiser), of.denoiser, of.design, of.data)


@lru_cache(MOST_TRIALS)
def _guidance_cost(guide: Denoiser | None, denoiser: Denoiser, design: Design, data: Data) -> int | float:
    return guidance_cost(guide, denoiser, design, partial(load_images, data))


class Evaluations:
    """The evaluations of the trials of a grid. Each distinct configuration is counted once.

    A configuration is what ``Sampled`` holds, and a number of steps. If there are very many, a random selection is
    tried. The others are left to the run, which records a failure for a trial that cannot be sampled.
    """

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self._drafts = drafts  # keeps the objects alive that are recognised by their ids
        self._steps: dict[tuple[int, int, int, int], int | Exception] = {}
        self._costs: dict[Configuration, Cost | None] = {}
        self._left = _left_to_the_run(drafts)

    def num_steps(self, draft: Draft) -> int:
        """The number of steps of a draft: the given one, or the largest that its budget of evaluations allows.

        Raises what the rows raise if the design cannot be sampled with it. An error other than ``ValueError`` is left
        for the run to record, unless the count is needed here.
        """
        key = id(draft.design), id(draft.denoiser), id(draft.guidance), id(draft.steps)
        if key not in self._steps:
            try:
                with contained():
                    self._steps[key] = self._allowed(draft)
            except Exception as error:
                self._steps[key] = error
        found = self._steps[key]
        if isinstance(found, Exception):
            raise found.with_traceback(None)
        return found

    def _allowed(self, draft: Draft) -> int:
        steps, sampled = draft.steps, Sampled.of(draft.design, draft.denoiser, draft.guidance)
        if steps.nfe_total is not None:
            return sampled.affordable_in_total(steps.nfe_total, guidance_cost_of(draft))
        if steps.nfe is not None:
            return sampled.affordable(steps.nfe)
        if _configuration(draft, steps.num_steps) not in self._left:
            try:
                sampled.cost(steps.num_steps)
            except ValueError:
                raise
            except Exception:  # in a component of the user
                pass
        return steps.num_steps

    def cost(self, trial: Trial) -> Cost | None:
        """The evaluations of a trial; ``None`` if they are not counted, vary among images, or a component fails."""
        key = _configuration(trial, trial.num_steps)
        if key in self._left or trial.design.solver.adaptive:
            return None
        if key not in self._costs:
            try:
                with contained():
                    self._costs[key] = cost_of(trial, trial.num_steps)
            except Exception:  # in a component of the user: the run will record it
                self._costs[key] = None
        return self._costs[key]

    def warnings(self, points: Sequence[Point], settings: Sequence[Setting]) -> Iterator[Problem]:
        """Yield at most four warnings about the ``points``, whose numbers of steps are among ``settings``."""
        place = next((s.key for s in reversed(settings) if s.path[0] in STEPS), ("num_steps",))
        costs = [(point, found) for point in points if (found := self.cost(point.trial))]
        yield from _unspent(costs, place)
        if unguided := _unguided(costs):
            where = next((s.key for s in reversed(settings) if s.path[0] == "guidance"), ("guidance",))
            yield Problem(unguided, where, Kind.IDLE, key=True)
        if idle := list(dict.fromkeys(found.idle for _, found in costs if found.idle)):
            more = [f"and {len(idle) - LISTED} more configurations have such levels"] if len(idle) > LISTED else []
            yield Problem("; ".join(idle[:LISTED] + more), place, Kind.IDLE, key=True)
        if self._left:
            what = (
                f"{len(self._left):,} combinations of a design and a number of steps were not tried, because there are"
                " so many; a run reports those that cannot be sampled"
            )
            yield Problem(what, place, Kind.UNCHECKED, key=True)


def _configuration(of: Draft | Trial, num_steps: int) -> Configuration:
    return id(of.design), id(of.denoiser.supported(of.design)), id(of.guidance), num_steps


def _left_to_the_run(drafts: Sequence[Draft]) -> set[Configuration]:
    """The configurations with given numbers of steps that are not tried, beyond ``MOST_STEPS_TRIED`` steps in all."""
    fixed = (draft for draft in drafts if draft.steps.budget is None)
    found = dict.fromkeys(_configuration(draft, draft.steps.num_steps) for draft in fixed)
    shuffled = random.Random(0).sample(list(found), len(found))
    steps = itertools.accumulate(num_steps + OVERHEAD for *_, num_steps in shuffled)
    return {one for one, until_here in zip(shuffled, steps, strict=True) if until_here > MOST_STEPS_TRIED}


def _unguided(points: Sequence[tuple[Point, Cost]]) -> str:
    """Which guidance is applied at none of the noise levels of which numbers of steps; empty if there is none."""
    used = ((point.trial.guidance, point.trial.num_steps) for point, found in points if not found.guidance)
    steps = dict.fromkeys((g.name, n) for g, n in used if isinstance(g, PairGuidance) and g.weight != 1)
    each = [f"{name} guides no evaluation at {n} step{'s' * (n != 1)}" for name, n in list(steps)[:LISTED]]
    more = [f"and {len(steps) - LISTED} more like this"] * (len(steps) > LISTED)
    return f"{'; '.join(each + more)}, as no noise level lies between its sigma_min and sigma_max" if each else ""


def _why_no_more(trial: Trial) -> str:
    """Why another step is refused, in brackets; empty if it only costs too much."""
    try:
        cost_of(trial, trial.num_steps + 1)
    except ValueError as error:
        return f" ({error})"
    return ""


def _unspent(points: Sequence[tuple[Point, Cost]], place: DocPath) -> Iterator[Problem]:
    """Yield one warning for all budgets that are not spent: ``heun spends 5 of 6, 7 of 8 evaluations``.

    If another step is refused, the warning says why.
    """
    spent: dict[str, dict[str, None]] = {}
    for point, found in points:
        if point.budget is None:
            continue
        most, whole = point.budget
        used, name = found.nfe, str(point.trial.design.solver)
        if whole and point.trial.guidance.effective:
            used, name = found.total(guidance_cost_of(point.trial)), f"{name} with guidance {point.trial.guidance.name}"
        if used < most:
            spent.setdefault(name, {})[f"{round(used, 2):.6g} of {most}{_why_no_more(point.trial)}"] = None
    alike: dict[str, list[str]] = {}
    for solver, parts in spent.items():
        alike.setdefault(", ".join(parts), []).append(solver)
    if alike:
        each = (f"{', '.join(them)} spend{'s' if len(them) == 1 else ''} {parts}" for parts, them in alike.items())
        yield Problem(f"{'; '.join(each)} evaluations", place, Kind.UNSPENT, key=True)
