"""What ablations say about each row of the table: the paper's choice against the others, all else equal.

``pieces`` finds what can be compared. Effects are averaged over the settings of the other axes, as in ``effects``. If
the other rows, and the other fields of the row, have the paper's choices at some of these settings only, the average
over those is evidence of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from designspace.report.entry import WORDS, Count, Entry
from designspace.report.evidence.contrasts import Difference
from designspace.report.evidence.differences import finite
from designspace.report.evidence.effects import Effects, best_choice, counted_gap, effects_at, gap_between
from designspace.report.evidence.factors import Factor
from designspace.report.evidence.judged import Evidence, Nearest
from designspace.report.evidence.matching import Piece, Points, pieces, trial_of
from designspace.report.evidence.paper import ROWS, Row
from designspace.report.study import Study, rivals
from designspace.text import value_of


def evidence(study: Study, metric: str) -> list[list[Evidence]]:
    """For each group of rivals, all pieces of evidence, in the order of the ablation's axes."""
    return [[*_of_group(study, finite(group, metric), metric)] for group in rivals(study.entries, metric)]


def _of_group(study: Study, points: Sequence[Entry], metric: str) -> Iterator[Evidence]:
    for piece, lines in pieces(study, points).items():
        papers = {budget: [line for line in of if not _others(piece, [line])] for budget, of in lines.items()}
        papers = {budget: of for budget, of in papers.items() if of}
        alone = [_evidence(study, metric, piece, papers)] if papers and papers != lines else []
        yield from filter(None, [*alone, _evidence(study, metric, piece, lines)])


def _evidence(study: Study, metric: str, piece: Piece, lines: Mapping[object, Sequence[Points]]) -> Evidence | None:
    """What is known of a piece of evidence; ``None`` if no budget has the choice to compare with and another one."""
    factor = Factor(piece.axes, piece.change.name, piece.choices, piece.choices[0])
    endorsed = _endorsed(piece, [line for of in lines.values() for line in of])
    found = {budget: _effects(study, factor, endorsed, budget, of, metric) for budget, of in lines.items()}
    at = {budget: one for budget, one in found.items() if one is not None}
    used = [line for budget in at for line in lines[budget]]
    if not used:
        return None
    compared = tuple((budget, name, entry) for budget in at for line in lines[budget] for name, entry in line.items())
    higher = compared[0][2].higher_is_better(metric)
    full = {budget: _full(one, lines[budget]) for budget, one in at.items()}
    nfe = {budget: fmean(line[at[budget].factor.choices[0]].nfe for line in of) for budget, of in full.items()}
    nearest = {} if higher is None else _nearest(study, at, full, metric)
    gaps = _gaps(study, at, full, endorsed, metric)
    return Evidence(study, metric, piece, factor, at, gaps, compared, nfe, nearest, endorsed, _others(piece, used))


def _endorsed(piece: Piece, lines: Sequence[Points]) -> tuple[str, ...]:
    """The choices that the paper endorses at all points."""
    if not piece.of_paper:
        return ()
    trials = {word: [trial_of(line[word]) for line in lines if word in line] for word in piece.choices}
    return tuple(word for word, of in trials.items() if all(piece.change.endorses(trial) for trial in of))


def _full(one: Effects, lines: Sequence[Points]) -> list[Points]:
    """The lines that have all choices that are compared."""
    return [line for line in lines if line.keys() >= set(one.factor.choices)]


def _nearest(
    study: Study, at: Mapping[object, Effects], full: Mapping[object, Sequence[Points]], metric: str
) -> dict[object, Nearest]:
    found: dict[object, Nearest] = {}
    for budget, one in at.items():
        lines, best = full[budget], one.favoured[0]
        values = {choice: fmean(line[choice].value(metric) for line in lines) for choice in one.nfe}
        rest = [choice for choice in values if choice != best]
        higher = lines[0][best].higher_is_better(metric)
        other = (max if higher else min)(rest, key=lambda choice: values[choice])
        found[budget] = Nearest(best, other, values[best], gap_between(study, lines, other, best, metric))
    return found


def _others(piece: Piece, lines: Sequence[Points]) -> tuple[str, ...]:
    """The other rows of the same kind, and other fields of the row, in which not all points have the paper's choice.

    The points are those to compare with.
    """
    trials = [trial_of(line[piece.choices[0]]) for line in lines if piece.choices[0] in line]
    rows = [row for row in ROWS if row.trained == piece.change.trained and row not in piece.change.rows]
    rows = [row for row in rows if row.place == ("design",)]
    beside = [row.name for row in rows if not all(row.is_papers(row.of(trial)) for trial in trials)]
    if not (piece.of_paper and piece.change.field):
        return tuple(beside)
    (row,) = piece.change.rows
    fields = [name for trial in trials for name in _other_fields(row, piece.change.field, row.of(trial))]
    return (*dict.fromkeys(fields), *beside)


def _other_fields(row: Row, varied: str, spec: Mapping[str, Any]) -> list[str]:
    """The fields of a row beside the varied one that are not as in the paper; the row if its component is another one.

    Churn itself does not count, because the other fields of ``stochasticity`` have no effect without it.
    """
    churn = row.name == "stochasticity"
    if not churn and spec.get("name") not in row.names:
        return [row.name]
    fields = [key for key in spec if key not in (varied, "name") and not (churn and key == "S_churn")]
    return [f"{row.name}.{key}" for key in fields if not row.is_papers_field(key, spec[key])]


def _effects(
    study: Study, factor: Factor, endorsed: Sequence[str], budget: object, lines: Sequence[Points], metric: str
) -> Effects | None:
    """The effects at one budget; ``None`` without the choice to compare with, or any other.

    The first choice is the best one that the paper endorses.
    """
    known = {name for line in lines for name in line}
    names = [name for name in factor.choices if name in known]
    full = [line for line in lines if line.keys() >= set(names)]
    if not full or len(names) < 2:
        return None
    if len(good := [name for name in names if name in endorsed]) > 1:
        first = best_choice([{name: line[name] for name in good} for line in full], metric)
        names.sort(key=lambda name: name != first)
    ordered = replace(factor, choices=tuple(names), baseline=names[0])
    return effects_at(study, ordered, budget, [{name: line[name] for name in names} for line in full], metric)


def _gaps(
    study: Study,
    at: Mapping[object, Effects],
    full: Mapping[object, Sequence[Points]],
    endorsed: Sequence[str],
    metric: str,
) -> dict[tuple[object, Any], Difference]:
    found: dict[tuple[object, Any], Difference] = {}
    for budget, one in at.items():
        lines, base, rest = full[budget], one.factor.choices[0], [c for c in one.against if c not in endorsed]
        others = [c for c in one.against if c in endorsed]
        higher = lines[0][base].higher_is_better(metric)
        for choice in rest:
            first = counted_gap(study, lines, choice, base, metric)
            if others and first.value != 0 and (first.value > 0) is higher:
                every = [first, *(counted_gap(study, lines, choice, other, metric) for other in others)]
                first = max(every, key=lambda gap: 1.0 if math.isnan(gap.p) else gap.p)
            found[budget, choice] = first
    return found


def where(one: Evidence, budget: object) -> str:
    """``NFE 19``: the budget or, in an ablation without one, the evaluations; with guidance, their total follows."""
    return f"{unit(one)} {amount(one, budget)}"


def unit(one: Evidence) -> str:
    """What is counted: ``NFE``, ``total NFE`` or ``steps``."""
    return one.study.budget_word or WORDS["nfe"]


def amount(one: Evidence, budget: object) -> str:
    """``19``, or ``11 (total 11 to 22)`` if guidance adds evaluations that the budget does not count."""
    points, axis = one.points_at(budget), one.study.column_axis
    fixed = value_of(budget) if axis else _range(points, "nfe")
    if axis == "nfe_total" or not any(point.spent("nfe_guidance") for point in points):
        return fixed
    return f"{fixed} (total{' NFE' if axis == 'num_steps' else ''} {_range(points, 'nfe_total')})"


def _range(points: Sequence[Entry], count: Count) -> str:
    """``11``, or ``11 to 22`` if the counts differ."""
    spent = [point.spent(count) for point in points]
    return " to ".join(dict.fromkeys(f"{end(spent):.4g}" for end in (min, max)))
