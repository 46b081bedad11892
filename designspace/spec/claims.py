"""The claims of an ablation: what its author expects to find, stated before it is run.

This module checks claims against the points of the grid. ``expectations`` defines the kinds of claims.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator

from designspace.errors import DocPath, Kind, Problem
from designspace.registry.component import Spec
from designspace.results.points import known_as, listed, named_by_all
from designspace.spec.expectations import AnyKind, Points, Selection, of_its_kind
from designspace.spec.paths import STEPS, axis_name
from designspace.spec.problems import Problems, refusal
from designspace.text import did_you_mean


class Claim(Spec):
    """A sentence and the expectation that tests it."""

    say: str
    why: str = ""
    """Why the claim concerns only the budget (``num_steps``, ``nfe`` or ``nfe_total``) that it names."""
    expect: Annotated[AnyKind, BeforeValidator(of_its_kind)]


class Checked(NamedTuple):
    """The claims that are valid and, for each axis, the positions of those that only follow from its values."""

    claims: tuple[Claim, ...]
    left_out: Mapping[str, Sequence[int]]


def checked(
    claims: Sequence[Claim], points: Points, metrics: Sequence[str], problems: Problems, unsure: Collection[str] = ()
) -> Checked:
    """The valid claims, with axes and values spelled as in ``points``; the others are reported in ``problems``.

    Claims that match no point because an axis in ``unsure`` lacks values are not reported but left out.

    Claims that name a budget without saying why cause a warning, because most statements should hold at every budget.
    So do those that say why without naming a budget, because they are judged at every budget nevertheless.
    """
    found: list[Claim] = []
    left_out: dict[str, list[int]] = {}
    for i, claim in enumerate(claims):
        place: DocPath = ("claims", i, "expect")
        own = Problems(_wrong_metric(claim.expect, metrics, place))
        expect = _known(claim.expect, points, place, own)
        lacking = [_lacking(problem, claim.expect, unsure) for problem in own]
        if own and all(lacking):
            left_out.setdefault(lacking[0], []).append(i)
            continue
        problems += map(_matching_no_trial, (p for p, axis in zip(own, lacking, strict=True) if not axis))
        if not own:
            found.append(claim.model_copy(update={"expect": expect}))
            problems += _of_nothing(expect, i) if claim.why else _unexplained(expect, points, place)
    return Checked(tuple(found), left_out)


def _lacking(problem: Problem, expect: AnyKind, unsure: Collection[str]) -> str:
    """The axis in ``unsure`` whose values are the reason of a problem with a claim; empty if there is none."""
    if problem.kind not in (Kind.UNMATCHED, Kind.TOO_FEW) or problem.key:
        return ""
    along = [axis for name in ("along", "axis") if (axis := getattr(expect, name, None))]
    own = [str(name) for name in problem.path if name in {axis for _, side in _sides(expect) for axis in side}]
    named = own or [*along, *(axis for _, side in _sides(expect) for axis in side)]
    return next((axis for axis in map(axis_name, named) if axis in unsure), "")


def _unexplained(expect: AnyKind, points: Points, place: DocPath) -> Iterator[Problem]:
    """Yield a warning if the claim names the budget at which it is judged, although there are others."""
    sides = dict(_sides(expect))
    for axis in STEPS:
        budget = named_by_all(sides.values(), axis)
        if budget is not None and len({point[axis] for point in points}) > 1:
            what = f"names {axis}: {budget} without saying why (why: ...). A general claim is judged at every budget"
            yield Problem(what, (*place, *next(iter(sides)), axis), Kind.UNEXPLAINED, key=True)


def _of_nothing(expect: AnyKind, i: int) -> Iterator[Problem]:
    """Yield a warning if the claim gives a reason for its budget but does not name one."""
    sides = dict(_sides(expect)).values()
    if all(named_by_all(sides, axis) is None for axis in STEPS):
        what = (
            f"gives a reason for a budget, but names none ({', '.join(STEPS[:-1])} or {STEPS[-1]}) for all its points"
        )
        yield Problem(what, ("claims", i, "why"), Kind.UNEXPLAINED, key=True)


def _known(expect: AnyKind, points: Points, place: DocPath, problems: Problems) -> AnyKind:
    sides, found = dict(_sides(expect)), dict[DocPath, Selection]()
    for path, side in sides.items():
        with problems.collecting():
            found[path] = known_as(side, points, (*place, *path))
    if len(found) == len(sides):
        with problems.collecting():
            return _with_sides(expect, found, points, place).known(points, place)
    return expect


def _with_sides(expect: AnyKind, found: Mapping[DocPath, Selection], points: Points, place: DocPath) -> AnyKind:
    """``expect`` with the selections ``found`` in place of its own. Raises ``SpecError`` if two share a point."""
    update: dict[str, Any] = {}
    for (field, *position), side in found.items():
        update[str(field)] = (*update.get(str(field), ()), side) if position else side
    for field, two in ((field, two) for field, two in update.items() if isinstance(two, tuple)):
        both = [p for p in points if len(two) == 2 and all(side.items() <= p.items() for side in two)]
        if both:
            raise refusal(f"compares a point with itself: {listed(both[0])}", (*place, field))
    return expect.model_copy(update=update)


def _wrong_metric(expect: AnyKind, metrics: Sequence[str], place: DocPath) -> Iterator[Problem]:
    known = [*metrics, *expect.beside_metrics()]
    if expect.metric not in known:
        near = did_you_mean(expect.metric, known)
        yield Problem(f"'{expect.metric}' is not measured.{near} Metrics: {', '.join(known)}.", (*place, "metric"))


def _matching_no_trial(problem: Problem) -> Problem:
    unmatched = problem.kind is Kind.UNMATCHED
    return problem._replace(what=f"claim matches no trial: {problem.what}") if unmatched else problem


def _sides(expect: AnyKind) -> Iterator[tuple[DocPath, Selection]]:
    """Every selection of points in ``expect``, with its path."""
    for field, value in expect:
        if isinstance(value, Mapping):
            yield (field,), dict(value)
        elif isinstance(value, tuple) and value and isinstance(value[0], Mapping):
            yield from (((field, i), dict(side)) for i, side in enumerate(value))
