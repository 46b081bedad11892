import importlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Self

import torch
from pydantic import ConfigDict, Field, JsonValue, field_validator, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_model

from designspace.component import FOLDER, Spec, did_you_mean
from designspace.discovery import import_file
from designspace.errors import brief
from designspace.images import DataError, Images, file_hash
from designspace.rows import Network


class Arguments(Spec):
    """Keyword arguments: names with plain values."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    @model_validator(mode="after")
    def _is_json(self) -> Self:
        json.dumps(self.model_dump(), allow_nan=False)
        return self


class Module(Network, name="module"):
    r"""Any ``torch.nn.Module`` of yours, called as ``F(x [B, C, H, W], c_noise [B], labels [B] or None)``.

    .. math:: F_\theta(c_\mathrm{in} x; c_\mathrm{noise})

    ``factory`` makes it: ``package.module:callable`` or ``./file.py:callable``, relative to the YAML that names it, called
    with ``kwargs``. ``weights`` is a safetensors file of its state dict. ``shape`` is that of one sample, C, H, W; by
    default that of the data set. Two networks are the same if the factory's source file, the name of the callable, the
    arguments and the weights are. Raises ``DataError`` if a part is missing or does not fit.
    Karras et al. (2022), https://arxiv.org/abs/2206.00364, Eq. 7.
    """

    factory: Annotated[str, Field(pattern=r"^[^:].*:[A-Za-z_]\w*$")]
    kwargs: Arguments = Arguments()
    weights: Path | None = None
    shape: tuple[Annotated[int, Field(ge=1)], ...] | None = None

    @field_validator("factory")
    @classmethod
    def _file_beside_the_spec(cls, factory: str) -> str:
        place, name = _parts(factory)
        folder = FOLDER.get()
        return f"{folder / Path(place).expanduser()}:{name}" if folder and place.endswith(".py") else factory

    def shape_of(self, data: Images) -> tuple[int, ...]:
        return self.shape or data.shape

    def build(self) -> torch.nn.Module:
        make = self._callable()
        try:
            network = make(**self.kwargs.model_dump())
        except Exception as error:
            raise DataError(f"network module: {self.factory} fails: {brief(error)}") from error
        if not isinstance(network, torch.nn.Module):
            raise DataError(f"network module: {self.factory} gives a {type(network).__name__}, not a torch.nn.Module")
        if self.weights:
            _load(network, self.weights, self.factory)
        return network.eval()

    def identity(self) -> dict[str, Any]:
        place, name = _parts(self.factory)
        source = _source(place)
        return self.origin() | {
            "factory": [file_hash(source) if source else place, name],
            "kwargs": self.kwargs.model_dump(mode="json"),
            "weights": file_hash(self.weights) if self.weights else None,
            "shape": self.shape,
        }

    def _callable(self) -> Any:
        place, name = _parts(self.factory)
        module = _module(place)
        found = getattr(module, name, None)
        if not callable(found):
            raise DataError(f"network module: {place} has no callable '{name}'.{did_you_mean(name, vars(module))}")
        return found


def _parts(factory: str) -> tuple[str, str]:
    place, _, name = factory.rpartition(":")
    return place, name


def _module(place: str) -> ModuleType:
    try:
        return import_file(Path(place).resolve()) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:
        raise DataError(f"network module: {place} cannot be imported: {brief(error)}") from error


def _source(place: str) -> Path | None:
    """The file of a module, without importing it; ``None`` for a module that has none."""
    if place.endswith(".py"):
        return Path(place)
    try:
        spec = importlib.util.find_spec(place)
    except (ImportError, ValueError) as error:
        raise DataError(f"network module: {place}: {error}") from error
    if spec is None:
        raise DataError(f"network module: there is no module '{place}'")
    return Path(spec.origin) if spec.origin and spec.has_location else None


def _load(network: torch.nn.Module, weights: Path, factory: str) -> None:
    file_hash(weights)  # names the file if it cannot be read
    try:
        load_model(network, weights)
    except SafetensorError as error:
        raise DataError(f"{weights}: not a safetensors file: {error}") from error
    except RuntimeError as error:
        raise DataError(f"{weights}: not the weights of {factory}: {' '.join(str(error).split())}") from error
