"""The races of a search: how many images each candidate was measured on before it was dropped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from designspace.drawing.look import COLOURS, DARK, FAINT, SMALL, WIDTH, plain, wrapped
from designspace.drawing.panels import annotate
from designspace.report.study import Study
from designspace.report.tables.practices import budget_name, budgets, raced
from designspace.results.search import Arm, Outcome, SearchRecord
from designspace.text import measured, one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE, AROUND = 0.145, 0.36
"""The height in inches of a candidate's line, and of what is above and below the lines of a panel."""
NAME = 30
"""The largest number of characters of a candidate's name."""
ROOM = 3.0
"""The factor by which the x axis extends beyond the last stage, for the differences beside the lines."""


def races(study: Study) -> Iterator[tuple[str, Figure]]:
    """For each budget, the name of the figure and the figure; nothing without a search."""
    search = study.search
    for budget in budgets(search) if search else ():
        shown = [one for one in search.outcomes if one.budget == budget and raced(one)] if search else []
        if search and shown:
            yield races_name(budget), _figure(search, shown)


def races_name(budget: str) -> str:
    """The name of the file with the races at a budget: ``races_nfe_7``."""
    return "races_" + re.sub(r"\W", "_", budget)


def races_caption(budget: str) -> str:
    """What the figure of a budget shows."""
    return (
        f"The races at {budget_name(budget)}, in the order in which they were run: the images on which each candidate "
        "was measured. A cross marks where a candidate was dropped; beside it is its difference from the best "
        "candidate of that stage, ± standard error. Blue: the favoured candidate."
    )


def _figure(search: SearchRecord, shown: list[Outcome]) -> Figure:
    from matplotlib.figure import Figure

    heights = [AROUND + LINE * len(raced(one)) for one in shown]
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.2), layout="constrained")
    grid = figure.subplots(len(shown), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights})
    sizes = sorted({stage.images for one in shown for arm in one.arms for stage in arm.stages})
    passes = max(one.run_pass for one in shown)
    for axes, one in zip(grid.flat, shown, strict=True):
        _draw(axes, one, sizes[0] / 1.6)
        annotate(axes, one_line(one.row) + (f", pass {one.run_pass}" if passes > 1 else ""), loc="left")
        annotate(axes, "decided" if one.decided else "undecided")
    last = grid.flat[-1]
    last.set(xscale="log", xlim=(sizes[0] / 1.6, sizes[-1] * ROOM), xlabel="images")
    last.set_xticks(sizes, [f"{size:,}" for size in sizes])
    last.set_xticks([], minor=True)
    return figure


def _draw(axes: Axes, one: Outcome, start: float) -> None:
    arms = sorted(raced(one), key=_place)
    names = [wrapped(one_line(arm.label), NAME).replace("\n", " ") for arm in arms]
    for i, arm in enumerate(arms):
        favoured = arm.label == one.favoured
        left = arm.dropped is None
        colour = COLOURS[0] if favoured else DARK if left else FAINT
        end = arm.stages[-1]
        axes.plot([start, end.images], [i, i], color=colour, linewidth=1.8 if favoured else 1.0, solid_capstyle="butt")
        axes.plot(end.images, i, marker="o" if left else "x", color=colour if left else DARK, markersize=3.2)
        gap = "" if end.gap is None else measured(end.gap, end.gap_se)
        text = f"+{gap}" if end.gap is not None and end.gap > 0 else gap
        axes.annotate(plain(text), (end.images, i), (4, 0), textcoords="offset points", va="center", fontsize=SMALL - 1)
    axes.set_yticks(range(len(arms)), [plain(name) for name in names], fontsize=SMALL)
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    for tick, arm in zip(axes.get_yticklabels(), arms, strict=True):
        tick.set_color(COLOURS[0] if arm.label == one.favoured else "black")
    axes.tick_params(axis="x", labelbottom=axes.get_subplotspec().is_last_row())  # type: ignore[union-attr]


def _place(arm: Arm) -> tuple[float, float]:
    """The longest in the race first; then the best one of the last stage, and the others by their distance from it."""
    gap = arm.stages[-1].gap
    return -len(arm.stages), 0.0 if gap is None else abs(gap)
