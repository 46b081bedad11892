"""The checkpoints of NVIDIA's EDM and EDM2, which hold modules as objects with their source code.

Only the names of the classes, the arguments of their constructors and their tensors are used; the source is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from designspace.importing.tensors import Deferred, read_all
from designspace.storage.pickled import Inert, Known, PickleError

LICENCE = "NVIDIA's weights: CC BY-NC-SA 4.0"
"""The licence of the pickles that NVIDIA publishes. Other programs and training runs write the same formats."""
KEYS = ("ema", "net")
"""The entries of a checkpoint that may hold a network: the moving average first."""
RAW = "`net` holds the weights of training, not their moving average"
LATENTS = (
    "the network makes latents, scaled to a standard deviation of 0.5, which the VAE sd-vae-ft-mse decodes to images"
)
MOST_MODULES, LONGEST_NAME = 100_000, 1000
"""Limits for modules that hold each other, which could otherwise go on without end."""


@dataclass(frozen=True)
class Persistent:
    """An object of one of NVIDIA's classes: the name of the class and its attributes."""

    class_name: str
    state: dict[Any, Any]

    @property
    def kwargs(self) -> dict[Any, Any]:
        """The arguments of its constructor."""
        found = self.state.get("_init_kwargs", {})
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Wrapped:
    """A network with its preconditioning, as a checkpoint describes them."""

    wrapper: str
    """The name of the class of the preconditioning."""
    fields: Mapping[str, Any]
    """The attributes of the preconditioning, such as sigma_data, and P_mean and P_std of the loss if they are known."""
    network: str
    """The name of the class of the network."""
    kwargs: Mapping[str, Any]
    """The arguments of the constructor of the network."""
    tensors: Mapping[str, Tensor]
    """The tensors of the network by name."""
    levels: Tensor | None = None
    """The noise levels of iDDPM."""
    notes: tuple[str, ...] = ()


def known() -> Known:
    """The callables of NVIDIA's pickles beside those of tensors."""
    return {"torch_utils.persistence._reconstruct_persistent_obj": _persistent, "dnnlib.util.EasyDict": lambda *_: {}}


def holds_network(content: Any) -> bool:
    """Whether the content of a file is a checkpoint of NVIDIA's."""
    found = content.values() if isinstance(content, dict) else [content]
    return any(isinstance(value, Persistent) for value in found)


def wrapped(content: Any, key: str | None, size: int) -> Wrapped:
    """The network in the content of a checkpoint of ``size`` bytes, by default its moving average.

    Raises ``PickleError`` if there is none at ``key``, or if its tensors are larger than the file.
    """
    found, place = _chosen(content, key)
    children = _part(found.state, "_modules")
    network = next((c for name in ("model", "unet") if isinstance(c := children.get(name), Persistent)), None)
    if network is None:
        raise PickleError(f"holds a {found.class_name}, which is no network with the preconditioning of EDM or EDM2")
    loss = content.get("loss_fn") if isinstance(content, dict) else None
    trained = loss.state if isinstance(loss, Persistent) else {}
    fields = {name: trained[name] for name in ("P_mean", "P_std") if isinstance(trained.get(name), int | float)}
    fields |= {name: value for name, value in found.state.items() if isinstance(value, int | float)}
    levels = _part(found.state, "_buffers").get("u")
    return Wrapped(
        wrapper=found.class_name,
        fields=fields,
        network=network.class_name,
        kwargs=network.kwargs,
        tensors=read_all(state_dict(network.state), size),
        levels=levels.read() if isinstance(levels, Deferred) else None,
        notes=(*((RAW,) if place == "net" else ()), *_of_encoder(content)),
    )


def _of_encoder(content: Any) -> list[str]:
    """A note on the encoder of EDM2's latent diffusion."""
    encoder = content.get("encoder") if isinstance(content, dict) else None
    latent = isinstance(encoder, Persistent) and encoder.class_name == "StabilityVAEEncoder"
    return [LATENTS] if latent else []


def _chosen(content: Any, key: str | None) -> tuple[Persistent, str | None]:
    if isinstance(content, Persistent) and key is None:
        return content, None
    mapping = content if isinstance(content, dict) else {}
    there = [name for name, value in mapping.items() if isinstance(value, Persistent)]
    place = key or next((name for name in KEYS if name in there), None)
    if place not in there:
        raise PickleError(f"has no network at --key {place or 'ema'}: there are {', '.join(map(str, there))}")
    return mapping[place], place


def _persistent(meta: Any) -> Persistent:
    """An object as NVIDIA writes it; ``meta`` also holds the source of its module, which is not used."""
    if not isinstance(meta, dict) or not isinstance(meta.get("class_name"), str):
        raise PickleError("has an object of NVIDIA's without the name of its class")
    if not isinstance(state := meta.get("state"), dict):
        raise PickleError(f"has a {meta['class_name']} without attributes")
    return Persistent(meta["class_name"], state)


def state_dict(state: dict[Any, Any]) -> dict[str, Deferred]:
    """The tensors of a module, given its attributes, and of those inside it, by their dotted names."""
    found, todo = dict[str, Deferred](), [("", state)]
    for _ in range(MOST_MODULES):
        if not todo:
            return found
        before, module = todo.pop()
        if len(before) > LONGEST_NAME:
            raise PickleError(f"has modules within modules whose names are longer than {LONGEST_NAME:,} characters")
        passing = module.get("_non_persistent_buffers_set")
        for name, tensor in (_part(module, "_parameters") | _part(module, "_buffers")).items():
            if isinstance(tensor, Deferred) and not (isinstance(passing, list) and name in passing):
                found[f"{before}{name}"] = tensor
        for name, child in _part(module, "_modules").items():
            if isinstance(child, Persistent | Inert) and isinstance(child.state, dict):
                todo.append((f"{before}{name}.", child.state))
    raise PickleError(f"has more than {MOST_MODULES:,} modules")


def _part(state: dict[Any, Any], name: str) -> dict[Any, Any]:
    found = state.get(name)
    return found if isinstance(found, dict) else {}
