r"""What each kind of claim compares, and the statements that must be true for it to hold.

A claim makes one or more comparisons, for instance one at each budget. A comparison needs some points; once these are
measured, it yields statements of the form :math:`\theta < 0`, each tested by an estimate with its standard error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from designspace.report.entry import Entry
from designspace.report.evidence.contrasts import Difference, difference
from designspace.report.points import lines, pairs, select
from designspace.report.study import Study
from designspace.results.records import Expect
from designspace.text import describe, measured, one_line, value_of

NFE = "nfe"
"""Claims may concern the number of evaluations, which is counted and has an error only for adaptive solvers."""


class Statement(NamedTuple):
    """One inequality, and the measured numbers that test it."""

    z: np.ndarray
    """``[S, C]``, for the statement that the lowest of S numbers is below the lowest of C others: see ``evidence``."""
    numbers: str
    known: bool
    """Whether the standard error is known."""


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
        yield Needed((a, b), partial(_lower, study, a, b, expect["metric"]))


def within(study: Study, expect: Expect) -> Iterator[Needed]:
    r"""A value, or the difference of two, lies between bounds: :math:`l < \theta` and :math:`\theta < u`."""
    metric, points, tolerance = expect["metric"], expect["within"], expect.get("tolerance")
    bounds = expect["bounds"] if tolerance is None else (-tolerance, tolerance)
    if len(points) == 1:
        for a in select(study.points, points[0]):
            yield Needed((a,), partial(_value_between, a, metric, bounds))
        return
    for a, b in _pairs(study, *points):
        yield Needed((a, b), partial(_difference_between, study, a, b, metric, bounds))


def monotone(study: Study, expect: Expect) -> Iterator[Needed]:
    r"""Along an axis, all else equal, each value is below (or above) the preceding one.

    With a tolerance :math:`\tau`, a decreasing metric may rise by less than that: :math:`m_{i+1} - m_i < \tau`.
    """
    falling = expect["monotone"] == "decreasing"
    for line in lines(select(study.points, expect["at"]), expect["along"]):
        for before, after in pairwise(line):
            a, b = (after, before) if falling else (before, after)
            yield Needed((a, b), partial(_lower, study, a, b, expect["metric"], expect["tolerance"]))


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
            yield Needed(kept, partial(_lowest_inside, study, inside, outside, metric))
        elif outside and lost:
            yield Needed(outside, partial(_all_diverged, lost, outside, metric))


def ratio_at_least(study: Study, expect: Expect) -> Iterator[Needed]:
    r"""The metric (or ``nfe``) at the first points is at least r times that at the second: :math:`r\, b - a < 0`."""
    metric, ratio = expect["metric"], expect["ratio_at_least"]
    for a, b in _pairs(study, *expect["of"]):
        if metric == NFE:
            yield Needed((a, b), partial(_evaluations_ratio, a, b, ratio))
        else:
            yield Needed((a, b), partial(_ratio, study, a, b, metric, ratio))


KINDS: Mapping[str, Callable[[Study, Expect], Iterator[Needed]]] = {
    "less": less,
    "within": within,
    "monotone": monotone,
    "argmin_in": argmin_in,
    "ratio_at_least": ratio_at_least,
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


def _lower(study: Study, a: Entry, b: Entry, metric: str, tolerance: float = 0.0) -> list[Statement]:
    r"""The first is lower than the second, or higher by less than a tolerance: :math:`a - b < \tau`."""
    found = difference(study, a, b, metric)
    expected = f", expected below {value_of(tolerance)}" if tolerance else ""
    return [_statement(found.z_from(tolerance), _gap(found, a, b, metric) + expected, found)]


def _value_between(a: Entry, metric: str, bounds: Sequence[float]) -> list[Statement]:
    return _between(_alone(a, metric), bounds, f"{one_line(a.about(metric).protocol)} {_value(a, metric)}")


def _difference_between(study: Study, a: Entry, b: Entry, metric: str, bounds: Sequence[float]) -> list[Statement]:
    found = difference(study, a, b, metric)
    return _between(found, bounds, _gap(found, a, b, metric))


def _between(found: Difference, bounds: Sequence[float], text: str) -> list[Statement]:
    """Two one-sided tests: Schuirmann (1987), https://doi.org/10.1007/BF01068419."""
    low, high = bounds
    text += f", expected between {value_of(low)} and {value_of(high)}"
    return [_statement(z, text, found) for z in (-found.z_from(low), found.z_from(high))]


def _lowest_inside(study: Study, inside: Sequence[Entry], outside: Sequence[Entry], metric: str) -> list[Statement]:
    """The lowest of all values is at one of the points ``inside``."""
    found = [[difference(study, s, c, metric) for c in outside] for s in inside]
    a, b = (min(side, key=lambda point: point.value(metric)) for side in (inside, outside))
    nearest = found[inside.index(a)][outside.index(b)]
    z = np.array([[gap.z for gap in row] for row in found])
    return [Statement(z, f"lowest of each side: {_gap(nearest, a, b, metric)}", not np.isnan(z).all())]


def _all_diverged(inside: Sequence[Entry], outside: Sequence[Entry], metric: str) -> list[Statement]:
    """The statement of ``_lowest_inside`` if all points ``inside`` have diverged, which makes it false."""
    lowest, names = min(outside, key=lambda point: point.value(metric)), "; ".join(describe(p.axes) for p in inside)
    text = f"{one_line(lowest.about(metric).protocol)} {_value(lowest, metric)} against samples that are not finite"
    return [Statement(np.array([[math.inf]]), f"{text} ({names})", True)]


def _ratio(study: Study, a: Entry, b: Entry, metric: str, least: float) -> list[Statement]:
    r"""The first is at least r times the second.

    The tested statement is linear, :math:`r\, b - a < 0`, which allows for an uncertain b: Fieller (1954),
    https://doi.org/10.1111/j.2517-6161.1954.tb00159.x. A second statement is that b is above 0. The error printed with
    the ratio is that of the delta method, :math:`\mathrm{se}(a - \hat r b) / b`.
    """
    found, positive = difference(study, a, b, metric, least), _alone(b, metric)
    is_ = a.value(metric) / positive.value if positive.value else math.nan
    se = difference(study, a, b, metric, is_).se if math.isfinite(is_) else None
    text = f"{one_line(a.about(metric).protocol)} {_value(a, metric)} over {_value(b, metric)}: "
    text += f"ratio {measured(is_, None if se is None else se / abs(positive.value))}{_how(found)}, expected at least "
    return [_statement(z, text + value_of(least), found) for z in (-found.z, -positive.z)]


def _evaluations_ratio(a: Entry, b: Entry, least: float) -> list[Statement]:
    """The first takes at least r times the evaluations of the second; counts are exact unless a solver is adaptive."""
    se = math.hypot(_nfe_se(a), least * _nfe_se(b))
    found = Difference(a.nfe - least * b.nfe, se, False)
    text = " over ".join(f"{measured(e.nfe, _nfe_se(e) or None)} ({describe(e.axes)})" for e in (a, b))
    text = f"evaluations {text}: ratio {a.nfe / b.nfe:.4g}, expected at least {value_of(least)}"
    return [_statement(-found.z if se or found.value else -math.inf, text, found)]


def _nfe_se(a: Entry) -> float:
    return (a.nfe_sd or 0.0) / math.sqrt(a.images(NFE) * len(a.rows))


def _alone(a: Entry, metric: str) -> Difference:
    """The difference between a value and 0."""
    return Difference(a.value(metric), a.se(metric), False, degrees=a.degrees(metric))


def _statement(z: float, text: str, found: Difference) -> Statement:
    return Statement(np.array([[z]]), text, found.se is not None)


def _gap(found: Difference, a: Entry, b: Entry, metric: str) -> str:
    text = f"{one_line(a.about(metric).protocol)} {_value(a, metric)} against {_value(b, metric)}"
    return f"{text}: difference {measured(found.value, found.se)}{_how(found)}"


def _how(found: Difference) -> str:
    return "" if found.se is None else " (paired)" if found.paired else " (unpaired)"


def _value(a: Entry, metric: str) -> str:
    return f"{measured(a.value(metric), a.se(metric))} ({describe(a.axes)})"
