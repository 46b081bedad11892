"""What a metric says of each noise level: the data of the figures against sigma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from designspace.report.entry import BUDGET, Entry
from designspace.report.study import Study, budgets
from designspace.text import config_name, describe, one_line

MANY = 8
"""Configurations; of more, one panel shows those of one value of an axis."""


@dataclass(frozen=True)
class Profile:
    """A value at each noise level."""

    name: str
    sigma: tuple[float, ...]
    values: tuple[float, ...]
    before: tuple[float, ...] = ()
    """The values before the network was trained, if they are known."""
    density: tuple[float, ...] = ()
    """How often training draws each level, if the metric says so."""


@dataclass(frozen=True)
class ProfilePanel:
    """Profiles that are drawn together."""

    title: str
    label: str
    """Of the vertical axis."""
    profiles: list[Profile]


def profile_panels(study: Study, metric: str) -> list[ProfilePanel]:
    """A panel for some budgets, or where there are many configurations, for each value of an axis."""
    entries = [entry for entry in study.entries if _profile(entry, metric)]
    axes = [axis for axis in study.about.axes if axis not in BUDGET]
    if len({entry.config for entry in entries}) > MANY and len(axes) > 1:
        return _by_axis(study, entries, metric, axes)
    shown = _some(budgets(study, entries))
    groups = [(budget, [e for e in entries if study.budget(e) == budget]) for budget in shown]
    titles = [describe({study.column_axis: budget}) if study.column_axis else "" for budget, _ in groups]
    found = [_panel(title, {e.config: e for e in g}, metric) for title, (_, g) in zip(titles, groups, strict=True)]
    return _once(found)


def _once(panels: list[ProfilePanel]) -> list[ProfilePanel]:
    """One panel if all show the same: curves of the flow do not depend on the number of steps."""
    same = len(panels) > 1 and all(panel.profiles == panels[0].profiles for panel in panels)
    return [replace(panels[0], title="")] if same else panels


def _by_axis(study: Study, entries: Sequence[Entry], metric: str, axes: Sequence[str]) -> list[ProfilePanel]:
    values = {axis: list(dict.fromkeys(entry.axes[axis] for entry in entries)) for axis in axes}
    facet = min(axes, key=lambda axis: len(values[axis]))
    budget = _some(budgets(study, entries))[-1]
    found = []
    for value in values[facet]:
        group = [e for e in entries if e.axes[facet] == value and study.budget(e) == budget]
        rest = {config_name({axis: e.axes[axis] for axis in axes if axis != facet}): e for e in group}
        at = {facet: value} | ({study.column_axis: budget} if study.column_axis else {})
        found.append(_panel(describe(at), rest, metric))
    return found


def _panel(title: str, named: dict[str, Entry], metric: str) -> ProfilePanel:
    """Equal profiles are drawn once: a diagnostic of the flow does not depend on the solver, for instance."""
    same: dict[tuple[tuple[float, ...], ...], list[str]] = {}
    for name, entry in named.items():
        same.setdefault(_profile(entry, metric), []).append(name)
    profiles = [Profile(", ".join(names), *columns) for columns, names in same.items()]
    label = next(((e.about(metric).profile or {}).get("of") for e in named.values()), None)
    return ProfilePanel(one_line(title), one_line(label or metric), profiles)


def _profile(entry: Entry, metric: str) -> tuple[tuple[float, ...], ...]:
    """The columns of the first seed's profile; empty if there is none that could be drawn."""
    kept = entry.about(metric).profile if entry.has(metric) else None
    if not isinstance(kept, dict):
        return ()
    sigma, value, before, density = (_numbers(kept.get(key)) for key in ("sigma", "value", "before", "density"))
    if not 0 < len(sigma) == len(value):
        return ()
    return sigma, value, *(column if len(column) == len(sigma) else () for column in (before, density))


def _numbers(column: object) -> tuple[float, ...]:
    return tuple(v for v in column if isinstance(v, int | float)) if isinstance(column, list) else ()


def _some(values: Sequence[object]) -> list[object]:
    """The first, the middle and the last."""
    return list(dict.fromkeys([values[0], values[len(values) // 2], values[-1]])) if values else []
