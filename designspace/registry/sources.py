"""The source that a user's module was executed from: its own file, and what it imports from beside itself.

Numbers are kept under the hash of the code that gives them. That is the code in memory, whatever has become of its
file since, so the hash is taken when the code is executed.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from designspace.registry.beside import beside, home_of

_recorded: dict[str, str] = {}
_executing: dict[str, bytes] = {}
_beside: dict[str, tuple[Path, str]] = {}
"""Modules that users' modules import from beside themselves: the file, and the sha256 of what was executed."""


@contextmanager
def executing(module: str, source: bytes) -> Iterator[None]:
    """While ``module`` is executed: it is made of ``source``, whatever its file says by now."""
    _executing[module] = source
    try:
        yield
        record(module)
    finally:
        del _executing[module]


def record(module: str) -> str | None:
    """Take the hash of a module that is being executed; ``None`` if it has no file."""
    file = Path(getattr(sys.modules.get(module), "__file__", None) or "")
    if not file.is_file():
        return None
    source = _executing.get(module) or file.read_bytes()
    for name, path in beside(file, source).items():
        _beside[name] = path, _sha256(path.read_bytes())
    _recorded[module] = _digest(file, source)
    return _recorded[module]


def recorded(module: str) -> str | None:
    """The hash that was taken of a module, if it was and the module is still there."""
    return _recorded.get(module) if module in sys.modules else None


def of_class(cls: type) -> str:
    """The hash of the source of a class whose module has no file, such as one defined in a cell of a notebook."""
    return _sha256(inspect.getsource(cls).encode())


def forget(file: Path) -> None:
    """Let modules be imported again that ``file`` would else be given from memory, though they are others by now.

    These are modules beside other users' files, whose names may stand for others beside this one, and, if one of those
    beside this one has changed, all of these, as they may import each other.
    """
    _, top = home_of(file.resolve())
    own = {name for name, (path, _) in _beside.items() if path.is_relative_to(top)}
    changed = any(_changed(*_beside[name]) for name in own)
    for name in set(_beside) - (set() if changed else own):
        drop(name, _beside.pop(name)[0])


def drop(module: str, file: Path) -> None:
    """Have a module made anew from its file: Python's bytecode knows an older file by size and second only."""
    sys.modules.pop(module, None)
    with suppress(OSError, NotImplementedError):  # there may be none, nor a place for any
        Path(importlib.util.cache_from_source(str(file))).unlink()
    importlib.invalidate_caches()


def of_file(file: Path) -> str:
    """The hash that a module would get now: the sha256 of its file or, with modules from beside it, of all of them.

    Raises ``OSError`` if the file cannot be read.
    """
    return _digest(file, file.read_bytes())


def _changed(path: Path, digest: str) -> bool:
    return not path.is_file() or _sha256(path.read_bytes()) != digest


def _digest(file: Path, content: bytes) -> str:
    others = [f"{name} {_sha256(path.read_bytes())}" for name, path in beside(file, content).items()]
    return _sha256("\n".join([_sha256(content), *others]).encode()) if others else _sha256(content)


def _sha256(data: bytes) -> str:
    return sha256(data).hexdigest()
