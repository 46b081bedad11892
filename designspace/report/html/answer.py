"""The answer in sentences: what the ablation found, what the evidence says about the claims, and what is best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from designspace.report.entry import WORDS, Entry
from designspace.report.evidence.changes import Change, Changes, changes
from designspace.report.evidence.differences import Ranking
from designspace.report.evidence.inference import LEVEL
from designspace.report.evidence.quality import quality
from designspace.report.evidence.verdicts import Verdict
from designspace.report.html.sections import Section
from designspace.report.study import Study, budgets
from designspace.report.tables import claims
from designspace.report.tables.quality import sentence
from designspace.text import counted, few, joined, measured, number, one_line, quoted, value_of

NAMED = 4
"""The number of rows whose changes are given."""


def answers(study: Study, verdicts: Sequence[Verdict], sections: Sequence[Section]) -> list[str]:
    """What the ablation found by its first metric, then the outcomes of the claims, then the rest.

    Ablations that change one row at a time open with the rows that change the metric most, and others with the
    evaluations for equal quality, if these differ, or with the best configuration for each protocol.
    """
    first = study.about.metrics[:1]
    ranked = [_of_rows(study, metric, one) for metric in first for one in changes(study, metric)]
    reached = [one for metric in first for one in quality(study, metric)]
    costs, rest = ([sentence(one) for one in reached if one.differs is it] for it in (True, False))
    best = [*of_best(study, sections)]
    found = [*ranked, *costs]
    told = [*(found or best), claims.summary(verdicts), *(best if found else []), *rest]
    return [text for text in told if text]


def _of_rows(study: Study, metric: str, found: Changes) -> str:
    """The rows by their largest change, with intervals, and those whose changes are not significant."""
    protocol, base = one_line(found.baseline.about(metric).protocol), found.baseline
    where = f"at {value_of(found.budget)} {study.budget_word}, " if study.column_axis else ""
    start = f"from the baseline's {number(base.value(metric), base.se(metric))}"
    sure = [one for one in found.rows if one.significant]
    named, more = sure[:NAMED], len(sure[NAMED:])
    small = [one.row for one in found.rows if not one.significant]
    how = f"largest change of each row or field, with 95 % intervals that hold together for all {found.choices} choices"
    if not named:
        least = f"the largest change is that of {_change(found.rows[0])}, {_by(found.rows[0])}"
        return _opened(f"{where}no row changes {protocol} significantly {start}; {least} ({how}).")
    text = f"{where}{_change(named[0])} changes {protocol} most, by {_by(named[0])} {start}"
    then = [f"{_change(one)} by {_by(one)}" for one in named[1:]]
    text += f"; then {joined(then)}" if then else ""
    text += f"; {counted(more, 'other row')} by less" if more else ""
    text += f"; no significant change by {joined(small)}" if small else ""
    return _opened(f"{text} ({how}).")


def _opened(text: str) -> str:
    """The text with a capital letter, unless it begins with the name of a choice."""
    return text[0].upper() + text[1:] if text.startswith(("at ", "no row ")) else text


def _change(one: Change) -> str:
    return quoted(value_of(one.choice))


def _by(one: Change) -> str:
    """``+458 [404, 512]``."""
    value, se = one.found.value, one.found.se
    text = f"{'+' if value > 0 else ''}{number(value, se)}"
    return text if one.interval is None else f"{text} [{', '.join(number(end, se) for end in one.interval)}]"


def of_best(study: Study, sections: Sequence[Section]) -> Iterator[str]:
    """The best configuration at one budget, for each protocol of the first metric that has a best value."""
    ranked = [section for section in sections if any(ranking.best for ranking in section.ranked)]
    for section in ranked:
        if section.metric == ranked[0].metric:
            yield _best(study, section)


def _best(study: Study, section: Section) -> str:
    """At the highest budget or, if it excludes none of several configurations, at the one that excludes most."""
    costs = budgets(study, section.entries)
    known = [(cost, ranking) for cost, ranking in zip(costs, section.ranked, strict=True) if ranking.best]
    cost, last = known[-1]
    tied = len(last.best) == len(last.against) + 1 > 1 and not last.unknown
    _, clearest = max(enumerate(known), key=lambda one: (len(_worse(one[1][1], len(known))), one[0]))
    if tied and _worse(clearest[1], len(known)):
        told = _told(study, section, *clearest, among=len(known))
        return f"{told}. {_where(study, section, cost)}no difference from the best is significant."
    return f"{_told(study, section, cost, last)}."


def _told(study: Study, section: Section, cost: object, ranking: Ranking, among: int = 1) -> str:
    return f"{_where(study, section, cost)}{_leading(study, section, ranking)}{_others(ranking, among)}"


def _worse(ranking: Ranking, among: int) -> list[Entry]:
    """The points that are significantly worse than the best one, if the budget is chosen among so many."""
    return [entry for entry, (_, p) in ranking.against.items() if among * p <= LEVEL]


def _where(study: Study, section: Section, cost: object) -> str:
    """``At 35 NFE, ``; a budget is called so if it was not always spent."""
    spent = not any(entry.unspent for entry in section.entries if study.budget(entry) == cost)
    of = "" if spent else "a budget of "
    return f"At {of}{value_of(cost)} {study.budget_word}, " if study.column_axis else ""


def _leading(study: Study, section: Section, ranking: Ranking) -> str:
    top, metric = ranking.best[0], section.metric
    order = "highest" if top.higher_is_better(metric) else "lowest"
    value = measured(top.value(metric), top.se(metric))
    text = f"{quoted(top.config)} has the {order} {section.title}, {value} ({_measured_on(study, top, section)})"
    return f"{text}, which is as good as the drawn reference" if top.below_drawn(metric) else text


def _measured_on(study: Study, top: Entry, section: Section) -> str:
    """``n = 400``, with the evaluations if those at the same budget differ, and a note on a single training run."""
    rivals = {e.spent(study.count) for e in section.entries if study.budget(e) == study.budget(top)}
    cost = f", {top.spent(study.count):.4g} {WORDS[study.count]}" if top.unspent or len(rivals) > 1 else ""
    return f"n = {top.images(section.metric):,}{cost}{', one training run' if top.trainings == 1 else ''}"


def _others(ranking: Ranking, among: int) -> str:
    """What does not differ significantly from the best, corrected for ``among`` budgets."""
    if ranking.unknown:
        return "; without standard errors, differences from it cannot be tested"
    same, worse = {_trials(ranking.best[0])}, _worse(ranking, among)
    equal = ranking.best[1:] if among == 1 else [entry for entry in ranking.against if entry not in worse]
    others = [entry for entry in equal if _trials(entry) not in same]
    count = sum(_trials(entry) not in same for entry in ranking.against)
    sure = "(95 % confidence)" if among == 1 else f"(95 % confidence, corrected for the {among} budgets)"
    if not others:
        return f"; all others are significantly worse {sure}" if count else ""
    if len(others) == count > 1:
        return f"; none of the others differs significantly from it {sure}"
    do = "does" if len(others) == 1 else "do"
    return f"; {_names(others)} {do} not differ significantly from it {sure}"


def _trials(entry: Entry) -> tuple[str, ...]:
    return tuple(row.id for row in entry.rows)


def _names(entries: Sequence[Entry]) -> str:
    return few([quoted(entry.config) for entry in entries])
