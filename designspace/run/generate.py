"""Sampling the images of a trial. Image k depends only on the spec and on k."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from designspace.denoising.rows import Conditional
from designspace.errors import NotFiniteError
from designspace.registry.calling import calling
from designspace.registry.isolation import Generators
from designspace.sampling import rows
from designspace.sampling.noise import KeyedNoise, latents
from designspace.sampling.not_finite import first_not_finite
from designspace.sampling.sample import Samples, sample

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

CHUNK = 200
"""The number of images that are sampled and cached together; a run that is killed loses at most one chunk of them."""
PIXELS = 25 * 32 * 32
"""The pixels in a batch of a network on a CPU; with more, the allocator returns most memory after each evaluation."""
FURTHER = ("nfe_guidance", "nfe_idle")
"""Counts that are 0 for most trials, and that are recorded only if they are not."""


@dataclass(frozen=True)
class Generated:
    """A chunk of a trial's images."""

    x: Tensor
    """The samples, float32 ``[n, C, H, W]``, on the CPU: images or, if there is a decoder, latents."""
    nfe: float
    """Counted evaluations per image; the mean if an adaptive solver takes more for some images than for others."""
    nfe_guidance: float
    """Calls of networks that guidance adds, per image."""
    nfe_idle: float
    """Evaluations that move nothing, per image."""
    sigmas: list[float]
    """The noise levels at which the solver's steps start and end."""
    nfe_each: Tensor | None
    """The number of evaluations of each image, ``[n]``, for an adaptive solver; otherwise ``None``."""


def chunks(images: int) -> list[range]:
    """The indices ``0 .. images - 1`` in chunks; all chunks but the last are the same for any number of images."""
    return [range(start, min(start + CHUNK, images)) for start in range(0, images, CHUNK)]


def batch_of(trial: Trial, shape: tuple[int, ...], device: torch.device) -> int:
    """The images per call of the trial's denoiser for samples of this shape, if the user does not say.

    On a CPU, larger batches make networks slower per image: the activations no longer fit into the memory that the
    allocator keeps, so that every evaluation gets new pages from the system. Nothing is measured, so that the images
    are the same in each run. Batches of a chunk have nearly equal sizes.
    """
    if device.type != "cpu" or not trial.denoiser.has_network:
        return CHUNK
    most = max(1, PIXELS // math.prod(shape[1:]))
    return math.ceil(CHUNK / math.ceil(CHUNK / most))


@dataclass(frozen=True)
class _Sampler:
    """Samples batches of a trial's images."""

    trial: Trial
    denoiser: Conditional
    labels: Tensor | None
    """The labels of ``images``."""
    images: range
    device: torch.device

    def sample(self, batch: range) -> Samples:
        design, num_steps = self.trial.design, self.trial.num_steps
        D, start, noise = self._bound(batch), self._latents(batch), self._noise(batch)
        return sample(design, D, start, num_steps, dtype=torch.float32, noise=noise)

    def origin(self, batch: range) -> str:
        """Where values that are not finite first appear in a batch, whose sampling is repeated."""
        trial, noise = self.trial, self._noise(batch)
        who = "the network" if trial.denoiser.has_network else f"denoiser '{trial.denoiser.name}'"
        start = self._latents(batch)
        return first_not_finite(
            trial.design, self._bound(batch), who, start, trial.num_steps, lambda step, k: noise(step, k).to(start)
        )

    def _bound(self, batch: range) -> rows.D:
        here = slice(batch.start - self.images.start, batch.stop - self.images.start)
        with calling(self.trial.denoiser):
            return self.denoiser.bind(None if self.labels is None else self.labels[here].to(self.device))

    def _latents(self, batch: range) -> Tensor:
        return latents(self.trial.seed, batch, self.denoiser.shape).to(self.device)

    def _noise(self, batch: range) -> KeyedNoise:
        return KeyedNoise(self.trial.seed, batch, self.denoiser.shape)


def generate(
    trial: Trial, denoiser: Conditional, labels: Tensor | None, images: range, device: torch.device, batch_size: int
) -> Generated:
    """Sample the given ``images`` of ``trial`` in batches. The ``denoiser`` must be on ``device``.

    Raises ``NotFiniteError``, which lists the images and says where it began, if samples are not finite.
    """
    sampler = _Sampler(trial, denoiser, labels, images, device)
    done: list[tuple[range, Samples]] = []
    before: list[Generators] = []
    for batch in _batches(images, batch_size):
        before.append(Generators(device))
        done.append((batch, sampler.sample(batch)))
    x = torch.cat([out.x.cpu() for _, out in done])

    def origin(broken: int) -> str:
        before[broken // batch_size].restore()
        return sampler.origin(done[broken // batch_size][0])

    require_finite(x, images, origin)
    return Generated(
        x=x,
        nfe=math.fsum(out.nfe * len(batch) for batch, out in done) / len(images),
        nfe_guidance=math.fsum(out.nfe_guidance * len(batch) for batch, out in done) / len(images),
        nfe_idle=math.fsum(out.nfe_idle * len(batch) for batch, out in done) / len(images),
        sigmas=done[0][1].sigmas.tolist(),
        nfe_each=None if done[0][1].nfe_each is None else torch.cat([_each(out) for _, out in done]),
    )


def require_finite(x: Tensor, images: range, origin: str | Callable[[int], str]) -> None:
    """Raise ``NotFiniteError``, which lists the ``images``, unless all of ``x`` ``[n, ...]`` is finite.

    ``origin`` says where it began, or finds out by the position of the first image that is not finite.
    """
    broken = (~x.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
    if broken:
        where = origin if isinstance(origin, str) else origin(broken[0])
        raise NotFiniteError([images[k] for k in broken], images, where)


def _each(out: Samples) -> Tensor:
    assert out.nfe_each is not None
    return out.nfe_each.cpu()


def _batches(images: range, size: int) -> Iterator[range]:
    for start in range(images.start, images.stop, size):
        yield range(start, min(start + size, images.stop))
