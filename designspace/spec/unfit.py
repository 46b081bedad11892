"""What is wrong with the block ``search`` of an ablation, apart from what pydantic finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from designspace.design import Design
from designspace.errors import Kind, Problem, SpecError
from designspace.spec.axes import Choice
from designspace.spec.candidates import Space, at, merged
from designspace.spec.paths import PARTS, SEARCH, STEPS, axis_name, field_path
from designspace.spec.problems import Problems
from designspace.spec.search import Range
from designspace.spec.trial import Trial

SEARCHED = ("design", "denoiser", "guidance", "decoder")
"""The sections that a search may change. The others say what it is measured on and how."""
WITH_ALL = {"guidance", *(row for row in Design.model_fields if row not in ("to_zero", "start"))}


def unfit(fields: Mapping[str, Any], space: Space, known: Sequence[Problem]) -> Iterator[Problem]:
    """Yield the problems of the search of the ablation with these ``fields``; ``known`` are those of its points."""
    yield from _beside_search(fields)
    problems = Problems()
    present = {budget: space.resolved({}, budget, Problems()) for budget in space.search.budgets}
    some = next(filter(None, present.values()), None)
    rows = {row: _tried(row, space, some, problems) for row in _distinct(space.search.rows, problems)}
    for i, change in enumerate(space.search.against):
        with problems.collecting():
            problems += _not_searched(Choice({}, tuple(change.settings((SEARCH, "against", i)))))
    yield from problems
    yield from _fitting_nowhere(rows, space, present, known)
    if not problems and all(present.values()) and (reasons := _why_nothing(space)):
        yield Problem(f"leave nothing to search: {'; '.join(reasons)}", (SEARCH, "rows"), key=True)


def _beside_search(fields: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for each field that an ablation with ``search`` cannot have."""
    for part in (part for part in PARTS if fields[part]):
        yield Problem("search is given too; give one of the two", (part,), key=True)
    for step in (step for step in STEPS if fields[step] is not None):
        yield Problem("has no effect beside search.at, which gives the budgets: leave it out", (step,), key=True)


def _distinct(rows: Mapping[str, Any], problems: Problems) -> Iterator[str]:
    """The rows without those that another key names already."""
    names: dict[str, str] = {}
    for row in rows:
        if (first := names.setdefault(axis_name(row), row)) == row:
            yield row
        else:
            problems.append(Problem(f"is the same as {first}", (SEARCH, "rows", row), key=True))


def _tried(row: str, space: Space, present: Trial | None, problems: Problems) -> list[Choice]:
    """The candidates of a row that are listed or in a range; what is wrong with them is added to ``problems``."""
    place, path, values = (SEARCH, "rows", row), field_path(row), space.search.rows[row]
    if values == "all" and path and not (path[:-1] in ((), ("design",)) and path[-1] in WITH_ALL):
        what = "all is for rows of the design that have components, and for guidance: list candidates, or give a range"
        problems.append(Problem(what, place))
        return []
    found, wrong = space.tried(row, problems, present), Problems()
    for choice in found:
        wrong += _not_searched(choice)
    if isinstance(values, Range) and path and isinstance(present and at(present, path), int):
        ends = {"from": values.low, "to": values.high}
        wrong += (Problem(f"should be an integer, not {x:g}", (*place, end)) for end, x in ends.items() if x % 1)
    problems += wrong
    return [] if wrong or values == "all" else found


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
                tried = _problems_with(choice, budget, space, [{}, *others] if fits else [{}])
                yield from (problem for problem in tried if problem not in known)


def _problems_with(
    choice: Choice, budget: int, space: Space, contexts: Sequence[Mapping[str, Any]]
) -> Sequence[Problem]:
    """The problems of a candidate, if it fits none of the designs that it could be added to.

    They are those with the first design that has the field at all.
    """
    shown: Problems | None = None
    for changes in contexts:
        problems = Problems()
        if space.resolved(changes, budget, problems, choice) or not problems:
            return []
        if shown is None or (_unknown(shown) and not _unknown(problems)):
            shown = problems
    return shown or []


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
