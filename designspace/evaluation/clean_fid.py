"""Inception-v3 as clean-fid runs it, from a local file whose content is checked before it is opened."""

from __future__ import annotations

import os
import platform
import shutil
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from designspace.images import DataError, file_hash

NAME = "inception-2015-12-05.pt"
URL = f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/{NAME}"
SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
"""Of the network that defines the FID, as k-diffusion pins it: https://github.com/crowsonkb/k-diffusion"""
VARIABLE = "DESIGNSPACE_INCEPTION"


def network_file(weights: Path | None, sha256: str, download: bool) -> Path:
    """The file to use: ``weights``, else what the environment variable names, else clean-fid's own place.

    Raises ``DataError`` if there is none (and ``download`` is false, or fails) or if its content is not ``sha256``.
    """
    file = Path(weights or os.environ.get(VARIABLE) or clean_fid_folder() / NAME).absolute()
    if download and not file.exists():
        _fetch(file, sha256)
    if not file.exists():
        advice = f"download {URL} to that place, or name your copy by the field `weights` or by ${VARIABLE}"
        raise DataError(f"detector inception needs {NAME}, and there is no {file}: {advice}; or set `download: true`")
    if (found := file_hash(file)) != sha256:
        damaged = f"if it is a copy of {URL}, it is damaged: delete it and fetch it again"
        own = "a network of your own is used if the field `sha256` states its hash, but gives no FID"
        raise DataError(f"{file} has the sha256 {found}, not {sha256}: {damaged}; {own}")
    return file


def clean_fid_folder() -> Path:
    """Where clean-fid keeps the network: it asks neither the environment nor the system for another place."""
    return Path("." if platform.system() == "Windows" else "/tmp")


def open_network(file: Path) -> torch.nn.Module:
    """Float images ``[B, 3, 299, 299]`` in 0..255 to features ``[B, 2048]``. Raises ``DataError`` if it is no network.

    clean-fid takes a folder and insists on the file's name.
    """
    from cleanfid.inception_torchscript import InceptionV3W

    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit.load is deprecated, but the network exists in no other form
        if file.name != NAME:
            shutil.copyfile(file, Path(folder) / NAME)
        try:
            network = InceptionV3W(str(file.parent if file.name == NAME else folder), download=False)
        except (AttributeError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise DataError(f"{file} is no TorchScript network with Inception's `layers`: {reason}") from error
    return network.eval()  # type: ignore[no-any-return]


def _fetch(file: Path, sha256: str) -> None:
    try:
        torch.hub.download_url_to_file(URL, str(file), hash_prefix=sha256, progress=False)
    except (OSError, RuntimeError) as error:
        raise DataError(f"cannot download {URL} to {file}: {error}") from error
