r"""The statements that must be true for a claim to hold: inequalities with the measured numbers that test them.

Each is of the form :math:`\theta < 0` and is tested by an estimate with its standard error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from designspace.report.entry import Count, Entry
from designspace.report.evidence.contrasts import Difference, difference
from designspace.report.evidence.factors import edges
from designspace.report.study import Study
from designspace.text import describe, measured, one_line, value_of

NFE = "nfe"
"""Claims may concern the number of evaluations, which is counted and has an error only for adaptive solvers."""


class Statement(NamedTuple):
    """One inequality, and the measured numbers that test it."""

    z: np.ndarray
    """``[S, C]``, for the statement that the lowest of S numbers is below the lowest of C others: see ``evidence``."""
    numbers: str
    estimate: Difference
    """The value that the statement is about and its standard error."""
    what: str = "difference"
    """What the estimate is: ``difference``, ``value``, ``ratio``."""
    note: str = ""
    """A sentence to add after the numbers."""

    @property
    def known(self) -> bool:
        """Whether there is any evidence, that is, whether a standard error is known."""
        return not bool(np.isnan(self.z).all())


def lower(study: Study, a: Entry, b: Entry, metric: str, tolerance: float = 0.0) -> list[Statement]:
    r"""The first is lower than the second, or higher by less than a tolerance: :math:`a - b < \tau`."""
    found = difference(study, a, b, metric)
    expected = f", expected below {value_of(tolerance)}" if tolerance else ""
    return [Statement(one(found.z_from(tolerance)), _gap(found, a, b, metric) + expected, found)]


def value_between(a: Entry, metric: str, bounds: Sequence[float]) -> list[Statement]:
    """The value lies between the bounds."""
    return _between(_alone(a, metric), bounds, f"{one_line(a.about(metric).protocol)} {_value(a, metric)}", "value")


def difference_between(study: Study, a: Entry, b: Entry, metric: str, bounds: Sequence[float]) -> list[Statement]:
    """The difference lies between the bounds."""
    found = difference(study, a, b, metric)
    return _between(found, bounds, _gap(found, a, b, metric))


def _between(found: Difference, bounds: Sequence[float], text: str, what: str = "difference") -> list[Statement]:
    """Two one-sided tests: Schuirmann (1987), https://doi.org/10.1007/BF01068419."""
    low, high = bounds
    text += f", expected between {value_of(low)} and {value_of(high)}"
    return [Statement(one(z), text, found, what) for z in (-found.z_from(low), found.z_from(high))]


def lowest_inside(
    study: Study, inside: Sequence[Entry], outside: Sequence[Entry], metric: str, along: str
) -> list[Statement]:
    """The lowest of all values is at one of the points ``inside``."""
    found = [[difference(study, s, c, metric) for c in outside] for s in inside]
    a, b = (min(side, key=lambda point: point.value(metric)) for side in (inside, outside))
    nearest = found[inside.index(a)][outside.index(b)]
    z = np.array([[gap.z for gap in row] for row in found])
    text = f"Lowest of each side: {_gap(nearest, a, b, metric)}"
    return [Statement(z, text + _at_the_edge(a if nearest.value <= 0 else b, [*inside, *outside], along), nearest)]


def _at_the_edge(lowest: Entry, points: Sequence[Entry], along: str) -> str:
    """A remark if the lowest value lies at an end of a numeric axis, so that values beyond it may be lower still."""
    values = [point.axes[along] for point in points]
    if not all(isinstance(value, int | float) for value in values):
        return ""
    here = lowest.axes[along]
    return f", the lowest at the edge of the grid ({describe({along: here})})" if here in edges(values) else ""


def all_diverged(inside: Sequence[Entry], outside: Sequence[Entry], metric: str) -> list[Statement]:
    """The statement of ``lowest_inside`` if all points ``inside`` have diverged, which makes it false."""
    lowest, names = min(outside, key=lambda point: point.value(metric)), "; ".join(describe(p.axes) for p in inside)
    text = f"{one_line(lowest.about(metric).protocol)} {_value(lowest, metric)} against samples that are not finite"
    return [Statement(one(math.inf), f"{text} ({names})", Difference(math.inf, 0.0, False))]


def ratio(study: Study, a: Entry, b: Entry, metric: str, least: float) -> list[Statement]:
    r"""The first is at least r times the second.

    The tested statement is linear, :math:`r\, b - a < 0`, which allows for an uncertain b: Fieller (1954),
    https://doi.org/10.1111/j.2517-6161.1954.tb00159.x. A second statement is that b is above 0. The error printed with
    the ratio is that of the delta method, :math:`\mathrm{se}(a - \hat r b) / b`.
    """
    found, positive = difference(study, a, b, metric, least), _alone(b, metric)
    text, shown = _ratio(study, a, b, metric, found)
    text += f", expected at least {value_of(least)}"
    return [Statement(one(z), text, shown, "ratio") for z in (-found.z, -positive.z)]


def ratio_near_one(study: Study, a: Entry, b: Entry, metric: str, most: float) -> list[Statement]:
    r"""Each is less than r times the other, r > 1, tested as :math:`a - r\, b < 0` and :math:`b - r\, a < 0`.

    Both together are only true of values above 0.
    """
    up, down = difference(study, a, b, metric, most), difference(study, b, a, metric, most)
    text, shown = _ratio(study, a, b, metric, up)
    text += f", expected between {value_of(float(f'{1 / most:.4g}'))} and {value_of(float(f'{most:.4g}'))}"
    return [Statement(one(found.z), text, shown, "ratio") for found in (up, down)]


def _ratio(study: Study, a: Entry, b: Entry, metric: str, found: Difference) -> tuple[str, Difference]:
    """The ratio of the first to the second in words, and as a number; ``found`` is the difference that is tested."""
    divisor = b.value(metric)
    is_ = a.value(metric) / divisor if divisor else math.nan
    se = difference(study, a, b, metric, is_).se if math.isfinite(is_) else None
    shown = Difference(is_, None if se is None else se / abs(divisor), found.paired)
    text = f"{one_line(a.about(metric).protocol)} {_value(a, metric)} over {_value(b, metric)}{evaluations(a, b)}: "
    return f"{text}ratio {measured(is_, shown.se)}{_how(found)}", shown


def evaluations_ratio(a: Entry, b: Entry, least: float) -> list[Statement]:
    """The first takes at least r times the evaluations of the second; counts are exact unless a solver is adaptive."""
    se = math.hypot(_nfe_se(a), least * _nfe_se(b))
    found = Difference(a.nfe - least * b.nfe, se, False)
    text = " over ".join(f"{measured(e.nfe, _nfe_se(e) or None)} ({describe(e.axes)})" for e in (a, b))
    text = f"Evaluations {text}: ratio {a.nfe / b.nfe:.4g}, expected at least {value_of(least)}"
    shown = Difference(a.nfe / b.nfe, None, False)
    return [Statement(one(-found.z if se or found.value else -math.inf), text, shown, "ratio")]


def _nfe_se(a: Entry) -> float:
    return (a.nfe_sd or 0.0) / math.sqrt(a.images(NFE) * len(a.rows))


def _alone(a: Entry, metric: str) -> Difference:
    """The difference between a value and 0."""
    return Difference(a.value(metric), a.se(metric), False, degrees=a.degrees(metric), skew=a.skew(metric))


def one(z: float) -> np.ndarray:
    """The z-value of a single difference, as an array."""
    return np.array([[z]])


def evaluations(a: Entry, b: Entry) -> str:
    """``, at 6 and 5 evaluations`` if the points took unequal numbers that their budgets do not tell."""
    count: Count = "nfe_total" if any(point.spent("nfe_guidance") for point in (a, b)) else "nfe"
    spent = [point.spent(count) for point in (a, b)]
    if spent[0] == spent[1] or all(point.axes.get(count) == own for point, own in zip((a, b), spent, strict=True)):
        return ""
    of_guidance = " with those of guidance" if count == "nfe_total" else ""
    return f", at {spent[0]:.4g} and {spent[1]:.4g} evaluations{of_guidance}"


def _gap(found: Difference, a: Entry, b: Entry, metric: str) -> str:
    text = f"{one_line(a.about(metric).protocol)} {_value(a, metric)} against {_value(b, metric)}{evaluations(a, b)}"
    return f"{text}: difference {measured(found.value, found.se)}{_how(found)}"


def _how(found: Difference) -> str:
    """Where the standard error comes from: ``(paired)``, ``(paired, Student's t, degrees of freedom: 4)``."""
    if found.se is None:
        return ""
    few = "" if found.degrees is None else f", Student's t, degrees of freedom: {found.degrees:.3g}"
    return f" ({'paired' if found.paired else 'unpaired'}{few})"


def _value(a: Entry, metric: str) -> str:
    return f"{measured(a.value(metric), a.se(metric))} ({describe(a.axes)})"
