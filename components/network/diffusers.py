from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from designspace.denoising.networks import seeded
from designspace.denoising.rows import Network
from designspace.denoising.schedulers import arguments, of_diffusers
from designspace.denoising.weights import read_weights
from designspace.errors import DataError, brief
from designspace.interrupts import contained
from designspace.registry.literature import PLATEN_2022
from designspace.text import did_you_mean


class _Call(NamedTuple):
    """How a model of diffusers is called, besides ``timestep``."""

    x: str
    embeddings: tuple[str, ...] = ()
    """The embeddings of a prompt that it needs."""


CALLS = {
    "UNet2DModel": _Call("sample"),
    "UNet2DConditionModel": _Call("sample", ("encoder_hidden_states",)),
    "DiTTransformer2DModel": _Call("hidden_states"),
    "SD3Transformer2DModel": _Call("hidden_states", ("encoder_hidden_states", "pooled_projections")),
}
ADDED = ("text_embeds", "time_ids")
"""Embeddings that the U-Net of SDXL takes as ``added_cond_kwargs``."""
RANK = {"encoder_hidden_states": 3}
"""The number of dimensions of embeddings with that of the batch, which is 2 for all others."""


class DiffusersNetwork(Network, name="diffusers"):
    """A model of the library diffusers, called as F(x, c_noise, labels); c_noise is what it calls ``timestep``.

    ``model`` is the name of its class and ``config`` its arguments, as in the file ``config.json`` that
    ``save_pretrained`` writes. If ``config`` leaves them out, the numbers of channels and the size are those of the
    samples, and a network built for classes has an embedding for each class and one for "no class" (-1, or no labels).
    The initial weights are drawn with ``seed``.

    Networks that are conditional on text (``UNet2DConditionModel``, ``SD3Transformer2DModel``) need ``conditioning``: a
    safetensors file with the embeddings of one prompt for all samples, ``encoder_hidden_states`` [L, D] and, for SD3,
    ``pooled_projections`` [D] or, for SDXL, ``text_embeds`` [D] and ``time_ids`` [6]. Raises ``DataError`` if diffusers
    is not installed, the arguments are wrong, or embeddings are missing. von Platen et al. (2022).
    """

    formula = r"F_\theta(c_\mathrm{in} x; c_\mathrm{noise})"
    sources = (PLATEN_2022,)
    takes_augmentation: ClassVar[bool] = False
    model: Literal["UNet2DModel", "UNet2DConditionModel", "DiTTransformer2DModel", "SD3Transformer2DModel"]
    config: dict[str, Any]
    conditioning: Path | None = None
    seed: int = 0

    def require(self) -> None:
        of_diffusers(self.model)
        self._embeddings()

    def needs_labels(self, classes: int) -> bool:
        """Whether no entry of its table of classes means "no class"; the table of ``DiT`` always has one."""
        return self.model != "DiTTransformer2DModel" and 0 < (self.config.get("num_class_embeds") or 0) <= classes

    def knows_no_class(self, classes: int) -> bool:
        return not self.needs_labels(classes)

    def build(self, shape: tuple[int, ...], classes: int = 0, augment: int = 0) -> torch.nn.Module:
        if augment:
            raise DataError(f"network diffusers: {self.model} takes no augmentation labels: leave out augmentation")
        made_by, embeddings = of_diffusers(self.model), self._embeddings()
        config = self._filled(shape, classes)
        try:
            with seeded(self.seed), contained():
                model = made_by.from_config(config)
        except Exception as error:
            raise DataError(
                f"network diffusers: {self.model} cannot be built with this config: {brief(error)}"
            ) from error
        return _Called(model, CALLS[self.model].x, classes, embeddings).eval()

    def _filled(self, shape: tuple[int, ...], classes: int) -> dict[str, Any]:
        """``config`` with what follows from the samples. Raises ``DataError`` if the two disagree."""
        config, known = dict(self.config), arguments(self.model)
        if unknown := [key for key in config if key not in known]:
            hint = did_you_mean(unknown[0], list(known))
            raise DataError(f"network diffusers: {self.model} has no argument '{unknown[0]}'.{hint}")
        for key in ("in_channels", "out_channels"):
            config.setdefault(key, shape[0])
        if config.get("sample_size") is None:
            config["sample_size"] = shape[-1]
        if config["in_channels"] != shape[0]:
            raise DataError(f"network diffusers: in_channels is {config['in_channels']} for samples of {list(shape)}")
        table = "num_embeds_ada_norm" if self.model == "DiTTransformer2DModel" else "num_class_embeds"
        if classes and table in known and config.get(table) is None:
            config[table] = classes + (table == "num_class_embeds")  # the other adds one for "no class" itself
        return config

    def _embeddings(self) -> dict[str, Tensor]:
        """The embeddings of the prompt, each with a first dimension of 1. Raises ``DataError``."""
        needed = CALLS[self.model].embeddings
        if self.conditioning is None:
            if needed:
                raise DataError(
                    f"{self.model} is conditional on text: give conditioning, a safetensors file with the embeddings"
                    f" {' and '.join(needed)} of a prompt, or wrap it in a function of yours with network module"
                )
            return {}
        try:
            found = read_weights(self.conditioning)
            if missing := [name for name in needed if name not in found]:
                raise DataError(f"{self.conditioning} has no {missing[0]}, which {self.model} needs")
            return {name: _batched(name, tensor, self.conditioning) for name, tensor in found.items()}
        except DataError as error:
            error.within("conditioning")
            raise


def _batched(name: str, tensor: Tensor, file: Path) -> Tensor:
    rank = RANK.get(name, 2)
    tensor = tensor[None] if tensor.ndim == rank - 1 else tensor
    if tensor.ndim != rank or len(tensor) != 1:
        raise DataError(f"{file}: {name} is {list(tensor.shape)}; it must be one prompt, of {rank - 1} dimensions")
    return tensor


class _Called(torch.nn.Module):
    """A model of diffusers behind the arguments F(x, c_noise, labels)."""

    def __init__(self, model: Any, x: str, classes: int, embeddings: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model, self.x, self.classes = model, x, classes
        self.indexed = model.config.get("time_embedding_type") == "learned"
        for name, tensor in embeddings.items():
            self.register_buffer(name, tensor, persistent=False)
        self.embeddings = tuple(embeddings)
        named = ((name.rpartition(".")[2], module) for name, module in model.named_modules())
        tables = [module for name, module in named if name in ("class_embedding", "embedding_table")]
        self.entries = tables[0].num_embeddings if tables and isinstance(tables[0], torch.nn.Embedding) else 0

    def forward(
        self, x: Tensor, c_noise: Tensor, labels: Tensor | None = None, augment: Tensor | None = None
    ) -> Tensor:
        if augment is not None:
            raise ValueError("augmentation labels were given, but models of diffusers take none")
        buffers = {name: getattr(self, name).to(x.dtype) for name in self.embeddings}
        given = {name: tensor.expand(len(x), *tensor.shape[1:]) for name, tensor in buffers.items()}
        added = {name: given.pop(name) for name in ADDED if name in given}
        more = given | ({"added_cond_kwargs": added} if added else {}) | self._labelled(labels, x)
        timestep = c_noise.round().long() if self.indexed else c_noise
        return self.model(**{self.x: x}, timestep=timestep, **more, return_dict=False)[0]  # type: ignore[no-any-return]

    def _labelled(self, labels: Tensor | None, x: Tensor) -> dict[str, Tensor]:
        if not self.entries:
            if labels is not None:
                raise ValueError("labels were given, but the network has no classes: sample with `labels: none`")
            return {}
        if self.entries <= self.classes:  # no entry means "no class"
            if labels is None:
                raise ValueError("the network was trained with classes only: set `labels: balanced` of evaluate")
            return {"class_labels": labels}
        none = self.entries - 1
        given = torch.full((len(x),), none, device=x.device) if labels is None else labels
        return {"class_labels": torch.where(given < 0, none, given)}
