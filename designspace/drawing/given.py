"""Axes of the user's own, into which a figure is drawn in place of new ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AnyAxes: TypeAlias = "Axes | Sequence[Axes] | NDArray[Any]"
"""The axes of one panel, or those of all panels, row by row, as ``plt.subplots`` returns them."""
_given: ContextVar[list[Axes] | None] = ContextVar("given", default=None)


@contextmanager
def onto(ax: AnyAxes | None) -> Iterator[None]:
    """Within the block, figures are drawn into ``ax``, if it is given. Raises ``TypeError`` if these are no axes."""
    from matplotlib.axes import Axes

    axes = None if ax is None else list(np.ravel(np.asarray(ax, object)))
    if axes is not None and not all(isinstance(one, Axes) for one in axes):
        raise TypeError(f"ax: should be matplotlib axes or a sequence of them, not {type(ax).__name__}")
    token = _given.set(axes)
    try:
        yield
    finally:
        _given.reset(token)


def is_given() -> bool:
    """Whether the figure is drawn into axes of the user's own."""
    return _given.get() is not None


def given(panels: int) -> list[Axes]:
    """The given axes of a figure with this number of panels; empty if there are none.

    Raises ``ValueError`` if there are too few or too many.
    """
    axes = _given.get()
    if axes is None:
        return []
    if len(axes) != panels:
        needed = "one panel" if panels == 1 else f"{panels} panels"
        raise ValueError(f"ax: the figure has {needed}, so that it needs {panels} axes, not {len(axes)}")
    return axes


def figure_of(axes: Sequence[Axes]) -> Figure:
    """The figure of given axes, which may be a part of another one."""
    return cast("Figure", axes[0].figure)


def first() -> Axes:
    """The first of the given axes."""
    axes = _given.get()
    assert axes
    return axes[0]


def length(axes: Axes, usual: float) -> float:
    """The length of the x axis in inches: the usual one, unless the axes were given."""
    return axes.get_window_extent().width / axes.figure.dpi if is_given() else usual
