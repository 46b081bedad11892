from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from designspace.data.archives import arrays, headers
from designspace.data.decode import fitted
from designspace.data.files import FromFiles
from designspace.data.images import Images, numbered_classes
from designspace.data.limits import require_room
from designspace.errors import DataError
from designspace.storage.files import file_hash

IMAGES = ("images", "x", "arr_0")
LABELS = ("labels", "y", "arr_1")


class Npz(FromFiles, name="npz"):
    """Images in a NumPy archive, as ``numpy.savez`` writes it.

    The images are the array ``images``, ``x`` or ``arr_0``: uint8 ``[N, H, W, C]``, ``[N, C, H, W]`` or ``[N, H, W]``
    with C = 1 or 3; where both layouts are possible, the last axis is C. The optional class numbers are the array
    ``labels``, ``y`` or ``arr_1``: integers ``[N]``. ``size`` and ``crop`` are those of the data set ``folder``.

    Raises ``DataError``, which lists the arrays of the archive, if it holds no such arrays or exceeds the limit on
    decoded data, and for pickled arrays.
    """

    def load(self) -> Images:
        known = headers(self.path)
        found = ", ".join(f"{name} {header}" for name, header in known.items()) or "none"
        images, labels = (next((key for key in keys if key in known), None) for keys in (IMAGES, LABELS))
        if images is None:
            raise DataError(f"{self.path}: no array {' or '.join(IMAGES)}; it has {found}")
        if known[images].dtype != np.uint8 or not _is_images(known[images].shape):
            wanted = "uint8 [N, H, W, C], [N, C, H, W] with C = 1 or 3, or [N, H, W]"
            raise DataError(f"{self.path}: the images must be {wanted}; it has {found}")
        if labels is not None and known[labels].dtype.kind not in "iu":
            raise DataError(f"{self.path}: the labels must be integers; it has {found}")
        twice = 2 * known[images].size  # channels that come last are moved, which takes a copy
        require_room(twice, self.path, self.path.stat().st_size)
        read = arrays(self.path, filter(None, (images, labels)))
        pixels = self._resized(_channels_first(read[images]))
        if labels is None:
            return Images(pixels)
        numbers = torch.from_numpy(read[labels].astype(np.int64))
        return Images(pixels, numbers, numbered_classes(numbers, len(pixels), str(self.path)))

    def files_hash(self) -> str:
        return file_hash(self.path)

    def _resized(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        if self.size is None and self.crop is None:
            return torch.from_numpy(pixels)
        pictures = (Image.fromarray(each[0] if len(each) == 1 else each.transpose(1, 2, 0)) for each in pixels)
        try:
            return torch.from_numpy(np.stack([fitted(each, self.size, self.crop) for each in pictures]))
        except DataError as error:
            raise DataError(f"{self.path}: an image {error}") from error


def _is_images(shape: tuple[int, ...]) -> bool:
    return 0 not in shape and (len(shape) == 3 or (len(shape) == 4 and bool({shape[1], shape[3]} & {1, 3})))


def _channels_first(images: NDArray[Any]) -> NDArray[Any]:
    if images.ndim == 3:
        return images[:, None]
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if images.shape[3] in (1, 3) else images
