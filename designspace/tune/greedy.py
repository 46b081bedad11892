"""The search for the best design: greedy over the rows, with a race inside each row.

``Greedy.steps`` is the algorithm. It yields what is to be measured and receives the results, so that it says nothing of
where and how designs are measured.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from designspace.errors import SpecError
from designspace.report.study import Study
from designspace.results import search as records
from designspace.spec.ablation import Ablation
from designspace.spec.candidates import Candidate, Candidates, Changes
from designspace.spec.paths import at, axis_name, field_path
from designspace.spec.search import Range, Search
from designspace.text import value_of
from designspace.tune.measured import MeasuredRace, recorded, told_of
from designspace.tune.optimum import off_scale, on_scale
from designspace.tune.race import Race
from designspace.tune.requests import Request, full_grid, stage_sizes

START = "start"
"""The name of the race between the designs with which the search at a budget may begin."""
DIGITS = 3
"""The number of significant digits of an optimum that is tried."""


class Told(NamedTuple):
    """The results of a request."""

    study: Study
    seconds: float


Steps = Generator[Request, Told, None]
Arms = Mapping[str, Candidate]
"""The arms of a race by their labels."""


@dataclass
class Spent:
    """What a search has cost so far, and what it may cost."""

    samples: dict[str, int] = field(default_factory=dict)
    """The number of images of each sampler and seed."""
    seconds: float = 0.0
    pace: float = 0.0
    """The least seconds per new image of any request. Others also train networks or search noise levels."""
    most_images: float = math.inf
    most_seconds: float = math.inf

    @property
    def images(self) -> int:
        """The number of images that were generated."""
        return sum(self.samples.values())

    def add(self, request: Request, seconds: float) -> None:
        """Count a request, of which only images that are not there yet are generated."""
        if new := self._new(request):
            self.pace = min(seconds / new, self.pace or math.inf)
        for sampler, images in request.samples.items():
            self.samples[sampler] = max(images, self.samples.get(sampler, 0))
        self.seconds += seconds

    def limit(self, images: float, seconds: float, share: int) -> None:
        """Allow one of ``share`` equal parts of what is left of these budgets."""
        self.most_images = self.images + (images - self.images) / share
        self.most_seconds = self.seconds + (seconds - self.seconds) / share

    def affords(self, request: Request) -> bool:
        """Whether a request stays within the limits, at the pace of those before."""
        new = self._new(request)
        return self.images + new <= self.most_images and self.seconds + new * self.pace <= self.most_seconds

    def _new(self, request: Request) -> int:
        """The number of images that a request generates."""
        return sum(max(0, images - self.samples.get(sampler, 0)) for sampler, images in request.samples.items())


class Greedy:
    """The races of a search, and what has come out of them.

    Raises ``SpecError`` if the ablation has no ``search``.
    """

    def __init__(self, ablation: Ablation) -> None:
        self._space = ablation.space()
        assert ablation.search is not None
        self.search: Search = ablation.search
        self.tuned: dict[int, Changes] = {}
        """For each budget, what the best design so far changes in the baseline."""
        self.outcomes: list[records.Outcome] = []
        self.spent = Spent()
        evaluate = ablation.trials()[0].evaluate
        self.metric, self.sizes = evaluate.metrics[0].name, stage_sizes(evaluate.images, self.search.stages)
        self._repeats, self._ablation = evaluate.repeats, ablation

    @cached_property
    def full_grid(self) -> int:
        """The number of images that all combinations of the candidates would take at all budgets."""
        grids = (full_grid(self._space, budget) for budget in self.search.budgets)
        return sum(grids) * self.sizes[-1] * self._repeats

    def steps(self) -> Steps:
        """Search at one budget after the other; each may spend an equal share of what is left."""
        limit, budgets = self.search.budget, self.search.budgets
        seconds = math.inf if limit.minutes is None else 60 * limit.minutes
        for i, budget in enumerate(budgets):
            self.spent.limit(limit.images or math.inf, seconds, len(budgets) - i)
            yield from self._at(budget)

    def _at(self, budget: int) -> Steps:
        """Race the candidates of one row after the other, each with the best design so far in all other rows.

        Further passes catch interactions between rows. They race a row again if another one has changed since, from a
        choice that was significantly worse: a change between choices that could not be told apart has no known effect
        with which others might interact. They also race a row again if it has candidates that did not fit before.

        The search begins with the baseline or, if that is better, with the design that was found for another budget:
        choices that are good only together, such as a solver and its noise levels, need not be found twice.
        """
        earlier, self.tuned[budget] = dict(self.tuned), {}
        start = self._space.starts(earlier, budget)
        if len(start.arms) > 1:
            yield from self._row(start, budget, 1, START)
        raced: dict[str, int] = {}
        known: dict[str, set[str]] = {row: set() for row in self.search.rows}
        changes = 0
        for run_pass in range(1, self.search.passes + 1):
            for row in self.search.rows:
                found = self._space.candidates(row, self.tuned[budget], budget)
                names = {value_of(arm.label) for arm in found.arms}
                if raced.get(row) != changes or (not found.reason and not names <= known[row]):
                    better = yield from self._row(found, budget, run_pass, row)
                    changes += better
                    raced[row] = changes
                    known[row] |= names | {
                        value_of(self._space.candidates(row, self.tuned[budget], budget).incumbent.label)
                    }

    def _row(self, found: Candidates, budget: int, run_pass: int, row: str) -> Generator[Request, Told, bool]:
        """Race the candidates of a row or field, and take the winner into the design.

        Returns whether it is significantly better than the one before.
        """
        about: dict[str, Any] = {"budget": f"{self.search.step_field}={budget}", "run_pass": run_pass, "row": row}
        about |= {"incumbent": value_of(found.incumbent.label), "favoured": value_of(found.incumbent.label)}
        skipped = [records.Arm(label=value_of(one.label), reason=one.reason) for one in found.skipped]
        if found.reason:
            self.outcomes.append(records.Outcome(**about, skipped=found.reason, arms=skipped))
            return False
        arms = {value_of(arm.label): arm for arm in found.arms}
        races = [(yield from self._race(arms, value_of(found.incumbent.label), budget))]
        optimum = None
        if isinstance(tried := self.search.rows.get(row), Range) and races[0].stages:
            optimum, x = self._optimum(races[0], arms, tried)
            if x is not None and (extra := self._extra(x, arms, row, races[0].winner(), budget)):
                arms[value_of(extra.label)] = extra
                two = {name: arms[name] for name in (races[0].winner(), value_of(extra.label))}
                dropped = len(races[0].race.arms) - 1
                races.append((yield from self._race(two, races[0].winner(), budget, dropped)))
                if optimum and value_of(extra.label) in races[1].race.dropped:  # the values do not lie on a parabola
                    best = arms[races[1].winner()].value
                    optimum = None if best is None else records.Optimum(value=best, flat=optimum.flat)
        outcome = records.Outcome(**about | told_of(races), arms=[*recorded(races, arms), *skipped], optimum=optimum)
        self.outcomes.append(outcome)
        self.tuned[budget] = dict(arms[outcome.favoured].set)
        return outcome.favoured != outcome.incumbent and any(outcome.incumbent in race.race.dropped for race in races)

    def _optimum(self, found: MeasuredRace, arms: Arms, tried: Range) -> tuple[records.Optimum | None, float | None]:
        """What is recorded of the optimum of a field, and its value if the parabola has one within the range."""
        values = {name: arm.value for name, arm in arms.items() if arm.value is not None}
        best = values.get(found.race.best or "")
        flat = _around(best, values, found.race.alive)
        vertex = found.optimum(values, tried.scale)
        ends = on_scale(tried.low, tried.scale), on_scale(tried.high, tried.scale)
        if vertex is None or not ends[0] <= vertex[0] <= ends[1]:
            return (None if best is None else records.Optimum(value=best, flat=flat)), None
        value = off_scale(vertex[0], tried.scale)
        low, high = (off_scale(x, tried.scale) if ends[0] <= x <= ends[1] else None for x in vertex[1:])
        return records.Optimum(value=value, low=low, high=high, flat=flat), value

    def _extra(self, optimum: float, arms: Arms, row: str, opponent: str, budget: int) -> Candidate | None:
        """The optimum of a field as one more candidate; ``None`` if it has been tried or does not fit."""
        tested = [arm.value for arm in arms.values() if arm.value is not None]
        present = at(arms[opponent].trial, field_path(row) or ())
        value = round(optimum) if isinstance(present, int) else float(f"{optimum:.{DIGITS}g}")
        changes = {**arms[opponent].set, axis_name(row): value}
        if value in tested:
            return None
        try:
            return Candidate(value_of(value), changes, self._space.trial(changes, budget), value)
        except SpecError:
            return None

    def _race(self, arms: Arms, incumbent: str, budget: int, before: int = 0) -> Generator[Request, Told, MeasuredRace]:
        """Run a race to its end, or until the budget of the search is spent."""
        found = MeasuredRace(self.metric, Race(list(arms), incumbent, self.sizes, before))
        while not found.race.over:
            left = {arm: arms[arm].set for arm in found.race.alive}
            request = Request.of(self._ablation, left, budget, self.sizes[len(found.stages)])
            if not self.spent.affords(request):
                break
            told = yield request
            self.spent.add(request, told.seconds)
            found.tell(*told)
        return found


def _around(best: float | None, values: Mapping[str, float], alive: Collection[str]) -> list[float]:
    """The values beside ``best`` whose arms are ``alive``, up to the nearest on each side whose arm is not."""
    if best is None:
        return []
    gone = [value for arm, value in values.items() if arm not in alive]
    low = max((value for value in gone if value < best), default=-math.inf)
    high = min((value for value in gone if value > best), default=math.inf)
    return sorted(value for arm, value in values.items() if arm in alive and low < value < high)
