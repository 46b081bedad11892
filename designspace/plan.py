"""All points of an ablation, or all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from designspace.axes import Choice
from designspace.claims import Claim, check
from designspace.component import FOLDER, ROWS
from designspace.document import Document
from designspace.errors import BadValueError
from designspace.grid import choices
from designspace.paths import PARTS, SECTIONS, STEPS, Setting
from designspace.resolve import Fault, faults, trials
from designspace.trial import Evaluate, Point, Trial
from designspace.user_code import import_all
from designspace.warn import warnings

if TYPE_CHECKING:
    from designspace.spec import Ablation


class Plan(NamedTuple):
    """What an ablation comes to."""

    points: list[Point]
    claims: tuple[Claim, ...]
    warnings: list[str]


def plan(ablation: Ablation, document: Document) -> Plan:
    """Resolve ``ablation``; what is wrong is added to the problems of ``document``, where it was written."""
    folder = Path(document.source).absolute().parent if document.source else Path.cwd()
    errors = list(import_all(ablation.components, folder))
    token = FOLDER.set(folder)
    try:
        found = _plan(ablation, document, errors)
    finally:
        FOLDER.reset(token)
    document.problems += [document.problem(error.place, str(error), key=error.key) for error in errors]
    return found


def _plan(ablation: Ablation, document: Document, errors: list[BadValueError]) -> Plan:
    base, parts = baseline(ablation), {part: getattr(ablation, part) for part in PARTS}
    incomplete = bool(errors)
    if ablation.num_steps is not None and ablation.nfe is not None:
        errors.append(BadValueError(("nfe",), "num_steps is given too; give one of the two", key=True))
    found, broken = choices(parts, errors), len(errors)
    points = list(_points(base, found, errors))
    if incomplete:  # what is missing may be in the files that could not be imported
        unregistered = tuple(f"unknown {row} " for row in ROWS)
        errors[broken:] = [error for error in errors[broken:] if not str(error).startswith(unregistered)]
    claims = _claims(ablation, base, found, errors)
    noted = list(warnings(document, base, found, [point.trial for point in points]))
    return Plan(points, claims, noted)


def baseline(ablation: Ablation) -> list[Setting]:
    """What is set at every point that does not replace it."""
    detector = ("evaluate", "detector")
    found = [Setting(detector, Evaluate.model_fields["detector"].default, detector, detector)]
    for name in (*SECTIONS, *STEPS):
        if (value := getattr(ablation, name)) is not None:
            found += Setting((name,), value, (name,), (name,)).parts()
    return found


def _points(base: list[Setting], found: Sequence[Choice], errors: list[BadValueError]) -> Iterator[Point]:
    known = _faults(base)
    for choice in found or [Choice()]:
        for result in trials(choice.on(base), known):
            if isinstance(result, Trial):
                yield Point(dict(choice.labels), result)
            elif found or not str(result).startswith("is missing"):  # an axis that is wrong may have set it
                errors.append(result)


def _faults(base: list[Setting]) -> list[Fault]:
    try:
        return faults(base)
    except BadValueError:
        return []


def _claims(
    ablation: Ablation, base: Sequence[Setting], found: Sequence[Choice], errors: list[BadValueError]
) -> tuple[Claim, ...]:
    settings = [*base, *(setting for choice in found for setting in choice.settings)]
    asked = [s.value for s in settings if s.path == ("evaluate", "metrics")]
    asked = asked or [Evaluate.model_fields["metrics"].default]
    metrics = [_name(metric) for value in asked if isinstance(value, list | tuple) for metric in value]
    claims: list[Claim] = []
    for result in check(ablation.claims, [choice.labels for choice in found], metrics) if found else ():
        if isinstance(result, Claim):
            claims.append(result)
        else:
            errors.append(result)
    return tuple(claims)


def _name(component: Any) -> str:
    return str(component.get("name")) if isinstance(component, dict) else str(component)
