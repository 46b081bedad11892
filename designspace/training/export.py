"""Export of a trained denoiser: a file of parameters and a file that describes how they were trained."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from designspace.errors import DataError
from designspace.storage.cache import apart
from designspace.storage.files import reading, write_whole
from designspace.storage.provenance import provenance
from designspace.training.checkpoints import Plan
from designspace.training.loss import bin_levels
from designspace.training.state import State

ROWS = ("c_skip", "c_out", "c_in", "c_noise", "noise_distribution", "loss_weight")
SCHEMA = 1
SUFFIXES = (".safetensors", ".json")


@dataclass(frozen=True)
class Exported:
    """The content of the two files."""

    about: dict[str, Any]
    parameters: dict[str, Tensor]


class Snapshot(NamedTuple):
    """Which part of a training a model has seen."""

    fraction: float
    of_images: int


def export(
    state: State,
    plan: Plan,
    path: Path,
    device: torch.device,
    *,
    half: bool = False,
    snapshot: Snapshot | None = None,
) -> None:
    """Write the averaged parameters to ``path.safetensors`` and everything they depend on to ``path.json``.

    ``half`` stores the parameters as float16, which halves the size; they are still used as float32. ``snapshot`` says
    of which training the state is a snapshot. Raises ``DataError`` if there was no training, or if a parameter is too
    large for float16.
    """
    record = state.curve()
    if not record.images:
        raise DataError("a network without training has no loss curve: train it for at least one batch")
    last = max(1, len(record.images) // 10)
    sums, counts = (torch.stack(column[-last:]).sum(0) for column in (record.sums, record.counts))
    about = {
        "schema": SCHEMA,
        "key": plan.key,
        "denoiser": plan.spec,
        "design": {row: getattr(plan.design, row).model_dump(mode="json") for row in ROWS},
        "data": {"sha256": plan.data.content_hash, "shape": list(plan.data.shape), "classes": plan.data.class_count},
        "images": state.images,
        **({} if snapshot is None else {"snapshot": snapshot._asdict()}),
        "loss": {"images": record.images, "mean": record.mean},
        "loss_by_sigma": {"sigma": bin_levels().tolist(), "mean": (sums / counts).nan_to_num(-1).tolist()},
        "provenance": provenance(device),
    }
    tensors = {name: _stored(tensor, half) for name, tensor in state.average.state_dict().items()}
    write_whole(file_of(path, ".safetensors"), save_tensors(apart(tensors)))
    write_whole(file_of(path, ".json"), as_text(about).encode())


def file_of(path: Path, suffix: str) -> Path:
    """The file of a model with this suffix; ``path`` is that of its files without their suffix, or with either.

    Other dots belong to the name: ``edm2-0.075`` and ``edm2-0.135`` are two models.
    """
    stem = path.with_suffix("") if path.suffix in SUFFIXES else path
    return stem.with_name(stem.name + suffix)


def snapshot_of(path: Path, fraction: float) -> Path:
    """The path under which a snapshot of the model ``path`` is exported: ``digits-0.25`` beside ``digits``."""
    return file_of(path, f"-{fraction:g}")


def read(path: Path) -> Exported:
    """Read the files written as ``path``. Raises ``DataError`` if one is missing or invalid."""
    about = read_about(path)
    weights = file_of(path, ".safetensors")
    with reading(weights):
        try:
            return Exported(about, load_tensors(weights))
        except SafetensorError as error:
            raise DataError(f"{weights}: not a trained denoiser: {error}") from error


def read_about(path: Path) -> dict[str, Any]:
    """Read only the description of the files written as ``path``. Raises ``DataError``."""
    description = file_of(path, ".json")
    with reading(description):
        text = description.read_bytes()
    try:
        about: dict[str, Any] = json.loads(text)
        if about["schema"] != SCHEMA:
            raise ValueError(f"schema {about['schema']}, not {SCHEMA}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{description}: does not describe a trained denoiser: {error}") from error
    return about


def described(path: Path) -> str:
    """The sha256 of the description written as ``path``, without ``measured`` and, if it was imported, file names.

    The factory of an imported network, whose place is left out, counts by its source as part of the network.
    """
    about = {key: value for key, value in read_about(path).items() if key != "measured"}
    if isinstance(about.get("source"), dict):
        network = {key: value for key, value in about["denoiser"]["network"].items() if key != "factory"}
        about["denoiser"] = about["denoiser"] | {"network": network}
        about["source"] = {key: value for key, value in about["source"].items() if key != "file"}
    return hashlib.sha256(as_text(about).encode()).hexdigest()


def _stored(tensor: Tensor, half: bool) -> Tensor:
    plain = tensor.cpu().contiguous()
    if not (half and plain.is_floating_point()):
        return plain
    rounded = plain.half()
    if not bool(rounded.isfinite().all()):
        raise DataError("parameters above 65504 do not fit into float16: export in full precision")
    return rounded


def as_text(about: dict[str, Any]) -> str:
    """The description of a model as the text of its file."""
    return json.dumps(about, indent=1, allow_nan=False) + "\n"
