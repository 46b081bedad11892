"""The candidates of a search: what a race over a row or a field compares, given what was found before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from designspace.errors import DocPath, Kind, Problem, SpecError
from designspace.registry.component import Component
from designspace.registry.known import ROWS
from designspace.spec.axes import Change, Choice, unknown_field, values_of
from designspace.spec.baseline import baseline
from designspace.spec.own import OwnComponents
from designspace.spec.paths import SEARCH, STEPS, FieldPath, Setting, at, axis_name, field_path
from designspace.spec.problems import Problems
from designspace.spec.resolve import Resolver
from designspace.spec.search import BASELINE, Range, Search
from designspace.spec.trial import Trial
from designspace.spec.unused import rows_of, why_unused
from designspace.spec.used import used_rows
from designspace.storage.files import content_key
from designspace.text import Label, label_of, value_of

Changes = Mapping[str, Any]
"""Values of fields that replace those of the baseline, by the names of axes: ``{"time_steps.rho": 9}``."""
NONE = Choice()


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
        own: The user's own components, which it checks.
    """

    def __init__(self, fields: Mapping[str, Any], folder: Path, own: OwnComponents | None = None) -> None:
        self.search: Search = fields[SEARCH]
        self._base = [setting for setting in baseline(fields) if setting.path[0] not in STEPS]
        self._folder, self._own = folder, OwnComponents() if own is None else own

    def candidates(self, row: str, changes: Changes, budget: int) -> Candidates:
        """What a race over ``row``, a key of ``search.rows``, compares once ``changes`` have been found.

        Raises ``SpecError`` if ``changes`` cannot be sampled with the budget.
        """
        present = self.trial(changes, budget)
        incumbent = Candidate(_present_label(row, present), dict(changes), present, _number_at(row, present))
        arms, skipped, names = {samples_of(present): incumbent}, list[Skipped](), list[Label]()
        for choice in self.tried(row, Problems(), present):
            label, problems = choice.labels[axis_name(row)], Problems()
            trial = self.resolved(changes, budget, problems, choice)
            if trial is None:
                skipped.append(Skipped(label, _reason(problems)))
            elif self._is_incumbent(choice, trial, changes, budget, present):
                names.append(label)
            elif same := arms.get(samples_of(trial)):
                skipped.append(Skipped(label, f"gives the same samples as {same.label}"))
            else:
                arms[samples_of(trial)] = Candidate(label, merged(changes, choice), trial, _number_at(row, trial))
        reason = _unused(row, present) if len(arms) == 1 else ""
        if names and not reason:  # the incumbent is called as in the list of candidates
            arms[samples_of(present)] = incumbent._replace(label=names[0])
            skipped += (Skipped(label, f"gives the same samples as {names[0]}") for label in names[1:])
        elif any(value_of(arm.label) == value_of(incumbent.label) for arm in list(arms.values())[1:]):
            arms[samples_of(present)] = incumbent._replace(label=f"{incumbent.label} (present)")
        if len(arms) == 1 and not reason:
            reason = _none_left(skipped) if names else _missing_field(row, present) or _none_left(skipped)
        return Candidates(list(arms.values()), skipped, reason)

    def starts(self, found: Mapping[int, Changes], budget: int) -> Candidates:
        """The baseline and the distinct designs that were ``found`` at other budgets, as far as they fit."""
        present = self.trial({}, budget)
        arms, skipped = {samples_of(present): Candidate(BASELINE, {}, present)}, list[Skipped]()
        for other, changes in found.items():
            label, problems = f"found at {self.search.step_field}={other}", Problems()
            if trial := self.resolved(changes, budget, problems):
                arms.setdefault(samples_of(trial), Candidate(label, dict(changes), trial))
            else:
                skipped.append(Skipped(label, _reason(problems)))
        return Candidates(list(arms.values()), skipped)

    def trial(self, changes: Changes, budget: int) -> Trial:
        """The trial of the baseline with ``changes``. Raises ``SpecError`` if it cannot be sampled."""
        problems = Problems()
        if trial := self.resolved(changes, budget, problems):
            return trial
        raise SpecError(problems)

    def tried(self, row: str, problems: Problems, present: Trial | None) -> list[Choice]:
        """The candidates of ``row`` as changes of the ``present`` design; invalid ones are reported in ``problems``."""
        values, place, path = self.search.rows[row], (SEARCH, "rows", row), field_path(row)
        if isinstance(values, list):
            return values_of(row, place, values, problems)
        if path is None:
            problems.extend(unknown_field(row, place).problems)
            return []
        if not isinstance(values, Range):
            return [self._one(row, path, name, place) for name in sorted(ROWS[path[-1]].known)]
        numbers = values.values(integer=isinstance(present and at(present, path), int))
        ends = {0: "from", len(numbers) - 1: "to"}
        places = [(*place, ends[i]) if i in ends else place for i in range(len(numbers))]
        return [self._one(row, path, *each) for each in zip(numbers, places, strict=True)]

    def _one(self, row: str, path: FieldPath, value: Label, place: DocPath) -> Choice:
        return Choice({axis_name(row): value}, (Setting(path, value, place, (SEARCH, "rows", row)),))

    def _is_incumbent(self, choice: Choice, trial: Trial, changes: Changes, budget: int, present: Trial) -> bool:
        """Whether the candidate ``choice`` is the present design.

        This includes a candidate that names a component which the design has already, if only its fields have been
        tuned since: the race over these fields has compared the two.
        """
        if samples_of(trial) == samples_of(present):
            return True
        paths = [setting.path for setting in choice.settings]
        above = {name: value for name, value in changes.items() if not any(_below(name, path) for path in paths)}
        if len(above) == len(changes):
            return False
        untuned = self.resolved(above, budget, Problems())
        return untuned is not None and samples_of(untuned) == samples_of(trial)

    def resolved(self, changes: Changes, budget: int, problems: Problems, choice: Choice = NONE) -> Trial | None:
        """The trial of the baseline with ``changes`` and those of ``choice``, which replace what they overrule.

        It is ``None`` if the design does not fit. The reasons are added to ``problems``; there are none if code that is
        not executed would be needed.
        """
        with problems.collecting():
            kept = _without(changes, choice)
            settings = tuple(Change(set=kept).settings((SEARCH, "found"))) + choice.settings
            point = Choice({}, settings) + self.search.step(budget)
            points, _ = Resolver(self._base, self._folder, self._own).points([point], problems)
            return points[0].trial if points else None
        return None


def merged(changes: Changes, choice: Choice) -> dict[str, Any]:
    """``changes`` with those of a candidate, without what these overrule."""
    new = {axis_name(".".join(setting.path)): setting.value for setting in choice.settings}
    return _without(changes, choice) | new


def _without(changes: Changes, choice: Choice) -> dict[str, Any]:
    paths = [setting.path for setting in choice.settings]
    return {name: value for name, value in changes.items() if not any(_within(name, path) for path in paths)}


def _within(name: str, path: FieldPath) -> bool:
    """Whether the field ``name`` is the one at ``path`` or lies inside it."""
    return (field_path(name) or ())[: len(path)] == path


def _below(name: str, path: FieldPath) -> bool:
    """Whether the field ``name`` lies inside the one at ``path``."""
    inner = field_path(name) or ()
    return len(inner) > len(path) and inner[: len(path)] == path


def samples_of(trial: Trial) -> str:
    """A hash of everything that the images of a trial depend on, but not of their number."""
    return content_key(trial.sampling_identity(), trial.decoder.identity())


def _number_at(row: str, trial: Trial) -> float | None:
    found = at(trial, field_path(row) or ("",))
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _present_label(row: str, present: Trial) -> Label:
    """The value that the present design has in ``row``, as a label."""
    found = at(present, field_path(row) or ("",))
    if found is None:
        return "present"
    return str(found) if isinstance(found, Component) else label_of(found)


def _missing_field(row: str, present: Trial) -> str:
    """Why the present design has no such field, such as ``rho`` with time steps ``cosine``; empty if it has."""
    *above, field = field_path(row) or ("",)
    parent = at(present, tuple(above)) if above else None
    if not isinstance(parent, Component) or field in type(parent).model_fields:
        return ""
    return f"{parent.row} {parent.name} has no field {field}"


def _reason(problems: Sequence[Problem]) -> str:
    """Why a candidate does not fit, from the problems of resolving it."""
    said = (f"needs {p.path[-1]}" if p.kind is Kind.MISSING and p.path else p.what for p in problems)
    return "; ".join(dict.fromkeys(said)) or "needs code that is not executed"


def _unused(row: str, present: Trial) -> str:
    """Why ``row`` has no effect on the samples of the present design; empty if it may have one."""
    path = field_path(row)
    rows = rows_of(Setting(path, None, path, path)) if path else set()
    return why_unused(rows, [present]) if rows and not rows & set(used_rows(present.design, *present.denoisers)) else ""


def _none_left(skipped: Sequence[Skipped]) -> str:
    """Why the present design is the only arm, although the row may have an effect."""
    reasons = dict.fromkeys(one.reason for one in skipped)
    if len(reasons) < 2:
        return next(iter(reasons), "the only candidate is the present design")
    return "; ".join(f"{one.label}: {one.reason}" for one in skipped)
