from functools import cache

import torch

from designspace.data.images import Images
from designspace.data.rows import Data
from designspace.errors import DataError
from designspace.registry.literature import ALPAYDIN_1998

CONTENT = "ac2213023a1dd19f8222ec82825f32c3504d17957813b2fdf14736bb5f12f150"
"""The content hash of the images. It is known beforehand, so that checking a spec need not import scikit-learn."""


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
    from sklearn.datasets import load_digits  # imported here because it takes a second

    digits = load_digits()
    pixels = torch.from_numpy(digits.images * 255 / 16).round().to(torch.uint8)
    images = Images(pixels[:, None], torch.from_numpy(digits.target).long(), tuple(map(str, digits.target_names)))
    if images.content_hash != CONTENT:
        raise DataError("data digits: the images of the installed scikit-learn differ from those known by this name")
    return images
