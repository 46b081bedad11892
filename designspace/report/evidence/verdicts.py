"""The verdict on each claim: whether the evidence decides it, and the numbers behind the decision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from designspace.report.entry import Entry
from designspace.report.evidence.caveats import too_few_images
from designspace.report.evidence.claims import NFE, Needed, Statement, comparisons
from designspace.report.evidence.inference import Evidence, Outcome, evidence
from designspace.report.study import Study
from designspace.results.records import Claim
from designspace.text import one_line, p_value

MANY = 10_000_000
"""If more images would be needed to decide a claim, no exact number is given."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """A claim and what the results say about it."""

    say: str
    """The claim in its author's words."""
    outcome: Outcome
    numbers: str
    """Sentences with the estimates of the comparison least favourable to the claim, or why there are none."""
    statements: tuple[Statement, ...] = ()
    evidence: Evidence | None = None


def verdicts(study: Study) -> list[Verdict]:
    """The verdict on each claim, in the order of the ablation."""
    return [_verdict(study, claim) for claim in study.about.claims]


def _verdict(study: Study, claim: Claim) -> Verdict:
    say, expect = one_line(claim.say), claim.expect
    needed = comparisons(study, expect)
    if needed is None:
        return Verdict(say, Outcome.MISSING, "This version of designspace does not know this kind of claim.")
    metric = expect["metric"]
    found = [one for one in needed if all(_measured(entry, metric) for entry in one.entries)]
    if any(_mixed(one, metric) for one in found):
        why = "The points were measured with different protocols, numbers of images or references."
        return Verdict(say, Outcome.MISSING, why)
    stated, missing = [one.statements() for one in found], len(needed) - len(found)
    statements = tuple(statement for each in stated for statement in each)
    why = f"{missing} of {len(needed)} comparisons have no finite result yet."
    if not statements:
        return Verdict(say, Outcome.MISSING, why)
    together = evidence([statement.z for statement in statements], len(needed) * len(stated[0]))
    if missing and together.outcome != Outcome.FAILS:
        return Verdict(say, Outcome.MISSING, why, statements, together)
    least = max(range(len(found)), key=lambda i: evidence([statement.z for statement in stated[i]]).p_for)
    numbers = " ".join(_sentences(found[least].entries[0], metric, stated[least], together, len(needed)))
    return Verdict(say, together.outcome, numbers, statements, together)


def _measured(entry: Entry, metric: str) -> bool:
    if metric == NFE:
        return bool(entry.rows)
    return entry.has(metric) and math.isfinite(entry.value(metric))


def _mixed(one: Needed, metric: str) -> bool:
    return metric != NFE and len({entry.protocol(metric) for entry in one.entries}) > 1


def _sentences(point: Entry, metric: str, stated: Sequence[Statement], together: Evidence, count: int) -> list[str]:
    seeds = f" for each of {len(point.rows)} seeds" if len(point.rows) > 1 else ""
    n = f"n = {point.images(metric):,}{seeds}."
    if not all(statement.known for statement in stated):
        return [f"{stated[0].numbers}, no standard error, {n}"]
    alone = evidence([statement.z for statement in stated]) if count > 1 else together
    sentences = [f"{stated[0].numbers}, {p_value(alone.p)}, {n}"]
    if together.outcome == Outcome.UNDECIDED:
        sentences += [f"If the estimates stayed the same, {_needed(point.images(metric), together.times, seeds)}."]
    if count > 1:
        least = f"This is the least favourable of {count} comparisons"
        sentences += [f"{least}; for all of them together, {p_value(together.p)}."]
    few = too_few_images(metric, point)
    return [*sentences, few] if few else sentences


def _needed(images: int, times: float, seeds: str) -> str:
    """The number of images that would decide the claim, in words; standard errors scale as 1 / sqrt(n)."""
    needed = images * times
    if math.isinf(times):
        return "no number of images would decide the claim"
    if needed > MANY:
        return f"more than {MANY:,} images{seeds} would be needed to decide the claim"
    step = 10 ** max(math.floor(math.log10(needed)) - 1, 0)
    return f"about {math.ceil(needed / step) * step:,} images{seeds} would be needed to decide the claim"
