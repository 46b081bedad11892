"""The figures of a report as files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from designspace.drawing.files import saved, settle
from designspace.drawing.look import style
from designspace.report.evidence.quality import quality
from designspace.report.figures import plane, points, samples
from designspace.report.figures.curves import metric_vs_axis, metric_vs_nfe
from designspace.report.figures.dots import by_row
from designspace.report.figures.effects import main_effects
from designspace.report.figures.heat import heat_map
from designspace.report.figures.metric import depends_on_budget, numeric_axes, varies_in
from designspace.report.figures.pareto import pareto
from designspace.report.figures.profiles import metric_vs_sigma
from designspace.report.figures.quality import equal_quality
from designspace.report.figures.races import races
from designspace.report.figures.steps import paths, steps
from designspace.report.figures.warps import between, warps
from designspace.report.study import Study, rivals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OF_DATA = (plane.walks, plane.backward, plane.flow, warps, between, steps, paths, points.points)
"""The figures that are not about a metric."""


def files(study: Study, formats: Sequence[str] = ()) -> Iterator[tuple[str, bytes]]:
    """Names and reproducible contents of all files: figures as PNG and in further ``formats``, sample images as PNG."""
    with style():
        for name, figure in figures(study):
            settle(figure)
            for kind in dict.fromkeys(("png", *formats)):
                yield f"{name}.{kind}", saved(figure, kind)
        if not plane.planes(study) and not points.sampled(study):
            for name, images in (("samples", samples.samples), ("samples_difference", samples.samples_difference)):
                if drawn := images(study):
                    yield f"{name}.png", saved(drawn, "png")


def figures(study: Study) -> Iterator[tuple[str, Figure]]:
    """All figures except the sample images, with their names. Use it within ``drawing.look.style()``."""
    for name, figure in _candidates(study):
        if figure is not None:
            yield name, figure


def _candidates(study: Study) -> Iterator[tuple[str, Figure | None]]:
    yield from races(study)
    metrics = study.about.metrics if study.entries else []
    for metric in metrics:
        name = stem(metric)
        axes = [axis for axis in numeric_axes(study) if varies_in(study, metric, axis)]
        if varies_in(study, metric, study.count) and depends_on_budget(study, metric):
            yield f"{name}_vs_nfe", metric_vs_nfe(study, metric)
        elif not axes:
            yield f"{name}_by_row", by_row(study, metric)
        for axis in axes:
            yield f"{name}_vs_{re.sub(r'[^a-zA-Z0-9]', '_', axis)}", metric_vs_axis(study, metric, axis)
        yield f"{name}_vs_sigma", metric_vs_sigma(study, metric)
        yield f"{name}_heat", heat_map(study, metric)
    for metric in metrics[:1]:
        yield f"{stem(metric)}_pareto", pareto(study, metric)
        for i in range(len(rivals(study.entries, metric))):
            yield f"{stem(metric)}_effects{f'_{i + 1}' if i else ''}", main_effects(study, metric, i)
        for i in range(len(quality(study, metric))):
            yield f"{stem(metric)}_quality{f'_{i + 1}' if i else ''}", equal_quality(study, metric, i)
    for figure in OF_DATA:
        yield figure.__name__, figure(study)


def is_figure(name: str, metrics: Sequence[str]) -> bool:
    """Whether a file has the name of a figure of some of the metrics, of the data or of the samples."""
    stems = "|".join(re.escape(stem(metric)) for metric in metrics)
    of_metric = rf"(?:{stems})_(?:vs_\w+|by_row|heat|pareto|effects(?:_\d+)?|quality(?:_\d+)?)" if stems else "(?!)"
    others = "|".join((*(figure.__name__ for figure in OF_DATA), "samples", "samples_difference"))
    return re.fullmatch(rf"(?:{of_metric}|{others})\.(?:png|svg|pdf)", name) is not None


def stem(metric: str) -> str:
    """The beginning of the names of the metric's files."""
    return re.sub(r"\W", "_", metric)
