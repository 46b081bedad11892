from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from designspace.registry.literature import KARRAS_2022
from designspace.training.rows import Augmentation
from designspace.training.transform import Draw, colour, geometric, warp

Probability = Annotated[float, Field(ge=0, le=1)]


class EDM(Augmentation, name="edm"):
    """Geometric and colour transformations, each with its probability, of which the network is told.

    so that what is learnt from transformed images does not leak into samples. Flips, scale, rotation, anisotropic scale
    and translation with probability ``geometric`` each; brightness, contrast, hue and saturation with ``colour``, the
    last two of colour images only. Labels are ``[B, 14]``. Bicubic, mirrored at the border. Karras et al. (2022),
    Appendix F.2, whose images are filtered more carefully.
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
    """Images to which nothing was done stay as they are, to the last bit."""
    return torch.where(told.any(1)[:, None, None, None], changed, images)
