"""The idx format of the MNIST family: http://yann.lecun.com/exdb/mnist/, LeCun, Cortes and Burges (1998)."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from designspace.errors import DataError
from designspace.storage.files import reading


def read_idx(path: Path) -> Tensor:
    """The uint8 array in an idx file, which is compressed if its name ends in ``.gz``.

    The format: two zero bytes, the type (8: unsigned bytes), the number of dimensions, each size as four bytes,
    the largest first, then the data. Raises ``DataError`` if the file is something else, or is not whole.
    """
    data = _content(path)
    start = 4 + 4 * int.from_bytes(data[3:4])
    if data[:3] != b"\0\0\x08" or len(data) < start:
        raise DataError(f"{path} is not an idx file of bytes")
    shape = np.frombuffer(data[4:start], ">u4").tolist()
    if len(data) - start != math.prod(shape):
        raise DataError(f"{path} is not whole: {len(data) - start} bytes of data for an array {shape}; copy it again")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy())


def _content(path: Path) -> bytes:
    with reading(path):
        data = path.read_bytes()
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}); copy it again") from error
