"""Designs as they are written on the command line: ``edm``, ``edm:solver=euler,time_steps.rho=5``, or an ablation.

The file of an ablation stands for all of its designs, each with the name of the points that use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from designspace.design import Design, preset_names
from designspace.errors import Problem, SpecError
from designspace.spec import Ablation, load
from designspace.spec.axes import Change, Choice
from designspace.spec.document import parse
from designspace.spec.errors import BadValueError, dotted, what
from designspace.spec.paths import Location, Setting, build
from designspace.spec.trial import Label
from designspace.text import and_equal, config_name, did_you_mean

Columns = Mapping[str, Design]
"""Designs by name. The others are compared with the first."""


def read_columns(texts: Sequence[str]) -> Columns:
    """The designs that ``texts`` name, in their order. Raises ``SpecError`` with one line for each invalid text."""
    found: dict[str, Design] = {}
    problems: list[Problem] = []
    for text in texts:
        try:
            for name, design in _named(text):
                found.setdefault(name if found.get(name, design) == design else f"{text}: {name}", design)
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return found


def read_design(text: str) -> Design:
    """The design ``PRESET`` or ``PRESET:ROW=VALUE,ROW.FIELD=VALUE``. Raises ``SpecError``."""
    name, _, changes = text.partition(":")
    try:
        base = list(Setting(("design",), name, (), ()).parts())
        raw = build(Choice(settings=tuple(_settings(changes))).on(base))
        return Design.model_validate(raw["design"])
    except BadValueError as error:
        where = f"{error.place[-1]}: " if error.key else ""
        problems = [Problem(None, text, f"{where}{error}{_file(name)}")]
    except SpecError as error:
        problems = [Problem(None, text, problem.what) for problem in error.problems]
    except ValidationError as error:
        problems = [Problem(None, text, f"{_row(e['loc'])}: {what(e)}") for e in error.errors()]
    raise SpecError(problems)


def designs_of(ablation: Ablation) -> Columns:
    """The distinct designs of an ablation, with the names of the points that use them."""
    points = [(dict(point.axes), point.trial.design) for point in ablation.points()]
    axes = ablation.axes
    for axis in reversed(ablation.axes):
        if _determined([other for other in axes if other != axis], points):
            axes.remove(axis)
    names: dict[Design, dict[str, None]] = {}
    for labels, design in points:
        name = config_name({axis: labels[axis] for axis in axes}) if axes else ablation.name
        names.setdefault(design, {})[name] = None
    return {and_equal(list(called)): design for design, called in names.items()}


def _named(text: str) -> Iterator[tuple[str, Design]]:
    if Path(text).suffix in (".yaml", ".yml"):
        yield from designs_of(load(text)).items()
    else:
        yield text, read_design(text)


def _settings(text: str) -> Iterator[Setting]:
    """The settings between commas. A comma inside a value, as in ``{name: heun, alpha: 1}``, ends no setting."""
    for part in re.split(r",(?=[\s\w.]+=)", text) if text else ():
        name, equals, value = part.partition("=")
        if not equals:
            raise BadValueError((), f"'{part}' is not ROW=VALUE")
        for setting in Change(set={name.strip(): _value(value)}).settings(()):
            if setting.path[0] != "design" or setting.path == ("design",):
                raise BadValueError((), f"'{name.strip()}' is not a row of a design{did_you_mean(name, _ROWS) or '.'}")
            yield setting


def _value(text: str) -> Any:
    document = parse(text, text, lines=False)
    if document.problems:
        raise BadValueError((), document.problems[0].what)
    return document.data


def _row(location: Location) -> str:
    return dotted(location[1:] if location[:1] == ("design",) else location)


def _file(name: str) -> str:
    file = f"{name}.yaml"
    return f" Did you mean '{file}'?" if name and Path(file).is_file() and name not in preset_names() else ""


def _determined(axes: Sequence[str], points: Sequence[tuple[dict[str, Label], Design]]) -> bool:
    """Whether the values of ``axes`` determine the design."""
    seen: dict[tuple[Label, ...], Design] = {}
    return all(seen.setdefault(tuple(labels[axis] for axis in axes), design) == design for labels, design in points)


_ROWS = tuple(Design.model_fields)
