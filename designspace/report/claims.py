"""Verdicts: does what was expected hold, and how sure is that?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from designspace.report.compare import Difference, Z, difference
from designspace.report.study import Entry, Study
from designspace.report.tables import number


@dataclass(frozen=True)
class Verdict:
    """A claim and what the results say of it."""

    say: str
    verdict: str
    """``holds``, ``does not hold``, ``undecided`` or ``not computed``."""
    numbers: str


def verdicts(study: Study) -> list[Verdict]:
    """One for each claim, in the order of the ablation."""
    return [_verdict(study, claim) for claim in study.about["claims"]]


def _verdict(study: Study, claim: dict[str, Any]) -> Verdict:
    metric, (low, high) = claim["expect"]["metric"], claim["expect"]["less"]
    lower, higher = study.select(low), study.select(high)
    if not lower or not higher:
        return Verdict(claim["say"], "not computed", "Some of its points have no result yet.")
    pairs = [(a, b, difference(study, a, b, metric)) for a in lower for b in higher]
    decided = [_decide(d) for _, _, d in pairs]
    verdict = next((v for v in ("does not hold", "undecided") if v in decided), "holds")
    a, b, hardest = max(pairs, key=lambda pair: pair[2].z)
    more = f" (the hardest of {len(pairs)} pairs)" if len(pairs) > 1 else ""
    return Verdict(claim["say"], verdict, _numbers(a, b, hardest, metric) + more)


def _decide(found: Difference) -> str:
    if found.z <= -Z:
        return "holds"
    return "does not hold" if found.z >= Z else "undecided"


def _numbers(a: Entry, b: Entry, found: Difference, metric: str) -> str:
    protocol = a.about(metric)["protocol"]
    how = "paired" if found.paired else "not paired"
    se = "no standard error" if found.se is None else f"± {number(found.se, found.se)} ({how})"
    text = (
        f"{protocol} {number(a.value(metric), a.se(metric))} against {number(b.value(metric), b.se(metric))}, "
        f"difference {number(found.value, found.se)} {se}, p = {found.p:.2g}, n = {a.images}"
    )
    if found.se and found.value and abs(found.z) < Z:
        needed = math.ceil(a.images * (Z / found.z) ** 2 / 100) * 100
        text += f"; about {needed:,} images would decide it if the difference stays what it is"
    return text


def markdown(study: Study) -> str:
    """The verdicts as a page."""
    lines = [f"# {study.about['name']}: claims", ""]
    for found in verdicts(study):
        lines += [f"- **{found.verdict}**: {found.say}", f"  {found.numbers}"]
    lines += ["", "Differences are tested at 95 % (normal approximation, two-sided), not corrected for their number."]
    return "\n".join(lines) + "\n"
