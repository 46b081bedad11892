"""Interactions: whether the difference between two choices depends on another axis."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import combinations, starmap
from typing import Any

import numpy as np

from designspace.report.entry import Entry, se_of_mean, value_in
from designspace.report.evidence.differences import Difference, difference
from designspace.report.evidence.inference import LEVEL
from designspace.report.evidence.statements import Statement, evaluations
from designspace.report.study import Study
from designspace.text import joined, measured, one_line, value_of

Pair = tuple[Entry, Entry]
Levels = dict[Any, Pair]
"""The two points to compare at each level of an axis, all else equal."""


def depends(study: Study, axis: str, levels: Levels, names: Sequence[str], metric: str) -> list[Statement]:
    r"""The difference of the metric, first minus second point, is not the same at all levels of the axis.

    This is one statement with an alternative for each pair of levels, :math:`-|d_i - d_j| < 0`, so that its p-value has
    Bonferroni's correction for the number of pairs. It cannot be contradicted: no data show that differences are equal.
    """
    changes = [*starmap(lambda one, two: change(study, one, two, metric), combinations(levels.values(), 2))]
    most = max(changes, key=lambda found: -1.0 if math.isnan(found.z) else abs(found.z))
    alone = {level: difference(study, a, b, metric) for level, (a, b) in levels.items()}
    a, b = next(iter(levels.values()))
    shown = ", ".join(f"{measured(gap.value, gap.se)} for {value_of(level)}" for level, gap in alone.items())
    text = f"{one_line(a.about(metric).protocol)}, {names[0]} minus {names[1]} by {axis}{evaluations(a, b)}: {shown}"
    text += _signs(alone, names, a.higher_is_better(metric))
    z = np.array([[-abs(found.z)] for found in changes])
    return [Statement(z, text, most, "change of the difference")]


def _signs(alone: Mapping[Any, Difference], names: Sequence[str], higher: bool | None) -> str:
    """Whether the sign changes significantly, with Bonferroni's correction for the number of levels."""
    clear = {level: gap.value > 0 for level, gap in alone.items() if gap.p * len(alone) <= LEVEL}
    if len({*clear.values()}) < 2:
        return "; the sign does not change significantly"
    first, second = (
        joined([value_of(level) for level, above in clear.items() if above is side])
        for side in ((True, False) if higher is not False else (False, True))
    )
    return f"; {names[0]} is {'larger' if higher is None else 'better'} for {first}, {names[1]} for {second}"


def change(study: Study, one: Pair, two: Pair, metric: str) -> Difference:
    r"""The difference of two differences, :math:`(a_1 - b_1) - (a_2 - b_2)`.

    If all four points share their latents, its standard error is that of the same combination of the influences of each
    image, combined over the common seeds. Otherwise the two differences are treated as independent.
    """
    first, second = (difference(study, a, b, metric) for a, b in (one, two))
    independent = None if first.se is None or second.se is None else math.hypot(first.se, second.se)
    points = (*one, *two)
    seeds = sorted(set.intersection(*({*point.seeds} for point in points)))
    errors = [_combined_se(study, points, metric, seed) for seed in seeds]
    known = [se for se in errors if se is not None]
    if not known or len(known) < len(errors) or not (first.paired and second.paired):
        scattered = min((gap.seeds for gap in (first, second) if gap.seeds), default=None)
        return Difference(first.value - second.value, independent, False, seeds=scattered)
    gaps = [_combination([value_in(point.seeds[seed], metric) for point in points]) for seed in seeds]
    return Difference(statistics.fmean(gaps), se_of_mean(gaps, known), True, independent)


def _combination(of: list[Any]) -> Any:
    return of[0] - of[1] - of[2] + of[3]


def _combined_se(study: Study, points: tuple[Entry, ...], metric: str, seed: int) -> float | None:
    found = [study.influence(point.seeds[seed], metric) for point in points]
    arrays = [influence for influence in found if influence is not None]
    if len(arrays) < len(found) or len({array.shape for array in arrays}) > 1 or len(arrays[0]) < 2:
        return None
    return float(np.std(_combination(arrays), ddof=1)) / math.sqrt(len(arrays[0]))
