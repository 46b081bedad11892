r"""The L2-optimal denoiser of a finite set of images, fast and exact at every noise level.

.. math:: D(x; \sigma) = \sum_k w_k y_k, \qquad w = \mathrm{softmax}_k\!\left(-\frac{|x - y_k|^2}{2 \sigma^2}\right)

Karras et al. (2022), https://arxiv.org/abs/2206.00364, Appendix B.3.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from designspace import rows
from designspace.images import Images

NEAREST = 16
NEGLIGIBLE = 25.0
"""Weights below e^-25 of the largest are left out: together they stay below 1e-6 for up to 100,000 images."""
ROWS = 16
"""Images whose nearest neighbours are compared at once: so many differences fit into a processor's cache."""


class ExactDenoiser:
    """Ready to run on a device, for float32 and float64 samples.

    In float32, scores come from one matrix product, whose rounding is more than a near-tie at small noise; the nearest images are therefore compared again by differences in float64. Where the others have no weight,
    that is already the answer; elsewhere the second product follows.
    """

    def __init__(self, images: Images, device: torch.device) -> None:
        self.shape = images.shape
        self._labels = None if images.labels is None else images.labels.to(device)
        self._y = images.scaled().flatten(1).to(device)
        self._half = self._y.square().sum(1) / 2

    @cached_property
    def _double(self) -> tuple[Tensor, Tensor]:
        y = self._y.double()
        return y, y.square().sum(1) / 2

    def bind(self, labels: Tensor | None) -> rows.D:
        """``D(x, sigma)`` of the whole set, or for each sample of the images with its label, int64 ``[B]``.

        Raises ``ValueError`` if the set has no labels, or no image with one of these.
        """
        if labels is None:
            return lambda x, sigma: self._denoise(x, sigma, None)
        if self._labels is None:
            raise ValueError("the exact denoiser's data set has no labels")
        other = labels.to(self._labels.device)[:, None] != self._labels
        if bool(other.all(1).any()):
            raise ValueError("the exact denoiser's data set has no image with one of the labels asked for")
        return lambda x, sigma: self._denoise(x, sigma, other)

    def _denoise(self, x: Tensor, sigma: Tensor, other: Tensor | None) -> Tensor:
        variance = (sigma.double() ** 2).to(device=x.device, dtype=x.dtype).reshape(-1, 1).expand(len(x), 1)
        make = self._in_double if x.dtype == torch.float64 else self._in_single
        return make(x.flatten(1), variance, other).reshape(x.shape)

    def _in_double(self, x: Tensor, variance: Tensor, other: Tensor | None) -> Tensor:
        y, half = self._double
        scores = _mask(torch.addmm(half, x, y.T, beta=-1), other)
        return (scores / variance).softmax(1) @ y

    def _in_single(self, x: Tensor, variance: Tensor, other: Tensor | None) -> Tensor:
        scores = _mask(torch.addmm(self._half, x, self._y.T, beta=-1), other)
        k = min(NEAREST, scores.shape[1])
        top, nearest = scores.topk(k)
        few = k == scores.shape[1] or bool(((top[:, 0] - top[:, -1]) / variance[:, 0] > NEGLIGIBLE).all())
        if few:
            refined = self._again(x, nearest, variance).masked_fill(top.isinf(), -torch.inf)
            return self._mean_of(nearest, refined.softmax(1))
        logits = scores.sub_(top[:, :1]).div_(variance)
        if float(variance.min()) < 1:  # above, rounding moves D by less than 1e-4
            refined = self._again(x, nearest, variance)
            logits.scatter_(1, nearest, (refined - refined[:, :1]).masked_fill(top.isinf(), -torch.inf))
        return logits.softmax(1) @ self._y

    def _again(self, x: Tensor, nearest: Tensor, variance: Tensor) -> Tensor:
        """The logits of the nearest images from differences in float64, then rounded."""
        logits = torch.empty(nearest.shape, device=x.device, dtype=x.dtype)
        for start in range(0, len(x), ROWS):
            part = slice(start, start + ROWS)
            gap = self._y[nearest[part]].double().sub_(x[part, None])
            squares = torch.linalg.vector_norm(gap, dim=2).square_()
            logits[part] = ((squares[:, :1] - squares) / (2 * variance[part].double())).to(x.dtype)
        return logits

    def _mean_of(self, nearest: Tensor, weights: Tensor) -> Tensor:
        chosen = torch.nn.functional.embedding_bag(nearest, self._y, per_sample_weights=weights, mode="sum")
        return chosen


def _mask(scores: Tensor, other: Tensor | None) -> Tensor:
    return scores if other is None else scores.masked_fill_(other, -torch.inf)
