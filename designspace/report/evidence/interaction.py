"""Interactions: whether the difference between two choices depends on another axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, starmap
from typing import Any

import numpy as np

from designspace.report.entry import Entry
from designspace.report.evidence.contrasts import Difference, Term, combination, difference
from designspace.report.evidence.inference import LEVEL
from designspace.report.evidence.statements import Statement, evaluations
from designspace.report.study import Study
from designspace.text import config_name, describe, joined, measured, one_line, value_of

Pair = tuple[Entry, Entry]
Levels = dict[Any, Pair]
"""The two points to compare at each level of an axis, all else equal."""


def depends(study: Study, axis: str, levels: Levels, metric: str) -> list[Statement]:
    r"""The difference of the metric, first minus second point, is not the same at all levels of the axis.

    This is one statement with an alternative for each pair of levels, :math:`-|d_i - d_j| < 0`, so that its p-value has
    Bonferroni's correction for the number of pairs. It cannot be contradicted: no data show that differences are equal.
    """
    changes = [*starmap(lambda one, two: change(study, one, two, metric), combinations(levels.values(), 2))]
    most = max(changes, key=lambda found: -1.0 if math.isnan(found.z) else abs(found.z))
    alone = {level: difference(study, a, b, metric) for level, (a, b) in levels.items()}
    a, b = next(iter(levels.values()))
    names, settings = _names(a, b, axis)
    counts = {level: evaluations(*pair) for level, pair in levels.items()}
    common = evaluations(a, b) if len({*counts.values()}) == 1 else ""
    shown = ", ".join(
        f"{measured(gap.value, gap.se)} for {value_of(level)}{'' if common else _aside(counts[level])}"
        for level, gap in alone.items()
    )
    what = f"{names[0]} minus {names[1]} by {axis}{settings}{common}"
    text = f"{one_line(a.about(metric).protocol)}, {what}: {shown}"
    z = np.array([[-abs(found.z)] for found in changes])
    note = _signs(alone, names, a.higher_is_better(metric))
    return [Statement(z, text, most, "change of the difference", note)]


def _names(a: Entry, b: Entry, axis: str) -> tuple[tuple[str, str], str]:
    """The names of the two points, and the settings that they share: ``(heun, dpm)`` and ``, at rho=7, nfe=9``."""
    common = {key: value for key, value in a.axes.items() if key != axis and b.axes.get(key) == value}
    one, two = (
        config_name({key: value for key, value in point.axes.items() if key != axis and key not in common})
        for point in (a, b)
    )
    return (one, two), f", at {describe(common)}" if common else ""


def _aside(text: str) -> str:
    """``, at 6 and 5 evaluations`` in parentheses."""
    return f" ({text.removeprefix(', ')})" if text else ""


def _signs(alone: Mapping[Any, Difference], names: Sequence[str], higher: bool | None) -> str:
    """A sentence on whether the sign changes, with Bonferroni's correction for the number of levels."""
    clear = {level: gap.value > 0 for level, gap in alone.items() if gap.p * len(alone) <= LEVEL}
    if len({*clear.values()}) < 2:
        return "The sign of the difference does not change significantly."
    first, second = (
        joined([value_of(level) for level, above in clear.items() if above is side])
        for side in ((True, False) if higher is not False else (False, True))
    )
    better = "larger" if higher is None else "better"
    return f"The sign changes significantly: {names[0]} is {better} for {first}, and {names[1]} for {second}."


def change(study: Study, one: Pair, two: Pair, metric: str) -> Difference:
    r"""The difference of two differences, :math:`(a_1 - b_1) - (a_2 - b_2)`."""
    points = zip((1.0, -1.0, -1.0, 1.0), (*one, *two), strict=True)
    return combination([Term(times, point, study) for times, point in points], metric)
