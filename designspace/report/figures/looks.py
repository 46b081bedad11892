"""Which axes of an ablation have panels of their own, and how the curves of its configurations look.

A configuration has the same colour in all figures of a report. Grey is the baseline, and strong blue the configuration
that the first metric favours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from designspace.drawing.look import BASELINE, COLOURS, FAVOURED, MARKERS, MORE, shades, stroke
from designspace.report.entry import BUDGET, WORDS, Entry
from designspace.report.evidence.differences import by_budget, finite, rank
from designspace.report.evidence.effects import effects
from designspace.report.evidence.factors import together
from designspace.report.points import on_axes
from designspace.report.study import Study, rivals
from designspace.text import config_name, one_line, value_of

CURVES = 5
"""If a panel has more curves than this, the values of an axis get panels of their own."""
PANELS = 8
"""The largest number of panels for the values of axes."""
ORDERED = 4
"""At least this many values of an axis, all numbers, have the colours of a scale."""

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Roles:
    """The roles of the axes in a figure."""

    study: Study
    panels: tuple[str, ...]
    """The axes whose values have panels of their own."""
    curves: tuple[str, ...]
    """The axes whose values have curves of their own in each panel."""

    def panel(self, entry: Entry) -> Key:
        """The values that have a panel."""
        return on_axes(entry, self.panels)

    def curve(self, entry: Entry) -> Key:
        """The values that have a curve."""
        return on_axes(entry, self.curves)

    def title(self, entry: Entry) -> str:
        """The name of the panel; empty if there is only one."""
        return _name(entry, self.panels) if self.panels else ""

    def name(self, entry: Entry) -> str:
        """The name of the curve in its panel."""
        return _name(entry, self.curves)

    def style(self, entry: Entry) -> dict[str, Any]:
        """The look of the curve: its colour and line tell curves apart, and its marker panels if there are several."""
        style = self._styles[self.curve(entry)]
        return style | {"marker": MARKERS[self._marks[self.panel(entry)] % len(MARKERS)]} if self.panels else style

    @cached_property
    def _marks(self) -> dict[Key, int]:
        return {panel: i for i, panel in enumerate(dict.fromkeys(map(self.panel, self.study.points)))}

    @cached_property
    def _styles(self) -> dict[Key, dict[str, Any]]:
        keys = list(dict.fromkeys(map(self.curve, self.study.points)))
        numbers = [key[0] for key in keys if len(key) == 1 and _is_number(key[0])]
        if len(numbers) == len(keys) and (len(keys) >= ORDERED or self.curves[0] in BUDGET):
            scale = dict(zip(sorted(numbers), shades(len(keys)), strict=True))
            return {key: stroke(i, scale[key[0]]) for i, key in enumerate(keys)}
        best, base = self._favoured(keys), tuple(map(self.study.about.baseline_axes.get, self.curves))
        base = base if base in keys else keys[0] if keys else ()
        others = iter(range(len(keys)))
        return {key: self._style(key, base, best, others) for key in keys}

    @staticmethod
    def _style(key: Key, base: Key, best: Key | None, others: Iterator[int]) -> dict[str, Any]:
        strong: dict[str, Any] = {"linewidth": 1.9} if key == best else {}
        if key == base:
            return BASELINE | strong
        if key == best:
            return FAVOURED | strong
        i = next(others)
        return stroke(i, COLOURS[1:][i] if i < len(COLOURS) - 1 else MORE[(i - len(COLOURS) + 1) % len(MORE)])

    def _favoured(self, keys: Sequence[Key]) -> Key | None:
        """The curve that the first metric favours at most budgets; ``None`` if it excludes no curve at any budget."""
        metrics = self.study.about.metrics[:1] if len(keys) > 1 else []
        found = Counter(best for metric in metrics for best in self._best(metric))
        return found.most_common(1)[0][0] if found else None

    def _best(self, metric: str) -> Iterator[Key]:
        if self.panels:
            own = (one for group in effects(self.study, metric) for one in group if one.factor.axes == self.curves)
            yield from (_tuple(one.favoured[0]) for one in own if one.decided)
            return
        for group in rivals(self.study.entries, metric):
            for points in by_budget(self.study, finite(group, metric)).values():
                ranking = rank(self.study, points, metric)
                if ranking.best and len(ranking.best) <= len(ranking.against):
                    yield self.curve(ranking.best[0])


def roles(study: Study, along: str = "") -> Roles:
    """The roles of the axes in figures against the axis ``along`` or, by default, against evaluations.

    If there are more than ``CURVES`` configurations, axes with few values get panels, the last one first if several
    have as few.
    """
    if ("roles", along) not in study.kept:
        study.kept["roles", along] = _roles(study, along)
    found: Roles = study.kept["roles", along]
    return found


def _roles(study: Study, along: str) -> Roles:
    left = [axes for axes in together(study) if along not in axes]
    left += [(axis,) for axis in study.about.axes if along and axis in BUDGET]
    counts = {axes: len({on_axes(point, axes) for point in study.points}) for axes in left}
    panels: list[tuple[str, ...]] = []
    while len(left) > 1 and _curves(study, left) > CURVES:
        axes = min(reversed(left), key=lambda axes: counts[axes])
        if len({on_axes(point, sum([*panels, axes], ())) for point in study.points}) > PANELS:
            break
        if counts[axes] > 1:
            panels.append(axes)
        left.remove(axes)
    ordered = [axis for axis in study.about.axes if any(axis in axes for axes in panels)]
    return Roles(study, tuple(ordered), tuple(axis for axes in left for axis in axes))


def _curves(study: Study, left: Sequence[tuple[str, ...]]) -> int:
    return len({on_axes(point, sum(left, ())) for point in study.points})


def _name(entry: Entry, axes: Sequence[str]) -> str:
    known = {axis: entry.axes[axis] for axis in axes if axis in entry.axes}
    budget = [f"{WORDS[axis]} {value_of(known.pop(axis))}" for axis in BUDGET if axis in known]
    return ", ".join([*([one_line(config_name(known))] if known or not budget else []), *budget])


def _tuple(choice: Any) -> Key:
    return choice if isinstance(choice, tuple) else (choice,)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
