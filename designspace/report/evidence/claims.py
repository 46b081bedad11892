"""Verdicts: does what was expected hold, and how sure is that?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from designspace.report.entry import Entry
from designspace.report.evidence.checks import Asked, asked
from designspace.report.evidence.inference import Evidence, evidence
from designspace.report.evidence.parts import NFE, Part
from designspace.report.study import Study
from designspace.report.tables.caveats import few_images
from designspace.results.records import Claim
from designspace.text import escape, one_line, p_value

MANY = 10_000_000
"""Images that nobody will compute: no exact number is given beyond."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """A claim and what the results say of it."""

    say: str
    verdict: str
    """``holds``, ``does not hold``, ``undecided`` or ``not computed``."""
    numbers: str
    parts: tuple[Part, ...] = ()
    evidence: Evidence | None = None


def verdicts(study: Study) -> list[Verdict]:
    """One for each claim, in the order of the ablation."""
    return [_verdict(study, claim) for claim in study.about.claims]


def _verdict(study: Study, claim: Claim) -> Verdict:
    say, expect = one_line(claim.say), claim.expect
    expected = asked(study, expect)
    if expected is None:
        return Verdict(say, "not computed", "This version does not know what is expected.")
    metric = expect["metric"]
    found = [one for one in expected if all(_measured(entry, metric) for entry in one.entries)]
    if any(_mixed(one, metric) for one in found):
        return Verdict(say, "not computed", "Measured by different protocols, numbers of images or references.")
    stated = [one.parts() for one in found]
    parts, missing = [part for each in stated for part in each], len(expected) - len(found)
    why = f"{missing} of {len(expected)} comparisons have no finite result yet."
    if not parts:
        return Verdict(say, "not computed", why)
    together = evidence([part.z for part in parts], len(expected) * len(stated[0]))
    if missing and together.verdict != "does not hold":
        return Verdict(say, "not computed", why, tuple(parts), together)
    hardest = max(range(len(found)), key=lambda i: evidence([part.z for part in stated[i]]).p_for)
    numbers = _numbers(found[hardest].entries[0], metric, stated[hardest], together, len(expected))
    return Verdict(say, together.verdict, numbers, tuple(parts), together)


def _measured(entry: Entry, metric: str) -> bool:
    if metric == NFE:
        return bool(entry.rows)
    return entry.has(metric) and math.isfinite(entry.value(metric))


def _mixed(one: Asked, metric: str) -> bool:
    return metric != NFE and len({entry.protocol(metric) for entry in one.entries}) > 1


def _numbers(point: Entry, metric: str, stated: Sequence[Part], together: Evidence, count: int) -> str:
    seeds = f" for each of {len(point.rows)} seeds" if len(point.rows) > 1 else ""
    n = f"n = {point.images(metric):,}{seeds}."
    if not all(part.known for part in stated):
        return f"{stated[0].numbers}, no standard error, {n}"
    alone = evidence([part.z for part in stated]) if count > 1 else together
    sentences = [f"{stated[0].numbers}, {p_value(alone.p)}, {n}"]
    if together.verdict == "undecided":
        sentences += [_needed(point.images(metric), together.times) + seeds + "."]
    if count > 1:
        sentences += [f"This is the hardest of {count} comparisons; of all of them together, {p_value(together.p)}."]
    return " ".join([*sentences, *few_images(metric, point)])


def _needed(images: int, times: float) -> str:
    """The standard error falls as 1 / sqrt(n)."""
    needed, what = images * times, "Estimates like these would be decided by"
    if math.isinf(times):
        return f"{what} no number of images"
    if needed > MANY:
        return f"{what} more than {MANY:,} images"
    step = 10 ** max(math.floor(math.log10(needed)) - 1, 0)
    return f"{what} about {math.ceil(needed / step) * step:,} images"


def page(study: Study) -> str:
    """The verdicts as Markdown."""
    found = verdicts(study)
    counts = Counter(verdict.verdict for verdict in found)
    lines = [f"# {escape(study.about.name)}: claims", "", ", ".join(f"{n} {v}" for v, n in counts.items()) + ".", ""]
    for verdict in found:
        lines += [f"- **{verdict.verdict}**: {escape(verdict.say)}  ", f"  {escape(verdict.numbers)}"]
    lines += [
        "",
        "A claim holds, or does not, if p is at most 0.05 (two-sided, normal approximation; for a difference: 1.96 "
        "standard errors). A claim of several comparisons holds if each of them does; it does not if one is "
        "contradicted after Holm's correction for their number. Nothing is corrected for the number of claims. Paired: "
        "the standard error of the difference is that of the images' influences on the same latents.",
    ]
    return "\n".join(lines) + "\n"
