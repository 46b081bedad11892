"""The sample images of a page as a table: one row per configuration and one cell per cost."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from designspace.report.figures.image_grid import Block
from designspace.report.figures.samples import grid
from designspace.report.html.render import picture
from designspace.report.study import Study

FIRST = 6
"""The number of configurations that are shown at once; the page folds the others away."""
GAP = 4
"""The transparent space between images, in pixels."""


@dataclass(frozen=True)
class Shown:
    """The images of a configuration at one cost."""

    column: str
    """The cost: ``NFE 11``."""
    source: str = ""
    """The images side by side, as a data URL; empty if there are none."""
    told: str = ""
    """The value and its standard error, or why there are no images."""


@dataclass(frozen=True)
class Samples:
    """The table."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shown, ...]], ...]
    """The name of each configuration and its cells."""
    note: str

    @property
    def first(self) -> tuple[tuple[str, tuple[Shown, ...]], ...]:
        """The rows that are shown at once: all, unless several more would be folded away."""
        return self.rows if len(self.rows) <= FIRST + 1 else self.rows[:FIRST]

    @property
    def rest(self) -> tuple[tuple[str, tuple[Shown, ...]], ...]:
        """The rows that are folded away."""
        return self.rows[len(self.first) :]


def samples(study: Study) -> Samples | None:
    """The images of the figure ``samples``; ``None`` if there are none."""
    found = grid(study)
    if found is None:
        return None
    blocks = {(block.row, block.column): block for block in found.blocks}
    rows = []
    for r, name in enumerate(found.rows):
        cells = [_shown(title, blocks.get((r, c)), found.gaps.get((r, c), "")) for c, title in enumerate(found.columns)]
        rows.append((name, tuple(cells)))
    return Samples(tuple(found.columns), tuple(rows), " ".join(found.note.split()))


def _shown(column: str, block: Block | None, gap: str) -> Shown:
    if block is None:
        return Shown(column, told=gap)
    return Shown(column, picture(_strip(block.images)), " ".join(block.value.split()))


def _strip(images: Sequence[np.ndarray] | np.ndarray) -> bytes:
    """Images ``[H, W, 3]`` side by side as a PNG."""
    from PIL import Image  # imported here, because most commands do not need it

    high, wide = images[0].shape[:2]
    canvas = np.zeros((high, len(images) * (wide + GAP) - GAP, 4), np.uint8)
    for k, image in enumerate(images):
        canvas[:, k * (wide + GAP) : k * (wide + GAP) + wide] = np.dstack([image, np.full((high, wide), 255, np.uint8)])
    written = io.BytesIO()
    Image.fromarray(canvas).save(written, "PNG", optimize=True)
    return written.getvalue()
