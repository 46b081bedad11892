"""Export of a trained denoiser: a file of parameters and a file that describes how they were trained."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
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


@dataclass(frozen=True)
class Exported:
    """The content of the two files."""

    about: dict[str, Any]
    parameters: dict[str, Tensor]


def export(state: State, plan: Plan, path: Path, device: torch.device, *, half: bool = False) -> None:
    """Write the averaged parameters to ``path.safetensors`` and everything they depend on to ``path.json``.

    ``half`` stores the parameters as float16, which halves the size; they are still used as float32. Raises
    ``DataError`` if training was too short for a loss curve, or if a parameter is too large for float16.
    """
    record = state.record
    if not record.images:
        raise DataError(f"{state.images} images are too few for a loss curve: train for at least 100 batches")
    last = max(1, len(record.images) // 10)
    sums, counts = (torch.stack(column[-last:]).sum(0) for column in (record.sums, record.counts))
    about = {
        "schema": SCHEMA,
        "key": plan.key,
        "denoiser": plan.spec,
        "design": {row: getattr(plan.design, row).model_dump(mode="json") for row in ROWS},
        "data": {"sha256": plan.data.content_hash, "shape": list(plan.data.shape), "classes": plan.data.class_count},
        "images": state.images,
        "loss": {"images": record.images, "mean": record.mean},
        "loss_by_sigma": {"sigma": bin_levels().tolist(), "mean": (sums / counts).nan_to_num(-1).tolist()},
        "provenance": provenance(device),
    }
    tensors = {name: _stored(tensor, half) for name, tensor in state.average.state_dict().items()}
    write_whole(path.with_suffix(".safetensors"), save_tensors(apart(tensors)))
    write_whole(path.with_suffix(".json"), _text(about).encode())


def read(path: Path) -> Exported:
    """Read the files written as ``path``, ignoring its suffix. Raises ``DataError`` if one is missing or invalid."""
    with reading(path.with_suffix(".json")):
        text = path.with_suffix(".json").read_text("utf-8")
    with reading(path.with_suffix(".safetensors")):
        data = path.with_suffix(".safetensors").read_bytes()
    try:
        about = json.loads(text)
        if about["schema"] != SCHEMA:
            raise ValueError(f"schema {about['schema']}, not {SCHEMA}")
        return Exported(about, load_tensors(data))
    except Exception as error:  # the errors of safetensors have no common base class
        raise DataError(f"{path}: not a trained denoiser: {error}") from error


def described(path: Path) -> str:
    """The sha256 of the description written as ``path``, without the entry ``measured``."""
    about = {key: value for key, value in read(path).about.items() if key != "measured"}
    return hashlib.sha256(_text(about).encode()).hexdigest()


def _stored(tensor: Tensor, half: bool) -> Tensor:
    plain = tensor.cpu().contiguous()
    if not (half and plain.is_floating_point()):
        return plain
    rounded = plain.half()
    if not bool(rounded.isfinite().all()):
        raise DataError("parameters above 65504 do not fit into float16: export in full precision")
    return rounded


def _text(about: dict[str, Any]) -> str:
    return json.dumps(about, indent=1, allow_nan=False) + "\n"
