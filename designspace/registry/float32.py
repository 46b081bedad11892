"""How float32 numbers are computed: in full precision, or in TF32 on GPUs that have it; and as PyTorch's default."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any

import torch

_BACKENDS: Any = torch.backends
Settings = tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...]
"""Functions that read and change settings of the process."""


@cache
def _settle_warning() -> None:
    """Let PyTorch give its warning, once per process, that the older interface will be deprecated, and ignore it."""
    with warnings.catch_warnings(), suppress(RuntimeError):
        warnings.simplefilter("ignore")
        torch.get_float32_matmul_precision()


def _matmul_precision() -> str | None:
    _settle_warning()
    with suppress(RuntimeError):  # raised if it was set by backend, which is kept as well
        return torch.get_float32_matmul_precision()
    return None


def _set_matmul_precision(precision: str | None) -> None:
    if precision:
        torch.set_float32_matmul_precision(precision)


def _cudnn_tf32() -> bool | None:
    with suppress(RuntimeError):  # as above
        return bool(torch.backends.cudnn.allow_tf32)
    return None


def _set_cudnn_tf32(allowed: bool | None) -> None:
    if allowed is not None:
        torch.backends.cudnn.allow_tf32 = allowed


def attributes(*of: tuple[Any, str]) -> Settings:
    """The functions for attributes of objects."""
    return tuple((partial(getattr, backend, name), partial(setattr, backend, name)) for backend, name in of)


FLOAT32: Settings = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (_matmul_precision, _set_matmul_precision),  # these two before those below, which they change
    (_cudnn_tf32, _set_cudnn_tf32),
    *attributes(
        (_BACKENDS, "fp32_precision"),  # likewise
        (_BACKENDS.cuda.matmul, "fp32_precision"),
        (_BACKENDS.cudnn.conv, "fp32_precision"),
        (_BACKENDS.cudnn.rnn, "fp32_precision"),
        (_BACKENDS.mkldnn.matmul, "fp32_precision"),
    ),
)
"""Functions that read and change the default type, and how products of float32 numbers are computed.

PyTorch has two interfaces for these products. Both are used, because reading one raises an error after the other alone
was set.
"""


@contextmanager
def kept(settings: Settings) -> Iterator[None]:
    """Restore the settings after the block."""
    before = [get() for get, _ in settings]
    try:
        yield
    finally:
        for (get, put), value in zip(settings, before, strict=True):
            if get() != value:
                put(value)


def use_full_float32() -> None:
    """From now on, float32 is the default type, and a GPU does not round to TF32, which has 10 bits.

    PyTorch rounds float32 numbers in convolutions unless it is told not to, which changed images by up to 1.4e-2. With
    another default type, networks would have other weights and numbers than those that their ids stand for.
    """
    torch.set_default_dtype(torch.float32)
    torch.set_float32_matmul_precision("highest")
    _set_cudnn_tf32(allowed=False)
    _BACKENDS.fp32_precision = "ieee"


@contextmanager
def full_float32() -> Iterator[None]:
    """Within the block, ``use_full_float32``."""
    with kept(FLOAT32):
        use_full_float32()
        yield


@contextmanager
def tf32() -> Iterator[None]:
    """Within the block, convolutions and products of float32 numbers on a GPU are computed in TF32."""
    with kept(FLOAT32):
        torch.set_float32_matmul_precision("high")
        _set_cudnn_tf32(allowed=True)
        yield
