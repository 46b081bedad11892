"""The kinds of claims: which points each compares, and what it states of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from designspace.report.entry import Entry
from designspace.report.evidence import parts
from designspace.report.evidence.parts import Part
from designspace.report.points import lines, pairs, select
from designspace.report.study import Study
from designspace.results.records import Expect


class Asked(NamedTuple):
    """Points that are to be compared, and what is stated of them once they are measured."""

    entries: Sequence[Entry]
    parts: Callable[[], list[Part]]


Kind = Callable[[Study, Expect], Iterator[Asked]]


def less(study: Study, expect: Expect) -> Iterator[Asked]:
    r"""The metric is lower at the first points than at the second: :math:`a - b < 0` for each pair."""
    for a, b in _pairs(study, *expect["less"]):
        yield Asked((a, b), partial(parts.lower, study, a, b, expect["metric"]))


def within(study: Study, expect: Expect) -> Iterator[Asked]:
    r"""A value, or the difference of two, lies between bounds: :math:`l < \theta` and :math:`\theta < u`, both."""
    metric, points, tolerance = expect["metric"], expect["within"], expect.get("tolerance")
    bounds = expect["bounds"] if tolerance is None else (-tolerance, tolerance)
    if len(points) == 1:
        for a in select(study.points, points[0]):
            yield Asked((a,), partial(parts.value_between, a, metric, bounds))
        return
    for a, b in _pairs(study, *points):
        yield Asked((a, b), partial(parts.difference_between, study, a, b, metric, bounds))


def monotone(study: Study, expect: Expect) -> Iterator[Asked]:
    r"""Along an axis, with all others equal, each value is below (or above) the one before it.

    With a tolerance :math:`\tau`, decreasing: none is above the one before by tau, :math:`m_{i+1} - m_i < \tau`.
    """
    falling = expect["monotone"] == "decreasing"
    for line in lines(select(study.points, expect["at"]), expect["along"]):
        for before, after in pairwise(line):
            a, b = (after, before) if falling else (before, after)
            yield Asked((a, b), partial(parts.lower, study, a, b, expect["metric"], expect["tolerance"]))


def argmin_in(study: Study, expect: Expect) -> Iterator[Asked]:
    """The lowest value along an axis, with all others equal, is at one of the values given.

    Points that diverged are not the lowest and are left out; where all of the given ones did, another is.
    """
    metric, along, chosen = expect["metric"], expect["along"], expect["argmin_in"]
    for line in lines(select(study.points, expect["at"]), along):
        kept = [point for point in line if not _diverged(study, point, metric)]
        inside, outside = ([p for p in kept if (p.axes[along] in chosen) is within] for within in (True, False))
        lost = [point for point in line if point not in kept and point.axes[along] in chosen]
        if inside and outside:
            yield Asked(kept, partial(parts.lowest_in, study, inside, outside, metric))
        elif outside and lost:
            yield Asked(outside, partial(parts.diverged, lost, outside, metric))


def ratio_at_least(study: Study, expect: Expect) -> Iterator[Asked]:
    r"""The metric, or ``nfe``, of the first points is at least r times that of the second: :math:`r\, b - a < 0`."""
    metric, ratio = expect["metric"], expect["ratio_at_least"]
    for a, b in _pairs(study, *expect["of"]):
        if metric == parts.NFE:
            yield Asked((a, b), partial(parts.evaluations_ratio, a, b, ratio))
        else:
            yield Asked((a, b), partial(parts.ratio, study, a, b, metric, ratio))


KINDS: Mapping[str, Kind] = {
    "less": less,
    "within": within,
    "monotone": monotone,
    "argmin_in": argmin_in,
    "ratio_at_least": ratio_at_least,
}


def asked(study: Study, expect: Expect) -> list[Asked] | None:
    """All that is to be compared; ``None`` if this version does not know the kind of claim, or how it is written."""
    kind = next((kind for name, kind in KINDS.items() if name in expect), None)
    if kind is None or not isinstance(expect.get("metric"), str):
        return None
    try:
        return list(kind(study, expect))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _diverged(study: Study, point: Entry, metric: str) -> bool:
    """Whether its samples went to NaN or infinity: there is no distance then, and never will be."""
    if point.rows:
        return point.has(metric) and not math.isfinite(point.value(metric))
    return any(row.axes == point.axes for row in study.failures if row.not_finite)


def _pairs(study: Study, first: Expect, second: Expect) -> list[tuple[Entry, Entry]]:
    """Points with the values of each; axes that neither names are equal, if they can be."""
    free = [axis for axis in study.about.axes if axis not in first and axis not in second]
    sides = select(study.points, first), select(study.points, second)
    return pairs(*sides, free) or pairs(*sides, [])
