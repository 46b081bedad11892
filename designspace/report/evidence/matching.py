"""Which points of an ablation can be evidence on a row of the table.

A piece of evidence compares points that differ only in one row, or only in several rows together. It is found in the
resolved specs of the trials, so that it does not matter how the ablation writes its axes:

- ``one_at_a_time`` and ``grid``: the choices of an axis are compared with the paper's choice;
- ``cumulative``: each stage is compared with the one before;
- the final test of a search: its designs are compared with the baseline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

from designspace.report.entry import BUDGET, Entry
from designspace.report.evidence.differences import by_budget
from designspace.report.evidence.factors import Factor, factors
from designspace.report.evidence.paper import ROWS, Change, change, model_of, word
from designspace.report.study import Study
from designspace.text import value_of

STAGE = "stage"
"""The axis of ``cumulative``."""
Points = Mapping[str, Entry]
"""Points that differ only in the choice, which is their key."""


class Piece(NamedTuple):
    """What is compared."""

    axes: tuple[str, ...]
    """The axes whose values change."""
    change: Change
    choices: tuple[str, ...]
    """The choices as text; the first is the one that the others are compared with."""
    of_paper: bool
    """Whether that is the paper's choice."""
    model: str


Pieces = dict[Piece, dict[object, list[Points]]]
"""The points of each piece of evidence, by budget, for each setting of the other axes."""


def pieces(study: Study, points: Sequence[Entry]) -> Pieces:
    """All pieces of evidence among rivals, in the order of the ablation's axes."""
    found: Pieces = {}
    for factor in _factors(study):
        for piece, lines in _of_factor(study, factor, points).items():
            for budget, of in lines.items():
                found.setdefault(piece, {}).setdefault(budget, []).extend(of)
    return found


def _factors(study: Study) -> Iterator[Factor]:
    """The factors of the ablation; of one that is ``cumulative``, only the stages, each with the one before."""
    stages = list(dict.fromkeys(point.axes.get(STAGE) for point in study.points))
    for factor in factors(study):
        if factor.axes == (STAGE,):
            yield from (replace(factor, choices=pair, baseline=value_of(pair[0])) for pair in pairwise(stages))
        elif len(stages) < 2:
            yield factor


def _of_factor(study: Study, factor: Factor, points: Sequence[Entry]) -> Pieces:
    """The pieces of evidence in which the values of a factor change.

    Points belong to the same piece if they have the same choices on the same kind of model.
    """
    settings: dict[tuple[Any, ...], dict[object, dict[Any, Entry]]] = {}
    for budget, entries in by_budget(study, points).items():
        for rest, line in _lines(factor, entries).items():
            settings.setdefault(rest, {})[budget] = _with_papers(factor, line, entries)
    found: Pieces = {}
    for at in settings.values():
        parts: dict[tuple[Change, bool, str], dict[object, dict[str, Entry]]] = {}
        for budget, line in at.items():
            for key, part in _parts(factor, line).items():
                parts.setdefault(key, {})[budget] = part
        for (what, of_paper, model), lines in parts.items():
            words = tuple(dict.fromkeys(name for line in lines.values() for name in line))
            every = found.setdefault(Piece(factor.axes, what, words, of_paper, model), {})
            for budget, part in lines.items():
                every.setdefault(budget, []).append(part)
    return found


def _lines(factor: Factor, entries: Sequence[Entry]) -> dict[tuple[Any, ...], dict[Any, Entry]]:
    """The points that differ only in this factor, by the values of the other axes without the budget."""
    found: dict[tuple[Any, ...], dict[Any, Entry]] = {}
    for entry in entries:
        values = tuple(entry.axes.get(axis) for axis in factor.axes)
        choice = values if len(values) > 1 else values[0]
        if choice in factor.choices:
            rest = tuple(item for item in entry.axes.items() if item[0] not in (*factor.axes, *BUDGET))
            found.setdefault(rest, {})[choice] = entry
    return {rest: {c: line[c] for c in factor.choices if c in line} for rest, line in found.items()}


def _with_papers(factor: Factor, line: dict[Any, Entry], entries: Sequence[Entry]) -> dict[Any, Entry]:
    """The line with the paper's choice in front, if only a field of the row selects it.

    For example, the places of guidance have the choice ``none`` where its weight is 1.
    """
    row = next((row for row in ROWS if row.name == factor.name.rpartition(".")[2]), None)
    if row is None or any(row.is_papers(row.of(trial_of(entry))) for entry in line.values()):
        return line
    own = (
        *factor.axes,
        *(axis for entry in line.values() for axis in entry.axes if axis.startswith(f"{factor.name}.")),
    )
    rest = {axis: value for axis, value in next(iter(line.values())).axes.items() if axis not in own}
    for entry in entries:
        spec = row.of(trial_of(entry))
        if row.is_papers(spec) and {axis: v for axis, v in entry.axes.items() if axis not in own} == rest:
            return {value_of(spec.get("name")): entry} | line
    return line


def _parts(factor: Factor, line: Mapping[Any, Entry]) -> dict[tuple[Change, bool, str], dict[str, Entry]]:
    """The choices of a line by what they change against the paper's choice or, if it was not tried, the first."""
    bases = {choice: _against(factor, line, choice) for choice in line}
    papers = {
        choice: {c: w for c, w in of.items() if w.endorses(trial_of(line[choice]))} for choice, of in bases.items()
    }
    exact = {c: sum(what.is_papers(trial_of(line[c])) for what in of.values()) for c, of in papers.items()}
    base = max(papers, key=lambda c: (len(papers[c]), exact[c]), default=None)  # of equals, the first: the baseline
    of_paper = base is not None and bool(papers[base])
    if base is None or (not of_paper and {len(what.rows) for what in bases[base].values()} != {1}):
        return {}
    found: dict[tuple[Change, bool, str], dict[str, Entry]] = {}
    for choice, what in bases[base].items():
        against_paper = choice in papers[base]
        if of_paper and not (against_paper or what.beyond):
            continue
        key = what, against_paper, model_of(line[base])
        part = found.setdefault(key, {_word(factor, base, what, line[base]): line[base]})
        part[_word(factor, choice, what, line[choice])] = line[choice]
    return found


def _against(factor: Factor, line: Mapping[Any, Entry], base: Any) -> dict[Any, Change]:
    """What each other choice of a line changes, where it can be compared."""
    found = {c: change(line[base].rows[0], entry.rows[0]) for c, entry in line.items() if c != base}
    return {choice: _named(factor, what) for choice, what in found.items() if what is not None}


def _named(factor: Factor, what: Change) -> Change:
    """The change of the field that the ablation varies, even if a value of it selects another component.

    For example, guidance of weight 1 is no guidance.
    """
    place, _, name = factor.name.rpartition(".")
    if len(what.rows) == 1 and what.rows[0].name == place.rpartition(".")[2] and name in what.rows[0].fields:
        return replace(what, field=name)
    return what


def _word(factor: Factor, choice: Any, what: Change, entry: Entry) -> str:
    return word(what.rows, trial_of(entry)) if factor.axes == (STAGE,) else factor.word(choice)


def trial_of(entry: Entry) -> Mapping[str, Any]:
    """The resolved spec of a point."""
    return entry.rows[0].trial or {}
