"""What each design choice does to a metric, all else equal: the main effects, and which choice they favour."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from designspace.report.entry import Entry, se_of_mean, value_in
from designspace.report.evidence.compare import Difference, difference
from designspace.report.evidence.factors import Factor, factors
from designspace.report.evidence.inference import LEVEL, holm
from designspace.report.study import Study, budgets, comparable

Line = Mapping[Any, Entry]
"""By choice, points that differ in nothing else."""


@dataclass(frozen=True, eq=False)
class Effects:
    """Of the choices of one factor, at one budget."""

    factor: Factor
    budget: object
    lines: int
    """Settings of the other axes that the effects are means over."""
    baseline: float
    """The mean of the metric with the baseline's choice."""
    against: dict[Any, Difference]
    """Each other choice that was measured, minus the baseline's."""
    favoured: tuple[Any, ...]
    """The best choice, then all that cannot be told from it at 95 % (Holm)."""

    nfe: dict[Any, float]
    """The evaluations that each choice took, the mean over the same points."""

    @property
    def decided(self) -> bool:
        """Whether some choice comes out worse than the best."""
        return len(self.favoured) <= len(self.against)


def effects(study: Study, metric: str) -> list[list[Effects]]:
    """For each group of comparable points, the effects of all factors at all budgets; empty if there are none."""
    groups = [[e for e in group if math.isfinite(e.value(metric))] for group in comparable(study.entries, metric)]
    return [[one for factor in factors(study) for one in _effects(study, factor, group, metric)] for group in groups]


def _effects(study: Study, factor: Factor, entries: Sequence[Entry], metric: str) -> list[Effects]:
    at = {budget: [e for e in entries if study.budget(e) == budget] for budget in budgets(study, entries)}
    lines = {budget: factor.lines(points) for budget, points in at.items()}
    return [_at(study, factor, budget, found, metric) for budget, found in lines.items() if found]


def _at(study: Study, factor: Factor, budget: object, lines: Sequence[Line], metric: str) -> Effects:
    base, *others = choices = tuple(lines[0])
    means = {choice: statistics.fmean(line[choice].value(metric) for line in lines) for choice in choices}
    against = {choice: _gap(study, lines, choice, base, metric) for choice in others}
    nfe = {choice: statistics.fmean(line[choice].nfe for line in lines) for choice in choices}
    higher = lines[0][base].higher_is_better(metric)
    if higher is None:
        return Effects(factor, budget, len(lines), means[base], against, choices, nfe)
    top = (max if higher else min)(choices, key=lambda choice: means[choice])
    gaps = {choice: _gap(study, lines, choice, top, metric) for choice in choices if choice != top}
    corrected = zip(gaps, holm([gap.p for gap in gaps.values()]), strict=True)
    equal = [choice for choice, p in corrected if not p <= LEVEL]
    return Effects(factor, budget, len(lines), means[base], against, (top, *equal), nfe)


def _gap(study: Study, lines: Sequence[Line], a: Any, b: Any, metric: str) -> Difference:
    return mean_difference(study, [(line[a], line[b]) for line in lines], metric)


def mean_difference(study: Study, pairs: Sequence[tuple[Entry, Entry]], metric: str) -> Difference:
    r"""The mean over pairs of points of the first one's metric minus the second's.

    All points share their latents, so that the standard error of the mean over K pairs is
    :math:`\mathrm{std}(\frac1K \sum_k (\mathrm{IF}_{a_k} - \mathrm{IF}_{b_k})) / \sqrt n`, for each seed that all have.
    Without the influences it is at most the mean of the pairs' standard errors, which is given.
    """
    alone = [difference(study, a, b, metric) for a, b in pairs]
    if len(pairs) == 1:
        return alone[0]
    value, errors = statistics.fmean(gap.value for gap in alone), [gap.se for gap in alone if gap.se is not None]
    seeds = set.intersection(*({*a.seeds} & {*b.seeds} for a, b in pairs))
    paired = [_seed_se(study, pairs, metric, seed) for seed in sorted(seeds)]
    known = [se for se in paired if se is not None]
    if known and len(known) == len(paired) and all(gap.paired for gap in alone):
        gaps = [statistics.fmean(_value(a, metric, s) - _value(b, metric, s) for a, b in pairs) for s in sorted(seeds)]
        return Difference(statistics.fmean(gaps), se_of_mean(gaps, known), True)
    se, scattered = statistics.fmean(errors) if len(errors) == len(pairs) else None, [gap.seeds for gap in alone]
    return Difference(value, se, False, seeds=min((count for count in scattered if count), default=None))


def _value(entry: Entry, metric: str, seed: int) -> float:
    return value_in(entry.seeds[seed], metric)


def _seed_se(study: Study, pairs: Sequence[tuple[Entry, Entry]], metric: str, seed: int) -> float | None:
    found = [study.influence(entry.seeds[seed], metric) for pair in pairs for entry in pair]
    arrays = [influence for influence in found if influence is not None]
    if len(arrays) < len(found) or len({array.shape for array in arrays}) > 1 or len(arrays[0]) < 2:
        return None
    mean = np.mean(arrays[0::2], 0) - np.mean(arrays[1::2], 0)
    return float(np.std(mean, ddof=1)) / math.sqrt(len(mean))
