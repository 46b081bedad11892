"""Tables as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from designspace.report.entry import Entry, floor_in, se_in, value_in
from designspace.report.study import Study
from designspace.report.tables import without_bias
from designspace.report.tables.table import Table, tables
from designspace.results.records import Result
from designspace.text import describe, escape

LISTED = 20
"""Missing points that are listed one by one."""
FIELDS = ("id", "seed", "nfe", "nfe_sd", "images", "features")


def page(study: Study) -> str:
    """All tables, with what is missing and what failed."""
    lines = [f"# {escape(study.about.name)}", "", escape(study.about.question), ""]
    for metric in study.about.metrics:
        for table in tables(study, metric) + without_bias.tables(study, metric):
            lines += [*lines_of(table), "", escape(table.caption), ""]
    lines += [f"- {escape(line)}" if line.startswith(("failed", "missing")) else escape(line) for line in gaps(study)]
    return "\n".join(lines).rstrip() + "\n"


def gaps(study: Study) -> Iterator[str]:
    """What a partial run has not computed."""
    missing = [point for point in study.points if len(point.rows) < point.expected]
    if not missing:
        return
    yield f"{len(missing)} of {len(study.points)} points are not complete:"
    yield ""
    for failure in study.failures:
        yield f"failed: {describe(failure.axes)}: {failure.error}"
    waiting = [point for point in missing if study.word(point) == "missing"]
    for point in waiting[:LISTED]:
        seeds = f" ({len(point.rows)} of {point.expected} seeds)" if point.rows else ""
        yield f"missing: {describe(point.axes)}{seeds}"
    if len(waiting) > LISTED:
        yield f"missing: and {len(waiting) - LISTED} more"


def lines_of(table: Table) -> list[str]:
    """A table without its caption, the best in bold."""
    body = [[f"**{escape(c.text)}**" if c.best else escape(c.text) for c in row] for row in table.rows]
    header = [*map(escape, table.header)]
    rule = ["---", *("---:" if number else "---" for number in table.numbers[1:])]
    return ["| " + " | ".join(row) + " |" for row in (header, rule, *body)]


def tidy(study: Study) -> str:
    """One row a trial, every number in full."""
    rows = [_flat(entry, row, study) for entry in study.entries for row in entry.rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _flat(entry: Entry, row: Result, study: Study) -> dict[str, object]:
    columns: dict[str, object] = {key: getattr(row, key) for key in FIELDS}
    for metric in study.about.metrics:
        if entry.has(metric):
            about = entry.about(metric)
            columns |= {metric: value_in(row, metric), f"{metric}_se": se_in(row, metric)}
            columns |= {f"{metric}_{which}": floor_in(row, metric, which) for which in ("floor", "drawn")}
            columns |= {f"{metric}_{key}": getattr(about, key) for key in ("floor_n", "protocol")}
            corrected = {which: floor_in(row, metric, which) for which in ("bias_corrected", "bias_corrected_se")}
            columns |= {f"{metric}_{which}": found for which, found in corrected.items() if found is not None}
    return {f"axes.{axis}" if axis in columns else axis: value for axis, value in entry.axes.items()} | columns
