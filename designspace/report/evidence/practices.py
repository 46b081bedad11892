"""What ablations say about each row of the table: the paper's choice against the others, all else equal.

``pieces`` finds what can be compared. Effects are averaged over the settings of the other axes, as in ``effects``. If
the other rows have the paper's choices at some of these settings only, the average over those is evidence of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from statistics import fmean
from typing import Any, NamedTuple

from designspace.report.entry import WORDS, Count, Entry
from designspace.report.evidence.caveats import far_above_drawn
from designspace.report.evidence.contrasts import Difference
from designspace.report.evidence.differences import finite
from designspace.report.evidence.effects import Effects, counted_gap, effects_at, gap_between
from designspace.report.evidence.factors import Factor
from designspace.report.evidence.inference import LEVEL, holm
from designspace.report.evidence.matching import Piece, Points, pieces, trial_of
from designspace.report.evidence.paper import ROWS, Change
from designspace.report.study import Study, comparable
from designspace.text import value_of


class Judgement(StrEnum):
    """What the evidence says about the paper's choice."""

    CONTRADICTS = "contradicts"
    """Another choice is significantly better."""
    AGREES = "agrees"
    """It is significantly better than every other choice that was tried."""
    UNDECIDED = "undecided"
    BEYOND = "not in the paper"
    """The paper says nothing about the field."""
    NONE = "no evidence"


class Nearest(NamedTuple):
    """The best choice at a budget and the next best."""

    best: Any
    other: Any
    value: float
    """The value with the best choice."""
    gap: Difference
    """The value with the other choice minus that with the best one."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """The choices in one row, or in several rows together, that one ablation compares on one kind of model."""

    study: Study
    metric: str
    piece: Piece
    factor: Factor
    """The choices as text; the first is the one that the others are compared with."""
    at: dict[object, Effects]
    """The effects at each budget."""
    gaps: dict[tuple[object, Any], Difference]
    """The change at each budget with each other choice; values below the drawn reference count as equal to it."""
    points: tuple[Entry, ...]
    nfe: dict[object, float]
    """The evaluations of the choice to compare with at each budget, without those of guidance."""
    nearest: dict[object, Nearest]
    """At each budget, if the metric has a better direction, the best choice and the next best."""
    others: tuple[str, ...]
    """The other rows of the same kind in which the points to compare with do not all have the paper's choice."""

    @property
    def change(self) -> Change:
        """The row, field or rows that differ."""
        return self.piece.change

    @property
    def of_paper(self) -> bool:
        """Whether the others are compared with the paper's choice."""
        return self.piece.of_paper

    @property
    def model(self) -> str:
        """The model in words."""
        return self.piece.model

    @cached_property
    def repeats(self) -> int | None:
        """The least number of training runs of any point; ``None`` without a network."""
        return min((entry.trainings for entry in self.points if entry.trainings), default=None)

    @cached_property
    def p(self) -> dict[tuple[object, Any], float]:
        """The p-value of each budget and choice, corrected for all of them (Holm)."""
        corrected = zip(self.gaps, holm([gap.p for gap in self.gaps.values()]), strict=True)
        return {key: 1.0 if math.isnan(p) else p for key, p in corrected}

    @property
    def once(self) -> bool:
        """Whether networks that differ were trained only once, so that the choice is not told from chance."""
        return self.change.trained and self.repeats == 1

    @property
    def higher(self) -> bool | None:
        """Whether higher values are better; ``None`` if the metric has no better direction."""
        return self.points[0].higher_is_better(self.metric)

    @property
    def far(self) -> list[object]:
        """The budgets at which even the best value is far above the drawn reference."""
        best = {budget: min([0.0, *(gap.value for gap in at.against.values())]) for budget, at in self.at.items()}
        values = {budget: self.at[budget].baseline + gap for budget, gap in best.items()}
        return [at for at, value in values.items() if far_above_drawn(self.metric, self.points[0], value)]

    def points_at(self, budget: object) -> list[Entry]:
        """The points that are compared at a budget."""
        return [point for point in self.points if self.study.budget(point) == budget]

    def judgement(self, budget: object) -> Judgement:
        """What the results at a budget say."""
        one, higher = self.at[budget], self.higher
        if self.change.beyond:
            return Judgement.BEYOND
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
        return (max if self.higher else min)(gaps, key=lambda choice: gaps[choice].value)


def evidence(study: Study, metric: str) -> list[list[Evidence]]:
    """For each group of comparable points, all pieces of evidence, in the order of the ablation's axes."""
    return [[*_of_group(study, finite(group, metric), metric)] for group in comparable(study.entries, metric)]


def _of_group(study: Study, points: Sequence[Entry], metric: str) -> Iterator[Evidence]:
    for piece, lines in pieces(study, points).items():
        papers = {budget: [line for line in of if not _others(piece, [line])] for budget, of in lines.items()}
        papers = {budget: of for budget, of in papers.items() if of}
        alone = [_evidence(study, metric, piece, papers)] if papers and papers != lines else []
        yield from filter(None, [*alone, _evidence(study, metric, piece, lines)])


def _evidence(study: Study, metric: str, piece: Piece, lines: Mapping[object, Sequence[Points]]) -> Evidence | None:
    """What is known of a piece of evidence; ``None`` if no budget has the choice to compare with and another one."""
    factor = Factor(piece.axes, piece.change.name, piece.choices, piece.choices[0])
    found = {budget: _effects(study, factor, budget, of, metric) for budget, of in lines.items()}
    at = {budget: one for budget, one in found.items() if one is not None}
    used = [line for budget in at for line in lines[budget]]
    if not used:
        return None
    points = tuple(entry for line in used for entry in line.values())
    full = {budget: _full(one, lines[budget]) for budget, one in at.items()}
    nfe = {budget: fmean(line[factor.choices[0]].nfe for line in of) for budget, of in full.items()}
    nearest = {} if points[0].higher_is_better(metric) is None else _nearest(study, at, full, metric)
    gaps = _gaps(study, at, full, metric)
    return Evidence(study, metric, piece, factor, at, gaps, points, nfe, nearest, _others(piece, used))


def _full(one: Effects, lines: Sequence[Points]) -> list[Points]:
    """The lines that have all choices that are compared."""
    return [line for line in lines if line.keys() >= {*one.against, one.factor.choices[0]}]


def _nearest(
    study: Study, at: Mapping[object, Effects], full: Mapping[object, Sequence[Points]], metric: str
) -> dict[object, Nearest]:
    found: dict[object, Nearest] = {}
    for budget, one in at.items():
        lines, best = full[budget], one.favoured[0]
        values = {choice: fmean(line[choice].value(metric) for line in lines) for choice in one.nfe}
        rest = [choice for choice in values if choice != best]
        higher = lines[0][best].higher_is_better(metric)
        other = (max if higher else min)(rest, key=lambda choice: values[choice])
        found[budget] = Nearest(best, other, values[best], gap_between(study, lines, other, best, metric))
    return found


def _others(piece: Piece, lines: Sequence[Points]) -> tuple[str, ...]:
    """The other rows of the same kind in which a point to compare with does not have the paper's choice."""
    trials = [trial_of(line[piece.choices[0]]) for line in lines if piece.choices[0] in line]
    rows = [row for row in ROWS if row.trained == piece.change.trained and row not in piece.change.rows]
    rows = [row for row in rows if row.place == ("design",)]
    return tuple(row.name for row in rows if not all(row.is_papers(row.of(trial)) for trial in trials))


def _effects(study: Study, factor: Factor, budget: object, lines: Sequence[Points], metric: str) -> Effects | None:
    """The effects at one budget; ``None`` without the choice to compare with, or any other."""
    known = {name for line in lines for name in line}
    names = [name for name in factor.choices if name in known]
    full = [{name: line[name] for name in names} for line in lines if line.keys() >= set(names)]
    return effects_at(study, factor, budget, full, metric) if full and len(names) > 1 else None


def _gaps(
    study: Study, at: Mapping[object, Effects], full: Mapping[object, Sequence[Points]], metric: str
) -> dict[tuple[object, Any], Difference]:
    found: dict[tuple[object, Any], Difference] = {}
    for budget, one in at.items():
        base = one.factor.choices[0]
        lines = full[budget]
        found |= {(budget, choice): counted_gap(study, lines, choice, base, metric) for choice in one.against}
    return found


def where(one: Evidence, budget: object) -> str:
    """``NFE 19``: the budget or, in an ablation without one, the evaluations; with guidance, their total follows."""
    return f"{unit(one)} {amount(one, budget)}"


def unit(one: Evidence) -> str:
    """What is counted: ``NFE``, ``total NFE`` or ``steps``."""
    return one.study.budget_word or WORDS["nfe"]


def amount(one: Evidence, budget: object) -> str:
    """``19``, or ``11 (total 11 to 22)`` if guidance adds evaluations that the budget does not count."""
    points, axis = one.points_at(budget), one.study.column_axis
    fixed = value_of(budget) if axis else _range(points, "nfe")
    if axis == "nfe_total" or not any(point.spent("nfe_guidance") for point in points):
        return fixed
    return f"{fixed} (total{' NFE' if axis == 'num_steps' else ''} {_range(points, 'nfe_total')})"


def _range(points: Sequence[Entry], count: Count) -> str:
    """``11``, or ``11 to 22`` if the counts differ."""
    spent = [point.spent(count) for point in points]
    return " to ".join(dict.fromkeys(f"{end(spent):.4g}" for end in (min, max)))
