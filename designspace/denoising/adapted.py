"""Calling networks of other people: what they return, and how their arguments differ from F(x, c_noise, labels).

A network that cannot be called, or that returns something else than one tensor, raises a ``ValueError`` that says what
the network needs or returned, and how to adapt it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from designspace.denoising.rows import CNoise

F = Callable[..., Any]
LEVELS = torch.logspace(-3, 3, 61, dtype=torch.float64)


class Adapted(torch.nn.Module):
    """A network behind the arguments ``F(x, c_noise, labels)`` that a denoiser uses.

    Args:
        network: The network.
        output: The key, attribute or index of the tensor in what it returns; ``None`` if it returns a tensor.
        noise: ``int`` if it looks c_noise up in a table, so that it needs whole numbers of type int64.
        labels: What it gets as its third argument: the ``index`` of the class, a ``one_hot`` vector in which "no class"
            is zero, or ``none``, so that it has no such argument.
        classes: The length of a one-hot vector.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        output: str | int | None = None,
        noise: Literal["float", "int"] = "float",
        labels: Literal["index", "one_hot", "none"] = "index",
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.network, self.output, self.noise, self.labels, self.classes = network, output, noise, labels, classes

    def forward(
        self, x: Tensor, c_noise: Tensor, labels: Tensor | None = None, augment: Tensor | None = None
    ) -> Tensor:
        if self.labels == "none" and labels is not None:
            raise ValueError(
                "`labels: none` of network module keeps the labels from the network, but the run has some, by"
                " `labels: balanced` of evaluate or `labels: true` of the denoiser: leave one of the two out"
            )
        level = c_noise.round().long() if self.noise == "int" else c_noise
        third = () if self.labels == "none" else (self._given(labels, x),)
        more = {} if augment is None else {"augment": augment}
        output = called(self.network, x, level, *third, **more)
        return tensor_of(output, x) if self.output is None else _part(output, self.output)

    def _given(self, labels: Tensor | None, x: Tensor) -> Tensor | None:
        if self.labels == "index" or not self.classes:
            return labels
        if labels is None:
            return x.new_zeros(len(x), self.classes)
        return (labels[:, None] == torch.arange(self.classes, device=labels.device)).to(x.dtype)


def called(network: F, *arguments: Any, **more: Any) -> Any:
    """``network(*arguments)``. Raises ``ValueError`` with a way out if it does not take these arguments.

    Other errors get a note with the shapes of the arguments.
    """
    try:
        return network(*arguments, **more)
    except (TypeError, RuntimeError, IndexError, AttributeError) as error:
        if why := _why_not(network, arguments, more, error):
            raise ValueError(why) from error
        if not isinstance(network, Adapted):  # whose network already has a note
            given = zip(("x", "c_noise", "labels", "augment"), map(_shape, arguments), strict=False)
            error.add_note(f"called as F({', '.join(map(' '.join, given))})")
        raise


def tensor_of(output: Any, x: Tensor) -> Tensor:
    """The tensor that a network returned for the input ``x``: by itself, alone in a tuple, or called ``sample``.

    Raises ``ValueError`` if there is none, or more than one.
    """
    if isinstance(output, Tensor):
        return output
    parts = dict(_parts(output))
    tensors = {key: part for key, part in parts.items() if isinstance(part, Tensor)}
    if len(tensors) == 1 and (isinstance(output, tuple | list) or "sample" in tensors):
        return next(iter(tensors.values()))
    like = [key for key, part in tensors.items() if part.shape[2:] == x.shape[2:] and len(part) == len(x)]
    key = like[0] if like else next(iter(tensors), None)
    mend = "it must return a tensor of the shape of x"
    if key is not None:
        inside = f"[{key!r}]" if isinstance(output, Mapping | tuple | list) else f".{key}"
        mend = f"set `output: {key}` of network module or, in Python, wrap it: lambda *args: network(*args){inside}"
    raise ValueError(f"the network returns {structure_of(output)}, not a tensor: {mend}")


def structure_of(output: Any) -> str:
    """What a network returned, in a few words: ``a dict (sample: tensor [2, 3, 32, 32], loss: float)``."""
    if output is None or isinstance(output, Tensor):
        return "None" if output is None else f"a {_kind(output)}"
    cls = type(output)
    parts = [f"{key}: {_kind(part)}" for key, part in _parts(output)]
    more = f", and {len(parts) - 5} more" if len(parts) > 5 else ""
    article = "an" if cls is int else "a"
    kind = f"{article} {cls.__name__}" if cls.__module__ == "builtins" else f"an object of {cls.__name__}"
    return kind + (f" ({', '.join(parts[:5])}{more})" if parts else "")


def require_integers(c_noise: CNoise) -> None:
    """Raise ``ValueError`` if the values of ``c_noise`` are not whole numbers, as a table of a network needs them."""
    if (value := _fraction(c_noise)) is not None:
        raise ValueError(
            f"`noise: int` needs whole numbers, but c_noise '{c_noise.name}' gives {value:.4g}: use the row that the"
            " network was trained with, such as ddpm or iddpm"
        )


@lru_cache(64)
def _fraction(c_noise: CNoise) -> float | None:
    """A value of ``c_noise`` at a noise level that it supports and that is no whole number."""
    values = c_noise(c_noise.supported(LEVELS))
    return next((v for v in values.tolist() if abs(v - round(v)) > 1e-6), None)


def _parts(output: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(output, Mapping):
        yield from output.items()
    elif isinstance(output, tuple | list):
        yield from zip(getattr(output, "_fields", range(len(output))), output, strict=True)
    elif not isinstance(output, Tensor | torch.nn.Module):
        yield from getattr(output, "__dict__", {}).items()


def _part(output: Any, key: str | int) -> Tensor:
    try:
        part = output[key] if isinstance(key, int) or isinstance(output, Mapping) else getattr(output, key)
    except (KeyError, IndexError, AttributeError, TypeError):
        keys = [f"`output: {name}`" for name, value in _parts(output) if isinstance(value, Tensor)]
        mend = f"use {' or '.join(keys[:5])}" if keys else "it must return a tensor of the shape of x"
        mend = "leave out `output` of network module" if isinstance(output, Tensor) else mend
        raise ValueError(f"the network returns {structure_of(output)}, which has no part {key!r}: {mend}") from None
    if not isinstance(part, Tensor):
        raise ValueError(f"the part {key!r} of what the network returns is {structure_of(part)}, not a tensor")
    return part


def _shape(argument: Any) -> str:
    return f"{list(argument.shape)}" if isinstance(argument, Tensor) else str(argument)


def _kind(part: Any) -> str:
    return f"tensor {list(part.shape)}" if isinstance(part, Tensor) else type(part).__name__


def _why_not(network: F, arguments: Sequence[Any], more: Mapping[str, Any], error: Exception) -> str:
    """Why the network does not take the arguments and what to do; empty if the reason is another one."""
    if isinstance(error, TypeError) and (why := _signature(network, arguments, more)):
        return why
    c_noise, labels = (*arguments[1:], None)[:2]
    text = str(error)
    if _of_integers(text) and labels is not None and labels.is_floating_point():
        also = " or c_noise" if c_noise.is_floating_point() else ""
        mend = "set `labels: index`" + (" or `noise: int`" if also else "")
        return f"the network looks its labels{also} up in a table, which takes integers: {mend} of network module"
    if _of_integers(text) and c_noise.is_floating_point():
        return (
            "the network looks c_noise up in a table, which takes integers: set `noise: int` of network module or, in"
            " Python, wrap it: lambda x, c_noise, *args: network(x, c_noise.round().long(), *args)"
        )
    if text == "index out of range in self" and isinstance(error, IndexError):  # so says torch.nn.Embedding
        if labels is not None and bool((labels < 0).any()):
            mend = "give them an entry or zeros in forward, or leave out label_dropout"
            return f"the network looks up the label -1, which stands for images without a class: {mend}"
        level = f"c_noise is up to {c_noise.max().item():g}"
        classes = "" if labels is None else f", labels are up to {labels.max().item():g}"
        return f"a table of the network has too few entries: {level}{classes}"
    # "argument 'input' must be Tensor, not NoneType", "'NoneType' object has no attribute 'shape'"
    if labels is None and "NoneType" in text and len(arguments) > 2:
        return (
            f"the network fails without labels ({type(error).__name__}: {text.splitlines()[0]}): set `labels: balanced`"
            " of evaluate; `labels: one_hot` of network module gives zeros where there are none"
        )
    # "mat1 and mat2 must have the same dtype, but got Long and Float", "... but got: long int != float"
    if labels is not None and not labels.is_floating_point() and "dtype" in text and "ong" in text:
        return (
            "the network computes with its labels, which are int64: set `labels: one_hot` of network module or, in"
            " Python, pass one-hot vectors"
        )
    return ""


def _of_integers(text: str) -> bool:
    """Whether PyTorch's error is about indices that are no integers."""
    return any(
        words in text
        for words in (
            "scalar types: Long, Int",  # "Expected tensor for argument #1 'indices' to have one of the following ..."
            "tensors used as indices",  # "tensors used as indices must be long, int, byte or bool tensors"
            "for index",  # "gather(): Expected dtype int32/int64 for index"
            "applicable to index tensor",  # "one_hot is only applicable to index tensor of type LongTensor."
        )
    )


def _signature(network: F, arguments: Sequence[Any], more: Mapping[str, Any]) -> str:
    try:
        signature = inspect.signature(network.forward if isinstance(network, torch.nn.Module) else network)
    except (TypeError, ValueError):  # some callables written in C have no signature
        return ""
    if _binds(signature, arguments, more):
        return ""
    takes = ", ".join(name for name, p in signature.parameters.items() if p.default is p.empty) or "no arguments"
    if _binds(signature, arguments[:2], {}):
        return (
            f"the network takes {takes}, but no labels: set `labels: none` of network module or, in Python, wrap it:"
            " lambda x, c_noise, labels: network(x, c_noise)"
        )
    return (
        f"the network takes {takes}; it is called as F(x, c_noise, labels): let the factory return a torch.nn.Module"
        " whose forward(self, x, c_noise, labels=None) calls it"
    )


def _binds(signature: inspect.Signature, arguments: Sequence[Any], more: Mapping[str, Any]) -> bool:
    try:
        signature.bind(*arguments, **more)
    except TypeError:
        return False
    return True
