"""The statements that claims consist of, each a number that should be below 0, with its standard error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from designspace.report.entry import Entry
from designspace.report.evidence.compare import Difference, difference
from designspace.report.study import Study
from designspace.text import describe, measured, one_line, value_of

NFE = "nfe"
"""Evaluations can be claimed of as a metric can: they are counted, and known but for the scatter over the images."""


class Part(NamedTuple):
    """One statement, and what was measured."""

    z: np.ndarray
    """``[S, C]``: the lowest of S numbers is below the lowest of C others; as of ``inference.evidence``."""
    numbers: str
    known: bool
    """Whether there is a standard error."""


def lower(study: Study, a: Entry, b: Entry, metric: str, tolerance: float = 0.0) -> list[Part]:
    r"""The first is lower than the second, or above it by less than a tolerance: :math:`a - b < \tau`."""
    found = difference(study, a, b, metric)
    return [_part(found.z_from(tolerance), _gap(found, a, b, metric) + _allowed(tolerance), found)]


def value_between(a: Entry, metric: str, bounds: Sequence[float]) -> list[Part]:
    """The value lies between the bounds."""
    value = _alone(a, metric)
    return _between(value, bounds, f"{one_line(a.about(metric).protocol)} {_value(a, metric)}")


def difference_between(study: Study, a: Entry, b: Entry, metric: str, bounds: Sequence[float]) -> list[Part]:
    """The first minus the second lies between the bounds."""
    found = difference(study, a, b, metric)
    return _between(found, bounds, _gap(found, a, b, metric))


def lowest_in(study: Study, inside: Sequence[Entry], outside: Sequence[Entry], metric: str) -> list[Part]:
    """The lowest of all is one of those inside."""
    found = [[difference(study, s, c, metric) for c in outside] for s in inside]
    a, b = (min(side, key=lambda point: point.value(metric)) for side in (inside, outside))
    nearest = found[inside.index(a)][outside.index(b)]
    z = np.array([[gap.z for gap in row] for row in found])
    return [Part(z, f"lowest of each side: {_gap(nearest, a, b, metric)}", not np.isnan(z).all())]


def diverged(inside: Sequence[Entry], outside: Sequence[Entry], metric: str) -> list[Part]:
    """The lowest of all is one of those inside, and these have diverged: it is not."""
    lowest, names = min(outside, key=lambda point: point.value(metric)), "; ".join(describe(p.axes) for p in inside)
    text = f"{one_line(lowest.about(metric).protocol)} {_value(lowest, metric)} against samples that are not finite"
    return [Part(np.array([[math.inf]]), f"{text} ({names})", True)]


def ratio(study: Study, a: Entry, b: Entry, metric: str, least: float) -> list[Part]:
    r"""The first is at least r times the second.

    The statement tested is linear, :math:`r\, b - a < 0`, so that b may be uncertain: Fieller (1954),
    https://doi.org/10.1111/j.2517-6161.1954.tb00159.x. Another one is that b is above 0. The error shown of the ratio
    is the delta method's, :math:`\mathrm{se}(a - \hat r b) / b`.
    """
    found, positive = difference(study, a, b, metric, least), _alone(b, metric)
    is_ = a.value(metric) / positive.value if positive.value else math.nan
    se = difference(study, a, b, metric, is_).se if math.isfinite(is_) else None
    text = f"{one_line(a.about(metric).protocol)} {_value(a, metric)} over {_value(b, metric)}: "
    text += f"ratio {measured(is_, None if se is None else se / abs(positive.value))}{_how(found)}, expected at least "
    return [_part(z, text + value_of(least), found) for z in (-found.z, -positive.z)]


def evaluations_ratio(a: Entry, b: Entry, least: float) -> list[Part]:
    """The first takes at least r times the evaluations of the second; where nothing scatters, they are exact."""
    se = math.hypot(_nfe_se(a), least * _nfe_se(b))
    found = Difference(a.nfe - least * b.nfe, se, False)
    text = " over ".join(f"{measured(e.nfe, _nfe_se(e) or None)} ({describe(e.axes)})" for e in (a, b))
    text = f"evaluations {text}: ratio {a.nfe / b.nfe:.4g}, expected at least {value_of(least)}"
    return [_part(-found.z if se or found.value else -math.inf, text, found)]


def _alone(a: Entry, metric: str) -> Difference:
    """Its value, less 0."""
    return Difference(a.value(metric), a.se(metric), False, seeds=a.scattered(metric))


def _part(z: float, text: str, found: Difference) -> Part:
    return Part(np.array([[z]]), text, found.se is not None)


def _between(found: Difference, bounds: Sequence[float], text: str) -> list[Part]:
    """Two one-sided tests: Schuirmann (1987), https://doi.org/10.1007/BF01068419."""
    low, high = bounds
    text += f", expected between {value_of(low)} and {value_of(high)}"
    return [_part(z, text, found) for z in (-found.z_from(low), found.z_from(high))]


def _gap(found: Difference, a: Entry, b: Entry, metric: str) -> str:
    text = f"{one_line(a.about(metric).protocol)} {_value(a, metric)} against {_value(b, metric)}"
    return f"{text}: difference {measured(found.value, found.se)}{_how(found)}"


def _how(found: Difference) -> str:
    return "" if found.se is None else " (paired)" if found.paired else " (not paired)"


def _allowed(tolerance: float) -> str:
    return f", expected below {value_of(tolerance)}" if tolerance else ""


def _value(a: Entry, metric: str) -> str:
    return f"{measured(a.value(metric), a.se(metric))} ({describe(a.axes)})"


def _nfe_se(a: Entry) -> float:
    return (a.nfe_sd or 0.0) / math.sqrt(a.images(NFE) * len(a.rows))
