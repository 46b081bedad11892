"""Figures: data first, drawing after."""

from __future__ import annotations

import io
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from designspace.report.compare import Z
from designspace.report.study import Entry, Study
from designspace.report.style import WIDTH, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Curve:
    """One configuration: a metric against counted evaluations."""

    name: str
    nfe: list[float]
    values: list[float]
    errors: list[float]
    """Half of the 95 % interval; 0 where there is no standard error."""


def curves(study: Study, metric: str) -> list[Curve]:
    """The curve of each configuration, its points in the order of their cost."""
    found = []
    for name in study.configs:
        entries = sorted((e for e in study.entries if e.config == name), key=lambda e: e.nfe)
        errors = [Z * (e.se(metric) or 0.0) for e in entries]
        found.append(Curve(name, [e.nfe for e in entries], [e.value(metric) for e in entries], errors))
    return found


def metric_vs_nfe(study: Study, metric: str) -> Figure:
    """The metric against NFE, log-log, with 95 % intervals and the floor."""
    from matplotlib.figure import Figure

    drawn = curves(study, metric)
    figure = Figure(figsize=(WIDTH, 3.4))
    axes = figure.subplots()
    for i, curve in enumerate(drawn):
        aside = 1.012 ** (i - (len(drawn) - 1) / 2)  # so that error bars do not hide each other
        nfe = [aside * nfe for nfe in curve.nfe]
        axes.errorbar(nfe, curve.values, yerr=curve.errors, label=curve.name, capsize=2, elinewidth=0.9, **look(i))
    _scales(axes, drawn)
    about = study.entries[0].about(metric)
    if about["floor"] > 0 or axes.get_yscale() != "log":
        axes.axhline(about["floor"], color="#555555", linewidth=0.9, linestyle=(0, (1, 2)))
        label = f"floor (the data in halves of {about['floor_n']})"
        axes.annotate(label, (1, about["floor"]), xycoords=("axes fraction", "data"), ha="right", va="bottom", size=7)
    axes.set(xlabel="NFE (evaluations of the denoiser for each image)", ylabel=about["protocol"])
    _legend(figure, axes, len(drawn))
    return figure


def samples(study: Study) -> Figure | None:
    """The same latents in each configuration: a row of images each, at the lowest, a middle and the highest cost."""
    from matplotlib.figure import Figure

    columns = _columns(study)
    rows = [name for name in study.configs if any((name, i) in columns for i in range(3))]
    if not rows:
        return None
    width = 1 + max(i for _, i in columns)
    figure = Figure(figsize=(1 + 2.2 * width, 0.25 + 0.34 * len(rows)))
    grid = figure.subplots(len(rows), width, squeeze=False)
    for r, name in enumerate(rows):
        for c in range(width):
            axes = grid[r][c]
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if (name, c) in columns:
                entry, pixels = columns[name, c]
                strip = np.concatenate(list(np.pad(pixels, ((0, 0), (0, 0), (0, 0), (0, 1)), constant_values=255)), 2)
                axes.imshow(strip.transpose(1, 2, 0).repeat(3 // len(strip), 2), interpolation="nearest")
                if r == 0 or (rows[0], c) not in columns:
                    axes.set_title(f"NFE {entry.nfe:g}", pad=3)
        grid[r][0].set_ylabel(name, rotation=0, ha="right", va="center")
    return figure


def save(figure: Figure) -> dict[str, bytes]:
    """The figure as PNG and SVG, the same bytes each time."""
    files = {}
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=metadata)
        files[kind] = buffer.getvalue()
    return files


def _scales(axes: Axes, drawn: list[Curve]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    values = [v for curve in drawn for v in curve.values]
    if min(values) > 0:
        axes.set_yscale("log", nonpositive="clip")
    else:  # an unbiased estimate may be negative
        errors = [error for curve in drawn for error in curve.errors]
        axes.set_yscale("symlog", linthresh=max(statistics.median(errors), max(map(abs, values)) / 1000, 1e-12))
    axes.set_xscale("log")
    ticks = sorted({nfe for curve in drawn for nfe in curve.nfe})
    kept = [t for i, t in enumerate(ticks) if i == 0 or t > 1.12 * ticks[i - 1]]
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    if axes.get_yscale() == "log" and max(values) < 30 * min(values):
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda y, _: f"{y:g}" if f"{y:e}"[0] in "235" else ""))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))


def _legend(figure: Figure, axes: Axes, count: int) -> None:
    if count <= 6:
        axes.legend()
    else:
        figure.legend(loc="outside right center")


def _columns(study: Study) -> dict[tuple[str, int], tuple[Entry, np.ndarray]]:
    """For each configuration and each of at most three costs, an entry with its images."""
    costs = sorted({_cost(e) for e in study.entries})
    chosen = list(dict.fromkeys((costs[0], costs[len(costs) // 2], costs[-1])))
    found = {}
    for entry in study.entries:
        if _cost(entry) in chosen and (pixels := study.images(entry)) is not None:
            found[entry.config, chosen.index(_cost(entry))] = (entry, pixels)
    return found


def _cost(entry: Entry) -> float:
    """The budget if there is one: solvers that cannot use all of it stand in the same column."""
    return float(entry.axes.get("nfe", entry.axes.get("num_steps", 0)))
