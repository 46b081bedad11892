"""The same latents through each configuration, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from designspace.report.figures.samples import Grid
from designspace.style import DPI, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP, BLOCK, EDGE, HEAD, FOOT = 4, 28, 16, 40, 40
"""In pixels: between images, between blocks, and around them."""


def draw(shown: Grid) -> Figure:
    """Every pixel of an image becomes a square of whole pixels."""
    from matplotlib.figure import Figure

    count = max(len(block.images) for block in shown.blocks)
    high = max(block.images.shape[1] for block in shown.blocks)
    wide = max(block.images.shape[2] for block in shown.blocks)
    left = EDGE + max(_text_width(line, 7) for name in shown.rows for line in name.split("\n")) + 16
    across, down = count * (wide + GAP) - GAP, high + 2 * GAP
    width = left + max(len(shown.columns) * (across + BLOCK) - BLOCK, _text_width(shown.note, 6)) + EDGE
    height = HEAD + len(shown.rows) * down + FOOT
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    canvas = np.full((height, width, 3), 255, np.uint8)
    for block in shown.blocks:
        for k, image in enumerate(block.images):
            y, x = HEAD + block.row * down, left + block.column * (across + BLOCK) + k * (wide + GAP)
            canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
    figure.figimage(canvas, 0, 0)
    for c, title in enumerate(shown.columns):
        x = left + c * (across + BLOCK) + across / 2
        figure.text(x / width, 1 - 0.5 * HEAD / height, plain(title), ha="center", va="center", size=8)
    for r, name in enumerate(shown.rows):
        y = 1 - (HEAD + r * down + high / 2) / height
        figure.text((left - 12) / width, y, plain(name), ha="right", va="center", size=7, linespacing=1)
    for (r, c), word in shown.gaps.items():
        x, y = left + c * (across + BLOCK), HEAD + r * down + high / 2
        figure.text(x / width, 1 - y / height, word, ha="left", va="center", size=6, color="#555555")
    figure.text(left / width, 0.45 * FOOT / height, plain(shown.note), ha="left", va="center", size=6, color="#555555")
    return figure


def _text_width(text: str, size: float) -> int:
    from matplotlib.textpath import TextPath

    return round(TextPath((0, 0), plain(text), size=size).get_extents().width * DPI / 72)
