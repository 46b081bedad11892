"""Saving figures as files that are byte-for-byte reproducible."""

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
"""The file formats, each with the metadata to omit because they depend on the date or on matplotlib's version."""


def saved(figure: Figure, kind: str) -> bytes:
    """The bytes of the figure in one of the ``FORMATS``."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=FORMATS[kind])
    return _indexed(buffer, exact=bool(figure.images)) if kind == "png" else buffer.getvalue()


def _indexed(png: io.BytesIO, *, exact: bool) -> bytes:
    """The picture with a palette of 256 colours, which makes the file of a figure less than half as large.

    An ``exact`` picture, of sample images, keeps its colours: it has a palette only if it has no more than 256.
    """
    from PIL import Image

    with Image.open(png) as image:
        if exact and image.convert("RGB").getcolors(256) is None:
            return png.getvalue()
        few = image.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        dpi = image.info["dpi"]
    buffer = io.BytesIO()
    few.save(buffer, "png", optimize=True, dpi=dpi)
    return buffer.getvalue()


def settle(figure: Figure) -> None:
    """Round and fix the positions that the layout engine has found.

    The last digits of its solver differ from run to run, and so would the bytes of the files. Without a layout engine,
    ``savefig`` also draws the figure once instead of twice.
    """
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()
    figure.set_layout_engine(None)
    for axes in figure.axes:
        axes.set_position(Bbox(axes.get_position(original=True).get_points().round(6)))
