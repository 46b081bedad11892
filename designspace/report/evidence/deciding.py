"""What would decide a row of the table on which the evidence is missing or undecided."""

from __future__ import annotations

import math
from statistics import NormalDist

from designspace.report.evidence.contrasts import Difference
from designspace.report.evidence.inference import LEVEL, POWER
from designspace.report.evidence.judged import Evidence, Judgement
from designspace.report.evidence.paper import Row
from designspace.report.evidence.practices import where
from designspace.report.evidence.verdicts import MANY
from designspace.text import value_of

RUNS = 100
"""If more training runs would be needed, no number is given."""


def deciding(row: Row | None, one: Evidence | None) -> str:
    """What would decide the row, in words; empty if the evidence does at some budget, or if nothing can.

    Nothing can decide about a field that the paper does not set, or by a metric that has no better direction.
    """
    if one is None:
        return row.needs if row else ""
    if one.decided_at or one.change.beyond or one.higher is None:
        return ""
    if not one.gaps:
        return "an ablation that tries other choices than those of the paper"
    if not one.of_paper:
        return "an ablation that tries the paper's choice beside these"
    if one.once:
        return "several training runs of each network (evaluate.repeats: 3), because a single one may differ by chance"
    equal = f"the same choices at equal cost (axis {one.study.count})"
    if Judgement.WITHHELD in one.judgements.values():
        return f"{equal}, because better ones also cost more here"
    enough = _enough(one)
    if all(one.is_unequal(budget) for budget in one.at):
        enough += f"; if the better ones, which also cost more, are then significantly better, {equal}"
    learned = "; better, a trained network, whose errors the sampler meets" if one.repeats is None else ""
    return enough + learned


def _enough(one: Evidence) -> str:
    """The number of images or training runs at the budget that needs the fewest times more."""
    times, budget = min((_times(one, budget), i) for i, budget in enumerate(one.at))
    at = [*one.at][budget]
    chance = f"with a probability of {POWER:.0%} at {where(one, at)}".replace("%", " %")
    gaps = [gap for (of, _), gap in one.gaps.items() if of == at]
    runs = min((gap.runs for gap in gaps if gap.runs), default=None)
    if runs is not None:
        needed = math.ceil(runs * times) if math.isfinite(times) else math.inf
        if needed <= RUNS:
            return f"about {needed} training runs of each network {chance}"
        return f"no feasible number of training runs: differences at {where(one, at)} are below {_visible(gaps)}"
    images = one.points[0].images(one.metric) * times
    if images <= MANY:
        return f"about {float(f'{images:.2g}'):,.0f} images {chance}"
    if all(gap.value == 0 for gap in gaps):
        return "no number of images: all values are as good as images drawn from the reference"
    return f"no feasible number of images: differences at {where(one, at)} are below {_visible(gaps)}"


def _visible(gaps: list[Difference]) -> str:
    """The largest difference that the 95 % intervals leave."""
    return value_of(float(f"{max(abs(gap.value) + 2 * (gap.se or 0.0) for gap in gaps):.2g}"))


def _times(one: Evidence, budget: object) -> float:
    """The factor on the number of images with which the tests at a budget decide, if the estimates are right.

    Either the best other choice is tested against the paper's or, if that has the best value, each other choice is.
    """
    worse = {choice: gap.z * (-1 if one.higher else 1) for (of, choice), gap in one.gaps.items() if of == budget}
    if any(math.isnan(z) for z in worse.values()):
        return math.inf
    least = min(worse.values(), default=0.0)
    needed, tests = ([-least], 1) if least < 0 else ([*worse.values()], one.alternatives(budget))
    critical = NormalDist().inv_cdf(1 - LEVEL / 2 / len(one.gaps) / tests) + NormalDist().inv_cdf(POWER)
    return max((critical / z) ** 2 if z > 0 else math.inf for z in needed)
