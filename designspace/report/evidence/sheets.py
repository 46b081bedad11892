"""The evidence from any number of ablations, by row of the table, kept apart by protocol and data set."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from designspace.report.entry import Entry
from designspace.report.evidence.judged import Evidence, Judgement
from designspace.report.evidence.paper import ROWS, Row
from designspace.report.evidence.practices import evidence
from designspace.report.evidence.quality import Quality, quality
from designspace.report.points import values_of
from designspace.report.study import Study
from designspace.text import one_line

SHARED = ("reference", "detector", "resize", "pixels")
"""The parts of a protocol that all values of a table share. Only values of the same ablation are compared."""


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a table: a row, or a field or several rows together, and what one ablation says about it."""

    name: str
    row: Row | None
    """The row of the table; ``None`` for several rows together."""
    evidence: Evidence | None
    """``None`` if no ablation says anything about the row."""

    @property
    def verdict(self) -> Judgement:
        """The verdict over all budgets."""
        return self.evidence.overall if self.evidence else Judgement.NONE


@dataclass(frozen=True, eq=False)
class Sheet:
    """The evidence from all ablations with the same protocol and data set."""

    protocol: str
    data: str
    evidence: tuple[Evidence, ...]
    quality: tuple[Quality, ...]
    also: Mapping[Evidence | Quality, tuple[str, ...]]
    """The names of further ablations whose trials are all among those of a piece of evidence."""
    unrecorded: tuple[str, ...]
    """The ablations whose results are of an earlier version, which recorded less of the protocol."""

    @property
    def title(self) -> str:
        """``digits, FD-lite0-96-320``."""
        return f"{self.data}, {self.protocol}"

    @property
    def directed(self) -> bool:
        """Whether the metric has a better direction; otherwise, nothing is favoured."""
        return not self.evidence or any(one.higher is not None for one in self.evidence)

    @cached_property
    def lines(self) -> list[Line]:
        """All rows and fields in the order of the table, then several rows together.

        The evidence on a row is in the order of ``_adequacy``, which does not depend on its outcome.
        """
        found = []
        for row in ROWS:
            alone = [one for one in self.evidence if one.change.rows == (row,)]
            found += _lines(row, alone) or [Line(row.name, row, None)]
        together = [one for one in self.evidence if len(one.change.rows) > 1 and one.of_paper]
        return found + _lines(None, sorted(together, key=lambda one: [*map(ROWS.index, one.change.rows)]))

    @property
    def leading(self) -> list[Line]:
        """The first line of each row and field."""
        return list({line.name: line for line in reversed(self.lines) if line.row}.values())[::-1]

    def also_in(self, found: Evidence | Quality) -> list[str]:
        """The names of further ablations with the same trials."""
        return [*self.also.get(found, ())]

    def together(self, row: Row) -> list[str]:
        """The names of the rows that were changed only together with this one."""
        return list(
            dict.fromkeys(
                line.name
                for line in self.lines
                if line.evidence and line.row is None and row in line.evidence.change.rows
            )
        )


def _lines(row: Row | None, found: Sequence[Evidence]) -> list[Line]:
    """The lines of the evidence on a row or, for ``None``, of that on several rows together."""
    names = dict.fromkeys(one.change.name for one in found)
    first = [name for name in names if row and name == row.name]
    ranked = sorted(found, key=_adequacy)
    return [
        Line(name, row, one) for name in dict.fromkeys([*first, *names]) for one in ranked if one.change.name == name
    ]


def _adequacy(one: Evidence) -> tuple[Any, ...]:
    """The order of the evidence on a row: what can decide it comes first.

    Comparisons with the paper's choice come before those without it, repeated trainings before single ones if the row
    concerns training, networks before the exact denoiser, the paper's choice in all other rows and fields before other
    settings, a budget near to the paper's before others, more comparisons before fewer, and more images before fewer.
    """
    images = one.points[0].images(one.metric) * len(one.points[0].rows)
    named = one.study.about.name
    near = one.nfe_from_papers(one.papers_budget)
    return not one.of_paper, one.once, one.repeats is None, bool(one.others), near, -len(one.gaps), -images, named


Key = tuple[str, str, str]
T = TypeVar("T", Evidence, Quality)


def sheets(studies: Iterable[Study], metric: str) -> list[Sheet]:
    """One sheet per protocol and data set, the one with the most evidence first."""
    pieces: dict[Key, list[Evidence]] = {}
    reached: dict[Key, list[Quality]] = {}
    for study in studies:
        for one in (one for group in evidence(study, metric) for one in group):
            pieces.setdefault(_key(one.points[0], metric), []).append(one)
        for found in quality(study, metric):
            reached.setdefault(_key(found.points[0], metric), []).append(found)
    keys = list(dict.fromkeys([*pieces, *reached]))
    parts: dict[Key, list[Key]] = {}
    for key in keys:
        parts.setdefault(_whole(key, keys), []).append(key)
    sheets = [_sheet(key, of, pieces, reached) for key, of in parts.items()]
    return sorted(sheets, key=lambda sheet: -len(sheet.evidence))


def _sheet(
    key: Key, parts: Sequence[Key], pieces: Mapping[Key, list[Evidence]], reached: Mapping[Key, list[Quality]]
) -> Sheet:
    every = [(part, one) for part in parts for one in pieces.get(part, [])]
    every = sorted(every, key=lambda of: of[1].study.about.name)
    earlier = dict.fromkeys(one.study.about.name for part, one in every if not part[2])
    equal = sorted((one for part in parts for one in reached.get(part, [])), key=lambda one: one.study.about.name)
    data = str((json.loads(key[1]) or {}).get("name", "unknown data"))
    found = [one for _, one in every]
    alone, more = merged(found, lambda one: (one.change, one.of_paper, one.model, one.others), _trials)
    quality, further = merged(equal, lambda one: (one.model, one.drawn), _values)
    also: dict[Evidence | Quality, tuple[str, ...]] = dict([*more.items(), *further.items()])
    return Sheet(key[0], data, tuple(alone), tuple(quality), also, tuple(earlier))


def merged(
    found: Sequence[T], kind: Callable[[T], object], trials: Callable[[T], frozenset[Any]]
) -> tuple[list[T], dict[T, tuple[str, ...]]]:
    """Without those whose trials are all among the trials of another one of the same kind, so that none count twice.

    Returns:
        What is left, in the same order, and the names of the ablations that were left out.
    """
    kept: list[T] = []
    named: dict[T, tuple[str, ...]] = {}
    wholes: list[T]
    for one in sorted(found, key=lambda one: -len(trials(one))):
        wholes = [other for other in kept if kind(other) == kind(one) and trials(one) <= trials(other)]
        name = one_line(one.study.about.name)
        if not wholes:
            kept.append(one)
        elif name not in (one_line(wholes[0].study.about.name), *named.get(wholes[0], ())):
            named[wholes[0]] = (*named.get(wholes[0], ()), name)
    return [one for one in found if one in kept], named


def _trials(one: Evidence) -> frozenset[object]:
    """The values of each choice at each budget, and whether the paper endorses the choice."""
    found: dict[tuple[object, str], set[object]] = {}
    for budget, word, entry in one.compared:
        found.setdefault((budget, word), set()).add(values_of(entry, one.metric))
    return frozenset((budget, word in one.endorsed, frozenset(of)) for (budget, word), of in found.items())


def _values(found: Quality) -> frozenset[object]:
    return frozenset((point.spent(found.study.count), values_of(point, found.metric)) for point in found.points)


def _key(entry: Entry, metric: str) -> Key:
    """The name of the protocol, the data set, and what else was recorded of the protocol, as far as tables share it."""
    record = {part: entry.record[part] for part in SHARED if part in entry.record}
    data = json.dumps(entry.trial("data"), sort_keys=True)
    return one_line(entry.about(metric).protocol), data, json.dumps(record, sort_keys=True) if record else ""


def _whole(key: Key, keys: Sequence[Key]) -> Key:
    """The key itself or, for results of earlier versions, the one recorded key of the same protocol and data set."""
    recorded = [other for other in keys if other[:2] == key[:2] and other[2]]
    return recorded[0] if not key[2] and len(recorded) == 1 else key
