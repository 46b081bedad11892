"""From the points of a grid to trials: validation, the number of steps that a budget affords, files, and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from designspace.bars import shown
from designspace.denoising.guidance import Guidance
from designspace.denoising.rows import Denoiser
from designspace.errors import (
    BrokenRowError,
    DataError,
    DocPath,
    Kind,
    Problem,
    RowError,
    SpecError,
    WithheldError,
    brief,
)
from designspace.evaluation.measure import Summary
from designspace.evaluation.rows import Metric, Observation
from designspace.interrupts import contained
from designspace.spec.axes import Choice
from designspace.spec.evaluate import Evaluate
from designspace.spec.evaluations import Evaluations
from designspace.spec.limits import MOST_TRIALS
from designspace.spec.own import OwnComponents
from designspace.spec.paths import Setting, written
from designspace.spec.problems import Problems, refusal
from designspace.spec.sections import Draft, Sections
from designspace.spec.trial import Ids, Point, Trial, effective


class Resolver:
    """Makes the trials of the points of a grid; what points share is validated, checked and hashed once.

    Args:
        base: The settings of the baseline.
        folder: Relative file names in the settings are relative to this folder.
        own: The user's own components, which it checks.
        fresh: Whether repeats are numbered from ``evaluate.repeats`` instead of 0, so that they have other seeds.
    """

    def __init__(self, base: Sequence[Setting], folder: Path, own: OwnComponents, *, fresh: bool = False) -> None:
        self._base, self._own, self._fresh = base, own, fresh
        self._sections = Sections(base, folder)
        self._with_files: dict[int, object] = {}
        self._repeated: dict[tuple[int, int], Denoiser | Guidance] = {}
        self._ids = Ids()

    def points(self, found: Sequence[Choice], problems: Problems) -> tuple[list[Point], Evaluations]:
        """The points, once per repeat, and the evaluations that they cost. Whatever is wrong is added to ``problems``.

        Each problem carries the path of the value that causes it.
        """
        valid: list[tuple[Choice, list[Setting], Draft]] = []
        for choice in found:
            with problems.collecting():
                valid.append((choice, settings := choice.on(self._base), self._draft(settings)))
        drafts, points = [draft for *_, draft in valid], list[Point]()
        evaluations = Evaluations(drafts)
        if (number := sum(draft.evaluate.repeats for draft in drafts)) > MOST_TRIALS:
            what = f"{len(drafts):,} points with their repeats are {number:,} trials; the limit is {MOST_TRIALS:,}"
            problems.append(Problem(what, written(self._base, ("evaluate", "repeats"))))
            valid = []
        for choice, settings, draft in shown(valid, "checking the points", len(valid)):
            with problems.collecting():
                trials = self._trials(draft, settings, evaluations)
                points += [Point(dict(choice.labels), trial, draft.steps.budget) for trial in trials]
                problems += _cautions(draft, settings)
        return points, evaluations

    def _draft(self, settings: Sequence[Setting]) -> Draft:
        draft = self._sections.draft(settings)
        if problems := list(self._own.problems(draft, settings)):
            raise SpecError(problems)
        return draft

    def _trials(self, draft: Draft, settings: Sequence[Setting], evaluations: Evaluations) -> list[Trial]:
        """The trials of a draft, one per repeat. Raises ``SpecError`` if it cannot be sampled or lacks a file."""
        if problems := list(self._file_problems(draft, settings)):
            raise SpecError(problems)
        if draft.guidance.effective:
            _require_guided(draft, settings)
        try:
            num_steps = evaluations.num_steps(draft)
        except WithheldError as error:  # the cost of a guide needs code that is not executed
            self._own.unchecked.append(Problem(str(error), written(settings, (draft.steps.field,)), Kind.WITHHELD))
            return []
        except DataError as error:  # it needs a file
            raise refusal(str(error), written(settings, ("guidance",)), Kind.FILE) from None
        except ValueError as error:
            raise refusal(str(error), _culprit(error, draft.steps.field, settings), Kind.SAMPLING) from error
        except Exception as error:  # in a component of the user
            what = f"cannot count evaluations: {brief(error)}"
            raise refusal(what, written(settings, (draft.steps.field,)), Kind.USER_CODE) from error
        first = draft.evaluate.repeats if self._fresh else 0
        return [self._trial(draft, num_steps, first + k) for k in range(draft.evaluate.repeats)]

    def _trial(self, draft: Draft, num_steps: int, k: int) -> Trial:
        parts: dict[str, Any] = {name: getattr(draft, name) for name in ("design", "data", "decoder", "evaluate")}
        parts |= {"denoiser": self._repeat(draft.denoiser, k), "guidance": self._repeat(draft.guidance, k)}
        trial = Trial.model_construct(num_steps=num_steps, seed=draft.evaluate.seed + k, **parts)  # all parts are valid
        trial.__dict__["id"] = self._ids.of(trial)
        return trial

    def _repeat(self, part: Denoiser | Guidance, k: int) -> Denoiser | Guidance:
        key = id(part), k
        if key not in self._repeated:
            repeated = part.repeated(k)
            self._repeated[key] = effective(repeated) if isinstance(repeated, Guidance) else repeated
        return self._repeated[key]

    def _file_problems(self, draft: Draft, settings: Sequence[Setting]) -> Iterator[Problem]:
        """Yield a problem for each file that a component needs and that is missing or unsuitable."""
        missing = False
        for location, component in draft.components():
            if id(component) in self._with_files:
                continue
            try:
                component.require()
                component.identity()
            except WithheldError as error:
                self._own.unchecked.append(Problem(str(error), written(settings, location), Kind.WITHHELD))
            except (DataError, OSError) as error:
                missing = True
                inside = error.at if isinstance(error, DataError) else ()
                yield Problem(str(error), written(settings, (*location, *inside)), Kind.FILE)
            else:
                self._with_files[id(component)] = component
        if not missing and id(draft.evaluate) not in self._with_files:
            problems = list(_reference_problems(draft.evaluate, written(settings, ("evaluate", "reference"))))
            yield from problems
            if not problems:
                self._with_files[id(draft.evaluate)] = draft.evaluate
        if not missing and _lacks_a_reference(draft):
            what = f"data {draft.data.name} has no images to compare with by detector {draft.evaluate.detector}"
            own = f"use detector {draft.data.features_of}, or " * bool(draft.data.features_of)
            mend = "name published statistics, reference: {name: statistics, path: ...}, or use a data set with images"
            yield Problem(f"{what}: {own}{mend}", written(settings, ("data",)), Kind.FILE)
        elif not missing and not draft.data.has_pixels:
            guide = ("guidance", "guide"), getattr(draft.guidance, "guide", None)
            for at, part in ((("denoiser",), draft.denoiser), guide):
                if isinstance(part, Denoiser) and part.models_pixels:
                    what = f"denoiser {part.name} is made from images, and data {draft.data.name} has none"
                    yield Problem(
                        f"{what}: use {{name: folder, path: ...}} or the like", written(settings, at), Kind.FILE
                    )


def _require_guided(draft: Draft, settings: Sequence[Setting]) -> None:
    """Raise ``SpecError`` if the guidance is not defined for the design, the denoiser and the labels."""
    guidance = draft.guidance
    try:
        with contained():
            guidance.check(draft.design, draft.denoiser, labelled=draft.evaluate.labels != "none")
    except ValueError as error:
        raise refusal(f"guidance {guidance.name}: {error}", written(settings, ("guidance",))) from None
    except WithheldError:  # code that is not executed, which has been reported
        return
    except DataError as error:  # a file that no field of the guidance names, such as that of a snapshot
        raise refusal(str(error), written(settings, ("guidance", *error.at)), Kind.FILE) from None
    except Exception as error:  # in a component of the user
        what = f"guidance {guidance.name} fails in check: {brief(error)}"
        raise refusal(what, written(settings, ("guidance",)), Kind.USER_CODE) from error


def _cautions(draft: Draft, settings: Sequence[Setting]) -> Iterator[Problem]:
    """Yield a warning for each caution of the denoisers and of the guidance."""
    for at, denoiser in draft.denoisers():
        yield from (Problem(what, written(settings, at), Kind.CAUTION) for what in denoiser.cautions())
    if draft.guidance.effective:
        for field, what in draft.guidance.cautions(draft.denoiser).items():
            yield Problem(what, written(settings, ("guidance", field)), Kind.CAUTION)


def _culprit(error: ValueError, steps: str, settings: Sequence[Setting]) -> DocPath:
    """The path of the row that raised ``error`` or of the number of steps, preferably of one that varies.

    It is never the number of steps if the row is broken, or if the schedule raised ``error``, since either would do so
    with other numbers of steps.
    """
    row: list[DocPath] = [("design", error.row)] if isinstance(error, RowError) else []
    final = isinstance(error, BrokenRowError) or row == [("design", "schedule")]
    locations = row if final else [*row, (steps,)]
    for varies in (True, False):
        for location in locations:
            for setting in settings[::-1]:
                if setting.varies is varies and setting.path[: len(location)] == location:
                    return setting.place
    return written(settings, [*row, ("design",)][0])


def _lacks_a_reference(draft: Draft) -> bool:
    """Whether features are to be compared with those of images that are not known."""
    asked, data = draft.evaluate, draft.data
    if data.has_pixels or asked.reference is not None or all(isinstance(m, Observation) for m in asked.metrics):
        return False
    return data.known_features(asked.detector.identity()) is None


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
    known: dict[tuple[int, ...], str] = {}
    for trial in trials:
        for i, metric in enumerate(trial.evaluate.metrics):
            key = id(metric), id(trial.design), id(trial.denoiser), id(trial.guidance), id(trial.decoder)
            if key not in known:
                known[key] = _why_not(metric, trial)
            reasons.setdefault((i, metric.name), []).append(known[key])
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
        trial.require_defined(metric)
    except ValueError as error:
        return str(error)
    return ""
