"""Rows of a design that have no effect on the samples of some trials, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from designspace.denoising.sigma_data import NAME as SIGMA_DATA
from designspace.denoising.sigma_data import has_field
from designspace.errors import DocPath, Kind, Problem
from designspace.registry.known import ROWS
from designspace.spec.axes import Choice
from designspace.spec.paths import Setting
from designspace.spec.trial import Trial
from designspace.spec.used import used_rows


def axes_without_effect(found: Sequence[Choice], trials: Sequence[Trial]) -> Iterator[Problem]:
    """Yield a warning for each axis that sets only rows that do not affect the samples."""
    used = {row for trial in trials for row in used_rows(trial.design, *trial.denoisers)}
    for axis, rows in _rows_of_axes(found).items():
        if rows and not rows & used:
            yield Problem(f"has no effect: {why_unused(rows, trials)}", axis, Kind.NO_EFFECT, key=True)
        elif idle := _idle_solvers(axis, rows, trials):
            what = f"has no effect with solvers that do not step in time: {idle}"
            yield Problem(what, axis, Kind.NO_EFFECT, key=True)


def _rows_of_axes(found: Sequence[Choice]) -> dict[DocPath, set[str]]:
    """The rows of the design that each axis sets; axes that set anything else are left out."""
    rows: dict[DocPath, set[str]] = {}
    other: set[DocPath] = set()
    for setting in (setting for choice in found for setting in choice.settings):
        axis = setting.place[:2]
        if own := rows_of(setting):
            rows.setdefault(axis, set()).update(own)
        else:
            other.add(axis)
    return {axis: names for axis, names in rows.items() if axis not in other}


def rows_of(setting: Setting) -> set[str]:
    """The rows of the design that a setting changes; empty if it changes anything else."""
    if setting.path[0] != "design" or len(setting.path) == 1:
        return set()
    row = setting.path[1]
    return set(filter(has_field, ROWS)) if row == SIGMA_DATA else {row}


def why_unused(rows: set[str], trials: Sequence[Trial]) -> str:
    """Why samples do not depend on ``rows``, which none of the ``trials`` uses."""
    if rows <= {"schedule", "scaling"}:
        return f"solver {_names(trial.design.solver.name for trial in trials)} does not step in time"
    denoisers = _names(trial.denoiser.name for trial in trials)
    return f"denoiser {denoisers} does not depend on {_names(sorted(rows))}"


def _idle_solvers(axis: DocPath, rows: set[str], trials: Sequence[Trial]) -> str:
    """The names of the solvers that do not step in time, if the axis varies schedules or scalings in the grid."""
    crossed = axis[0] == "grid" and bool(rows) and rows <= {"schedule", "scaling"}
    return _names(t.design.solver.name for t in trials if crossed and not t.design.solver.in_time)


def _names(names: Iterator[str] | Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
