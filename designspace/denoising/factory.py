"""Modules that a callable of the user makes: networks and decoders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch

from designspace.denoising.networks import seeded
from designspace.denoising.weights import load_weights
from designspace.errors import DataError
from designspace.registry.calling import described
from designspace.registry.factories import FromCallable
from designspace.registry.identity import Since


class FromFactory(FromCallable):
    """Fields that say how a callable makes a module, and with which weights: a mixin for components.

    Attributes:
        weights: A file with the state dict of the module.
        key: Where in a checkpoint the state dict is: ``ema``, ``state.model``.
        seed: The seed of PyTorch while the callable runs.
    """

    weights: Path | None = None
    seed: Annotated[int, Since(0)] = 0
    key: Annotated[str | None, Since(None)] = None

    def made(self, offered: Mapping[str, Any]) -> Any:
        """What the factory makes of ``offered`` arguments, see ``called``, with the weights if there are any.

        Raises ``DataError`` if it fails or if the weights do not fit.
        """
        with seeded(self.seed):
            module = self.called(offered)
        if self.weights:
            self._load(module, self.weights)
        return module

    def _load(self, module: Any, weights: Path) -> None:
        try:
            if not isinstance(module, torch.nn.Module):
                gives = f"{self.factory} gives {described(module)}, not a torch.nn.Module"
                raise DataError(f"{gives}, so that weights cannot be loaded: let it return a Module")
            load_weights(module, weights, self.key, self.factory)
        except DataError as error:
            error.within("weights")
            raise
