"""The answer in a sentence: what has become of the claims, and which configurations are best."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from designspace.report.entry import Entry
from designspace.report.evidence.claims import Verdict
from designspace.report.evidence.compare import Ranking
from designspace.report.html.sections import Section
from designspace.report.study import Study, budgets
from designspace.text import measured, value_of

VERDICTS = {
    "holds": ("holds", "hold"),
    "does not hold": ("does not hold", "do not hold"),
    "undecided": ("is undecided", "are undecided"),
    "not computed": ("is not computed", "are not computed"),
}
NAMED = 4
"""Configurations that are listed by name."""


def of_claims(verdicts: Sequence[Verdict]) -> str:
    """``Of 6 claims, 5 hold and 1 does not hold.``; empty without claims."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    words = [f"{counts[name]} {forms[counts[name] != 1]}" for name, forms in VERDICTS.items() if counts[name]]
    if not words:
        return ""
    if len(verdicts) == 1:
        return f"The one claim {VERDICTS[verdicts[0].verdict][0]}."
    if len(words) == 1:
        return f"{'Both' if len(verdicts) == 2 else f'All {len(verdicts)}'} claims {words[0].split(' ', 1)[1]}."
    return f"Of {len(verdicts)} claims, {', '.join(words[:-1])} and {words[-1]}."


def in_short(verdicts: Sequence[Verdict]) -> list[tuple[str, str]]:
    """``(holds, 5 hold), (undecided, 1 undecided)``: verdicts that there are, with their counts."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    forms = {name: VERDICTS[name][counts[name] != 1].removeprefix("is ").removeprefix("are ") for name in VERDICTS}
    return [(name, f"{counts[name]} {form}") for name, form in forms.items() if counts[name]]


def of_best(study: Study, sections: Sequence[Section]) -> Iterator[str]:
    """A sentence for each protocol of the first metric that has a best: which it is at the highest budget."""
    ranked = [section for section in sections if any(ranking.best for ranking in section.ranked)]
    for section in ranked:
        if section.metric == ranked[0].metric:
            yield _best(study, section)


def _best(study: Study, section: Section) -> str:
    costs = budgets(study, section.entries)
    cost, ranking = [(c, r) for c, r in zip(costs, section.ranked, strict=True) if r.best][-1]
    top, metric = ranking.best[0], section.metric
    where = {"nfe": f"At {value_of(cost)} NFE, ", "num_steps": f"At {value_of(cost)} steps, "}
    order = "highest" if top.higher_is_better(metric) else "lowest"
    value = measured(top.value(metric), top.se(metric))
    text = f"{_quoted(top)} has the {order} {section.title}, {value} ({_measured_on(study, top, section)})"
    return f"{where.get(study.column_axis or '', '')}{text}{_others(ranking)}."


def _measured_on(study: Study, top: Entry, section: Section) -> str:
    """``n = 400``, and the cost of the best one where those that it is compared with cost something else."""
    rivals = {e.nfe for e in section.entries if study.budget(e) == study.budget(top)}
    cost = f", {top.nfe:.4g} NFE" if study.column_axis != "nfe" and len(rivals) > 1 else ""
    return f"n = {top.images(section.metric):,}{cost}"


def _others(ranking: Ranking) -> str:
    if ranking.unknown:
        return "; without standard errors nothing says which others are as good"
    same = {_trials(ranking.best[0])}
    others = [entry for entry in ranking.best[1:] if _trials(entry) not in same]
    count = sum(_trials(entry) not in same for entry in ranking.against)
    if not others:
        return "; all others are clearly worse (95 %)" if count else ""
    if len(others) == count > 1:
        return "; none of the others can be told from it at 95 %"
    return f"; {_names(others)} cannot be told from it at 95 %"


def _trials(entry: Entry) -> tuple[str, ...]:
    return tuple(row.id for row in entry.rows)


def _names(entries: Sequence[Entry]) -> str:
    names = [_quoted(entry) for entry in entries[:NAMED]]
    if len(entries) > NAMED:
        return f"{', '.join(names)} and {len(entries) - NAMED} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _quoted(entry: Entry) -> str:
    """The name, in quotes where a sentence would not show where it ends."""
    return f"“{entry.config}”" if re.search(r"[\s,]", entry.config) else entry.config
