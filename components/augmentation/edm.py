from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from designspace.registry.literature import KARRAS_2022
from designspace.training.rows import Augmentation
from designspace.training.transform import Draw, colour, geometric, warp

Probability = Annotated[float, Field(ge=0, le=1)]


class EDM(Augmentation, name="edm"):
    """Geometric and colour transformations, each applied with some probability, with labels for the network.

    The network gets the labels a of the transformations, so that these do not leak into the samples: a is zero where
    nothing was done, and in sampling. Flips, isotropic and anisotropic scaling, rotation and translation are each
    applied with probability ``geometric``; brightness, contrast, hue and saturation each with probability ``colour``,
    the last two only to colour images. Labels are ``[B, 14]``. Images are resampled bicubically and mirrored at the
    border. Karras et al. (2022), Appendix F.2, who filter the images more carefully.
    """

    formula = r"F(c_\mathrm{in} x; c_\mathrm{noise}, a), \qquad a = 0 \text{ where nothing was done, and in sampling}"
    sources = (KARRAS_2022,)
    size: ClassVar[int] = 14
    geometric: Probability = 0.12
    colour: Probability = 0.0

    def __call__(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        matrix, moved = geometric(Draw(len(images), self.geometric, generator))
        images = _where(moved, warp(images, matrix), images)
        coloured, told = colour(images, Draw(len(images), self.colour, generator))
        return _where(told, coloured, images), torch.cat([moved, told], 1)


def _where(told: Tensor, changed: Tensor, images: Tensor) -> Tensor:
    """Replace only the images that were changed, so that the others stay the same to the last bit."""
    return torch.where(told.any(1)[:, None, None, None], changed, images)
