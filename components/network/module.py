import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_model

from designspace.data.images import Images
from designspace.denoising.networks import seeded
from designspace.denoising.rows import Network
from designspace.errors import DataError, brief
from designspace.interrupts import contained
from designspace.registry.discovery import Arguments, Factory, content, find
from designspace.registry.identity import Since
from designspace.registry.literature import KARRAS_2022
from designspace.storage.files import file_hash


class Module(Network, name="module"):
    """Your own ``torch.nn.Module``, called as ``F(x [B, C, H, W], c_noise [B], labels [B] or None)``.

    ``factory`` names the callable that makes it, ``package.module:callable`` or ``./file.py:callable`` relative to the
    YAML file. It is called with ``kwargs``, after torch is seeded with ``seed``. If it has parameters named ``shape``,
    ``classes`` or ``augment`` that ``kwargs`` does not give, these are passed as well. ``weights`` is a safetensors
    file with its state dict. ``shape`` is the shape of one sample, [C, H, W], by default that of the data set.

    Two networks are the same if the source of the factory's file, the name of the callable, the arguments and the
    weights are the same, wherever the files are. Raises ``DataError`` if a part is missing or does not fit. Karras et
    al. (2022), Eq. 7.
    """

    formula = r"F_\theta(c_\mathrm{in} x; c_\mathrm{noise})"
    sources = (KARRAS_2022,)
    factory: Factory
    kwargs: Arguments = Arguments.model_validate({})
    weights: Path | None = None
    shape: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    seed: Annotated[int, Since(0)] = 0

    def shape_of(self, data: Images) -> tuple[int, ...]:
        return self.shape or data.shape

    def require(self) -> None:
        find(self.factory, again=True)

    def build(self, shape: tuple[int, ...], classes: int = 0, augment: int = 0) -> torch.nn.Module:
        make = find(self.factory)
        offered = {"shape": shape, "classes": classes, "augment": augment}
        wanted = {name: offered[name] for name in _parameters(make) if name in offered}
        try:
            with seeded(self.seed), contained():
                network = make(**(wanted | self.kwargs.model_dump()))
        except Exception as error:
            raise DataError(f"{self.factory} fails: {brief(error)}") from error
        if not isinstance(network, torch.nn.Module):
            raise DataError(f"{self.factory} gives a {type(network).__name__}, not a torch.nn.Module")
        if self.weights:
            _load(network, self.weights, self.factory)
        return network.eval()

    def identity(self) -> dict[str, Any]:
        weights = file_hash(self.weights) if self.weights else None
        about: dict[str, Any] = {"factory": content(self.factory), "kwargs": self.kwargs.model_dump(mode="json")}
        about |= {"seed": self.seed} if self.seed else {}
        return self.origin() | about | {"weights": weights, "shape": self.shape}


def _parameters(make: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(make).parameters)
    except ValueError:  # some callables written in C have no signature
        return []


def _load(network: torch.nn.Module, weights: Path, made_by: str) -> None:
    file_hash(weights)  # raises an error that names the file if it cannot be read
    try:
        load_model(network, weights)
    except SafetensorError as error:
        raise DataError(f"{weights}: not a safetensors file: {error}") from error
    except RuntimeError as error:
        raise DataError(f"{weights}: not the weights of {made_by}: {' '.join(str(error).split())}") from error
