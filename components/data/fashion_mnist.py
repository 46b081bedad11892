import gzip
import hashlib
import math
import zlib
from pathlib import Path
from typing import IO, Literal, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from designspace.data.images import Images
from designspace.data.limits import require_room
from designspace.data.rows import Data
from designspace.errors import DataError
from designspace.registry.literature import XIAO_2017
from designspace.storage.files import file_hash, reading

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


class FashionMNIST(Data, name="fashion_mnist"):
    """70,000 grey pictures of clothes, 28 x 28 pixels, in ten classes: 60,000 in ``train`` and 10,000 in ``test``.

    With ``size`` 32 they get a black border of two pixels, which suits networks that halve the sides. The files are
    read from where Debian's package ``dataset-fashion-mnist`` installs them, or from the folder ``path``, compressed as
    ``.gz`` or not; nothing is downloaded. Raises ``DataError`` if a file is missing or damaged.
    """

    sources = (XIAO_2017,)
    split: Literal["train", "test"] = "train"
    size: Literal[28, 32] = 28
    path: Path | None = None

    def load(self) -> Images:
        files = self._files()
        pixels, labels = map(_read_idx, files)
        if pixels.ndim != 3 or labels.shape != pixels.shape[:1] or not len(labels) or labels.max() >= len(CLASSES):
            found = f"arrays {list(pixels.shape)} and {list(labels.shape)}"
            raise DataError(f"{files[0]} and {files[1].name} are not images [N, H, W] and labels 0..9 [N]: {found}")
        border = 2 if self.size == 32 else 0
        return Images(pad(pixels[:, None], [border] * 4), labels.long(), CLASSES)

    def content_hash(self) -> str:
        parts = [*map(file_hash, self._files()), *(["32 x 32"] if self.size == 32 else [])]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _files(self) -> list[Path]:
        part = {"train": "train", "test": "t10k"}[self.split]
        return [self._file(f"{part}-{what}-ubyte") for what in ("images-idx3", "labels-idx1")]

    def _file(self, name: str) -> Path:
        folder = self.path or DEBIAN
        for file in (folder / f"{name}.gz", folder / name):
            if file.is_file():
                return file
        advice = "apt-get install dataset-fashion-mnist puts it there, or give `path`, the folder that holds the files"
        raise DataError(f"there is no {folder.absolute() / name}.gz for data fashion_mnist: {advice}")


def _read_idx(path: Path) -> Tensor:
    """The uint8 array in an idx file, compressed if the name ends in ``.gz``.

    The format of LeCun, Cortes and Burges (1998), http://yann.lecun.com/exdb/mnist/: two zero bytes, the type
    (8: unsigned bytes), the number of dimensions, each size as a big-endian 32-bit integer, then the data.
    """
    with reading(path), path.open("rb") as plain:
        if path.suffix != ".gz":
            return _array(plain, path)
        try:
            with gzip.open(plain) as unpacked:
                return _array(cast(IO[bytes], unpacked), path)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} is not a complete gzip file ({error}); copy it again") from error


def _array(file: IO[bytes], path: Path) -> Tensor:
    start = file.read(4)
    sizes = file.read(4 * int.from_bytes(start[3:]))
    if start[:3] != b"\0\0\x08" or len(start) < 4 or len(sizes) < 4 * start[3]:
        raise DataError(f"{path} is not an idx file of bytes")
    shape = np.frombuffer(sizes, ">u4").tolist()
    require_room(size := math.prod(shape), path)
    data = file.read(size + 1)
    if len(data) != size:
        found = f"more than {size}" if len(data) > size else len(data)
        raise DataError(f"{path} is damaged: {found} bytes of data for an array {shape}; copy it again")
    return torch.from_numpy(np.frombuffer(data, np.uint8).reshape(shape).copy())
