"""What a metric's table says of each point: numbers with their text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from designspace.report.entry import Entry
from designspace.report.tables import without_bias
from designspace.text import measured, number


def cell(number: float | None, text: str) -> Any:
    """A number with its text, or alone where that says the same; text where there is no number."""
    if number is None or not math.isfinite(number):
        return text
    short = whole if (whole := round(number)) == number else float(f"{number:.8g}")
    return short if f"{short:.8g}" == text.replace(",", "") and "e" not in text else [short, text]


def values(metric: str, entries: Sequence[Entry]) -> tuple[list[str], list[list[Any]]]:
    """Columns and cells of the metric; columns that would be empty are left out."""
    columns: dict[str, list[Any]] = {name: [] for name in ("value", "se", "sd over seeds", "n", "without bias")}
    for e in entries:
        value, se, spread = e.value(metric), e.se(metric), e.spread(metric)
        columns["value"].append(cell(value, _split(value, se)[0]))
        columns["se"].append(cell(se, _split(value, se)[1]))
        columns["sd over seeds"].append(cell(spread, "" if spread is None else number(spread, spread)))
        columns["n"].append(cell(e.images(metric) * len(e.rows), _images(e, metric)))
        columns["without bias"].append(_without_bias(e, metric))
    kept = {k: c for k, c in columns.items() if k in ("value", "se", "n") or any(one != "" for one in c)}
    return list(kept), [list(row) for row in zip(*kept.values(), strict=True)]


def _split(value: float, se: float | None) -> tuple[str, str]:
    """The two parts of ``12.3 ± 0.4``; of ``(1.23 ± 0.04)e-6``, each with its power."""
    text = measured(value, se)
    if found := re.fullmatch(r"\((.+) ± (.+)\)(e-?\d+)", text):
        return found[1] + found[3], found[2] + found[3]
    first, _, second = text.partition(" ± ")
    return first, second


def _images(entry: Entry, metric: str) -> str:
    seeds = len(entry.rows)
    text = f"{entry.images(metric):,}" + (f" × {seeds}" if seeds > 1 else "")
    return text + (f" [{seeds} of {entry.expected} seeds]" if seeds < entry.expected else "")


def _without_bias(entry: Entry, metric: str) -> Any:
    found = without_bias.estimate(entry, metric)
    return cell(found[0], measured(*found)) if found else ""
