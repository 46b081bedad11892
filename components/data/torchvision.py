import inspect
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from pydantic import field_validator

from designspace.data.decode import decode
from designspace.data.images import Images
from designspace.data.items import Items
from designspace.errors import DataError, brief
from designspace.registry.factories import Arguments
from designspace.registry.identity import identity_of
from designspace.storage.files import content_key, path_hash, reading
from designspace.text import did_you_mean

OURS = ("root", "download", "loader", "transform", "target_transform", "transforms", "is_valid_file")
"""Arguments that are not the user's to give."""
PICKLES = ("LSUN", "LSUNClass")
"""Classes that read pickles, which may run code, without comparing them with published hashes."""
PLACES = ("base_folder", "_base_folder", "raw_folder", "_data_dir", "_data_path", "target_folder", "filename")
"""Attributes of classes that name the file or folder below the root from which they read."""


class Torchvision(Items, name="torchvision"):
    """A data set of torchvision: the class ``dataset``, such as ``CIFAR10``, ``MNIST``, ``SVHN`` or ``ImageFolder``.

    ``root`` is the folder that the class is given, and ``kwargs`` are its other arguments, such as ``train: false`` or
    ``split: test``. Nothing is downloaded; if files are missing, the error is the command that downloads them. The
    class must give pairs of an image and a class number; with ``label: none``, only the images are used. ``size`` and
    ``crop``, and what becomes of large sets, are as in the data set ``folder``.

    The identity covers the name of the class, the arguments, and the contents of the folder from which it reads:
    ``cifar-10-batches-py``, ``MNIST/raw``, ..., or ``root`` if torchvision does not say which it is. Raises
    ``DataError`` if files are missing or damaged, and for classes that give something else.
    """

    dataset: str
    root: Path
    kwargs: Arguments = Arguments.model_validate({})
    label: Literal["none"] | None = None

    @field_validator("kwargs")
    @classmethod
    def _theirs(cls, kwargs: Arguments) -> Arguments:
        if wrong := sorted(set(kwargs.model_extra or {}) & set(OURS)):
            raise ValueError(f"{wrong[0]} is not yours to give: nothing is downloaded or transformed")
        return kwargs

    def load(self) -> Images:
        return self.read(self._made(), f"torchvision's {self.dataset} in {self.root}", labelled=self.label is None)

    def files_hash(self) -> str:
        own = [self.dataset, identity_of(self.kwargs), *([self.label] if self.label else [])]
        return content_key(own, path_hash(_place(self)))

    def place(self) -> Path:
        """The file or folder from which the class reads, which a class tells only after it has read it."""
        made = self._made()
        known = (value for name in PLACES if isinstance(value := getattr(made, name, None), str | Path) and value)
        return next((place for value in known if (place := self.root / value).exists()), self.root)

    def _class(self) -> Any:
        from torchvision import datasets  # imported here because it takes a second

        known = [name for name in datasets.__all__ if inspect.isclass(getattr(datasets, name))]
        if self.dataset not in known:
            guess = did_you_mean(self.dataset, known) or " See torchvision.datasets"
            raise DataError(f"torchvision has no data set '{self.dataset}'.{guess}")
        if self.dataset in PICKLES:
            raise DataError(f"torchvision's {self.dataset} reads a pickle, which may run any code: use data 'folder'")
        return getattr(datasets, self.dataset)

    def _made(self) -> Any:
        cls = self._class()
        with reading(self.root):
            self.root.stat()
        accepts = inspect.signature(cls).parameters
        given: dict[str, Any] = self.kwargs.model_dump()
        own = {"download": False, "loader": _image}
        try:
            return cls(str(self.root), **given, **{name: own[name] for name in own if name in accepts})
        except Exception as error:
            if "download" not in accepts and not any(p.kind is p.VAR_KEYWORD for p in accepts.values()):
                raise DataError(f"torchvision's {self.dataset} in {self.root}: {brief(error)}") from error
            arguments = "".join(f", {name}={value!r}" for name, value in given.items())
            make = f"{self.dataset}('{self.root.absolute()}'{arguments}, download=True)"
            code = f"from torchvision.datasets import {self.dataset}; {make}"
            why = f"torchvision's {self.dataset} is not in {self.root} ({brief(error)}), and nothing is downloaded"
            raise DataError(f'{why}: python -c "{code}" does it') from error


@lru_cache(maxsize=8)
def _place(data: Torchvision) -> Path:
    """``data.place()``, found only once."""
    return data.place()


def _image(path: str) -> Image.Image:
    """Read an image as strictly as those of the data set ``folder``."""
    file = Path(path)
    with reading(file):
        content = file.read_bytes()
    try:
        return decode(content)
    except DataError as error:
        raise DataError(f"{path} {error}") from error
