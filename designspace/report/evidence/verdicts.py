"""The verdict on each claim: whether the evidence decides it, where, and the numbers behind the decision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from designspace.report.entry import Entry
from designspace.report.evidence.caveats import too_few_images
from designspace.report.evidence.compared import (
    ClaimComparison,
    Found,
    by_budget,
    compared,
    distinct,
    in_words,
    judged,
    overall,
    tested,
)
from designspace.report.evidence.inference import POWER, ClaimTest, Outcome, always_valid_width, as_student, evidence
from designspace.report.evidence.statements import Statement
from designspace.report.study import Study
from designspace.report.trainings import network_of
from designspace.results.points import named_by_all
from designspace.results.records import Claim, Expect
from designspace.text import measured, number, one_line, p_value, sentence, value_of

MANY = 10_000_000
"""If more images would be needed to decide a claim, no exact number is given."""
MIXED = "The points were measured with different protocols, numbers of images or references."
SAME = "The values are the same at every budget, so that they are judged once."
UNKNOWN = "This version of designspace does not know this kind of claim."


@dataclass(frozen=True, eq=False)
class Verdict:
    """A claim and what the results say about it."""

    say: str
    """The claim in its author's words."""
    outcome: Outcome
    numbers: str
    """Sentences with the estimates of the comparison least favourable to the claim, or why there are none."""
    brief: str = ""
    """The same in a few words: the estimates, at each budget if there are several, and the p-value."""
    enough: str = ""
    """For a claim that is undecided at some budget and contradicted at none, how many images or training runs would
    decide it."""
    statements: tuple[Statement, ...] = ()
    evidence: ClaimTest | None = None
    where: str = ""
    """For a claim about several budgets, what is true at which: ``holds at 19 and 35, not at 9``."""
    preliminary: bool = False
    """Whether results are still missing, so that the verdict may change."""

    @property
    def headline(self) -> str:
        """The outcome in words, with the budgets at which it was found."""
        return (self.where or self.outcome) + (" (preliminary)" if self.preliminary else "")


def verdicts(study: Study, *, live: bool = False) -> list[Verdict]:
    """The verdict on each claim, in the order of the ablation.

    Args:
        study: The ablation with its results.
        live: Whether the results are looked at again and again. Until all of them are there, verdicts and intervals
            are then always valid: see ``always_valid``.
    """
    return [verdict(study, claim, live=live) for claim in study.about.claims]


def verdict(study: Study, claim: Claim, *, live: bool = False) -> Verdict:
    """The verdict on one claim, which may be another one than those of the ablation. See ``verdicts``."""
    say, metric, waiting = one_line(claim.say), claim.expect.get("metric", ""), study.waiting
    live = live and waiting
    every = compared(study, claim.expect, live)
    if every is None:
        return Verdict(say, Outcome.MISSING, UNKNOWN)
    if any(one.mixed for one in every):
        return Verdict(say, Outcome.MISSING, MIXED)
    found = distinct(study, every)
    groups, known = by_budget(study, found), [one for one in found if one.statements]
    at = judged(groups)
    outcome, together = overall(at), tested(found) if known else None
    sentences, at_each, brief, enough = _restriction(study, claim), _at_each(groups), "", ""
    if together is None or outcome is Outcome.MISSING:
        sentences += [f"{len(found) - len(known)} of {len(found)} comparisons have no finite result yet."]
    else:
        least = max(known, key=lambda one: evidence([statement.z for statement in one.statements]).p_for)
        enough = _enough_for(least, metric, together) if _is_open(at) else ""
        sentences += _sentences(least, metric, together, enough, len(found))
        sentences += [SAME] if len(found) < len(every) else []
        brief = (at_each[:1].lower() + at_each[1:]).removesuffix(".") or _brief(least, together, len(found))
    sentences += filter(None, [at_each, *_elsewhere(study, claim, live)])
    stated = tuple(statement for one in known for statement in one.statements)
    where, preliminary = in_words(at) if len(at) > 1 else "", waiting and outcome is not Outcome.MISSING
    return Verdict(say, outcome, " ".join(sentences), brief, enough, stated, together, where, preliminary)


def _is_open(at: Mapping[object, Outcome]) -> bool:
    """Whether more images could make the claim hold at every budget: it is undecided at some, contradicted at none."""
    return Outcome.UNDECIDED in at.values() and Outcome.FAILS not in at.values()


def _named(study: Study, expect: Expect) -> object:
    """The budget that all selections of a claim name; ``None`` if there is none."""
    return named_by_all(_selections(expect), study.column_axis or "")


def _selections(expect: Expect) -> list[Mapping[str, object]]:
    sides = [side for value in expect.values() for side in (value if isinstance(value, list | tuple) else [value])]
    return [side for side in sides if isinstance(side, Mapping)]


def _restriction(study: Study, claim: Claim) -> list[str]:
    budget = _named(study, claim.expect)
    return [f"Judged at {value_of(budget)} only: {sentence(claim.why)}"] if claim.why and budget is not None else []


def _elsewhere(study: Study, claim: Claim, live: bool) -> list[str]:
    """How a claim that names a budget without a reason fares at the other budgets."""
    axis, budget = study.column_axis or "", _named(study, claim.expect)
    if claim.why or budget is None:
        return []
    general = {key: _without(value, axis) for key, value in claim.expect.items()}
    found = compared(study, general, live) or []
    groups = {other: of for other, of in by_budget(study, found).items() if other not in (None, budget)}
    comparable = groups and not any(one.mixed for of in groups.values() for one in of)
    return [f"Elsewhere: {in_words(judged(groups))}."] if comparable else []


def _without(value: object, axis: str) -> object:
    if isinstance(value, list | tuple):
        return [_without(one, axis) for one in value]
    return {key: one for key, one in value.items() if key != axis} if isinstance(value, Mapping) else value


def _sentences(least: ClaimComparison, metric: str, together: ClaimTest, enough: str, count: int) -> list[str]:
    """The numbers of the least favourable comparison and, if the claim is undecided, what would decide it."""
    point, stated = least.point, least.statements
    n = f"n = {point.images(metric):,}{_each(least)}{_trained_once(least.needed.entries)}."
    if not all(statement.known for statement in stated):
        return [f"{stated[0].numbers}, no standard error, {n}"]
    alone = evidence([statement.z for statement in stated])
    corrected = f", corrected for {alone.alternatives} alternatives" if alone.alternatives > 1 else ""
    sentences = [f"{stated[0].numbers}, {_p(alone, least.live)}{corrected}, {n}", *filter(None, [stated[0].note])]
    if least.live:
        sentences += _interval(stated[0], *least.images)
    elif enough:
        sentences += [f"If the estimates stayed the same, {enough}."]
    if count > 1:
        least_of = f"This is the least favourable of {count} comparisons"
        sentences += [f"{least_of}; for all of them together, {_p(together, least.live)}."]
    few = too_few_images(metric, point)
    return [*sentences, few] if few else sentences


def _brief(least: ClaimComparison, together: ClaimTest, count: int) -> str:
    first, *_ = least.statements
    shown = f"{first.what} {measured(first.estimate.value, first.estimate.se)}"
    if not first.known:
        return f"{shown}, no standard error"
    return f"{f'least favourable of {count}: ' if count > 1 else ''}{shown}, {_p(together, least.live)}"


def _each(least: ClaimComparison) -> str:
    """`` for each of 3 training runs`` if there are repeats."""
    repeats = len(least.point.rows)
    kind = "seeds" if least.statements[0].estimate.runs is None else "training runs"
    return f" for each of {repeats} {kind}" if repeats > 1 else ""


def _enough_for(least: ClaimComparison, metric: str, together: ClaimTest) -> str:
    """What would decide an undecided claim, if the estimates stayed the same; empty if that is not known."""
    if not all(statement.known for statement in least.statements):
        return ""
    runs = least.statements[0].estimate.runs
    so_far, unit = (least.point.images(metric), f"images{_each(least)}") if runs is None else (runs, "training runs")
    return _enough(so_far, unit, together.times, at_most=runs is not None)


def _trained_once(entries: Sequence[Entry]) -> str:
    """A remark if networks were trained only once, so that the verdict holds for these networks alone."""
    counts = {entry.trainings for entry in entries} - {None}
    if 1 not in counts:
        return ""
    if len({network_of(row) for entry in entries for row in entry.rows} - {None}) == 1:
        return ", for this one training run"
    return f", for one training run of {'each network' if counts == {1} else 'some networks'}"


def _p(found: ClaimTest, live: bool) -> str:
    return f"always-valid {p_value(found.p)}" if live else p_value(found.p)


def _interval(statement: Statement, n: int, planned: int) -> list[str]:
    value, se, degrees = statement.estimate.value, statement.estimate.se, statement.estimate.degrees
    if se is None or not math.isfinite(value):
        return []
    width = always_valid_width(n, planned)
    width = width if degrees is None else as_student(width, degrees)
    low, high = (number(value + sign * width * se, se) for sign in (-1, 1))
    return [f"The always-valid 95 % interval of the {statement.what} is {low} to {high}."]


def _at_each(groups: Mapping[object, Found]) -> str:
    """The estimate at each budget: ``Difference at each budget: 54.0 ± 3.2 at 7, -0.41 ± 0.31 at 35.``"""
    stated = {budget: [one.statements for one in found if one.statements] for budget, found in groups.items()}
    least = {
        budget: max(each, key=lambda of: evidence([s.z for s in of]).p_for) for budget, each in stated.items() if each
    }
    if len(least) < 2:
        return ""
    shown = [f"{measured(s.estimate.value, s.estimate.se)} at {value_of(budget)}" for budget, (s, *_) in least.items()]
    what = next(iter(least.values()))[0].what
    several = any(len(each) > 1 for each in stated.values())
    return f"{f'Least favourable {what}' if several else what.capitalize()} at each budget: {', '.join(shown)}."


def _enough(count: int, unit: str, times: float, *, at_most: bool) -> str:
    """What would decide the claim, in words; ``count`` is the number of ``unit`` so far, which ``times`` multiplies.

    For training runs it is an upper bound (``at_most``), because more of them also raise the degrees of freedom of
    Student's t.
    """
    if math.isinf(times):
        return f"no number of {unit} would decide the claim"
    needed, chance = count * times, f"would decide the claim with a probability of {POWER:.0%}".replace("%", " %")
    if needed > MANY:
        return f"only more than {MANY:,} {unit} {chance}"
    step = 10 ** max(math.floor(math.log10(needed)) - 1, 0)
    rounded = round(needed / step) * step if step > 1 else math.ceil(needed)
    return f"{'at most ' if at_most else ''}about {rounded:,} {unit} {chance}"
