"""Sample images of each configuration from the same latents, side by side, and how they score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from designspace.report.entry import WORDS, Entry
from designspace.report.figures.image_grid import Block, Grid, draw
from designspace.report.study import Study, budgets, comparable
from designspace.report.tables.caption import better
from designspace.report.trainings import network_of
from designspace.text import measured, one_line, value_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS = 24
SHOWN = 4
"""The number of latents whose images are shown."""
CELL = {1: 160, 2: 112, 3: 96}
"""The side of an image in pixels, for each number of blocks side by side."""


def samples(study: Study, where: Mapping[str, Any] | None = None) -> Figure | None:
    """The images of each configuration at the lowest, a middle and the highest cost; ``None`` if none were kept.

    ``where`` selects points by the values of their axes, each a value or a list of values.
    """
    return draw(found) if (found := grid(study, where or {})) else None


def samples_difference(study: Study) -> Figure | None:
    """The differences of the images from those of the baseline or, if it has none, of the first configuration.

    Networks and exact denoisers have baselines of their own, so that differences are those of the choices and
    not of the models.
    ``None`` if no other configuration shares its latents.
    """
    found = grid(study)
    base = _baselines(study, found) if found else {}
    if not found or not (blocks := _differences(found, base)):
        return None
    same = {"nfe": "at the same NFE" if study.guided else "at the same cost", "nfe_total": "at the same cost"}
    where = (same | {"num_steps": "in as many steps"}).get(study.column_axis or "", "")
    used = sorted({block.row for block in blocks})
    first, *other = (one_line(found.rows[row]) for row in dict.fromkeys(base[row] for row in base if row in used))
    note = f"Half the difference from {first} {where}".rstrip() + f"; grey is none.{_cut(found)}"
    note += "".join(f"\nImages of exact denoisers: from {name}." for name in other)
    moved = [replace(block, row=used.index(block.row)) for block in blocks]
    return draw(Grid([found.rows[row] for row in used], found.columns, moved, {}, note))


def grid(study: Study, where: Mapping[str, Any] | None = None) -> Grid | None:
    """The images at the lowest, a middle and the highest cost; ``None`` if there are none."""
    points = [point for point in study.points if _selected(point, where or {})]
    found = {entry: images for entry, images in _with_images(study).items() if entry in points}
    if not found:
        return None
    costs = _three(budgets(study, list(found)))
    shown = {entry: images for entry, images in found.items() if study.budget(entry) in costs}
    names = list(dict.fromkeys(entry.config for entry in shown))
    kept = {name: i for i, name in enumerate(names[:MOST_ROWS])}
    placed = [point for point in points if point.config in kept and study.budget(point) in costs]
    place = {point: (kept[point.config], costs.index(study.budget(point))) for point in placed}
    rated = [entry for entry in shown if entry in place]
    metric = _metric(study, rated)
    latents, told = _telling([[shown[e] for e in rated if study.budget(e) == cost] for cost in costs])
    sized = {entry: _sized(shown[entry][latents], CELL[len(costs)]) for entry in rated}
    blocks = [Block(*place[entry], sized[entry], _value(entry, metric)) for entry in rated]
    columns = [_title(study, [e for e in shown if study.budget(e) == cost]) for cost in costs]
    gaps = {place[p]: study.word(p) for p in place if not p.rows}
    several = len({images.shape[1:] for images in shown.values()}) > 1
    alike = (
        "of different shapes come from different latents"
        if several
        else "one above the other come from the same latent"
    )
    note = f"{_network(list(shown))}Images {alike}{told}."
    heading, about = _about(next(iter(shown)), metric) if metric else ("", "")
    made = Grid([*kept], columns, blocks, gaps, "", heading, len(names) - len(kept))
    return replace(made, note=f"{note}{_cut(made)}\n{about}".rstrip())


def _cut(shown: Grid) -> str:
    """A sentence that says how many configurations have rows; empty if all have."""
    rows = len(shown.rows)
    return f" First {rows} of {rows + shown.further} configurations." if shown.further else ""


def _telling(columns: Sequence[Sequence[np.ndarray]]) -> tuple[list[int], str]:
    """The latents whose images differ most between configurations, and words that say so.

    ``columns`` are the images of each configuration at each cost. Without differences, these are the first latents.
    """
    every = [images for column in columns for images in column]
    count = min(map(len, every))
    if count <= SHOWN or len({images.shape[1:] for images in every}) > 1:
        return [*range(min(count, SHOWN))], ""
    spread = np.zeros(count)
    for column in (column for column in columns if column):
        spread += np.stack([images[:count] for images in column]).std(0, dtype=np.float32).mean((1, 2, 3))
    chosen = np.argsort(-spread, kind="stable")[:SHOWN]
    told = f"; {SHOWN} of {count} latents, for which images differ most" if spread.any() else ""
    return sorted(map(int, chosen)), told


def _network(shown: Sequence[Entry]) -> str:
    """The name of the pretrained network that made all images, as a sentence; nothing if there is no such network."""
    models = {entry.trial("denoiser", "model") for entry in shown}
    model = models.pop() if len(models) == 1 else None
    return f"Network {one_line(PurePath(model).name)}. " if isinstance(model, str) else ""


def _selected(point: Entry, where: Mapping[str, Any]) -> bool:
    wanted = {axis: value if isinstance(value, list) else [value] for axis, value in where.items()}
    return all(point.axes.get(axis) in values for axis, values in wanted.items())


def _metric(study: Study, shown: Sequence[Entry]) -> str:
    """The first metric, unless it was not measured, or values of different protocols would stand side by side."""
    metric = next(iter(study.about.metrics), "")
    return metric if [len(group) for group in comparable(shown, metric)] == [len(shown)] else ""


def _about(entry: Entry, metric: str) -> tuple[str, str]:
    """A heading for the values and what they are: ``FD`` and ``FD-lite0-96-320 ± standard error; lower is better.``"""
    protocol = one_line(entry.about(metric).protocol)
    error = "" if entry.se(metric) is None else " ± standard error"
    return protocol.partition("-")[0], f"{protocol}{error}; {better(entry.higher_is_better(metric))}."


def _value(entry: Entry, metric: str) -> str:
    return measured(entry.value(metric), entry.se(metric)).replace(" ± ", "\n± ") if metric else ""


def _baselines(study: Study, shown: Grid) -> dict[int, int]:
    """For each row the first one of the same kind, network or exact denoiser, with most of the baseline's choices.

    Rows of networks are before those of exact denoisers.
    """

    def shared(point: Entry) -> int:
        return sum(point.axes.get(axis) == value for axis, value in study.about.baseline_axes.items())

    first = {point.config: point for point in reversed(study.points) if point.rows}
    kinds: dict[bool, list[str]] = {}
    for name in shown.rows:
        kinds.setdefault(network_of(first[name].rows[0]) is None, []).append(name)
    base = {kind: max(of, key=lambda name: shared(first[name])) for kind, of in kinds.items()}
    return {shown.rows.index(name): shown.rows.index(base[kind]) for kind, of in sorted(kinds.items()) for name in of}


def _differences(shown: Grid, base: Mapping[int, int]) -> list[Block]:
    images = {(block.row, block.column): block.images.astype(float) for block in shown.blocks}
    pairs = [(block, images.get((base[block.row], block.column))) for block in shown.blocks]
    return [
        replace(block, images=(127.5 + (block.images - other) / 2).round().astype(np.uint8), value="")
        for block, other in pairs
        if block.row != base[block.row] and other is not None and other.shape == block.images.shape
    ]


def _with_images(study: Study) -> dict[Entry, np.ndarray]:
    """The images of the most frequent seed, because other seeds have other latents."""
    seeds = Counter(row.seed for entry in study.entries for row in entry.rows)
    seed = seeds.most_common(1)[0][0] if seeds else 0
    rows = {entry: entry.seeds[seed] for entry in study.entries if seed in entry.seeds}
    return {e: images for e, row in rows.items() if (images := study.images(row)) is not None and len(images)}


def _three(costs: Sequence[object]) -> list[object]:
    """The first, the middle and the last cost."""
    return list(dict.fromkeys((costs[0], costs[len(costs) // 2], costs[-1])))


def _title(study: Study, entries: Sequence[Entry]) -> str:
    spent, word = sorted({entry.spent(study.count) for entry in entries}), WORDS[study.count]
    used = f"{word} {spent[0]:g}" if len(spent) == 1 else f"{word} {spent[0]:g} to {spent[-1]:g}"
    return f"{value_of(study.budget(entries[0]))} steps ({used})" if study.column_axis == "num_steps" else used


def _sized(images: np.ndarray, side: int) -> np.ndarray:
    """The images enlarged by a whole factor (nearest neighbour), or reduced if they are larger than ``side``."""
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
