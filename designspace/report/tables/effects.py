"""Design choices, as effects.md (the choices tried, the effect of each, and the favoured ones) and effects.csv."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from designspace.report.entry import Entry
from designspace.report.evidence.differences import finite
from designspace.report.evidence.effects import Dependence, Effects, effects
from designspace.report.evidence.factors import Factor, choice_of, edges, factors, word_of
from designspace.report.evidence.interactions import interactions
from designspace.report.evidence.judged import UNEQUAL
from designspace.report.study import Study, learned, rivals
from designspace.report.tables import caption
from designspace.report.tables.evidence import NOT_EVERYWHERE
from designspace.report.tables.interactions import told as depending
from designspace.report.tables.table import Cell, Table, csv_text, markdown, number_cell
from designspace.text import escape, few, joined, measured, one_line, value_of

NAMED = 3
"""The largest number of favoured choices that are all named; if there are more, only the first is."""
UNDECIDED = "undecided"
FAVOURED = (
    "Favoured: the choice in each row that is best on average over the settings of the other axes, and all choices "
    "that do not differ significantly from it (95 % confidence, corrected for all pairs of choices in the row, because "
    "the best one is found in the same data). The favoured choices are given for each value of another axis if no "
    "choice is favoured at all of them, or if an interaction is significant and the average hides what is favoured at "
    "some value (corrected for all pairs at all values of all axes). Otherwise, the row says so if the best one on "
    "average is significantly worse than another at some setting (corrected for all pairs at all settings), and gives "
    "the favoured choices of the settings at which all other rows have theirs if it is worse there. If rows depend on "
    "each other, compare the values of whole configurations. Beyond a value at the edge of the grid there may be "
    "better ones."
)
MEANING = (
    "Main effects of design choices: the value with this choice minus the value with the baseline's choice (or with "
    "the first choice, if the baseline has none of them), averaged over the settings of the other axes at the same "
    "budget, ± standard error (paired on shared latents where possible, otherwise an upper bound). In parentheses: the "
    "mean value with the choice that the others are compared with. Bold: favoured. Empty: not measured or not finite. "
    "An effect may depend on the other axes: the table of favoured choices says so if another choice is significantly "
    "better somewhere."
)


class Pair(NamedTuple):
    """The two tables for a metric and protocol."""

    favoured: Table
    """The favoured choices."""
    behind: Table
    """The effects that they follow from."""


def page(study: Study) -> str:
    """effects.md: the tables of all metrics; empty if there is no choice to compare."""
    parts = []
    for metric in study.about.metrics:
        for favoured, behind in tables(study, metric):
            parts += ["", *markdown(favoured), "", escape(favoured.caption), "", *markdown(behind)]
    if not parts:
        return ""
    return "\n".join([f"# {escape(study.about.name)}: design choices", "", escape(MEANING), *parts]) + "\n"


def tidy(study: Study) -> str:
    """effects.csv: one row per effect, at every budget."""
    budget = study.column_axis or "budget"
    rows = [
        _flat(budget, metric, one_line(group[0].about(metric).protocol), one, choice)
        for metric in study.about.metrics
        for group, found in zip(rivals(study.entries, metric), effects(study, metric), strict=True)
        for one in found
        for choice in one.against
    ]
    return csv_text(lambda: rows)


def _flat(budget: str, metric: str, protocol: str, one: Effects, choice: Any) -> dict[str, Any]:
    gap, factor = one.against[choice], one.factor
    about = {"metric": metric, "protocol": protocol, budget: value_of(one.budget), "choice_of": factor.name}
    about |= {"baseline": factor.word(factor.choices[0]), "baseline_mean": f"{one.baseline:.6g}"}
    about |= {"choice": factor.word(choice), "change": f"{gap.value:.6g}"}
    about |= {"se": "" if gap.se is None else f"{gap.se:.6g}"}
    about["depends_on"] = one.dependence.axis if one.dependence else ""
    return about | {"paired": gap.paired, "settings": one.lines, "favoured": choice in one.favoured}


def tables(study: Study, metric: str) -> list[Pair]:
    """For each protocol, the favoured choices and the effects behind them."""
    found = []
    crossed = interactions(study, metric)
    for group, of, pairs in zip(rivals(study.entries, metric), effects(study, metric), crossed, strict=True):
        if of and group[0].higher_is_better(metric) is not None:
            name = one_line(group[0].about(metric).protocol)
            told = [f"{caption.protocol(metric, group)}. {FAVOURED}", caption.training_runs(group)]
            told += [caption.COUNTED_AS_DRAWN] if any(e.below_drawn(metric) for e in finite(group, metric)) else []
            told = [*filter(None, told), *depending(study, pairs), *_costs(study, of), *_left_out(study, group, of)]
            favoured = replace(_favoured(study, of, name), caption=" ".join(told))
            found.append(Pair(favoured, _effects(study, of, name)))
    return found


def _favoured(study: Study, found: Sequence[Effects], name: str) -> Table:
    shown = _budgets(found)
    rows = []
    for factor, at in _by_factor(found).items():
        tried = ", ".join(map(factor.word, factor.choices))
        rows.append([Cell(factor.name), Cell(tried), *(words(at[b]) if b in at else Cell("") for b in shown)])
    return Table([name, "tried", *(f"favoured{_at(study, b)}" for b in shown)], rows, FAVOURED)


def words(one: Effects) -> Cell:
    """The favoured choices, by the value of another axis if they depend on it; ``undecided`` if none is excluded."""
    if one.dependence:
        text = _by_level(one, one.dependence)
    else:
        text = _names(one.factor, one.favoured) if one.decided else UNDECIDED
        text += "" if one.everywhere and not one.beside else " on average"
    if one.beside:
        text += f"; {_names(one.factor, one.beside)} at the favoured choices of the other rows"
    elif not (one.everywhere or one.dependence):
        text += f"; {NOT_EVERYWHERE}"
    return Cell(text, best=bool(one.decided or one.dependence or one.beside))


def _by_level(one: Effects, found: Dependence) -> str:
    """``depends on design: heun for ddpm, dpmpp_2m for ve, undecided for vp``."""
    levels: dict[str, list[str]] = {}
    for level, favoured in found.favoured.items():
        decided = len(favoured) <= len(one.against)
        levels.setdefault(_names(one.factor, favoured) if decided else UNDECIDED, []).append(word_of(level))
    ordered = sorted(levels.items(), key=lambda of: of[0] == UNDECIDED)
    return f"depends on {found.axis}: " + ", ".join(f"{names} for {joined(at)}" for names, at in ordered)


def _names(factor: Factor, favoured: Sequence[Any]) -> str:
    at_edge = _edges(factor)
    names = [factor.word(choice) + (" (edge of the grid)" if choice in at_edge else "") for choice in favoured]
    return " or ".join(names) if len(names) <= NAMED else f"{names[0]} or {len(names) - 1} others"


def _edges(factor: Factor) -> list[Any]:
    """The choices at the edges of the grid, if all are numbers."""
    try:
        numbers = {choice: float(factor.word(choice)) for choice in factor.choices}
    except ValueError:
        return []
    ends = edges(numbers.values())
    return [choice for choice, number in numbers.items() if number in ends]


def _costs(study: Study, found: Sequence[Effects]) -> Iterator[str]:
    """A note on each factor whose choices take different numbers of evaluations at the same budget."""
    of_nfe, shown = study.column_axis in ("nfe", "nfe_total"), _budgets(found)
    for factor, at in _by_factor(found).items():
        told = [budget for budget in shown if budget in at] if of_nfe else [*at][-1:]
        unequal = [
            f"at {study.budget_word} {value_of(budget)}, {counts}" if of_nfe else counts
            for budget in told
            if (counts := _counts(factor, at[budget].nfe, 1.0 if of_nfe else UNEQUAL))
        ]
        if unequal:
            each = "; ".join(unequal)
            of = "evaluations, with those of guidance" if study.count == "nfe_total" else "evaluations"
            yield f"Not at equal cost: the choices of {factor.name} take different numbers of {of} ({each})."


def _counts(factor: Factor, nfe: Mapping[Any, float], factor_of_note: float) -> str:
    """``heun takes 7 and the others take 8``; empty if the numbers are equal, or nearly so."""
    if max(nfe.values()) <= factor_of_note * min(nfe.values()):
        return ""
    by: dict[str, list[str]] = {}
    for choice, count in nfe.items():
        by.setdefault(f"{count:.4g}", []).append(factor.word(choice))
    *rest, (most, names) = sorted(by.items(), key=lambda one: len(one[1]))
    parts = [f"{few(of)} {'takes' if len(of) == 1 else 'take'} {count}" for count, of in rest]
    last = f"the others take {most}" if len(names) > 1 else f"{names[0]} takes {most}"
    return joined([*parts, last])


def _left_out(study: Study, group: Sequence[Entry], found: Sequence[Effects]) -> Iterator[str]:
    """A note on the factors without effects: their values are not comparable, or the one to compare with diverged."""
    known = {one.factor for one in found}
    left = [factor for factor in factors(study) if factor not in known]
    apart = [f.name for f in left if len({choice_of(e.axes, f.axes) for e in group} & {*f.choices}) < 2]
    if apart:
        ranked_apart = len({learned(entry) for entry in study.entries}) > 1
        why = (
            f"networks are not ranked with {caption.EXACT}" if ranked_apart else "each value has a protocol of its own"
        )
        yield f"No effect is given for {joined(apart)}, because {why}."
    if names := [factor.name for factor in left if factor.name not in apart]:
        yield f"No effect is given for {', '.join(names)}, because the choice to compare with has no finite result."


def _effects(study: Study, found: Sequence[Effects], name: str) -> Table:
    shown = _budgets(found)
    rows = []
    for factor, at in _by_factor(found).items():
        for choice in factor.choices:
            cells = [change(at[b], choice) if b in at else Cell("") for b in shown]
            base = choice == factor.choices[0]
            word = factor.word(choice) + (f" ({factor.compared_with})" if base else "")
            rows.append([Cell(factor.name if base else ""), Cell(word), *cells])
    header = [name, "choice", *(f"change{_at(study, b)}" for b in shown)]
    return Table(header, rows, MEANING)


def change(one: Effects, choice: Any) -> Cell:
    """The effect of a choice; for the one to compare with, the mean of the metric in parentheses."""
    best = one.decided and choice in one.favoured
    if choice == one.factor.choices[0]:
        return number_cell(f"({one.baseline:.4g})", best)
    if (gap := one.against.get(choice)) is None:
        return Cell("")
    text = measured(gap.value, gap.se)
    return number_cell(text if gap.value < 0 or gap.value == 0 else f"+{text}", best)


def _at(study: Study, budget: object) -> str:
    return f" at {study.budget_word} {value_of(budget)}" if study.column_axis else ""


def _budgets(found: Sequence[Effects]) -> list[object]:
    """The lowest, a middle and the highest budget."""
    known = list(dict.fromkeys(one.budget for one in found))
    return list(dict.fromkeys((known[0], known[len(known) // 2], known[-1])))


def _by_factor(found: Sequence[Effects]) -> dict[Factor, dict[object, Effects]]:
    by: dict[Factor, dict[object, Effects]] = {}
    for one in found:
        by.setdefault(one.factor, {})[one.budget] = one
    return by
