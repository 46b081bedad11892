"""Class labels of image files: from a ``dataset.json``, else from class folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor

from designspace.data.images import MOST_CLASSES, numbered_classes
from designspace.data.listing import INDEX
from designspace.errors import DataError

Classes = tuple[Tensor | None, tuple[str, ...]]
"""The label of each image, int64 ``[N]``, and the names of the classes; ``None`` and none without classes."""


class _Index(BaseModel):
    labels: list[tuple[str, Annotated[int, Field(strict=True, ge=0, lt=MOST_CLASSES)]]] | None = None


def indexed(where: Path, text: bytes, images: Sequence[str]) -> Classes:
    """The classes in a ``dataset.json``: "labels": [[name, class number], ...] or null, NVIDIA's format.

    Raises ``DataError`` if it has another format or does not list exactly the ``images``.
    """
    try:
        listed = _Index.model_validate_json(text).labels
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(f"{where}: {INDEX}: {place}: {first['msg']}") from error
    if listed is None:
        return None, ()
    known = {name.replace("\\", "/"): label for name, label in listed}
    if twice := [name for name, count in Counter(name.replace("\\", "/") for name, _ in listed).items() if count > 1]:
        raise DataError(f"{where}: {INDEX} lists {_some(twice)} more than once; give each image one label")
    if unlisted := sorted(set(images) - set(known)):
        raise DataError(f"{where}: {INDEX} gives no label for {_some(unlisted)}")
    if missing := sorted(set(known) - set(images)):
        raise DataError(f"{where}: {INDEX} lists {_some(missing)}, which is missing: the data set is incomplete")
    labels = torch.tensor([known[name] for name in images])
    return labels, numbered_classes(labels, len(images), str(where))


def class_folders(where: Path, images: Sequence[str]) -> Classes:
    """The classes of ``<class>/<image>``, in the order of their names; a flat folder has none."""
    beside = [name for name in images if "/" not in name]
    if len(beside) == len(images):
        return None, ()
    if beside:
        raise DataError(f"{where}: {_some(beside)} outside the class folders; move every image to its class")
    folders = [name.split("/", 1)[0] for name in images]
    number = {folder: k for k, folder in enumerate(sorted(set(folders)))}
    return torch.tensor([number[folder] for folder in folders]), tuple(number)


def _some(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
