r"""The L2-optimal denoiser of a finite set of images, exact at every noise level.

.. math:: D(x; \sigma) = \sum_k w_k y_k, \qquad w = \mathrm{softmax}_k\!\left(-\frac{|x - y_k|^2}{2 \sigma^2}\right)

Karras et al. (2022), https://arxiv.org/abs/2206.00364, Appendix B.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from designspace.data.images import Images
from designspace.sampling import rows
from designspace.sampling.counted import count_call

NEGLIGIBLE = 25.0
"""Weights below e^-25 times the largest are neglected: for up to 70,000 images they sum to less than 1e-6."""
FEW = 32
"""Up to this many images per sample, comparing them one by one is cheaper than the second matrix product."""
ROUNDING = 4.0
"""The assumed error of a float32 score, in units of eps (|x| + |y|) |y| sqrt(d); on real data the error is below 1."""
TOLERANCE = 7e-4
"""Bound on eps (|x| + |y|) |y| / sigma^2 for float32 logits; the error of D for tied duplicates is 0.12 times that."""
TINY, TINY_SINGLE = 1e-300, 1e-30
"""Lower bounds on the variance, at which D is the nearest image; the second keeps float32 logits finite."""
Rows = slice | Tensor
"""All samples of a batch, or the indices of some of them."""
AT_ONCE = 2**18
"""The number of differences that are computed at a time: few enough, in float64, for the cache of a processor."""
PART, MOST = 2**22, 4096
"""The largest numbers of values and of images converted to float64 at a time; far fewer would slow matrix products."""


class ExactDenoiser:
    r"""The denoiser on a device, for samples in float32 or float64.

    In float32, one matrix product gives all scores :math:`x \cdot y_k - |y_k|^2 / 2`. At small noise levels its
    rounding error can far exceed the difference of the largest scores, so it only selects the images that may have
    weight. If they are few, their differences from the sample are computed in float64, which replaces the second
    product. If they are many, a softmax and the second product follow, in float32 if the noise level is high enough.

    The method is chosen for each sample independently of the rest of the batch. Matrix products must use full float32,
    PyTorch's default.
    """

    def __init__(self, images: Images, device: torch.device) -> None:
        self.shape = images.shape
        self._labels = None if images.labels is None else images.labels.to(device)
        self._y = images.scaled().flatten(1).to(device)
        self._centre = self._y.mean(0)  # any centre is valid; the mean keeps rounding errors small
        self._size = max(1, min(MOST, PART // self._y.shape[1]))
        gaps = (part.double() - self._centre for part in torch.split(self._y, self._size))
        self._half = torch.cat([gap.square().sum(1) / 2 for gap in gaps])
        self._half_single = self._half.float()
        self._norm = float(torch.linalg.vector_norm(self._y, dim=1).max())

    def bind(self, labels: Tensor | None = None) -> rows.D:
        """``D(x, sigma)`` over all images or, with labels (int64 ``[B]``), over the images with each sample's label.

        Raises ``ValueError`` if the data set has no labels, or no image with one of the labels.
        """
        return partial(self._denoise, other=None if labels is None else self._other(labels))

    def _other(self, labels: Tensor) -> Tensor:
        """A mask of the images outside each sample's class, bool ``[B, n]``."""
        if self._labels is None:
            raise ValueError("denoiser exact: labels were given, but the data set has none")
        missing = labels[~torch.isin(labels, self._labels.to(labels.device))]
        if len(missing):
            raise ValueError(f"denoiser exact: the data set has no image of class {int(missing[0])}")
        return labels.to(self._labels.device)[:, None] != self._labels

    def _denoise(self, x: Tensor, sigma: Tensor, other: Tensor | None) -> Tensor:
        count_call(len(x))
        variance = torch.as_tensor(sigma, device=x.device).double().square().clamp_min(TINY)
        variance = variance.reshape(-1, 1).expand(len(x), 1)
        double = x.dtype == torch.float64
        make, flat = (self._in_double, x.flatten(1)) if double else (self._in_single, x.flatten(1).float())
        return make(flat, variance, other).reshape(x.shape).to(x.dtype)

    def _in_single(self, x: Tensor, variance: Tensor, other: Tensor | None) -> Tensor:
        centred, scale = x - self._centre, variance.float().clamp_min(TINY_SINGLE)
        logits = _mask((self._half_single / scale).addmm_(centred / scale, self._y.T, beta=-1), other)
        length = torch.linalg.vector_norm(centred, dim=1, keepdim=True).double() + self._norm
        unit = torch.finfo(torch.float32).eps * self._norm * length
        reach = (NEGLIGIBLE * variance + ROUNDING * math.sqrt(x.shape[1]) * unit) / scale
        near = logits >= logits.amax(1, keepdim=True) - reach.float()
        counts = near.sum(1)
        few = (counts > 0) & (counts <= FEW)  # 0: the sample is not finite
        rough = ~few & (unit > TOLERANCE * variance)[:, 0]
        return _each_its_way(
            torch.empty_like(x),
            (few, lambda r: self._compare(x[r], variance[r], near[r], counts[r])),
            (rough, lambda r: self._in_double(x[r].double(), variance[r], None if other is None else other[r]).float()),
            (~(few | rough), lambda r: logits[r].softmax(1) @ self._y),
        )

    def _compare(self, x: Tensor, variance: Tensor, near: Tensor, counts: Tensor) -> Tensor:
        """D from the images in ``near``, bool ``[B, n]``, by their differences from the samples in float64."""
        sample, image = near.nonzero(as_tuple=True)
        pairs = torch.split(torch.stack([sample, image]), max(1, AT_ONCE // x.shape[1]), dim=1)
        gaps = (self._y[k].double().sub_(x[b]) for b, k in pairs)
        squares = torch.cat([torch.linalg.vector_norm(gap, dim=1) for gap in gaps]).square_()
        logits = squares / (-2 * variance[sample, 0])
        top = logits.new_full((len(x),), -torch.inf).scatter_reduce(0, sample, logits, "amax")
        weights = (logits - top[sample]).exp_()
        weights /= weights.new_zeros(len(x)).index_add_(0, sample, weights)[sample]
        return embedding_bag(image, self._y, counts.cumsum(0) - counts, mode="sum", per_sample_weights=weights.float())

    def _in_double(self, x: Tensor, variance: Tensor, other: Tensor | None) -> Tensor:
        """D in float64 by an online softmax over blocks of images."""
        x = x - self._centre
        top, total, D = x.new_full((len(x), 1), torch.finfo(x.dtype).min), x.new_zeros(len(x), 1), torch.zeros_like(x)
        for start in range(0, len(self._y), self._size):
            part = slice(start, start + self._size)
            y = self._y[part].double()
            logits = _mask(torch.addmm(self._half[part], x, y.T, beta=-1), None if other is None else other[:, part])
            higher = torch.maximum(top, logits.div_(variance).amax(1, keepdim=True))
            weights, fade = logits.sub_(higher).exp_(), (top - higher).exp_()
            top, total, D = higher, total * fade + weights.sum(1, keepdim=True), torch.addmm(D * fade, weights, y)
        return D / total


def _each_its_way(out: Tensor, *ways: tuple[Tensor, Callable[[Rows], Tensor]]) -> Tensor:
    """Fill ``out`` group by group. Each way is a mask of samples, bool ``[B]``, with the function that computes them.

    Waits for the device.
    """
    sizes = torch.stack([group for group, _ in ways]).sum(1).tolist()
    for (group, way), size in zip(ways, sizes, strict=True):
        if size:
            here = slice(None) if size == len(out) else group.nonzero()[:, 0]
            out[here] = way(here)
    return out


def _mask(scores: Tensor, other: Tensor | None) -> Tensor:
    return scores if other is None else scores.masked_fill_(other, -torch.inf)
