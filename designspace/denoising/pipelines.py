"""Folders in which diffusers stores a pipeline, or a single model: their configurations and weights.

Nothing in a folder is executed. Configurations are JSON, weights are safetensors, or checkpoints of which only tensors
are read, and models are classes of diffusers itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from designspace.denoising.clip import Clip
from designspace.denoising.schedulers import arguments, read_scheduler
from designspace.denoising.weights import read_weights
from designspace.errors import DataError
from designspace.storage.files import reading
from designspace.text import did_you_mean, first_of, one_line

INDEX, CONFIG, SCHEDULER, WEIGHTS = (
    "model_index.json",
    "config.json",
    "scheduler_config.json",
    "diffusion_pytorch_model",
)
MODELS = ("DiTTransformer2DModel", "SD3Transformer2DModel", "UNet2DConditionModel", "UNet2DModel")
"""The models that the network ``diffusers`` can call."""
GIVE = "scheduler: ./scheduler_config.json, or scheduler: {_class_name: DDPMScheduler, prediction_type: epsilon}"
INSTEAD = "load it with a function of yours in network: {name: module, factory: ./file.py:function}"
OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""The names that layers of attention had in the first versions of diffusers, and those that they have now."""


@dataclass(frozen=True)
class Folder:
    """What a folder says about its network, before any weight is read."""

    rows: dict[str, dict[str, Any]]
    """The rows c_skip, c_out, c_in, c_noise, noise_distribution and loss_weight, as in a spec."""
    network: dict[str, Any]
    """The network ``diffusers`` without its weights, as in a spec."""
    shape: tuple[int, ...]
    """The shape of a sample; only the number of channels if the configuration does not say the size."""
    classes: int
    clip: Clip | None
    weights: Path
    """The file of the weights, or the index of several."""
    notes: list[str]
    """What was chosen and why, and the quirks."""
    quirks: list[str]
    """What the scheduler does in sampling that is not taken over."""
    about: dict[str, Any]
    """The class and the configuration of the scheduler, and the version of diffusers that wrote the model."""

    def files(self) -> list[Path]:
        """The files with the weights. Raises ``DataError`` if one is missing."""
        if self.weights.suffix != ".json":
            return [self.weights]
        named = _json(self.weights).get("weight_map")
        names = sorted(set(map(str, named.values()))) if isinstance(named, Mapping) else []
        if not names or any(Path(name).name != name for name in names):
            raise DataError(f"{self.weights} lists no files of weights beside it under weight_map")
        missing = [name for name in names if not (self.weights.parent / name).is_file()]
        if missing:
            raise DataError(f"{self.weights} lists {first_of(missing)}, which is not there: download it again")
        return [self.weights.parent / name for name in names]

    def tensors(self) -> dict[str, Tensor]:
        """The weights, under the names that they have in the network. Raises ``DataError``."""
        return self._read(read_weights)

    def outline(self) -> dict[str, Tensor]:
        """The same without values, on the device ``meta``, from what the files say about their content."""
        return self._read(_outline)

    def _read(self, read: Callable[[Path], dict[str, Tensor]]) -> dict[str, Tensor]:
        found = map(read, self.files())
        return {f"model.{_renamed(name)}": tensor for tensors in found for name, tensor in tensors.items()}


def read_folder(
    path: Path,
    *,
    scheduler: Path | Mapping[str, Any] | None = None,
    variant: str | None = None,
    conditioning: Path | None = None,
    remedy: str = GIVE,
) -> Folder:
    """Read the configurations in the folder of a pipeline or of a single model.

    Args:
        path: A folder with ``model_index.json``, or that of a model with ``config.json``.
        scheduler: The configuration of a scheduler: a file, its folder, or values. Values without ``_class_name``
            replace some of those in the folder.
        variant: The variant of the weights, such as ``fp16``.
        conditioning: A file with embeddings of a prompt, for networks that need them.
        remedy: What the user can give if there is no scheduler.

    Raises:
        DataError: A file is missing or unsuitable; the message names it.
    """
    model, own = _parts(path)
    config = _json(model / CONFIG)
    network, shape, classes = _network(model / CONFIG, config)
    about = _scheduler(path, own, scheduler, remedy)
    try:
        scheduled = read_scheduler(about)
    except (DataError, KeyError, TypeError, ValueError) as error:
        where = scheduler if isinstance(scheduler, Path) else own or path
        what = str(error) if isinstance(error, DataError) else f"the scheduler's configuration is wrong: {_line(error)}"
        raise DataError(f"{where}: {what}") from error
    network |= {} if conditioning is None else {"conditioning": str(conditioning)}
    return Folder(
        rows=scheduled.rows,
        network=network,
        shape=shape,
        classes=classes,
        clip=scheduled.clip,
        weights=_weights(model, variant),
        notes=scheduled.notes,
        quirks=scheduled.quirks,
        about={"class": about["_class_name"], "scheduler": about, "diffusers": config.get("_diffusers_version")},
    )


def _parts(path: Path) -> tuple[Path, Path | None]:
    """The folder of the model, and the file of its scheduler if the folder is that of a pipeline."""
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "does not exist"
        raise DataError(f"{path} {what}: give the folder that save_pretrained of diffusers wrote")
    if not (path / INDEX).is_file():
        if (path / CONFIG).is_file():
            return path, None
        raise DataError(f"{path} has neither {INDEX} nor {CONFIG}: give the folder that save_pretrained wrote")
    index = _json(path / INDEX)
    part = next((name for name in ("unet", "transformer") if index.get(name)), None)
    if part is None:
        raise DataError(f"{path / INDEX} has no unet and no transformer: {INSTEAD}")
    library = index[part][0] if isinstance(index[part], list) and index[part] else index[part]
    if library != "diffusers":
        raise DataError(f"{path / INDEX}: {part} is of the package {library}, not of diffusers: {INSTEAD}")
    return path / part, path / "scheduler" / SCHEDULER


def _scheduler(path: Path, own: Path | None, given: Path | Mapping[str, Any] | None, remedy: str) -> dict[str, Any]:
    """The configuration of the scheduler, without what only says how it was stored."""
    if isinstance(given, Path):
        config = _json(given / SCHEDULER if given.is_dir() else given)
    elif given and "_class_name" in given:
        config = dict(given)
    elif own is None:
        above = f", or path: {path.parent}" if (path.parent / INDEX).is_file() else ""
        raise DataError(f"{path} is a model without a scheduler, which says what it predicts: give {remedy}{above}")
    else:
        config = _json(own) | dict(given or {})
    if isinstance(given, Mapping):
        known = [*arguments(str(config["_class_name"])), "_class_name"] if "_class_name" in config else []
        if unknown := [key for key in given if known and key not in known]:
            hint = did_you_mean(unknown[0], known)
            raise DataError(f"scheduler {config['_class_name']} has no value '{unknown[0]}'.{hint}")
    return {key: value for key, value in config.items() if key == "_class_name" or not key.startswith("_")}


def _network(file: Path, config: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[int, ...], int]:
    """The network as in a spec, the shape of its samples and the number of its classes."""
    name = str(config.get("_class_name"))
    if name == "Transformer2DModel" and config.get("norm_type") == "ada_norm_zero":
        name = "DiTTransformer2DModel"  # which was split off later
    if name.startswith("Autoencoder"):
        raise DataError(f"{file}: {name} is an autoencoder: name its folder in decoder: {{name: vae, path: ...}}")
    if name not in MODELS:
        raise DataError(f"{file}: the network {name} is not {', '.join(MODELS[:-1])} or {MODELS[-1]}: {INSTEAD}")
    known = arguments(name)
    kept = {key: value for key, value in config.items() if key in known}
    full = known | kept
    channels, out, size = full["in_channels"], full.get("out_channels") or full["in_channels"], full.get("sample_size")
    if not isinstance(channels, int) or out not in (channels, 2 * channels):
        text = (
            f"in_channels is {channels} and out_channels {out}, so it needs more than a noisy image, or is no denoiser"
        )
        raise DataError(f"{file}: {text}: {INSTEAD}")
    sizes = [size, size] if isinstance(size, int) else size or []
    if not isinstance(sizes, list) or not all(isinstance(side, int) for side in sizes):
        raise DataError(f"{file}: sample_size is {size!r}, not a number of pixels or a list of two")
    if full.get("class_embed_type"):
        raise DataError(f"{file}: class_embed_type {full['class_embed_type']} takes no class numbers: {INSTEAD}")
    classes = full.get("num_embeds_ada_norm" if name == "DiTTransformer2DModel" else "num_class_embeds") or 0
    return {"name": "diffusers", "model": name, "config": kept}, (channels, *sizes), classes


def _weights(model: Path, variant: str | None) -> Path:
    """The file of the weights of a model, or the index of several, preferably of safetensors."""
    middle = f".{variant}" if variant else ""
    names = [
        *(f"{WEIGHTS}{middle}.safetensors", f"{WEIGHTS}.safetensors.index{middle}.json"),
        *(f"{WEIGHTS}{middle}.bin", f"{WEIGHTS}.bin.index{middle}.json"),
    ]
    if found := [model / name for name in names if (model / name).is_file()]:
        return found[0]
    there = (re.fullmatch(rf"{WEIGHTS}\.(\w+)\.(?:safetensors|bin)", path.name) for path in sorted(model.iterdir()))
    variants = sorted({match[1] for match in there if match})
    hint = f"set variant: {' or '.join(variants)}" if variants else "download the folder again, with its large files"
    raise DataError(f"{model} has no weights {names[0]}: {hint}")


def _outline(file: Path) -> dict[str, Tensor]:
    try:
        with reading(file), safe_open(file, "pt") as opened:
            parts = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping
            kinds = {name: torch.float32 if "F" in part.get_dtype() else torch.int64 for name, part in parts.items()}
            return {
                name: torch.empty(part.get_shape(), dtype=kinds[name], device="meta") for name, part in parts.items()
            }
    except SafetensorError:  # another format, or damaged, which the following tells
        return {name: tensor.to("meta") for name, tensor in read_weights(file).items()}


def _renamed(name: str) -> str:
    """The name that diffusers gives a tensor now."""
    *before, layer, kind = name.rsplit(".", 2)
    return ".".join([*before, OLD_NAMES.get(layer, layer), kind]) if before else name


def _json(file: Path) -> dict[str, Any]:
    with reading(file):
        text = file.read_text("utf-8", errors="replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not JSON, perhaps cut off: {_line(error)}") from error
    if not isinstance(found, dict):
        raise DataError(f"{file} holds no mapping, but {type(found).__name__}: download it again")
    return found


def _line(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}")
