"""A metric at one budget: a dot with its interval for each configuration, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

from designspace.drawing.given import length
from designspace.drawing.look import BASELINE, COLOURS, DARK, FAINT, SMALL, WIDTH, plain, text_width, wrapped
from designspace.drawing.panels import annotate, draw_level, stacked
from designspace.drawing.scales import Interval, linear_scale, scale_of_distances
from designspace.report.entry import WORDS, Entry
from designspace.report.evidence.differences import Ranking, finite, rank
from designspace.report.evidence.factors import BASELINE as UNCHANGED
from designspace.report.evidence.factors import VARIANT
from designspace.report.evidence.inference import LEVEL
from designspace.report.figures.looks import roles
from designspace.report.figures.metric import each_once, level_of, measured_on, quantity
from designspace.report.study import Study, budgets, rivals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST, BEST = 45, 20
"""Up to ``MOST`` configurations have rows of their own; if there are more, the ``BEST`` best ones do."""
ROW, HEADING, AROUND = 0.155, 1.15, 0.9
"""The height of a row in inches, of a heading in rows, and of what is above and below the rows in inches."""
LINE = 0.7
"""The height of a further line of a name, in rows."""
LABEL = 30
"""The largest number of characters per line of the label of the x axis."""
CHARACTERS = 30
"""The largest number of characters per line of a name."""
NOTE_WIDTH = 62
"""The largest number of characters per line of what explains the marks."""
PAPER: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.3}
"""The background of headings, which the lines of the figure would otherwise cross."""


@dataclass(frozen=True)
class Row:
    """The row of a configuration."""

    heading: str
    """What the rows of a group have in common; empty without groups."""
    name: str
    entry: Entry


@dataclass(frozen=True, eq=False)
class Dots:
    """Configurations that are ranked together."""

    title: str
    """What they have in common; empty if they are all that can be compared."""
    rows: list[Row]
    others: list[Entry]
    """The points without rows of their own, which share the last row."""
    best: list[Entry]
    """The point with the best value, then those that do not differ significantly from it."""
    doubtful: list[Entry]
    """Those of the ``best`` that are significantly worse than the first before the correction for all comparisons."""
    baseline: Entry | None
    unknown: bool
    """Whether the significance of some difference is unknown."""

    @property
    def tied(self) -> bool:
        """Whether no configuration differs significantly from the best one."""
        return all(entry in self.best for entry in [*(row.entry for row in self.rows), *self.others])

    @property
    def places(self) -> list[float]:
        """The position of each row, with room for the heading above the first row of each group."""
        found, y, before = [], -1.0, ""
        for row in self.rows:
            more = LINE / 2 * wrapped(row.name, CHARACTERS).count("\n")
            y += 1 + HEADING * (row.heading not in ("", before)) + more
            found.append(y)
            y, before = y + more, row.heading
        return found

    @property
    def last(self) -> float:
        """The position of the last row."""
        return max(self.places) + bool(self.others)


def by_row(study: Study, metric: str) -> Figure | None:
    """The metric of each configuration at the highest budget; ``None`` if there are fewer than two configurations.

    Blue are the best one and those that do not differ significantly from it. The circles of those that would differ
    from the best one if only the two were compared are open, as are the dark ones of those that are worse. A grey line
    marks the baseline.
    """
    found = [dots for group in rivals(study.entries, metric) for dots in dots_of(study, group, metric)]
    if not found:
        return None
    heights = [AROUND + ROW * (dots.last + 1) for dots in found]
    figure, grid = stacked(len(found), sum(heights), ratios=heights)
    for axes, dots in zip(grid, found, strict=True):
        _draw(axes, dots, metric)
    return figure


def dots_of(study: Study, group: Sequence[Entry], metric: str) -> list[Dots]:
    """The points of a group at its highest budget; none if there are fewer than two.

    If not all of them can have rows, those that share a panel in other figures are ranked apart.
    """
    known, own = finite(group, metric), roles(study)
    last = budgets(study, known)[-1:]
    points = [entry for entry in known if study.budget(entry) in last]
    if len(points) <= MOST:
        return [_ranked(study, points, metric, "")] if len(points) > 1 else []
    panels: dict[str, list[Entry]] = {}
    for entry in points:
        panels.setdefault(own.title(entry), []).append(entry)
    return [_ranked(study, of, metric, title) for title, of in panels.items() if len(of) > 1]


def _ranked(study: Study, points: Sequence[Entry], metric: str, title: str) -> Dots:
    higher, base = points[0].higher_is_better(metric), study.about.baseline_axes or {VARIANT: UNCHANGED}
    base = {axis: value for axis, value in base.items() if not title or axis not in roles(study).panels}
    baseline = next((entry for entry in points if base.items() <= entry.axes.items()), None)
    ranked = sorted(points, key=lambda entry: -entry.value(metric) if higher else entry.value(metric))
    kept = points if len(points) <= MOST else [*ranked[:BEST], *filter(None, [baseline])]
    rows = _rows(study, [entry for entry in points if entry in kept], title)
    others = [entry for entry in points if entry not in kept]
    ranking = rank(study, points, metric)
    return Dots(title, rows, others, ranking.best, doubtful(ranking), baseline, ranking.unknown > 0)


def doubtful(ranking: Ranking) -> list[Entry]:
    """The points that only the correction for all comparisons keeps among the best."""
    return [entry for entry in ranking.best[1:] if ranking.against[entry][0].p <= LEVEL]


def _rows(study: Study, points: Sequence[Entry], title: str) -> list[Row]:
    """One row per configuration; those that share a panel in other figures or a row of Table 1 have a heading."""
    own = roles(study)
    groups: dict[str, dict[str, list[Entry]]] = {}
    for entry in points:
        name = own.name(entry)
        row, _, value = name.partition("=") if own.curves == (VARIANT,) else ("", "", "")
        heading = "" if title else own.title(entry)
        below = groups.setdefault(heading or (row if value else ""), {})
        below.setdefault(name if heading else value or name, []).append(entry)
    costs = len({entry.spent(study.count) for entry in points}) > 1
    rows = [
        Row(heading, name + (f", {WORDS[study.count]} {of[0].spent(study.count):.4g}" if costs else ""), of[0])
        for heading, configs in groups.items()
        for name, of in each_once(configs).items()
    ]
    headed = [row for row in rows if row.heading]
    if (own.panels and not title) or 2 * len(groups.keys() - {""}) <= len(headed):
        return rows
    return [Row("", f"{row.heading}={row.name}" if row.heading else row.name, row.entry) for row in rows]


def _draw(axes: Axes, dots: Dots, metric: str) -> None:
    first = dots.rows[0].entry
    level = level_of(first, metric)
    ends: list[Interval] = [row.entry.interval(metric) or (row.entry.value(metric),) * 2 for row in dots.rows]
    values = [row.entry.value(metric) for row in dots.rows] + [entry.value(metric) for entry in dots.others]
    make = scale_of_distances if first.higher_is_better(metric) is False else linear_scale
    shown = [*ends, *((value, value) for value in values[len(ends) :])]
    scale = make(values, shown, [level.value] if level else [])
    for row, y, value, (low, high) in zip(dots.rows, dots.places, values, ends, strict=False):
        style = _style(dots, row.entry)
        axes.plot([max(low, scale.low), high], [y, y], color=style["color"], linewidth=0.9, zorder=2)
        axes.plot([max(value, scale.low)], [y], zorder=3, clip_on=False, **style)
    if dots.others:
        axes.plot(values[len(ends) :], [dots.last] * len(dots.others), "|", color=FAINT, rasterized=True)
    if dots.baseline:
        axes.axvline(dots.baseline.value(metric), color=BASELINE["color"], linewidth=0.6, zorder=1.3)
    if level and scale.shows(level.value):
        draw_level(axes, level.value, level.sd, upright=True)
    _name_rows(axes, dots)
    names = [line for tick in axes.get_yticklabels() for line in tick.get_text().split("\n")]
    scale.put_on_x(axes, length(axes, WIDTH - 0.15 - text_width(names, SMALL)))
    axes.set_xlabel(plain(fill(quantity(first, metric), LABEL)))
    marks = _marks(dots, level is not None and scale.shows(level.value))
    measured = measured_on([row.entry for row in dots.rows], metric)
    annotate(axes, "\n".join(filter(None, [f"{dots.title}: {measured}" if dots.title else measured, marks])))


def _marks(dots: Dots, reference: bool) -> str:
    """What the colours and the lines mean, as far as they occur."""
    shown = [row.entry for row in dots.rows]
    words = {
        "no difference is significant": dots.tied,
        "blue: best or not significantly worse": not dots.tied and any(entry in dots.best for entry in shown),
        "open blue: worse if compared alone": any(entry in dots.doubtful for entry in shown),
        "open dark: worse" + " or of unknown significance" * dots.unknown: bool(dots.best)
        and any(entry not in dots.best and entry is not dots.baseline for entry in shown),
        "grey line: baseline": dots.baseline is not None,
        "dashed: drawn reference": reference,
    }
    return fill("; ".join(word for word, occurs in words.items() if occurs), NOTE_WIDTH)


def _style(dots: Dots, entry: Entry) -> dict[str, Any]:
    best = entry in dots.best
    colour = COLOURS[0] if best else BASELINE["color"] if entry is dots.baseline else DARK
    filled = entry not in dots.doubtful if best else entry is dots.baseline
    return {
        "color": colour,
        "marker": "o",
        "markersize": 3.8,
        "markeredgecolor": colour,
        "markeredgewidth": 0.8,
        "markerfacecolor": colour if filled else "white",
    }


def _name_rows(axes: Axes, dots: Dots) -> None:
    names = [plain(wrapped(row.name, CHARACTERS)) for row in dots.rows]
    places = dots.places + ([dots.last] if dots.others else [])
    axes.set_yticks(places, names + ([f"{len(dots.others):,} more"] if dots.others else []))
    axes.tick_params(axis="y", length=0, labelsize=SMALL)
    axes.set_ylim(dots.last + 0.7, -0.7)
    axes.grid(visible=False, axis="y")
    before = ""
    for row, y in zip(dots.rows, dots.places, strict=True):
        if row.heading not in ("", before):
            at: Any = ("axes fraction", "data")
            axes.annotate(plain(row.heading), (0.01, y - 0.95), xycoords=at, va="center", fontsize=SMALL, bbox=PAPER)
        before = row.heading
