"""The claims of an ablation: what its author expects to find, stated before it is run.

This module defines the kinds of claims as they are written in YAML and checks them against the points of the grid.
What each kind states about results, and how it is tested, is in ``report.evidence.claims``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from designspace.errors import DocPath, Kind, Problem
from designspace.registry.component import Finite, NonNegative, Positive, Spec
from designspace.results.points import known_as, known_axis, known_value, listed
from designspace.spec.problems import Problems, refusal
from designspace.spec.trial import Label, label_of
from designspace.text import did_you_mean

Value = Annotated[Label, BeforeValidator(label_of), WithJsonSchema({})]
Selection = dict[str, Value]
"""Values of some axes; selects all points that have them."""
Points = Sequence[Mapping[str, Label]]
"""The values of all axes of each point of the grid."""


def _two(order: str) -> BeforeValidator:
    def check(sides: Any) -> Any:
        if isinstance(sides, list | tuple) and len(sides) != 2:
            text = f"compares two points, {order} first: [{{..}}, {{..}}]; {len(sides)} given"
            raise PydanticCustomError("two_sides", "{text}", {"text": text})
        return sides

    return BeforeValidator(check)


def _one_or_two(sides: Any) -> Any:
    sides = [sides] if isinstance(sides, Mapping) else sides
    if isinstance(sides, list | tuple) and len(sides) not in (1, 2):
        text = f"takes one point, {{..}}, or the difference of two, [{{..}}, {{..}}]; {len(sides)} given"
        raise PydanticCustomError("sides", "{text}", {"text": text})
    return sides


_POINT: dict[str, Any] = {"type": "object", "additionalProperties": {}}
OneOrTwo = Annotated[
    tuple[Selection, ...],
    BeforeValidator(_one_or_two),
    WithJsonSchema({"anyOf": [_POINT, {"type": "array", "items": _POINT, "minItems": 1, "maxItems": 2}]}),
]


class Expectation(Spec):
    """What is expected of a metric. Each kind is a class with a field named after the kind's key in YAML."""

    @classmethod
    def beside_metrics(cls) -> tuple[str, ...]:
        """Values of ``metric`` that are allowed besides the metrics of the ablation."""
        return ()

    def known(self, points: Points, place: DocPath) -> Self:
        """The expectation with axes and values spelled as in ``points``. Raises ``SpecError`` if they do not exist."""
        return self


class Less(Expectation):
    """The metric is lower at the points of the first selection than at those of the second."""

    less: Annotated[tuple[Selection, Selection], _two("the lower one")]
    metric: str


class Within(Expectation):
    """The value at a point, or the difference of two (first minus second), lies between bounds.

    For differences, ``tolerance: t`` is short for ``bounds: [-t, t]``.
    """

    within: OneOrTwo
    metric: str
    tolerance: Positive | None = None
    bounds: tuple[Finite, Finite] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.tolerance is None) is (self.bounds is None):
            raise PydanticCustomError("bounds", "needs either 'tolerance' or 'bounds: [low, high]'")
        if self.tolerance is not None and len(self.within) == 1:
            raise PydanticCustomError("bounds", "the value of one point needs 'bounds: [low, high]', not 'tolerance'")
        if self.bounds is not None and self.bounds[0] >= self.bounds[1]:
            text = f"{self.bounds[0]:g} is not below {self.bounds[1]:g}"
            raise PydanticCustomError("bounds", "bounds: {text}", {"text": text})
        return self


class Along(Expectation):
    """A claim about each series of points that differ in a single axis, among the points that ``at`` selects."""

    along: str
    at: Selection = {}
    metric: str

    def known(self, points: Points, place: DocPath) -> Self:
        name = known_axis(self.along, points, (*place, "along"), key=False)
        if name in self.at:
            raise refusal("is the axis that 'along' names, so it cannot be fixed", (*place, "at", name), key=True)
        if len({point[name] for point in self.here(points)}) < 2:
            where = f" at {listed(self.at)}" if self.at else ""
            raise refusal(f"there is only one value of {name}{where}", (*place, "along"))
        return self.model_copy(update={"along": name})

    def here(self, points: Points) -> list[Mapping[str, Label]]:
        """The points that ``at`` selects."""
        return [point for point in points if self.at.items() <= point.items()]


class Monotone(Along):
    """Along the axis, each value of the metric lies above (or below) the preceding one.

    A step in the wrong direction is allowed if it is smaller than the tolerance.
    """

    monotone: Literal["increasing", "decreasing"]
    tolerance: NonNegative = 0.0


class ArgminIn(Along):
    """Along the axis, the metric is lowest at one of these values of the axis."""

    argmin_in: Annotated[tuple[Value, ...], Field(min_length=1)]

    def known(self, points: Points, place: DocPath) -> Self:
        found, place = super().known(points, place), (*place, "argmin_in")
        here = self.here(points)
        values = tuple(known_value(found.along, v, here, (*place, i)) for i, v in enumerate(self.argmin_in))
        if {point[found.along] for point in here} <= set(values):
            raise refusal(f"lists all values of {found.along}, so the claim could not fail", place)
        return found.model_copy(update={"argmin_in": values})


class RatioAtLeast(Expectation):
    """The metric (or ``nfe``) at the first points is at least ``ratio_at_least`` times that at the second."""

    ratio_at_least: Positive
    of: Annotated[tuple[Selection, Selection], _two("the larger one")]
    metric: str

    @classmethod
    def beside_metrics(cls) -> tuple[str, ...]:
        return ("nfe",)


AnyKind = Less | Within | Monotone | ArgminIn | RatioAtLeast
KINDS: Mapping[str, type[AnyKind]] = {
    "less": Less,
    "within": Within,
    "monotone": Monotone,
    "argmin_in": ArgminIn,
    "ratio_at_least": RatioAtLeast,
}


def _of_its_kind(value: Any) -> Any:
    """Validate with the kind that the mapping names, so that pydantic reports the errors of this kind only."""
    if not isinstance(value, Mapping):
        return value
    named, known = [key for key in value if key in KINDS], ", ".join(KINDS)
    if len(named) == 1:
        return KINDS[named[0]].model_validate(value)
    if named:
        text = f"should have one kind, not {' and '.join(named)}"
        raise PydanticCustomError("kind", "{text}", {"text": text})
    fields = {field for kind in KINDS.values() for field in kind.model_fields}
    unknown = next((key for key in value if key not in fields), None)
    if unknown is None:
        raise PydanticCustomError("kind", "{text}", {"text": f"does not say what is expected: one of {known}"})
    text = f"unknown kind of claim '{unknown}'.{did_you_mean(unknown, KINDS)} Kinds: {known}."
    wrong = PydanticCustomError("extra_forbidden", "{text}", {"text": text})
    raise ValidationError.from_exception_data("expect", [InitErrorDetails(type=wrong, loc=(unknown,), input=value)])


class Claim(Spec):
    """A sentence and the expectation that tests it."""

    say: str
    expect: Annotated[AnyKind, BeforeValidator(_of_its_kind)]


def checked(claims: Sequence[Claim], points: Points, metrics: Sequence[str], problems: Problems) -> tuple[Claim, ...]:
    """The valid claims, with axes and values spelled as in ``points``; the others are reported in ``problems``."""
    found: list[Claim] = []
    for i, claim in enumerate(claims):
        place: DocPath = ("claims", i, "expect")
        own = Problems(_wrong_metric(claim.expect, metrics, place))
        expect = _known(claim.expect, points, place, own)
        problems += map(_matching_no_trial, own)
        if not own:
            found.append(claim.model_copy(update={"expect": expect}))
    return tuple(found)


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
