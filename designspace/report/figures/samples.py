"""The same latents through each configuration, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from designspace.report.entry import Entry
from designspace.report.study import Study, budgets
from designspace.style import wrapped
from designspace.text import value_of

MOST_ROWS = 24
CELL = {1: 80, 2: 60, 3: 48}
"""The side of an image in the figure in pixels, by the number of blocks."""


@dataclass(frozen=True)
class Block:
    """What one configuration gave at one cost."""

    row: int
    column: int
    images: np.ndarray
    """uint8 ``[k, H, W, 3]``."""


@dataclass(frozen=True)
class Grid:
    """A row of images for each configuration, a column of blocks for each cost."""

    rows: list[str]
    columns: list[str]
    blocks: list[Block]
    gaps: dict[tuple[int, int], str]
    """The word that stands where images are missing, by row and column."""
    note: str


def grid(study: Study) -> Grid | None:
    """The images at the lowest, a middle and the highest cost; ``None`` if there are none."""
    found = _with_images(study)
    if not found:
        return None
    costs = _three(budgets(study, list(found)))
    shown = {entry: images for entry, images in found.items() if study.budget(entry) in costs}
    names = list(dict.fromkeys(entry.config for entry in shown))
    kept = {name: i for i, name in enumerate(names[:MOST_ROWS])}
    placed = [point for point in study.points if point.config in kept and study.budget(point) in costs]
    place = {point: (kept[point.config], costs.index(study.budget(point))) for point in placed}
    blocks = [Block(*place[e], _sized(images, CELL[len(costs)])) for e, images in shown.items() if e in place]
    columns = [_title(study, [e for e in shown if study.budget(e) == cost]) for cost in costs]
    gaps = {place[p]: study.word(p) for p in place if not p.rows}
    note = "Images one above the other come from the same latent."
    if len({images.shape[1:] for images in shown.values()}) > 1:
        note = "Images of different shapes come from different latents."
    note += f" First {MOST_ROWS} of {len(names)} configurations." if len(names) > MOST_ROWS else ""
    return Grid([wrapped(name, 28) for name in kept], columns, blocks, gaps, note)


def grids(study: Study) -> Iterator[tuple[str, Grid]]:
    """``samples``, and ``samples_difference`` if there are several configurations of the same latents."""
    if (shown := grid(study)) is None:
        return
    yield "samples", shown
    if len(shown.rows) > 1 and (blocks := _differences(shown)):
        where = {"nfe": " at the same cost", "num_steps": " in as many steps"}.get(study.column_axis or "", "")
        note = f"Half the difference from {shown.rows[0]}{where}; grey is none."
        used = sorted({block.row for block in blocks})
        moved = [replace(block, row=used.index(block.row)) for block in blocks]
        yield "samples_difference", Grid([shown.rows[row] for row in used], shown.columns, moved, {}, note)


def _differences(shown: Grid) -> list[Block]:
    first = {block.column: block.images for block in shown.blocks if block.row == 0}
    return [
        replace(block, images=(127.5 + (block.images - first[block.column].astype(float)) / 2).round().astype(np.uint8))
        for block in shown.blocks
        if block.row > 0 and block.column in first and first[block.column].shape == block.images.shape
    ]


def _with_images(study: Study) -> dict[Entry, np.ndarray]:
    """Of the seed that most have: other seeds are other latents."""
    seeds = Counter(row.seed for entry in study.entries for row in entry.rows)
    seed = seeds.most_common(1)[0][0] if seeds else 0
    rows = {entry: entry.seeds[seed] for entry in study.entries if seed in entry.seeds}
    return {e: images for e, row in rows.items() if (images := study.images(row)) is not None and len(images)}


def _three(costs: Sequence[object]) -> list[object]:
    return list(dict.fromkeys((costs[0], costs[len(costs) // 2], costs[-1])))


def _title(study: Study, entries: Sequence[Entry]) -> str:
    nfe = sorted({entry.nfe for entry in entries})
    used = f"NFE {nfe[0]:g}" if len(nfe) == 1 else f"NFE {nfe[0]:g} to {nfe[-1]:g}"
    return f"{value_of(study.budget(entries[0]))} steps ({used})" if study.column_axis == "num_steps" else used


def _sized(images: np.ndarray, side: int) -> np.ndarray:
    """Enlarged by a whole factor, nearest neighbour; images that are too large are reduced."""
    pixels = images.transpose(0, 2, 3, 1).repeat(3 // images.shape[1], 3)
    times = side // max(pixels.shape[1:3])
    if times >= 1:
        return pixels.repeat(times, 1).repeat(times, 2)
    return np.stack([_reduced(image, side) for image in pixels])


def _reduced(image: np.ndarray, side: int) -> np.ndarray:
    from PIL import Image

    factor = side / max(image.shape[:2])
    size = (max(round(image.shape[1] * factor), 1), max(round(image.shape[0] * factor), 1))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
