from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from designspace.registry.literature import KARRAS_2022
from designspace.training.rows import Augmentation
from designspace.training.transform import Draw, colour, flip, geometric, warp

Probability = Annotated[float, Field(ge=0, le=1)]


class EDM(Augmentation, name="edm"):
    """Random flips, scaling, rotation, stretching and shifts, with labels that tell the network about them.

    Because the network gets the labels a, which are zero where nothing was done and in sampling, the transformations do
    not leak into the samples. Images are mirrored left to right with probability ``x_flip``. Scaling, rotation,
    stretching along a random direction and translation each happen with probability ``geometric``, flips upside down
    with half of it. The factors are :math:`2^{0.2 N}` and the shifts N / 8 of the longer side, with standard normal N.

    The nine labels are the two flips (0 or 1), N of the scale, cos - 1 and sin of the rotation, N cos r and N sin r of
    the stretching in direction r, and N of the two shifts. The defaults are the setting for CIFAR-10 of Karras et al.
    (2022), Appendix F.2, except that images are resampled bicubically instead of with a sharper filter.

    ``colour`` is the probability of each change of brightness, contrast, hue and saturation, the last two only for
    colour images. If it is above 0, there are five more labels.
    """

    formula = r"F(c_\mathrm{in} x; c_\mathrm{noise}, a), \qquad a = 0 \text{ where nothing was done, and in sampling}"
    sources = (KARRAS_2022,)
    version: ClassVar[int] = 2
    x_flip: Probability = 0.5
    geometric: Probability = 0.12
    colour: Probability = 0.0

    @property
    def size(self) -> int:  # type: ignore[override]  # colour adds labels
        return 14 if self.colour else 9

    def __call__(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        draw = Draw(len(images), self.geometric, generator)
        flips = draw.happens(self.x_flip), draw.happens(self.geometric / 2)
        matrix, moved = geometric(draw)
        images = flip(images, *flips)
        images = _where(moved, warp(images, matrix), images)
        told = torch.cat([torch.stack(flips, 1), moved], 1)
        if not self.colour:
            return images, told
        changed, coloured = colour(images, Draw(len(images), self.colour, generator))
        return _where(coloured, changed, images), torch.cat([told, coloured], 1)


def _where(told: Tensor, changed: Tensor, images: Tensor) -> Tensor:
    """Replace only the images that were changed, so that the others stay the same to the last bit."""
    return torch.where(told.any(1)[:, None, None, None], changed, images)
