"""Feature networks from files: opening them, preparing images, and picking the features from what they give."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torch.export.passes import move_to_device_pass
from torch.nn.functional import interpolate

from designspace.errors import DataError, brief
from designspace.evaluation.description import FORMATS, Described, Description, Preparation
from designspace.evaluation.resize import resize
from designspace.registry.execution import about_to_execute
from designspace.storage.files import file_hash

PIXELS = 16 * 224**2
"""The number of pixels that the network sees at a time."""
INSTALL = "pip install 'designspace[onnx]'"
TRIED = (1, 2)
"""Batches of these sizes show whether the network takes any number of images."""

Network = Callable[[Tensor], Any]


def features_of_file(of: Described, device: torch.device) -> Callable[[Tensor], Tensor]:
    """A function from uint8 images ``[B, C, H, W]`` to features, float32 ``[B, width]``, on the CPU.

    Raises ``DataError`` if the file is missing, damaged or of another format. The function raises it if the network
    fails or gives something other than the description says.
    """
    network = _opened(of.file(), device)

    @torch.no_grad()
    def features(pixels: Tensor) -> Tensor:
        return torch.cat([_features(of, network, x) for x in prepared(pixels, of.about, device)])

    return features


def require_features(of: Described) -> None:
    """Apply the network to two small batches of noise. Raises ``DataError`` unless it does what its description says.

    Each process does so once per file.
    """
    key = of.path, file_hash(of.path), file_hash(of.file())
    if key in _RIGHT:
        return
    features, draw = features_of_file(of, torch.device("cpu")), torch.Generator().manual_seed(0)
    for images in TRIED:
        noise = torch.randint(256, (images, of.about.channels, *of.about.sides), generator=draw, dtype=torch.uint8)
        if not features(noise).isfinite().all():
            raise of.error("network", "its features of noise are not finite (NaN or infinity)")
    _RIGHT.add(key)


_RIGHT = set[tuple[Path, str, str]]()
"""What ``require_features`` has found right."""


def prepared(pixels: Tensor, how: Preparation, device: torch.device) -> Iterator[Tensor]:
    """Images as the network sees them, float32 ``[b, channels, height, width]``, in batches."""
    low, high = how.range
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (how.mean, how.std))
    for batch in torch.split(pixels, max(1, PIXELS // (how.sides[0] * how.sides[1]))):
        x = batch.to(device).float()
        x = _resized(x.mean(1, keepdim=True) if how.channels == 1 else x, how)
        x = (x.clamp_(0, 255) if how.clip else x) * ((high - low) / 255) + low
        yield ((x - mean) / std).expand(-1, how.channels, -1, -1).contiguous()


def _resized(x: Tensor, how: Preparation) -> Tensor:
    if how.filter == "bicubic" and how.antialias:
        return resize(x, *how.sides)
    return interpolate(x, how.sides, mode=how.filter, align_corners=False, antialias=how.antialias)


def _opened(file: Path, device: torch.device) -> Network:
    """The network in ``file`` on ``device``. Raises ``DataError`` if it cannot be opened."""
    if file.suffix == ".onnx":
        return _onnx(file, device)
    about_to_execute(file, "detector file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit.load is deprecated, but many networks exist in no other form
        try:
            if file.suffix == ".pt2":
                return move_to_device_pass(torch.export.load(file), device).module()
            script: Network = torch.jit.load(file, map_location="cpu").eval().to(device)  # type: ignore[no-untyped-call]
        except Exception as error:  # on damaged bytes PyTorch raises nearly anything
            raise _damaged(file, error) from error
    return script


def _onnx(file: Path, device: torch.device) -> Network:
    try:
        import onnxruntime
    except ImportError as error:
        raise DataError(f"{file} needs the package onnxruntime: {INSTALL}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    on_gpu = ["CUDAExecutionProvider"] * (device.type == "cuda")
    able = [name for name in (*on_gpu, "CPUExecutionProvider") if name in onnxruntime.get_available_providers()]
    try:
        with TemporaryDirectory() as empty:  # weights in a second file would not count in the identity: none is found
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", empty)
            session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=able)
    except Exception as error:  # onnxruntime has errors of its own
        hint = "; if its weights are in a second file, export it with external_data=False"
        raise DataError(f"{_damaged(file, error)}{hint}") from error
    inputs, outputs = ([each.name for each in found] for found in (session.get_inputs(), session.get_outputs()))

    def network(x: Tensor) -> dict[str, Tensor]:
        found = session.run(outputs, {inputs[0]: x.cpu().numpy()})
        return {name: torch.from_numpy(value) for name, value in zip(outputs, found, strict=True)}

    return network


def _damaged(file: Path, error: Exception) -> DataError:
    return DataError(f"{file} is not {FORMATS[file.suffix]}, or it is damaged: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return f"{brief(error).splitlines()[0]:.300}"


def _features(of: Described, network: Network, x: Tensor) -> Tensor:
    try:
        found = network(x)
    except Exception as error:
        why = f"the network fails for images {list(x.shape)}: {_first_line(error)}"
        raise of.error("network", f"{why}; it has to take any number of images of this size") from error
    pooled = _pooled(_chosen(of, found), of.about)
    if not isinstance(pooled, Tensor) or tuple(pooled.shape) != (len(x), of.about.width):
        shape = list(pooled.shape) if isinstance(pooled, Tensor) else type(pooled).__name__
        what = f"the network gives {shape} for a batch of {len(x)} after the pooling {of.about.pooling}"
        raise of.error("width", f"{what}, not [{len(x)}, {of.about.width}]")
    return pooled.float().cpu()


def _chosen(of: Described, found: Any) -> Any:
    """The output that the description names."""
    output = of.about.output
    if isinstance(found, Tensor):
        if output in (None, 0):
            return found
        raise of.error("output", f"the network has a single output without a name, not {output!r}")
    named = found if isinstance(found, Mapping) else {}
    listed = list(named.values()) if named else list(found) if isinstance(found, Sequence) else []
    if output in named:
        return named[output]
    if isinstance(output, int) and output < len(listed):
        return listed[output]
    if output is None and len(listed) == 1:
        return listed[0]
    known = ", ".join(map(str, named)) or f"0 to {len(listed) - 1}"
    wrong = "name one of the outputs of the network" if output is None else f"the network has no output {output!r}"
    raise of.error("output", f"{wrong}: {known}")


def _pooled(found: Any, about: Description) -> Any:
    if not isinstance(found, Tensor) or about.pooling == "none":
        return found
    if about.pooling == "space":
        return found.flatten(2).mean(2) if found.ndim > 2 else found
    if found.ndim != 3:
        return found
    return found[:, 0] if about.pooling == "class_token" else found.mean(1)
