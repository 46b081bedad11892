import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.denoising.rows import BatchedDecoder
from designspace.errors import DataError, brief
from designspace.registry.component import Finite, Positive
from designspace.registry.identity import CountsAs
from designspace.registry.literature import KARRAS_2024, ROMBACH_2022
from designspace.storage.files import file_hash, reading

CLASS = "AutoencoderKL"
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
DEFAULTS = {
    "latent_channels": 4, "out_channels": 3, "block_out_channels": (64,), "scaling_factor": 0.18215,
    "shift_factor": None, "latents_mean": None, "latents_std": None,
}  # fmt: skip
"""What diffusers assumes if ``config.json`` does not say."""


def _folder(path: Path) -> Path:
    """The folder of the autoencoder, which may be part of a pipeline."""
    return path / "vae" if (path / "model_index.json").is_file() else path


def _weights(path: Path) -> Path:
    """The file of the weights that is read. Raises ``DataError`` if there is none."""
    found = next((_folder(path) / name for name in WEIGHTS if (_folder(path) / name).is_file()), None)
    if found is None:
        raise DataError(f"{_folder(path)} has no {' or '.join(WEIGHTS)}: copy the whole folder of the autoencoder")
    return found


def _content(path: Path) -> list[str]:
    """The hashes of the two files that are read."""
    return [file_hash(_folder(path) / "config.json"), file_hash(_weights(path))]


class VAE(BatchedDecoder, name="vae"):
    r"""The decoder of a variational autoencoder, from a folder of diffusers with an ``AutoencoderKL``.

    ``path``, relative to the YAML file, is the folder that ``save_pretrained`` writes, or that of a pipeline with such
    a folder ``vae``. It counts by the contents of ``config.json`` and of the weights, wherever it is.

    The autoencoder decodes :math:`x / \mathrm{scale} + \mathrm{shift}`. Both are by default what the folder states as
    ``scaling_factor`` and ``shift_factor``, together with ``latents_mean`` and ``latents_std`` if it has these. For a
    denoiser whose latents are normalised channel by channel, give ``mean`` and ``std`` instead: it then decodes
    :math:`(x - \mathrm{final\_mean}) / \mathrm{final\_std} \cdot \mathrm{std} + \mathrm{mean}`. Those of EDM2 are mean
    [5.81, 3.25, 0.12, -2.15] and std [4.17, 4.62, 3.71, 3.28] with the defaults of the other two.

    The network is evaluated in ``dtype``, with ``batch_size`` latents at once, which changes images by rounding errors
    only. It needs the package diffusers: ``pip install 'designspace[diffusers]'``. Raises ``DataError`` if a file is
    missing or does not fit. Rombach et al. (2022); Karras et al. (2024).
    """

    formula = r"y = \mathrm{decode}(x / \mathrm{scale} + \mathrm{shift})"
    sources = (ROMBACH_2022, KARRAS_2024)
    path: Annotated[Path, CountsAs(_content)]
    scale: Positive | None = None
    shift: Finite | None = None
    mean: tuple[Finite, ...] | None = None
    std: tuple[Positive, ...] | None = None
    final_mean: Finite = 0.0
    final_std: Positive = 0.5
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _one_way_to_normalise(self) -> Self:
        given = self.mean, self.std
        if any(value is not None for value in given):
            if None in given or (self.scale, self.shift) != (None, None):
                self._refuse("give either scale and shift, or both mean and std")
            if len(self.mean or ()) != len(self.std or ()):
                self._refuse("mean and std need one number per channel of the latents")
        return self

    def _refuse(self, text: str) -> None:
        raise PydanticCustomError("normalisation", "{text}", {"text": text})

    def require(self) -> None:
        try:
            channels = self._config()["latent_channels"]
            _weights(self.path)
        except DataError as error:
            error.within("path")
            raise
        if self.mean is not None and len(self.mean) != channels:
            error = DataError(f"has {len(self.mean)} numbers, but latents of {self.path} have {channels} channels")
            error.within("mean")
            raise error

    def shape_of(self, latents: tuple[int, ...]) -> tuple[int, ...]:
        config = self._config()
        if len(latents) != 3 or latents[0] != config["latent_channels"]:
            given = "x".join(map(str, latents))
            raise DataError(f"{self.path} decodes latents of {config['latent_channels']} channels, not {given}")
        factor = 2 ** (len(config["block_out_channels"]) - 1)
        return (config["out_channels"], *(factor * size for size in latents[1:]))

    def make(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        network, dtype = self._network().to(device), getattr(torch, self.dtype)
        factor, offset = (torch.tensor(part, device=device).reshape(-1, 1, 1) for part in self._normalisation())

        def decode(latents: Tensor) -> Tensor:
            images: Tensor = network.decode((latents * factor + offset).to(dtype)).sample
            return images.float()

        return decode

    def _config(self) -> dict[str, Any]:
        """The configuration of the autoencoder. Raises ``DataError`` if it is missing or that of another class."""
        file = _folder(self.path) / "config.json"
        with reading(file):
            text = file.read_text("utf-8")
        try:
            found: dict[str, Any] = DEFAULTS | json.loads(text)
            cls = found["_class_name"]
        except (ValueError, TypeError, KeyError):
            raise DataError(f"{file} is not the config.json of a model of diffusers") from None
        if cls != CLASS:
            raise DataError(f"{file} describes a model of class {cls}; the decoder needs an {CLASS}")
        return found

    def _normalisation(self) -> tuple[list[float], list[float]]:
        """Factor and offset of each channel, with which latents of the denoiser become those of the autoencoder."""
        config = self._config()
        channels = config["latent_channels"]
        if self.mean is not None and self.std is not None:
            factor = [std / self.final_std for std in self.std]
            return factor, [mean - each * self.final_mean for mean, each in zip(self.mean, factor, strict=True)]
        scale = config["scaling_factor"] if self.scale is None else self.scale
        shift = (config["shift_factor"] or 0.0) if self.shift is None else self.shift
        if (self.scale, self.shift) == (None, None) and config["latents_mean"] and config["latents_std"]:
            return [std / scale for std in config["latents_std"]], list(config["latents_mean"])
        return [1 / scale] * channels, [shift] * channels

    def _network(self) -> Any:
        """The autoencoder with its weights, without its encoder."""
        try:
            from diffusers import AutoencoderKL
        except ImportError as error:
            needs = "the decoder vae needs the package diffusers: pip install 'designspace[diffusers]'"
            raise DataError(needs) from error
        weights, dtype = _weights(self.path), getattr(torch, self.dtype)
        try:
            load: Any = AutoencoderKL.from_pretrained
            network, about = load(
                weights.parent, local_files_only=True, low_cpu_mem_usage=False, output_loading_info=True,
                torch_dtype=dtype, use_safetensors=weights.suffix == ".safetensors",
            )  # fmt: skip
        except Exception as error:  # of diffusers, of safetensors and of unpickling
            raise DataError(f"{weights} cannot be read: {brief(error):.300}") from error
        if wrong := [*about["missing_keys"], *about["unexpected_keys"]]:
            raise DataError(f"{weights} does not fit config.json: {len(wrong)} other names, such as {wrong[0]}")
        network.encoder = network.quant_conv = None
        return network.eval().requires_grad_(False)
