"""Callables that a spec names, such as the factory of a network, and their keyword arguments.

A callable is named ``./file.py:callable`` or ``package.module:callable``.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import to_jsonable_python

from designspace.errors import DataError, WithheldError, brief
from designspace.interrupts import contained
from designspace.registry import sources
from designspace.registry.component import Spec, folder_of
from designspace.registry.discovery import file_module, import_file, import_module, why_no_user_module
from designspace.registry.execution import about_to_execute
from designspace.registry.identity import CountsAs, Since
from designspace.storage.files import reading
from designspace.text import did_you_mean

PATH = ("./", "../", "/", "~/")
"""How a text in keyword arguments begins that is a path."""


def _with_paths(value: Any, info: ValidationInfo) -> Any:
    """``value`` with a path, relative to the spec, for each text in it that begins as one."""
    if isinstance(value, str):
        folder = folder_of(info) or Path.cwd()
        return folder / Path(value).expanduser() if value.startswith(PATH) else _no_file(value, folder)
    if isinstance(value, list):
        return [_with_paths(item, info) for item in value]
    return {key: _with_paths(item, info) for key, item in value.items()} if isinstance(value, dict) else value


def _no_file(text: str, folder: Path) -> str:
    """``text``, unless it names a file: the factory would open the one in its working directory, whichever counts."""
    for place, path in ((folder, f"./{text}"), (Path.cwd(), Path.cwd() / text)):
        if _leads_to(place / text, Path.is_file):
            raise ValueError(f"{text} names a file: write {path}")
    return text


Argument = Annotated[JsonValue, AfterValidator(_with_paths), PlainSerializer(to_jsonable_python)]


class Arguments(Spec):
    """Keyword arguments with any names and with JSON values, so that a spec that contains them can be stored.

    A text that begins with ``./``, ``../``, ``/`` or ``~/`` is a path relative to the spec. It counts by the content of
    the file or folder, wherever that is. ``model_dump`` gives the arguments with absolute paths as text. Other texts
    must not be names of files, neither beside the spec nor in the working directory.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Argument]

    @model_validator(mode="after")
    def _finite(self) -> Self:
        try:
            json.dumps(self.model_dump(), allow_nan=False)
        except ValueError:
            raise ValueError("should be finite numbers, text, lists and mappings") from None
        return self

    def folders_in(self, folder: Path) -> list[Path]:
        """The folders in ``folder``, that of the spec, that texts name without beginning as paths."""
        texts = dict.fromkeys(text for text in _texts(self.model_extra) if text.strip("./"))
        return [folder / text for text in texts if _leads_to(folder / text, Path.exists)]


def _leads_to(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
    except OSError:  # the text is too long for a path
        return False


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def _beside_the_spec(factory: str, info: ValidationInfo) -> str:
    if not re.fullmatch(r"[^:].*:[^\W\d]\w*", factory):
        raise ValueError(f"should be package.module:callable or ./file.py:callable, not {factory!r}")
    place, name = _parts(factory)
    if why := why_no_user_module(place):
        raise ValueError(why)
    folder = folder_of(info)
    return f"{folder / Path(place).expanduser()}:{name}" if folder and place.endswith(".py") else factory


def find(factory: str, *, again: bool = False) -> Any:
    """Import the callable called ``factory``. Raises ``DataError`` if it is missing or its module cannot be imported.

    With ``again``, a module whose files have changed since is imported again; otherwise the one in memory is used.
    """
    content(factory)  # its errors say most clearly what is missing
    place, name = _parts(factory)
    module = _module(place, again)
    found = getattr(module, name, None)
    if not callable(found):
        known = [other for other, value in vars(module).items() if callable(value)]
        raise DataError(f"{place} has no callable '{name}'.{did_you_mean(name, known)}")
    return found


def content(factory: str) -> list[str]:
    """The hash of the module's source, wherever its file is, and the name of the callable.

    Nothing is executed except parent packages. The source is the one that was executed or, if none was yet, the one in
    the file, together with the modules that it imports from its own folder or package. Raises ``DataError`` if there is
    no such module.
    """
    place, name = _parts(factory)
    if executed := sources.recorded(_name(place)):
        return [executed, name]
    source = _source(place)
    if source is None:
        return [place, name]
    if source.exists() and not source.is_file():
        raise DataError(f"{source} is not a file")  # but a folder or, for instance, a pipe, which would never end
    with reading(source):
        return [sources.of_file(source), name]


Factory = Annotated[str, AfterValidator(_beside_the_spec), CountsAs(content)]
"""The name of a callable; a file is relative to the spec that names it. It counts by its source."""


class FromCallable(Spec):
    """Fields that name a callable, its arguments and the files that it reads: a mixin for components.

    Attributes:
        factory: ``package.module:callable`` or ``./file.py:callable``, relative to the YAML file.
        kwargs: Its keyword arguments. A text that begins with ``./``, ``../``, ``/`` or ``~/`` is a path relative to
            the YAML file.
        files: Files and folders that the callable reads without being told in ``kwargs``.
    """

    factory: Factory
    kwargs: Arguments = Arguments.model_validate({})
    files: Annotated[tuple[Path, ...], Field(validate_default=True), Since(())] = ()

    @field_validator("files")
    @classmethod
    def _and_those_in_kwargs(cls, files: tuple[Path, ...], info: ValidationInfo) -> tuple[Path, ...]:
        """Add the folders beside the spec that ``kwargs`` names as the factory will see them, without ``./``."""
        folder, kwargs = folder_of(info), info.data.get("kwargs")
        named = kwargs.folders_in(folder) if folder and kwargs else []
        return (*files, *(file for file in named if file not in files))

    def require(self) -> None:
        """Import the factory. Raises ``DataError`` if it is missing."""
        try:
            find(self.factory, again=True)
        except DataError as error:
            error.within("factory")
            raise

    def called(self, offered: Mapping[str, Any]) -> Any:
        """What the factory returns for ``kwargs`` and those of the ``offered`` arguments that it has parameters for.

        Raises ``DataError`` if it fails.
        """
        make = find(self.factory)
        wanted = {name: offered[name] for name in _parameters(make) if name in offered}
        try:
            with contained():
                return make(**(wanted | self.kwargs.model_dump()))
        except Exception as error:
            raise DataError(f"{self.factory} fails: {brief(error)}") from error


def _parameters(make: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(make).parameters)
    except ValueError:  # some callables written in C have no signature
        return []


def _parts(factory: str) -> tuple[str, str]:
    place, _, name = factory.rpartition(":")
    return place, name


def _name(place: str) -> str:
    return file_module(Path(place).resolve()) if place.endswith(".py") else place


def _module(place: str, again: bool) -> ModuleType:
    if not again and sources.recorded(_name(place)):
        return sys.modules[_name(place)]
    try:
        with contained():
            if place.endswith(".py"):
                return import_file(Path(place).resolve(), "factory")
            return import_module(place, "factory")
    except WithheldError:
        raise
    except Exception as error:
        raise DataError(f"{place} cannot be imported: {brief(error)}") from error


def _source(place: str) -> Path | None:
    if place.endswith(".py"):
        return Path(place)
    if "." in place:
        about_to_execute(place, "factory")  # looking for it executes the package that it is in
    try:
        spec = importlib.util.find_spec(place)
    except Exception as error:
        raise DataError(f"{place} cannot be imported: {brief(error)}") from error
    if spec is None:
        raise DataError(f"there is no module '{place}': install it, or name a file, ./{place.split('.')[-1]}.py")
    return Path(spec.origin) if spec.origin and spec.has_location else None
