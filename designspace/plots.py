"""Figures as matplotlib objects, of designs and of results; `designspace report` and `designspace plot` draw the same.

Of designs: ``curves_of`` computes the rows of Table 1 as arrays, ``figures`` draws them.

>>> import designspace as ds
>>> from designspace.table.columns import read_columns
>>> curves = ds.plots.curves_of(read_columns(["edm", "vp:solver=heun"]))
>>> curves[0].name, curves[0].levels.shape
('edm', (18,))

Of results: every other function takes what ``ds.run`` returns, or the folder of an ablation, and returns one figure.

.. code-block:: python

    figure = ds.plots.metric_vs_nfe("reports/solver_grid")
    figure.axes[0].set_title("Solvers")
    figure.savefig("solvers.pdf")
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from designspace.drawing.look import style
from designspace.errors import DataError
from designspace.report.figures import effects, heat, plane, profiles
from designspace.report.figures import metric as measure
from designspace.report.figures import pareto as fronts
from designspace.report.figures import samples as images
from designspace.report.figures import steps as slopes
from designspace.report.study import Study
from designspace.text import did_you_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from designspace.results.store import Results
    from designspace.table.curves import RowCurves, curves_of
    from designspace.table.figures import Panel, figure, figures, sheets

# fmt: off
__all__ = [
    "Panel", "RowCurves", "backward", "curves_of", "figure", "figures", "flow", "heat_map", "main_effects",
    "metric_vs_axis", "metric_vs_nfe", "metric_vs_sigma", "pareto", "samples", "samples_difference", "sheets", "steps",
    "walks", "warps",
]
_OF_DESIGNS = {
    "Panel": "figures", "RowCurves": "curves", "curves_of": "curves", "figure": "figures", "figures": "figures",
    "sheets": "figures",
}
# fmt: on
Source: TypeAlias = "Results | Study | Path | str"
ONE_DIMENSIONAL = "the data are not one-dimensional"


def __getattr__(name: str) -> Any:
    """What draws designs is imported when it is first used: it needs PyTorch, unlike what draws results."""
    if name not in _OF_DESIGNS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"designspace.table.{_OF_DESIGNS[name]}"), name)


def metric_vs_nfe(results: Source, metric: str | None = None) -> Figure:
    """FID, or another metric, against the counted evaluations, with 95 % intervals: one curve for each configuration.

    Args:
        results: What ``ds.run`` returns, or the folder of an ablation.
        metric: Its name; by default the ablation's first.

    Raises:
        DataError: The metric has not been measured.
    """
    return _of_metric(results, metric, measure.metric_vs_nfe, "there are no finite values")


def metric_vs_axis(results: Source, axis: str, metric: str | None = None) -> Figure:
    """The metric against the positive values of an axis such as ``time_steps.rho``. Raises ``DataError``."""
    study = _study(results)
    if axis not in (known := measure.numeric_axes(study)):
        why = f"'{axis}' is not an axis of several positive numbers.{did_you_mean(axis, known)}"
        raise DataError(f"{study.folder}: {why} Such axes: {', '.join(known) or 'none'}.")
    return _of_metric(study, metric, lambda s, m: measure.metric_vs_axis(s, m, axis), "there are no finite values")


def metric_vs_sigma(results: Source, metric: str | None = None) -> Figure:
    """The metric at each noise level, for metrics that record it. Raises ``DataError`` for others."""
    return _of_metric(results, metric, profiles.metric_vs_sigma, "the metric has no values at single noise levels")


def heat_map(results: Source, metric: str | None = None) -> Figure:
    """The metric at every pair of values of two axes of numbers. Raises ``DataError`` if there are no such axes."""
    return _of_metric(results, metric, heat.heat_map, "no two axes have 3 to 24 numbers each")


def pareto(results: Source, metric: str | None = None) -> Figure:
    """The front of quality against cost. Raises ``DataError`` for metrics that are not to be low, or too few points."""
    return _of_metric(results, metric, fronts.pareto, "there are fewer than 4 points of a metric that is to be low")


def main_effects(results: Source, metric: str | None = None, group: int = 0) -> Figure:
    """How much each choice changes the metric against the baseline's choice, with 95 % intervals.

    If not all points may be compared, ``group`` says which of the groups is drawn. Raises ``DataError`` if no choices
    have been compared.
    """
    return _of_metric(
        results, metric, lambda s, m: effects.main_effects(s, m, group), f"no choices are compared in group {group}"
    )


def samples(results: Source) -> Figure:
    """Images of each configuration from the same latents. Raises ``DataError`` if none were kept."""
    return _drawn(_study(results), images.samples, "no images were kept")


def samples_difference(results: Source) -> Figure:
    """The differences of the images from those of the first configuration. Raises ``DataError`` without others."""
    return _drawn(_study(results), images.samples_difference, "no two configurations have images of the same latents")


def walks(results: Source) -> Figure:
    """Random walks from the data to the noise. Raises ``DataError`` unless the data are one-dimensional."""
    return _drawn(_study(results), plane.walks, ONE_DIMENSIONAL)


def backward(results: Source) -> Figure:
    """The way back by the SDE and by the ODE, for one-dimensional data. Raises ``DataError`` without either."""
    return _drawn(
        _study(results), plane.backward, "one-dimensional samples of a stochastic and another solver are needed"
    )


def flow(results: Source) -> Figure:
    """The curves of the flow. Raises ``DataError`` unless the data are one-dimensional."""
    return _drawn(_study(results), plane.flow, ONE_DIMENSIONAL)


def warps(results: Source) -> Figure:
    """How schedules and scalings bend the flow of one-dimensional data. Raises ``DataError`` without several."""
    return _drawn(_study(results), plane.warps, "one-dimensional samples with several schedules or scalings are needed")


def steps(results: Source) -> Figure:
    """A step of Euler's and of Heun's method, for one-dimensional data. Raises ``DataError`` without both."""
    return _drawn(
        _study(results), slopes.steps, "one-dimensional samples of euler and heun on the same levels are needed"
    )


def _study(results: Source) -> Study:
    if isinstance(results, Study):
        return results
    return Study(Path(results) if isinstance(results, str | os.PathLike) else results.folder)


def _of_metric(
    results: Source, metric: str | None, draw: Callable[[Study, str], Figure | None], otherwise: str
) -> Figure:
    study = _study(results)
    known = study.about.metrics
    if not known or (metric is not None and metric not in known):
        why = (
            f"the metric '{metric}' is not measured.{did_you_mean(metric, known)}"
            if metric
            else "no metric is measured."
        )
        raise DataError(f"{study.folder}: {why}" + (f" Metrics: {', '.join(known)}." if known else ""))
    name = metric or known[0]
    return _drawn(study, lambda study: draw(study, name), f"{name}: {otherwise}")


def _drawn(study: Study, draw: Callable[[Study], Figure | None], otherwise: str) -> Figure:
    with style():
        figure = draw(study)
    if figure is None:
        raise DataError(f"{study.folder}: nothing to draw: {otherwise}")
    return figure
