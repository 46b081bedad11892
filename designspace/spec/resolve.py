"""From settings to trials: validation, the number of steps that a budget affords, files, and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from designspace.data.rows import Data
from designspace.denoising.sigma_data import MEASURE
from designspace.errors import DataError, DocPath, Kind, Problem, RowError, SpecError, brief
from designspace.evaluation.measure import Summary
from designspace.evaluation.rows import Metric, Observation
from designspace.interrupts import contained
from designspace.registry.component import FOLDER
from designspace.sampling.counting import steps_for
from designspace.spec.evaluations import cost_of, supported
from designspace.spec.own import OwnComponents
from designspace.spec.paths import Location, Setting, build, written
from designspace.spec.problems import problem_at, refusal
from designspace.spec.trial import Draft, Evaluate, Trial

NAME_ERRORS = {"unknown_component", "unnamed_component", "wrong_component", "not_a_component"}
"""The types of pydantic errors that concern the name of a component rather than its fields."""

Signature = tuple[Location, str, str]
"""What identifies one of pydantic's errors: its location, type and message."""

_affordable = lru_cache(4096)(steps_for)


def errors_of(settings: Sequence[Setting], folder: Path) -> set[Signature]:
    """The signatures of pydantic's errors for ``settings``; empty if they are valid or no draft can be built."""
    try:
        _validate(settings, folder)
    except ValidationError as error:
        return {_signature(details) for details in error.errors()}
    except SpecError:
        pass
    return set()


def trials(settings: Sequence[Setting], known: set[Signature], folder: Path, own: OwnComponents) -> list[Trial]:
    """The trials that ``settings`` give, one per repeat.

    Args:
        settings: Values for fields, in the order in which they are applied.
        known: The errors of the baseline (``errors_of``), which are not blamed on a value of an axis.
        folder: Relative file names in the settings are relative to this folder.
        own: The user's own components, which it checks.

    Raises:
        SpecError: The settings give no valid trial; each problem carries the path of the value that causes it.
    """
    try:
        draft = _validate(settings, folder)
    except ValidationError as error:
        raise SpecError([_problem(details, settings, known) for details in _relevant(error)]) from None
    if problems := list(own.problems(draft, settings)):
        raise SpecError(problems)
    num_steps = _num_steps(draft, settings)
    if problems := list(_file_problems(draft, settings)):
        raise SpecError(problems)
    parts: dict[str, Any] = {name: getattr(draft, name) for name in ("design", "data", "evaluate")}
    return [
        Trial(num_steps=num_steps, seed=draft.evaluate.seed + k, denoiser=draft.denoiser.repeated(k), **parts)
        for k in range(draft.evaluate.repeats)
    ]


def _validate(settings: Sequence[Setting], folder: Path) -> Draft:
    """The draft that ``settings`` give. Raises ``ValidationError``, or ``SpecError`` for other problems."""
    raw = build(settings)
    try:
        with contained():
            return Draft.model_validate(
                raw, context={FOLDER: folder, MEASURE: partial(_sigma_data, raw.get("data"), folder)}
            )
    except DataError as error:  # there are no data on which sigma_data could be measured
        raise refusal(str(error), written(settings, ("data",)), Kind.FILE) from None
    except ValidationError:
        raise
    except Exception as error:  # in a component's own validator
        path = next((s.place for s in settings[::-1] if s.varies), ("design",))
        raise refusal(f"a component fails: {brief(error)}", path, Kind.USER_CODE) from error


def _sigma_data(raw: Any, folder: Path) -> float:
    """The root mean square of the data set; 1 if ``raw`` is invalid, which is reported elsewhere."""
    try:
        data = Data.model_validate(raw, context={FOLDER: folder})
    except ValidationError:
        return 1.0
    return _measured(data, data.content_hash())


@lru_cache
def _measured(data: Data, content: str) -> float:
    return data.load().sigma_data


def _relevant(error: ValidationError) -> list[ErrorDetails]:
    """The errors, except "too short" for a list with an invalid item, which pydantic does not count as an item."""
    found = error.errors()
    above = {details["loc"][:i] for details in found for i in range(len(details["loc"]))}
    return [details for details in found if not (details["type"] == "too_short" and details["loc"] in above)]


def _signature(error: ErrorDetails) -> Signature:
    return error["loc"], error["type"], error["msg"]


def _problem(error: ErrorDetails, settings: Sequence[Setting], known: set[Signature]) -> Problem:
    location, of_name = error["loc"], error["type"] in NAME_ERRORS
    if isinstance(error["input"], dict):
        if of_name and "name" in error["input"]:
            location = (*location, "name")
        elif not of_name and _signature(error) not in known:  # a field of the mapping that varies is to blame
            inside = (s for s in settings[::-1] if s.varies and s.path[: len(location)] == location)
            if setting := next(inside, None):
                return problem_at(setting.place, error)
    problem = problem_at(location, error)
    return problem._replace(path=written(settings, location, key=problem.key))


def _num_steps(draft: Draft, settings: Sequence[Setting]) -> int:
    """The number of steps: the given one, or the largest that ``nfe`` evaluations allow.

    If the denoiser depends on the row ``c_noise``, evaluations are counted at the noise levels that this row supports.
    Any error of a component other than ``ValueError`` is left for the run to record, unless the count is needed here.

    Raises:
        SpecError: The design cannot be sampled from with this number of steps or evaluations.
    """
    try:
        with contained():
            if draft.nfe is not None:
                return _affordable(draft.design, draft.nfe, known=supported(draft.design, draft.denoiser))
            cost_of(draft.design, draft.denoiser, draft.num_steps)
    except ValueError as error:
        steps = "num_steps" if draft.nfe is None else "nfe"
        raise refusal(str(error), _culprit(error, steps, settings), Kind.SAMPLING) from error
    except Exception as error:
        if draft.nfe is not None:
            what = f"cannot count evaluations: {brief(error)}"
            raise refusal(what, written(settings, ("nfe",)), Kind.USER_CODE) from error
    return draft.num_steps


def _culprit(error: ValueError, steps: str, settings: Sequence[Setting]) -> DocPath:
    """The path of the row that raised ``error`` or of the number of steps, preferably of one that varies.

    It is never the number of steps if the schedule raised ``error``, since it would do so with other numbers of steps.
    """
    row: list[DocPath] = [("design", error.row)] if isinstance(error, RowError) else []
    locations = row if row == [("design", "schedule")] else [*row, (steps,)]
    for varies in (True, False):
        for location in locations:
            for setting in settings[::-1]:
                if setting.varies is varies and setting.path[: len(location)] == location:
                    return setting.place
    return written(settings, [*row, ("design",)][0])


def _file_problems(draft: Draft, settings: Sequence[Setting]) -> Iterator[Problem]:
    """Yield a problem for each file that a component needs and that is missing or unsuitable."""
    missing = False
    for location, component in draft.components():
        try:
            component.require()
            component.identity()
        except (DataError, OSError) as error:
            missing = True
            yield Problem(str(error), written(settings, location), Kind.FILE)
    if not missing:
        yield from _reference_problems(draft.evaluate, written(settings, ("evaluate", "reference")))


def _reference_problems(evaluate: Evaluate, path: DocPath) -> Iterator[Problem]:
    """Yield the problems of using the reference, which is written at ``path``, with the detector and the metrics."""
    if evaluate.reference is None:
        return
    try:
        known = evaluate.reference.load(evaluate.detector)
    except DataError as error:
        yield Problem(str(error), path, Kind.FILE)
        return
    needy = [m.name for m in evaluate.metrics if not (isinstance(m, Observation) or m.moments_suffice)]
    if needy and isinstance(known, Summary):
        what = (
            f"metric {' and '.join(needy)} compares with the features of each image, but this reference gives only"
            " their mean and covariance: leave the metric out, as in metrics: [frechet], or use images as the reference"
        )
        yield Problem(what, path, Kind.FILE)


def unmeasured(base: Sequence[Setting], trials: Sequence[Trial]) -> Iterator[Problem]:
    """Yield an error for each metric that no trial can measure, and a warning if only some trials cannot."""
    reasons: dict[tuple[int, str], list[str]] = {}
    for trial in trials:
        for i, metric in enumerate(trial.evaluate.metrics):
            reasons.setdefault((i, metric.name), []).append(_why_not(metric, trial))
    for (i, _), each in reasons.items():
        different = list(dict.fromkeys(filter(None, each)))
        if not different:
            continue
        what = different[0] + (f" (and {len(different) - 1} more)" if len(different) > 1 else "")
        kind, without = Kind.UNMEASURED, sum(map(bool, each))
        if without < len(each):
            kind, what = Kind.PARTLY_UNMEASURED, f"{without} of {len(each)} trials cannot measure it: {what}"
        yield Problem(what, written(base, ("evaluate", "metrics", i)), kind)


def _why_not(metric: Metric, trial: Trial) -> str:
    try:
        metric.check(trial.design, trial.denoiser)
    except ValueError as error:
        return str(error)
    return ""
