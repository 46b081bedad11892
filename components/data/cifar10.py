import math
import os
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from designspace.data.cifar10_files import SHAPE, batch_file, in_folder, in_tar
from designspace.data.images import Images
from designspace.data.limits import require_room
from designspace.data.rows import Data, Files
from designspace.errors import DataError
from designspace.registry.literature import KRIZHEVSKY_2009
from designspace.results.caveats import LOSSY
from designspace.storage.cache import Cache
from designspace.storage.files import content_key, file_hash

VARIABLE = "DESIGNSPACE_CIFAR10"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PLACES = (
    *("cifar-10-batches-py", "cifar-10-batches-bin"),
    *("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz", "cifar10-32x32.zip"),
)
"""What a folder may hold; the first of them that is there is read."""
BATCHES = {"train": tuple(f"data_batch_{k}" for k in range(1, 6)), "test": ("test_batch",)}
BATCHES |= {"all": (*BATCHES["train"], *BATCHES["test"])}
GET = (
    "get cifar-10-python.tar.gz (163 MB) from https://www.cs.toronto.edu/~kriz/cifar.html, which need not be unpacked, "
    f"and give the file or its folder as `path` or as the environment variable {VARIABLE}"
)


class Cifar10(Data, name="cifar10"):
    """CIFAR-10: 32 x 32 RGB images in ten classes, 50,000 in ``train`` and 10,000 in ``test``; ``all`` has both.

    ``path``, or else the environment variable ``DESIGNSPACE_CIFAR10``, is one of the following, or a folder that holds
    it under its published name. Nothing is downloaded.

    - the folder ``cifar-10-batches-py`` or ``cifar-10-batches-bin``
    - ``cifar-10-python.tar.gz`` or ``cifar-10-binary.tar.gz``, which are read in place
    - a zip archive of image files in class folders or with a ``dataset.json``, such as ``cifar10-32x32.zip`` of EDM's
      dataset tool, which holds one split

    Pickles are read by an interpreter that executes nothing. The identity covers pixels, labels and their order, so the
    published files and archives that keep their order are the same data set; class folders have another order.

    ``data: torchvision`` reads ``cifar-10-batches-py`` as well, and other data sets; it needs torchvision, has another
    identity, and can resize images. ``data: cifar10_jpeg`` needs no files, but has no images.

    Raises ``DataError`` if files are missing or damaged, if the numbers of images or of their classes are not those of
    CIFAR-10, and for image files in a lossy format, which are not CIFAR-10 any more: ``data: zip`` reads these.
    """

    sources = (KRIZHEVSKY_2009,)
    batch: ClassVar[int] = 10_000
    """The number of images in each of the six files."""
    split: Literal["train", "test", "all"] = "train"
    path: Path | None = None

    def load(self) -> Images:
        place = self._place()
        images = self._zipped(place) if place.suffix == ".zip" else self._read(place)
        assert images.labels is not None
        counts = torch.bincount(images.labels, minlength=len(CLASSES)).tolist()
        if counts != [len(images) // len(CLASSES)] * len(CLASSES):
            found = f"{min(counts):,} to {max(counts):,} images per class in {len(counts)} classes"
            raise DataError(f"{place} is not CIFAR-10: {found}, where all ten have the same number")
        return images

    def content_hash(self) -> str:
        """The hash of the images, which is kept in the cache for these files."""
        return _content(self, content_key(self.split, *map(file_hash, self._files(self._place()))))

    def files_read(self) -> Files | None:
        place = self._place()
        return self._archive(place).files_read() if place.suffix == ".zip" else None

    def _place(self) -> Path:
        """The file or folder that is read."""
        if self.path is None and not os.environ.get(VARIABLE):
            raise DataError(f"data cifar10 has no path: {GET}")
        given = self.path or Path(os.environ[VARIABLE]).expanduser()
        if not given.exists():
            raise DataError(f"there is no {given.absolute()} for data cifar10: {GET}")
        if not given.is_dir() or any(given.glob("*_batch*")):
            return given
        for name in PLACES:
            if (place := given / name).exists():
                return place
        raise DataError(f"{given.absolute()} holds neither batches nor {', '.join(PLACES)}: {GET}")

    def _files(self, place: Path) -> list[Path]:
        """The files at ``place`` that are read."""
        return [batch_file(place, name) for name in BATCHES[self.split]] if place.is_dir() else [place]

    def _read(self, place: Path) -> Images:
        """The images of a folder or tar archive of batches."""
        names, n = BATCHES[self.split], self.batch
        require_room(2 * len(names) * n * math.prod(SHAPE), place)
        pixels, labels = np.empty((len(names), n, *SHAPE), np.uint8), np.empty((len(names), n), np.int64)
        batches = in_folder(self._files(place), n) if place.is_dir() else in_tar(place, names, n)
        for batch in batches:
            k = names.index(batch.stem)
            pixels[k], labels[k] = batch.read(n)
        return Images(torch.from_numpy(pixels).flatten(0, 1), torch.from_numpy(labels).flatten(), CLASSES)

    def _archive(self, place: Path) -> Data:
        return Data.get("zip").model_validate({"path": place})

    def _zipped(self, place: Path) -> Images:
        """The images of a zip archive, which holds one split."""
        archive = self._archive(place)
        formats = getattr(archive.files_read(), "formats", {})
        if lossy := [name for name in formats if name in LOSSY]:
            why = f"has images compressed with loss ({', '.join(lossy)}), so it is not CIFAR-10"
            raise DataError(f"{place} {why}: use data: {{name: zip, path: ...}}")
        images = archive.load()
        if images.shape != SHAPE:
            raise DataError(f"{place} is not CIFAR-10: its images are {list(images.shape)}, not {list(SHAPE)}")
        if images.labels is None or images.classes not in (CLASSES, tuple(map(str, range(len(CLASSES))))):
            raise DataError(f"{place} is not CIFAR-10: its classes are {', '.join(images.classes[:12]) or 'unknown'}")
        self._require_count(place, len(images))
        return Images(images.pixels, images.labels, CLASSES)

    def _require_count(self, place: Path, found: int) -> None:
        counts = {split: self.batch * len(names) for split, names in BATCHES.items()}
        if found == counts[self.split]:
            return
        if other := [split for split, count in counts.items() if count == found]:
            raise DataError(f"{place} holds the split {other[0]} of CIFAR-10, not {self.split}: set `split` or `path`")
        wanted = f"the split {self.split} of CIFAR-10 has {counts[self.split]:,}"
        raise DataError(f"{place} has {found:,} images, and {wanted}: copy it again, or {GET}")


@lru_cache(maxsize=8)
def _content(data: Cifar10, files: str) -> str:
    """The content hash of the images in files with the hash ``files``."""

    def make() -> dict[str, Tensor]:
        return {"sha256": torch.tensor(list(bytes.fromhex(data.load().content_hash)), dtype=torch.uint8)}

    kept = Cache().get_or_make("content", content_key(data.name, data.version, data.batch, files), make)
    return bytes(kept["sha256"].tolist()).hex()
