"""Calling components: whose error it is if one raises an exception, and what is said if one returns something wrong.

Only types, shapes and dtypes are checked here, which costs nothing and never waits for a GPU.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import torch
from torch import Tensor

from designspace.errors import BrokenRowError, DataError, RowError, StorageError, UnmetRowError, brief
from designspace.registry.component import Component
from designspace.registry.isolation import drawing

OF_THE_FRAMEWORK = (RowError, DataError, StorageError, FloatingPointError)
"""Exceptions that say themselves what is wrong; a component passes them on."""
ELEMENTWISE = "its argument is a tensor of any shape, for functions of torch and not of math"
"""The advice where a function of ``math`` is a common mistake."""


@contextmanager
def calling(component: Component, *, may_refuse: bool = False, advice: str = "") -> Iterator[None]:
    """Attribute what happens in the block to ``component``: its errors, and its use of global random generators.

    A ``ValueError`` becomes a ``RowError``. Any exception of a user's own component becomes a ``BrokenRowError``, whose
    message names the component and the line of its file, unless it ``may_refuse`` its input by a ``ValueError``. The
    message ends with the ``advice``.
    """
    with drawing(name_of(component)):
        try:
            yield
        except OF_THE_FRAMEWORK:
            raise
        except Exception as error:
            refuses = isinstance(error, ValueError) and (may_refuse or component.built_in())
            if not refuses and component.built_in():
                raise
            kind = RowError if refuses else BrokenRowError
            raise kind(component.row, blame(component, error, advice)) from error


def blame(component: Component, error: Exception, advice: str = "") -> str:
    """An error of ``component`` as one line. For a user's own component, it has the name and the line of its file.

    The ``advice`` is left out if a ``raise`` statement explains the error.
    """
    if component.built_in():
        return str(error)
    said = f": {' '.join(str(error).split())}" if isinstance(error, ValueError) else f" fails: {brief(error)}"
    raised = (traceback.extract_tb(error.__traceback__)[-1].line or "").startswith("raise ")
    end = f"; {advice}" if advice and not raised else ""
    return f"{component.row} '{component.name}'{said}{line_in(type(component), error)}{end}"


def line_in(cls: type[Component], error: Exception) -> str:
    """The last line of the file that defines ``cls`` in the traceback, as `` (file:line)``, or an empty string."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" ({file}:{lines[-1]})" if lines else ""


def name_of(component: Component) -> str:
    """The name of a component in results and warnings: ``solver/heun``."""
    return f"{component.row}/{component.name}"


def require_tensor(
    component: Component, what: str, value: object, shape: Sequence[int | str], dtype: torch.dtype | None = None
) -> Tensor:
    """Return ``value`` if it is a tensor of ``shape`` and ``dtype``. Raises ``UnmetRowError`` otherwise.

    Sizes in ``shape`` may be letters, which stand for any size. Without ``dtype``, any floating-point type will do.
    """
    if isinstance(value, Tensor) and _fits(value, shape, dtype):
        return value
    of = "floating-point" if dtype is None else name_of_dtype(dtype)
    unmet(component, what, f"a {of} tensor [{', '.join(map(str, shape))}]", described(value))


def require_like(component: Component, what: str, value: object, like: Tensor) -> Tensor:
    """Return ``value`` if it is a tensor with the shape, dtype and device of ``like``."""
    found = require_tensor(component, what, value, like.shape, like.dtype)
    if found.device != like.device:
        unmet(component, what, f"a tensor on {like.device}, as the input is", f"one on {found.device}")
    return found


def elementwise(component: Component, what: str, function: Callable[[Tensor], object], given: Tensor) -> Tensor:
    """Call a function of ``component``. Raises ``RowError`` unless it returns a floating-point number per element."""
    with calling(component, may_refuse=True, advice=ELEMENTWISE):
        value = function(given)
    return require_tensor(component, f"{what} of {described(given)}", value, given.shape)


def require_number(component: Component, what: str, value: object) -> float:
    """Return ``value`` if it is a finite number, and not an integer that no float can represent."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        unmet(component, what, "a finite number", described(value))
    return value


def unmet(component: Component, what: str, expected: str, got: str) -> NoReturn:
    """Raise the ``UnmetRowError`` that says what ``component`` returned instead of what it should return."""
    raise UnmetRowError(component.row, component.name, f"{what}: expected {expected}, got {got}")


def described(value: object) -> str:
    """What a component has returned, in words: ``float32 [5, 4]``, ``a list``, ``nan``."""
    if isinstance(value, Tensor):
        return f"{name_of_dtype(value.dtype)} {list(value.shape)}"
    if isinstance(value, bool | int | float):
        return str(value) if isinstance(value, float) or abs(value) <= sys.float_info.max else "an integer above 1e308"
    return "None" if value is None else f"a {type(value).__qualname__}"


def name_of_dtype(dtype: torch.dtype) -> str:
    """The name of a dtype without ``torch.``: ``float32``."""
    return str(dtype).removeprefix("torch.")


def _fits(value: Tensor, shape: Sequence[int | str], dtype: torch.dtype | None) -> bool:
    if value.ndim != len(shape) or not (value.dtype == dtype if dtype else value.is_floating_point()):
        return False
    return all(isinstance(size, str) or there == size for there, size in zip(value.shape, shape, strict=True))
