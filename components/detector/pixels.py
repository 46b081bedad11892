from collections.abc import Callable

import torch
from torch import Tensor

from designspace.evaluation.rows import Detector


class Pixels(Detector, name="pixels"):
    """The pixels themselves, divided by 255: ``[B, C H W]``, for toy data whose pixels are coordinates.

    On real images this detector sees means, contrast and noise but no objects, and d = C H W may exceed the number of
    images.
    """

    def protocol(self) -> str:
        return "FD-pixels"

    def resize(self) -> str:
        return "none"

    def load(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        return lambda pixels: pixels.flatten(1).cpu() / 255
