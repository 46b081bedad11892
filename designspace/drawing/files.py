"""Figures as files that are the same, byte for byte, each time they are drawn."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""The formats of files, each with the metadata left out because it changes with the day or matplotlib's version."""


def saved(figure: Figure, kind: str) -> bytes:
    """The content of the figure's file in one of ``FORMATS``."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=FORMATS[kind])
    return buffer.getvalue()


def settle(figure: Figure) -> None:
    """Fix the positions that the layout engine found, rounded.

    The last digits of its solver differ from run to run, and the bytes of the files would differ with them.
    """
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(Bbox(axes.get_position(original=True).get_points().round(6)))
