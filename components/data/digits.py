from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from designspace.data.images import Images
from designspace.data.rows import Data
from designspace.errors import DataError
from designspace.registry.literature import ALPAYDIN_1998


class Digits(Data, name="digits"):
    """1,797 handwritten digits of 8 x 8 grey pixels in ten classes: real images that scikit-learn ships.

    Pixels from 0 to 16 become round(255 value / 16). These are the test set of the collection; see
    https://scikit-learn.org/stable/modules/generated/sklearn.datasets.load_digits.html
    """

    sources = (ALPAYDIN_1998,)

    def load(self) -> Images:
        return _digits()

    def content_hash(self) -> str:
        return _digits().content_hash


@cache
def _digits() -> Images:
    """What ``sklearn.datasets.load_digits`` gives, read without importing scikit-learn, which takes over a second."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError("data digits needs scikit-learn: pip install scikit-learn")
    table = np.loadtxt(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    pixels = torch.from_numpy(table[:, :-1].reshape(-1, 1, 8, 8) * 255 / 16).round().to(torch.uint8)
    return Images(pixels, torch.from_numpy(table[:, -1]).long(), tuple("0123456789"))
