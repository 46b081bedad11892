"""What an ablation says that will have no effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from designspace.denoising.sigma_data import NAME as SIGMA_DATA
from designspace.denoising.sigma_data import has_field
from designspace.registry.known import ROWS
from designspace.spec.axes import Choice
from designspace.spec.document import Document
from designspace.spec.errors import DocPath, dotted
from designspace.spec.paths import Setting
from designspace.spec.trial import Trial, used_rows


def warnings(
    document: Document, base: Sequence[Setting], choices: Sequence[Choice], trials: Sequence[Trial]
) -> Iterator[str]:
    """One line for each axis that cannot matter and for each option that the grid overrules."""
    used = {row for trial in trials for row in used_rows(trial.design, trial.denoiser)}
    for axis, rows in _rows(choices).items():
        if rows and not rows & used:
            yield str(document.problem(axis, f"cannot matter: {_reason(rows, trials)}", key=True))
        elif idle := _idle(axis, rows, trials):
            yield str(document.problem(axis, f"has no effect with solver {idle}: no step in time", key=True))
    for setting in base:
        spot = document.spots.get(setting.place)
        over = [new for choice in choices for new in choice.settings if new.replaces(setting)]
        if spot and not spot.value.line and choices and all(setting not in c.on(base) for c in choices):
            yield str(document.problem(setting.place, f"has no effect: {dotted(over[0].key)} sets it"))


def _rows(choices: Sequence[Choice]) -> dict[DocPath, set[str]]:
    """The rows of the design that each axis sets; none if it sets anything else."""
    found: dict[DocPath, set[str]] = {}
    other: set[DocPath] = set()
    for setting in (setting for choice in choices for setting in choice.settings):
        axis = setting.place[:2]
        if setting.path[0] == "design" and len(setting.path) > 1:
            row = setting.path[1]
            found.setdefault(axis, set()).update(filter(has_field, ROWS) if row == SIGMA_DATA else {row})
        else:
            other.add(axis)
    return {axis: rows for axis, rows in found.items() if axis not in other}


def _reason(rows: set[str], trials: Sequence[Trial]) -> str:
    if rows <= {"schedule", "scaling"}:
        return f"solver {_names(trial.design.solver.name for trial in trials)} does not step in time"
    denoisers = _names(trial.denoiser.name for trial in trials)
    return f"denoiser {denoisers} does not depend on {_names(sorted(rows))}"


def _idle(axis: DocPath, rows: set[str], trials: Sequence[Trial]) -> str:
    """The solvers, of several that an axis of the plane is crossed with, that do not step in time."""
    crossed = axis[0] == "grid" and bool(rows) and rows <= {"schedule", "scaling"}
    return _names(t.design.solver.name for t in trials if crossed and not t.design.solver.in_time)


def _names(names: Iterator[str] | Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
