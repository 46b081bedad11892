"""Decoding latents batch by batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from designspace.denoising.rows import Decoder
from designspace.registry.calling import calling, require_tensor


class BatchedDecoder(Decoder):
    """A decoder that takes ``batch_size`` latents at once, because images need much more memory than their latents.

    The size changes images by rounding errors at most, so it is not part of the identity.
    """

    batch_size: Annotated[int, Field(ge=1)] = 16

    @abstractmethod
    def make(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Prepare the decoder on ``device``, as ``load`` does, for batches of this size."""

    def load(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """The decoder for any number of latents."""
        decode = self.make(device)
        return lambda latents: torch.cat([decode(batch) for batch in torch.split(latents, self.batch_size)])

    def identity(self) -> dict[str, Any]:
        """The identity without the size of batches."""
        return {name: value for name, value in super().identity().items() if name != "batch_size"}


def decoded(
    decoder: Decoder,
    decode: Callable[[Tensor], Tensor],
    latents: Tensor,
    device: torch.device,
    batch_size: int | None = None,
) -> Tensor:
    """The images of float32 ``latents`` by the loaded function ``decode`` of ``decoder``, float32 on the CPU.

    It is called with at most ``batch_size`` latents. Raises ``RowError`` unless it returns an image ``[C, H, W]`` for
    each of them.
    """
    images: list[Tensor] = []
    for batch in torch.split(latents, batch_size or len(latents)):
        with calling(decoder), torch.no_grad():
            found: object = decode(batch.to(device))
        images.append(require_tensor(decoder, "the images", found, (len(batch), "C", "H", "W")).float().cpu())
    return torch.cat(images)
