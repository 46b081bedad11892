"""A metric at each noise level, such as the local error of a solver or the loss of a network."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from designspace.drawing.legend import Key, Legend, joined
from designspace.drawing.look import BASELINE, FAINT, SMALL, plain
from designspace.drawing.panels import Curve, Numbers, Panel, annotate, label_all, stacked
from designspace.drawing.ticks import set_log_ticks
from designspace.report.entry import Entry
from designspace.report.figures.looks import Roles, distinct, roles
from designspace.report.study import Study, budgets
from designspace.text import one_line, value_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT = 1.75
"""The smallest height of a panel in inches."""
DECADES = 6
"""Values more decades than this below the maximum of a typical profile are left out."""
WIDE = 30.0
"""The y axis is logarithmic if the largest value is more than this many times the smallest."""
SHARE = 0.3
"""The fraction of a panel's height for the densities of noise levels."""
MOST, LEAST = 12, 5
"""The largest number of curves with a name, and the number for which there is always room."""
LINE = 1.2
"""The width of a curve in points: which curve is favoured in other figures does not matter here."""
FAR, OUTLIERS = 10.0, 2
"""A curve stands out if its maximum is this many times the typical one; this many of such curves have a name."""
OTHERS: dict[str, Any] = {"color": FAINT, "linewidth": 0.6, "marker": "", "zorder": 1.5}
"""The look of the curves without a name."""
CLOSE = 40
"""In profiles with more points than this, the points are not marked."""
BEFORE: dict[str, Any] = {"linestyle": (0, (1.5, 1.2)), "linewidth": 0.9}
LEARNED: dict[str, Any] = {"linestyle": (0, (4.0, 1.2, 1.0, 1.2)), "linewidth": 0.9}
SHARED = "#777777"
"""The colour of a density that belongs to several profiles."""


@dataclass(frozen=True, eq=False)
class Profile(Curve):
    """A metric (``y``) at each noise level (``x``)."""

    before: Sequence[float] = ()
    """The values before training; empty if unknown."""
    density: Sequence[float] = ()
    """The density of the noise levels in training; empty if the metric does not record it."""
    learned: Sequence[float] = ()
    """The values that a learned loss weight expects; empty without one."""

    @property
    def columns(self) -> tuple[Numbers, ...]:
        """All columns of numbers."""
        return self.x, self.y, self.before, self.density, self.learned


@dataclass(frozen=True, eq=False)
class ProfilePanel(Panel):
    """Profiles that are drawn together."""

    curves: Sequence[Profile]


def metric_vs_sigma(study: Study, metric: str) -> Figure | None:
    """The metric against the noise level; ``None`` if it has no profiles.

    For trained networks, also the values before training and the density of the noise levels in training.
    """
    return draw(found) if (found := profile_panels(study, metric)) else None


def profile_panels(study: Study, metric: str) -> list[ProfilePanel]:
    """One panel for the lowest, a middle and the highest budget or, for many configurations, per value of an axis."""
    entries = [entry for entry in study.entries if _profile(entry, metric)]
    own, known = roles(study), budgets(study, entries)
    if own.panels:
        found: dict[str, dict[str, Entry]] = {}
        for entry in entries:
            if study.budget(entry) == known[-1]:
                found.setdefault(own.title(entry), {})[own.name(entry)] = entry
        note = _at(study, known[-1]) if _by_budget(entries, metric) else ""
        return _once([_panel(title, note, of, metric, own) for title, of in found.items()])
    groups = [(budget, {e.config: e for e in entries if study.budget(e) == budget}) for budget in _three(known)]
    return _once([_panel("", _at(study, budget), group, metric, own) for budget, group in groups])


def _by_budget(entries: Sequence[Entry], metric: str) -> bool:
    """Whether the profile of some configuration depends on the budget, as properties of a network do not."""
    first: dict[str, object] = {}
    return any(first.setdefault(e.config, profile) != profile for e in entries for profile in [_profile(e, metric)])


def _at(study: Study, budget: object) -> str:
    return f"{study.budget_word} {value_of(budget)}" if study.column_axis else ""


def _once(panels: list[ProfilePanel]) -> list[ProfilePanel]:
    """A single panel if all are equal, as for properties of the flow, which do not depend on the number of steps."""
    shown = [[(curve.name, curve.columns) for curve in panel.curves] for panel in panels]
    same = len(panels) > 1 and all(one == shown[0] for one in shown)
    return [replace(panels[0], note="", title="")] if same else panels


def _panel(title: str, note: str, named: Mapping[str, Entry], metric: str, roles: Roles) -> ProfilePanel:
    """A panel in which equal profiles, such as those of the flow for different solvers, are merged into one."""
    same: dict[tuple[tuple[float, ...], ...], list[str]] = {}
    for name, entry in named.items():
        same.setdefault(_profile(entry, metric), []).append(name)
    profiles = [
        Profile(joined(names), x, y, (), roles.style(named[names[0]]), before, density, learned)
        for (x, y, before, density, learned), names in same.items()
    ]
    label = next(((e.about(metric).profile or {}).get("of") for e in named.values()), None)
    return ProfilePanel(one_line(label or metric), profiles, "noise level σ", note, title)


def _profile(entry: Entry, metric: str) -> tuple[tuple[float, ...], ...]:
    """The columns of the first seed's profile; empty if there is none that can be drawn."""
    kept = entry.about(metric).profile if entry.has(metric) else None
    if not isinstance(kept, dict):
        return ()
    sigma, value, *others = (_numbers(kept.get(key)) for key in ("sigma", "value", "before", "density", "learned"))
    if not 0 < len(sigma) == len(value):
        return ()
    return sigma, value, *(column if len(column) == len(sigma) else () for column in others)


def _numbers(column: object) -> tuple[float, ...]:
    return tuple(v for v in column if isinstance(v, int | float)) if isinstance(column, list) else ()


def _three(values: Sequence[object]) -> list[object]:
    """The first, the middle and the last value."""
    return list(dict.fromkeys([values[0], values[len(values) // 2], values[-1]])) if values else []


def draw(panels: Sequence[ProfilePanel]) -> Figure:
    """Draw the panels one below the other."""
    curves = [curve for panel in panels for curve in panel.curves]
    styles = {curve.name: curve.style | {"markersize": 2.5, "linewidth": LINE} for curve in curves}
    legend = _legend(curves, styles, HEIGHT * len(panels) / 3)
    named = distinct({key.name: key.style for key in legend.keys if key.name in styles})
    looks = {name: named.get(name, OTHERS) for name in styles}
    legend = replace(legend, keys=[replace(key, style=looks.get(key.name, key.style)) for key in legend.keys])
    height = max(HEIGHT * len(panels), 3 * legend.height)  # so that the legend is a quarter of the figure
    figure, grid = stacked(len(panels), height + 0.1 + legend.height, share_x=True)
    for axes, panel in zip(grid, panels, strict=True):
        _draw_panel(axes, panel, looks)
    if len(panels) > 1 and len({panel.label for panel in panels}) == 1:
        label_all(figure, grid, y=plain(panels[0].label))
    else:
        for axes, panel in zip(grid, panels, strict=True):
            axes.set_ylabel(plain(panel.label))
    grid[-1].set_xlabel(panels[-1].x_label)
    legend.draw(figure)
    return figure


def _legend(curves: Sequence[Profile], styles: Mapping[str, dict[str, Any]], room: float) -> Legend:
    """The names of all curves or, if they do not fit into ``room`` inches, of at least the first ``LEAST`` by rank."""
    ranked, count = _by_rank(curves), min(len(styles), MOST)
    while True:
        chosen = [name for name in styles if name in ranked[:count]]
        more = [Key(f"{len(styles) - count} more", OTHERS)] if count < len(styles) else []
        legend = Legend([*(Key(name, styles[name]) for name in chosen), *more, *_keys(curves)], SMALL, line=1.8, most=6)
        if count <= LEAST or legend.height <= room:
            return legend
        count -= 1


def _by_rank(curves: Sequence[Profile]) -> list[str]:
    """The names of the curves: the baseline, the lowest, those that stand out, then the others, lowest first."""
    base = [curve.name for curve in curves if curve.style.get("color") == BASELINE["color"]]
    lowest = [curve.name for curve in sorted(curves, key=lambda curve: statistics.median(curve.y))]
    tops = {curve.name: max(curve.y) for curve in curves}
    far = [name for name, top in tops.items() if top > FAR * statistics.median(tops.values())]
    highest = sorted(far, key=lambda name: -tops[name])[:OUTLIERS]
    return [*dict.fromkeys([*base, *lowest[:1], *highest, *lowest])]


def _keys(profiles: Sequence[Profile]) -> list[Key]:
    keys = []
    if any(profile.before for profile in profiles):
        keys.append(Key("before training", BEFORE | {"color": "#555555"}))
    if any(profile.learned for profile in profiles):
        keys.append(Key("learned by the loss weight", LEARNED | {"color": "#555555"}))
    if any(profile.density for profile in profiles):
        keys.append(Key("levels drawn in training", {"facecolor": "#555555", "alpha": 0.25}, filled=True))
    return keys


def _draw_panel(axes: Axes, panel: ProfilePanel, looks: Mapping[str, dict[str, Any]]) -> None:
    top = statistics.median(max(profile.y) for profile in panel.curves) or 1.0
    low = top / 10**DECADES
    for profile in panel.curves:
        own: dict[str, Any] = {"marker": ""} if len(profile.x) > CLOSE else {}
        axes.plot(*_above(low, profile.x, profile.y), **looks[profile.name] | own)
        for column, style in ((profile.before, BEFORE), (profile.learned, LEARNED)):
            if column:
                axes.plot(*_above(low, profile.x, column), **style | {"color": looks[profile.name]["color"]})
    values = [value for profile in panel.curves for value in (*profile.y, *profile.before, *profile.learned)]
    axes.set_xscale("log")
    if max(values) > WIDE * min(values):
        axes.set_yscale("log")
        set_log_ticks(axes.yaxis, [value for value in values if value > low], 6)
    else:
        axes.set_ylim(0, 1.08 * max(values))
    annotate(axes, panel.note)
    if panel.title:
        annotate(axes, panel.title, "left", strong=True)
    _draw_densities(axes, panel, looks)


def _draw_densities(axes: Axes, panel: ProfilePanel, looks: Mapping[str, dict[str, Any]]) -> None:
    """Draw each distinct distribution of training noise levels at the bottom of the panel, on a common scale."""
    drawn: dict[tuple[tuple[float, ...], ...], list[Any]] = {}
    for profile in panel.curves:
        if profile.density:
            drawn.setdefault((tuple(profile.x), tuple(profile.density)), []).append(looks[profile.name]["color"])
    if not drawn:
        return
    below = axes.twinx()
    below.set(ylim=(0, max(max(density) for _, density in drawn) / SHARE), yticks=[])
    below.spines["right"].set_visible(False)
    axes.set_zorder(below.get_zorder() + 1)
    axes.patch.set_visible(False)
    for (sigma, density), colours in drawn.items():
        colour = colours[0] if len(colours) == 1 else SHARED
        below.fill_between(sigma, density, color=colour, alpha=0.15, linewidth=0)
        below.plot(sigma, density, color=colour, alpha=0.5, linewidth=0.5)


def _above(low: float, sigma: Numbers, values: Numbers) -> tuple[list[float], list[float]]:
    kept = [(level, value) for level, value in zip(sigma, values, strict=False) if value > low]
    return [level for level, _ in kept], [value for _, value in kept]
