"""The checkpoints of NVIDIA PhysicsNeMo, ``.mdlus``: a zip or tar archive of ``args.json`` and a state dict."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

from designspace.importing.nvidia import Wrapped
from designspace.importing.tensors import Deferred, read_all
from designspace.importing.torch_files import content_of
from designspace.storage.pickled import PickleError

ARGUMENTS, WEIGHTS = "args.json", "model.pt"
ZIP = b"PK\x03\x04"
LARGEST_ARGUMENTS = 2**20
PLACEHOLDERS = ("__physicsnemo.Module__.", "__modulus.Module__.")
"""How the argument begins that stands for a module; an entry of this name describes it."""
INERT = {"checkpoint_level", "use_apex_gn", "profile_mode", "amp_mode", "use_fp16", "bottleneck_attention"}
"""Arguments of PhysicsNeMo's networks that change no number at their usual values."""
EXTENSIONS = {"additive_pos_embed": False, "act": "silu"}
"""Arguments of further functions, with the value at which the network is EDM's."""
RENAMED = {".attn.norm.": ".norm2.", ".attn.qkv.": ".qkv.", ".attn.proj.": ".proj."}


def wrapped(path: Path) -> Wrapped:
    """The network in an ``.mdlus`` file. Raises ``PickleError`` if it is none of EDM's."""
    members = _members(path)
    try:
        about = json.loads(members[ARGUMENTS])
        wrapper, fields = str(about["__name__"]), dict(about["__args__"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PickleError(f"has an {ARGUMENTS} that does not describe a module of PhysicsNeMo") from error
    network, kwargs = _network(about, wrapper, fields)
    found = _state_dict(members[WEIGHTS])
    tensors = {_renamed(name.removeprefix("model.")): t for name, t in found.items() if name.startswith("model.")}
    if network != "SongUNet" or kwargs.get("embedding_type", "positional") == "positional":
        tensors.pop("map_noise.freqs", None)  # PhysicsNeMo also stores frequencies that are no parameters
    numbers = {name: value for name, value in fields.items() if isinstance(value, int | float)}
    held = {name: t.read().item() for name, t in found.items() if name in ("sigma_data", "sigma_min", "sigma_max")}
    size, levels = len(members[WEIGHTS]), found.get("u")
    return Wrapped(
        wrapper=wrapper.replace("Preconditioner", "Precond"),
        fields=numbers | held,
        network=network,
        kwargs=kwargs,
        tensors=read_all(tensors, size),
        levels=read_all({"u": levels}, size)["u"] if levels else None,
    )


def is_archive(path: Path, start: bytes) -> bool:
    """Whether a file, of which ``start`` is the beginning, is an archive with the members of an ``.mdlus`` file."""
    try:
        if _is_tar(start):  # first, since old tar archives may pass as zip archives
            with tarfile.open(path, "r:") as tar:
                return any(_plain(member.name) == ARGUMENTS for member in tar)
        if start[:4] == ZIP:
            with ZipFile(path) as archive:
                return ARGUMENTS in map(_plain, archive.namelist())
    except Exception:  # on damaged bytes tarfile and zipfile raise nearly anything
        return False
    return False


def _is_tar(start: bytes) -> bool:
    """Whether a file is a tar archive that is not compressed."""
    return start[257:262] == b"ustar"


def _members(path: Path) -> dict[str, bytes]:
    """The two members that are read, into memory: no file is unpacked, so that their names can lead nowhere."""
    found, most = dict[str, bytes](), path.stat().st_size
    try:
        with path.open("rb") as file:
            tar = _is_tar(file.read(512))
        if tar:
            with tarfile.open(path, "r:") as old:
                for member in old:
                    name = _wanted(member.name, member.size, found, most)
                    if name and member.isfile() and (content := old.extractfile(member)):
                        found[name] = content.read(member.size)
        else:
            with ZipFile(path) as archive:
                for info in archive.infolist():
                    if name := _wanted(info.filename, info.file_size, found, most):
                        if info.compress_type != ZIP_STORED:
                            raise PickleError("is a compressed archive, which PhysicsNeMo does not write: pack it anew")
                        found[name] = archive.read(info)
    except PickleError:
        raise
    except Exception as error:
        raise PickleError(f"is a damaged archive: {error}") from error
    for name in (ARGUMENTS, WEIGHTS):
        if name not in found:
            raise PickleError(f"has no {name}: it is no model of PhysicsNeMo")
    return found


def _wanted(name: str, size: int, found: Mapping[str, bytes], most: int) -> str:
    """The name of a member that is read, or nothing.

    Raises ``PickleError`` if it is larger than the archive of ``most`` bytes, or was found before: many entries may
    refer to the same bytes.
    """
    plain = _plain(name)
    if plain not in (ARGUMENTS, WEIGHTS):
        return ""
    if plain in found:
        raise PickleError(f"has {plain} twice: it is damaged or hostile")
    if size > (LARGEST_ARGUMENTS if plain == ARGUMENTS else most):
        raise PickleError(f"has a {plain} of {size:,} bytes: it is damaged or hostile")
    return plain


def _plain(name: str) -> str:
    return name.removeprefix("./")


def _network(about: Mapping[str, Any], wrapper: str, fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The class of the network and the arguments of its constructor."""
    model = fields.get("model")
    if isinstance(model, str) and model.startswith(PLACEHOLDERS):
        inside = about.get(model)
        if not isinstance(inside, dict) or not isinstance(inside.get("__args__"), dict):
            raise PickleError(f"has an {ARGUMENTS} without the module {model}")
        return str(inside.get("__name__")), _of_edm(inside["__args__"])
    if not isinstance(kind := fields.get("model_type"), str):
        raise PickleError(f"holds a {wrapper}, which is no network with the preconditioning of EDM")
    own = {"img_channels", "label_dim", "img_resolution", "sigma_min", "sigma_max", "sigma_data", "model_type"}
    more = fields.get("model_kwargs")
    given = {k: v for k, v in fields.items() if k not in (*own, "model_kwargs", *VP_FIELDS)}
    channels = fields.get("img_channels")
    sizes = {"img_resolution": fields.get("img_resolution"), "in_channels": channels, "label_dim": 0}
    sizes |= {"out_channels": channels, "label_dim": fields.get("label_dim", 0)}
    if "iDDPM" in wrapper and isinstance(channels, int):
        sizes["out_channels"] = 2 * channels
    return kind, _of_edm(sizes | given | (more if isinstance(more, dict) else {}))


VP_FIELDS = ("beta_d", "beta_min", "M", "epsilon_t", "C_1", "C_2")


def _of_edm(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that EDM's network has as well. Raises ``PickleError`` if others change the network."""
    for name, usual in EXTENSIONS.items():
        if kwargs.get(name, usual) != usual:
            raise PickleError(f"has a network with {name}, which EDM's networks do not have")
    return {name: value for name, value in kwargs.items() if name not in (*INERT, *EXTENSIONS)}


def _renamed(name: str) -> str:
    for theirs, ours in RENAMED.items():
        name = name.replace(theirs, ours)
    return name


def _state_dict(data: bytes) -> dict[str, Deferred]:
    content, _ = content_of(BytesIO(data), memoryview(data), {})
    found = content if isinstance(content, dict) else {}
    return {str(name): tensor for name, tensor in found.items() if isinstance(tensor, Deferred)}
