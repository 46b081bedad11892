import importlib
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from safetensors.torch import load_file

from designspace.discovery import import_file
from designspace.images import DataError, Images, file_hash
from designspace.rows import Network


class Module(Network, name="module"):
    r"""Any ``torch.nn.Module`` of yours, called as ``F(x [B, C, H, W], c_noise [B], labels [B] or None)``.

    .. math:: F_\theta(c_\mathrm{in} x; c_\mathrm{noise})

    ``factory`` is ``package.module:callable`` or ``./file.py:callable``, called without arguments; ``weights`` are
    safetensors and ``shape`` is that of one sample, the data set's by default. In the sense of Karras et al.
    (2022), https://arxiv.org/abs/2206.00364, Eq. 7. Raises ``DataError`` if a part is missing or does not fit.
    """

    factory: str = Field(pattern=r"^.+:\w+$")
    weights: Path | None = None
    shape: tuple[int, ...] | None = None

    def shape_of(self, data: Images) -> tuple[int, ...]:
        return self.shape or data.shape

    def build(self) -> torch.nn.Module:
        network = self._callable()()
        if not isinstance(network, torch.nn.Module):
            raise DataError(f"network.factory: {self.factory} gives a {type(network).__name__}, not a torch.nn.Module")
        if self.weights:
            file_hash(self.weights)  # names the file if it is missing
            try:
                network.load_state_dict(load_file(self.weights))
            except Exception as error:
                raise DataError(f"{self.weights}: not the weights of {self.factory}: {error}") from None
        return network

    def identity(self) -> dict[str, Any]:
        place, _, name = self.factory.rpartition(":")
        source = file_hash(Path(place)) if place.endswith(".py") else place
        weights = file_hash(self.weights) if self.weights else None
        return self.origin() | {"factory": [source, name], "weights": weights, "shape": self.shape}

    def _callable(self) -> Any:
        place, _, name = self.factory.rpartition(":")
        try:
            module = import_file(Path(place).resolve()) if place.endswith(".py") else importlib.import_module(place)
        except ImportError as error:
            raise DataError(f"network.factory: {self.factory}: {error}") from None
        if not callable(found := getattr(module, name, None)):
            raise DataError(f"network.factory: {place} has no callable '{name}'")
        return found
