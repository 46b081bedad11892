"""Metrics against the number of evaluations or the values of an axis, as panels of curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from designspace.drawing.panels import Curve, Panel
from designspace.drawing.scales import Scale, linear_scale, scale_of_distances
from designspace.report.entry import BUDGET, Count, Entry, converged_error
from designspace.report.evidence.paper import model_of
from designspace.report.figures.looks import Key, Roles, is_thick, roles
from designspace.report.study import Study, rivals
from designspace.text import config_name, joined, joint_name, one_line

EVALUATIONS = {
    "nfe": "NFE (denoiser evaluations per image)",
    "nfe_guidance": "evaluations per image that guidance adds",
    "nfe_total": "network evaluations per image, with those of guidance",
}
"""The labels of x axes, by the count that they show."""
COUNTS: dict[str, Count] = {count: count for count in get_args(Count)}
LEAST_VALUES = 3
"""A metric is drawn against an axis if that has at least this many values."""
LISTED = 4
"""The largest number of names of the same curve that a note lists."""
QUANTITIES = {"gradient_norm": "SD over noise levels of log₁₀ gradient norm"}
"""The quantities of metrics whose names are those of the values at each noise level. Results do not record them."""


@dataclass(frozen=True)
class Level:
    """A value that the curves can be compared with."""

    name: str
    value: float
    sd: float = 0.0
    """The standard deviation of the value; 0 if it has none."""


@dataclass(frozen=True, eq=False)
class MetricPanel(Panel):
    """One curve per configuration, with comparable values."""

    level: Level | None = None
    higher: bool | None = False
    """Whether higher values are better; ``None`` if neither higher nor lower values are."""

    @property
    def x(self) -> list[float]:
        """The distinct positions on the x axis in increasing order."""
        return sorted({x for curve in self.curves for x in curve.x})

    @property
    def values(self) -> list[float]:
        """The values of all curves."""
        return [y for curve in self.curves for y in curve.y]


def y_scale(panels: Sequence[MetricPanel]) -> Scale:
    """The y axis of comparable panels: logarithmic for distances, linear for metrics where lower is not better."""
    levels = [panel.level.value for panel in panels if panel.level]
    curves = [curve for panel in panels for curve in panel.curves]
    values, intervals = [y for curve in curves for y in curve.y], [ends for curve in curves for ends in curve.intervals]
    return (scale_of_distances if panels[0].higher is False else linear_scale)(values, intervals, levels)


def panels(study: Study, metric: str, axis: str = "") -> list[MetricPanel]:
    """The panels of each group of rivals, against the values of ``axis`` or a count of evaluations.

    By default it is the count of the study. Which axes have panels of their own is decided in ``looks``.
    """
    groups = [[e for e in group if math.isfinite(e.value(metric))] for group in rivals(study.entries, metric)]
    own = roles(study, axis if axis not in COUNTS else "")
    parts = [part for group in groups for part in _parts(group, own)]
    found = _once([_panel(part, metric, axis or study.count, own, several=len(parts) > 1) for part in parts])
    thick = own.thick if any(is_thick(curve.style) for panel in found for curve in panel.curves) else ""
    return [replace(panel, note=f"{panel.note}\n{thick}".rstrip()) for panel in found]


def _once(panels: list[MetricPanel]) -> list[MetricPanel]:
    """A single panel if all are equal, as for properties of a network at different budgets."""
    shown = [(panel.label, [(c.name, c.x, c.y, c.intervals) for c in panel.curves]) for panel in panels]
    same = len(panels) > 1 and all(one == shown[0] for one in shown)
    return [replace(panels[0], title="")] if same else panels


def _parts(group: Sequence[Entry], roles: Roles) -> list[list[Entry]]:
    """The points of each panel."""
    found: dict[Key, list[Entry]] = {}
    for entry in group:
        found.setdefault(roles.panel(entry), []).append(entry)
    return list(found.values())


def varies_in(study: Study, metric: str, axis: str) -> bool:
    """Whether some curve against ``axis`` or a count of evaluations has points at different positions."""
    for group in rivals(study.entries, metric):
        first: dict[str, float] = {}
        if any(first.setdefault(curve_name(e, axis), at) != at for e in group for at in [against(e, axis)]):
            return True
    return False


def depends_on_budget(study: Study, metric: str) -> bool:
    """Whether the metric of some configuration differs between budgets, as properties of a network do not."""
    first: dict[str, float] = {}
    known = [entry for entry in study.entries if entry.has(metric) and math.isfinite(entry.value(metric))]
    return any(first.setdefault(entry.config, value) != value for entry in known for value in [entry.value(metric)])


def numeric_axes(study: Study) -> list[str]:
    """The axes whose values are several numbers, except for budgets and seeds."""
    axes = [axis for axis in study.about.axes if axis not in (*BUDGET, "seed")]
    values = {axis: {entry.axes[axis] for entry in study.entries} for axis in axes}
    return [axis for axis, of in values.items() if len(of) >= LEAST_VALUES and all(map(_is_finite, of))]


def against(entry: Entry, axis: str) -> float:
    """The position of a point on the x axis: its value of ``axis``, or a count of evaluations."""
    return entry.spent(COUNTS[axis]) if axis in COUNTS else float(entry.axes[axis])


def curve_name(entry: Entry, axis: str) -> str:
    """The name of the curve through this point, against ``axis`` or a count of evaluations."""
    return entry.config if axis in EVALUATIONS else config_name({k: v for k, v in entry.axes.items() if k != axis})


def each_once(configs: Mapping[str, list[Entry]]) -> dict[str, list[Entry]]:
    """The configurations without repetitions: those with the same trials are merged under a joint name."""
    return {joint_name(names): configs[names[0]] for names in _same(configs)}


def _same(configs: Mapping[str, list[Entry]]) -> list[list[str]]:
    """The names of configurations, together if their trials are the same."""
    same: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for name, entries in configs.items():
        same.setdefault(tuple(entry.trials for entry in entries), []).append(name)
    return [*same.values()]


def quantity(entry: Entry, metric: str) -> str:
    """The label of an axis of values: their protocol or, if that has the name of something else, the quantity."""
    protocol = one_line(entry.about(metric).protocol)
    return QUANTITIES.get(protocol.partition("(")[0], protocol)


def level_of(entry: Entry, metric: str) -> Level | None:
    """The drawn reference or, for an observation, the error of the converged solution; ``None`` if there is none."""
    if error := converged_error(entry.rows[0], metric):
        return Level("error of the converged solution", error)
    drawn = entry.drawn(metric)
    return None if drawn is None else Level("drawn reference", *drawn)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def measured_on(entries: Sequence[Entry], metric: str) -> str:
    """A note on what the values of a figure are, on two lines.

    ``digits, network digits`` are the data and the model, as far as all values have the same, and below it stands
    ``n = 3,200 images for 3 seeds, bars: 95 % intervals``.
    """
    bars = "bars: 95 % intervals" if any(e.se(metric) is not None for e in entries) else "no error bars"
    seeds = max(entry.expected for entry in entries)
    note = f"n = {entries[0].images(metric):,} images" + (f" for {seeds} seeds" if seeds > 1 else "") + f", {bars}"
    note += ", one training run" if any(entry.trainings == 1 for entry in entries) else ""
    return "\n".join(filter(None, [_subject(entries), note]))


def _subject(entries: Sequence[Entry]) -> str:
    """The data and the model of the entries; without those that differ or are unknown."""
    data = {entry.reference or "" for entry in entries}
    models = {model_of(entry) if entry.trial("denoiser") else "" for entry in entries}
    return ", ".join(one_line(found.pop()) for found in (data, models) if len(found) == 1 and any(found))


def _also(names: Sequence[str]) -> str:
    """A line that says which names a curve has besides its first one; empty if it has no other."""
    others = joined(names[1:]) if len(names) <= LISTED else f"{len(names) - 1} others"
    return f"{names[0]} is the same as {others}" if others else ""


def _panel(entries: Sequence[Entry], metric: str, axis: str, roles: Roles, *, several: bool) -> MetricPanel:
    """A panel; if it is one of ``several``, a curve has the same name in all, and a note names what it is as well."""
    first = entries[0]
    configs: dict[str, list[Entry]] = {}
    for entry in entries:
        configs.setdefault(roles.name(entry), []).append(entry)
    same = {names[0] if several else joint_name(names): names for names in _same(configs)}
    also = [_also(names) for names in same.values()] if several else []
    return MetricPanel(
        label=quantity(first, metric),
        curves=[_curve(name, configs[names[0]], metric, axis, roles) for name, names in same.items()],
        x_label=EVALUATIONS.get(axis) or one_line(axis),
        note="\n".join(filter(None, [measured_on(entries, metric), *also])),
        title=one_line(roles.title(first)),
        level=level_of(first, metric),
        higher=first.higher_is_better(metric),
    )


def _curve(name: str, entries: Sequence[Entry], metric: str, axis: str, roles: Roles) -> Curve:
    ordered = sorted(entries, key=lambda entry: against(entry, axis))
    values = [entry.value(metric) for entry in ordered]
    intervals = [entry.interval(metric) or (y, y) for entry, y in zip(ordered, values, strict=True)]
    return Curve(name, [against(entry, axis) for entry in ordered], values, intervals, roles.style(ordered[0]))
