"""State dicts from files of other programs, which are safetensors or checkpoints of PyTorch."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor

from designspace.errors import DataError
from designspace.registry.calling import described
from designspace.storage.files import reading
from designspace.text import counted, first_of

T = TypeVar("T")
PREFIXES = ("module.", "_orig_mod.", "ema.", "ema_model.", "model.", "net.", "network.", "state_dict.")
"""Beginnings of names that wrappers of a network add: DataParallel, torch.compile, moving averages, trainers."""
CONVERT = "torch.save(network.state_dict(), 'weights.pt')"
CONVERT_OBJECTS = (
    "import torch; c = torch.load({path!r}, map_location='cpu', weights_only=False); c = next((c[k] for k in ('ema',"
    " 'model', 'state_dict') if k in c), c) if isinstance(c, dict) else c; torch.save(c if isinstance(c, dict) else"
    " c.state_dict(), 'weights.pt')"
)
"""For checkpoints that hold modules or other objects; the moving average is preferred, as trainers store it."""
TORCHSCRIPT = f"is an archive of TorchScript: load it with torch.jit.load, then write its weights with {CONVERT}"
NAMED = 3
"""The number of names that a message lists."""


def load_weights(network: torch.nn.Module, path: Path, key: str | None, made_by: str) -> None:
    """Load the state dict in ``path``, or at the dotted ``key`` in it, into ``network``, which ``made_by`` made.

    If the names fit only without prefixes that wrappers add, they are left out with a warning. Raises ``DataError`` if
    the file is no state dict, does not fit, or holds numbers that are not finite.
    """
    load_tensors(network, read_weights(path, key), path, key, made_by)


def load_tensors(
    network: torch.nn.Module, tensors: dict[str, Tensor], path: Path, key: str | None, made_by: str
) -> dict[str, Tensor]:
    """Load ``tensors``, which are those in ``path`` at ``key``, like ``load_weights``; return them by fitting names."""
    wanted = network.state_dict()
    fitting = _without_prefixes(tensors, wanted, path)
    require_fit(fitting, wanted, path, made_by, _fitting_keys(tensors, wanted, key))
    broken = [name for name, t in fitting.items() if t.is_floating_point() and not bool(t.isfinite().all())]
    if broken:
        which = f"{counted(len(broken), 'tensor')} ({first_of(broken, NAMED)})"
        raise DataError(f"{path}: {which} with NaN or infinity: the training diverged")
    network.load_state_dict(fitting, strict=False)  # tensors that share memory may be stored under one name only
    return fitting


def read_weights(path: Path, key: str | None = None) -> dict[str, Tensor]:
    """The state dict in a file or, in a file with several, at the dotted ``key``. Raises ``DataError``."""
    with reading(path), path.open("rb") as file:
        start = file.read(512)
    if is_safetensors(start):  # first, because the length with which it begins may look like a pickle
        try:
            found = load_file(path)
        except Exception as error:  # the errors of safetensors have no common base class
            raise DataError(f"{path} is a damaged safetensors file, perhaps cut off: {error}") from error
        return state_dict_in(found, key, path)
    if (start[:4] == b"PK\x03\x04" and not _is_npz(start)) or start[:1] == b"\x80":
        return state_dict_in(_checkpoint(path), key, path)
    raise DataError(f"{path} {what_else(start)}")


def is_safetensors(start: bytes) -> bool:
    """Whether a file begins with the length of a header and a mapping in JSON."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 100_000_000


def _is_npz(start: bytes) -> bool:
    """Whether the first file in a zip archive, whose name follows 30 bytes, is an array of NumPy."""
    return start[:4] == b"PK\x03\x04" and start[30 : 30 + start[26] + 256 * start[27]].endswith(b".npy")


def what_else(start: bytes) -> str:
    """What a file is that is no file of weights, given its first bytes, and what to do."""
    if not start:
        return "is empty: copy or download it again"
    if start.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS, not the file itself: run `git lfs pull`"
    if start.lstrip()[:1] == b"<":
        return "is a web page (HTML), not weights: download the file again, logged in if the page requires it"
    if _is_npz(start):
        return (
            "is an npz archive of NumPy, not weights: convert it with"
            " safetensors.numpy.save_file(dict(numpy.load(path)), 'weights.safetensors')"
        )
    return (
        "is neither a safetensors file nor a checkpoint of PyTorch: load it with the code that wrote it, then write the"
        f" weights with {CONVERT}"
    )


def _checkpoint(path: Path) -> Any:
    """The content of a file of ``torch.save``, of which no code is run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about archives of TorchScript, which are refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(f"{path} {_why_unsafe(str(error), path)}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        if "torchscript" in str(error).lower():
            raise DataError(f"{path} {TORCHSCRIPT}") from error
        raise DataError(
            f"{path} is a damaged checkpoint of PyTorch, perhaps cut off: copy or download it again"
        ) from error


def _why_unsafe(text: str, path: Path) -> str:
    if "torchscript" in text.lower():
        return TORCHSCRIPT
    if "GLOBAL " not in text:
        return f"is a damaged checkpoint of PyTorch, or another pickle: write the state dict with {CONVERT}"
    cls = text.partition("GLOBAL ")[2].split()[0].rstrip(".")
    return (
        f"contains objects of {cls} beside tensors, and reading them could run any code. If you trust the file, write"
        f" its state dict alone, in Python: {CONVERT_OBJECTS.format(path=str(path))}"
    )


def state_dict_in(
    content: Any,
    key: str | None,
    path: Path,
    kind: type[T] = Tensor,  # type: ignore[assignment]
    option: str = "`key: {}`",
) -> dict[str, T]:
    """The state dict in the content of ``path``, at the dotted ``key``; its tensors are objects of type ``kind``.

    Raises ``DataError`` if there is none or if there are several; ``option`` is how the user gives the key.
    """
    content = _at(content, key, path, option) if key else content
    here = f"{path}: {option.format(key)}" if key else str(path)
    if not isinstance(content, Mapping):
        raise DataError(f"{here} is of type {type(content).__name__}, not a state dict: write one with {CONVERT}")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, kind)}
    inside = sorted(_inside(content, f"{key}." if key else "", kind), key=lambda name: "ema" not in name.lower())
    if tensors and not inside:  # beside tensors there may be numbers, such as the count of steps
        return tensors
    if not inside:
        raise DataError(f"{here} has no tensors: its keys are {_keys(content)}")
    say = " or ".join(option.format(name) for name in inside[:NAMED])
    raise DataError(f"{here} is a PyTorch checkpoint with the keys {_keys(content)}: say which with {say}")


def _at(content: Any, key: str, path: Path, option: str) -> Any:
    """What is at the dotted ``key``, whose last parts may be the beginning of names: ``ema`` of ``ema.conv.weight``."""
    parts = key.split(".")
    for i, part in enumerate(parts):
        if isinstance(content, Mapping) and part in content:
            content = content[part]
            continue
        begin, names = ".".join(parts[i:]) + ".", content if isinstance(content, Mapping) else {}
        if begun := {str(n).removeprefix(begin): value for n, value in names.items() if str(n).startswith(begin)}:
            return begun
        known = f"it has the keys {_keys(content)}" if isinstance(content, Mapping) else "its value is no mapping"
        raise DataError(f"{path} has nothing at {option.format(key)}: at '{part}', {known}")
    return content


def _inside(content: Mapping[Any, Any], before: str, kind: type) -> Iterator[str]:
    """The dotted keys of the state dicts in a checkpoint. Those of optimizers have numbers as keys."""
    for name, value in content.items():
        if isinstance(name, str) and isinstance(value, Mapping):
            if any(isinstance(tensor, kind) for tensor in value.values()):
                yield f"{before}{name}"
            else:
                yield from _inside(value, f"{before}{name}.", kind)


def _keys(content: Mapping[Any, Any]) -> str:
    return first_of(list(content)) or "none"


def _without_prefixes(tensors: dict[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """``tensors`` under the names that the network has, if leaving out known prefixes gives these."""
    found, removed = tensors, list[str]()
    while not found.keys() >= wanted.keys():
        prefix = next((p for p in PREFIXES if found and all(name.startswith(p) for name in found)), None)
        if prefix is None:
            found = {name.replace("_orig_mod.", ""): tensor for name, tensor in found.items()}
            removed += ["_orig_mod."] if found.keys() >= wanted.keys() else []
            break
        found, removed = {name.removeprefix(prefix): tensor for name, tensor in found.items()}, [*removed, prefix]
    if not removed or not found.keys() >= wanted.keys():
        return tensors
    warnings.warn(f"{path}: the prefix '{''.join(removed)}' of its names is left out", stacklevel=4)
    return found


def _fitting_keys(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], key: str | None) -> str:
    """The advice to set ``key`` to a beginning of names that occurs with all names of the network."""
    some = next(iter(wanted), "")
    begins = [name.removesuffix(f".{some}") for name in tensors if name.endswith(f".{some}")]
    fitting = [begin for begin in begins if all(f"{begin}.{name}" in tensors for name in wanted)]
    keys = " or ".join(f"`key: {key + '.' if key else ''}{begin}`" for begin in fitting[:NAMED])
    return f"; {keys} takes the names that begin so" if keys else ""


def require_fit(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path, made_by: str, advice: str = ""
) -> None:
    """Raise ``DataError`` unless ``tensors``, read from ``path``, have the names and shapes of those that are wanted.

    The tensors may be on the device ``meta``, which holds no values.
    """
    shared = {_memory(wanted[name]) for name in tensors if name in wanted}
    missing = [name for name, t in wanted.items() if name not in tensors and _memory(t) not in shared]
    unexpected = [name for name in tensors if name not in wanted]
    others = [
        f"{name} (file: {described(tensors[name])}, network: {described(t)})"
        for name, t in wanted.items()
        if name in tensors and not _fits(tensors[name], t)
    ]
    found = {"missing": missing, "unexpected": unexpected, "of another shape or type": others}
    if any(found.values()):
        parts = (f"{len(names)} {what}: {first_of(names, NAMED)}" for what, names in found.items() if names)
        raise DataError(f"{path}: not the weights of {made_by}: {'; '.join(parts)}{advice}")


def _memory(tensor: Tensor) -> tuple[object, object]:
    """Where the values of a tensor are: the same for tensors that share memory, on the device ``meta``, too."""
    return tensor.untyped_storage()._cdata, tensor.storage_offset()


def _fits(given: Tensor, wanted: Tensor) -> bool:
    return given.shape == wanted.shape and given.is_floating_point() == wanted.is_floating_point()
