"""Coverage of every cell, and the bias against n."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from summary import BAND, INTERVALS, Row, binomial

from designspace.drawing.look import COLOURS, FAINT, NOTE, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOWEST = 76
"""The lower end of the coverage axes, in per cent: below all cells."""
SHOWN = {
    "value": "raw",
    "jackknife": "jackknife",
    "line": "line in 1/n",
    "one_term": "one term",
    "bias_corrected": "bias_corrected",
}

TIMES = (3, 10, 20)
"""Images for each dimension."""


def coverage(rows: list[Row]) -> Figure:
    """A panel for each kind of interval: coverage with its binomial interval against n / d; hollow where equal."""
    names = ("raw", "corrected", "equal", "paired")
    figure = Figure(figsize=(WIDTH, 7.6), layout="constrained")
    families = list(dict.fromkeys(r["family"] for r in rows if r["m"] == 0))
    for axes, name in zip(figure.subplots(len(names), sharex=True), names, strict=True):
        axes.axhspan(*(100 * edge for edge in BAND), color=FAINT, alpha=0.4, linewidth=0)
        axes.set_title(INTERVALS[name], loc="left")
        axes.set_ylabel("coverage, %")
        axes.set_ylim(LOWEST, 100.5)
        for i, family in enumerate(families):
            chosen = [r for r in rows if r["family"] == family and r[f"covered_{name}"] != ""]
            _points(axes, chosen, name, i, len(families))
            axes.plot([], [], "o", color=COLOURS[i], markersize=2.8, label=family)
    axes.set_xlabel("images for each dimension, n / d")
    axes.set_xticks(range(len(TIMES)), [str(times) for times in TIMES])
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.axes[0].text(0.02, 0.05, "hollow: equal distributions", transform=figure.axes[0].transAxes, **NOTE)
    return figure


def _points(axes: Axes, rows: list[Row], name: str, i: int, families: int) -> None:
    """The cells of a family, side by side; those below the axis lie on its edge."""
    for t, times in enumerate(TIMES):
        group = [r for r in rows if r["n"] // r["d"] == times]
        for k, r in enumerate(group):
            low, high = binomial(r[f"covered_{name}"], r["draws"])
            p = r[f"covered_{name}"] / r["draws"]
            place = t + 0.9 * ((i + (k + 0.5) / len(group)) / families - 0.5)
            face = "white" if r["difference"] == "equal" else COLOURS[i]
            bar = [[100 * max(p - low, 0)], [100 * max(high - p, 0)]]
            style = {"color": COLOURS[i], "markerfacecolor": face, "markeredgecolor": COLOURS[i], "linewidth": 0.5}
            axes.errorbar(place, 100 * p, bar, marker="o", markersize=2.2, **style)


def bias(rows: list[Row]) -> Figure:
    """Absolute bias of the corrections in standard deviations of the distance: a dot for each cell."""
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    axes = figure.subplots()
    groups = list(dict.fromkeys((r["family"], r["d"]) for r in rows))
    for i, (name, label) in enumerate(SHOWN.items()):
        for g, group in enumerate(groups):
            chosen = [r for r in rows if (r["family"], r["d"]) == group]
            sizes = [max(abs(r[f"bias_{name}"]) / r["sd"], 5e-3) for r in chosen]
            style = {"color": COLOURS[i], "markersize": 2.5, "alpha": 0.8}
            axes.plot([g + (i - 2) * 0.13] * len(sizes), sizes, "o", label=label if g == 0 else None, **style)
    axes.set_yscale("log")
    axes.set_ylabel("|bias| / standard deviation")
    short = {"gaussian": "N", "lite0": "lite", "lognormal 0.5": "L.5", "lognormal 0.8": "L.8", "dominant": "dom."}
    axes.set_xticks(range(len(groups)), [f"{short.get(family, family)}\n{d}" for family, d in groups])
    axes.set_xlabel("family and number of dimensions")
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside lower center", ncols=3)
    return figure
