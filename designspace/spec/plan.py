"""The points of an ablation and its checked claims, or everything that is wrong with it."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from designspace.errors import DocPath, Kind, Problem, WithheldError, brief, dotted
from designspace.registry.component import FOLDER, Component
from designspace.registry.discovery import file_module, import_user
from designspace.registry.execution import not_executed
from designspace.registry.known import ROWS
from designspace.spec.alike import adding_the_same_noise
from designspace.spec.axes import Choice
from designspace.spec.baseline import baseline
from designspace.spec.candidates import Space
from designspace.spec.claims import Claim, checked
from designspace.spec.document import Document
from designspace.spec.evaluate import Evaluate
from designspace.spec.own import OwnComponents
from designspace.spec.paths import PARTS, SEARCH, STEPS, Setting, axis_name
from designspace.spec.problems import Problems
from designspace.spec.repeats import too_few_repeats
from designspace.spec.resolve import Resolver, unmeasured
from designspace.spec.search import varied
from designspace.spec.trial import Point
from designspace.spec.unfit import unfit
from designspace.spec.unused import axes_without_effect
from designspace.text import did_you_mean_file, joined

FRAMEWORK = str(Path(__file__).parents[1])


class Plan(NamedTuple):
    """A resolved ablation: its points, its claims and the problems found on the way."""

    points: list[Point]
    claims: tuple[Claim, ...]
    problems: list[Problem]
    """Errors and warnings, each with its place in the document."""

    @property
    def errors(self) -> list[Problem]:
        """The problems that prevent the ablation from being used."""
        return [problem for problem in self.problems if not problem.kind.is_warning]

    @property
    def warnings(self) -> list[Problem]:
        """The problems that do not prevent it."""
        return list(dict.fromkeys(problem for problem in self.problems if problem.kind.is_warning))


def plan(fields: Mapping[str, Any], document: Document) -> Plan:
    """Resolve the ablation with these ``fields``, which were read from ``document``."""
    folder = Path(document.source).absolute().parent if document.source else Path.cwd()
    problems, base = Problems(), baseline(fields)
    problems += _import_components(fields["components"], folder)
    not_imported = any(not problem.kind.is_warning for problem in problems)
    given = [name for name in STEPS if fields[name] is not None]
    for name in given[1:]:
        problems.append(Problem(f"{given[0]} is given too; give one of the two", (name,), key=True))
    of_axes = Problems()
    found = varied(fields, of_axes)
    changing = list({id(setting): setting for choice in found for setting in choice.settings}.values())
    problems += of_axes
    consequences = {Kind.UNKNOWN_COMPONENT} if not_imported else set()  # it may be defined in the failing file
    if of_axes or any(_may_set_a_missing_field(problem) for problem in document.problems):
        consequences.add(Kind.MISSING)
    own, of_points = OwnComponents(), Problems()
    tested = fields[SEARCH] is not None and bool(fields[SEARCH].tuned)
    points, evaluations = Resolver(base, folder, own, fresh=tested).points(found, of_points)
    if fields[SEARCH] and not tested:
        of_points += unfit(fields, Space(fields, folder, own), of_points)
    problems += (_withheld(problem) for problem in dict.fromkeys(of_points) if problem.kind not in consequences)
    problems += own.unchecked
    claims: tuple[Claim, ...] = ()
    if not of_axes:
        metrics = _metrics([*base, *changing])
        of_claims = Problems()
        labels = fields[SEARCH].labels if fields[SEARCH] else [choice.labels for choice in found]
        wrong, replaced = _wrong_axes(problems), _replaced_axes(fields, document)
        claims, left_out = checked(fields["claims"], labels, metrics, of_claims, {*wrong, *replaced})
        problems += of_claims
        problems += _left_out(left_out, {axis: place for axis, place in replaced.items() if axis not in wrong})
    different = [point.trial for point in points]
    if not any(problem.kind is Kind.WITHHELD for problem in problems):  # the points that need code may differ
        problems += axes_without_effect(found, different)
        problems += unmeasured(base, different)
    problems += _overruled(document, base, found)
    problems += too_few_repeats(base, points)
    problems += evaluations.warnings(points, [*base, *changing])
    problems += adding_the_same_noise(points, evaluations.cost, changing)
    return Plan(points, claims, [document.locate(problem) for problem in problems])


def place_of(fields: Mapping[str, Any], path: DocPath, value: Any, folder: Path) -> DocPath:
    """The path in the document where a field is set to ``value``, or ``path`` if ``value`` is its default.

    Relative file names are relative to ``folder``.
    """
    settings = [*baseline(fields), *(setting for choice in varied(fields, Problems()) for setting in choice.settings)]
    given = (s.place for s in settings if s.path == path and _gives(s.value, value, folder))
    return next(given, path)


def _gives(written: Any, value: Any, folder: Path) -> bool:
    """Whether what is written in the document gives ``value``, which may be a component."""
    if isinstance(value, Component):
        with suppress(ValidationError):
            return bool(ROWS[value.row].model_validate(written, context={FOLDER: folder}) == value)
        return False
    return bool((tuple(written) if isinstance(written, list) else written) == value)


def _import_components(names: Sequence[str], folder: Path) -> Iterator[Problem]:
    """Import the user's own components; a failure is reported with the line of the user's file that caused it."""
    for i, name in enumerate(names):
        try:
            import_user(name, relative_to=folder)
            yield from (Problem(what, ("components", i), Kind.USER_CODE) for what in _unnamed(name, folder))
        except WithheldError as error:
            yield Problem(str(error), ("components", i), Kind.WITHHELD)
        except (Exception, SystemExit) as error:
            yield Problem(_why_not_imported(name, error, folder), ("components", i), Kind.USER_CODE)


def _unnamed(name: str, folder: Path) -> Iterator[str]:
    """Yield what is wrong with each class of a user's module that no spec can name, because it has no name."""
    module = file_module((folder / name).resolve()) if name.endswith(".py") else name
    for cls in vars(sys.modules[module]).values():
        if isinstance(cls, type) and issubclass(cls, Component) and cls.__module__ == module:
            named = {"name", "row"} & vars(cls).keys() or cls.__subclasses__() or inspect.isabstract(cls)
            if not (named or cls.__name__.startswith("_")):
                line = f'class {cls.__name__}({cls.__bases__[0].__name__}, name="...")'
                yield f"{name}: class {cls.__name__} has no name, so no spec can use it: write {line}"


def _why_not_imported(name: str, error: BaseException, folder: Path) -> str:
    if line := _line_of(error):
        return f"{name} fails: {brief(error)} ({line})"
    files = (folder / name).parent.glob("*.py")
    near = did_you_mean_file(Path(name), [Path(name).parent / file.name for file in files])
    return f"{error}.{near if name.endswith('.py') else ''}"


def _line_of(error: BaseException) -> str:
    """``file:line`` of the line that was running in the user's file, or an empty string."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]
    inside = [frame for frame in frames if frame.filename == frames[0].filename]
    return f"{inside[-1].filename}:{inside[-1].lineno}" if inside else ""


def _is_machinery(file: str) -> bool:
    return file.startswith(("<", FRAMEWORK)) or Path(file).parent.name == "importlib"


def _may_set_a_missing_field(problem: Problem) -> bool:
    """Whether this problem may be the reason why a required field is missing."""
    return problem.kind is Kind.UNKNOWN_FIELD or (problem.path != () and problem.path[0] in PARTS)


def _withheld(problem: Problem) -> Problem:
    """An unknown name as a warning, if code that is not executed may define it."""
    if problem.kind is not Kind.UNKNOWN_COMPONENT or not not_executed():
        return problem
    return problem._replace(what=f"not checked: needs {' or '.join(not_executed())}", kind=Kind.WITHHELD)


def _wrong_axes(problems: Sequence[Problem]) -> set[str]:
    """The axes of the grid that have wrong values themselves, so that claims about them are no further errors."""
    wrong = [p for p in problems if not p.kind.is_warning and p.path[:1] in (("grid",), ("zip",)) and len(p.path) > 2]
    return {axis_name(str(problem.path[1])) for problem in wrong}


def _replaced_axes(fields: Mapping[str, Any], document: Document) -> dict[str, DocPath]:
    """The axes whose values an option ``--set`` has replaced, with their places."""
    places = [(part, axis) for part in ("grid", "zip") for axis in fields[part] or ()]
    return {axis_name(axis): (part, axis) for part, axis in places if document.from_option((part, axis))}


def _left_out(claims: Mapping[str, Sequence[int]], replaced: Mapping[str, DocPath]) -> Iterator[Problem]:
    """Yield a warning for each option that has removed values with which claims are concerned."""
    for axis, positions in claims.items():
        if axis in replaced:
            which = f"{'claims' if len(positions) > 1 else 'claim'} {joined([str(i) for i in positions])}"
            what = f"without {which} of the file, for want of values of {axis}"
            yield Problem(what, replaced[axis], Kind.LEFT_OUT)


def _metrics(settings: Sequence[Setting]) -> list[str]:
    """The names of the metrics of all points."""
    asked = [s.value for s in settings if s.path == ("evaluate", "metrics")]
    asked = asked or [Evaluate.model_fields["metrics"].default]
    return [_name(metric) for value in asked if isinstance(value, list | tuple) for metric in value]


def _name(component: Any) -> str:
    name = component.get("name") if isinstance(component, dict) else getattr(component, "name", component)
    return str(name)


def _overruled(document: Document, base: Sequence[Setting], found: Sequence[Choice]) -> Iterator[Problem]:
    """Yield a warning for each ``--set`` option and each number of steps of the baseline that every point replaces."""
    for setting in base:
        if setting.path[0] not in STEPS and not document.from_option(setting.place):
            continue
        over = next((new for choice in found for new in choice.settings if new.replaces(setting)), None)
        if over and all(setting not in choice.on(base) for choice in found):
            yield Problem(f"has no effect: {dotted(over.key)} sets it", setting.place, Kind.NO_EFFECT)
