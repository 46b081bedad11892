"""Which axes of an ablation have panels of their own, and how the curves of its configurations look.

A configuration has the same colour in all figures of a report. Grey is the baseline, and strong blue the configuration
that the first metric favours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
THICK = 1.9
"""The width of the curve that the first metric favours, in points."""
EMPTY = ("none", "true", "false")
"""Values that say little without the name of their axis."""

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
        """The name of the panel; empty if there is only one. Values are ``axis=value`` if they say little alone."""
        return _name(entry, self.panels, full=self._ambiguous) if self.panels else ""

    def name(self, entry: Entry) -> str:
        """The name of the curve in its panel."""
        return _name(entry, self.curves)

    def style(self, entry: Entry) -> dict[str, Any]:
        """The look of the curve: its colour and line tell curves apart, and its marker panels if there are several."""
        style = self._styles[self.curve(entry)]
        return style | {"marker": MARKERS[self._marks[self.panel(entry)] % len(MARKERS)]} if self.panels else style

    @cached_property
    def thick(self) -> str:
        """What the thick curve is; empty if the figure has none."""
        metrics = self.study.about.metrics
        by = f" by {one_line(metrics[0])}" if len(metrics) > 1 else ""
        often = " at most budgets" if self.study.column_axis not in (None, *self.curves) else ""
        return f"thick: best{by}{often}" if any(map(is_thick, self._styles.values())) else ""

    @cached_property
    def _ambiguous(self) -> bool:
        """Whether the title of some panel without the names of its axes is also that of a curve, or says little."""
        curves = {value for point in self.study.points for value in (self.name(point), *map(str, self.curve(point)))}
        titles = {_name(point, self.panels) for point in self.study.points}
        return any(title in curves or title.lower() in EMPTY or _reads_as_number(title) for title in titles)

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
        ordered = keys if len(keys) <= len(COLOURS) + len(MORE) else self._by_merit(keys)
        others = iter(range(len(keys)))
        styles = {key: self._style(key, base, best, others) for key in ordered}
        return {key: styles[key] for key in keys}

    @staticmethod
    def _style(key: Key, base: Key, best: Key | None, others: Iterator[int]) -> dict[str, Any]:
        strong: dict[str, Any] = {"linewidth": THICK} if key == best else {}
        if key == base:
            return BASELINE | strong
        if key == best:
            return FAVOURED | strong
        i, colours = next(others), (*COLOURS[1:], *MORE)
        return stroke(i, colours[i % len(colours)])

    def _by_merit(self, keys: Sequence[Key]) -> list[Key]:
        """The curves with the best mean rank by the first metric first, as these have names where not all do."""
        ranks: dict[Key, list[float]] = {key: [] for key in keys}
        for metric in self.study.about.metrics[:1]:
            for group in rivals(self.study.entries, metric):
                for points in by_budget(self.study, finite(group, metric)).values():
                    sign = -1 if points[0].higher_is_better(metric) else 1
                    for i, entry in enumerate(sorted(points, key=lambda entry: sign * entry.value(metric))):
                        ranks[self.curve(entry)].append(i / len(points))
        return sorted(keys, key=lambda key: sum(ranks[key]) / len(ranks[key]) if ranks[key] else 1.0)

    def _favoured(self, keys: Sequence[Key]) -> Key | None:
        """The curve that the first metric favours at more than half of the budgets at which it excludes some curve."""
        metrics = self.study.about.metrics[:1] if len(keys) > 1 else []
        found = Counter(best for metric in metrics for best in self._best(metric))
        return next((best for best, times in found.most_common(1) if 2 * times > found.total()), None)

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


def is_thick(style: Mapping[str, Any]) -> bool:
    """Whether this is the look of the curve that the first metric favours."""
    return style.get("linewidth") == THICK


def distinct(styles: Mapping[str, dict[str, Any]], by: Sequence[str] = ("color",)) -> dict[str, dict[str, Any]]:
    """The looks of the curves of one figure; where colours repeat, later curves have colours that are still free.

    ``by`` are the parts of the looks that tell the curves apart: the colours alone or, say, with the markers.

    In a report with more configurations than colours, several configurations have the same one.
    """
    free = [colour for colour in (*COLOURS, *MORE) if colour not in {style["color"] for style in styles.values()}]
    found: dict[str, dict[str, Any]] = {}
    for name, style in styles.items():
        repeated = any(all(style[part] == other[part] for part in by) for other in found.values())
        found[name] = style | ({"color": free.pop(0)} if repeated and free else {})
    return found


def _name(entry: Entry, axes: Sequence[str], *, full: bool = False) -> str:
    known = {axis: entry.axes[axis] for axis in axes if axis in entry.axes}
    budget = [f"{WORDS[axis]} {value_of(known.pop(axis))}" for axis in BUDGET if axis in known]
    named = [f"{one_line(axis.rpartition('.')[2])}={value_of(value)}" for axis, value in known.items()] if full else []
    words = named or ([one_line(config_name(known))] if known or not budget else [])
    return ", ".join([*words, *budget])


def _tuple(choice: Any) -> Key:
    return choice if isinstance(choice, tuple) else (choice,)


def _reads_as_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
