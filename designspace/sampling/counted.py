"""The denoiser as solvers call it: evaluations are counted and outputs are checked."""

from __future__ import annotations

import torch
from torch import Tensor

from designspace.sampling import rows


class CountedDenoiser:
    """A denoiser that counts its evaluations, so that the NFE of a run is measured, and checks its outputs."""

    def __init__(self, D: rows.D) -> None:
        self._D = D
        self._may_mistake_images = True
        self.calls = 0
        """The number of evaluations of the whole batch."""
        self.each: Tensor | None = None
        """The number of further evaluations of each image, int64 ``[B]``; ``None`` if all were of the whole batch."""

    def __call__(self, x: Tensor, sigma: float | Tensor, active: Tensor | None = None) -> Tensor:
        """``D(x; sigma)`` in the dtype of ``x``. With ``active``, bool ``[B]``, it is counted only for those images.

        Raises ``ValueError`` if the shape of D's output differs from that of ``x``, or if D mixes images up; see
        ``_check_images``.
        """
        if active is None:
            self.calls += 1
        else:
            self.each = active.long() if self.each is None else self.each + active
        sigma = torch.as_tensor(sigma, dtype=torch.float64)
        out = self._D(x, sigma)
        if not isinstance(out, Tensor) or out.shape != x.shape:
            given = list(out.shape) if isinstance(out, Tensor) else f"a {type(out).__name__}"
            raise ValueError(
                f"D returns {given} for x {list(x.shape)}; it must return the denoised x, in the same shape"
            )
        if sigma.ndim and self._may_mistake_images and len(x) == x.shape[-1] > 1:
            self._check_images(x, sigma, out)
        return out.to(x.dtype)

    def _check_images(self, x: Tensor, sigma: Tensor, out: Tensor) -> None:
        """Raise ``ValueError`` if D applies the noise level of each image to a column of pixels instead.

        PyTorch aligns shapes at their ends, so this mistake raises no error if the batch is as large as an image is
        wide. One more evaluation, which is not counted, detects it: the first image must not change with the noise
        level of the last.
        """
        self._may_mistake_images = False
        other = torch.cat([sigma[:-1], sigma[-1:] / 2])
        first, again = out[0], self._D(x, other)[0]
        if (first - again).abs().max() > 1e-3 * first.abs().max():
            shape = ", ".join(["-1", *["1"] * (x.ndim - 1)])
            text = "its output for an image depends on the noise level of another"
            raise ValueError(f"D gets sigma [{len(x)}], one level per image, but {text}: use sigma.reshape({shape})")
