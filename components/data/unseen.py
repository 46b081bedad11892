from typing import Annotated, ClassVar

import torch
from pydantic import Field

from designspace.data.images import MOST_CLASSES, Images, Unseen
from designspace.data.rows import Data
from designspace.storage.files import content_key

WHY = (
    "data unseen has no images, only their shape and the number of classes: use a data set with images, such as"
    " data: {name: folder, path: ...}"
)


class UnseenData(Data, name="unseen"):
    """A data set of which only the shape of an image, [C, H, W], and the number of ``classes`` are known.

    It is for networks that were trained elsewhere and are compared with published statistics of the data, by
    ``reference: {name: statistics, ...}`` of evaluate. Classes, if there are any, are taken to be equally frequent, so
    that ``labels: data`` draws them uniformly. Raises ``DataError`` for anything that needs the images: training, the
    exact denoiser, sigma_data of the data, and the data set as the reference.
    """

    has_pixels: ClassVar[bool] = False
    shape: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=3, max_length=3)]
    classes: Annotated[int, Field(ge=0, le=MOST_CLASSES)] = 0

    def load(self) -> Images:
        labels = torch.arange(self.classes) if self.classes else None
        return Unseen(self.shape, labels, tuple(map(str, range(self.classes))), WHY)

    def content_hash(self) -> str:
        return content_key("unseen", self.shape, self.classes)
