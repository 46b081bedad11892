"""The candidates of a search: what a race over a row or a field compares, given what was found before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from designspace.errors import Problem, SpecError
from designspace.registry.component import Component
from designspace.registry.known import ROWS
from designspace.spec.axes import Change, Choice, unknown_field, values_of
from designspace.spec.baseline import baseline
from designspace.spec.own import OwnComponents
from designspace.spec.paths import SEARCH, STEPS, FieldPath, Setting, axis_name, field_path
from designspace.spec.problems import Problems
from designspace.spec.resolve import Resolver
from designspace.spec.search import Range, Search
from designspace.spec.trial import Trial
from designspace.spec.unused import rows_of, why_unused
from designspace.spec.used import used_rows
from designspace.storage.files import content_key
from designspace.text import Label, label_of

Changes = Mapping[str, Any]
"""Values of fields that replace those of the baseline, by the names of axes: ``{"time_steps.rho": 9}``."""


class Candidate(NamedTuple):
    """An arm of a race."""

    label: Label
    set: dict[str, Any]
    """Everything in which it differs from the baseline, as in ``{label: .., set: ..}``."""
    trial: Trial
    """Its trial; the first one if there are repeats."""
    value: float | None = None
    """The value of the field, if the race is over a range of values."""


class Skipped(NamedTuple):
    """A candidate that is not raced, and why."""

    label: Label
    reason: str


class Candidates(NamedTuple):
    """What a race over a row or a field compares."""

    arms: list[Candidate]
    """The distinct designs; the first one is the incumbent, which is the design before the race."""
    skipped: list[Skipped]
    reason: str = ""
    """Why there is nothing to race: the incumbent is the only arm. Empty if there are several."""

    @property
    def incumbent(self) -> Candidate:
        """The design before the race."""
        return self.arms[0]


class Space:
    """The candidates of the search of an ablation with these ``fields``.

    Args:
        fields: The fields of an ablation that has a ``search``.
        folder: Relative file names are relative to this folder.
    """

    def __init__(self, fields: Mapping[str, Any], folder: Path) -> None:
        self._search: Search = fields[SEARCH]
        self._base = [setting for setting in baseline(fields) if setting.path[0] not in STEPS]
        self._folder, self._own = folder, OwnComponents()

    def candidates(self, row: str, changes: Changes, budget: int) -> Candidates:
        """What a race over ``row``, a key of ``search.rows``, compares once ``changes`` have been found.

        Raises ``SpecError`` if ``changes`` cannot be sampled with the budget.
        """
        present = self.trial(changes, budget)
        incumbent = Candidate(_present_label(row, present), dict(changes), present, _number_at(row, present))
        arms, skipped = {_key(present): incumbent}, list[Skipped]()
        named = list[Choice]()
        for choice in self.tried(row, Problems(), present):
            label, found, problems = choice.labels[axis_name(row)], merged(changes, choice), Problems()
            trial = self._resolved(found, budget, problems)
            if trial is None:
                skipped.append(Skipped(label, _reason(problems)))
            elif self._is_incumbent(choice, trial, changes, budget, present):
                named.append(choice)
            elif same := arms.get(_key(trial)):
                skipped.append(Skipped(label, f"gives the same samples as {same.label}"))
            else:
                arms[_key(trial)] = Candidate(label, found, trial, _number_at(row, trial))
        if named:
            arms[_key(present)] = incumbent._replace(label=named[0].labels[axis_name(row)])
            same_label = arms[_key(present)].label
            skipped += (Skipped(c.labels[axis_name(row)], f"gives the same samples as {same_label}") for c in named[1:])
        reason = _why_no_race(named, skipped, present) if len(arms) == 1 else ""
        return Candidates(list(arms.values()), skipped, reason)

    def trial(self, changes: Changes, budget: int) -> Trial:
        """The trial of the baseline with ``changes``. Raises ``SpecError`` if it cannot be sampled."""
        problems = Problems()
        if trial := self._resolved(changes, budget, problems):
            return trial
        raise SpecError(problems)

    def tried(self, row: str, problems: Problems, present: Trial | None) -> list[Choice]:
        """The candidates of ``row`` as changes of the ``present`` design; invalid ones are reported in ``problems``."""
        values, place, name = self._search.rows[row], (SEARCH, "rows", row), axis_name(row)
        if isinstance(values, list):
            return values_of(row, place, values, problems)
        path = field_path(row)
        if path is None:
            problems.extend(unknown_field(row, place).problems)
            return []
        if isinstance(values, Range):
            integer = isinstance(present and _at(present, path), int)
            return [Choice({name: v}, (Setting(path, v, place, place),)) for v in values.values(integer=integer)]
        return [Choice({name: v}, (Setting(path, v, place, place),)) for v in sorted(ROWS[path[-1]].known)]

    def _is_incumbent(self, choice: Choice, trial: Trial, changes: Changes, budget: int, present: Trial) -> bool:
        """Whether the candidate ``choice`` is the present design.

        This includes a candidate that names a component which the design has already, if only its fields have been
        tuned since: the race over these fields has compared the two.
        """
        if _key(trial) == _key(present):
            return True
        paths = [setting.path for setting in choice.settings]
        above = {name: value for name, value in changes.items() if not any(_below(name, path) for path in paths)}
        if len(above) == len(changes):
            return False
        untuned = self._resolved(above, budget, Problems())
        return untuned is not None and _key(untuned) == _key(trial)

    def _resolved(self, changes: Changes, budget: int, problems: Problems) -> Trial | None:
        """The trial of the baseline with ``changes``, or ``None`` and why there is none in ``problems``."""
        with problems.collecting():
            settings = tuple(Change(set=dict(changes)).settings((SEARCH, "found")))
            choice = Choice({}, settings) + self._search.step(budget)
            points, _ = Resolver(self._base, self._folder, self._own).points([choice], problems)
            return points[0].trial if points else None
        return None


def merged(changes: Changes, choice: Choice) -> dict[str, Any]:
    """``changes`` with those of a candidate, without what these replace."""
    new = {axis_name(".".join(setting.path)): setting.value for setting in choice.settings}
    replaced = {name for name in changes if any(_within(name, setting.path) for setting in choice.settings)}
    return {name: value for name, value in changes.items() if name not in replaced} | new


def _within(name: str, path: FieldPath) -> bool:
    """Whether the field ``name`` is the one at ``path`` or lies inside it."""
    return (field_path(name) or ())[: len(path)] == path


def _below(name: str, path: FieldPath) -> bool:
    """Whether the field ``name`` lies inside the one at ``path``."""
    inner = field_path(name) or ()
    return len(inner) > len(path) and inner[: len(path)] == path


def _key(trial: Trial) -> str:
    """What the results of a trial depend on, apart from how they are measured."""
    return content_key(trial.sampling_identity(), trial.decoder.identity())


def _at(trial: Trial, path: FieldPath) -> Any:
    """The component or the value of a field at ``path``; ``None`` if there is no such field."""
    found: Any = trial
    for name in path:
        found = getattr(found, name, None)
    return found


def _number_at(row: str, trial: Trial) -> float | None:
    found = _at(trial, field_path(row) or ("",))
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _present_label(row: str, present: Trial) -> Label:
    """The value that the present design has in ``row``, as a label."""
    path = field_path(row)
    found = _at(present, path) if path else None
    if isinstance(found, Component):
        return str(found)
    return "present" if found is None else label_of(found)


def _reason(problems: Sequence[Problem]) -> str:
    """Why a candidate cannot be raced, from the problems of resolving it."""
    return "; ".join(dict.fromkeys(problem.what for problem in problems)) or "needs code that is not executed"


def _why_no_race(named: Sequence[Choice], skipped: Sequence[Skipped], present: Trial) -> str:
    """Why the present design is the only arm."""
    used = used_rows(present.design, *present.denoisers)
    each = [rows_of(setting) for choice in named for setting in choice.settings]
    rows = set().union(*each)
    if rows and all(each) and not rows & set(used):
        return why_unused(rows, [present])
    reasons = list(dict.fromkeys(one.reason for one in skipped))
    if named and not skipped:
        return "the only candidate is the present design"
    return reasons[0] if len(reasons) == 1 else "; ".join(f"{one.label}: {one.reason}" for one in skipped)
