"""What each kind of claim compares.

A claim makes one or more comparisons, for instance one at each budget. A comparison needs some points; once these are
measured, it yields the ``statements`` that must be true for the claim to hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from designspace.report.entry import Entry
from designspace.report.evidence import interaction, statements
from designspace.report.evidence.statements import NFE, Statement
from designspace.report.points import lines, pairs, select
from designspace.report.study import Study
from designspace.results.records import Expect


class Needed(NamedTuple):
    """The points that a comparison needs, and the statements that it makes once they are measured."""

    entries: Sequence[Entry]
    statements: Callable[[], list[Statement]]


def comparisons(study: Study, expect: Expect) -> list[Needed] | None:
    """The comparisons of a claim; ``None`` if this version does not know the kind of claim or cannot read it."""
    kind = next((kind for name, kind in KINDS.items() if name in expect), None)
    if kind is None or not isinstance(expect.get("metric"), str):
        return None
    try:
        return list(kind(study, expect))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def less(study: Study, expect: Expect) -> Iterator[Needed]:
    r"""The metric is lower at the first points than at the second ones: :math:`a - b < 0` for each pair."""
    for a, b in _pairs(study, *expect["less"]):
        yield Needed((a, b), partial(statements.lower, study, a, b, expect["metric"]))


def within(study: Study, expect: Expect) -> Iterator[Needed]:
    r"""A value, or the difference of two, lies between bounds: :math:`l < \theta` and :math:`\theta < u`.

    With ``percent``, two values differ by less than a share of the smaller: :math:`a < (1 + p/100)\, b` and
    :math:`b < (1 + p/100)\, a`.
    """
    metric, points, percent = expect["metric"], expect["within"], expect.get("percent")
    if percent is not None:
        for a, b in _pairs(study, *points):
            yield Needed((a, b), partial(statements.ratio_near_one, study, a, b, metric, 1 + percent / 100))
        return
    tolerance = expect.get("tolerance")
    bounds = expect["bounds"] if tolerance is None else (-tolerance, tolerance)
    if len(points) == 1:
        for a in select(study.points, points[0]):
            yield Needed((a,), partial(statements.value_between, a, metric, bounds))
        return
    for a, b in _pairs(study, *points):
        yield Needed((a, b), partial(statements.difference_between, study, a, b, metric, bounds))


def monotone(study: Study, expect: Expect) -> Iterator[Needed]:
    r"""Along an axis, all else equal, each value is below (or above) the preceding one.

    With a tolerance :math:`\tau`, a decreasing metric may rise by less than that: :math:`m_{i+1} - m_i < \tau`.
    """
    falling = expect["monotone"] == "decreasing"
    for line in lines(select(study.points, expect["at"]), expect["along"]):
        for before, after in pairwise(line):
            a, b = (after, before) if falling else (before, after)
            yield Needed((a, b), partial(statements.lower, study, a, b, expect["metric"], expect["tolerance"]))


def argmin_in(study: Study, expect: Expect) -> Iterator[Needed]:
    """Along an axis, all else equal, the metric is lowest at one of the given values of the axis.

    Points whose samples diverged are left out. If all points at the given values diverged, the claim fails.
    """
    metric, along, chosen = expect["metric"], expect["along"], expect["argmin_in"]
    for line in lines(select(study.points, expect["at"]), along):
        kept = [point for point in line if not _diverged(study, point, metric)]
        inside, outside = ([p for p in kept if (p.axes[along] in chosen) is within] for within in (True, False))
        lost = [point for point in line if point not in kept and point.axes[along] in chosen]
        if inside and outside:
            yield Needed(kept, partial(statements.lowest_inside, study, inside, outside, metric, along))
        elif outside and lost:
            yield Needed(outside, partial(statements.all_diverged, lost, outside, metric))


def ratio_at_least(study: Study, expect: Expect) -> Iterator[Needed]:
    r"""The metric (or ``nfe``) at the first points is at least r times that at the second: :math:`r\, b - a < 0`."""
    metric, ratio = expect["metric"], expect["ratio_at_least"]
    for a, b in _pairs(study, *expect["of"]):
        if metric == NFE:
            yield Needed((a, b), partial(statements.evaluations_ratio, a, b, ratio))
        else:
            yield Needed((a, b), partial(statements.ratio, study, a, b, metric, ratio))


def interacting(study: Study, expect: Expect) -> Iterator[Needed]:
    r"""The difference between the first and the second points depends on an axis, all else equal."""
    first, second = expect["interaction"]
    axis, levels = expect["with"], dict[tuple[object, ...], interaction.Levels]()
    for a, b in _pairs(study, first, second):
        rest = tuple(item for item in a.axes.items() if item[0] != axis)
        levels.setdefault(rest, {})[a.axes[axis]] = (a, b)
    for line in levels.values():
        if len(line) > 1:
            points = [entry for pair in line.values() for entry in pair]
            yield Needed(points, partial(interaction.depends, study, axis, line, expect["metric"]))


KINDS: Mapping[str, Callable[[Study, Expect], Iterator[Needed]]] = {
    "less": less,
    "within": within,
    "monotone": monotone,
    "argmin_in": argmin_in,
    "ratio_at_least": ratio_at_least,
    "interaction": interacting,
}


def _pairs(study: Study, first: Expect, second: Expect) -> list[tuple[Entry, Entry]]:
    """Pairs of points with the given values that agree on all other axes or, if there are none, all pairs."""
    free = [axis for axis in study.about.axes if axis not in first and axis not in second]
    sides = select(study.points, first), select(study.points, second)
    return pairs(*sides, free) or pairs(*sides, [])


def _diverged(study: Study, point: Entry, metric: str) -> bool:
    """Whether the samples are NaN or infinite, so that there can be no finite value."""
    if point.rows:
        return point.has(metric) and not math.isfinite(point.value(metric))
    return any(row.axes == point.axes for row in study.failures if row.not_finite)
