"""Every figure of a report, with its name."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from designspace.report.evidence.effects import effects
from designspace.report.figures import (
    cost_figures,
    curves,
    effect_figures,
    plane_figures,
    profile_figures,
    sample_figures,
    samples,
)
from designspace.report.figures import metric as figures
from designspace.report.figures.heat import heat_panels
from designspace.report.figures.pareto import cost_panels
from designspace.report.figures.plane import planes
from designspace.report.figures.profiles import profile_panels
from designspace.report.study import Study, comparable
from designspace.style import sheet
from designspace.text import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""With the metadata that would differ from one day, or one version of matplotlib, to the next."""


def files(study: Study) -> Iterator[tuple[str, bytes]]:
    """The figures as files, the same bytes each time: each as PNG, SVG and PDF, images as PNG."""
    with sheet():
        for name, figure in pictures(study):
            _settle(figure)
            for kind in FORMATS:
                yield f"{name}.{kind}", saved(figure, kind)
        if not planes(study):
            for name, shown in samples.grids(study):
                yield f"{name}.png", saved(sample_figures.draw(shown), "png")


def pictures(study: Study) -> Iterator[tuple[str, Figure]]:
    """All but the samples. To restyle them: draw the data that the modules beside this one give."""
    for metric in study.about.metrics:
        yield from _of_metric(study, metric, _name(metric))
    for metric in study.about.metrics[:1]:
        yield from _of_main_metric(study, metric, _name(metric))
    if found := planes(study):
        yield from plane_figures.pictures(found)


def _of_metric(study: Study, metric: str, name: str) -> Iterator[tuple[str, Figure]]:
    if panels := curves.panels(study, metric):
        yield f"{name}_vs_nfe", figures.metric_vs_x(panels)
    for axis in curves.numeric_axes(study):
        if panels := curves.panels(study, metric, axis):
            yield f"{name}_vs_{re.sub(r'[^a-zA-Z0-9]', '_', axis)}", figures.metric_vs_x(panels)
    if profiles := profile_panels(study, metric):
        yield f"{name}_vs_sigma", profile_figures.against_sigma(profiles)
    if heat := heat_panels(study, metric):
        yield f"{name}_heat", cost_figures.heat_map(heat)


def _of_main_metric(study: Study, metric: str, name: str) -> Iterator[tuple[str, Figure]]:
    if costs := cost_panels(study, metric):
        yield f"{name}_pareto", cost_figures.pareto(costs)
    for i, (group, found) in enumerate(zip(comparable(study.entries, metric), effects(study, metric), strict=True)):
        label = f"change of {one_line(group[0].about(metric).protocol)}"
        title = f"n = {group[0].images(metric):,} images, bars: 95 % intervals"
        budgeted = {"nfe": "NFE", "num_steps": "steps"}.get(study.column_axis or "", "")
        if found and (figure := effect_figures.main_effects(found, title, label, budgeted)):
            yield f"{name}_effects{f'_{i + 1}' if i else ''}", figure


def _settle(figure: Figure) -> None:
    """Fix what the layout came to, rounded: its solver's last digits differ from run to run, and so would the files."""
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(Bbox(axes.get_position(original=True).get_points().round(6)))


def saved(figure: Figure, kind: str) -> bytes:
    """The figure as a file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=FORMATS[kind])
    return buffer.getvalue()


def _name(metric: str) -> str:
    return re.sub(r"\W", "_", metric)
