"""Verdicts: does what was expected hold, and how sure is that?"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from designspace.report.caption import few_images
from designspace.report.compare import Difference, Z, difference
from designspace.report.entry import Entry, Row
from designspace.report.study import Study
from designspace.report.text import describe, escape, measured, one_line, p_value

MANY = 10_000_000
"""Images that nobody will compute: no exact number is given beyond."""


@dataclass(frozen=True)
class Pair:
    """Two points of which the first is claimed to be less, and how they differ."""

    lower: Entry
    higher: Entry
    difference: Difference


@dataclass(frozen=True)
class Verdict:
    """A claim and what the results say of it."""

    say: str
    verdict: str
    """``holds``, ``does not hold``, ``undecided`` or ``not computed``."""
    numbers: str
    pairs: tuple[Pair, ...] = ()


def verdicts(study: Study) -> list[Verdict]:
    """One for each claim, in the order of the ablation."""
    return [_verdict(study, claim) for claim in study.about["claims"]]


def _verdict(study: Study, claim: Row) -> Verdict:
    say, expect = one_line(claim.get("say", "")), claim.get("expect", {})
    if not {"less", "metric"} <= expect.keys():
        return Verdict(say, "not computed", "This version does not know what is expected.")
    metric, expected = expect["metric"], _pairs(study, *expect["less"])
    found = [(a, b) for a, b in expected if _measured(a, metric) and _measured(b, metric)]
    if any(a.protocol(metric) != b.protocol(metric) for a, b in found):
        return Verdict(say, "not computed", "Measured by different protocols, numbers of images or references.")
    pairs = tuple(Pair(a, b, difference(study, a, b, metric)) for a, b in found)
    verdicts = [pair.difference.verdict for pair in pairs]
    missing = len(expected) - len(pairs)
    if not pairs or (missing and "does not hold" not in verdicts):
        why = f"{missing} of {len(expected)} comparisons have no finite result yet."
        return Verdict(say, "not computed", why, pairs)
    verdict = next((v for v in ("does not hold", "undecided") if v in verdicts), "holds")
    hardest = max(pairs, key=lambda pair: -math.inf if math.isnan(pair.difference.z) else pair.difference.z)
    more = f" This is the hardest of {len(pairs)} comparisons." if len(pairs) > 1 else ""
    return Verdict(say, verdict, _numbers(hardest, metric) + more, pairs)


def _pairs(study: Study, low: Row, high: Row) -> list[tuple[Entry, Entry]]:
    """Points with the values of ``low`` and of ``high``; axes that neither names are equal, if they can be."""
    free = [axis for axis in study.about["axes"] if axis not in low and axis not in high]
    lower, higher = _select(study, low), _select(study, high)
    partners: dict[tuple[Any, ...], list[Entry]] = {}
    for point in higher:
        partners.setdefault(tuple(point.axes.get(axis) for axis in free), []).append(point)
    pairs = [(a, b) for a in lower for b in partners.get(tuple(a.axes.get(axis) for axis in free), [])]
    return pairs or [(a, b) for a in lower for b in higher]


def _select(study: Study, axes: Row) -> list[Entry]:
    return [point for point in study.points if axes.items() <= point.axes.items()]


def _measured(entry: Entry, metric: str) -> bool:
    return entry.has(metric) and math.isfinite(entry.value(metric))


def _numbers(pair: Pair, metric: str) -> str:
    a, b, found = pair.lower, pair.higher, pair.difference
    one, other = (f"{measured(e.value(metric), e.se(metric))} ({describe(e.axes)})" for e in (a, b))
    what, gap = one_line(a.about(metric)["protocol"]), measured(found.value, found.se)
    text = f"{what} {one} against {other}: difference {gap}"
    seeds = f" for each of {len(a.rows)} seeds" if len(a.rows) > 1 else ""
    if found.se is None:
        return f"{text}, no standard error, n = {a.images(metric):,}{seeds}."
    text += f" ({'paired' if found.paired else 'not paired'}), {p_value(found.p)}, n = {a.images(metric):,}{seeds}."
    needed = [_needed(a.images(metric), found) + seeds + "."] if found.verdict == "undecided" and found.value else []
    return " ".join([text, *needed, *few_images(metric, a)])


def _needed(images: int, found: Difference) -> str:
    """The standard error falls as 1 / sqrt(n)."""
    needed = images * (Z / found.z) ** 2 if found.z else math.inf
    if needed > MANY:
        return f"A difference of this size would be decided by more than {MANY:,} images"
    step = 10 ** max(math.floor(math.log10(needed)) - 1, 0)
    return f"A difference of this size would be decided by about {math.ceil(needed / step) * step:,} images"


def page(study: Study) -> str:
    """The verdicts as Markdown."""
    found = verdicts(study)
    counts = Counter(verdict.verdict for verdict in found)
    lines = [f"# {escape(study.about['name'])}: claims", "", ", ".join(f"{n} {v}" for v, n in counts.items()) + ".", ""]
    for verdict in found:
        lines += [f"- **{verdict.verdict}**: {escape(verdict.say)}  ", f"  {escape(verdict.numbers)}"]
    lines += [
        "",
        "A claim holds, or does not, if the difference is more than 1.96 standard errors from 0 (two-sided, 95 %; "
        "normal approximation; not corrected for the number of claims). Paired: the standard error of the difference "
        "is that of the images' influences on the same latents.",
    ]
    return "\n".join(lines) + "\n"
