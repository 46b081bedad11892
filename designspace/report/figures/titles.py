"""The scales, the labels and the notes of panels of curves.

A note that not all of several panels share says to which of them it belongs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import fill, wrap
from typing import TYPE_CHECKING

from designspace.drawing.ends import width_of
from designspace.drawing.given import length
from designspace.drawing.look import SMALL, TITLE, plain, wrapped
from designspace.drawing.panels import annotate, label_all
from designspace.drawing.scales import Scale, scale_through
from designspace.report.figures.metric import MetricPanel, y_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

APART = 0.4
"""Small multiples have scales of their own if none of them would take more than this share of a common y axis."""

NOTE_WIDTH = 130
"""The largest number of characters per line of a note above several panels."""
LABEL = 34
"""The largest number of characters per line of the label of a y axis."""


@dataclass(frozen=True)
class Scales:
    """The scales of a panel."""

    x: Scale
    y: Scale

    @classmethod
    def of(cls, panel: MetricPanel, panels: Sequence[MetricPanel]) -> Scales:
        """Those of small multiples of the same protocol are the same."""
        same = [other for other in panels if panel.title and other.label == panel.label] or [panel]
        common, own = y_scale(same), [y_scale([one]) for one in same]
        apart = len(same) > 1 and all(_share(common, one) < APART for one in own)
        return cls(scale_through(sorted({x for one in same for x in one.x})), y_scale([panel]) if apart else common)

    def labels(self, panel: MetricPanel) -> tuple[str, str]:
        """The labels of the x and the y axis."""
        x = f" (symlog, linear below {self.x.threshold:g})" if self.x.mixed else ""
        y = f"\n(linear below {self.y.threshold:g})" if self.y.mixed else ""
        return plain(panel.x_label) + x, plain(fill(panel.label, LABEL)) + y


def _share(common: Scale, own: Scale) -> float:
    """The share of a common axis that a scale takes."""
    return common.share(min(own.high, common.high)) - common.share(max(own.low, common.low))


def title_each(figure: Figure, grid: Sequence[Axes], panels: Sequence[MetricPanel], scales: Sequence[Scales]) -> None:
    """Name the axes of each panel; its note is not wider than the axes with their numbers."""
    labels = width_of([text.get_text() for axes in grid for text in axes.texts])
    width = length(grid[0], figure.get_figwidth() - labels)
    for axes, panel, scale in zip(grid, panels, scales, strict=True):
        x, y = scale.labels(panel)
        axes.set(xlabel=x, ylabel=y)
        annotate(axes, note_of(panel, scale, width))


def note_of(panel: MetricPanel, scales: Scales, width: float) -> str:
    """The note of a panel, on lines of at most ``width`` inches."""
    most = int(width * 72 / (0.55 * SMALL))
    return "\n".join(_even(line, most) for line in _note(panel, scales.y).split("\n"))


def _even(line: str, most: int) -> str:
    """The line on as few lines of at most ``most`` characters as possible, which are about equally long."""
    count, width = len(wrap(line, most)), -(-len(line) // max(len(wrap(line, most)), 1))
    while width < most and (len(wrap(line, width)) > count or max(map(len, wrap(line, width))) > width):
        width += 1
    return fill(line, width)


def columns_of(multiples: int) -> int:
    """The number of small multiples side by side: rows of equal length if that is possible."""
    return {4: 2, 8: 4}.get(multiples, min(multiples, 3))


def title_multiples(
    figure: Figure, grid: Sequence[Axes], panels: Sequence[MetricPanel], scales: Sequence[Scales], note: str
) -> None:
    """Name the axes and write the ``note`` once for all panels."""
    most = int(length(grid[0], figure.get_figwidth() / columns_of(len(panels)) - 0.5) * 72 / (0.68 * TITLE["fontsize"]))
    for axes, panel in zip(grid, panels, strict=False):
        annotate(axes, wrapped(panel.title, most), "left", strong=True)
    names = [scale.labels(panel) for panel, scale in zip(panels, scales, strict=True)]
    alike = len(set(names)) == 1
    label_all(figure, grid, x=names[0][0], y=names[0][1] * alike, note=note)
    if not alike:
        for axes, (_, y) in zip(grid, names, strict=False):
            axes.set_ylabel(y)


def note_of_all(panels: Sequence[MetricPanel], scales: Sequence[Scales]) -> str:
    """What the notes of all panels say; each line that is not that of all names its panels."""
    return "\n".join(_attributed(panels, scales))


def _attributed(panels: Sequence[MetricPanel], scales: Sequence[Scales]) -> Iterator[str]:
    of: dict[str, list[str]] = {}
    together: dict[tuple[str, ...], list[str]] = {}
    for panel, scale in zip(panels, scales, strict=True):
        for line in _note(panel, scale.y).split("\n"):
            of.setdefault(line, []).append(panel.title)
    if len({scale.y.high for scale in scales}) > 1 and len({panel.label for panel in panels}) == 1:
        yield "each panel has its own y axis"
    for line, titles in of.items():
        together.setdefault(tuple(titles), []).append(line)
    for named, lines in together.items():
        others = [panel.title for panel in panels if panel.title not in named]
        yield from [fill(f"{_in_common(named, others)}: {'; '.join(lines)}", NOTE_WIDTH)] if others else lines


def _in_common(titles: Sequence[str], others: Sequence[str]) -> str:
    """The shortest name of some panels: the values of an axis that no other panel has, or else all their titles."""
    columns = [list(dict.fromkeys(values)) for values in zip(*(title.split(", ") for title in titles), strict=False)]
    elsewhere = {value for title in others for value in title.split(", ")}
    own = [column for column in columns if not elsewhere & {*column}]
    shortest: list[str] = min(own, key=len, default=[*titles])
    return ", ".join(shortest)


def _note(panel: MetricPanel, scale: Scale) -> str:
    note = panel.note + (", zeros below the axis" if scale.threshold is None and min(panel.values) == 0 else "")
    if panel.level is None or scale.shows(panel.level.value):
        return note
    return f"{note}\n{panel.level.name}: {panel.level.value:.3g}, off the scale".replace(": -", ": \N{MINUS SIGN}")
