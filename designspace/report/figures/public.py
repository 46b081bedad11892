"""What the figures of the public API have in common, and those of one-dimensional data and of points of the plane."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from designspace.drawing.given import AnyAxes, onto
from designspace.drawing.look import style
from designspace.errors import DataError
from designspace.report.answers import metric_of
from designspace.report.figures import plane
from designspace.report.figures import points as scatter
from designspace.report.figures import steps as slopes
from designspace.report.figures import warps as warped
from designspace.report.study import Study
from designspace.results.store import place_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from designspace.results.store import Results

AnyResults: TypeAlias = "Results | Study | Path | str"
ONE_DIMENSIONAL = "the data are not one-dimensional"


def walks(results: AnyResults, ax: AnyAxes | None = None) -> Figure:
    """Draw random walks from the data to noise. Raises ``DataError`` unless the data are one-dimensional."""
    return drawn(results, plane.walks, ONE_DIMENSIONAL, ax)


def backward(results: AnyResults, ax: AnyAxes | None = None) -> Figure:
    """Draw sampling by the SDE and the ODE. Raises ``DataError`` unless one-dimensional data were sampled by both."""
    return drawn(results, plane.backward, "no one-dimensional data were sampled with noise and without", ax)


def flow(results: AnyResults, ax: AnyAxes | None = None) -> Figure:
    """Draw the trajectories of the probability flow. Raises ``DataError`` unless the data are one-dimensional."""
    return drawn(results, plane.flow, ONE_DIMENSIONAL, ax)


def warps(results: AnyResults, ax: AnyAxes | None = None) -> Figure:
    """Draw how schedules and scalings, and what lies between them, bend the flow of one-dimensional data.

    Raises ``DataError`` unless several schedules or scalings were used.
    """
    return drawn(results, warped.warps, "no one-dimensional data were sampled with several schedules or scalings", ax)


def points(results: AnyResults, ax: AnyAxes | None = None) -> Figure:
    """Draw samples of two numbers in the plane, over the data. Raises ``DataError`` unless samples are two numbers."""
    return drawn(results, scatter.points, "the samples are not two numbers", ax)


def steps(results: AnyResults, ax: AnyAxes | None = None) -> Figure:
    """Draw a step of Euler's and of Heun's method. Raises ``DataError`` unless both sampled one-dimensional data."""
    return drawn(results, slopes.steps, "no one-dimensional data were sampled by euler and heun on the same levels", ax)


def paths(results: AnyResults, ax: AnyAxes | None = None) -> Figure:
    """Draw paths of a solver with few steps, which leave the curves of the flow.

    Raises ``DataError`` unless the data are one-dimensional and were sampled without noise.
    """
    return drawn(results, slopes.paths, "no one-dimensional data were sampled without noise", ax)


def between(results: AnyResults, ax: AnyAxes | None = None) -> Figure:
    """Draw the trajectories under schedules between two of the study.

    Raises ``DataError`` unless one-dimensional data were sampled with two schedules or scalings.
    """
    return drawn(results, warped.between, "no one-dimensional data were sampled with several schedules or scalings", ax)


def study_of(results: AnyResults) -> Study:
    """The study of these results: the return value of ``ds.run``, or the folder or name of an ablation."""
    if isinstance(results, Study):
        return results
    if isinstance(results, str | os.PathLike):
        return Study(place_of(Path(results)))
    return Study(results.folder, only=results.only)


def of_metric(
    results: AnyResults,
    metric: str | None,
    draw: Callable[[Study, str], Figure | None],
    otherwise: str,
    ax: AnyAxes | None = None,
) -> Figure:
    """A figure of a metric, by default the first; raises ``DataError`` with ``otherwise`` if there is none."""
    study = study_of(results)
    name = metric_of(study, metric)
    return drawn(study, lambda study: draw(study, name), f"{name}: {otherwise}", ax)


def drawn(
    results: AnyResults, draw: Callable[[Study], Figure | None], otherwise: str, ax: AnyAxes | None = None
) -> Figure:
    """A figure in the style of reports, or ``ax``; raises ``DataError`` with ``otherwise`` if there is none."""
    study = study_of(results)
    with style(), onto(ax):
        figure = draw(study)
    if figure is None:
        raise DataError(f"{study.folder}: nothing to draw: {otherwise}")
    return figure
