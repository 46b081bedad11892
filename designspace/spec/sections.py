"""From settings to the validated sections of a trial, and pydantic's errors as problems with the settings.

A grid has far fewer distinct sections and rows than points. Each distinct one is validated once, and the points that
have it share the object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from designspace.data.load import load_images
from designspace.data.rows import Data
from designspace.denoising.guidance import Guidance
from designspace.denoising.rows import Decoder, Denoiser
from designspace.denoising.sigma_data import MEASURE
from designspace.denoising.sigma_data import NAME as SIGMA_DATA
from designspace.design import Design
from designspace.errors import DataError, Kind, Problem, SpecError, brief
from designspace.interrupts import contained
from designspace.registry.component import FOLDER, Component, Spec
from designspace.registry.wording import problem_at
from designspace.spec.evaluate import Evaluate
from designspace.spec.paths import STEPS, Location, Setting, build, written
from designspace.spec.problems import Problems, refusal
from designspace.spec.steps import Steps
from designspace.storage.files import content_key

NAME_ERRORS = {"unknown_component", "unnamed_component", "wrong_component", "not_a_component"}
"""The types of pydantic errors that concern the name of a component rather than its fields."""

Key = tuple[Any, ...]
"""What a section or one of its fields is made of: its name and the settings concerned, by their ``id``."""
Signature = tuple[str, Location, str, str]
"""What identifies one of pydantic's errors: its section, location, type and message."""


@dataclass(frozen=True)
class Draft:
    """A trial before its steps are counted and before it is repeated."""

    design: Design
    data: Data
    denoiser: Denoiser
    guidance: Guidance
    decoder: Decoder
    evaluate: Evaluate
    steps: Steps

    def denoisers(self) -> Iterator[tuple[Location, Denoiser]]:
        """The denoisers that it names, each with its location: the denoiser and those in fields of the guidance."""
        yield ("denoiser",), self.denoiser
        for name, value in self.guidance:
            if isinstance(value, Denoiser):
                yield ("guidance", name), value

    def components(self) -> Iterator[tuple[Location, Component]]:
        """The components that it names, each with its location, without those in the fields of others."""
        yield ("data",), self.data
        yield ("denoiser",), self.denoiser
        yield ("guidance",), self.guidance
        yield ("decoder",), self.decoder
        yield ("evaluate", "detector"), self.evaluate.detector
        if self.evaluate.reference is not None:
            yield ("evaluate", "reference"), self.evaluate.reference
        yield from ((("evaluate", "metrics", i), metric) for i, metric in enumerate(self.evaluate.metrics))
        yield from ((("design", row), value) for row, value in self.design if isinstance(value, Component))


MODELS: Mapping[str, type[Spec]] = {
    "design": Design,
    "data": Data,
    "denoiser": Denoiser,
    "guidance": Guidance,
    "decoder": Decoder,
    "evaluate": Evaluate,
    "steps": Steps,
}
"""The sections of a trial, in the order in which they are validated."""


class Sections:
    """The validated sections of all points of a grid.

    Settings are recognised by identity, so those of the grid must outlive this object.

    Args:
        base: The settings of the baseline. Its errors are not blamed on a value of an axis.
        folder: Relative file names in the settings are relative to this folder.
    """

    def __init__(self, base: Sequence[Setting], folder: Path) -> None:
        self._folder = folder
        self._sections: dict[Key, Any] = {}
        self._fields: dict[Key, Any] = {}
        self._known = set(self._errors_of(base))

    def draft(self, settings: Sequence[Setting]) -> Draft:
        """The draft that ``settings`` give, in the order in which they are applied.

        Raises ``SpecError`` with every problem; each carries the path of the value that causes it.
        """
        problems, found, own = Problems(), dict[str, Any](), _by_section(settings)
        for name in MODELS:
            with problems.collecting():
                found[name] = self._section(name, own[name], _measured_on(own))
        if problems:
            raise SpecError(problems)
        return Draft(**found)

    def _section(self, name: str, own: Sequence[Setting], data: Sequence[Setting]) -> Any:
        """A section from its ``own`` settings; it may depend on those of the ``data`` through ``sigma_data: data``.

        ``data`` includes the settings of the decoder, with which the data say nothing about ``sigma_data``.
        """
        key = _key(name, "", own, data)
        if key not in self._sections:
            try:
                self._sections[key] = self._made(name, own, data)
            except SpecError as error:
                self._sections[key] = Problems(error.problems)
        found = self._sections[key]
        if isinstance(found, Problems):
            raise SpecError(found)
        return found

    def _made(self, name: str, own: Sequence[Setting], data: Sequence[Setting]) -> Any:
        try:
            return self._validated(name, own, data)
        except ValidationError as error:
            raise SpecError([self._problem(name, details, own) for details in _relevant(error)]) from None
        except SpecError:
            raise
        except DataError as error:  # there are no data on which sigma_data could be measured
            raise refusal(str(error), written(data, ("data",)), Kind.FILE) from None
        except Exception as error:  # in a component's own validator
            path = next((s.place for s in own[::-1] if s.varies), (name,))
            raise refusal(f"a component fails: {brief(error)}", path, Kind.USER_CODE) from error

    def _validated(self, name: str, own: Sequence[Setting], data: Sequence[Setting]) -> Any:
        raw = build(own)
        if name != "steps":
            if name not in raw:
                raise refusal("is missing", (name,), Kind.MISSING)
            raw = raw[name]
        keys = _keys_of_fields(name, raw, own, data)
        known = {field: self._fields[key] for field, key in keys.items() if key in self._fields}
        context = {FOLDER: self._folder, MEASURE: partial(self._sigma_data, data)}
        with contained():
            made = MODELS[name].model_validate({**raw, **known} if known else raw, context=context)
        self._fields |= {key: getattr(made, field) for field, key in keys.items() if field not in known}
        return made

    def _sigma_data(self, data: Sequence[Setting]) -> float:
        """The root mean square of the data set; 1 if its settings are invalid, which is reported elsewhere."""
        own = _by_section(data)
        try:
            found, decoder = (self._section(name, own[name], data) for name in ("data", "decoder"))
        except SpecError:
            return 1.0
        if decoder.decodes:
            text = f"'data' is measured on pixels, and the denoiser works on latents of decoder {decoder.name}"
            raise PydanticCustomError("of_pixels", "{text}", {"text": f"{text}: give their root mean square"})
        return _measured(found, content_key(found.identity()))

    def _errors_of(self, base: Sequence[Setting]) -> Iterator[Signature]:
        """The signatures of pydantic's errors for the baseline."""
        own = _by_section(base)
        for name in MODELS:
            try:
                self._validated(name, own[name], _measured_on(own))
            except ValidationError as error:
                yield from (_signature(name, details) for details in error.errors())
            except Exception:  # reported for each point that has it
                continue

    def _problem(self, name: str, error: ErrorDetails, settings: Sequence[Setting]) -> Problem:
        """One of pydantic's errors in a section as a problem with the setting that causes it."""
        section = () if name == "steps" else (name,)
        location, of_name = (*section, *error["loc"]), error["type"] in NAME_ERRORS
        if isinstance(error["input"], dict):
            if of_name and "name" in error["input"]:
                location = (*location, "name")
            elif not of_name and _signature(name, error) not in self._known:  # a field that varies is to blame
                inside = (s for s in settings[::-1] if s.varies and s.path[: len(location)] == location)
                if setting := next(inside, None):
                    return problem_at(setting.place, error)
        problem = problem_at(location, error)
        return problem._replace(path=written(settings, location, key=problem.key))


def _by_section(settings: Sequence[Setting]) -> dict[str, list[Setting]]:
    found: dict[str, list[Setting]] = {name: [] for name in MODELS}
    for setting in settings:
        first = setting.path[0]
        found["steps" if first in STEPS else first].append(setting)
    return found


def _measured_on(own: Mapping[str, Sequence[Setting]]) -> list[Setting]:
    """The settings on which the value of ``sigma_data: data`` depends."""
    return [*own["data"], *own["decoder"]]


def _key(name: str, field: str, own: Sequence[Setting], data: Sequence[Setting]) -> Key:
    return (name, field, *map(id, own), *(map(id, data) if name != "data" else ()))


def _keys_of_fields(name: str, raw: Any, own: Sequence[Setting], data: Sequence[Setting]) -> dict[str, Key]:
    """For each field of a section that sections may share, what it is made of."""
    if name not in ("design", "evaluate") or not isinstance(raw, dict):
        return {}
    whole = [setting for setting in own if len(setting.path) == 1 or setting.path[1] == SIGMA_DATA]
    parts: dict[str, list[Setting]] = {}
    for setting in own:
        if len(setting.path) > 1:
            parts.setdefault(setting.path[1], []).append(setting)
    fields = [field for field in raw if field in MODELS[name].model_fields]
    return {field: _key(name, field, whole + parts.get(field, []), data) for field in fields}


@lru_cache
def _measured(data: Data, content: str) -> float:
    return load_images(data).sigma_data


def _relevant(error: ValidationError) -> list[ErrorDetails]:
    """The errors, except "too short" for a list with an invalid item, which pydantic does not count as an item."""
    found = error.errors()
    above = {details["loc"][:i] for details in found for i in range(len(details["loc"]))}
    return [details for details in found if not (details["type"] == "too_short" and details["loc"] in above)]


def _signature(name: str, error: ErrorDetails) -> Signature:
    return name, error["loc"], error["type"], error["msg"]
