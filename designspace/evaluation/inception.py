"""Inception-v3 as clean-fid runs it, from local files: finding the weights, preparing images, loading the network."""

from __future__ import annotations

import os
import platform
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from designspace.errors import DataError
from designspace.evaluation.resize import BICUBIC, resized
from designspace.registry.execution import about_to_execute
from designspace.storage.files import CacheFolder, file_hash

Mode = Literal["clean", "legacy_pytorch", "legacy_tensorflow"]
"""clean-fid's names for how images are resized: with clean-fid's own filter; as in pytorch-fid, which also has its own
weights; or inside the network, as in TTUR, ADM and EDM."""


def clean_fid_folder() -> Path:
    """The folder where clean-fid keeps the network. It is hard-coded there."""
    return Path("." if platform.system() == "Windows" else "/tmp")


def torch_hub_folder() -> Path:
    """PyTorch's folder for downloaded weights, where clean-fid keeps those of pytorch-fid."""
    return Path(torch.hub.get_dir()) / "checkpoints"


@dataclass(frozen=True)
class Source:
    """A file of weights: its name, its origin, the hash of its content and where to look for it."""

    name: str
    url: str
    sha256: str
    variable: str
    """The environment variable that may hold the path of a copy."""
    folder: Callable[[], Path]


TORCHSCRIPT = Source(
    "inception-2015-12-05.pt",
    "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
    "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
    "DESIGNSPACE_INCEPTION",
    clean_fid_folder,
)
"""The network that defines the FID, with the hash that k-diffusion pins: https://github.com/crowsonkb/k-diffusion"""
PYTORCH = Source(
    "pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    "DESIGNSPACE_INCEPTION_PYTORCH",
    torch_hub_folder,
)


def source_of(mode: Mode) -> Source:
    """The file of weights that a mode needs."""
    return PYTORCH if mode == "legacy_pytorch" else TORCHSCRIPT


def network_file(source: Source, weights: Path | None, sha256: str, download: bool) -> Path:
    """The file to use: ``weights``, otherwise the one named by the environment variable, otherwise the cached one.

    That is the file in the folder ``weights`` of the cache or, if only that exists, the one in clean-fid's folder.
    Raises ``DataError`` if the file is missing and cannot or must not be downloaded, or if its hash is not ``sha256``.
    """
    cached, clean_fid = CacheFolder().root / "weights" / source.name, source.folder() / source.name
    default = clean_fid if clean_fid.exists() and not cached.exists() else cached
    file = Path(weights or os.environ.get(source.variable) or default).absolute()
    if download and not file.exists():
        _fetch(source.url, file, sha256)
    if not file.exists():
        needs = f"detector inception needs {source.name}, and there is no {file}"
        own = f"give the path of your copy in the field `weights` or in ${source.variable}"
        raise DataError(f"{needs}: download {source.url} to that place, or {own}; or set `download: true`")
    if (found := file_hash(file)) != sha256:
        damaged = f"if it is a copy of {source.url}, it is damaged: delete it and fetch it again"
        own = "to use a network of your own, state its hash in the field `sha256`; its distances are not called FID"
        raise DataError(f"{file} has the sha256 {found}, not {sha256}: {damaged}; {own}")
    return file


def _fetch(url: str, file: Path, sha256: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), hash_prefix=sha256, progress=False)
    except (OSError, RuntimeError) as error:
        raise DataError(f"cannot download {url} to {file}: {error}") from error


SIDE = 299
BATCH = 16
RESIZE: dict[Mode, str] = {
    "clean": f"{SIDE} x {SIDE}, {BICUBIC}",
    "legacy_pytorch": f"{SIDE} x {SIDE}, bilinear, aliased, not rounded, clipped",
    "legacy_tensorflow": "inside the network",
}
"""How images are brought to the network's input size."""


def open_network(file: Path, mode: Mode, device: torch.device) -> torch.nn.Module:
    """Load the network, which maps batches from ``prepared`` to features ``[B, 2048]``, onto ``device``.

    Raises ``DataError`` if the file does not hold the network of ``mode``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit.load is deprecated, but the network exists in no other form
        try:
            network = _pytorch(file) if mode == "legacy_pytorch" else _torchscript(file, mode == "legacy_tensorflow")
        except Exception as error:  # on damaged bytes PyTorch raises nearly anything
            script = "is not a TorchScript network with Inception's `layers`"
            wanted = "does not hold pytorch-fid's weights" if mode == "legacy_pytorch" else script
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DataError(f"{file} {wanted}: {reason}") from error
    network = network.eval().to(device)
    if mode == "clean" and device.type == "cpu":
        network.layers = _ChannelsLast(network.get_submodule("layers"))
    return network


def prepared(pixels: Tensor, mode: Mode, device: torch.device) -> Iterator[Tensor]:
    """Images ``[B, C, H, W]`` as input for the network of ``mode``, in batches: float32, 0..255, three channels."""
    if mode == "clean":
        batches = resized(pixels, SIDE, BATCH, device)
    else:
        batches = (batch.to(device).float() for batch in torch.split(pixels, BATCH))
    for x in batches:
        if mode == "legacy_pytorch":
            x = interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False).clamp_(0, 255)
        yield x.expand(-1, 3, -1, -1)


def _torchscript(file: Path, resize_inside: bool) -> torch.nn.Module:
    """Load the network with clean-fid's class, which expects a folder that contains a file of a fixed name."""
    from cleanfid.inception_torchscript import InceptionV3W

    about_to_execute(file, "detector inception")
    with TemporaryDirectory() as folder:
        if file.name != TORCHSCRIPT.name:
            shutil.copyfile(file, Path(folder) / TORCHSCRIPT.name)
        here = str(file.parent if file.name == TORCHSCRIPT.name else folder)
        network: torch.nn.Module = InceptionV3W(here, download=False, resize_inside=resize_inside)
    return network


class _ChannelsLast(torch.nn.Module):
    """The network in channels-last layout with normalisation folded into the weights, which is faster on a CPU."""

    def __init__(self, layers: torch.nn.Module) -> None:
        super().__init__()
        self.layers = torch.jit.freeze(layers.eval().to(memory_format=torch.channels_last))

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.layers(x.contiguous(memory_format=torch.channels_last))
        return features.contiguous()


class _Pooled(torch.nn.Module):
    """pytorch-fid's network, which takes images in 0..1 and returns a list of blocks ``[B, 2048, 1, 1]``."""

    def __init__(self, blocks: torch.nn.Module) -> None:
        super().__init__()
        self.blocks = blocks

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.blocks(x / 255)[0]
        return pooled.flatten(1)


def _pytorch(file: Path) -> torch.nn.Module:
    """Build the network with clean-fid's code, in which the download of the weights is replaced by the local file."""
    from cleanfid import inception_pytorch

    fetch = inception_pytorch.load_state_dict_from_url
    inception_pytorch.load_state_dict_from_url = lambda url, **_: torch.load(file, "cpu", weights_only=True)
    try:
        return _Pooled(inception_pytorch.InceptionV3(output_blocks=[3], resize_input=False))
    finally:
        inception_pytorch.load_state_dict_from_url = fetch
