import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import torch
from pydantic import Field, ValidationInfo, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.errors import DataError
from designspace.registry.component import Positive, folder_of
from designspace.registry.literature import SABOUR_2024
from designspace.sampling.levels import interpolated
from designspace.sampling.rows import TimeSteps
from designspace.storage.files import reading

ROUNDING = 3e-4
"""Levels that are products of 1,000 numbers in float32, as in diffusers, differ by up to this from those in float64."""

MOST = 2**20
"""The size of the largest file that is read, in bytes."""
NUMBERS: dict[str, object] = {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 2}
SCHEMA = WithJsonSchema({"anyOf": [NUMBERS, {"type": "string", "title": "A file of levels"}]})
"""What editors accept in a YAML file: the list itself or the name of a file."""


class Explicit(TimeSteps, name="explicit"):
    r"""A list of levels, such as those that an optimisation found for a model and a solver.

    ``levels`` are L positive noise levels in decreasing order, without the final 0. For N = L they are used as they
    are; for another N they are interpolated in :math:`\ln\sigma`. Raises ``ValueError`` if one of them is outside
    the limits of the denoiser by more than rounding errors of float32. Sabour et al. (2024).

    ``levels`` may also be the name of a file, relative to the YAML file: ``.json`` with a list of numbers, ``.npy``
    with an array ``[L]``, or any other name with numbers in plain text, separated by spaces, commas or line breaks,
    where ``#`` begins a comment. It is read when the YAML file is loaded, and the identity is that of the numbers.
    """

    formula = r"\ln\sigma_i = \text{the given } \ln\sigma \text{ at } \tfrac{i}{N-1} (L - 1), \quad i < N"
    sources = (SABOUR_2024,)
    levels: Annotated[tuple[Positive, ...], Field(min_length=2), SCHEMA]

    @field_validator("levels", mode="before")
    @classmethod
    def _from_file(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str | Path):
            return value
        path = (folder_of(info) or Path.cwd()) / Path(value).expanduser()
        try:
            with reading(path):
                return _read(path)
        except DataError as error:
            text = str(error)
        except (ValueError, RecursionError) as error:
            text = f"{path} is not a list of numbers{_reason(error)}"
        raise PydanticCustomError("levels_file", "{text}", {"text": text})

    @field_validator("levels")
    @classmethod
    def _decreasing(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        for a, b in pairwise(levels):
            if a <= b:
                text = f"levels must decrease, but {a:g} is followed by {b:g}"
                raise PydanticCustomError("not_decreasing", "{text}", {"text": text})
        return levels

    def sigmas(self, n: int) -> Tensor:
        return interpolated(torch.tensor(self.levels, dtype=torch.float64), n)

    def within(self, lo: float, hi: float) -> Self:
        """The same levels; those outside the limits by a relative ``ROUNDING`` at most are moved to the limits.

        Raises ``ValueError`` if one of them is further outside.
        """
        if lo <= self.levels[-1] and self.levels[0] <= hi:
            return self
        if self.levels[-1] < lo * (1 - ROUNDING) or self.levels[0] > hi * (1 + ROUNDING):
            ends = f"{self.levels[0]:g} to {self.levels[-1]:g}"
            raise ValueError(f"time_steps explicit: {ends} is not within the denoiser's range, {hi:g} to {lo:g}")
        return self.model_copy(update={"levels": tuple(min(max(level, lo), hi) for level in self.levels)})


def _read(path: Path) -> Sequence[float]:
    """The numbers in a file. Raises ``ValueError`` if it has other content."""
    if path.stat().st_size > MOST:
        raise ValueError(f"it has more than {MOST:,} bytes")
    if path.suffix == ".npy":
        array = np.load(path, allow_pickle=False)
        if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "iuf":
            raise ValueError("it holds no array [L] of real numbers")
        return [float(value) for value in array]
    text = path.read_text("utf-8")
    if path.suffix != ".json":
        lines = (line.partition("#")[0] for line in text.splitlines())
        return [float(word) for line in lines for word in line.replace(",", " ").split()]
    found = json.loads(text)
    if not isinstance(found, list) or not all(type(value) in (int, float) for value in found):
        raise ValueError("its JSON is something else")
    return found


def _reason(error: Exception) -> str:
    return "" if isinstance(error, UnicodeDecodeError | RecursionError) else f": {str(error).splitlines()[0]}"
