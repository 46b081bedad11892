from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from designspace.evaluation.inception import RESIZE, Mode, network_file, open_network, prepared, source_of
from designspace.evaluation.rows import Detector
from designspace.registry.identity import Since, identified
from designspace.registry.literature import PARMAR_2022, SZEGEDY_2016


class Inception(Detector, name="inception"):
    """The 2,048 pooled features of Inception-v3, with clean-fid's protocol; their Fréchet distance is the FID.

    The network is read from the file ``weights``. By default this is the file that ``$DESIGNSPACE_INCEPTION`` names
    (for the mode ``legacy_pytorch``: ``$DESIGNSPACE_INCEPTION_PYTORCH``), or else the one in the folder ``weights`` of
    the cache or in clean-fid's own folder. If ``download`` is true, a missing file is downloaded. The file must have
    the ``sha256`` of the genuine network. Another network with the same interface can be used by stating its hash, but
    then the distance is not called FID.

    Resized images stay in memory and are not rounded. The ``mode`` says how they are resized to 299 x 299 pixels:
    ``clean`` by an antialiased bicubic filter; ``legacy_pytorch`` as pytorch-fid does, bilinear and aliased, with its
    weights; ``legacy_tensorflow`` inside the network, as in TTUR and in the reference files of ADM and EDM. Distances
    of the legacy modes carry the name of the mode. Raises ``DataError`` if the file is missing or has another hash.
    """

    sources = (SZEGEDY_2016, PARMAR_2022)
    width: ClassVar[int | None] = 2048
    weights: Path | None = None
    download: bool = False
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    mode: Annotated[Mode, Since("clean")] = "clean"

    def protocol(self) -> str:
        name = "FID" if self._sha256 == source_of(self.mode).sha256 else f"FD-inception-{self._sha256[:8]}"
        return name if self.mode == "clean" else f"{name}-{self.mode}"

    def resize(self) -> str:
        return RESIZE[self.mode]

    def identity(self) -> dict[str, Any]:
        """The identity by content: neither the location of the file nor ``download`` changes a number."""
        return self.origin() | {"sha256": self._sha256} | identified(self, ["mode"])

    def require(self) -> None:
        if not self.download:
            self._file()

    def load(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        network = open_network(self._file(), self.mode, device)

        @torch.no_grad()
        def features(pixels: Tensor) -> Tensor:
            return torch.cat([network(x).float().cpu() for x in prepared(pixels, self.mode, device)])

        return features

    @property
    def _sha256(self) -> str:
        return self.sha256 or source_of(self.mode).sha256

    def _file(self) -> Path:
        return network_file(source_of(self.mode), self.weights, self._sha256, self.download)
