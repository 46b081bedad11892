r"""Building blocks of networks: seeding, and embeddings of noise levels and labels.

A network sees the noise level only as :math:`c_\mathrm{noise}`, whose range depends on the row: -1.6 to 1.1 for
``edm``, -4.6 to 3.9 for ``ve``, 0 to 999 for ``vp``, ``ddpm`` and ``iddpm``, 0 to 1000 for ``flow``. ``timestep`` maps
all of them to the range that sinusoidal embeddings expect.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

LONGEST = 10_000.0
"""Wavelengths range from 2 pi to 2 pi times this, as in Vaswani et al. (2017) and DDPM."""


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Within the block, seed PyTorch's global generators of the CPU and, if it is a GPU, of ``device``.

    Their states are restored afterwards.
    """
    gpus = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(gpus):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the generators of other devices
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


def timestep(c_noise: Tensor) -> Tensor:
    r""":math:`\tau = c_\mathrm{noise} + 100\,\mathrm{arsinh}(c_\mathrm{noise})`, from -300 to 1800 for all rows.

    The fastest sinusoid of an embedding is :math:`\cos\tau`. Indices of ``vp``, ``ddpm`` and ``iddpm`` that differ by 1
    have values of :math:`\tau` that differ by more than 1, as in DDPM; for ``edm`` and ``ve``, a noise level that is
    10 % higher increases :math:`\tau` by 1.6 to 10.
    """
    return c_noise + 100 * c_noise.asinh()


def fourier(c_noise: Tensor, n: int) -> Tensor:
    r""":math:`\cos(\omega_k \tau), \sin(\omega_k \tau)` of :math:`\tau` = ``timestep(c_noise)``; ``[B]`` to ``[B, n]``.

    :math:`\omega_k = 10^{-4 k / (n/2)}` for :math:`k < n / 2`; n is even.
    """
    frequency = LONGEST ** -(torch.arange(n // 2, dtype=c_noise.dtype, device=c_noise.device) / (n // 2))
    angle = timestep(c_noise)[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], 1)


class Conditions(torch.nn.Module):
    """An embedding ``[B, dim]`` of class and augmentation labels, to be added to that of the noise level.

    Classes are 0, 1, ... below ``classes``; -1, or no labels at all, means "no class" and has an embedding of its own.
    Augmentation labels ``[B, augment]`` are mapped linearly, so that zeros, or no labels, contribute nothing.
    """

    def __init__(self, classes: int, augment: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.classes = torch.nn.Embedding(classes + 1, dim) if classes else None  # the last entry means "no class"
        self.augment = torch.nn.Linear(augment, dim, bias=False) if augment else None

    def forward(self, labels: Tensor | None, augment: Tensor | None, like: Tensor) -> Tensor:
        """The embeddings in the batch size and dtype of ``like``. Raises ``ValueError`` for unexpected labels."""
        refuse_unexpected(labels, augment, classes=self.classes is not None, augmented=self.augment is not None)
        total = like.new_zeros(len(like), self.dim)
        if self.classes is not None:
            none = self.classes.num_embeddings - 1
            given = torch.full((len(like),), none, device=like.device) if labels is None else labels
            total = total + self.classes(torch.where(given < 0, none, given))
        if augment is not None and self.augment is not None:
            total = total + self.augment(augment.to(total.dtype))
        return total


def refuse_unexpected(labels: Tensor | None, augment: Tensor | None, *, classes: bool, augmented: bool) -> None:
    """Raise ``ValueError`` for labels that the network was not built for."""
    if labels is not None and not classes:
        raise ValueError("labels were given, but the network was built without classes: sample with `labels: none`")
    if augment is not None and not augmented:
        raise ValueError("augmentation labels were given, but the network was built without them")


def zero(layer: torch.nn.Module) -> None:
    """Set the parameters of ``layer`` to zero. For the last layer of a network this means F = 0 before training."""
    for parameter in layer.parameters():
        torch.nn.init.zeros_(parameter)
