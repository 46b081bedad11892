"""The verdicts on an ablation's claims, as the file claims.md and as a summary in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from designspace.report.evidence.inference import Outcome
from designspace.report.evidence.verdicts import Verdict, verdicts
from designspace.report.study import Study
from designspace.text import escape

FORMS = {
    Outcome.HOLDS: ("holds", "hold"),
    Outcome.PART: ("holds in part", "hold in part"),
    Outcome.FAILS: ("does not hold", "do not hold"),
    Outcome.UNDECIDED: ("is undecided", "are undecided"),
    Outcome.MISSING: ("is not computed", "are not computed"),
}
"""The verb for each outcome in a sentence, in the singular and the plural."""
LABELS = FORMS | {Outcome.UNDECIDED: ("undecided",) * 2, Outcome.MISSING: ("not computed",) * 2}
"""The word for each outcome after a number of claims, in the singular and the plural."""
MEANING = (
    "A claim holds, or does not hold, if its two-sided p-value is at most 0.05 (normal approximation; for a single "
    "difference, 1.96 standard errors; Student's t if the standard error comes from a few repeats); otherwise it is "
    "undecided. A claim of several comparisons holds if each of "
    "them does; it does not hold if one is contradicted after Bonferroni's correction for their number. A claim that "
    "names no budget is judged at every budget. It holds in part if it holds at some and is "
    "contradicted or undecided at others, and does not hold if it is contradicted at some and holds at none. Unless it "
    "holds at all, each budget has Bonferroni's correction for their number. p-values are not corrected for "
    "the number of claims. "
    "A difference is paired if both points start from the same latents: its standard error is then that of the "
    "difference of the images' influences."
)
PRELIMINARY = (
    "The run is not complete, so these verdicts are preliminary. Looking at them repeatedly until one holds finds a "
    "difference between identical configurations far more often than in 5 % of all cases."
)
LIVE = (
    "The run is not complete, so these verdicts are preliminary. Their p-values and intervals are always valid: "
    "however often they are looked at, the probability that a false claim ever holds is at most 2.5 % (Waudby-Smith "
    "et al., https://arxiv.org/abs/2103.06476)."
)


def page(study: Study, *, live: bool = False) -> str:
    """claims.md: each claim with its verdict and the numbers behind it."""
    found = verdicts(study, live=live)
    lines = [f"# {escape(study.about.name)}: claims", "", summary(found), ""]
    for verdict in found:
        lines += [f"- **{verdict.headline}**: {escape(verdict.say)}  ", f"  {escape(verdict.numbers)}"]
    return "\n".join([*lines, *(f"\n{text}" for text in meaning(found, live=live))]) + "\n"


def meaning(found: Sequence[Verdict], *, live: bool = False) -> list[str]:
    """What the verdicts mean, and that they are preliminary if they are."""
    return ([LIVE if live else PRELIMINARY] if any(verdict.preliminary for verdict in found) else []) + [MEANING]


def summary(found: Sequence[Verdict]) -> str:
    """A summary such as ``Of 6 claims, 5 hold and 1 does not hold.``; empty if there are no claims."""
    counts = _counts(found)
    if not counts:
        return ""
    end = " (preliminary: the run is not complete)." if any(verdict.preliminary for verdict in found) else "."
    if len(found) == 1:
        return f"The one claim {FORMS[found[0].outcome][0]}{end}"
    if len(counts) == 1:
        return f"{'Both' if len(found) == 2 else f'All {len(found)}'} claims {FORMS[found[0].outcome][1]}{end}"
    *words, last = [f"{count} {FORMS[outcome][count != 1]}" for outcome, count in counts.items()]
    return f"Of {len(found)} claims, {', '.join(words)} and {last}{end}"


def labels(found: Sequence[Verdict]) -> dict[Outcome, str]:
    """The number of claims with each outcome that occurs, in words: ``5 hold``, ``1 undecided (preliminary)``."""
    unsure = {verdict.outcome for verdict in found if verdict.preliminary}
    return {
        outcome: f"{count} {LABELS[outcome][count != 1]}" + (" (preliminary)" if outcome in unsure else "")
        for outcome, count in _counts(found).items()
    }


def _counts(found: Sequence[Verdict]) -> dict[Outcome, int]:
    counts = Counter(verdict.outcome for verdict in found)
    return {outcome: counts[outcome] for outcome in Outcome if counts[outcome]}
