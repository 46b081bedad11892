"""Interactions, as interactions.md (which effects depend on which other axis, with an example) and interactions.csv."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from designspace.report.entry import Entry
from designspace.report.evidence.contrasts import Difference
from designspace.report.evidence.interactions import Change, Interaction, interactions
from designspace.report.evidence.paper import model_of
from designspace.report.study import Study, rivals
from designspace.report.tables import caption
from designspace.report.tables.table import Cell, Table, csv_text, markdown, number_cell
from designspace.text import escape, joined, measured, one_line, p_number, value_of

MOST = 6
"""The largest number of pairs of axes that the table has per metric: those that reverse or are clearest."""
MEANING = (
    "Whether the effect of a choice depends on another axis. For two choices on each of two axes, the difference of "
    "the differences is averaged over the settings of the other axes at the same budget. An interaction is significant "
    "if the clearest of these contrasts is, after Bonferroni's correction for their number and Holm's for all pairs of "
    "axes at all budgets (5 %). Differences are usually larger where values are large, so that a significant "
    "interaction often says no more than that. Reverses: of two choices on this axis, the first is significantly "
    "better at one value of the other axis, and the second at another one, with Bonferroni's correction for all of "
    "them; only then is it shown that the better choice depends on the other axis. Example: a reversal or, if there is "
    "none, the clearest contrast, at the budget at which it is clearest. The budget itself is not tested: "
    "effects are given at each budget."
)


def page(study: Study) -> str:
    """interactions.md; empty if no two axes are crossed."""
    if (found := table(study)) is None:
        return ""
    head = [f"# {escape(study.about.name)}: interactions", ""]
    return "\n".join([*head, *markdown(found), "", escape(found.caption)]) + "\n"


def table(study: Study) -> Table | None:
    """One row per metric, protocol and pair of axes; ``None`` if no two axes are crossed."""
    rows: list[list[Cell]] = []
    notes: dict[str, None] = {}
    for metric, group, of in _groups(study):
        by = _by_pair(of)
        kept = sorted(by, key=lambda pair: _clearness(_clearest(by[pair])), reverse=True)[:MOST]
        several = len(rivals(study.entries, metric)) > 1
        name = one_line(group[0].about(metric).protocol) + (f", {one_line(model_of(group[0]))}" if several else "")
        names = [name, *[""] * len(by)]
        shown = [_row(study, at) for pair, at in by.items() if pair in kept]
        rows += [[Cell(name), *row] for name, row in zip(names, shown, strict=False)]
        notes[caption.training_runs(group)] = None
        if len(by) > MOST:
            notes[f"At most {MOST} pairs of axes are shown for a metric; interactions.csv has all."] = None
    header = ["metric", "axes", "depend on each other", "reverses", "example", "corrected p"]
    return Table(header, rows, " ".join([MEANING, *filter(None, notes)])) if rows else None


def _groups(study: Study) -> Iterator[tuple[str, list[Entry], list[Interaction]]]:
    for metric in study.about.metrics:
        found = zip(rivals(study.entries, metric), interactions(study, metric), strict=True)
        yield from ((metric, group, of) for group, of in found if of)


def tidy(study: Study) -> str:
    """interactions.csv: one row per pair of axes and budget."""
    rows = [
        _flat(study, metric, one_line(group[0].about(metric).protocol), one)
        for metric, group, of in _groups(study)
        for one in of
    ]
    return csv_text(lambda: rows)


def _flat(study: Study, metric: str, protocol: str, one: Interaction) -> dict[str, Any]:
    change = one.clearest
    (first, gap), (second, other) = change.differences.items()
    return {
        "metric": metric,
        "protocol": protocol,
        study.column_axis or "budget": value_of(one.budget) if study.column_axis else "",
        "axis": one.pair[0].name,
        "other_axis": one.pair[1].name,
        "contrasts": len(one.contrasts),
        "settings": len(one.settings),
        "p": f"{one.p:.3g}",
        "corrected": f"{one.corrected:.3g}",
        "reverses": " and ".join(found.factor.name for found in one.reversals),
        "example_of": change.factor.name,
        "difference": _minus(change),
        "at": change.by.word(first),
        "value": f"{gap.value:.6g}",
        "se": _se(gap),
        "other_at": change.by.word(second),
        "other_value": f"{other.value:.6g}",
        "other_se": _se(other),
    }


def _se(gap: Difference) -> str:
    return "" if gap.se is None else f"{gap.se:.6g}"


def told(study: Study, of: Sequence[Interaction]) -> Iterator[str]:
    """A sentence on what is significant; nothing without pairs of axes."""
    if not of:
        return
    by = [at for at in _by_pair(of).values() if any(one.depends for one in at)]
    if not by:
        yield "No effect depends significantly on another axis (interactions.md)."
        return
    names = [f"{_pair(at[0])}{_where(study, at)}" for at in by[:MOST]]
    yield f"Effects depend significantly on each other for {joined(names)} (interactions.md)."


def _by_pair(of: Sequence[Interaction]) -> Mapping[str, list[Interaction]]:
    by: dict[str, list[Interaction]] = {}
    for one in of:
        by.setdefault(_pair(one), []).append(one)
    return by


def _pair(one: Interaction) -> str:
    return " × ".join(factor.name for factor in one.pair)


def _row(study: Study, at: Sequence[Interaction]) -> list[Cell]:
    clearest = _clearest(at)
    axes, p = Cell(_pair(clearest)), number_cell(p_number(clearest.corrected))
    if not clearest.depends:
        return [axes, Cell("not significantly"), Cell(""), Cell(""), p]
    reverses = joined([*dict.fromkeys(found.factor.name for one in at for found in one.reversals)])
    here = f"at {study.budget_word} {value_of(clearest.budget)}, " if study.column_axis else ""
    example = Cell(here + _words(clearest.clearest))
    return [axes, Cell(f"yes{_where(study, at)}"), Cell(reverses, best=bool(reverses)), example, p]


def _where(study: Study, at: Sequence[Interaction]) -> str:
    """`` at NFE 7 and 19``; empty if it is so at each budget."""
    where = [value_of(one.budget) for one in at if one.depends]
    return f" at {study.budget_word} {joined(where)}" if study.column_axis and len(where) < len(at) else ""


def _clearest(at: Sequence[Interaction]) -> Interaction:
    return max(at, key=_clearness)


def _clearness(one: Interaction) -> tuple[bool, bool, float]:
    return bool(one.reversals), one.depends, -one.p


def _words(change: Change) -> str:
    """``solver: heun minus euler is 5.0 ± 0.3 for design=ddpm and -6.0 ± 0.3 for design=ve``."""
    found = {change.by.word(level): measured(gap.value, gap.se) for level, gap in change.differences.items()}
    parts = [f"{gap} for {change.by.name}={level}" for level, gap in found.items()]
    return f"{change.factor.name}: {_minus(change)} is {joined(parts)}"


def _minus(change: Change) -> str:
    return " minus ".join(change.factor.word(choice) for choice in change.choices)
