from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from designspace.data.images import Images, numbered_classes
from designspace.data.rows import Data
from designspace.errors import DataError
from designspace.storage.files import file_hash, reading

IMAGES = ("images", "x", "arr_0")
LABELS = ("labels", "y", "arr_1")


class Npz(Data, name="npz"):
    """Images in a NumPy archive, as ``numpy.savez`` writes it.

    The images are the array ``images``, ``x`` or ``arr_0``: uint8 ``[N, H, W, C]``, ``[N, C, H, W]`` or ``[N, H, W]``
    with C = 1 or 3; where both layouts are possible, the last axis is C. The optional class numbers are the array
    ``labels``, ``y`` or ``arr_1``: integers ``[N]``. Pickled arrays are refused. Raises ``DataError``, which lists the
    arrays of the archive, if it holds no such arrays.
    """

    path: Path

    def load(self) -> Images:
        arrays = self._arrays()
        images, labels = (next((arrays[k] for k in keys if k in arrays), None) for keys in (IMAGES, LABELS))
        if images is None:
            raise DataError(f"{self.path}: no array {' or '.join(IMAGES)}; it has {self._found(arrays)}")
        pixels = self._channels_first(images)
        if pixels is None or images.dtype != np.uint8 or not images.size:
            wanted = "uint8 [N, H, W, C], [N, C, H, W] with C = 1 or 3, or [N, H, W]"
            raise DataError(f"{self.path}: the images must be {wanted}; it has {self._found(arrays)}")
        if labels is None:
            return Images(torch.from_numpy(pixels))
        if labels.dtype.kind not in "iu":
            raise DataError(f"{self.path}: the labels must be integers; it has {self._found(arrays)}")
        numbers = torch.from_numpy(labels.astype(np.int64))
        return Images(torch.from_numpy(pixels), numbers, numbered_classes(numbers, len(pixels), str(self.path)))

    def content_hash(self) -> str:
        return file_hash(self.path)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        with reading(self.path), self.path.open("rb") as file:
            try:
                with np.load(file, allow_pickle=False) as archive:
                    return {key: archive[key] for key in archive.files}
            except Exception as error:  # numpy, zipfile and zlib raise nearly anything on damaged bytes
                raise DataError(f"{self.path} cannot be read as an npz file of plain arrays: {error}") from error

    @staticmethod
    def _channels_first(images: NDArray[Any]) -> NDArray[Any] | None:
        if images.ndim == 3:
            return images[:, None]
        if images.ndim != 4 or not {images.shape[1], images.shape[3]} & {1, 3}:
            return None
        last = images.shape[3] in (1, 3)
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if last else images

    @staticmethod
    def _found(arrays: dict[str, NDArray[Any]]) -> str:
        return ", ".join(f"{k} {a.dtype} {list(a.shape)}" for k, a in arrays.items()) or "none"
