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

For results, each function takes the return value of ``ds.run`` or the folder of an ablation, and perhaps the name of a
metric, by default the first of the ablation, and returns one figure.

.. code-block:: python

    figure = ds.plots.metric_vs_nfe("reports/solver_grid")
    figure.axes[0].set_ylim(3, 100)
    figure.savefig("solvers.pdf")

All of them take ``ax``, axes of a figure of your own, into which they draw in place of a new figure: those of the panel
or, if the figure has several panels, those of all panels, row by row, as an array or a list. They return its figure.

.. code-block:: python

    figure, axes = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
    ds.plots.metric_vs_nfe("reports/solver_grid", ax=axes[0])
    ds.plots.equal_quality("reports/solver_grid", ax=axes[1])

In a notebook, ``%matplotlib inline`` shows figures below their cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from designspace.drawing.given import AnyAxes, onto
from designspace.errors import DataError
from designspace.report.figures import curves, dots, effects, heat, profiles
from designspace.report.figures import metric as measure
from designspace.report.figures import pareto as fronts
from designspace.report.figures import quality as equal
from designspace.report.figures import samples as images
from designspace.report.figures.public import (
    AnyResults,
    backward,
    between,
    drawn,
    flow,
    of_metric,
    paths,
    points,
    steps,
    study_of,
    walks,
    warps,
)
from designspace.text import did_you_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from designspace.data.rows import Data
    from designspace.design import Design
    from designspace.table.curves import RowCurves, curves_of
    from designspace.table.figures import Panel, figure, figures, sheets

# fmt: off
__all__ = [
    "Panel", "RowCurves", "backward", "between", "curves_of", "equal_quality", "figure", "figures", "flow", "heat_map",
    "main_effects", "metric_by_row", "metric_vs_axis", "metric_vs_nfe", "metric_vs_sigma", "pareto", "path", "paths",
    "points", "rows", "samples", "samples_difference", "sheets", "steps", "walks", "warps",
]
_OF_DESIGNS = {
    "Panel": "figures", "RowCurves": "curves", "curves_of": "curves", "figure": "figures", "figures": "figures",
    "sheets": "figures",
}
# fmt: on


def __getattr__(name: str) -> Any:
    """Import the functions for designs on first use, because they need PyTorch, unlike those for results."""
    if name not in _OF_DESIGNS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"designspace.table.{_OF_DESIGNS[name]}"), name)


def __dir__() -> list[str]:
    return __all__


def rows(
    designs: Mapping[str, Design] | Iterable[Design | str] | Design | str,
    sheet: str = "schedule",
    ax: AnyAxes | None = None,
) -> Figure:
    """The rows of Table 1 of one or several designs, as curves.

    Args:
        designs: Designs by name; or several without names, each a ``Design``, or a text such as ``edm``,
            ``edm:solver=euler`` or the path of an ablation.
        sheet: ``schedule`` (with the scaling), ``time_steps``, ``preconditioning`` or ``training`` (the distribution of
            noise levels and the weight of the loss).
        ax: The axes to draw into, one for each panel.

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
    with onto(ax):
        return figure(*found[sheet])


def path(
    design: Design | str = "edm",
    data: Data | str = "digits",
    num_steps: int = 8,
    seed: int = 0,
    ax: AnyAxes | None = None,
) -> Figure:
    """A sample at each noise level of its path, and the output of the exact denoiser, on which its tangent lands.

    Args:
        design: A ``Design`` or a text such as ``edm`` or ``edm:solver=euler``.
        data: A data set or its name.
        num_steps: The number of noise levels.
        seed: The seed of the latent.
        ax: The axes to draw into, two for each noise level: first those of all samples, then those below them.
    """
    from designspace.data.rows import Data
    from designspace.table.columns import read_columns
    from designspace.table.path import path as strip

    (column,) = read_columns([design]).values()
    with onto(ax):
        return strip(column, Data.get(data)() if isinstance(data, str) else data, num_steps, seed)


def metric_by_row(results: AnyResults, metric: str | None = None, ax: AnyAxes | None = None) -> Figure:
    """Draw the metric of each configuration with its interval, one row each, at the highest budget.

    Raises ``DataError`` unless at least two configurations can be compared.
    """
    return of_metric(results, metric, dots.by_row, "there are no two finite values", ax)


def metric_vs_nfe(results: AnyResults, metric: str | None = None, ax: AnyAxes | None = None) -> Figure:
    """Draw a metric against the counted evaluations, with 95 % intervals and one curve per configuration.

    If guidance adds evaluations, they are counted as well. Raises ``DataError`` if the metric has not been measured.
    """
    return of_metric(results, metric, curves.metric_vs_nfe, "there are no finite values", ax)


def metric_vs_axis(results: AnyResults, axis: str, metric: str | None = None, ax: AnyAxes | None = None) -> Figure:
    """Draw a metric against the values of an axis such as ``time_steps.rho``.

    Raises ``DataError`` if the axis does not have at least three values, all of which are numbers.
    """
    study = study_of(results)
    if axis not in (known := measure.numeric_axes(study)):
        why = f"'{axis}' is not an axis of at least three numbers.{did_you_mean(axis, known)}"
        raise DataError(f"{study.folder}: {why} Such axes: {', '.join(known) or 'none'}.")
    return of_metric(study, metric, lambda s, m: curves.metric_vs_axis(s, m, axis), "there are no finite values", ax)


def metric_vs_sigma(results: AnyResults, metric: str | None = None, ax: AnyAxes | None = None) -> Figure:
    """Draw a metric against the noise level. Raises ``DataError`` unless the metric records a value at each level."""
    return of_metric(results, metric, profiles.metric_vs_sigma, "the metric has no values at single noise levels", ax)


def heat_map(results: AnyResults, metric: str | None = None, ax: AnyAxes | None = None) -> Figure:
    """Draw a metric for every pair of values of two numeric axes. Raises ``DataError`` if there are no such axes."""
    return of_metric(results, metric, heat.heat_map, "no two axes have 3 to 24 numbers each", ax)


def pareto(results: AnyResults, metric: str | None = None, ax: AnyAxes | None = None) -> Figure:
    """Draw the Pareto front of a metric against the counted evaluations.

    Raises ``DataError`` if lower values of the metric are not better, or if there are too few points.
    """
    otherwise = "this needs at least 4 points of a metric where lower is better"
    return of_metric(results, metric, fronts.pareto, otherwise, ax)


def main_effects(results: AnyResults, metric: str | None = None, group: int = 0, ax: AnyAxes | None = None) -> Figure:
    """Draw how much each choice changes a metric compared with the baseline's choice, with 95 % intervals.

    ``group`` is the index of the group of points to draw, if the points fall into groups that cannot be compared.
    Raises ``DataError`` if the group has no choices to compare.
    """
    otherwise = f"no choices can be compared in group {group}"
    return of_metric(results, metric, lambda s, m: effects.main_effects(s, m, group), otherwise, ax)


def equal_quality(results: AnyResults, metric: str | None = None, group: int = 0, ax: AnyAxes | None = None) -> Figure:
    """Draw the NFE that each configuration needs for the same quality. Raises ``DataError`` without an axis of NFE.

    ``group`` is the index of the kind of model or protocol, if there are several.
    """
    otherwise = f"no axis of NFE, or no distance from a reference, in group {group}"
    return of_metric(results, metric, lambda s, m: equal.equal_quality(s, m, group), otherwise, ax)


def samples(results: AnyResults, where: Mapping[str, Any] | None = None, ax: AnyAxes | None = None) -> Figure:
    """Draw images of each configuration from the same latents, with the value of the first metric beside them.

    Args:
        results: The return value of ``ds.run``, or the folder of an ablation.
        where: The points to draw, as values of axes, such as ``{"nfe": 11, "solver": ["euler", "heun"]}``; by default
            all configurations at the lowest, a middle and the highest cost.
        ax: The axes to draw into.

    Raises:
        DataError: If there is no such axis, or no images of these points were kept.
    """
    study, where = study_of(results), where or {}
    for axis in where:
        if axis not in (known := study.about.axes):
            raise DataError(f"{study.folder}: no axis '{axis}'.{did_you_mean(axis, known)} Axes: {', '.join(known)}.")
    return drawn(study, lambda study: images.samples(study, where), "no images of these points were kept", ax)


def samples_difference(results: AnyResults, ax: AnyAxes | None = None) -> Figure:
    """Draw the differences of the images of each configuration from those of the baseline or, without one, the first.

    Raises ``DataError`` unless another configuration has images from the same latents.
    """
    return drawn(results, images.samples_difference, "no two configurations have images from the same latents", ax)
