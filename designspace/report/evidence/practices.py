"""What ablations say about each row of the table: the paper's choice against the others, all else equal.

A piece of evidence compares the points of one ablation that differ only in one row, or only in several rows together.
It is found in the resolved specs of the trials, so that it does not matter how the ablation writes its axes:

- ``one_at_a_time`` and ``grid``: the choices of an axis are compared with the paper's choice, averaged over the
  settings of the other axes at the same budget, as in ``effects``;
- ``cumulative``: each stage is compared with the one before;
- the final test of a search: its designs are compared with the baseline.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Any

from designspace.report.entry import BUDGET, WORDS, Entry
from designspace.report.evidence.contrasts import Difference
from designspace.report.evidence.differences import by_budget, finite
from designspace.report.evidence.effects import Effects, Factor, counted_gap, effects_at, factors
from designspace.report.evidence.inference import LEVEL, holm
from designspace.report.evidence.paper import ROWS, Change, change, model_of, word
from designspace.report.study import Study, comparable
from designspace.text import value_of

STAGE = "stage"
"""The axis of ``cumulative``."""


class Judgement(StrEnum):
    """What the evidence says about the paper's choice."""

    CONTRADICTS = "contradicts"
    """Another choice is significantly better."""
    AGREES = "agrees"
    """It is significantly better than every other choice that was tried."""
    UNDECIDED = "undecided"
    NONE = "no evidence"


@dataclass(frozen=True, eq=False)
class Evidence:
    """The choices in one row, or in several rows together, that one ablation compares on one kind of model."""

    study: Study
    metric: str
    change: Change
    factor: Factor
    """The choices as text; the first is the one that the others are compared with."""
    of_paper: bool
    """Whether that is the paper's choice."""
    model: str
    at: dict[object, Effects]
    """The effects at each budget."""
    gaps: dict[tuple[object, Any], Difference]
    """The change at each budget with each other choice; values below the drawn reference count as equal to it."""
    points: tuple[Entry, ...]
    bases: tuple[Entry, ...]
    """The points with the first choice."""

    @cached_property
    def repeats(self) -> int | None:
        """The least number of training runs of any point; ``None`` without a network."""
        return min((entry.trainings for entry in self.points if entry.trainings), default=None)

    @cached_property
    def others(self) -> tuple[str, ...]:
        """The other rows of the same kind in which the points to compare with do not have the paper's choice."""
        trials = [_trial(entry) for entry in self.bases]
        rows = [row for row in ROWS if row.trained == self.change.trained and row not in self.change.rows]
        rows = [row for row in rows if row.place == ("design",)]
        return tuple(row.name for row in rows if not all(row.is_papers(row.of(trial)) for trial in trials))

    @cached_property
    def p(self) -> dict[tuple[object, Any], float]:
        """The p-value of each budget and choice, corrected for all of them (Holm)."""
        corrected = zip(self.gaps, holm([gap.p for gap in self.gaps.values()]), strict=True)
        return {key: 1.0 if math.isnan(p) else p for key, p in corrected}

    @property
    def once(self) -> bool:
        """Whether networks that differ were trained only once, so that the choice is not told from chance."""
        return self.change.trained and self.repeats == 1

    def judgement(self, budget: object) -> Judgement:
        """What the results at a budget say."""
        one = self.at[budget]
        higher = self.points[0].higher_is_better(self.metric)
        if not self.of_paper or higher is None:
            return Judgement.NONE
        if self.once:
            return Judgement.UNDECIDED
        clear = {choice: gap.value for choice, gap in one.against.items() if self.p[budget, choice] <= LEVEL}
        if any((value > 0) is higher for value in clear.values()):
            return Judgement.CONTRADICTS
        return Judgement.AGREES if len(clear) == len(one.against) else Judgement.UNDECIDED

    @property
    def judgements(self) -> dict[object, Judgement]:
        """What the results at each budget say."""
        return {budget: self.judgement(budget) for budget in self.at}

    @property
    def decided(self) -> bool:
        """Whether the evidence agrees with the paper, or contradicts it, at some budget."""
        return any(one in (Judgement.AGREES, Judgement.CONTRADICTS) for one in self.judgements.values())

    def rival(self, budget: object) -> Any:
        """The best of the other choices at a budget."""
        gaps = self.at[budget].against
        higher = self.points[0].higher_is_better(self.metric)
        return (max if higher else min)(gaps, key=lambda choice: gaps[choice].value)


Pieces = dict[tuple[Change, tuple[str, ...], bool, str, Factor], dict[object, list[dict[str, Entry]]]]


def evidence(study: Study, metric: str) -> list[list[Evidence]]:
    """For each group of comparable points, all pieces of evidence, in the order of the ablation's axes."""
    return [[*_of_group(study, finite(group, metric), metric)] for group in comparable(study.entries, metric)]


def _of_group(study: Study, points: Sequence[Entry], metric: str) -> Iterator[Evidence]:
    for factor in _factors(study):
        for (what, words, of_paper, model, _), lines in _pieces(study, factor, points).items():
            named = Factor(factor.axes, what.name, words, words[0])
            at = {budget: _effects(study, named, budget, found, metric) for budget, found in lines.items()}
            known = {budget: one for budget, one in at.items() if one is not None}
            used = [line for budget in known for line in lines[budget]]
            if used:
                gaps = _gaps(study, known, lines, metric)
                every = tuple(entry for line in used for entry in line.values())
                bases = tuple(line[words[0]] for line in used if words[0] in line)
                yield Evidence(study, metric, what, named, of_paper, model, known, gaps, every, bases)


def _factors(study: Study) -> Iterator[Factor]:
    """The factors of the ablation; of one that is ``cumulative``, only the stages, each with the one before."""
    stages = list(dict.fromkeys(point.axes.get(STAGE) for point in study.points))
    for factor in factors(study):
        if factor.axes == (STAGE,):
            yield from (replace(factor, choices=pair, baseline=value_of(pair[0])) for pair in pairwise(stages))
        elif len(stages) < 2:
            yield factor


def _pieces(study: Study, factor: Factor, points: Sequence[Entry]) -> Pieces:
    """The lines of points to compare, for each piece of evidence and budget.

    Lines belong together if they have the same choices on the same kind of model.
    """
    settings: dict[tuple[Any, ...], dict[object, dict[Any, Entry]]] = {}
    for budget, entries in by_budget(study, points).items():
        for rest, line in _lines(factor, entries).items():
            settings.setdefault(rest, {})[budget] = line
    found: Pieces = {}
    for at in settings.values():
        parts: dict[tuple[Change, bool, str], dict[object, dict[str, Entry]]] = {}
        for budget, line in at.items():
            for key, part in _parts(factor, line).items():
                parts.setdefault(key, {})[budget] = part
        for (what, of_paper, model), lines in parts.items():
            words = tuple(dict.fromkeys(name for line in lines.values() for name in line))
            every = found.setdefault((what, words, of_paper, model, factor), {})
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


def _parts(factor: Factor, line: Mapping[Any, Entry]) -> dict[tuple[Change, bool, str], dict[str, Entry]]:
    """The choices of a line by what they change against the paper's choice or, if it was not tried, the first."""
    bases = {choice: _against(line, choice) for choice in line}
    papers = {
        choice: {c: w for c, w in of.items() if w.is_papers(_trial(line[choice]))} for choice, of in bases.items()
    }
    base = max(papers, key=lambda choice: len(papers[choice]), default=None)  # of equals, the first: the baseline
    of_paper = base is not None and bool(papers[base])
    if base is None or (not of_paper and {len(what.rows) for what in bases[base].values()} != {1}):
        return {}
    found: dict[tuple[Change, bool, str], dict[str, Entry]] = {}
    for choice, what in (papers if of_paper else bases)[base].items():
        key = what, of_paper, model_of(line[base])
        part = found.setdefault(key, {_word(factor, base, what, line[base]): line[base]})
        part[_word(factor, choice, what, line[choice])] = line[choice]
    return found


def _against(line: Mapping[Any, Entry], base: Any) -> dict[Any, Change]:
    """What each other choice of a line changes, where it can be compared."""
    found = {c: change(line[base].rows[0], entry.rows[0]) for c, entry in line.items() if c != base}
    return {choice: what for choice, what in found.items() if what is not None}


def _word(factor: Factor, choice: Any, what: Change, entry: Entry) -> str:
    return word(what.rows, _trial(entry)) if factor.axes == (STAGE,) else factor.word(choice)


def _trial(entry: Entry) -> Mapping[str, Any]:
    return entry.rows[0].trial or {}


def _effects(
    study: Study, factor: Factor, budget: object, lines: Sequence[Mapping[str, Entry]], metric: str
) -> Effects | None:
    """The effects at one budget; ``None`` without the choice to compare with, or any other."""
    known = {name for line in lines for name in line}
    names = [name for name in factor.choices if name in known]
    full = [{name: line[name] for name in names} for line in lines if line.keys() >= set(names)]
    return effects_at(study, factor, budget, full, metric) if full and len(names) > 1 else None


def _gaps(
    study: Study,
    at: Mapping[object, Effects],
    lines: Mapping[object, Sequence[Mapping[str, Entry]]],
    metric: str,
) -> dict[tuple[object, Any], Difference]:
    found: dict[tuple[object, Any], Difference] = {}
    for budget, one in at.items():
        base = one.factor.choices[0]
        full = [line for line in lines[budget] if line.keys() >= {*one.against, base}]
        found |= {(budget, choice): counted_gap(study, full, choice, base, metric) for choice in one.against}
    return found


def where(one: Evidence, budget: object) -> str:
    """``NFE 19``: the budget or, in an ablation without one, the evaluations of the choice to compare with."""
    study = one.study
    if study.column_axis:
        return f"{study.budget_word} {value_of(budget)}"
    return f"{WORDS[study.count]} {one.at[budget].nfe[one.factor.choices[0]]:.4g}"
