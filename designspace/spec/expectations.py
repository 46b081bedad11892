"""The kinds of expectations that a claim can state, as they are written in YAML.

What each kind states about results, and how it is tested, is in ``report.evidence``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from designspace.errors import DocPath, Kind
from designspace.registry.component import Finite, NonNegative, Positive, Spec
from designspace.results.points import known_axis, known_value, listed
from designspace.spec.problems import refusal
from designspace.text import Label, did_you_mean, label_of

Value = Annotated[Label, BeforeValidator(label_of), WithJsonSchema({})]
Selection = dict[str, Value]
"""Values of some axes; selects all points that have them."""
Points = Sequence[Mapping[str, Label]]
"""The values of all axes of each point of the grid."""


def _two(order: str = "") -> BeforeValidator:
    def check(sides: Any) -> Any:
        if isinstance(sides, list | tuple) and len(sides) != 2:
            text = f"compares two points{order}: [{{..}}, {{..}}]; {len(sides)} given"
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

    less: Annotated[tuple[Selection, Selection], _two(", the lower one first")]
    metric: str


class Within(Expectation):
    """The value at a point, or the difference of two (first minus second), lies between bounds.

    For differences, ``tolerance: t`` is short for ``bounds: [-t, t]``, and ``percent: p`` states that the larger of the
    two values exceeds the smaller by less than p percent of it.
    """

    within: OneOrTwo
    metric: str
    tolerance: Positive | None = None
    percent: Positive | None = None
    bounds: tuple[Finite, Finite] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [name for name in ("tolerance", "percent", "bounds") if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("bounds", "needs one of 'tolerance', 'percent' and 'bounds: [low, high]'")
        if self.bounds is None and len(self.within) == 1:
            text = f"the value of one point needs 'bounds: [low, high]', not '{given[0]}'"
            raise PydanticCustomError("bounds", "{text}", {"text": text})
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
            raise refusal(f"there is only one value of {name}{where}", (*place, "along"), Kind.TOO_FEW)
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
            raise refusal(f"lists all values of {found.along}, so the claim could not fail", place, Kind.TOO_FEW)
        return found.model_copy(update={"argmin_in": values})


class RatioAtLeast(Expectation):
    """The metric (or ``nfe``) at the first points is at least ``ratio_at_least`` times that at the second."""

    ratio_at_least: Positive
    of: Annotated[tuple[Selection, Selection], _two(", the larger one first")]
    metric: str

    @classmethod
    def beside_metrics(cls) -> tuple[str, ...]:
        return ("nfe",)


class Interaction(Expectation):
    """The difference between two selections of points depends on the axis ``with``."""

    interaction: Annotated[tuple[Selection, Selection], _two()]
    axis: str = Field(alias="with")
    metric: str

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = handler(self)
        return found | {"with": found.pop("axis", self.axis)}

    def known(self, points: Points, place: DocPath) -> Self:
        name = known_axis(self.axis, points, (*place, "with"), key=False)
        for i, side in enumerate(self.interaction):
            if name in side:
                what = "is the axis that 'with' names, so it cannot be fixed"
                raise refusal(what, (*place, "interaction", i, name), key=True)
            if len({point[name] for point in points if side.items() <= point.items()}) < 2:
                where = f" at {listed(side)}" if side else ""
                raise refusal(f"there is only one value of {name}{where}", (*place, "with"), Kind.TOO_FEW)
        return self.model_copy(update={"axis": name})


AnyKind = Less | Within | Monotone | ArgminIn | RatioAtLeast | Interaction
KINDS: Mapping[str, type[AnyKind]] = {
    "less": Less,
    "within": Within,
    "monotone": Monotone,
    "argmin_in": ArgminIn,
    "ratio_at_least": RatioAtLeast,
    "interaction": Interaction,
}


def of_its_kind(value: Any) -> Any:
    """Validate with the kind that the mapping names, so that pydantic reports the errors of this kind only."""
    if not isinstance(value, Mapping):
        return value
    named, known = [key for key in value if key in KINDS], ", ".join(KINDS)
    if len(named) == 1:
        return KINDS[named[0]].model_validate(value)
    if named:
        text = f"should have one kind, not {' and '.join(named)}"
        raise PydanticCustomError("kind", "{text}", {"text": text})
    fields = {field.alias or name for kind in KINDS.values() for name, field in kind.model_fields.items()}
    unknown = next((key for key in value if key not in fields), None)
    if unknown is None:
        raise PydanticCustomError("kind", "{text}", {"text": f"does not say what is expected: one of {known}"})
    text = f"unknown kind of claim '{unknown}'.{did_you_mean(unknown, KINDS)} Kinds: {known}."
    wrong = PydanticCustomError("extra_forbidden", "{text}", {"text": text})
    raise ValidationError.from_exception_data("expect", [InitErrorDetails(type=wrong, loc=(unknown,), input=value)])
