"""Points and trials as the page knows them: names, axes, resolved specs, provenance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from designspace.report.entry import Entry
from designspace.report.html.again import as_ablation
from designspace.report.html.columns import cell
from designspace.report.html.shared import Shared
from designspace.report.study import Study
from designspace.text import one_line, value_of

RECORDED = ("provenance", "protocol", "seconds")
DESIGN = ("solver", "time_steps", "schedule", "scaling", "stochasticity")


def points(study: Study, entries: Sequence[Entry]) -> dict[str, Any]:
    """Columns that all tables share, and a row of cells for each point, with a short description of its trial."""
    axes = list(study.about.axes)
    told = {axis for axis in axes if axis != study.column_axis}
    shown = [axis for axis in axes if axis == study.column_axis or len(told) > 1]
    if study.column_axis == "nfe" and all(e.nfe == e.axes.get("nfe") for e in entries if e.rows):
        shown.remove("nfe")  # the counted evaluations are the same
    names = ["configuration", *map(_title, shown), "NFE"]
    cells = [[e.config, *(_cell(e.axes.get(axis)) for axis in shown), _nfe(e)] for e in entries]
    described: dict[str, int] = {}
    about = [described.setdefault(_description(e), len(described)) for e in entries]
    return {"columns": names, "rows": cells, "about": about, "described": list(described)}


def trials(study: Study, entries: Sequence[Entry]) -> dict[str, Any]:
    """Each trial's id, point, seed if there are several, the file that runs it again, and what was recorded of it."""
    shared, components = Shared(), study.about.components
    found = []
    for i, entry in enumerate(entries):
        for row in entry.rows:
            recorded = {key: getattr(row, key) for key in RECORDED if getattr(row, key)}
            seed = row.seed if entry.expected > 1 else None
            found.append([one_line(row.id), i, seed, shared.put(as_ablation(row, components)), shared.put(recorded)])
    return {"rows": found, **shared.parts()}


def _title(axis: str) -> str:
    return {"nfe": "budget (NFE)", "num_steps": "steps"}.get(axis, one_line(axis))


def _cell(value: object) -> Any:
    """A number with its text, so that it can be sorted by; or text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return cell(value, value_of(value))
    return "" if value is None else value_of(value)


def _nfe(entry: Entry) -> Any:
    if not entry.rows:
        return ""
    spread = f" ± {entry.nfe_sd:.2g}" if entry.nfe_sd is not None else ""
    return cell(entry.nfe, f"{entry.nfe:.4g}{spread}" if spread else f"{entry.nfe:g}")


def _description(entry: Entry) -> str:
    """``heun, 18 steps, time_steps edm, schedule linear, scaling none, denoiser exact, data digits``."""
    if not entry.rows:
        return ""
    design: dict[str, Any] = entry.trial("design") or {}
    parts = {row: _name(design.get(row)) for row in DESIGN}
    parts |= {row: _name(entry.trial(row)) for row in ("denoiser", "data")}
    steps = entry.trial("num_steps")
    words = [parts.pop("solver"), f"{steps} steps" if steps is not None else ""]
    words += [f"{row} {name}" for row, name in parts.items() if name and (row, name) != ("stochasticity", "none")]
    return ", ".join(one_line(word) for word in words if word)


def _name(component: object) -> str:
    return str(component.get("name", "")) if isinstance(component, dict) else ""
