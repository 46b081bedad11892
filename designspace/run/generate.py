"""Sampling the images of a trial. Image k depends only on the spec and on k.

Images are kept in chunks and sampled in batches. A batch is a part of a chunk, or consists of whole chunks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from designspace.denoising.rows import Conditional
from designspace.errors import NotFiniteError
from designspace.registry.calling import calling
from designspace.registry.isolation import Generators
from designspace.registry.memory import ran_out_of_memory
from designspace.sampling import rows
from designspace.sampling.counting import noise_order
from designspace.sampling.noise import Ahead, Draw, Drawn
from designspace.sampling.not_finite import first_not_finite
from designspace.sampling.sample import Samples, sample

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

CHUNK = 200
"""The number of images that are sampled and cached together; a run that is killed loses at most one chunk of them."""
THREADS = 8
"""The largest number of threads that compute random numbers; more only wait for Python's lock."""
FURTHER = ("nfe_guidance", "nfe_idle")
"""Counts that are 0 for most trials, and that are recorded only if they are not."""


@dataclass(frozen=True)
class Generated:
    """Images of a trial that were sampled together."""

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
    seconds: float
    """The time of sampling."""
    batch_size: int
    """The batch size with which sampling ended: the one asked for, unless memory ran out."""

    def parts(self, of: Sequence[range]) -> Iterator[Generated]:
        """The consecutive chunks ``of`` these images, with their shares of the time and the counts of the batch."""
        if len(of) == 1:
            yield self
            return
        for chunk in of:
            here = slice(chunk.start - of[0].start, chunk.stop - of[0].start)
            each = None if self.nfe_each is None else self.nfe_each[here]
            nfe = self.nfe if each is None else each.double().mean().item()
            seconds = self.seconds * len(chunk) / len(self.x)
            yield replace(self, x=self.x[here], nfe=nfe, nfe_each=each, seconds=seconds)

    def tensors(self) -> dict[str, Tensor]:
        """What is kept in the cache: ``latents``, ``nfe``, ``sigmas``, ``seconds``, and others for some trials."""
        further = {key: value for key in FURTHER if (value := getattr(self, key))}
        numbers = {"nfe": self.nfe, "sigmas": self.sigmas, "seconds": [self.seconds], "batch_size": self.batch_size}
        each = {} if self.nfe_each is None else {"nfe_each": self.nfe_each}
        counts = {key: torch.tensor(value, dtype=torch.float64) for key, value in (numbers | further).items()}
        return {"latents": self.x} | each | counts


def chunks(images: int) -> list[range]:
    """The indices ``0 .. images - 1`` in chunks; all chunks but the last are the same for any number of images."""
    return [range(start, min(start + CHUNK, images)) for start in range(0, images, CHUNK)]


def together(chunk: range, images: int, batch_size: int) -> list[range]:
    """The chunks of a trial of ``images`` images that are sampled with ``chunk``, if a batch holds several."""
    several = CHUNK * max(1, batch_size // CHUNK)
    found = [other for other in chunks(images) if other.start // several == chunk.start // several]
    return found if chunk in found else [chunk]


@dataclass(frozen=True)
class _Sampler:
    """Samples batches of a trial's images."""

    trial: Trial
    denoiser: Conditional
    labels: Tensor | None
    """The labels of ``images``."""
    images: range
    device: torch.device
    done: list[tuple[range, Samples, Generators]] = field(default_factory=list)
    """The batches that are complete, with the states of the global generators before each of them."""

    def run(self, batch_size: int) -> int:
        """Sample all images, in smaller batches if memory runs out. Returns the batch size at the end."""
        while (start := self.done[-1][0].stop if self.done else self.images.start) < self.images.stop:
            rest = range(start, self.images.stop)
            if self._fits(list(_batches(rest, batch_size))):
                continue
            batch_size = min(batch_size, len(rest)) // 2
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        return batch_size

    def _fits(self, batches: list[range]) -> bool:
        """Sample the batches. Returns whether memory was sufficient; it is free again when this function returns."""
        with self._random(batches) as random:
            for batch in batches:
                before = Generators(self.device)
                try:
                    self.done.append((batch, self._sample(batch, random), before))
                except Exception as error:
                    if len(batch) == 1 or not ran_out_of_memory(error):
                        raise
                    before.restore()
                    return False
        return True

    def _random(self, batches: list[range]) -> Drawn:
        """The random numbers of the batches, computed ahead if the images are not computed on the same CPU."""
        seed, shape, threads = self.trial.seed, self.denoiser.shape, threads_for(self.device)
        if not threads:
            return Drawn(seed, shape)
        expected = _expected(batches, self._noise_order())
        return Ahead(seed, shape, expected, threads, pinned=self.device.type == "cuda")

    def _noise_order(self) -> list[tuple[int, int]]:
        before, trial = Generators(self.device), self.trial
        try:
            return noise_order(trial.design, trial.num_steps, trial.denoiser.supported(trial.design))
        finally:
            before.restore()

    def _sample(self, batch: range, random: Drawn) -> Samples:
        design, num_steps = self.trial.design, self.trial.num_steps
        start = random.latents(batch).to(self.device, non_blocking=True)
        return sample(design, self._bound(batch), start, num_steps, dtype=torch.float32, noise=random.noise(batch))

    def origin(self, broken: int) -> str:
        """Where values of an image that are not finite first appear; the sampling of its batch is repeated."""
        trial, k = self.trial, self.images[broken]
        batch, _, before = next(found for found in self.done if k in found[0])
        before.restore()
        random = Drawn(trial.seed, self.denoiser.shape)
        who = "the network" if trial.denoiser.has_network else f"denoiser '{trial.denoiser.name}'"
        start, noise = random.latents(batch).to(self.device), random.noise(batch)
        return first_not_finite(
            trial.design, self._bound(batch), who, start, trial.num_steps, lambda step, k: noise(step, k).to(start)
        )

    def _bound(self, batch: range) -> rows.D:
        here = slice(batch.start - self.images.start, batch.stop - self.images.start)
        with calling(self.trial.denoiser):
            return self.denoiser.bind(None if self.labels is None else self.labels[here].to(self.device))


def threads_for(device: torch.device) -> int:
    """The number of threads that compute random numbers ahead, 0 if the images are computed on the CPU.

    There they would take the processor from the network: the work is the same, and the network can use all cores.
    """
    return min(THREADS, torch.get_num_threads()) if device.type != "cpu" else 0


def _expected(batches: list[range], order: list[tuple[int, int]]) -> Iterator[Draw]:
    for batch in batches:
        yield Draw(batch)
        for step, draw in order:
            yield Draw(batch, step, draw)


def generate(
    trial: Trial, denoiser: Conditional, labels: Tensor | None, images: range, device: torch.device, batch_size: int
) -> Generated:
    """Sample the given ``images`` of ``trial`` in batches. The ``denoiser`` must be on ``device``.

    A batch for which memory does not suffice is sampled again in halves, and all later ones have their size. Raises
    ``NotFiniteError``, which lists the images and says where it began, if samples are not finite.
    """
    start, sampler = perf_counter(), _Sampler(trial, denoiser, labels, images, device)
    batch_size = sampler.run(batch_size)
    done = [(len(batch), out) for batch, out, _ in sampler.done]
    x = torch.cat([out.x.cpu() for _, out in done])
    require_finite(x, images, sampler.origin)
    first = done[0][1]
    return Generated(
        x=x,
        nfe=math.fsum(out.nfe * n for n, out in done) / len(images),
        nfe_guidance=math.fsum(out.nfe_guidance * n for n, out in done) / len(images),
        nfe_idle=math.fsum(out.nfe_idle * n for n, out in done) / len(images),
        sigmas=first.sigmas.tolist(),
        nfe_each=None if first.nfe_each is None else torch.cat([_each(out) for _, out in done]),
        seconds=perf_counter() - start,
        batch_size=batch_size,
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
