"""Evaluations for equal quality, as quality.md, quality.csv and sentences."""

from __future__ import annotations

from typing import Any

from designspace.report.entry import WORDS
from designspace.report.evidence.quality import Quality, Reached, fastest, quality
from designspace.report.study import Study
from designspace.report.tables import caption
from designspace.report.tables.table import Cell, Table, csv_text, markdown, number_cell
from designspace.text import counted, escape, few, joined, one_line, quoted

NAMED = 4
"""The largest number of configurations that a sentence names."""
MEANING = (
    "NFE for equal quality: the first measured number of evaluations whose value is at most the target. Its 95 % "
    "interval begins at the first NFE that is not significantly worse than the target and ends at the first that is "
    "significantly better, the latter corrected for the number of NFE (Bonferroni). Both tests include the error of "
    "the target: that of the drawn reference or, for 3 % of the best value, that of the lowest value and of its "
    "choice. Only measured NFE can be told: an end is open (…) if it lies beyond them or is uncertain, and a ratio of "
    "NFE is a bound (≥ or ≤) if one of the two lies beyond them."
)


def page(study: Study) -> str:
    """quality.md: a sentence and a table for each metric; empty unless several configurations have several NFE."""
    parts: list[str] = []
    for metric in study.about.metrics:
        for found in quality(study, metric):
            parts += [escape(sentence(found)), "", *markdown(table(found)), "", escape(told(found)), ""]
    if not parts:
        return ""
    head = [f"# {escape(study.about.name)}: evaluations for equal quality", ""]
    return "\n".join([*head, *parts, escape(MEANING)]) + "\n"


def tidy(study: Study) -> str:
    """quality.csv: one row per configuration and metric."""
    rows = [flat(found, one) for m in study.about.metrics for found in quality(study, m) for one in found.reached]
    return csv_text(lambda: rows)


def flat(found: Quality, one: Reached) -> dict[str, Any]:
    """A row of quality.csv; empty cells are beyond the NFE that were measured."""
    about = {"metric": found.metric, "protocol": one_line(found.points[0].about(found.metric).protocol)}
    about |= {
        "model": found.model,
        "target": f"{found.target:.6g}",
        "target_is": "drawn reference" if found.drawn else "near the best",
    }
    numbers: dict[str, float | None] = {
        "nfe": one.nfe,
        "low": one.low,
        "high": one.high,
        "measured_to": one.measured[-1],
    }
    numbers |= {"times": one.times}
    return about | {"configuration": one.config} | {k: "" if v is None else f"{v:.4g}" for k, v in numbers.items()}


def table(found: Quality) -> Table:
    """One line per configuration, in the order of the ablation."""
    times = [f"times fewer than {found.baseline}"] if any(one.times is not None for one in found.reached) else []
    header = ["configuration", f"{WORDS[found.study.count]} for equal quality", "95 % interval", *times]
    rows = [cells(found, one)[: len(header)] for one in found.reached]
    return Table(header, rows, MEANING)


def cells(found: Quality, one: Reached) -> list[Cell]:
    """A configuration, its NFE, the interval, and the ratio of the baseline's NFE to it."""
    least = min((other.nfe for other in found.reached if other.nfe is not None), default=None)
    nfe = number_cell(nfe_of(one), least is not None and one.nfe == least)
    return [Cell(one.config), nfe, Cell(interval(one)), _times(one)]


def nfe_of(one: Reached) -> str:
    """``19``; ``at most 7`` if that is the least that was measured, ``more than 51`` if the target was not reached."""
    if one.nfe is None:
        return f"more than {one.measured[-1]:.4g}"
    return f"{'at most ' if one.nfe == one.measured[0] else ''}{one.nfe:.4g}"


def interval(one: Reached) -> str:
    """``[19, 27]``; ``[19, …`` if no measured NFE is certainly enough."""
    if one.low is None:
        return f"more than {one.measured[-1]:.4g}"
    low = "…" if one.low == one.measured[0] else f"{one.low:.4g}"
    return f"[{low}, {'…' if one.high is None else f'{one.high:.4g}'}]"


def _times(one: Reached) -> Cell:
    return number_cell("" if one.times is None else f"{one.bound} {one.times:.2g}".strip())


def sentence(found: Quality) -> str:
    """``dpmpp_2m comes within the drawn reference with 11 evaluations (95 % interval [11, …]) and heun with 19.``"""
    by: dict[str, list[str]] = {}
    for one in fastest(found):
        by.setdefault(nfe_of(one), []).append(quoted(one.config))
    metric = one_line(found.points[0].about(found.metric).protocol)
    goal = "the drawn reference" if found.drawn else "3 % of the best value"
    if not by:
        return f"No configuration comes within {goal} ({metric})."
    (least, names), *later = by.items()
    verb = "come" if len(names) > 1 else "comes"
    parts = [f"{few(names)} {verb} within {goal} with {least} evaluations{_fewer(found) if len(names) == 1 else ''}"]
    parts += [f"{few(of)} with {nfe}" for nfe, of in later[: NAMED - 1]]
    text = "; ".join(parts) if any(len(of) > 1 for of in by.values()) else joined(parts)
    if more := sum(len(of) for of in [*by.values()][NAMED:]):
        text += f"; {counted(more, 'other')} with more"
    return f"{text}{_not_reached(found)} ({metric})."


def _fewer(found: Quality) -> str:
    """`` (95 % interval [11, …], 1.7 times fewer than heun)`` after the configuration with the least NFE."""
    first = next(fastest(found))
    text = f"95 % interval {interval(first)}"
    if first.times is not None and first.times > 1:
        text += f", {f'{first.bound} {first.times:.2g}'.strip()} times fewer than {found.baseline}"
    return f" ({text})"


def _not_reached(found: Quality) -> str:
    short = [one for one in found.reached if one.nfe is None]
    if len(short) > NAMED:
        return f"; {len(short)} others not with the NFE measured"
    return f"; {few([f'{quoted(one.config)} above {one.measured[-1]:.4g}' for one in short])}" if short else ""


def told(found: Quality) -> str:
    """What the target is, and how the values were measured."""
    drawn = found.points[0].drawn(found.metric)
    if found.drawn and drawn:
        why = f"the drawn reference's mean of {drawn[0]:.4g} plus 1.96 times its standard deviation of {drawn[1]:.2g}"
    else:
        why = (
            "3 % more than the lowest value of the ablation, because no configuration comes within the drawn reference"
        )
    return f"Target: {found.target:.4g}, {why}. Model: {found.model}. {caption.protocol(found.metric, found.points)}."
