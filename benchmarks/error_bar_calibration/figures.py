"""Coverage of every cell, and the bias against n."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from summary import BAND, INTERVALS, Row, interval

from designspace.drawing.look import COLOURS, FAINT, NOTE, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = {
    "value": "raw",
    "jackknife": "jackknife",
    "line": "line in 1/n",
    "one_term": "one term",
    "bias_corrected": "bias_corrected",
}


def coverage(rows: list[Row]) -> Figure:
    """A panel for each kind of interval: coverage with its binomial interval against n / d; hollow where equal."""
    names = ("raw", "corrected", "paired")
    figure = Figure(figsize=(WIDTH, 6.3), layout="constrained")
    for axes, name in zip(figure.subplots(3, sharex=True), names, strict=True):
        axes.axhspan(*(100 * edge for edge in BAND), color=FAINT, alpha=0.4, linewidth=0)
        axes.set_title(INTERVALS[name], loc="left")
        axes.set_ylabel("coverage, %")
        axes.set_ylim(84, 100.5)
        axes.set_xscale("log")
        for i, key in enumerate(dict.fromkeys((r["family"], r["d"]) for r in rows)):
            chosen = [r for r in rows if (r["family"], r["d"]) == key and r[f"covered_{name}"] != ""]
            _points(axes, chosen, name, i, f"{key[0]}, d = {key[1]}")
    axes.set_xlabel("images for each dimension, n / d")
    axes.set_xticks([3, 10, 20], ["3", "10", "20"])
    axes.minorticks_off()
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.axes[0].text(0.02, 0.05, "hollow: equal distributions", transform=figure.axes[0].transAxes, **NOTE)
    return figure


def _points(axes: Axes, rows: list[Row], name: str, i: int, label: str) -> None:
    for k, r in enumerate(rows):
        low, high = interval(r[f"covered_{name}"], r["draws"])
        p = r[f"covered_{name}"] / r["draws"]
        place = r["n"] / r["d"] * 1.045 ** (4 * (i - 1.5) + k % 4 - 1.5)
        face = "white" if r["difference"] == "equal" else COLOURS[i]
        bar = [[100 * (p - low)], [100 * (high - p)]]
        style = {"color": COLOURS[i], "markerfacecolor": face, "markeredgecolor": COLOURS[i], "linewidth": 0.7}
        axes.errorbar(place, 100 * p, bar, marker="o", markersize=2.8, **style)
    axes.plot([], [], "o", color=COLOURS[i], markersize=2.8, label=label)


def bias(rows: list[Row]) -> Figure:
    """Absolute bias of the corrections in standard deviations of the distance: a dot for each cell."""
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    axes = figure.subplots()
    cells = [r for r in rows if r["n"] >= 10 * r["d"]]
    groups = list(dict.fromkeys((r["family"], r["d"], r["n"] // r["d"]) for r in cells))
    for i, (name, label) in enumerate(SHOWN.items()):
        for g, group in enumerate(groups):
            chosen = [r for r in cells if (r["family"], r["d"], r["n"] // r["d"]) == group]
            sizes = [max(abs(r[f"bias_{name}"]) / r["sd"], 5e-3) for r in chosen]
            style = {"color": COLOURS[i], "markersize": 3, "alpha": 0.8}
            axes.plot([g + (i - 2) * 0.13] * len(sizes), sizes, "o", label=label if g == 0 else None, **style)
    axes.set_yscale("log")
    axes.set_ylabel("|bias| / standard deviation")
    labels = [f"{family if family == 'lite0' else 'N'}\nd={d}\n{times} d" for family, d, times in groups]
    axes.set_xticks(range(len(groups)), labels)
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside lower center", ncols=3)
    return figure
