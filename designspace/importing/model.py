"""A model that was read from a foreign checkpoint: its check, and the two files that ``denoiser: pretrained`` reads."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.modules.module import register_module_parameter_registration_hook

from designspace.data.images import Images
from designspace.denoising.clip import Clip
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.denoising.rows import Denoiser, Network
from designspace.denoising.weights import load_tensors
from designspace.errors import DataError, StorageError, brief
from designspace.importing.rows import Rows
from designspace.storage.cache import apart
from designspace.storage.files import path_hash, write_whole
from designspace.storage.locks import storing
from designspace.text import clean
from designspace.training.export import ROWS, SCHEMA, SUFFIXES, as_text, file_of, read_about
from designspace.training.rows import OwnRows

LEVELS = (0.05, 1.0, 20.0)
"""The noise levels at which D is evaluated once, clamped to those that the network supports."""
LARGER = 2
"""A network with more than this many times the numbers in the file is not built: its arguments are wrong."""


@dataclass(frozen=True)
class Model:
    """A network with its weights, and everything that the description in JSON says of it."""

    path: Path
    """The checkpoint."""
    network: dict[str, Any]
    """The component of the row ``network``, as in YAML."""
    rows: Rows
    why: str
    """The rows in a few words, and the reason: ``rows: edm (EDMPrecond)``."""
    shape: tuple[int, ...]
    classes: int
    tensors: dict[str, Tensor]
    source: dict[str, Any]
    """What the file is: its name, sha256, format, class and licence."""
    augment: int = 0
    clip: dict[str, Any] | None = None
    key: str | None = None
    title: str = ""
    """What the network is, in a few words."""
    notes: list[str] = field(default_factory=list)

    def about(self) -> dict[str, Any]:
        """The description of the model, in the schema of ``training.export``."""
        denoiser = {"network": self.network, "labels": self.classes > 0, "augment": self.augment}
        return {
            "schema": SCHEMA,
            "denoiser": denoiser | ({} if self.clip is None else {"clip": self.clip}),
            "design": self.rows,
            "data": {"shape": list(self.shape), "classes": self.classes},
            "source": self.source,
        }

    def write(self, out: Path, *, force: bool = False) -> int:
        """Check the model, write its files as ``out``, and return its number of parameters.

        Existing files of a model from another source are only overwritten with ``force``. Nothing is written unless
        the network takes all tensors, D is finite, and the denoiser ``pretrained`` gives the same D from the files.
        """
        require_free(out, self.source["sha256"], force)
        component, network = self._built()
        title = f"network {component.name}"
        fitting = load_tensors(network, {k: _single(t) for k, t in self.tensors.items()}, self.path, self.key, title)
        rows = OwnRows.model_validate({row: self.rows[row] for row in ROWS})
        clip = None if self.clip is None else Clip.model_validate(self.clip)
        expected = self._finite(PreconditionedNetwork(network, rows, self.shape, clip))
        stored = {k: fitting.get(k, t).contiguous() for k, t in network.state_dict().items()}
        spec = component.model_dump(mode="json")
        draft = out.with_name(f".{file_of(out, '').name}-{secrets.token_hex(4)}")
        with storing(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            try:
                replace(self, network=_beside(out, spec))._keep(draft, out, stored, expected)
            finally:
                for suffix in SUFFIXES:
                    file_of(draft, suffix).unlink(missing_ok=True)
        return sum(parameter.numel() for parameter in network.parameters())

    def _keep(self, draft: Path, out: Path, stored: dict[str, Tensor], expected: list[Tensor]) -> None:
        """Write ``draft`` and move it to ``out`` if its D is the expected one."""
        try:
            save_file(apart(stored), file_of(draft, ".safetensors"))
        except SafetensorError as error:  # where Python would raise an OSError
            raise StorageError(f"cannot write {out}: {brief(error)}") from error
        write_whole(file_of(draft, ".json"), as_text(self.about()).encode())
        model = f"{draft.absolute()}"
        denoiser = Denoiser.get("pretrained").model_validate({"name": "pretrained", "model": model})
        images = Images(torch.zeros(1, *self.shape, dtype=torch.uint8))
        again = self._finite(denoiser.load(images, OwnRows.model_validate(self.rows), torch.device("cpu")))
        if not all(map(torch.equal, expected, again)):
            raise DataError(f"{self.path}: the files written give another D than the checkpoint: please report this")
        shutil.copymode(file_of(draft, ".json"), file_of(draft, ".safetensors"))  # which only its owner may read
        for suffix in SUFFIXES:
            file_of(draft, suffix).replace(file_of(out, suffix))

    def _built(self) -> tuple[Network, torch.nn.Module]:
        """The network, built only if it is about as large as the file says."""
        try:
            network = Network.model_validate(self.network)
        except ValidationError as error:
            line = error.errors()[0]
            where = ".".join(map(str, line["loc"]))
            raise DataError(f"{self.path}: {self.network['name']}: {where}: {clean(line['msg'], 300)}") from error
        held = sum(tensor.numel() for tensor in self.tensors.values())
        limit = nullcontext() if network.runs_user_code else _at_most(LARGER * held)
        try:
            if not network.runs_user_code:
                _require_few(self, network.model_dump(), held)
            with limit:
                return network, network.build(self.shape, self.classes, self.augment)
        except DataError:
            raise
        except Exception as error:  # a network may fail in any way for arguments that do not go together
            raise DataError(f"{self.path}: its network cannot be built: {brief(error)}") from error

    def _finite(self, made: Any) -> list[Tensor]:
        """D of noise at a few levels, with and without a class. Raises ``DataError`` unless it is finite."""
        x = torch.randn(1, *self.shape, generator=torch.Generator().manual_seed(0))
        needed = Network.model_validate(self.network).needs_labels(self.classes)
        given = [*([] if needed else [None]), *([torch.zeros(1, dtype=torch.int64)] if self.classes else [])]
        found = []
        try:
            for denoise in map(made.bind, given):
                for sigma in torch.tensor(LEVELS, dtype=torch.float64):
                    at = denoise.round_sigma(sigma.clamp(denoise.sigma_min, denoise.sigma_max))
                    with torch.no_grad():
                        found.append(denoise(at.to(x) * x, at))
        except Exception as error:  # of the user's network, which may fail in any way
            raise DataError(f"{self.path}: its network fails for x {list(x.shape)}: {brief(error)}") from error
        if not all(bool(d.isfinite().all()) for d in found):
            raise DataError(f"{self.path}: its denoiser gives NaN or infinity: the file is damaged")
        return found


@contextmanager
def _at_most(numbers: int) -> Iterator[None]:
    """Within the block, raise ``ValueError`` when modules are made that have more parameters than this together.

    What arguments in a file claim is therefore found out before the memory for it is used.
    """
    left = numbers

    def count(module: torch.nn.Module, name: str, parameter: torch.nn.Parameter) -> None:
        nonlocal left
        left -= 0 if parameter is None else parameter.numel()
        if left < 0:
            raise ValueError("its arguments describe a network that is larger than the file")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def source_of(path: Path, form: str, cls: str | None = None) -> dict[str, Any]:
    """What the description of a model says about the file that it was read from."""
    return {"file": path.name, "sha256": path_hash(path), "format": form, "class": cls}


def require_free(out: Path, sha256: str, force: bool) -> None:
    """Raise ``DataError`` if there is a model called ``out`` that was not read from the same file."""
    with storing(out):  # a name may be too long
        there = [path for suffix in (".json", ".safetensors") if (path := file_of(out, suffix)).exists()]
    if not there or force:
        return
    try:
        same = read_about(out).get("source", {}).get("sha256") == sha256
    except (DataError, AttributeError):
        same = False
    if not same:
        raise DataError(f"{there[0]} is another model: choose another name with -o, or overwrite it with --force")


def _beside(out: Path, network: dict[str, Any]) -> dict[str, Any]:
    """``network`` with the file of its factory relative to the model, so that both can be moved together."""
    file, _, name = str(network.get("factory", "")).rpartition(":")
    return network | {"factory": f"{os.path.relpath(file, out.parent)}:{name}"} if file.endswith(".py") else network


def _single(tensor: Tensor) -> Tensor:
    """Half precision as float32, in which networks compute."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _require_few(model: Model, network: dict[str, Any], numbers: int) -> None:
    """Raise ``DataError`` for arguments that no network with so many tensors and numbers has.

    Building a network takes time and memory that grow with them, before its size is known.
    """
    blocks, levels, width = (network.get(name, 0) for name in ("num_blocks", "channel_mult", "model_channels"))
    if isinstance(levels, list | tuple) and levels:
        if blocks * len(levels) > len(model.tensors):
            held = f"the file has {len(model.tensors):,} tensors"
            raise DataError(f"{model.path}: its network has {blocks * len(levels):,} blocks, but {held}")
        if (width * max(levels)) ** 2 > numbers:  # its widest convolution has more
            raise DataError(f"{model.path}: its network has {width * max(levels):,} channels, too many for the file")
    arguments = {name: value for name, value in network.items() if name != "seed"}
    largest = max(_integers([arguments, list(model.shape), model.classes, model.augment]))
    if largest > max(numbers, 10_000):
        raise DataError(f"{model.path}: an argument of its network is {largest:,}, but it holds {numbers:,} numbers")


def _integers(value: Any) -> list[int]:
    if isinstance(value, dict):
        return [n for inside in value.values() for n in _integers(inside)]
    if isinstance(value, list | tuple):
        return [n for inside in value for n in _integers(inside)]
    return [value] if type(value) is int else []
