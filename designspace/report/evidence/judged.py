"""A piece of evidence on a row of the table, and what it says about the choice of the paper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from designspace.report.entry import Entry
from designspace.report.evidence.caveats import far_above_drawn, too_few_images
from designspace.report.evidence.contrasts import Difference
from designspace.report.evidence.effects import Effects
from designspace.report.evidence.factors import Factor
from designspace.report.evidence.inference import LEVEL, holm
from designspace.report.evidence.matching import Piece
from designspace.report.evidence.paper import Change
from designspace.report.study import Study

PAPERS_NFE = 35
"""The evaluations of the paper for images of 32 x 32 pixels, 18 steps of Heun's method."""
CHURN_NFE = 511
"""The evaluations of the paper with churn, 256 steps of Heun's method (the authors' code, for ImageNet)."""
UNEQUAL = 1.1
"""Choices whose evaluations differ by more than this factor are not compared at equal cost."""


class Judgement(StrEnum):
    """What the evidence says about the paper's choice."""

    CONTRADICTS = "contradicts"
    """Another choice is significantly better than all that the paper endorses."""
    AGREES = "agrees"
    """A choice that the paper endorses is significantly better than every other one that was tried."""
    VARIES = "contradicts at some budgets and agrees at others"
    """Of all budgets together."""
    WITHHELD = "withheld"
    """The better choice also costs more, so that the comparison is not one of the choices."""
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
    """The effects at each budget; the first choice is the best one that the paper endorses."""
    gaps: dict[tuple[object, Any], Difference]
    """At each budget, the difference that decides on each choice that the paper does not endorse.

    It is that from the best endorsed one. If the choice is better, it is the least significant of those from all
    endorsed ones, since it has to be better than each. Values below the drawn reference count as equal to it."""
    compared: tuple[tuple[object, str, Entry], ...]
    """The points, each with its budget and choice."""
    nfe: dict[object, float]
    """The evaluations of the choice to compare with at each budget, without those of guidance."""
    nearest: dict[object, Nearest]
    """At each budget, if the metric has a better direction, the best choice and the next best."""
    endorsed: tuple[str, ...]
    """The choices of the paper, and those that it calls about as good."""
    others: tuple[str, ...]
    """The other rows of the same kind, and the other fields of the row, that are not always as in the paper.

    They are those in which the points to compare with do not all have the paper's choice."""

    @property
    def points(self) -> tuple[Entry, ...]:
        """The points that are compared."""
        return tuple(entry for _, _, entry in self.compared)

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
        """The p-value of each budget and choice, corrected for all of them (Holm).

        If any of several endorsed choices may be the better one, it is also corrected for their number (Bonferroni).
        """
        raw = [gap.p * (1 if self.is_better(gap) else self.alternatives(at)) for (at, _), gap in self.gaps.items()]
        return {key: 1.0 if math.isnan(p) else p for key, p in zip(self.gaps, holm(raw), strict=True)}

    def alternatives(self, budget: object) -> int:
        """The number of choices at a budget that the paper endorses; 1 if it endorses none."""
        return max(1, sum(choice in self.endorsed for choice in self.at[budget].nfe))

    def is_better(self, gap: Difference) -> bool:
        """Whether a choice is better than those that it is compared with."""
        return gap.value != 0 and (gap.value > 0) is self.higher

    def costs_more(self, budget: object, choice: Any) -> bool:
        """Whether the better one of a choice and the endorsed one costs more evaluations.

        It does not if the budget is given in the evaluations that count, of which solvers may leave a few unspent.
        """
        if self.study.column_axis == self.study.count:
            return False
        nfe = self.at[budget].nfe
        own, papers = nfe[choice], nfe[self.at[budget].factor.choices[0]]
        better, worse = (own, papers) if self.is_better(self.gaps[budget, choice]) else (papers, own)
        return better > UNEQUAL * worse

    @cached_property
    def papers_budget(self) -> object:
        """The budget whose evaluations are nearest to the paper's, as a ratio."""
        return min(self.nfe, key=self.nfe_from_papers)

    def nfe_from_papers(self, budget: object) -> float:
        """The factor between the evaluations at a budget and those of the paper, at least 1."""
        papers = CHURN_NFE if "stochasticity" in (row.name for row in self.change.rows) else PAPERS_NFE
        return max(self.nfe[budget] / papers, papers / self.nfe[budget])

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

    def is_weak(self, budget: object) -> bool:
        """Whether even the best value is far above the drawn reference, or there are too few images for the features.

        Such values are biased, or of networks that have hardly learned the data.
        """
        return budget in self.far or bool(too_few_images(self.metric, self.points[0]))

    def points_at(self, budget: object) -> list[Entry]:
        """The points that are compared at a budget."""
        return [point for point in self.points if self.study.budget(point) == budget]

    def is_unequal(self, budget: object) -> bool:
        """Whether the best other choice at a budget is better and costs more, so that it cannot contradict."""
        place = budget, self.rival(budget)
        return place in self.gaps and self.is_better(self.gaps[place]) and self.costs_more(*place)

    def judgement(self, budget: object) -> Judgement:
        """What the results at a budget say."""
        if self.change.beyond:
            return Judgement.BEYOND
        tried = [choice for at, choice in self.gaps if at == budget]
        if not self.of_paper or self.higher is None or not tried:
            return Judgement.NONE
        if self.once:
            return Judgement.UNDECIDED
        clear = [choice for choice in tried if self.p[budget, choice] <= LEVEL]
        better = [choice for choice in clear if self.is_better(self.gaps[budget, choice])]
        if better:
            return Judgement.WITHHELD if all(self.costs_more(budget, c) for c in better) else Judgement.CONTRADICTS
        if len(clear) < len(tried):
            return Judgement.UNDECIDED
        return Judgement.WITHHELD if any(self.costs_more(budget, c) for c in clear) else Judgement.AGREES

    @property
    def judgements(self) -> dict[object, Judgement]:
        """What the results at each budget say."""
        return {budget: self.judgement(budget) for budget in self.at}

    @property
    def decided_at(self) -> list[object]:
        """The budgets at which the evidence agrees with the paper or contradicts it."""
        decided = (Judgement.AGREES, Judgement.CONTRADICTS)
        return [budget for budget, found in self.judgements.items() if found in decided]

    @property
    def overall(self) -> Judgement:
        """The verdict over all budgets: that at the decided ones or, if there are none, the first in our order."""
        found = {*self.judgements.values()}
        if {Judgement.AGREES, Judgement.CONTRADICTS} <= found:
            return Judgement.VARIES
        return next(one for one in Judgement if one in found)

    def rival(self, budget: object) -> Any:
        """The best choice at a budget that the paper does not endorse, or else the best of the others."""
        every = self.at[budget].against
        gaps = {choice: gap for choice, gap in every.items() if (budget, choice) in self.gaps} or every
        return (max if self.higher else min)(gaps, key=lambda choice: gaps[choice].value)
