"""Any file or folder that ``designspace import`` takes, as a ``Model``."""

from __future__ import annotations

import mmap
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError, safe_open

from designspace.denoising.pipelines import read_folder
from designspace.denoising.weights import is_safetensors, read_weights, what_else
from designspace.errors import DataError
from designspace.importing import nvidia, physicsnemo
from designspace.importing.alone import KDIFFUSION, Given, alone, state_dict
from designspace.importing.model import Model, source_of
from designspace.importing.nvidia import Wrapped
from designspace.importing.rows import rows_of
from designspace.importing.torch_files import content_of
from designspace.storage.files import reading
from designspace.storage.pickled import PickleError, left_out

NETWORKS = {"SongUNet": "edm", "DhariwalUNet": "adm", "UNet": "edm2"}
"""The components for NVIDIA's classes of networks."""
NOT_FIELDS = ("img_resolution", "in_channels", "img_channels", "out_channels", "label_dim", "augment_dim", "use_fp16")
"""Arguments of NVIDIA's networks that follow from the shape of a sample and the numbers of labels."""


def read_model(
    path: Path,
    key: str | None = None,
    given: Given | None = None,
    *,
    scheduler: Path | None = None,
    shape: tuple[int, ...] | None = None,
) -> Model:
    """The model in a file or folder.

    Args:
        path: A checkpoint, or a folder of diffusers.
        key: The entry of the checkpoint that holds the network or its state dict; by default the moving average.
        given: Network and rows of a file that holds neither.
        scheduler: The configuration of the scheduler for a folder that holds a model alone.
        shape: The shape of a sample for a folder that does not say it.

    Raises:
        DataError: The file is damaged, hostile or of an unknown format, or holds no network that is known.
    """
    if path.is_dir():
        return _folder(path, scheduler, shape)
    with reading(path), path.open("rb") as file:
        start = file.read(512)
    try:
        if is_safetensors(start):
            return _safetensors(path, key, given)
        if physicsnemo.is_archive(path, start):
            _require_nothing(given)
            return _nvidia(path, physicsnemo.wrapped(path), "physicsnemo .mdlus")
        if start[:4] != b"PK\x03\x04" and start[:1] != b"\x80":
            raise PickleError(what_else(start))
        with _mapped(path) as (file, data):
            content, labels = content_of(file, data, nvidia.known())
            if nvidia.holds_network(content):
                _require_nothing(given)
                found = nvidia.wrapped(content, key, len(data))
                if start[:2] == b"PK":
                    return _nvidia(path, found, "NVIDIA training state", labels)
                model = _nvidia(path, found, "NVIDIA pickle", labels)
                return replace(model, source=model.source | {"licence": nvidia.LICENCE})  # they publish pickles only
            return alone(path, state_dict(content, key, path, len(data)), key, given, labels)
    except PickleError as error:
        raise DataError(f"{path} {error}; nothing in it was executed") from error


def _require_nothing(given: Given | None) -> None:
    """Raise ``PickleError`` if the user names a network and rows for a file that holds its own."""
    if given is not None:
        raise PickleError("holds its network and rows itself: leave out --network, --rows, --shape and --classes")


@contextmanager
def _mapped(path: Path) -> Iterator[tuple[IO[bytes], memoryview]]:
    """The file and its bytes, which are read from the disk only when they are used."""
    with reading(path), path.open("rb") as file:
        yield file, memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))  # closed with the last view of it


def _nvidia(path: Path, found: Wrapped, form: str, labels: Collection[str] = ()) -> Model:
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
    return Model(
        path=path,
        network={"name": NETWORKS[found.network], **network},
        rows=rows,
        why=why,
        shape=(numbers["in_channels"], numbers["img_resolution"], numbers["img_resolution"]),
        classes=numbers["label_dim"],
        augment=numbers["augment_dim"],
        tensors=dict(found.tensors),
        source=source_of(path, form, found.wrapper),
        title=f"{found.wrapper}, {_title(found)}",
        notes=[*found.notes, *left_out(labels)],
    )


def _title(found: Wrapped) -> str:
    kind = {"positional": "DDPM++", "fourier": "NCSN++"}.get(str(found.kwargs.get("embedding_type", "positional")))
    return f"SongUNet ({kind})" if found.network == "SongUNet" else found.network


def _folder(path: Path, scheduler: Path | None, shape: tuple[int, ...] | None) -> Model:
    """A folder of diffusers."""
    found = read_folder(path, scheduler=scheduler, remedy="--scheduler and its scheduler_config.json")
    if len(found.shape) < 2 and shape is None:
        raise DataError(f"{path} does not say the size of its samples: give --shape {found.shape[0]},H,W")
    clip = found.clip if found.clip is not None and found.clip.has_effect else None
    return Model(
        path=path,
        network=dict(found.network),
        rows=dict(found.rows),
        why=found.notes[0],
        shape=found.shape if shape is None else shape,
        classes=found.classes,
        clip=None if clip is None else clip.model_dump(),
        tensors=found.tensors(),
        source=source_of(path, "diffusers", found.network["model"]),
        title=f"diffusers {found.network['model']}",
        notes=found.notes[1:],
    )


def _safetensors(path: Path, key: str | None, given: Given | None) -> Model:
    try:
        with safe_open(path, "pt") as file:
            if "config" in (file.metadata() or {}):
                raise PickleError(KDIFFUSION)
    except SafetensorError as error:
        raise DataError(f"{path} is a damaged safetensors file, perhaps cut off: {error}") from error
    return alone(path, read_weights(path, key), key, given, set())
