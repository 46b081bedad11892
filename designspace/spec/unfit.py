"""What is wrong with the block ``search`` of an ablation, apart from what pydantic finds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from designspace.design import Design
from designspace.errors import Kind, Problem, SpecError
from designspace.evaluation.rows import Metric, Observation
from designspace.registry.execution import not_executed
from designspace.registry.known import ROWS
from designspace.results.caveats import FRECHET, LEAST
from designspace.spec.axes import Choice
from designspace.spec.candidates import Changes, Space, merged
from designspace.spec.evaluate import Evaluate
from designspace.spec.paths import PARTS, SEARCH, STEPS, FieldPath, at, axis_name, field_path
from designspace.spec.problems import Problems
from designspace.spec.search import Range, Search
from designspace.spec.trial import Trial

SEARCHED = ("design", "denoiser", "guidance", "decoder")
"""The sections that a search may change. The others say what it is measured on and how."""
WITH_ALL = {"guidance", *Design.model_fields}
"""The rows whose candidates may be ``all``."""


def unfit(fields: Mapping[str, Any], space: Space, known: Sequence[Problem]) -> list[Problem]:
    """The problems of the search of the ablation with these ``fields``, without those of its points, ``known``."""
    found = Problems(_beside_search(fields))
    present = {budget: space.resolved({}, budget, Problems()) for budget in space.search.budgets}
    some = next(filter(None, present.values()), None)
    rows = {row: _tried(row, space, some, found) for row in _distinct(space.search.rows, found)}
    for i, change in enumerate(space.search.against):
        with Problems().collecting():  # an unknown field is among the problems of the points
            found += _not_searched(Choice({}, tuple(change.settings((SEARCH, "against", i)))))
    found += _fitting_nowhere(rows, space, present, known)
    if some:
        found += _no_judge(some.evaluate.metrics[0])
        found += _biased(some.evaluate, space.search)
        found += _one_training(some, space.search)
    if not found and not not_executed() and all(present.values()) and (reasons := _why_nothing(space)):
        what = f"leave nothing to search: {'; '.join(reasons)}"
        found.append(Problem(what, (SEARCH, "rows"), key=True))
    return found


def _no_judge(metric: Metric) -> Iterator[Problem]:
    """Yield why races cannot be decided by the first metric, if they cannot."""
    why = "is not measured on images" if isinstance(metric, Observation) else ""
    why = why or ("has no direction of better values" if metric.higher_is_better is None else "")
    if why:
        what = f"{metric.name} {why}, and the first metric decides the races: put frechet or kid first"
        yield Problem(what, ("evaluate", "metrics", 0))


def _biased(evaluate: Evaluate, search: Search) -> Iterator[Problem]:
    """Yield a warning if the first stage of a race has too few images for the metric that decides it."""
    metric, width, images = evaluate.metrics[0], evaluate.detector.width, evaluate.images / 2 ** (search.stages - 1)
    if metric.name in FRECHET and width and images < LEAST * width:
        few = f"the first stage of a race has about {math.ceil(images)} images, fewer than {LEAST} x {width} features"
        bias = f"the bias of {metric.name}, which is then large and differs between designs, may decide the race"
        yield Problem(f"{few}: {bias}; use fewer stages or put kid first", ("search", "stages"), Kind.FEW_IMAGES)


def _one_training(trial: Trial, search: Search) -> Iterator[Problem]:
    """Yield a warning for each row that concerns training, if every candidate is trained only once."""
    if trial.evaluate.repeats > 1 or trial.denoiser.repeated(1) == trial.denoiser:
        return
    for row in search.rows:
        section, *inner = field_path(row) or ("",)
        if section == "denoiser" or (section == "design" and inner[0] in trial.denoiser.rows):
            what = "each candidate is trained once, so that a race takes a lucky training for a better choice"
            yield Problem(f"{what}: set evaluate.repeats: 3 or more", (SEARCH, "rows", row), Kind.FEW_REPEATS, key=True)


def _beside_search(fields: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for each field that an ablation with ``search`` cannot have."""
    for part in (part for part in PARTS if fields[part]):
        yield Problem("search is given too; give one of the two", (part,), key=True)
    for step in (step for step in STEPS if fields[step] is not None):
        yield Problem("has no effect beside search.at, which gives the budgets: leave it out", (step,), key=True)


def _distinct(rows: Mapping[str, Any], problems: Problems) -> Iterator[str]:
    """Yield the rows without those that another key names already."""
    names: dict[str, str] = {}
    for row in rows:
        if (first := names.setdefault(axis_name(row), row)) == row:
            yield row
        else:
            problems.append(Problem(f"is the same as {first}", (SEARCH, "rows", row), key=True))


def _tried(row: str, space: Space, present: Trial | None, problems: Problems) -> list[Choice]:
    """The candidates of a row that have to fit: those listed, and the ends of a range.

    What is wrong with them apart from that is added to ``problems``.
    """
    place, path, values = (SEARCH, "rows", row), field_path(row), space.search.rows[row]
    if what := _wrong_kind(values, path):
        problems.append(Problem(what, place))
        return []
    found = space.tried(row, problems, present)
    if isinstance(values, Range):
        found = found[:1] + found[-1:]
    wrong = [problem for choice in found for problem in _not_searched(choice)]
    if isinstance(values, Range) and path and isinstance(present and at(present, path), int):
        ends = {"from": values.low, "to": values.high}
        wrong += [Problem(f"should be an integer, not {x:g}", (*place, end)) for end, x in ends.items() if x % 1]
    problems += wrong
    return [] if wrong or values == "all" else found


def _wrong_kind(values: object, path: FieldPath | None) -> str:
    """Why ``all`` or a range cannot stand for the candidates of the row or field at ``path``, or an empty string."""
    of_row = path is not None and path[:-1] in ((), ("design",)) and path[-1] in ROWS
    if isinstance(values, Range) and of_row:
        return "a range is for fields with numbers, such as time_steps.rho: list components"
    if values == "all" and path and not (of_row and path[-1] in WITH_ALL):
        return "all is for rows of the design that have components, and for guidance: list candidates, or give a range"
    return ""


def _not_searched(choice: Choice) -> Iterator[Problem]:
    for setting in choice.settings:
        if setting.path[0] not in SEARCHED:
            what = (
                "cannot be searched: designs are compared at the same budget, with the same data and measurements. A"
                f" search varies rows of the design, {', '.join(SEARCHED[1:-1])} and {SEARCHED[-1]}"
            )
            yield Problem(what, setting.key, key=True)


def _fitting_nowhere(
    rows: Mapping[str, Sequence[Choice]],
    space: Space,
    present: Mapping[int, Trial | None],
    known: Sequence[Problem],
) -> Iterator[Problem]:
    """Yield the problems of each candidate that fits neither the baseline nor any one candidate of another row."""
    for row, found in rows.items():
        others = [merged({}, choice) for other in rows if other != row for choice in rows[other]]
        for choice in found:
            for budget, fits in present.items():
                problems = _problems_with(choice, budget, space, [{}, *others] if fits else [{}])
                new = (problem for problem in problems if problem not in known)
                yield from (_of_candidate(problem, choice, f"{space.search.step_field}={budget}") for problem in new)


def _problems_with(choice: Choice, budget: int, space: Space, designs: Sequence[Changes]) -> Problems:
    """The problems of a candidate if it fits none of the ``designs``: those with the first one that has the field."""
    shown: Problems | None = None
    for changes in designs:
        problems = Problems()
        if space.resolved(changes, budget, problems, choice) or not problems:
            return Problems()
        if shown is None or (_unknown(shown) and not _unknown(problems)):
            shown = problems
    return shown or Problems()


def _of_candidate(problem: Problem, choice: Choice, budget: str) -> Problem:
    """A problem with a budget as one of the candidate, which cannot be sampled with it."""
    if problem.path[:2] != (SEARCH, "at") or not choice.settings:
        return problem
    return problem._replace(what=f"at {budget}: {problem.what}", path=choice.settings[0].place)


def _unknown(problems: Problems) -> bool:
    return any(problem.kind is Kind.UNKNOWN_FIELD for problem in problems)


def _why_nothing(space: Space) -> list[str]:
    """For each row, why its only candidate is the baseline; empty if there is something to search."""
    reasons: dict[str, None] = {}
    for budget in space.search.budgets:
        for row in space.search.rows:
            try:
                found = space.candidates(row, {}, budget)
            except SpecError:  # reported for the baseline
                return []
            if not found.reason:
                return []
            reasons[f"{row}: {found.reason}"] = None
    return list(reasons)
