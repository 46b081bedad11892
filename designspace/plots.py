"""The figures of ``designspace plot`` and ``designspace report`` as matplotlib objects.

For designs, ``rows`` draws the rows of Table 1.

.. code-block:: python

    ds.plots.rows(["edm", "vp:solver=heun"], sheet="time_steps").savefig("time_steps.pdf")

Below it, ``curves_of`` computes the rows as arrays, ``sheets`` arranges them in panels, and ``figure`` draws the panels
of one sheet; ``figures`` draws all sheets.

>>> import designspace as ds
>>> from designspace.table.columns import read_columns
>>> curves = ds.plots.curves_of(read_columns(["edm", "vp:solver=heun"]))
>>> curves[0].name, curves[0].levels.shape
('edm', (18,))

For results, each function takes the return value of ``ds.run`` or the folder of an ablation and returns one figure.

.. code-block:: python

    figure = ds.plots.metric_vs_nfe("reports/solver_grid")
    figure.axes[0].set_ylim(3, 100)
    figure.savefig("solvers.pdf")

In a notebook, ``%matplotlib inline`` shows figures below their cells.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from designspace.drawing.look import style
from designspace.errors import DataError
from designspace.report.figures import curves, effects, heat, plane, profiles
from designspace.report.figures import metric as measure
from designspace.report.figures import pareto as fronts
from designspace.report.figures import points as scatter
from designspace.report.figures import samples as images
from designspace.report.figures import steps as slopes
from designspace.report.study import Study
from designspace.text import did_you_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from designspace.design import Design
    from designspace.results.store import Results
    from designspace.table.curves import RowCurves, curves_of
    from designspace.table.figures import Panel, figure, figures, sheets

# fmt: off
__all__ = [
    "Panel", "RowCurves", "backward", "curves_of", "figure", "figures", "flow", "heat_map", "main_effects",
    "metric_vs_axis", "metric_vs_nfe", "metric_vs_sigma", "pareto", "points", "rows", "samples", "samples_difference",
    "sheets", "steps", "walks", "warps",
]
_OF_DESIGNS = {
    "Panel": "figures", "RowCurves": "curves", "curves_of": "curves", "figure": "figures", "figures": "figures",
    "sheets": "figures",
}
# fmt: on
AnyResults: TypeAlias = "Results | Study | Path | str"
ONE_DIMENSIONAL = "the data are not one-dimensional"


def __getattr__(name: str) -> Any:
    """Import the functions for designs on first use, because they need PyTorch, unlike those for results."""
    if name not in _OF_DESIGNS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"designspace.table.{_OF_DESIGNS[name]}"), name)


def rows(designs: Mapping[str, Design] | Iterable[Design | str] | Design | str, sheet: str = "schedule") -> Figure:
    """The rows of Table 1 of one or several designs, as curves.

    Args:
        designs: Designs by name; or several without names, each a ``Design``, or a text such as ``edm``,
            ``edm:solver=euler`` or the path of an ablation.
        sheet: ``schedule`` (with the scaling), ``time_steps``, ``preconditioning`` or ``training`` (the distribution of
            noise levels and the weight of the loss).

    Raises:
        SpecError: If a text names no design.
        ValueError: If there is no such sheet, or no design.
    """
    from designspace.design import Design
    from designspace.table.columns import read_columns
    from designspace.table.curves import curves_of
    from designspace.table.figures import figure, sheets

    if not isinstance(designs, Mapping):
        designs = read_columns([designs] if isinstance(designs, str | Design) else designs)
    if not designs:
        raise ValueError("rows: no design is given")
    found = {name: (panels, width) for name, width, panels in sheets(curves_of(designs))}
    if sheet not in found:
        raise ValueError(f"no sheet '{sheet}'.{did_you_mean(sheet, found)} Sheets: {', '.join(found)}.")
    return figure(*found[sheet])


def metric_vs_nfe(results: AnyResults, metric: str | None = None) -> Figure:
    """Draw a metric against the counted evaluations, with 95 % intervals and one curve per configuration.

    If guidance adds evaluations, they are counted as well: see ``Result.nfe_total``.

    Args:
        results: The return value of ``ds.run``, or the folder of an ablation.
        metric: The name of the metric; by default the first metric of the ablation.

    Raises:
        DataError: If the metric has not been measured.
    """
    return _of_metric(results, metric, curves.metric_vs_nfe, "there are no finite values")


def metric_vs_axis(results: AnyResults, axis: str, metric: str | None = None) -> Figure:
    """Draw a metric against the values of an axis such as ``time_steps.rho``.

    Raises ``DataError`` if the axis does not have at least three values, all of which are numbers.
    """
    study = _study(results)
    if axis not in (known := measure.numeric_axes(study)):
        why = f"'{axis}' is not an axis of at least three numbers.{did_you_mean(axis, known)}"
        raise DataError(f"{study.folder}: {why} Such axes: {', '.join(known) or 'none'}.")
    return _of_metric(study, metric, lambda s, m: curves.metric_vs_axis(s, m, axis), "there are no finite values")


def metric_vs_sigma(results: AnyResults, metric: str | None = None) -> Figure:
    """Draw a metric against the noise level. Raises ``DataError`` unless the metric records a value at each level."""
    return _of_metric(results, metric, profiles.metric_vs_sigma, "the metric has no values at single noise levels")


def heat_map(results: AnyResults, metric: str | None = None) -> Figure:
    """Draw a metric for every pair of values of two numeric axes. Raises ``DataError`` if there are no such axes."""
    return _of_metric(results, metric, heat.heat_map, "no two axes have 3 to 24 numbers each")


def pareto(results: AnyResults, metric: str | None = None) -> Figure:
    """Draw the Pareto front of a metric against the counted evaluations.

    Raises ``DataError`` if lower values of the metric are not better, or if there are too few points.
    """
    return _of_metric(results, metric, fronts.pareto, "this needs at least 4 points of a metric where lower is better")


def main_effects(results: AnyResults, metric: str | None = None, group: int = 0) -> Figure:
    """Draw how much each choice changes a metric compared with the baseline's choice, with 95 % intervals.

    Args:
        results: The return value of ``ds.run``, or the folder of an ablation.
        metric: The name of the metric; by default the first metric of the ablation.
        group: The index of the group of points to draw, if the points fall into groups that cannot be compared.

    Raises:
        DataError: If the group has no choices to compare.
    """
    otherwise = f"no choices can be compared in group {group}"
    return _of_metric(results, metric, lambda s, m: effects.main_effects(s, m, group), otherwise)


def samples(results: AnyResults, where: Mapping[str, Any] | None = None) -> Figure:
    """Draw images of each configuration from the same latents, with the value of the first metric beside them.

    Args:
        results: The return value of ``ds.run``, or the folder of an ablation.
        where: The points to draw, as values of axes, such as ``{"nfe": 11, "solver": ["euler", "heun"]}``; by default
            all configurations at the lowest, a middle and the highest cost.

    Raises:
        DataError: If there is no such axis, or no images of these points were kept.
    """
    study, where = _study(results), where or {}
    for axis in where:
        if axis not in (known := study.about.axes):
            raise DataError(f"{study.folder}: no axis '{axis}'.{did_you_mean(axis, known)} Axes: {', '.join(known)}.")
    return _drawn(study, lambda study: images.samples(study, where), "no images of these points were kept")


def samples_difference(results: AnyResults) -> Figure:
    """Draw the differences of the images of each configuration from those of the first.

    Raises ``DataError`` unless another configuration has images from the same latents.
    """
    return _drawn(results, images.samples_difference, "no two configurations have images from the same latents")


def walks(results: AnyResults) -> Figure:
    """Draw random walks from the data to noise. Raises ``DataError`` unless the data are one-dimensional."""
    return _drawn(results, plane.walks, ONE_DIMENSIONAL)


def backward(results: AnyResults) -> Figure:
    """Draw sampling by the SDE and the ODE. Raises ``DataError`` unless one-dimensional data were sampled by both."""
    return _drawn(results, plane.backward, "no one-dimensional data were sampled with noise and without")


def flow(results: AnyResults) -> Figure:
    """Draw the trajectories of the probability flow. Raises ``DataError`` unless the data are one-dimensional."""
    return _drawn(results, plane.flow, ONE_DIMENSIONAL)


def warps(results: AnyResults) -> Figure:
    """Draw how schedules and scalings bend the flow of one-dimensional data.

    Raises ``DataError`` unless several schedules or scalings were used.
    """
    return _drawn(results, plane.warps, "no one-dimensional data were sampled with several schedules or scalings")


def points(results: AnyResults) -> Figure:
    """Draw samples of two numbers in the plane, over the data. Raises ``DataError`` unless samples are two numbers."""
    return _drawn(results, scatter.points, "the samples are not two numbers")


def steps(results: AnyResults) -> Figure:
    """Draw a step of Euler's and of Heun's method. Raises ``DataError`` unless both sampled one-dimensional data."""
    return _drawn(results, slopes.steps, "no one-dimensional data were sampled by euler and heun on the same levels")


def _study(results: AnyResults) -> Study:
    if isinstance(results, Study):
        return results
    return Study(Path(results) if isinstance(results, str | os.PathLike) else results.folder)


def _of_metric(
    results: AnyResults, metric: str | None, draw: Callable[[Study, str], Figure | None], otherwise: str
) -> Figure:
    study = _study(results)
    known = study.about.metrics
    name = metric or next(iter(known), "")
    if name not in known:
        why = f"metric '{name}' was not measured.{did_you_mean(name, known)} Metrics: {', '.join(known) or 'none'}."
        raise DataError(f"{study.folder}: {why}")
    return _drawn(study, lambda study: draw(study, name), f"{name}: {otherwise}")


def _drawn(results: AnyResults, draw: Callable[[Study], Figure | None], otherwise: str) -> Figure:
    study = _study(results)
    with style():
        figure = draw(study)
    if figure is None:
        raise DataError(f"{study.folder}: nothing to draw: {otherwise}")
    return figure
