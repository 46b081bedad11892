"""A race together with the measurements of its stages, and what the record of the search tells of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from designspace.report.entry import Entry
from designspace.report.evidence.contrasts import Difference, Term, combination, difference
from designspace.report.evidence.differences import rank
from designspace.report.study import Study
from designspace.results import search as records
from designspace.results.uncertainty import critical_value
from designspace.spec.candidates import Candidate
from designspace.tune.optimum import lack_of_fit, on_scale, vertex
from designspace.tune.race import Race, needed_images
from designspace.tune.requests import AXIS


@dataclass
class MeasuredRace:
    """A race between candidates, with the measurements of its stages."""

    metric: str
    race: Race
    stages: list[Study] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """The candidates that could not be measured, and why."""

    def tell(self, study: Study, seconds: float) -> None:
        """Add a stage."""
        entries = measured(study, self.metric)
        why = {str(failure.axes[AXIS]): failure.error for failure in study.failures}
        self.failed |= {arm: why.get(arm, "its value is not finite") for arm in self.race.alive if arm not in entries}
        found = rank(study, list(entries.values()), self.metric)
        ps = {name_of(entry): gap.p for entry, (gap, _) in found.against.items()}
        self.race.tell(name_of(found.best[0]) if found.best else None, ps)
        self.stages.append(study)
        self.seconds.append(seconds)

    @property
    def decided(self) -> bool:
        """Whether one arm is left, and another one was significantly worse: not if all others failed."""
        return self.race.decided and bool(self.race.dropped.keys() - self.failed.keys())

    def winner(self) -> str:
        """The arm that the design takes over."""
        entries = measured(self.stages[-1], self.metric) if self.stages else {}
        return self.race.winner({arm: entry.spent("nfe_total") for arm, entry in entries.items()})

    def gain(self, arm: str, other: str) -> Difference | None:
        """By how much ``arm`` is better than ``other``, in the last stage that measured both."""
        for study in reversed(self.stages):
            entries = measured(study, self.metric)
            if {arm, other} <= entries.keys():
                a, b = entries[arm], entries[other]
                return difference(study, *((a, b) if a.higher_is_better(self.metric) else (b, a)), self.metric)
        return None

    def decides_at(self) -> int | None:
        """The number of images with which the best arm would be told from the one that was hardest to tell."""
        left = {arm: p for arm, p in self.race.corrected[-1].items() if arm in self.race.alive} if self.stages else {}
        if self.race.decided or not left:
            return None
        study = self.stages[-1]
        entries = measured(study, self.metric)
        hardest = entries[max(left, key=lambda arm: left[arm])]
        gap = rank(study, list(entries.values()), self.metric).against[hardest][0]
        if gap.runs:
            return None  # the variation between training runs does not shrink with the number of images
        tests = self.race.pairs(len(entries)) * len(self.race.sizes)
        return needed_images(hardest.images(self.metric), gap.z, tests)

    def optimum(self, values: Mapping[str, float], scale: str) -> tuple[float, float, float] | None:
        """The optimum of a field and its 95 % interval, from the last stage with at least three of its ``values``.

        All three numbers are on the ``scale``. With three values, the interval is infinite. ``None`` if the parabola
        through the values has no lowest point. Values without a logarithm, such as 0 for a field that is off in the
        present design, have no place on that scale.
        """
        x = {arm: on_scale(value, scale) for arm, value in values.items() if scale != "log" or value > 0}
        for study in reversed(self.stages):
            found = measured(study, self.metric)
            points = [(x[arm], found[arm]) for arm in x if arm in found]
            if len(points) >= 3:
                return _optimum(study, points, self.metric)
        return None

    def stage(self, i: int, arm: str) -> records.Stage | None:
        """An arm in stage ``i``, as it is recorded; ``None`` if it was not measured."""
        study = self.stages[i]
        entries = measured(study, self.metric)
        if arm not in entries:
            return None
        entry = entries[arm]
        against = rank(study, list(entries.values()), self.metric).against
        n, value, se = entry.images(self.metric), entry.value(self.metric), entry.se(self.metric)
        if entry not in against:
            return records.Stage(images=n, value=value, se=se)
        gap, p = against[entry][0], self.race.corrected[i][arm]
        corrected = p if math.isnan(p) else min(1.0, p * len(self.race.sizes))
        return records.Stage(images=n, value=value, se=se, gap=gap.value, gap_se=gap.se, p=corrected)


def measured(study: Study, metric: str) -> dict[str, Entry]:
    """The arms of a stage that have a result for every repeat, by their labels."""
    complete = (entry for entry in study.entries if len(entry.rows) == entry.expected and entry.has(metric))
    return {name_of(entry): entry for entry in complete if math.isfinite(entry.value(metric))}


def told_of(races: Sequence[MeasuredRace]) -> dict[str, Any]:
    """The result of the races of a row: the last one may be between its winner and the optimum of the field."""
    races = [race for race in races if race.stages]
    if not races:
        return {"skipped": records.SPENT}
    first, favoured = races[0], races[-1].winner()
    gains = [race.gain(race.winner(), race.race.incumbent) for race in races]
    changed = favoured != first.race.incumbent
    known = [gain for gain in gains if gain] if changed and all(gains) else []
    errors = [gain.se for gain in known if gain.se is not None]
    return {
        "favoured": favoured,
        "decided": all(race.decided for race in races),  # the optimum has met the winner of the first race only
        "gain": math.fsum(gain.value for gain in known) if known else None,
        "gain_se": math.fsum(errors) if known and len(errors) == len(known) else None,  # an upper bound for a sum
        "decides_at": first.decides_at(),
        "seconds": [second for race in races for second in race.seconds],
    }


def recorded(races: Sequence[MeasuredRace], arms: Mapping[str, Candidate]) -> list[records.Arm]:
    """The arms of the races of a row, as they are recorded; an arm of several races as in the longest, or the last."""
    found = []
    for name, arm in arms.items():
        own = max((race for race in reversed(races) if name in race.race.arms), key=lambda race: len(race.stages))
        stages = [stage for i in range(len(own.stages)) if (stage := own.stage(i, name))]
        about: dict[str, Any] = {"dropped": own.race.dropped.get(name), "reason": own.failed.get(name, "")}
        found.append(records.Arm(label=name, set=arm.set, stages=stages, **about))
    return found


def name_of(entry: Entry) -> str:
    """The label of an arm."""
    return str(entry.axes[AXIS])


def _optimum(study: Study, points: Sequence[tuple[float, Entry]], metric: str) -> tuple[float, float, float] | None:
    x, entries = zip(*points, strict=True)
    sign = -1.0 if entries[0].higher_is_better(metric) else 1.0
    found = vertex(x, [sign * entry.value(metric) for entry in entries], [entry.se(metric) for entry in entries])
    if found is None:
        return None
    spread, *residuals = (
        combination([Term(times, entry, study) for times, entry in zip(row, entries, strict=True)], metric)
        for row in (found.gradient, *found.residuals)
    )
    if spread.se is None:
        return None
    if len(points) == 3:  # through which there is a parabola whatever the true values are
        return found.x, -math.inf, math.inf
    lack = lack_of_fit([residual.z for residual in residuals])
    return found.x, *found.interval(spread.se, lack, critical_value(spread.degrees))
