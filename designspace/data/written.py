"""Writing images in the formats that other programs read: ADM's npz, EDM's zip, and folders of PNG files."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from PIL import Image
from torch import Tensor

from designspace.data.listing import INDEX
from designspace.errors import DataError
from designspace.storage.files import PART, written_whole
from designspace.storage.locks import storing

Parts = Iterable[tuple[Tensor, Tensor | None]]
"""Consecutive parts of a set: images, uint8 ``[n, C, H, W]``, and their labels, int64 ``[n]``."""
PER_FOLDER = 1000
"""The number of images in a folder of a zip file, as EDM's tool has it."""


def write_npz(path: Path, count: int, parts: Parts) -> None:
    """Write an archive of NumPy with ``arr_0``, uint8 ``[N, H, W, C]``, and, with labels, ``arr_1``, int64 ``[N]``.

    This is what ADM's ``evaluator.py`` reads, https://github.com/openai/guided-diffusion. The images are written one
    part after another, so that they need not fit into memory.
    """
    labels: list[Tensor] = []
    with written_whole(path) as file, ZipFile(file, "w", ZIP_STORED) as archive:
        with archive.open(ZipInfo("arr_0.npy"), "w", force_zip64=True) as member:
            for k, (images, of) in enumerate(_pictures(parts)):
                if k == 0:
                    shape = (count, *images.shape[2:], images.shape[1])
                    about: Any = {"descr": "|u1", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(member, about)
                member.write(images.permute(0, 2, 3, 1).contiguous().numpy().tobytes())
                labels += [] if of is None else [of]
        if labels:
            with archive.open(ZipInfo("arr_1.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.concatenate([each.numpy() for each in labels]))


def write_zip(path: Path, count: int, parts: Parts) -> None:
    """Write PNG files and ``dataset.json`` with their labels, or null, as EDM's ``dataset_tool.py`` does.

    The format is defined at https://github.com/NVlabs/edm#preparing-datasets
    """
    with written_whole(path) as file, ZipFile(file, "w", ZIP_STORED) as archive:
        named = _named(parts, lambda k: f"{k // PER_FOLDER:05d}/img{k:08d}.png", archive.writestr, ZipInfo)
        archive.writestr(ZipInfo(INDEX), json.dumps({"labels": named or None}))


def write_png(path: Path, count: int, parts: Parts) -> None:
    """Write a folder of PNG files and, with labels, ``dataset.json``. Raises ``DataError`` if ``path`` exists."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
    with storing(path):
        part.mkdir(parents=True)
        try:
            named = _named(parts, lambda k: f"img{k:08d}.png", lambda file, png: file.write_bytes(png), part.joinpath)
            if named:
                (part / INDEX).write_text(json.dumps({"labels": named}))
            os.rename(part, path)  # noqa: PTH104  # of a folder
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


def _named(
    parts: Parts, name: Callable[[int], str], write: Callable[[Any, bytes], object], place: Callable[[str], object]
) -> list[tuple[str, int]]:
    """Write each image as a PNG file, and return the names with the labels; empty without labels."""
    found: list[tuple[str, int]] = []
    k = 0
    for images, labels in _pictures(parts):
        numbers = [None] * len(images) if labels is None else labels.tolist()
        for image, label in zip(images, numbers, strict=True):
            write(place(name(k)), _png(image))
            found += [] if label is None else [(name(k), label)]
            k += 1
    return found


def _pictures(parts: Parts) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The parts. Raises ``DataError`` unless they are grey or RGB images."""
    for images, labels in parts:
        if images.shape[1] not in (1, 3):
            what = f"samples of shape {list(images.shape[1:])} are not images: these have 1 or 3 channels"
            raise DataError(what)
        yield images, labels


def _png(image: Tensor) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[0].numpy() if len(image) == 1 else image.permute(1, 2, 0).numpy()).save(file, "png")
    return file.getvalue()


WRITERS = {"npz": write_npz, "zip": write_zip, "png": write_png}
"""The functions that write a set of images to a path, by format."""
