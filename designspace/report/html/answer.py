"""The answer in sentences: what the evidence says about the claims, and which configurations are best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from designspace.report.entry import WORDS, Entry
from designspace.report.evidence.differences import Ranking
from designspace.report.evidence.quality import quality
from designspace.report.evidence.verdicts import Verdict
from designspace.report.html.sections import Section
from designspace.report.study import Study, budgets
from designspace.report.tables import claims
from designspace.report.tables.quality import sentence
from designspace.text import few, measured, quoted, value_of


def answers(study: Study, verdicts: Sequence[Verdict], sections: Sequence[Section]) -> list[str]:
    """The outcomes of the claims, the best configuration for each protocol of the first metric, and what it costs."""
    reached = [found for metric in study.about.metrics[:1] for found in quality(study, metric)]
    costs = map(sentence, reached)
    return [text for text in (claims.summary(verdicts), *of_best(study, sections), *costs) if text]


def of_best(study: Study, sections: Sequence[Section]) -> Iterator[str]:
    """The best configuration at the highest budget, for each protocol of the first metric that has a best value."""
    ranked = [section for section in sections if any(ranking.best for ranking in section.ranked)]
    for section in ranked:
        if section.metric == ranked[0].metric:
            yield _best(study, section)


def _best(study: Study, section: Section) -> str:
    costs = budgets(study, section.entries)
    cost, ranking = [(c, r) for c, r in zip(costs, section.ranked, strict=True) if r.best][-1]
    return f"{_where(study, section, cost)}{_leading(study, section, ranking)}{_others(ranking)}."


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


def _others(ranking: Ranking) -> str:
    if ranking.unknown:
        return "; without standard errors, differences from it cannot be tested"
    same = {_trials(ranking.best[0])}
    others = [entry for entry in ranking.best[1:] if _trials(entry) not in same]
    count = sum(_trials(entry) not in same for entry in ranking.against)
    if not others:
        return "; all others are significantly worse (95 % confidence)" if count else ""
    if len(others) == count > 1:
        return "; none of the others differs significantly from it (95 % confidence)"
    do = "does" if len(others) == 1 else "do"
    return f"; {_names(others)} {do} not differ significantly from it (95 % confidence)"


def _trials(entry: Entry) -> tuple[str, ...]:
    return tuple(row.id for row in entry.rows)


def _names(entries: Sequence[Entry]) -> str:
    return few([quoted(entry.config) for entry in entries])
