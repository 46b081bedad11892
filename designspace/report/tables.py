"""Tables of values with standard errors: rows are configurations, columns are budgets."""

from __future__ import annotations

import math
from dataclasses import dataclass

from designspace.report.compare import indistinguishable
from designspace.report.study import Entry, Study, protocols


@dataclass(frozen=True)
class Cell:
    """A value with its standard error, or a word where there is none."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """What is printed, in whichever format."""

    title: str
    header: list[str]
    rows: list[list[Cell]]
    caption: str


def tables(study: Study, metric: str) -> list[Table]:
    """The tables of a metric: one for each protocol, because numbers of two protocols cannot be compared."""
    groups = protocols(study.entries, metric)
    found = [_table(study, metric, group, complete=len(groups) == 1) for group in groups]
    if len(groups) > 1:
        why = "Kept apart: the ablation mixes protocols or numbers of images, which cannot be compared. "
        found = [Table(t.title, t.header, t.rows, why + t.caption) for t in found]
    return found


def _table(study: Study, metric: str, entries: list[Entry], *, complete: bool) -> Table:
    axis = study.column_axis
    title, caption = entries[0].about(metric)["protocol"], _caption(study, metric, entries)
    if axis is None:
        best = indistinguishable(study, entries, metric)
        rows = [[Cell(e.config), Cell(f"{e.nfe:g}"), cell(e, metric, e in best)] for e in entries]
        return Table(title, ["", "NFE", title], rows, caption)
    points = study.about["points"] if complete else [{"axes": entry.axes} for entry in entries]
    budgets = sorted({point["axes"][axis] for point in points})
    configs = list(dict.fromkeys(Entry(point["axes"], ()).config for point in points))
    at = {(e.config, e.axes[axis]): e for e in entries}
    columns = {b: [e for e in entries if e.axes[axis] == b] for b in budgets}
    best = [e for column in columns.values() for e in indistinguishable(study, column, metric)]
    rows = [
        [
            Cell(config),
            *(cell(at.get((config, budget)), metric, at.get((config, budget)) in best) for budget in budgets),
        ]
        for config in configs
    ]
    name = "NFE" if axis == "nfe" else "steps"
    return Table(title, [f"{title} at {name}", *map(str, budgets)], rows, caption)


def cell(entry: Entry | None, metric: str, best: bool) -> Cell:
    """``12.3 ± 0.4``."""
    if entry is None:
        return Cell("missing")
    value, se = entry.value(metric), entry.se(metric)
    return Cell(number(value, se) + (f" ± {number(se, se)}" if se is not None else ""), best)


def number(value: float, se: float | None) -> str:
    """A value rounded to two significant digits of its standard error."""
    if not math.isfinite(value):
        return str(value)
    if not se or not math.isfinite(se):
        return f"{value:.4g}"
    digits = 1 - math.floor(math.log10(se))
    return f"{value:.{max(digits, 0)}f}"


def _caption(study: Study, metric: str, entries: list[Entry]) -> str:
    about, first = entries[0].about(metric), entries[0]
    seeds = sorted({row["seed"] for row in first.rows})
    spread = "standard error over seeds" if len(seeds) > 1 else "standard error"
    text = (
        f"Value ± {spread}; lower is better. Protocol {about['protocol']}, n = {first.images} images, "
        f"seed {', '.join(map(str, seeds))}. Floor (the reference against itself in halves of n' = "
        f"{about['floor_n']}): {about['floor']:.4g}"
        + (f", higher than it would be at n = {first.images}" if about["floor_n"] < first.images else "")
        + ". Bold: the best of a column and all that cannot be told from it at 95 %"
    )
    axis = study.column_axis
    if axis == "nfe" and any(e.nfe != e.axes["nfe"] for e in entries):
        text += ". NFE is the budget; where a solver cannot use all of it, it used less (see table.csv)"
    return text + "."


def markdown(study: Study) -> str:
    """All tables as a page, with what is missing and what failed."""
    lines = [f"# {study.about['name']}", "", study.about["question"], ""]
    for metric in study.metrics:
        for table in tables(study, metric):
            lines += [*_lines(table), "", table.caption, ""]
    failures = study.results.failures
    if study.missing:
        lines += [f"{len(study.missing)} of {len(study.about['points'])} points are missing.", ""]
    lines += [f"- failed: {_axes(row['axes'])}: {escape(row['error'])}" for row in failures]
    return "\n".join(lines).rstrip() + "\n"


def _lines(table: Table) -> list[str]:
    body = [[f"**{escape(c.text)}**" if c.best else escape(c.text) for c in row] for row in table.rows]
    header = [*map(escape, table.header)]
    rule = ["---", *["---:"] * (len(header) - 1)]
    return ["| " + " | ".join(row) + " |" for row in (header, rule, *body)]


def escape(text: str) -> str:
    """Text that Markdown takes as it is."""
    text = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in text)


def _axes(axes: dict[str, object]) -> str:
    return escape(", ".join(f"{k}={v}" for k, v in axes.items()))
