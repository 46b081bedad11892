"""The files of weights that clean-fid uses: where they are looked for, where they come from, what they must contain."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from designspace.errors import DataError
from designspace.storage.files import file_hash

Mode = Literal["clean", "legacy_pytorch", "legacy_tensorflow"]
"""As clean-fid calls them: its own resize; that of pytorch-fid, of whose network the weights are another file; the one
inside the network, as TTUR, ADM and EDM have it."""


def clean_fid_folder() -> Path:
    """Where clean-fid keeps the network: it asks neither the environment nor the system for another place."""
    return Path("." if platform.system() == "Windows" else "/tmp")


def torch_hub_folder() -> Path:
    """Where clean-fid has PyTorch keep the weights of pytorch-fid."""
    return Path(torch.hub.get_dir()) / "checkpoints"


@dataclass(frozen=True)
class Source:
    """A file of weights: what it is called, where it comes from, what it must contain, where it is looked for."""

    name: str
    url: str
    sha256: str
    variable: str
    folder: Callable[[], Path]


TORCHSCRIPT = Source(
    "inception-2015-12-05.pt",
    "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
    "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
    "DESIGNSPACE_INCEPTION",
    clean_fid_folder,
)
"""The network that defines the FID; its hash as k-diffusion pins it: https://github.com/crowsonkb/k-diffusion"""
PYTORCH = Source(
    "pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    "DESIGNSPACE_INCEPTION_PYTORCH",
    torch_hub_folder,
)


def source_of(mode: Mode) -> Source:
    """The file that a mode needs."""
    return PYTORCH if mode == "legacy_pytorch" else TORCHSCRIPT


def network_file(source: Source, weights: Path | None, sha256: str, download: bool) -> Path:
    """The file to use: ``weights``, else what the environment variable names, else clean-fid's own place.

    Raises ``DataError`` if there is none (and ``download`` is false, or fails) or if its content is not ``sha256``.
    """
    file = Path(weights or os.environ.get(source.variable) or source.folder() / source.name).absolute()
    if download and not file.exists():
        _fetch(source.url, file, sha256)
    if not file.exists():
        needs = f"detector inception needs {source.name}, and there is no {file}"
        own = f"name your copy by the field `weights` or by ${source.variable}"
        raise DataError(f"{needs}: download {source.url} to that place, or {own}; or set `download: true`")
    if (found := file_hash(file)) != sha256:
        damaged = f"if it is a copy of {source.url}, it is damaged: delete it and fetch it again"
        own = "a network of your own is used if the field `sha256` states its hash, but gives no FID"
        raise DataError(f"{file} has the sha256 {found}, not {sha256}: {damaged}; {own}")
    return file


def _fetch(url: str, file: Path, sha256: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), hash_prefix=sha256, progress=False)
    except (OSError, RuntimeError) as error:
        raise DataError(f"cannot download {url} to {file}: {error}") from error
