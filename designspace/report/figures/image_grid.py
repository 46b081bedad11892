"""Rows and columns of images with values beside them, drawn pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from designspace.drawing.given import figure_of, given
from designspace.drawing.look import DPI, plain, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP, BESIDE, BLOCK, EDGE, HEAD, FOOT = 4, 10, 28, 16, 40, 48
"""Space in pixels between images, before values, between blocks, and at the sides, top and bottom of the figure."""
GREY = "#555555"
NAME, LINES = 28, 3
"""The largest number of characters per line of the name of a row, and of lines."""


@dataclass(frozen=True)
class Block:
    """The images of one configuration at one cost."""

    row: int
    column: int
    images: np.ndarray
    """uint8 ``[k, H, W, 3]``."""
    value: str = ""
    """The value of the metric, and its standard error on a second line."""


@dataclass(frozen=True)
class Grid:
    """One row of images per configuration and one column of blocks per cost."""

    rows: list[str]
    """The names of the configurations."""
    columns: list[str]
    blocks: list[Block]
    gaps: dict[tuple[int, int], str]
    """The words in place of missing images, for each row and column."""
    note: str
    metric: str = ""
    """The heading of the values, such as ``FD``; empty if there are none."""
    further: int = 0
    """The number of configurations without a row."""


@dataclass(frozen=True)
class _Layout:
    """The layout of the figure, in pixels from the upper left corner."""

    left: int
    wide: int
    """The width of an image."""
    across: int
    """The width of the images of a block."""
    beside: int
    """The width of a value beside them, with the space before it."""
    down: int
    """The distance between rows."""
    high: int
    """The height of an image."""
    width: int
    height: int

    @classmethod
    def of(cls, shown: Grid) -> _Layout:
        count = max(len(block.images) for block in shown.blocks)
        high, wide = (max(block.images.shape[axis] for block in shown.blocks) for axis in (1, 2))
        left = EDGE + max(_text_width(line, 7) for name in map(_label, shown.rows) for line in name.split("\n")) + 16
        across, down = count * (wide + GAP) - GAP, high + 2 * GAP
        values = [shown.metric, *(line for block in shown.blocks for line in block.value.split("\n"))]
        beside = BESIDE + max(_text_width(line, 6) for line in values) if shown.metric else 0
        needed = len(shown.columns) * (across + beside + BLOCK) - BLOCK
        width = left + max(needed, *(_text_width(line, 6) for line in shown.note.split("\n"))) + EDGE
        return cls(left, wide, across, beside, down, high, width, HEAD + len(shown.rows) * down + FOOT)

    def place(self, row: int, column: int) -> tuple[int, int]:
        """The upper left corner of a block, ``(x, y)``."""
        return self.left + column * (self.across + self.beside + BLOCK), HEAD + row * self.down


def draw(shown: Grid) -> Figure:
    """Draw the images without interpolation, so that each of their pixels covers whole pixels of the figure.

    Into axes that the user gives, the whole figure is drawn as an image.
    """
    figure = _figure(shown)
    if not (own := given(1)):
        return figure
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    own[0].imshow(np.asarray(canvas.buffer_rgba()))
    own[0].set_axis_off()
    return figure_of(own)


def _figure(shown: Grid) -> Figure:
    from matplotlib.figure import Figure

    at = _Layout.of(shown)
    figure = Figure(figsize=(at.width / DPI, at.height / DPI), dpi=DPI)
    canvas = np.full((at.height, at.width, 3), 255, np.uint8)
    for block in shown.blocks:
        x, y = at.place(block.row, block.column)
        for image in block.images:
            canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
            x += at.wide + GAP
    figure.figimage(canvas, 0, 0)
    _write(figure, shown, at)
    return figure


def _write(figure: Figure, shown: Grid, at: _Layout) -> None:
    def text(x: float, y: float, words: str, ha: str, size: float, **style: Any) -> None:
        style |= {"ha": ha, "va": "center", "size": size, "linespacing": 1}
        figure.text(x / at.width, 1 - y / at.height, plain(words), **style)

    for c, title in enumerate(shown.columns):
        x, _ = at.place(0, c)
        text(x + at.across / 2, 0.5 * HEAD, title, "center", 8)
        text(x + at.across + at.beside, 0.5 * HEAD, shown.metric, "right", 6)
    for block in shown.blocks:
        x, y = at.place(block.row, block.column)
        text(x + at.across + at.beside, y + at.high / 2, block.value, "right", 6)
    for r, name in enumerate(shown.rows):
        text(at.left - 12, at.place(r, 0)[1] + at.high / 2, _label(name), "right", 7)
    for (r, c), word in shown.gaps.items():
        x, y = at.place(r, c)
        text(x, y + at.high / 2, word, "left", 6, color=GREY)
    text(at.left, at.height - 0.5 * FOOT, shown.note, "left", 6, color=GREY)


def _label(name: str) -> str:
    return wrapped(name, NAME, LINES)


def _text_width(text: str, size: float) -> int:
    from matplotlib.textpath import TextPath

    return round(TextPath((0, 0), plain(text), size=size).get_extents().width * DPI / 72)
