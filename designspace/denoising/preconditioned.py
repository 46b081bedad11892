r"""A denoiser made of a network and its preconditioning: Eq. 7 of Karras et al. (2022), https://arxiv.org/abs/2206.00364.

.. math:: D(x; \sigma) = c_\mathrm{skip}(\sigma)\, x
    + c_\mathrm{out}(\sigma)\, F_\theta\big(c_\mathrm{in}(\sigma)\, x;\, c_\mathrm{noise}(\sigma)\big)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import torch
from torch import Tensor

from designspace.denoising.adapted import Adapted, called, require_integers, tensor_of
from designspace.denoising.clip import Clip
from designspace.denoising.device import sent
from designspace.denoising.precision import Precision, evaluated_in
from designspace.denoising.rows import PreconditioningRows
from designspace.sampling import rows
from designspace.sampling.counted import count_call

F = Callable[..., Tensor]
"""A network ``F(x [B, C, ...], c_noise [B], labels [B] or None) -> [B, C or 2 C, ...]``. In training with augmentation
it gets augmentation labels ``[B, L]`` as a fourth argument."""


class Coefficients(NamedTuple):
    """The coefficients of Eq. 7 at noise levels, all of their shape."""

    c_skip: Tensor
    c_out: Tensor
    c_in: Tensor
    c_noise: Tensor

    @classmethod
    def of(cls, design: PreconditioningRows, sigma: Tensor) -> Self:
        """The coefficients at ``sigma``, float64 of any shape on the CPU."""
        return cls(*(row(sigma) for row in (design.c_skip, design.c_out, design.c_in, design.c_noise)))


class Preconditioned:
    """``D(x, sigma)``: a network F with the rows c_skip, c_out, c_in and c_noise of a design, bound to labels.

    Augmentation labels ``augment``, ``[B, L]``, are passed to F only if they are given, as in training. ``sigma_min``,
    ``sigma_max`` and ``round_sigma`` tell the sampler which noise levels ``c_noise`` supports, ``c_in`` how it has to
    scale latents for ``start: unit``, and ``c_skip`` and ``c_out`` how guidance obtains the prediction of F from D. The
    input of F has the dtype of its first floating-point parameter, or float32; ``c_noise`` has at least float32. If F
    returns twice the channels of its input, the second half is taken to be learned variances (Nichol and Dhariwal,
    2021, https://arxiv.org/abs/2102.09672) and ignored. ``clip`` is applied to the result. F alone is evaluated in
    ``precision``. Gradients are computed if they are enabled.
    """

    def __init__(
        self,
        network: F,
        design: PreconditioningRows,
        labels: Tensor | None = None,
        augment: Tensor | None = None,
        clip: Clip | None = None,
        precision: Precision = "float32",
    ) -> None:
        self._network, self._design, self._labels, self._clip = network, design, labels, clip
        self._augment = () if augment is None else (augment,)  # F need not accept the argument
        self._dtype, self._precision = _dtype(network), precision
        if isinstance(network, Adapted) and network.noise == "int":
            require_integers(design.c_noise)
        self.sigma_min, self.sigma_max = design.c_noise.limits()
        self.round_sigma = design.c_noise.round_sigma
        self.c_skip, self.c_out, self.c_in = design.c_skip, design.c_out, design.c_in

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Denoise ``x`` ``[B, C, ...]``, keeping shape and dtype; ``sigma`` is 0-dim or ``[B]``.

        Raises ``ValueError``, which says how to adapt F, if F does not take its arguments or its output is not a
        floating-point tensor of the right shape.
        """
        return self.at(Coefficients.of(self._design, torch.as_tensor(sigma, dtype=torch.float64)), x)

    def told(self, labels: Tensor | None, augment: Tensor | None) -> Self:
        """The same denoiser, bound to these labels."""
        other = copy(self)
        other._labels, other._augment = labels, () if augment is None else (augment,)
        return other

    def at(self, coefficients: Coefficients, x: Tensor) -> Tensor:
        """Denoise ``x`` as ``__call__`` does, with the ``coefficients`` of its noise level."""
        c_skip, c_out, c_in = (over(c, x) for c in coefficients[:3])
        c_noise = sent(coefficients.c_noise, x.device, torch.promote_types(self._dtype, torch.float32)).expand(len(x))
        count_call(len(x))
        with evaluated_in(self._precision, x.device):
            output = called(self._network, (c_in * x).to(self._dtype), c_noise, self._labels, *self._augment)
        denoised = c_skip * x + c_out * _mean_part(tensor_of(output, x), x).to(x.dtype)
        return denoised if self._clip is None else self._clip(denoised)


@dataclass(frozen=True)
class PreconditionedNetwork:
    """A network on its device, with its preconditioning; ``bind`` gives ``D(x, sigma)`` for given labels."""

    network: F
    design: PreconditioningRows
    shape: tuple[int, ...]
    """The shape of one sample."""
    clip: Clip | None = None
    """What is done to D; ``None`` if it is left as it is."""
    precision: Precision = "float32"
    """The precision in which the network is evaluated."""
    learned: Mapping[str, torch.nn.Module] = field(default_factory=dict, compare=False)
    """What rows of training have learned together with the network, by row."""

    def bind(self, labels: Tensor | None = None) -> Preconditioned:
        """``D(x, sigma)`` for class labels, int64 ``[B]``, or without labels."""
        return Preconditioned(self.network, self.design, labels, clip=self.clip, precision=self.precision)


def precondition(network: F, design: PreconditioningRows, labels: Tensor | None = None) -> Preconditioned:
    """Turn any network into a ``D(x, sigma)`` for ``sample``, by Eq. 7 with the rows c_* of ``design``.

    Args:
        network: Called as ``F(x [B, C, ...], c_noise [B], labels)``; a ``torch.nn.Module`` is put in evaluation mode.
            It returns a tensor, which may be alone in a tuple, or be called ``sample`` and the only one in an object.
        design: Its rows c_skip, c_out, c_in and c_noise must be those that the network was trained with.
        labels: Passed to the network unchanged.
    """
    return Preconditioned(network.eval() if isinstance(network, torch.nn.Module) else network, design, labels)


def _dtype(network: F) -> torch.dtype:
    parameters = network.parameters() if isinstance(network, torch.nn.Module) else ()
    return next((p.dtype for p in parameters if p.is_floating_point()), torch.float32)


def over(coefficient: Tensor, x: Tensor) -> Tensor:
    """Shape ``coefficient`` for multiplication with ``x``. A 0-dim one stays on the CPU, which avoids a copy."""
    return (
        coefficient if coefficient.ndim == 0 else sent(coefficient, x.device, x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    )


class Space(NamedTuple):
    """The space of D itself or, with ``skipped`` and ``out``, that of F in D = skipped + out F: Eq. 7."""

    skipped: Tensor | None = None
    out: Tensor | None = None

    @classmethod
    def of_prediction(cls, D: rows.D, x: Tensor, sigma: Tensor) -> Self:
        """The space of the output of the network at ``x``. Raises ``ValueError`` unless D has c_skip and c_out."""
        if not (hasattr(D, "c_skip") and hasattr(D, "c_out")):
            raise ValueError("D has no c_skip and c_out, which say what the network predicts: use space: D")
        level = torch.as_tensor(sigma, dtype=torch.float64)
        return cls(over(D.c_skip(level), x) * x, over(D.c_out(level), x))

    def into(self, D: Tensor) -> Tensor:
        """A value of D in this space."""
        return D if self.skipped is None or self.out is None else (D - self.skipped) / self.out

    def back(self, F: Tensor) -> Tensor:
        """The value of D that ``F`` of this space stands for."""
        return F if self.skipped is None or self.out is None else self.skipped + self.out * F


def _mean_part(output: Tensor, x: Tensor) -> Tensor:
    batch, channels, *size = x.shape
    if output.shape not in ((batch, channels, *size), (batch, 2 * channels, *size)):
        text = f"the network returns {list(output.shape)} for an input {list(x.shape)}; it must return the same shape"
        raise ValueError(f"{text}, or twice the channels")
    if not output.is_floating_point():
        dtype = str(output.dtype).removeprefix("torch.")
        raise ValueError(f"the network returns numbers of type {dtype}; it must return floating-point numbers")
    return output[:, :channels]
