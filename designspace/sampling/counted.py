"""A denoiser as solvers see it: counted and checked."""

from __future__ import annotations

import torch
from torch import Tensor

from designspace.sampling import rows


class CountedDenoiser:
    """A denoiser that counts its evaluations: the NFE of a run is measured, never computed. It checks what D gives."""

    def __init__(self, D: rows.D) -> None:
        self._D = D
        self._may_mistake_images = True
        self.calls = 0
        """Evaluations for every image."""
        self.each: Tensor | None = None
        """Further evaluations of each image, ``[B]``, by solvers that treat images differently."""

    def __call__(self, x: Tensor, sigma: float | Tensor, active: Tensor | None = None) -> Tensor:
        """``D(x; sigma)`` in the dtype of ``x``; with ``active``, bool ``[B]``, counted for these images alone.

        Raises ``ValueError`` if D gives another shape than that of ``x``, or mixes images; see ``_check_images``.
        """
        if active is None:
            self.calls += 1
        else:
            self.each = active.long() if self.each is None else self.each + active
        sigma = torch.as_tensor(sigma, dtype=torch.float64)
        out = self._D(x, sigma)
        if not isinstance(out, Tensor) or out.shape != x.shape:
            given = list(out.shape) if isinstance(out, Tensor) else f"a {type(out).__name__}"
            raise ValueError(f"D gives {given} for x {list(x.shape)}; it should give the denoised x, of its shape")
        if sigma.ndim and self._may_mistake_images and len(x) == x.shape[-1] > 1:
            self._check_images(x, sigma, out)
        return out.to(x.dtype)

    def _check_images(self, x: Tensor, sigma: Tensor, out: Tensor) -> None:
        """Whether a D takes ``sigma``, one level an image, for one level a column: PyTorch aligns shapes at the end.

        Only a batch as large as an image is wide lets that pass unseen. One evaluation more, not counted, tells: the
        first image may not change with the level of the last.
        """
        self._may_mistake_images = False
        other = torch.cat([sigma[:-1], sigma[-1:] / 2])
        first, again = out[0], self._D(x, other)[0]
        if (first - again).abs().max() > 1e-3 * first.abs().max():
            shape = ", ".join(["-1", *["1"] * (x.ndim - 1)])
            text = "its output for an image depends on the noise level of another"
            raise ValueError(f"D is given sigma [{len(x)}], one level an image, but {text}: use sigma.reshape({shape})")
