"""All points of an ablation, or all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from designspace.errors import Problem
from designspace.registry.component import FOLDER
from designspace.registry.known import ROWS
from designspace.spec.axes import Choice
from designspace.spec.claims import Claim, check
from designspace.spec.document import Document
from designspace.spec.errors import BadValueError, DocPath, dotted
from designspace.spec.grid import choices
from designspace.spec.paths import PARTS, SECTIONS, STEPS, FieldPath, Setting
from designspace.spec.resolve import Fault, faults, trials
from designspace.spec.trial import Evaluate, Point, Trial
from designspace.spec.unmeasured import unmeasured
from designspace.spec.user_code import import_all
from designspace.spec.warn import warnings

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
    # What is missing may be in the files that could not be imported.
    followers = tuple(f"unknown {row} " for row in ROWS) if errors else ()
    if ablation.num_steps is not None and ablation.nfe is not None:
        errors.append(BadValueError(("nfe",), "num_steps is given too; give one of the two", key=True))
    before = len(errors)
    found = choices(parts, errors)
    broken = len(errors) > before
    if broken or any(_may_set(problem) for problem in document.problems):
        followers = (*followers, "is missing")
    points: list[Point] = []
    for result in _points(base, found):
        if isinstance(result, Point):
            points.append(result)
        elif not str(result).startswith(followers):
            errors.append(result)
    claims = () if broken else _claims(ablation, base, found, errors)
    noted = list(warnings(document, base, found, [point.trial for point in points]))
    noted += _overruled(document, base, found)
    for problem, all_do in unmeasured(base, [point.trial for point in points]):
        if all_do:
            errors.append(problem)
        else:
            noted.append(str(document.problem(problem.place, str(problem))))
    return Plan(points, claims, noted)


def _may_set(problem: Problem) -> bool:
    """Whether the author may have meant to set a field that is missing now."""
    return problem.what.startswith("unknown field") or problem.where.split(".")[0] in PARTS


def baseline(ablation: Ablation) -> list[Setting]:
    """What is set at every point that does not replace it."""
    detector = ("evaluate", "detector")
    found = [Setting(detector, Evaluate.model_fields["detector"].default, detector, detector)]
    for name in (*SECTIONS, *STEPS):
        if (value := getattr(ablation, name)) is not None:
            found += Setting((name,), value, (name,), (name,)).parts()
    return found


def place_of(ablation: Ablation, path: FieldPath, value: Any) -> DocPath:
    """Where ``value`` was given to the field at ``path``; where it would be, if it is a default."""
    varied = choices({part: getattr(ablation, part) for part in PARTS}, [])
    settings = [*baseline(ablation), *(setting for choice in varied for setting in choice.settings)]
    given = [
        s for s in settings if s.path == path and (tuple(s.value) if isinstance(s.value, list) else s.value) == value
    ]
    return given[0].place if given else path


def _overruled(document: Document, base: Sequence[Setting], found: Sequence[Choice]) -> Iterator[str]:
    """Steps of the baseline that no point has, because each has others; those of options are said elsewhere."""
    for setting in (setting for setting in base if setting.path[0] in STEPS):
        over = [new for choice in found for new in choice.settings if new.path[0] in STEPS]
        spot = document.spots.get(setting.place)
        if over and (spot is None or spot.value.line) and all(setting not in choice.on(base) for choice in found):
            yield str(document.problem(setting.place, f"has no effect: {dotted(over[0].key)} sets it"))


def _points(base: list[Setting], found: Sequence[Choice]) -> Iterator[Point | BadValueError]:
    known = _faults(base)
    for choice in found:
        for result in trials(choice.on(base), known):
            yield Point(dict(choice.labels), result) if isinstance(result, Trial) else result


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
    for result in check(ablation.claims, [choice.labels for choice in found], metrics):
        if isinstance(result, Claim):
            claims.append(result)
        else:
            errors.append(result)
    return tuple(claims)


def _name(component: Any) -> str:
    name = component.get("name") if isinstance(component, dict) else getattr(component, "name", component)
    return str(name)
