"""Comparisons of configurations: comparisons.md, each with the best, and comparisons.csv, all pairs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from designspace.report.entry import WORDS, Entry
from designspace.report.evidence.contrasts import Difference
from designspace.report.evidence.differences import (
    MOST,
    Comparison,
    Ranking,
    by_budget,
    finite,
    listed,
    rank,
)
from designspace.report.study import Study, rivals
from designspace.report.tables import caption
from designspace.report.tables.table import csv_text
from designspace.text import escape, measured, one_line, p_number, value_of

COLUMNS = ("difference", "gain", "p", "corrected p")
MEANING = (
    "Difference: the value minus that of the best, ± standard error. Gain: the factor by which the number of images "
    "would have to grow to reach the same standard error with independent instead of shared seeds. p: two-sided "
    "p-value (normal approximation, or Student's t if the standard error comes from a few repeats). Corrected p: p "
    f"times the number of all pairs of configurations with the same budget, {caption.CHOSEN}. The probability that any "
    "of several equal configurations is called different is then at most 5 % for each budget. If the corrected p is "
    f"above 0.05, the configuration does not differ significantly from the best and is printed in bold. "
    f"{caption.COUNTED_AS_DRAWN}"
)


def page(study: Study) -> str:
    """comparisons.md: each configuration compared with the best of its budget; empty if there is nothing to compare."""
    tables = [
        table
        for metric in study.about.metrics
        for group in rivals(study.entries, metric)
        if (table := list(_against_best(study, metric, group)))
    ]
    if not tables:
        return ""
    lines = [f"# {escape(study.about.name)}: comparisons", "", _explained(study)]
    return "\n".join([*lines, *(line for table in tables for line in ("", *table))]) + "\n"


def _explained(study: Study) -> str:
    budget = {
        "nfe": "the same budget of evaluations",
        "nfe_total": "the same budget of evaluations including those of guidance",
        "num_steps": "the same number of steps",
    }
    same = f" at {budget[study.column_axis]}" if study.column_axis else ""
    return (
        f"Each configuration compared with the best{same}. {MEANING} comparisons.csv has all pairs of configurations"
        f"{same}, with all values as they are, or, if there are more than {MOST:,}, each with the best; its column "
        "p_holm is corrected for all the comparisons of one metric and protocol that it lists (Holm)."
    )


def _against_best(study: Study, metric: str, entries: Sequence[Entry]) -> Iterator[str]:
    columns = by_budget(study, finite(entries, metric))
    ranked = [(b, column, found) for b, column in columns.items() if (found := rank(study, column, metric)).against]
    if not ranked:
        return
    told = [f"{caption.protocol(metric, entries)}.", caption.training_runs(entries)]
    yield escape(" ".join(filter(None, told)))
    yield ""
    budget = ["steps" if study.column_axis == "num_steps" else "budget"] * bool(study.column_axis)
    names = [*budget, "configuration", *(WORDS[count] for count in study.counts), "value", *COLUMNS]
    yield "| " + " | ".join(names) + " |"
    yield "| " + " | ".join("---" if name == "configuration" else "---:" for name in names) + " |"
    for cost, column, ranking in ranked:
        for entry in column:
            yield "| " + " | ".join([*(value_of(cost) for _ in budget), *_row(study, entry, metric, ranking)]) + " |"


def _row(study: Study, entry: Entry, metric: str, ranking: Ranking) -> list[str]:
    name, value = escape(entry.config), measured(entry.value(metric), entry.se(metric))
    top = ranking.best[0]
    spent = [(entry.spent(count), top.spent(count)) for count in study.counts]
    counts = [f"{own:.4g}" + (f" (best: {best:.4g})" if own != best else "") for own, best in spent]
    against = words(*ranking.against[entry]) if entry in ranking.against else ["best", "", "", ""]
    return [f"**{name}**" if entry in ranking.best else name, *counts, value, *against]


def words(found: Difference, corrected: float) -> list[str]:
    """The cells of ``COLUMNS``: ``-0.41 ± 0.31``, ``2.7``, ``0.18``, ``0.36``."""
    ps = ["" if math.isnan(p) else p_number(p) for p in (found.p, corrected)]
    gain = "unpaired" if found.gain is None else f"{found.gain:.2g}" if found.gain < 100 else f"{found.gain:,.0f}"
    return [measured(found.value, found.se), gain, *ps]


def tidy(study: Study) -> str:
    """comparisons.csv: the comparisons that the report lists; empty if there are none."""
    found = [(metric, one) for metric in study.about.metrics for group in listed(study, metric) for one in group]
    return csv_text(lambda: ({"metric": metric} | _shortened(flat(study, one, metric)) for metric, one in found))


def flat(study: Study, one: Comparison, metric: str) -> dict[str, Any]:
    """A comparison as a row of comparisons.csv; unknown values are ``None``."""
    a, b, found = one.a, one.b, one.found
    budget = {study.column_axis: study.budget(a)} if study.column_axis else {}
    numbers = {"value_a": a.value(metric), "value_b": b.value(metric), "difference": found.value, "se": found.se}
    numbers |= {"gain": found.gain, "p": found.p, "p_holm": one.corrected}
    known = {key: None if value is None or math.isnan(value) else value for key, value in numbers.items()}
    spent = {f"{c}_{side}": point.spent(c) for c in study.counts for side, point in (("a", a), ("b", b))}
    protocol = {"protocol": one_line(a.about(metric).protocol), "images": a.images(metric)}
    return protocol | budget | {"a": a.config, "b": b.config, **spent, **known}


def _shortened(row: dict[str, Any]) -> dict[str, Any]:
    return {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()}
