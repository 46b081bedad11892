"""Readers of folders and archives of image files, and of the idx files of the MNIST family."""

from __future__ import annotations

import gzip
import io
import math
import zlib
from collections.abc import Callable, Iterable
from itertools import takewhile
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor

from designspace.data.images import MOST_CLASSES, Images, numbered_classes
from designspace.errors import DataError
from designspace.storage.files import reading

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".pgm", ".ppm")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")  # only these: some of Pillow's decoders start other programs
INDEX = "dataset.json"

Read = Callable[[str], bytes]
Classes = tuple[Tensor | None, tuple[str, ...]]


def data_files(names: Iterable[str]) -> list[str]:
    """The images and ``dataset.json`` among relative paths with slashes, sorted and without hidden files."""
    return sorted(name for name in set(names) if _is_data(name.split("/")))


def _is_data(parts: list[str]) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not hidden and (parts[-1] == INDEX or parts[-1].lower().endswith(SUFFIXES))


def read_images(where: Path, names: Iterable[str], read: Read) -> Images:
    """Decode the images among ``names`` in sorted order.

    ``where`` is the folder or archive that errors name, and ``read`` returns the content of a file. A common parent
    folder is ignored. Labels come from a ``dataset.json`` beside the images ("labels": [[name, class number], ...] or
    null, NVIDIA's format), else from class folders; a flat folder has none. Grey and RGB images are kept, other modes
    (palette, alpha, CMYK) become RGB without alpha, and more than 8 bits per channel are refused. Raises ``DataError``
    if a file is damaged or the images differ in size or mode.
    """
    files = data_files(names)
    images = [name for name in files if not name.endswith(INDEX)]
    if not images:
        raise DataError(f"{where}: no images found; known formats are {' '.join(SUFFIXES)}")
    root = _common_folder(files)
    short = [name.removeprefix(root) for name in images]
    if root + INDEX in files:
        labels, classes = _indexed(where, _content(where, root + INDEX, read), short)
    else:
        labels, classes = _class_folders(where, short)
    return Images(_decode(where, images, read), labels, classes)


def _common_folder(names: list[str]) -> str:
    levels = zip(*(name.split("/")[:-1] for name in names), strict=False)
    return "".join(f"{level[0]}/" for level in takewhile(lambda level: len(set(level)) == 1, levels))


class _Index(BaseModel):
    labels: list[tuple[str, Annotated[int, Field(strict=True, ge=0, lt=MOST_CLASSES)]]] | None = None


def _indexed(where: Path, text: bytes, images: list[str]) -> Classes:
    try:
        listed = _Index.model_validate_json(text).labels
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(f"{where}: {INDEX}: {place}: {first['msg']}") from error
    if listed is None:
        return None, ()
    known = dict(listed)
    if unlisted := sorted(set(images) - set(known)):
        raise DataError(f"{where}: {INDEX} gives no label for {_some(unlisted)}")
    if missing := sorted(set(known) - set(images)):
        raise DataError(f"{where}: {INDEX} lists {_some(missing)}, which is missing: the data set is incomplete")
    labels = torch.tensor([known[name] for name in images])
    return labels, numbered_classes(labels, len(images), str(where))


def _class_folders(where: Path, images: list[str]) -> Classes:
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


def _decode(where: Path, names: list[str], read: Read) -> Tensor:
    first = _pixels(where, names[0], read)
    pixels = np.empty((len(names), *first.shape), np.uint8)
    for k, name in enumerate(names):
        image = _pixels(where, name, read)
        if image.shape != first.shape:
            sizes = f"{name} is {_size(image)} and {names[0]} {_size(first)}"
            raise DataError(f"{where}: {sizes}; all images must have the same size and mode")
        pixels[k] = image
    return torch.from_numpy(pixels)


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[2]} x {image.shape[1]} {'grey' if len(image) == 1 else 'RGB'}"


def _content(where: Path, name: str, read: Read) -> bytes:
    try:
        return read(name)
    except Exception as error:  # on damaged archives zipfile and zlib raise nearly anything
        raise DataError(f"{where}: {name} cannot be read: {error}") from error


def _pixels(where: Path, name: str, read: Read) -> NDArray[np.uint8]:
    """One image, ``[C, H, W]``."""
    content = _content(where, name, read)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            array = np.asarray(_grey_or_rgb(image))
    except UnidentifiedImageError:
        raise DataError(f"{where}: {name} is not an image of a known format ({', '.join(FORMATS)})") from None
    except Exception as error:  # on damaged bytes Pillow raises nearly anything
        raise DataError(f"{where}: {name} cannot be decoded: {error}") from error
    return array.reshape(*array.shape[:2], -1).transpose(2, 0, 1)


def _grey_or_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # Pillow would clip these instead of scaling them
        raise ValueError(f"mode {image.mode} has more than 8 bits per channel; convert it to 8")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def read_idx(path: Path) -> Tensor:
    """The uint8 array in an idx file, compressed if the name ends in ``.gz``.

    The format of LeCun, Cortes and Burges (1998), http://yann.lecun.com/exdb/mnist/: two zero bytes, the type
    (8: unsigned bytes), the number of dimensions, each size as a big-endian 32-bit integer, then the data. Raises
    ``DataError`` if the file has another format or is truncated.
    """
    data = _uncompressed(path)
    start = 4 + 4 * int.from_bytes(data[3:4])
    if data[:3] != b"\0\0\x08" or len(data) < start:
        raise DataError(f"{path} is not an idx file of bytes")
    shape = np.frombuffer(data[4:start], ">u4").tolist()
    if len(data) - start != math.prod(shape):
        raise DataError(f"{path} is incomplete: {len(data) - start} bytes of data for an array {shape}; copy it again")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy())


def _uncompressed(path: Path) -> bytes:
    with reading(path):
        data = path.read_bytes()
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a complete gzip file ({error}); copy it again") from error
