"""The check of networks and denoisers that the code of a user makes, when a spec is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.denoising.rows import Denoiser, PreconditioningRows
from designspace.interrupts import contained
from designspace.registry.isolation import isolated
from designspace.sampling.counted import require_denoised
from designspace.sampling.rows import D
from designspace.testing.assertions import SEEDS

LOW_AND_HIGH = torch.tensor([0.002, 80.0], dtype=torch.float64)


def code_answers(
    denoiser: Denoiser,
    who: str,
    data: Images,
    design: PreconditioningRows,
    labelled: Iterable[bool],
    per_image: bool,
    place: str = "cpu",
) -> None:
    """D returns finite numbers for two images, with and without their classes as asked.

    It is called at a low and at a high noise level, or with one of these for each image if ``per_image`` says so. If
    training leaves out labels, one of the two is -1.

    Called again, with the global generators in the same state, it returns the same numbers. Raises ``ValueError`` or
    ``DataError`` saying what is wrong, in which ``who`` is the user's code; its own exceptions are passed on.
    """
    device, known = torch.device(place), denoiser.supported(design) or design.c_noise
    classes = len(data.classes) if (own := denoiser.known_classes(data)) is None else own
    with isolated(device, "network"), contained(), torch.no_grad():
        loaded = denoiser.untrained(data, design, device) or denoiser.load(data, design, device)
        x, levels = torch.randn(2, *loaded.shape).to(device), known.round_sigma(LOW_AND_HIGH.clamp(*known.limits()))
        for with_labels, sigma in product(labelled, levels[None] if per_image else levels):
            labels = torch.tensor([-1 if getattr(denoiser, "label_dropout", 0) else 0, classes - 1], device=device)
            D = loaded.bind(labels if with_labels and classes else None)
            first, again = (require_denoised(_seeded(D, x, sigma), x, f"{who}: ") for _ in range(2))
            if not bool(first.isfinite().all()):
                at = " or ".join(f"{level:.4g}" for level in sigma.flatten().tolist())
                raise ValueError(f"{who} gives NaN or infinity for noise at sigma = {at}")
            if not torch.equal(first, again):
                raise ValueError(f"{who} gives other numbers when it is called again: {SEEDS}")


def _seeded(D: D, x: Tensor, sigma: Tensor) -> Tensor:
    """``D(x, sigma)`` with the global generators in the same state each time."""
    with isolated(x.device, "answer"):
        return D(x, sigma)
