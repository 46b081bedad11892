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
from typing import Any

from designspace.report.entry import WORDS, Entry
from designspace.report.evidence.contrasts import Difference
from designspace.report.evidence.differences import finite
from designspace.report.evidence.effects import Effects, Factor, counted_gap, effects_at
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
    NONE = "no evidence"


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
    others = _others(piece, used)
    return Evidence(study, metric, piece, factor, at, _gaps(study, at, lines, metric), points, others)


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
    study: Study,
    at: Mapping[object, Effects],
    lines: Mapping[object, Sequence[Points]],
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
