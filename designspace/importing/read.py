"""Any file or folder that ``designspace import`` takes, as a ``Model``."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from designspace.denoising.weights import is_safetensors, read_weights, state_dict_in, what_else
from designspace.errors import DataError
from designspace.importing import nvidia, physicsnemo
from designspace.importing.model import Model
from designspace.importing.nvidia import Wrapped
from designspace.importing.pickles import Inert, PickleError
from designspace.importing.rows import Rows, rows_of
from designspace.importing.tensors import Deferred, content_of, read_all
from designspace.storage.files import path_hash, reading
from designspace.text import few

NETWORKS = {"SongUNet": "edm", "DhariwalUNet": "adm", "UNet": "edm2"}
"""The components for NVIDIA's classes of networks."""
NOT_FIELDS = ("img_resolution", "in_channels", "img_channels", "out_channels", "label_dim", "augment_dim", "use_fp16")
"""Arguments of NVIDIA's networks that follow from the shape of a sample and the numbers of labels."""
DEEPEST, MOST_VALUES = 20, 1_000_000
"""Limits for mappings that hold each other, which could otherwise go on without end."""


@dataclass(frozen=True)
class Given:
    """What the user says about a file of weights alone, whose network and rows are not in it."""

    network: dict[str, Any]
    rows: Rows
    why: str
    shape: tuple[int, ...]
    classes: int = 0


def read_model(path: Path, key: str | None = None, given: Given | None = None) -> Model:
    """The model in a file or folder.

    Args:
        path: A checkpoint, or a folder of diffusers.
        key: The entry of the checkpoint that holds the network or its state dict; by default the moving average.
        given: Network and rows of a file that holds neither.

    Raises:
        DataError: The file is damaged, hostile or of an unknown format, or holds no network that is known.
    """
    if path.is_dir():
        return _folder(path)
    with reading(path), path.open("rb") as file:
        start = file.read(512)
    try:
        if is_safetensors(start):
            return _safetensors(path, key, given)
        if physicsnemo.is_archive(path, start):
            return _nvidia(path, physicsnemo.wrapped(path), "physicsnemo .mdlus")
        if start[:4] != b"PK\x03\x04" and start[:1] != b"\x80":
            raise PickleError(what_else(start))
        with _mapped(path) as (file, data):
            content, labels = content_of(file, data, nvidia.known())
            if nvidia.holds_network(content):
                found = nvidia.wrapped(content, key, len(data))
                kind = "training state" if start[:2] == b"PK" else "pickle"
                return _nvidia(path, found, f"NVIDIA {kind}", labels)
            return _weights(path, _tensors(content, key, path, len(data)), key, given, labels)
    except PickleError as error:
        raise DataError(f"{path} {error}; nothing in it was executed") from error


@contextmanager
def _mapped(path: Path) -> Iterator[tuple[IO[bytes], memoryview]]:
    """The file and its bytes, which are read from the disk only when they are used."""
    with reading(path), path.open("rb") as file:
        yield file, memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))  # closed with the last view of it


def _nvidia(path: Path, found: Wrapped, form: str, labels: set[str] = frozenset()) -> Model:  # type: ignore[assignment]
    rows, why = rows_of(found)
    sizes, network = found.kwargs, {k: v for k, v in found.kwargs.items() if k not in NOT_FIELDS}
    if not all(isinstance(name, str) and len(name) < 60 for name in network) or len(network) > 60:
        raise PickleError("has a network whose arguments have no usual names")
    if found.network not in NETWORKS:
        raise PickleError(f"has the network {found.network}; known are {', '.join(NETWORKS)}")
    channels = sizes.get("in_channels", sizes.get("img_channels"))
    outputs, side = sizes.get("out_channels", channels), sizes.get("img_resolution")
    side = side[0] if isinstance(side, list | tuple) and len(set(side)) == 1 else side
    numbers: dict[str, Any] = {"img_resolution": side, "in_channels": channels, "out_channels": outputs}
    numbers |= {name: sizes.get(name, 0) or 0 for name in ("label_dim", "augment_dim")}
    for name, value in numbers.items():
        if type(value) is not int or not 0 <= value < 100_000:
            raise PickleError(f"has a network whose {name} is no whole number of a usual size")
    if outputs not in (channels, 2 * numbers["in_channels"]):
        raise PickleError(f"has a network of {channels} to {outputs} channels, which is not conditional denoising")
    network |= {"learned_variance": True} if outputs != channels else {}
    others = sorted(labels - {"torch.nn.modules.container.ModuleDict"})
    return Model(
        path=path,
        network={"name": NETWORKS[found.network], **network},
        rows=rows,
        why=why,
        shape=(numbers["in_channels"], numbers["img_resolution"], numbers["img_resolution"]),
        classes=numbers["label_dim"],
        augment=numbers["augment_dim"],
        tensors=dict(found.tensors),
        source=_source(path, form, found.wrapper) | {"licence": nvidia.LICENCE},
        title=f"{found.wrapper}, {_title(found)}",
        notes=[*found.notes, *([f"objects of {few(others)} were left out"] if others else [])],
    )


def _title(found: Wrapped) -> str:
    kind = {"positional": "DDPM++", "fourier": "NCSN++"}.get(str(found.kwargs.get("embedding_type", "positional")))
    return f"SongUNet ({kind})" if found.network == "SongUNet" else found.network


def _source(path: Path, form: str, cls: str | None = None) -> dict[str, Any]:
    return {"file": path.name, "sha256": path_hash(path), "format": form, "class": cls}


def _folder(path: Path) -> Model:
    """A folder of diffusers."""
    from designspace.denoising.pipelines import read_folder

    found = read_folder(path)
    return Model(
        path=path,
        network=dict(found.network),
        rows=dict(found.rows),
        why="; ".join(found.notes) or "from the scheduler",
        shape=tuple(found.shape),
        classes=found.classes,
        clip=found.clip,
        tensors=read_weights(found.weights),
        source=_source(path, "diffusers", str(found.about.get("class", "")) or None),
        title=f"diffusers, {found.network.get('class', found.network['name'])}",
    )


def _safetensors(path: Path, key: str | None, given: Given | None) -> Model:
    try:
        with safe_open(path, "pt") as file:
            if "config" in (file.metadata() or {}):
                raise PickleError(KDIFFUSION)
    except SafetensorError as error:
        raise DataError(f"{path} is a damaged safetensors file, perhaps cut off: {error}") from error
    return _weights(path, read_weights(path, key), key, given, set())


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


def _tensors(content: Any, key: str | None, path: Path, size: int) -> dict[str, Tensor]:
    """The state dict at ``key`` in a checkpoint, without objects of other classes."""
    if isinstance(content, dict) and isinstance(content.get("config"), dict) and "model_ema" in content and not key:
        raise PickleError(KDIFFUSION)
    found = _Plain()(content)
    states = found["ema"].get("emas") if isinstance(found, dict) and isinstance(found.get("ema"), dict) else None
    if isinstance(states, dict) and states and not key:
        first = next(iter(states.values()))
        width = next((t.size[0] for name, t in first.items() if name.endswith("_conv.weight") and t.size), "...")
        raise PickleError(EDM2.format(width=width, key=f"ema.emas.{next(iter(states))}.unet"))
    return read_all(state_dict_in(found, key, path, Deferred), size)


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


def _weights(path: Path, tensors: dict[str, Tensor], key: str | None, given: Given | None, labels: set[str]) -> Model:
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
        source=_source(path, "state dict") | {"key": key},
        title=str(given.network.get("factory") or f"network {given.network['name']}"),
        notes=[f"objects of {few(sorted(labels))} were left out"] if labels else [],
    )


def _what_is_missing(tensors: Mapping[str, Tensor]) -> str:
    if "time_embed.0.weight" in tensors and "input_blocks.0.0.weight" in tensors:
        return GUIDED
    return (
        f"holds {len(tensors):,} tensors without the network that they belong to: name it with --network"
        " ./model.py:make or '{name: unet}', its rows with --rows (edm, vp, ve, ddpm, iddpm, ...), and --shape C,H,W"
    )
