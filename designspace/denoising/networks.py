r"""What networks share: a seed of their own, and how the noise level and labels enter.

A network sees only :math:`c_\mathrm{noise}`, whose range depends on the row: -1.6 to 1.1 for ``edm``, -4.6 to 3.9 for
``ve``, 0 to 999 for ``vp``, ``ddpm`` and ``iddpm``. ``timestep`` makes all of them what sinusoidal embeddings expect.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

LONGEST = 10_000.0
"""The wavelengths of the sinusoids are 2 pi to 2 pi times this; Vaswani et al. (2017), as in DDPM."""


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """In the block torch draws from ``seed`` on the CPU, and on ``device``, if that is a GPU.

    Afterwards it goes on as if nothing had been drawn.
    """
    gpus = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(gpus):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would change other devices' generators too
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


def timestep(c_noise: Tensor) -> Tensor:
    r""":math:`\tau = c_\mathrm{noise} + 100\,\mathrm{arsinh}(c_\mathrm{noise})`, from -300 to 1800 whatever the row.

    The fastest sinusoid of an embedding is :math:`\cos\tau`. Two indices that differ by 1 differ by more than 1 in it,
    as in DDPM's own; for ``edm`` and ``ve``, whose values are small, 10 % more noise is 1.6 to 10 more.
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
    """Class and augmentation labels as one vector ``[B, dim]``, to be added to that of the noise level.

    Classes are 0, 1, ... below ``classes``; -1, or no labels at all, is "no class" and has an embedding of its own.
    Augmentation labels ``[B, augment]`` are mapped linearly, so that zeros, or none, add nothing.
    """

    def __init__(self, classes: int, augment: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.classes = torch.nn.Embedding(classes + 1, dim) if classes else None  # the last one: no class
        self.augment = torch.nn.Linear(augment, dim, bias=False) if augment else None

    def forward(self, labels: Tensor | None, augment: Tensor | None, like: Tensor) -> Tensor:
        """The vectors for the batch ``like``, in its dtype. Raises ``ValueError`` for labels that it cannot take."""
        if labels is not None and self.classes is None:
            raise ValueError("labels for a network that was built without classes: sample with labels: none")
        if augment is not None and self.augment is None:
            raise ValueError("augmentation labels for a network that was built without them")
        total = like.new_zeros(len(like), self.dim)
        if self.classes is not None:
            none = self.classes.num_embeddings - 1
            given = torch.full((len(like),), none, device=like.device) if labels is None else labels
            total = total + self.classes(torch.where(given < 0, none, given))
        if augment is not None and self.augment is not None:
            total = total + self.augment(augment.to(total.dtype))
        return total


def zero(layer: torch.nn.Module) -> None:
    """Set the parameters of ``layer``, the last one, to zero: the network then begins with F = 0."""
    for parameter in layer.parameters():
        torch.nn.init.zeros_(parameter)
