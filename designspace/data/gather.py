"""From a series of images to one tensor, in memory or, if it is large, in a file of the cache that is mapped."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from designspace.bars import shown
from designspace.data.decode import Pixels, strictly
from designspace.data.limits import fits_in_memory, require_plausible
from designspace.data.rows import Data
from designspace.errors import DamagedError, DataError
from designspace.registry.component import Count
from designspace.registry.identity import Since
from designspace.storage.files import CacheFolder, content_key
from designspace.storage.mapped import read_mapped, write_mapped

AHEAD = 4
"""The number of images per thread that are read before they are used."""
STAGE = "pixels"
RESIZE = "`size: 64, crop: center` resizes them"


@dataclass(frozen=True)
class Series:
    """Images of a data set, one after another."""

    where: object
    """The file or folder, which errors name."""
    count: int
    images: Iterable[tuple[str, Callable[[], Pixels]]]
    """The name of each image and a function that decodes it, which may be called in another thread.

    It raises ``DataError`` with a message that continues the name.
    """
    stored: Callable[[], int] | None = None
    """The size of the encoded images in bytes, if they are encoded."""


class Gathered(Data):
    """A data set whose images are decoded one by one, with the optional resizing of each."""

    size: Annotated[Count | None, Since(None)] = None
    crop: Annotated[Literal["center"] | None, Since(None)] = None

    @abstractmethod
    def files_hash(self) -> str:
        """The sha256 of what the images are read from."""

    def content_hash(self) -> str:
        """The sha256 of the files and of everything that turns them into pixels."""
        version = [str(self.version)] if self.version > 1 else []
        made = [*version, *(f"{key} {value}" for key in ("size", "crop") if (value := getattr(self, key)))]
        files = self.files_hash()
        return hashlib.sha256("\n".join([files, *made]).encode()).hexdigest() if made else files

    def cache_key(self) -> str:
        """The key of what is kept of this data set in the cache."""
        return content_key(self.name, self.content_hash())

    def gathered(self, series: Series) -> Tensor:
        """The pixels of a series, uint8 ``[N, C, H, W]``.

        If they exceed a quarter of the limit on decoded data, they are written to the cache, and the tensor is mapped
        from there. Raises ``DataError``, which names the image, if one cannot be decoded or differs in size or mode.
        """
        if not series.count:
            raise DataError(f"{series.where}: there are no images")
        arrays = decoded(series)
        first = next(arrays)
        shape = (series.count, *first[1].shape)
        if self.size is None and series.stored is not None:
            require_plausible(series.count * first[1].nbytes, series.where, series.stored())
        parts = _alike(series, chain([first], shown(arrays, "reading images", series.count)))
        if fits_in_memory(series.count * first[1].nbytes):
            pixels = np.empty(shape, np.uint8)
            for k, array in enumerate(parts):
                pixels[k] = array
            return torch.from_numpy(pixels)
        return torch.from_numpy(_in_cache(self.cache_key(), shape, parts))


def decoded(series: Series) -> Iterator[tuple[str, Pixels]]:
    """The name and the pixels of each image in their order, decoded in as many threads as PyTorch uses."""

    def decode(named: tuple[str, Callable[[], Pixels]]) -> tuple[str, Pixels]:
        name, make = named
        try:
            return name, make()
        except DataError as error:
            raise DataError(f"{series.where}: {name} {error}") from error

    with strictly():
        yield from _in_threads(series.images, decode)


def _in_threads(
    items: Iterable[tuple[str, Callable[[], Pixels]]],
    decode: Callable[[tuple[str, Callable[[], Pixels]]], tuple[str, Pixels]],
) -> Iterator[tuple[str, Pixels]]:
    if (threads := torch.get_num_threads()) == 1:
        yield from map(decode, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[tuple[str, Pixels]]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(decode, item))
                if len(waiting) > AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _alike(series: Series, arrays: Iterable[tuple[str, Pixels]]) -> Iterator[Pixels]:
    """The pixels of all images. Raises ``DataError`` if their shapes differ, or if there are more or fewer of them."""
    first: tuple[str, Pixels] | None = None
    count = 0
    for count, (name, array) in enumerate(arrays, 1):
        first = first or (name, array)
        if array.shape != first[1].shape:
            sizes = f"{name} is {_size(array)} and {first[0]} {_size(first[1])}"
            advice = RESIZE if array.shape[1:] != first[1].shape[1:] else "convert all to RGB or all to grey"
            raise DataError(f"{series.where}: {sizes}; all images must have the same size and mode: {advice}")
        if count > series.count:
            break
        yield array
    if count != series.count:
        raise DataError(f"{series.where}: there are {count} images where {series.count} are expected")


def _size(image: Pixels) -> str:
    kind = {1: "grey", 3: "RGB"}.get(len(image), f"with {len(image)} channels")
    return f"{image.shape[2]} x {image.shape[1]} {kind}"


def _in_cache(key: str, shape: tuple[int, ...], parts: Iterable[Pixels]) -> NDArray[np.uint8]:
    """The pixels of a data set, mapped from the cache. One process writes them, while others wait for it."""
    cache = CacheFolder()
    path, name = cache.path(STAGE, key), f"{STAGE}/{key}"
    with cache.lock(f"{STAGE}-{key}"):
        try:
            return read_mapped(path, name)
        except FileNotFoundError:
            pass
        except (DamagedError, OSError) as error:
            cache.set_aside(path, STAGE, error)
        write_mapped(path, name, shape, parts)
        return read_mapped(path, name)
