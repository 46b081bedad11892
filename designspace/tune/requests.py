"""What a search measures: designs on common latents, each request as an ordinary ablation with one axis."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

from designspace.run.generate import CHUNK
from designspace.spec.ablation import Ablation
from designspace.spec.candidates import Changes, Space, merged, samples_of
from designspace.spec.paths import field_path
from designspace.spec.problems import Problems
from designspace.storage.files import content_key, write_whole

AXIS = "arm"
"""The axis of the designs that a request compares."""
SECONDS = "spent.json"
"""The file beside the results of a request that holds the wall-clock time that they took."""


@dataclass(frozen=True)
class Request:
    """Designs that are to be measured at one budget with the same number of images.

    A request may be evaluated anywhere: ``ablation`` is an ordinary ablation, which ``designspace.run`` takes.
    """

    ablation: Ablation
    arms: Mapping[str, Changes]
    """What each design changes in the baseline, by its label."""
    budget: int
    images: int
    """The number of images per design and repeat."""

    @classmethod
    def of(cls, ablation: Ablation, arms: Mapping[str, Changes], budget: int, images: int) -> Request:
        """The request for these designs of an ablation with ``search``. Raises ``SpecError`` if one does not fit."""
        assert ablation.search is not None
        fields: dict[str, Any] = {
            "search": None,
            "claims": (),
            "trackers": (),  # of the final test
            ablation.search.step_field: budget,
            "grid": {AXIS: [{"label": label, "set": dict(changes)} for label, changes in arms.items()]},
            "evaluate": {**ablation.evaluate, "images": images},
        }
        measured = ablation.changed(**fields)
        ids = [[point.trial.id, point.axes] for point in measured.points()]
        return cls(measured.changed(name=content_key(ids)[:16]), arms, budget, images)

    @cached_property
    def samples(self) -> dict[str, int]:
        """The number of images of each distinct sampler and seed, by a hash of what its samples depend on."""
        return {samples_of(trial): self.images for trial in self.ablation.trials()}


def stage_sizes(images: int, stages: int) -> list[int]:
    """The number of images of each stage of a race, each about twice as many as the one before.

    They are rounded up to whole chunks, in which images are generated and cached. Stages of equal size are left out.
    """
    sizes = (math.ceil(images / 2 ** (stages - 1 - stage) / CHUNK) * CHUNK for stage in range(stages))
    return sorted({min(size, images) for size in sizes})


def full_grid(space: Space, budget: int) -> int:
    """The number of distinct designs that all combinations of the candidates and of the baseline give at a budget.

    Whether a candidate of a row fits and has an effect is decided in the baseline, and that of a field in each
    candidate of its row.
    """
    paths = {row: field_path(row) for row in space.search.rows}
    fields = {f: row for f, path in paths.items() for row, above in paths.items() if path and path[:-1] == above}
    found = 1
    for row in paths.keys() - fields.keys():
        of_row = [f for f in fields if fields[f] == row]
        each = _distinct(space, row, {}, budget)
        found *= sum(math.prod(len(_distinct(space, f, changes, budget)) for f in of_row) for changes in each)
    return found


def _distinct(space: Space, row: str, changes: Changes, budget: int) -> list[Changes]:
    """The distinct designs of the candidates of a row or field in the design with ``changes``, and that design."""
    present = space.trial(changes, budget)
    found: dict[str, Changes] = {samples_of(present): changes}
    for choice in space.tried(row, Problems(), present):
        if trial := space.resolved(changes, budget, Problems(), choice):
            found.setdefault(samples_of(trial), merged(changes, choice))
    return list(found.values())


def spent(folder: Path) -> tuple[float, bool]:
    """The seconds that a request has taken until it was complete, and whether it is complete.

    A resumed search counts them as spent, so that it decides the same.
    """
    path = folder / SECONDS
    seconds, complete = json.loads(path.read_text("utf-8")) if path.is_file() else (0.0, False)
    return float(seconds), bool(complete)


def spend(folder: Path, before: tuple[float, bool], start: float, *, complete: bool) -> None:
    """Add the time since ``start`` to what a request had taken before, unless it was complete."""
    if not before[1] and folder.is_dir():
        write_whole(folder / SECONDS, json.dumps([before[0] + perf_counter() - start, complete]).encode())
