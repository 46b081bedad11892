import importlib.util
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from designspace.denoising.networks import Conditions, seeded, timestep, zero
from designspace.denoising.rows import Network
from designspace.errors import DataError
from designspace.registry.literature import HO_2020, HOOGEBOOM_2023

SIZES = {
    "tiny": ((32, 48, 48), 1),
    "small": ((64, 96, 96), 1),
    "medium": ((64, 128, 128), 2),
    "base": ((96, 192, 192), 2),
}
"""The channels of each level, finest first, and the residual blocks per level on the way down (up: one more)."""


class UNet(Network, name="unet"):
    """A U-Net: diffusers' ``UNet2DModel`` for images of any size from 8 x 8 pixels, in multiples of 4.

    ``size`` sets the channels of the levels and the number of residual blocks per level: ``tiny`` has 32, 48 and 48
    channels and 1 block; ``small`` 64, 96 and 96 channels and 1 block; ``medium`` 64, 128 and 128 channels and 2
    blocks; ``base`` 96, 192 and 192 channels and 2 blocks. For RGB images without labels, these have 0.66, 2.6, 6.2 and
    13.9 million parameters with three levels, and 0.43, 1.7, 3.8 and 8.5 million with two, which 8 x 8 pixels allow.
    Each level halves the side as long as it stays a whole number of at least 4; the last level has attention.
    ``dropout`` in [0, 1) applies to training. The initial weights are drawn with ``seed``.

    The noise level enters by diffusers' positional embedding of c_noise + 100 arsinh(c_noise), which distinguishes
    noise levels that differ by 10 % whatever the row c_noise is. Labels enter by embeddings, one of which means no
    class (no labels, or -1). With ``patch`` p, blocks of p x p pixels become channels, p^2 times as many, which takes
    about 1 / p^2 of the time (Hoogeboom et al., 2023, Section 3.3).

    Raises ``DataError`` for other image sizes, and if the extra ``diffusers`` is not installed. Ho et al. (2020),
    Appendix B.
    """

    formula = r"F_\theta(c_\mathrm{in} x; c_\mathrm{noise}) = 0 \quad \text{at the start: the output layer is zero}"
    sources = (HOOGEBOOM_2023, HO_2020)
    size: Literal["tiny", "small", "medium", "base"] = "tiny"
    patch: Literal[1, 2, 4] = 1
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    seed: int = 0

    def require(self) -> None:
        if importlib.util.find_spec("diffusers") is None:
            raise DataError("network unet needs the package diffusers: pip install 'designspace[diffusers]'")

    def build(self, shape: tuple[int, ...], classes: int = 0, augment: int = 0) -> torch.nn.Module:
        self.require()
        step = 4 * self.patch
        if len(shape) != 3 or any(side < 2 * step or side % step for side in shape[1:]):
            size, sides = "x".join(map(str, shape)), f"H and W multiples of {step} from {2 * step} on"
            raise DataError(f"network unet: samples of {size}; with patch {self.patch} it takes C x H x W, {sides}")
        from diffusers.models.unets.unet_2d import (
            UNet2DModel,  # imported here because it takes seconds and is an optional extra
        )

        with seeded(self.seed):
            seen = (shape[0] * self.patch**2, shape[1] // self.patch, shape[2] // self.patch)
            unet = UNet2DModel(**_architecture(*SIZES[self.size], seen), dropout=self.dropout)
            zero(unet.conv_out)
            conditions = Conditions(classes, augment, unet.config["time_embedding_dim"])
            return _Labelled(unet, conditions, self.patch).eval()


class _Labelled(torch.nn.Module):
    def __init__(self, unet: torch.nn.Module, conditions: Conditions, patch: int) -> None:
        super().__init__()
        self.unet, self.conditions, self.patch = unet, conditions, patch

    def forward(
        self, x: Tensor, c_noise: Tensor, labels: Tensor | None = None, augment: Tensor | None = None
    ) -> Tensor:
        condition, seen = self.conditions(labels, augment, x), pixel_unshuffle(x, self.patch)
        output = cast(Tensor, self.unet(seen, timestep(c_noise), condition, return_dict=False)[0])
        return pixel_shuffle(output, self.patch)


def _architecture(channels: tuple[int, ...], blocks: int, shape: tuple[int, ...]) -> dict[str, Any]:
    levels = 1
    while levels < len(channels) and all(side % 2**levels == 0 and side >> levels >= 4 for side in shape[1:]):
        levels += 1
    plain = levels - 1
    return {
        "in_channels": shape[0],
        "out_channels": shape[0],
        "block_out_channels": channels[:levels],
        "layers_per_block": blocks,
        "down_block_types": ("DownBlock2D",) * plain + ("AttnDownBlock2D",),
        "up_block_types": ("AttnUpBlock2D",) + ("UpBlock2D",) * plain,
        "attention_head_dim": 16,
        "norm_num_groups": 8,
        "time_embedding_dim": 2 * channels[0],
        "class_embed_type": "identity",  # this module sums the embeddings of the labels itself
    }
