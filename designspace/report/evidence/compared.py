"""The comparisons of a claim with their results, and what they say about the claim at each budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from designspace.report.entry import Entry
from designspace.report.evidence.claims import Needed, comparisons
from designspace.report.evidence.inference import ClaimTest, Outcome, as_always_valid, evidence
from designspace.report.evidence.statements import NFE, Statement
from designspace.report.points import values_of
from designspace.report.study import Study, budgets
from designspace.results.records import Expect
from designspace.text import joined, value_of

WORDS = {
    Outcome.HOLDS: "holds",
    Outcome.FAILS: "does not hold",
    Outcome.UNDECIDED: "undecided",
    Outcome.MISSING: "not computed",
}
"""The outcomes at a single budget, in the order in which they are told."""


@dataclass(frozen=True, eq=False)
class ClaimComparison:
    """One of the comparisons of a claim."""

    needed: Needed
    metric: str
    live: bool
    """Whether its tests must be valid however often the results are looked at."""

    @property
    def point(self) -> Entry:
        """The point whose numbers of images and features stand for all."""
        return self.needed.entries[0]

    @cached_property
    def statements(self) -> list[Statement]:
        """The statements, with the z-values of the tests; empty until all points are measured."""
        if not all(_measured(entry, self.metric) for entry in self.needed.entries):
            return []
        found = self.needed.statements()
        return [one._replace(z=as_always_valid(one.z, *self.images)) for one in found] if self.live else found

    @property
    def images(self) -> tuple[int, int]:
        """The number of images that were measured and that are planned, over all seeds."""
        least = min(self.needed.entries, key=lambda entry: len(entry.rows) / entry.expected)
        each = least.images(self.metric)
        return each * len(least.rows), each * least.expected

    @property
    def mixed(self) -> bool:
        """Whether its points were measured in different ways."""
        known = bool(self.statements) and self.metric != NFE
        return known and len({entry.protocol(self.metric) for entry in self.needed.entries}) > 1


Found = Sequence[ClaimComparison]


def compared(study: Study, expect: Expect, live: bool) -> list[ClaimComparison] | None:
    """The comparisons of a claim; ``None`` if this version cannot read it."""
    needed = comparisons(study, expect)
    return None if needed is None else [ClaimComparison(one, expect["metric"], live) for one in needed]


def _measured(entry: Entry, metric: str) -> bool:
    """Whether the point can be judged: one with trained networks only when all repeats are there.

    Before, its error would be that of the images of one network, or of two that are not those of the other point.
    """
    if metric == NFE:
        return bool(entry.rows)
    complete = entry.trainings is None or len(entry.rows) == entry.expected
    return complete and entry.has(metric) and math.isfinite(entry.value(metric))


def by_budget(study: Study, found: Found) -> dict[object, list[ClaimComparison]]:
    """The comparisons at each budget; all in one group if the ablation has no budgets or one spans several."""
    spanned = [{study.budget(entry) for entry in one.needed.entries} for one in found]
    if study.column_axis is None or any(len(one) > 1 for one in spanned):
        return {None: [*found]}
    known = budgets(study, [entry for one in found for entry in one.needed.entries])
    return {budget: [one for one, at in zip(found, spanned, strict=True) if budget in at] for budget in known}


def distinct(study: Study, found: Found) -> Found:
    """The comparisons without those at further budgets that have the same values, as of a metric of the network.

    They are a single observation. All comparisons are returned if a value is missing or any two of them differ.
    """
    groups = [*by_budget(study, found).values()]
    if len(groups) < 2 or not all(one.statements and one.metric != NFE for one in found):
        return found
    values = [{tuple(_at_any_budget(study, e, one.metric) for e in one.needed.entries) for one in of} for of in groups]
    return groups[0] if all(of == values[0] for of in values) else found


def _at_any_budget(study: Study, entry: Entry, metric: str) -> object:
    """The choices of a point and its values, without its budget."""
    return frozenset(item for item in entry.axes.items() if item[0] != study.column_axis), values_of(entry, metric)


def tested(found: Found) -> ClaimTest:
    """The test of all comparisons together; at least one must have its results."""
    stated = [one.statements for one in found if one.statements]
    return evidence([statement.z for each in stated for statement in each], len(found) * len(stated[0]))


def judged(groups: Mapping[object, Found]) -> dict[object, Outcome]:
    """The outcome at each budget, such that all of them are right together with a probability of 95 %.

    A claim that holds at every budget needs no correction for their number (intersection-union test). Otherwise, the
    outcomes at the budgets have Bonferroni's correction: a false ``holds`` at some budget then has a probability of at
    most 2.5 % in either case, and so has a false ``does not hold``.
    """
    alone = {budget: _outcome(found, 1) for budget, found in groups.items()}
    if {*alone.values()} == {Outcome.HOLDS}:
        return alone
    return {budget: _outcome(found, len(groups)) for budget, found in groups.items()}


def _outcome(found: Found, tests: int) -> Outcome:
    if not any(one.statements for one in found):
        return Outcome.MISSING
    outcome = tested(found).among(tests)
    complete = all(one.statements for one in found)
    return outcome if complete or outcome is Outcome.FAILS else Outcome.MISSING


def overall(at: Mapping[object, Outcome]) -> Outcome:
    """The outcome of a claim from its outcomes at all budgets.

    It holds in part if it holds at some budget and is contradicted or undecided at another one.
    """
    found = {*at.values()} or {Outcome.MISSING}
    if Outcome.HOLDS in found and found & {Outcome.FAILS, Outcome.UNDECIDED}:
        return Outcome.PART
    order = (Outcome.FAILS, Outcome.MISSING, Outcome.UNDECIDED, Outcome.HOLDS)
    return next(outcome for outcome in order if outcome in found)


def in_words(at: Mapping[object, Outcome]) -> str:
    """What is true at which budget: ``holds at 19 and 35, not at 9``, ``does not hold at 9, undecided at 11``."""
    budgets_of = {one: [value_of(budget) for budget, found in at.items() if found is one] for one in WORDS}
    parts: list[str] = []
    for outcome, where in ((outcome, where) for outcome, where in budgets_of.items() if where):
        word = "not" if outcome is Outcome.FAILS and parts else WORDS[outcome]
        all_of = "all of " if outcome is Outcome.HOLDS and len(where) == len(at) > 1 else ""
        parts += [f"{word} at {all_of}{joined(where)}"]
    return ", ".join(parts)
