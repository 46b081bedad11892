"""Inception-v3 as clean-fid runs it, from a local file: which images it is given, and what it makes of them."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from designspace.errors import DataError
from designspace.evaluation.inception_file import TORCHSCRIPT, Mode
from designspace.evaluation.resize import BICUBIC, resized

SIDE = 299
BATCH = 16
RESIZE: dict[Mode, str] = {
    "clean": f"{SIDE} x {SIDE}, {BICUBIC}",
    "legacy_pytorch": f"{SIDE} x {SIDE}, bilinear, aliased, not rounded, clipped",
    "legacy_tensorflow": "inside the network",
}
"""How images come to the size that the network takes."""


def open_network(file: Path, mode: Mode, device: torch.device) -> torch.nn.Module:
    """What ``prepared`` gives to features ``[B, 2048]``, on ``device``.

    Raises ``DataError`` if the file is no such network.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit.load is deprecated, but the network exists in no other form
        try:
            network = _pytorch(file) if mode == "legacy_pytorch" else _torchscript(file, mode == "legacy_tensorflow")
        except Exception as error:  # on damaged bytes PyTorch raises nearly anything
            script = "is no TorchScript network with Inception's `layers`"
            wanted = "does not hold pytorch-fid's weights" if mode == "legacy_pytorch" else script
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DataError(f"{file} {wanted}: {reason}") from error
    network = network.eval().to(device)
    if mode == "clean" and device.type == "cpu":
        network.layers = _ChannelsLast(network.get_submodule("layers"))
    return network


def prepared(pixels: Tensor, mode: Mode, device: torch.device) -> Iterator[Tensor]:
    """Images ``[B, C, H, W]`` as the network of ``mode`` takes them, in batches: float32, 0..255, three channels."""
    if mode == "clean":
        batches = resized(pixels, SIDE, BATCH, device)
    else:
        batches = (batch.to(device).float() for batch in torch.split(pixels, BATCH))
    for x in batches:
        if mode == "legacy_pytorch":
            x = interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False).clamp_(0, 255)
        yield x.expand(-1, 3, -1, -1)


def _torchscript(file: Path, resize_inside: bool) -> torch.nn.Module:
    """clean-fid takes a folder and insists on the file's name."""
    from cleanfid.inception_torchscript import InceptionV3W

    with TemporaryDirectory() as folder:
        if file.name != TORCHSCRIPT.name:
            shutil.copyfile(file, Path(folder) / TORCHSCRIPT.name)
        here = str(file.parent if file.name == TORCHSCRIPT.name else folder)
        network: torch.nn.Module = InceptionV3W(here, download=False, resize_inside=resize_inside)
    return network


class _ChannelsLast(torch.nn.Module):
    """A CPU convolves quicker where a pixel's channels lie beside each other and normalisation is in the weights."""

    def __init__(self, layers: torch.nn.Module) -> None:
        super().__init__()
        self.layers = torch.jit.freeze(layers.eval().to(memory_format=torch.channels_last))

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.layers(x.contiguous(memory_format=torch.channels_last))
        return features.contiguous()


class _Pooled(torch.nn.Module):
    """pytorch-fid's network takes 0..1 and gives a list of blocks ``[B, 2048, 1, 1]``."""

    def __init__(self, blocks: torch.nn.Module) -> None:
        super().__init__()
        self.blocks = blocks

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.blocks(x / 255)[0]
        return pooled.flatten(1)


def _pytorch(file: Path) -> torch.nn.Module:
    """clean-fid knows how to build it, but would download the weights."""
    from cleanfid import inception_pytorch

    fetch = inception_pytorch.load_state_dict_from_url
    inception_pytorch.load_state_dict_from_url = lambda url, **_: torch.load(file, "cpu", weights_only=True)
    try:
        return _Pooled(inception_pytorch.InceptionV3(output_blocks=[3], resize_input=False))
    finally:
        inception_pytorch.load_state_dict_from_url = fetch
