"""Keeping components from affecting each other through the state of the process.

Components should draw from generators of their own. Those that use the global generators of PyTorch, NumPy or Python
nevertheless get the same numbers each time, and are named, because their output depends on the batch size.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from ctypes import string_at
from functools import partial
from typing import Any, cast

import numpy as np
import torch

from designspace.registry.float32 import FLOAT32, Settings, attributes, kept, use_full_float32

MT19937 = 625 * 4
"""The size in bytes of the state of NumPy's global generator. Reading it there is 100 times as fast as a copy."""


def _set_environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _set_filters(filters: list[Any]) -> None:
    warnings.resetwarnings()
    cast(list[Any], warnings.filters).extend(filters)


_BACKENDS: Any = torch.backends
_SETTINGS: Settings = (
    (torch.get_num_threads, torch.set_num_threads),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    (torch.get_default_device, lambda device: torch.set_default_device(None if device.type == "cpu" else device)),
    (np.geterr, lambda handling: np.seterr(**handling)),
    (os.getcwd, os.chdir),
    (lambda: dict(os.environ), _set_environment),
    (lambda: list(warnings.filters), _set_filters),
    *(
        (partial(get, device), partial(put, device))
        for device in ("cpu", "cuda")
        for get, put in (
            (torch.is_autocast_enabled, torch.set_autocast_enabled),
            (torch.get_autocast_dtype, torch.set_autocast_dtype),
        )
    ),
    *attributes((_BACKENDS.cudnn, "benchmark"), (_BACKENDS.cudnn, "deterministic"), (_BACKENDS.mkldnn, "enabled")),
    *attributes((sys, "exit"), (sys, "excepthook")),
    *FLOAT32,
)
"""Functions that read and change the settings of the process that numbers, and how it ends, depend on."""


def settings_kept() -> AbstractContextManager[None]:
    """Restore the settings of the process after the block: those of PyTorch and NumPy, the working directory, ...."""
    return kept(_SETTINGS)


@contextmanager
def isolated(device: torch.device, *key: object) -> Iterator[set[str]]:
    """Run the block with global generators that are seeded by ``key``, and restore their states and all settings.

    The default type is float32, computed in full precision. The block gets a set that receives the names of components
    that draw from these generators; see ``drawing``. On a GPU, the generator of ``device`` is included. Nothing here
    waits for the device.
    """
    if _ALONE.get():
        yield set()
        return
    before = Generators(device)
    with settings_kept():
        use_full_float32()
        _seed(device, key)
        watch = _Watch(device)
        token = _WATCH.set(watch)
        try:
            yield watch.drew
        finally:
            _WATCH.reset(token)
            before.restore()


@contextmanager
def alone() -> Iterator[None]:
    """Within the block, in a thread beside others, ``isolated`` does nothing, because it would disturb them.

    What runs there must neither draw from global generators nor change settings.
    """
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """Attribute what the block draws from global generators to the component ``name``, except in inner such blocks."""
    watch = _WATCH.get()
    if watch is None:
        yield
        return
    watch.settle()
    watch.running.append(name)
    try:
        yield
    finally:
        watch.settle()
        watch.running.pop()


def drawn() -> set[str]:
    """The components that have drawn from global generators since ``isolated`` began."""
    watch = _WATCH.get()
    if watch is None:
        return set()
    watch.settle()
    return watch.drew


class Generators:
    """The states of the global generators of PyTorch, NumPy and Python at the time when the object is created."""

    def __init__(self, device: torch.device) -> None:
        self._gpu = _of_gpu(device)
        self._states = torch.default_generator.get_state(), np.random.get_state(), random.getstate()
        self._of_gpu = self._gpu.get_state() if self._gpu else None

    def restore(self) -> None:
        """Set the generators to these states."""
        of_torch, of_numpy, of_python = self._states
        torch.default_generator.set_state(of_torch)
        np.random.set_state(of_numpy)
        random.setstate(of_python)
        if self._gpu and self._of_gpu is not None:
            self._gpu.set_state(self._of_gpu)


class _Watch:
    """Compares the states of the global generators whenever another component begins or ends to run."""

    def __init__(self, device: torch.device) -> None:
        self.drew: set[str] = set()
        self.running: list[str] = []
        """The components that are running; each was called by the one before."""
        self._gpu = _of_gpu(device)
        self._last = self._state()

    def settle(self) -> None:
        """Attribute what was drawn since the last call to the component that is running."""
        now = self._state()
        if now != self._last and self.running:
            self.drew.add(self.running[-1])
        self._last = now

    def _state(self) -> tuple[object, ...]:
        gpu = self._gpu.get_state().numpy().tobytes() if self._gpu else b""
        of_torch = torch.default_generator.get_state().numpy().tobytes()
        return of_torch, gpu, _of_numpy(), random.getstate()


_WATCH: ContextVar[_Watch | None] = ContextVar("watch", default=None)
_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


def _seed(device: torch.device, key: tuple[object, ...]) -> None:
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    seed = int.from_bytes(digest, "little")
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the generators of other devices
    if gpu := _of_gpu(device):
        gpu.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def _of_gpu(device: torch.device) -> torch.Generator | None:
    """The global generator of a GPU; ``None`` for other devices."""
    if device.type != "cuda":
        return None
    torch.cuda.init()  # type: ignore[no-untyped-call]
    generators: tuple[torch.Generator, ...] = torch.cuda.default_generators
    return generators[torch.cuda.current_device() if device.index is None else device.index]


def _of_numpy() -> bytes:
    bits: Any = np.random.get_bit_generator()  # type: ignore[attr-defined]
    standard = isinstance(bits, np.random.MT19937)
    return string_at(bits.ctypes.state_address, MT19937) if standard else repr(bits.state).encode()
