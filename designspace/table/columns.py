"""Reading columns of Table 1 from text: ``edm``, ``edm:solver=euler,time_steps.rho=5``, or the file of an ablation.

An ablation stands for its distinct designs, which are named after the points that use them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from designspace.design import Design, preset_names
from designspace.errors import Place, Problem, SpecError, dotted
from designspace.registry.wording import problems_of
from designspace.spec import Ablation, load
from designspace.spec.axes import Change, Choice
from designspace.spec.document import parse
from designspace.spec.paths import Setting, build
from designspace.spec.problems import refusal
from designspace.text import Label, config_name, did_you_mean, joint_name

Columns = Mapping[str, Design]
"""Designs by name. All are compared with the first."""


def read_columns(texts: Iterable[str | Design]) -> Columns:
    """The designs that ``texts`` name, in their order; a ``Design`` among them is called by its place, ``design 2``.

    Raises ``SpecError`` with one line for each that names none.
    """
    found: dict[str, Design] = {}
    problems: list[Problem] = []
    for place, text in enumerate(texts, 1):
        try:
            for name, design in [(f"design {place}", text)] if isinstance(text, Design) else _named(text):
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
    except ValidationError as error:
        problems = [p._replace(what=": ".join(filter(None, (dotted(p.path), p.what)))) for p in problems_of(error)]
    except SpecError as error:
        problems = [p._replace(what=f"{p.what}{_file(name)}") for p in error.problems]
    raise SpecError(p._replace(place=Place(text)) for p in problems)


def designs_of(ablation: Ablation) -> Columns:
    """The distinct designs of an ablation, named after the points that use them."""
    points = [(dict(point.axes), point.trial.design) for point in ablation.points()]
    axes = ablation.axes
    for axis in reversed(ablation.axes):
        if _determined([other for other in axes if other != axis], points):
            axes.remove(axis)
    names: dict[Design, dict[str, None]] = {}
    for labels, design in points:
        name = config_name({axis: labels[axis] for axis in axes}) if axes else ablation.name
        names.setdefault(design, {})[name] = None
    return {joint_name(list(called)): design for design, called in names.items()}


def _named(text: str) -> Iterator[tuple[str, Design]]:
    if Path(text).suffix in (".yaml", ".yml"):
        yield from designs_of(load(text)).items()
    else:
        yield text, read_design(text)


def _settings(text: str) -> Iterator[Setting]:
    """The settings in ``ROW=VALUE,ROW=VALUE``. A comma inside a value does not end a setting."""
    seen: set[str] = set()
    for part in re.split(r",(?=[\s\w.]+=)", text) if text else ():
        name, equals, value = part.partition("=")
        if not equals:
            raise refusal(f"'{part}' is not ROW=VALUE", ())
        if name.strip() in seen:
            raise refusal(f"'{name.strip()}' is given twice", ())
        seen.add(name.strip())
        for setting in Change(set={name.strip(): _value(value)}).settings(()):
            if setting.path[0] != "design" or setting.path == ("design",):
                near = did_you_mean(name, _ROWS)
                raise refusal(f"'{name.strip()}' is not a row of a design.{near}", ())
            yield setting


def _value(text: str) -> Any:
    document = parse(text, text, lines=False)
    if document.problems:
        raise SpecError(document.problems)
    return document.data


def _file(name: str) -> str:
    file = f"{name}.yaml"
    return f" Did you mean '{file}'?" if name and Path(file).is_file() and name not in preset_names() else ""


def _determined(axes: Sequence[str], points: Sequence[tuple[dict[str, Label], Design]]) -> bool:
    """Whether points that are equal in ``axes`` have equal designs."""
    seen: dict[tuple[Label, ...], Design] = {}
    return all(seen.setdefault(tuple(labels[axis] for axis in axes), design) == design for labels, design in points)


_ROWS = tuple(Design.model_fields)
