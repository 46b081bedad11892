"""Weights without the network that they belong to, which the user names, and files of known programs among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from designspace.denoising.weights import state_dict_in
from designspace.importing import nvidia
from designspace.importing.model import Model, source_of
from designspace.importing.rows import Rows
from designspace.importing.tensors import Deferred, read_all
from designspace.storage.pickled import Inert, PickleError, kind_of, left_out

DEEPEST, MOST_VALUES = 20, 1_000_000
"""Limits for mappings that hold each other, which could otherwise go on without end."""
KDIFFUSION = (
    "is a checkpoint of k-diffusion: import the network's state dict (--key model_ema) with --network ./model.py:make,"
    " where make() builds the network of k-diffusion and passes it exp(4 c_noise) as sigma, and with --rows edm"
)
GUIDED = (
    "is a state dict of guided-diffusion: --network ./model.py:make builds its UNetModel, with --rows iddpm (cosine"
    " schedule, 64 x 64) or --rows ddpm (linear schedule), --shape and --classes"
)
EDM2 = (
    "holds state dicts of EDM2 without the arguments of the network: --network '{{name: edm2, model_channels:"
    " {width}}}' --key {key} --rows edm, --shape and --classes"
)


@dataclass(frozen=True)
class Given:
    """What the user says about a file of weights alone, whose network and rows are not in it."""

    network: dict[str, Any]
    rows: Rows
    why: str
    shape: tuple[int, ...]
    classes: int = 0


def state_dict(content: Any, key: str | None, path: Path, size: int) -> dict[str, Tensor]:
    """The state dict at ``key`` in a checkpoint, without objects of other classes."""
    if isinstance(content, dict) and isinstance(content.get("config"), dict) and "model_ema" in content and not key:
        raise PickleError(KDIFFUSION)
    found = _Plain()(content)
    if not isinstance(found, dict):
        raise PickleError(f"holds {kind_of(content)}, neither a checkpoint nor a state dict")
    average = found.get("ema")
    if isinstance(average, dict) and isinstance(average.get("emas"), dict) and not key:
        _refuse_edm2(average["emas"])
    return read_all(state_dict_in(found, key, path, Deferred, "--key {}"), size)


def _refuse_edm2(states: Mapping[str, Any]) -> None:
    """Raise ``PickleError`` with what to write for the first of the averages in a training state of EDM2."""
    for index, state in states.items():
        tensors = state if isinstance(state, dict) else {}
        sizes = (
            t.size for name, t in tensors.items() if isinstance(t, Deferred) and str(name).endswith("_conv.weight")
        )
        width = next((size[0] for size in sizes if size), "...")
        raise PickleError(EDM2.format(width=width, key=f"ema.emas.{index}.unet"))


class _Plain:
    """Mappings of tensors from the content of a checkpoint: lists by index, pickled modules as their state dicts."""

    def __init__(self) -> None:
        self._left, self._depth = MOST_VALUES, 0

    def __call__(self, content: Any) -> Any:
        self._left -= 1
        if self._left < 0:  # mappings that hold each other many times, or without end
            raise PickleError(f"has more than {MOST_VALUES:,} values")
        if isinstance(content, Inert) and isinstance(content.state, dict) and "_parameters" in content.state:
            return nvidia.state_dict(content.state)
        if isinstance(content, list | tuple) and any(isinstance(item, dict | Inert) for item in content):
            content = dict(zip(map(str, range(len(content))), content, strict=True))
        if not isinstance(content, dict):
            return content
        if self._depth >= DEEPEST:
            raise PickleError("has mappings within mappings too deep to follow")
        self._depth += 1
        found = {name: self(value) for name, value in content.items()}
        self._depth -= 1
        return found


def alone(path: Path, tensors: dict[str, Tensor], key: str | None, given: Given | None, labels: set[str]) -> Model:
    """A state dict, whose network and rows the user names."""
    if given is None:
        raise PickleError(_what_is_missing(tensors))
    map_augment = next((t for name, t in tensors.items() if name.endswith("map_augment.weight")), None)
    return Model(
        path=path,
        network=given.network,
        rows=given.rows,
        why=given.why,
        shape=given.shape,
        classes=given.classes,
        augment=0 if map_augment is None else map_augment.shape[-1],
        tensors=tensors,
        key=key,
        source=source_of(path, "state dict") | {"key": key},
        title=f"network {Path(str(given.network.get('factory') or given.network['name'])).name}",
        notes=left_out(labels),
    )


def _what_is_missing(tensors: Mapping[str, Tensor]) -> str:
    if "time_embed.0.weight" in tensors and "input_blocks.0.0.weight" in tensors:
        return GUIDED
    return (
        f"holds {len(tensors):,} tensors without the network that they belong to: name it with --network"
        " ./model.py:make or '{name: unet}', its rows with --rows (edm, vp, ve, ddpm, iddpm, ...), and --shape C,H,W"
    )
