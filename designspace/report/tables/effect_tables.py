"""Tables of effects: for every design choice what was tried, what each does, and which one the evidence favours."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from designspace.report.evidence.effects import Effects, effects
from designspace.report.evidence.factors import factors
from designspace.report.study import Study, comparable
from designspace.report.tables import caption
from designspace.report.tables.markdown import lines_of
from designspace.report.tables.table import Cell, Table
from designspace.text import escape, measured, one_line, value_of

UNEQUAL = 1.1
"""Times the evaluations of another choice: a cost that is not the same."""
NAMED = 3
"""Choices that are named as favoured; of more, the number."""
FAVOURED = (
    "What the evidence favours of each design choice: the best of those tried, and whatever cannot be told from it at "
    "95 % (Holm's correction for the choices of the row)."
)
MEANING = (
    "Effects of design choices, all else equal: the mean, over the settings of the other axes at the same budget, of "
    "the choice's value minus the baseline's (the first one's where the ablation's own design has none of them), ± "
    "standard error (paired where latents are shared; else the most that it can be). In brackets the mean of what it "
    "is compared with. Bold: what is favoured. Empty: not measured, or not finite. An effect that depends on the other "
    "axes is no advice for each of them: see the tables of all configurations."
)


def tables(study: Study, metric: str) -> list[tuple[Table, Table]]:
    """For each protocol, what is favoured and the effects behind it."""
    found = []
    for group, of in zip(comparable(study.entries, metric), effects(study, metric), strict=True):
        if of and group[0].higher_is_better(metric) is not None:
            name, protocol = one_line(group[0].about(metric).protocol), caption.protocol(metric, group)
            favoured, behind = _favoured(study, of, name), _effects(study, of, name)
            told = [f"{protocol}. {FAVOURED}", *_costs(study, of), *_without(study, of)]
            found.append((replace(favoured, caption=" ".join(told)), behind))
    return found


def _favoured(study: Study, found: Sequence[Effects], name: str) -> Table:
    shown = _budgets(found)
    rows = []
    for factor, at in _by_factor(found).items():
        tried = ", ".join(map(factor.word, factor.choices))
        rows.append([Cell(factor.name), Cell(tried), *(_words(at[b]) if b in at else Cell("") for b in shown)])
    return Table([name, "tried", *(f"favoured{_at(study, b)}" for b in shown)], rows, FAVOURED)


def _words(one: Effects) -> Cell:
    if not one.decided:
        return Cell("undecided")
    names = [one.factor.word(choice) for choice in one.favoured]
    return Cell(" or ".join(names) if len(names) <= NAMED else f"{names[0]} or {len(names) - 1} others", True)


def _costs(study: Study, found: Sequence[Effects]) -> Iterator[str]:
    """Which choices are not compared at equal cost: of one number of steps, some take several times the evaluations."""
    if study.column_axis == "nfe":
        return
    for factor, at in _by_factor(found).items():
        nfe = [*at.values()][-1].nfe
        if max(nfe.values()) > UNEQUAL * min(nfe.values()):
            counts = ", ".join(f"{factor.word(choice)} {count:.4g}" for choice, count in nfe.items())
            yield f"Not at equal cost: the choices of {factor.name} differ in their evaluations ({counts})."


def _without(study: Study, found: Sequence[Effects]) -> Iterator[str]:
    """Choices of which nothing can be said, as where the baseline has diverged."""
    known = {one.factor for one in found}
    if names := [factor.name for factor in factors(study) if factor not in known]:
        yield f"Of {', '.join(names)} nothing can be said: what choices would be compared with has no finite result."


def _effects(study: Study, found: Sequence[Effects], name: str) -> Table:
    shown = _budgets(found)
    rows = []
    for factor, at in _by_factor(found).items():
        for choice in factor.choices:
            cells = [_cell(at[b], choice) if b in at else Cell("") for b in shown]
            base = choice == factor.choices[0]
            word = factor.word(choice) + (f" ({factor.compared_with})" if base else "")
            rows.append([Cell(factor.name if base else ""), Cell(word), *cells])
    header = [name, "choice", *(f"change{_at(study, b)}" for b in shown)]
    return Table(header, rows, MEANING)


def _cell(one: Effects, choice: Any) -> Cell:
    best = one.decided and choice in one.favoured
    if choice == one.factor.choices[0]:
        return Cell(f"({one.baseline:.4g})", best)
    if (gap := one.against.get(choice)) is None:
        return Cell("")
    text = measured(gap.value, gap.se)
    return Cell(text if gap.value < 0 or gap.value == 0 else f"+{text}", best)


def _at(study: Study, budget: object) -> str:
    return f" at {'NFE' if study.column_axis == 'nfe' else 'steps'} {value_of(budget)}" if study.column_axis else ""


def _budgets(found: Sequence[Effects]) -> list[object]:
    """The lowest, a middle and the highest."""
    known = list(dict.fromkeys(one.budget for one in found))
    return list(dict.fromkeys((known[0], known[len(known) // 2], known[-1])))


def _by_factor(found: Sequence[Effects]) -> dict[Any, dict[object, Effects]]:
    by: dict[Any, dict[object, Effects]] = {}
    for one in found:
        by.setdefault(one.factor, {})[one.budget] = one
    return by


def page(study: Study) -> str:
    """All of them as Markdown, with what they mean; empty if there is no choice to compare."""
    parts = []
    for metric in study.about.metrics:
        for favoured, behind in tables(study, metric):
            parts += ["", *lines_of(favoured), "", escape(favoured.caption), "", *lines_of(behind)]
    if not parts:
        return ""
    return "\n".join([f"# {escape(study.about.name)}: design choices", "", escape(MEANING), *parts]) + "\n"


def tidy(study: Study) -> str:
    """One row an effect, at every budget, as CSV."""
    file = io.StringIO()
    names = ["metric", "protocol", study.column_axis or "budget", "choice_of", "baseline", "baseline_mean", "choice"]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*names, "change", "se", "paired", "settings", "favoured"])
    for metric in study.about.metrics:
        for group, found in zip(comparable(study.entries, metric), effects(study, metric), strict=True):
            protocol = one_line(group[0].about(metric).protocol)
            for one in found:
                base = one.factor.choices[0]
                about = [metric, protocol, value_of(one.budget), one.factor.name, one.factor.word(base)]
                for choice, gap in one.against.items():
                    numbers = [f"{gap.value:.6g}", "" if gap.se is None else f"{gap.se:.6g}", gap.paired, one.lines]
                    word = one.factor.word(choice)
                    writer.writerow([*about, f"{one.baseline:.6g}", word, *numbers, choice in one.favoured])
    return file.getvalue()
