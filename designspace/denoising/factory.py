"""Modules that a callable of the user makes: networks and decoders."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, ValidationInfo, field_validator

from designspace.denoising.networks import seeded
from designspace.denoising.weights import load_weights
from designspace.errors import DataError, brief
from designspace.interrupts import contained
from designspace.registry.calling import described
from designspace.registry.component import Spec, folder_of
from designspace.registry.factories import Arguments, Factory, find
from designspace.registry.identity import Since


class FromFactory(Spec):
    """Fields that say how a callable makes a module, and with which weights: a mixin for components.

    Attributes:
        factory: ``package.module:callable`` or ``./file.py:callable``, relative to the YAML file.
        kwargs: Its keyword arguments. A text that begins with ``./``, ``../``, ``/`` or ``~/`` is a path relative to
            the YAML file.
        weights: A file with the state dict of the module.
        key: Where in a checkpoint the state dict is: ``ema``, ``state.model``.
        seed: The seed of PyTorch while the callable runs.
        files: Files and folders that the callable reads without being told in ``kwargs``.
    """

    factory: Factory
    kwargs: Arguments = Arguments.model_validate({})
    weights: Path | None = None
    seed: Annotated[int, Since(0)] = 0
    key: Annotated[str | None, Since(None)] = None
    files: Annotated[tuple[Path, ...], Field(validate_default=True), Since(())] = ()

    @field_validator("files")
    @classmethod
    def _and_those_in_kwargs(cls, files: tuple[Path, ...], info: ValidationInfo) -> tuple[Path, ...]:
        """Add the folders beside the spec that ``kwargs`` names as the factory will see them, without ``./``."""
        folder, kwargs = folder_of(info), info.data.get("kwargs")
        named = kwargs.folders_in(folder) if folder and kwargs else []
        return (*files, *(file for file in named if file not in files))

    def require(self) -> None:
        """Import the factory. Raises ``DataError`` if it is missing."""
        try:
            find(self.factory, again=True)
        except DataError as error:
            error.within("factory")
            raise

    def made(self, offered: Mapping[str, Any]) -> Any:
        """What the factory makes, with the weights if there are any.

        It is called with ``kwargs`` and those of the ``offered`` arguments that it has parameters for. Raises
        ``DataError`` if it fails or if the weights do not fit.
        """
        make = find(self.factory)
        wanted = {name: offered[name] for name in _parameters(make) if name in offered}
        try:
            with seeded(self.seed), contained():
                module = make(**(wanted | self.kwargs.model_dump()))
        except Exception as error:
            raise DataError(f"{self.factory} fails: {brief(error)}") from error
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


def _parameters(make: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(make).parameters)
    except ValueError:  # some callables written in C have no signature
        return []
