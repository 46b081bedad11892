"""The check of decoders."""

from __future__ import annotations

import torch

from designspace.denoising.rows import Decoder, decoded
from designspace.testing.assertions import require, require_finite, require_same
from designspace.testing.context import STAND_INS, Context


def decodes_latents(decoder: Decoder, given: Context = STAND_INS) -> None:
    """Images are finite, reproducible, of the shape that shape_of says, and do not depend on each other."""
    device, shape = torch.device("cpu"), given.latents
    decode = decoder.load(device)
    latents = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    before, images = latents.clone(), decoded(decoder, decode, latents, device)
    require_finite("the images", images)
    says = tuple(decoder.shape_of(shape))
    require(
        images.shape[1:] == says, f"the shape of an image from latents {list(shape)}", says, tuple(images.shape[1:])
    )
    require(torch.equal(latents, before), "the latents after they were decoded", "unchanged", "another tensor")
    require_same("the images a second time", decoded(decoder, decode, latents, device), images, rtol=1e-5, atol=1e-5)
    alone = decoded(decoder, decode, latents[:1], device)
    require_same("the image of a latent alone", alone, images[:1], rtol=1e-4, atol=1e-4)
