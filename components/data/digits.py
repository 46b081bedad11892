from functools import cache

import torch

from designspace.data.images import Images
from designspace.data.rows import Data
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
    from sklearn.datasets import load_digits  # imported here because it takes a second

    digits = load_digits()
    pixels = torch.from_numpy(digits.images * 255 / 16).round().to(torch.uint8)
    return Images(pixels[:, None], torch.from_numpy(digits.target).long(), tuple(map(str, digits.target_names)))
