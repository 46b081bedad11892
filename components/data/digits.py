import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from designspace.data.images import Images
from designspace.data.rows import Data
from designspace.errors import DataError
from designspace.registry.literature import ALPAYDIN_1998

CONTENT = "ac2213023a1dd19f8222ec82825f32c3504d17957813b2fdf14736bb5f12f150"
"""The content hash of the images. It is known beforehand, so that checking a spec need not read them."""


class Digits(Data, name="digits"):
    """1,797 handwritten digits of 8 x 8 grey pixels in ten classes: real images that come with scikit-learn.

    Pixels from 0 to 16 become round(255 value / 16). The images are the test set of the original collection; see
    https://scikit-learn.org/stable/modules/generated/sklearn.datasets.load_digits.html

    Loading raises ``DataError`` if the installed scikit-learn ships other images.
    """

    sources = (ALPAYDIN_1998,)

    def load(self) -> Images:
        return _digits()

    def content_hash(self) -> str:
        return CONTENT


@cache
def _digits() -> Images:
    table = _table()
    pixels = torch.from_numpy(table[:, :64] * 255 / 16).round().to(torch.uint8)
    images = Images(pixels.reshape(-1, 1, 8, 8), torch.from_numpy(table[:, 64]).long(), tuple(map(str, range(10))))
    if images.content_hash != CONTENT:
        raise DataError("data digits: the images of the installed scikit-learn differ from those known by this name")
    return images


def _table() -> np.ndarray:
    """64 pixels and the class of each image, from the file itself: scikit-learn takes a second to import."""
    package = find_spec("sklearn")
    assert package is not None  # it is a dependency
    assert package.origin is not None
    file = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if not file.is_file():
        raise DataError(f"data digits: the installed scikit-learn has no {file}")
    with gzip.open(file, "rt") as lines:
        return np.loadtxt(lines, delimiter=",")
