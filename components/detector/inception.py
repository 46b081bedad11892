from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from designspace.evaluation.clean_fid import SHA256, network_file, open_network
from designspace.evaluation.resize import resized
from designspace.rows import Detector

BATCH = 8


class Inception(Detector, name="inception"):
    """Inception-v3's 2,048 pooled features by clean-fid's protocol: the Fréchet distance of these is the FID.

    The network is the TorchScript file ``weights``, else the one that ``$DESIGNSPACE_INCEPTION`` names, else the one
    in clean-fid's own place; if it is missing, it is downloaded there where ``download`` is true. It must have this
    ``sha256``: one of your own with Inception's interface may be used by stating its hash, but gives no FID. Images
    are resized in memory to 299 x 299 (antialiased bicubic, not rounded, clipped). Raises ``DataError`` if the file is
    missing or another one. Szegedy et al. (2016), https://arxiv.org/abs/1512.00567; Parmar, Zhang and Zhu (2022),
    https://arxiv.org/abs/2104.11222
    """

    weights: Path | None = None
    download: bool = False
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = SHA256

    def protocol(self) -> str:
        return "FID" if self.sha256 == SHA256 else f"FD-inception-{self.sha256[:8]}"

    def identity(self) -> dict[str, Any]:
        """By content: where the file lies, or whether it may be fetched, changes no number."""
        return self.origin() | {"sha256": self.sha256}

    def require(self) -> None:
        if not self.download:
            network_file(self.weights, self.sha256, download=False)

    def load(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        network = open_network(network_file(self.weights, self.sha256, self.download)).to(device)

        @torch.no_grad()
        def features(pixels: Tensor) -> Tensor:
            batches = resized(pixels, 299, BATCH, device)
            return torch.cat([network(x.expand(-1, 3, -1, -1)).float().cpu() for x in batches])

        return features
