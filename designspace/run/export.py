"""The images of a trial, for other programs: sampled with the keys of a run, or taken from the cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from designspace.bars import shown
from designspace.data.written import WRITERS
from designspace.interrupts import contained, finishing
from designspace.registry.isolation import settings_kept
from designspace.run.generate import chunks
from designspace.run.progress import training_shown
from designspace.run.stages import Stages
from designspace.storage.cache import Cache
from designspace.training.checkpoints import heard_by

if TYPE_CHECKING:
    from designspace.spec.trial import Trial


def export(trial: Trial, path: Path, form: str, device: str = "cpu", batch_size: int | None = None) -> None:
    """Write the images of ``trial``, and their labels if it has any, in one of the formats of ``WRITERS``.

    They are the images that a run measures, in their order. Those that are not in the cache are sampled; a network that
    has to be trained first is trained. Raises ``DataError`` if samples are not images, ``NotFiniteError`` and
    ``StorageError``.
    """
    stages, count = Stages(Cache(), torch.device(device), batch_size), trial.evaluate.images
    stages.loaded.keys(trial)  # before anything is computed: later changes to files do not enter them
    with contained(), settings_kept(), training_shown() as seen, heard_by(seen):
        WRITERS[form](path, count, _parts(trial, stages, count))


def _parts(trial: Trial, stages: Stages, count: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    todo = chunks(count)
    for chunk in shown(todo, "images", len(todo)):
        with finishing():
            images = stages.images(trial, chunk)["images"]
        yield images, stages.loaded.labels(trial, chunk)
