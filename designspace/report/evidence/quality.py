r"""Evaluations for equal quality: the least NFE at which each configuration is as good as the reference or the best.

The target T is the upper end of the 95 % range of the drawn reference (its mean plus 1.96 standard deviations over
draws) if any configuration reaches it, or else 3 % more than the lowest value of the ablation. For each configuration,
:math:`n^*` is the least of its measured NFE whose expected value is at most T.

The 95 % interval of :math:`n^*` comes from a test against the target at each NFE, which includes the error of the
target: ``targets``. Its lower end is the first NFE that is not significantly above the target (one-sided, 2.5 %): it
lies above :math:`n^*` only if the test at :math:`n^*` itself is wrong. Its upper end is the first NFE that is
significantly below the target, where the level of 2.5 % is divided by the number of NFE (Bonferroni): it lies below
:math:`n^*` only if one of the tests before it is wrong. As far as the tests keep their levels, the interval therefore
holds :math:`n^*` with a probability of at least 95 %, whatever the shape of the curve and the dependence of its errors.
If no measured NFE suffices, its upper end is open with a probability of at least 97.5 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from designspace.report.entry import BUDGET, Entry
from designspace.report.evidence.differences import finite
from designspace.report.evidence.inference import LEVEL
from designspace.report.evidence.paper import model_of
from designspace.report.evidence.targets import DrawnRange, NearBest, Target
from designspace.report.study import Study, rivals
from designspace.text import config_name, value_of


@dataclass(frozen=True)
class Reached:
    """The NFE that a configuration needs."""

    config: str
    nfe: float | None
    """The first measured NFE whose value is at most the target; ``None`` if there is none."""
    low: float | None
    """The lower end of the 95 % interval; ``None`` if all measured NFE are too few."""
    high: float | None
    """The upper end; ``None`` if no measured NFE is certainly enough."""
    measured: tuple[float, ...]
    """The NFE at which the configuration was measured, in ascending order."""
    times: float | None = None
    """The NFE of the configuration to compare with, divided by this one."""
    bound: str = ""
    """``≥`` or ``≤`` if ``times`` is a bound."""


@dataclass(frozen=True, eq=False)
class Quality:
    """The NFE of all configurations for the same quality."""

    study: Study
    metric: str
    points: tuple[Entry, ...]
    model: str
    target: float
    drawn: bool
    """Whether the target is the drawn reference; otherwise, it is 3 % more than the lowest value."""
    baseline: str
    """The choice of the first axis with whose NFE those of the others are compared, all else equal."""
    reached: tuple[Reached, ...]
    """In the order of the ablation."""

    @property
    def differs(self) -> bool:
        """Whether configurations reach the target with different NFE, or with fewer than the baseline."""
        known = {one.nfe for one in self.reached if one.nfe is not None}
        return len(known) > 1 or any(one.times is not None and one.times > 1 for one in self.reached)


def quality(study: Study, metric: str) -> list[Quality]:
    """One for each group of rivals and each kind of model.

    Empty without an axis of NFE or a second configuration, and if the metric is no distance from a reference.
    """
    if study.column_axis not in ("nfe", "nfe_total"):
        return []
    models: dict[tuple[int, str], list[Entry]] = {}
    for i, group in enumerate(rivals(study.entries, metric)):
        for entry in finite(group, metric):
            models.setdefault((i, model_of(entry)), []).append(entry)
    return [found for group in models.values() if (found := _of(study, metric, group))]


def _of(study: Study, metric: str, points: Sequence[Entry]) -> Quality | None:
    curves = {axes: curve for axes, curve in _curves(study, points).items() if len(curve) > 1}
    first = points[0]
    if len(curves) < 2 or first.higher_is_better(metric) is not False or first.about(metric).n is not None:
        return None
    target = _target(study, metric, points)
    found = {axes: _reached(study, metric, axes, curve, target) for axes, curve in curves.items()}
    compared = _compared(study, found)
    return Quality(
        study, metric, tuple(points), model_of(first), target.value, isinstance(target, DrawnRange), *compared
    )


def _target(study: Study, metric: str, points: Sequence[Entry]) -> Target:
    """The drawn reference if any point comes within it, or else the lowest value."""
    drawn = points[0].drawn(metric)
    within = DrawnRange(metric, *drawn) if drawn else None
    reached = within and any(entry.value(metric) <= within.value for entry in points)
    return within if within and reached else NearBest(study, metric, points)


Axes = tuple[tuple[str, object], ...]


def _curves(study: Study, points: Sequence[Entry]) -> dict[Axes, list[Entry]]:
    """The points of each configuration, by ascending NFE. Axes with a single value are left out.

    The points of a joint report may have different axes.
    """
    axes = dict.fromkeys(axis for entry in points for axis in entry.axes if axis not in BUDGET)
    varied = [axis for axis in axes if len({entry.axes.get(axis) for entry in points}) > 1]
    found: dict[Axes, list[Entry]] = {}
    for entry in points:
        where = tuple((axis, entry.axes[axis]) for axis in varied if axis in entry.axes)
        found.setdefault(where, []).append(entry)
    return {axes: sorted(curve, key=lambda entry: entry.spent(study.count)) for axes, curve in found.items()}


def _reached(study: Study, metric: str, axes: Axes, curve: Sequence[Entry], target: Target) -> Reached:
    nfe = tuple(entry.spent(study.count) for entry in curve)
    at = next((n for n, entry in zip(nfe, curve, strict=True) if entry.value(metric) <= target.value), None)
    return Reached(config_name(dict(axes)), at, *_ends(study, curve, target), nfe)


def _ends(study: Study, curve: Sequence[Entry], target: Target) -> tuple[float | None, float | None]:
    """The ends of the 95 % interval of the first NFE at which the curve is at most the target."""
    side, one = LEVEL / 2, LEVEL / 2 / len(curve)
    low = next((entry.spent(study.count) for entry in curve if not target.missed(entry, side)), None)
    high = next((entry.spent(study.count) for entry in curve if target.reached(entry, one)), None)
    return low, high


def _compared(study: Study, found: Mapping[Axes, Reached]) -> tuple[str, tuple[Reached, ...]]:
    """The baseline's choice on the first axis, and the configurations with the ratio of its NFE to theirs."""
    axis = next((of[0][0] for of in found if of), None)
    if axis is None:
        return "", tuple(found.values())
    choices = [of[0][1] for of in found]
    base = study.about.baseline_axes.get(axis, choices[0])
    base = base if base in choices else choices[0]
    compared = (_ratio(found.get(((axis, base), *of[1:])), one) for of, one in found.items())
    return value_of(base), tuple(compared)


def _ratio(base: Reached | None, one: Reached) -> Reached:
    """The configuration with ``times``; NFE that were not reached, or reached at the first measured one, are bounds."""
    if base is None or base is one or one.nfe is None:
        return one
    too_low = base.nfe is None or one.nfe == one.measured[0]
    too_high = base.nfe == base.measured[0]
    if too_low and too_high:
        return one
    times = (base.measured[-1] if base.nfe is None else base.nfe) / one.nfe
    return replace(one, times=times, bound="≥" if too_low else "≤" if too_high else "")


def fastest(found: Quality) -> Iterator[Reached]:
    """The configurations that reach the target, those with the least NFE first."""
    yield from sorted((one for one in found.reached if one.nfe is not None), key=lambda one: one.nfe or 0.0)
