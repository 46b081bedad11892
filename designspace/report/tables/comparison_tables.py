"""Comparisons as Markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from typing import Any

from designspace.report.entry import Entry
from designspace.report.evidence.compare import Difference, Ranking, rank
from designspace.report.evidence.comparisons import MOST, Comparison, finite, listed
from designspace.report.study import Study, budgets, comparable
from designspace.report.tables import caption
from designspace.text import escape, measured, one_line, p_value, value_of


def page(study: Study) -> str:
    """Each configuration against the best of its budget, as Markdown; empty if there is nothing to compare."""
    tables = [
        table
        for metric in study.about.metrics
        for group in comparable(study.entries, metric)
        if (table := list(_against_best(study, metric, finite(group, metric))))
    ]
    if not tables:
        return ""
    lines = [f"# {escape(study.about.name)}: comparisons", "", *_explained(study)]
    return "\n".join([*lines, *(line for table in tables for line in ("", *table))]) + "\n"


def _explained(study: Study) -> Iterator[str]:
    budget = {"nfe": "the same budget of evaluations", "num_steps": "the same number of steps"}
    same, of = (f" at {budget[study.column_axis]}", ", of one budget") if study.column_axis else ("", "")
    yield (
        f"Each configuration against the best{same}. Difference: its value minus the best one, ± standard error. "
        "Gain: how many times the images would be needed for the same standard error, were the seeds independent "
        "instead of shared: the square of the ratio of the two standard errors. p: two-sided, normal approximation. "
        f"Corrected: Holm's correction for the comparisons with one best{of}; above 0.05, a configuration cannot be "
        "told from the best and is bold, here as in table.md. comparisons.csv has every two configurations"
        f"{same}, or where these are more than {MOST:,} each with the best, with p corrected for all that it has (of "
        "one metric and protocol) in the column p_holm."
    )


def _against_best(study: Study, metric: str, entries: Sequence[Entry]) -> Iterator[str]:
    columns = [[e for e in entries if study.budget(e) == budget] for budget in budgets(study, entries)]
    ranked = [(column, ranking) for column in columns if (ranking := rank(study, column, metric)).against]
    if not ranked:
        return
    yield escape(caption.protocol(metric, entries) + ".")
    yield ""
    names = ["steps" if study.column_axis == "num_steps" else "NFE", "configuration", "value"]
    names += ["difference", "gain", "p", "corrected"]
    yield "| " + " | ".join(names) + " |"
    yield "| ---: | --- | " + " | ".join(["---:"] * (len(names) - 2)) + " |"
    for column, ranking in ranked:
        for entry in column:
            budget = value_of(study.budget(entry)) if study.column_axis else f"{entry.nfe:g}"
            yield "| " + " | ".join([budget, *_row(entry, metric, ranking)]) + " |"


def _row(entry: Entry, metric: str, ranking: Ranking) -> list[str]:
    name, value = escape(entry.config), measured(entry.value(metric), entry.se(metric))
    against = words(*ranking.against[entry]) if entry in ranking.against else ["best", "", "", ""]
    return [f"**{name}**" if entry in ranking.best else name, value, *against]


def words(found: Difference, corrected: float) -> list[str]:
    """Difference, gain, p and corrected p: ``-0.41 ± 0.31``, ``2.7``, ``0.18``, ``0.36``."""
    ps = [
        "" if math.isnan(p) else p_value(p).removeprefix("p = ").replace("p below", "<") for p in (found.p, corrected)
    ]
    gain = "not paired" if found.gain is None else f"{found.gain:.2g}" if found.gain < 100 else f"{found.gain:,.0f}"
    return [measured(found.value, found.se), gain, *ps]


def table(study: Study) -> str:
    """Every two configurations of the same budget, or where they are many each with the best, as CSV; may be empty."""
    rows = [
        {"metric": metric, **flat(study, one, metric)}
        for metric in study.about.metrics
        for group in listed(study, metric)
        for one in group
    ]
    if not rows:
        return ""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _short(value) for key, value in row.items()} for row in rows)
    return file.getvalue()


def flat(study: Study, one: Comparison, metric: str) -> dict[str, Any]:
    """All of a comparison; what is not known is ``None``."""
    a, b, found = one.a, one.b, one.found
    budget = {study.column_axis: study.budget(a)} if study.column_axis else {}
    numbers = {"value_a": a.value(metric), "value_b": b.value(metric), "difference": found.value, "se": found.se}
    numbers |= {"gain": found.gain, "p": found.p, "p_holm": one.corrected}
    known = {key: None if value is None or math.isnan(value) else value for key, value in numbers.items()}
    protocol = {"protocol": one_line(a.about(metric).protocol), "images": a.images(metric)}
    return protocol | budget | {"a": a.config, "b": b.config, "nfe_a": a.nfe, "nfe_b": b.nfe, **known}


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
