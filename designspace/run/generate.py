"""Images of a trial: image k depends on the spec and on k alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.denoising.rows import Conditional
from designspace.errors import DataError, NotFiniteError
from designspace.sampling.noise import KeyedNoise, generator, latents
from designspace.sampling.sample import Samples, sample

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

CHUNK = 200
"""Images that are computed and kept together; a kill loses at most so many."""


@dataclass(frozen=True)
class Generated:
    """A chunk of a trial's images."""

    x: Tensor
    """The samples, float32 ``[n, C, H, W]``, on the CPU."""
    nfe: float
    """Counted evaluations for each image; an average where an adaptive solver takes more for some."""
    sigmas: list[float]
    """The noise levels that the solver stopped at."""
    nfe_each: Tensor | None
    """The evaluations of each image, int64 ``[n]``, if they differ."""


def chunks(images: int) -> list[range]:
    """The images ``0 .. images - 1`` in chunks whose limits do not depend on their number."""
    return [range(start, min(start + CHUNK, images)) for start in range(0, images, CHUNK)]


def generate(
    trial: Trial, denoiser: Conditional, labels: Tensor | None, images: range, device: torch.device, batch_size: int
) -> Generated:
    """Sample the images ``images`` of ``trial``, in batches; ``labels`` are theirs, ``denoiser`` is on ``device``.

    Raises ``NotFiniteError``, a ``FloatingPointError``, if samples are not finite, with the numbers of these images.
    """
    done: list[tuple[range, Samples]] = []
    for batch in _batches(images, batch_size):
        here = slice(batch.start - images.start, batch.stop - images.start)
        bound = denoiser.bind(None if labels is None else labels[here].to(device))
        noise = KeyedNoise(trial.seed, batch, denoiser.shape)
        start = latents(trial.seed, batch, denoiser.shape).to(device)
        done.append((batch, sample(trial.design, bound, start, trial.num_steps, dtype=torch.float32, noise=noise)))
    x = torch.cat([out.x.cpu() for _, out in done])
    broken = (~x.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
    if broken:
        raise NotFiniteError([images[k] for k in broken], images)
    return Generated(
        x=x,
        nfe=math.fsum(out.nfe * len(batch) for batch, out in done) / len(images),
        sigmas=done[0][1].sigmas.tolist(),
        nfe_each=None if done[0][1].nfe_each is None else torch.cat([_each(out) for _, out in done]),
    )


def labels_for(rule: str | Sequence[int], seed: int, images: range, data: Images) -> Tensor | None:
    """The labels of ``images``, int64 ``[len(images)]``: the label of image k is a function of (rule, seed, k).

    Args:
        rule: ``none``; ``data``: that of an image drawn from ``data``, so that classes are as frequent as there;
            ``balanced``: k mod the number of classes; or a list that is repeated.
        seed: Of the trial.
        images: The values of k.
        data: The data set, for its labels.

    Raises:
        DataError: Labels are asked for and ``data`` has none.
    """
    if rule == "none":
        return None
    if not isinstance(rule, str):
        return torch.tensor([rule[k % len(rule)] for k in images])
    if data.labels is None:
        raise DataError(f"evaluate.labels: {rule}: the data set has no labels. Use labels: none, or a list of labels.")
    if rule == "data":
        return data.labels[[int(generator("label", seed, k).integers(len(data))) for k in images]]
    classes = len(data.classes) or int(data.labels.max()) + 1
    return torch.tensor([k % classes for k in images])


def _each(out: Samples) -> Tensor:
    assert out.nfe_each is not None
    return out.nfe_each.cpu()


def _batches(images: range, size: int) -> Iterator[range]:
    for start in range(images.start, images.stop, size):
        yield range(start, min(start + size, images.stop))
