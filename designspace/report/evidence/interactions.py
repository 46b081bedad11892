r"""Interactions: for each pair of factors, whether the effect of the one depends on the choice in the other.

For choices a, a' of one factor and b, b' of another, the contrast is the difference of two differences,

.. math:: (y_{ab} - y_{a'b}) - (y_{ab'} - y_{a'b'}),

averaged over the settings of all other axes, with the standard error that ``contrasts`` gives to any combination of
points: from the influences of common latents and, with repeated trainings, the variation between them. If there is no
interaction, all contrasts are 0. The test rejects that if the largest of them, in standard errors, is significant after
Bonferroni's correction for their number, which is valid whatever their dependence (Scheffé 1959, The Analysis of
Variance, chapter 4; Miller 1981, Simultaneous Statistical Inference). Its p-value has Holm's correction for all pairs
of factors at all budgets.

The budget is not one of the factors: effects are given at each budget, and distances shrink with the budget anyway.
Where values are large, differences are large as well, so that the size of a difference depends on nearly everything. An
interaction therefore changes what is favoured only where other choices are favoured (``effects``), and ``reverses``
names the factors of which two choices change places.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product
from typing import Any

from designspace.report.entry import Entry
from designspace.report.evidence.contrasts import Difference, Term, combination, mean_difference
from designspace.report.evidence.differences import by_budget, finite
from designspace.report.evidence.factors import Factor, choice_of, factors
from designspace.report.evidence.inference import LEVEL, holm
from designspace.report.study import Study, rivals

MOST = 1000
"""The largest number of contrasts of two factors that are all tested.

If there are more, those with the first choice of each factor are, which are all 0 as well if there is no interaction.
"""
ROUNDING = 1e-9
"""Contrasts below this share of the values that they combine are 0."""

Cells = Mapping[tuple[Any, Any], Entry]
"""Points that differ only in two factors, by the choices in both."""


@dataclass(frozen=True)
class Change:
    """How the difference between two choices of a factor changes with the choice in another one."""

    factor: Factor
    choices: tuple[Any, Any]
    by: Factor
    differences: dict[Any, Difference]
    """The first choice minus the second, at two choices of ``by``."""


@dataclass(frozen=True, eq=False)
class Interaction:
    """Two factors at one budget."""

    study: Study
    metric: str
    pair: tuple[Factor, Factor]
    budget: object
    choices: tuple[tuple[Any, ...], tuple[Any, ...]]
    """The choices of each factor that are compared."""
    settings: tuple[Cells, ...]
    """The points, for each setting of the other axes."""
    contrasts: dict[tuple[tuple[Any, Any], tuple[Any, Any]], Difference]
    """The difference of differences for two choices of each factor."""
    corrected: float = math.nan
    """The p-value, corrected for the contrasts and (Holm) for all pairs of factors at all budgets."""
    tests: int = 1
    """The number of pairs of factors and budgets that are tested."""

    @property
    def p(self) -> float:
        """The p-value corrected for the contrasts; NaN if none has a standard error."""
        known = [gap.p for gap in self.contrasts.values() if not math.isnan(gap.p)]
        return min(1.0, len(known) * min(known)) if known else math.nan

    @property
    def depends(self) -> bool:
        """Whether the effect of each of the two factors depends on the other one."""
        return self.corrected <= LEVEL

    @cached_property
    def reversals(self) -> list[Change]:
        """For each factor of which two choices change places: the two choices, with their clearest differences.

        The first choice has the significantly larger value at one choice of the other factor, and the second choice at
        another, corrected for all pairs of choices at all choices of the other factor, and for ``tests``.
        """
        return [*filter(None, map(self._reversal, (0, 1)))] if self.depends else []

    @property
    def clearest(self) -> Change:
        """The reversal or, without one, the contrast with the smallest p-value, as a change of the first factor."""
        if self.reversals:
            return self.reversals[0]
        one, other = self.pair
        (a, b), levels = max(self.contrasts, key=lambda key: _size(self.contrasts[key]))
        return Change(one, (a, b), other, {level: self._difference(0, a, b, level) for level in levels})

    def _reversal(self, which: int) -> Change | None:
        of, by = self.choices[which], self.choices[1 - which]
        pairs = [*combinations(of, 2)]
        found: list[tuple[float, Change]] = []
        for a, b in pairs:
            gaps = {level: self._difference(which, a, b, level) for level in by}
            sure = {level: gap for level, gap in gaps.items() if self.tests * len(pairs) * len(by) * gap.p <= LEVEL}
            if not sure:
                continue
            high, low = (end(sure, key=lambda level: sure[level].z) for end in (max, min))
            if sure[high].value > 0 > sure[low].value:
                shown = {level: sure[level] for level in by if level in (high, low)}
                change = Change(self.pair[which], (a, b), self.pair[1 - which], shown)
                found.append((min(sure[high].z, -sure[low].z), change))
        return max(found, key=lambda one: one[0])[1] if found else None

    def _difference(self, which: int, a: Any, b: Any, level: Any) -> Difference:
        """The mean difference of two choices of a factor at one choice of the other, over all settings."""
        keys = [(a, level), (b, level)] if which == 0 else [(level, a), (level, b)]
        return mean_difference(self.study, [(cells[keys[0]], cells[keys[1]]) for cells in self.settings], self.metric)


def interactions(study: Study, metric: str) -> list[list[Interaction]]:
    """For each group of rivals, all pairs of factors at every budget at which both have two choices."""
    if ("interactions", metric) not in study.kept:  # effects need them as well as their own table
        groups = [finite(group, metric) for group in rivals(study.entries, metric)]
        study.kept["interactions", metric] = [[*_corrected([*_of_group(study, of, metric)])] for of in groups]
    found: list[list[Interaction]] = study.kept["interactions", metric]
    return found


def dependent(study: Study, axes: tuple[str, ...], budget: object, point: Entry, metric: str) -> list[tuple[str, ...]]:
    """The axes on which the effect of a factor depends significantly, among the rivals of ``point``."""
    groups = zip(rivals(study.entries, metric), interactions(study, metric), strict=True)
    found = (one for group, of in groups if point in group for one in of if one.depends and one.budget == budget)
    pairs = [tuple(factor.axes for factor in one.pair) for one in found]
    return [second if axes == first else first for first, second in pairs if axes in (first, second)]


def _corrected(found: Sequence[Interaction]) -> Iterator[Interaction]:
    for one, p in zip(found, holm([one.p for one in found]), strict=True):
        yield replace(one, corrected=p, tests=len(found))


def _of_group(study: Study, points: Sequence[Entry], metric: str) -> Iterator[Interaction]:
    for one, other in combinations(factors(study), 2):
        if not {*one.axes} & {*other.axes}:  # those of one_at_a_time are never changed together
            for budget, entries in by_budget(study, points).items():
                choices, settings = _complete(one, other, entries)
                if settings:
                    contrasts = _contrasts(study, choices, settings, metric)
                    yield Interaction(study, metric, (one, other), budget, choices, settings, contrasts)


def _complete(
    one: Factor, other: Factor, entries: Sequence[Entry]
) -> tuple[tuple[tuple[Any, ...], tuple[Any, ...]], tuple[Cells, ...]]:
    """The settings of the other axes at which all choices of both factors are measured, with these choices.

    If there is no such setting, the choices that are measured least often are left out.
    """
    found: dict[tuple[Any, ...], dict[tuple[Any, Any], Entry]] = {}
    for entry in entries:
        rest = tuple(item for item in entry.axes.items() if item[0] not in (*one.axes, *other.axes))
        found.setdefault(rest, {})[choice_of(entry.axes, one.axes), choice_of(entry.axes, other.axes)] = entry
    known = [{key[side] for cells in found.values() for key in cells} for side in (0, 1)]
    first, second = ([c for c in factor.choices if c in of] for factor, of in zip((one, other), known, strict=True))
    while min(len(first), len(second)) > 1:
        full = [cells for cells in found.values() if cells.keys() >= {*product(first, second)}]
        if full:
            return (tuple(first), tuple(second)), tuple(full)
        keys = [key for cells in found.values() for key in cells if key[0] in first and key[1] in second]
        shares = [(sum(key[0] == c for key in keys) / len(second), c, first) for c in first]
        shares += [(sum(key[1] == c for key in keys) / len(first), c, second) for c in second]
        _, least, choices = min(shares, key=lambda share: share[0])
        choices.remove(least)
    return ((), ()), ()


def _contrasts(
    study: Study, choices: tuple[tuple[Any, ...], tuple[Any, ...]], settings: Sequence[Cells], metric: str
) -> dict[tuple[tuple[Any, Any], tuple[Any, Any]], Difference]:
    pairs = [[*combinations(of, 2)] for of in choices]
    if len(pairs[0]) * len(pairs[1]) > MOST:
        pairs = [[(of[0], choice) for choice in of[1:]] for of in choices]
    return {(a, b): _contrast(study, a, b, settings, metric) for a, b in product(*pairs)}


def _contrast(
    study: Study, a: tuple[Any, Any], b: tuple[Any, Any], settings: Sequence[Cells], metric: str
) -> Difference:
    signs = dict(zip(product(a, b), (1.0, -1.0, -1.0, 1.0), strict=True))
    terms = [Term(sign / len(settings), cells[key], study) for cells in settings for key, sign in signs.items()]
    found = combination(terms, metric)
    size = sum(abs(term.times * term.point.value(metric)) for term in terms)
    return replace(found, value=0.0) if abs(found.value) <= ROUNDING * size else found


def _size(gap: Difference) -> tuple[float, float]:
    return (0.0, 0.0) if math.isnan(gap.z) else (abs(gap.z), abs(gap.value))
