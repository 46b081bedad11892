"""The kinds of claims, as they are written. What each states and how it is tested: ``report.checks``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from designspace.registry.component import Finite, NonNegative, Positive, Spec
from designspace.spec.errors import BadValueError, DocPath
from designspace.spec.points import Axes, Value, known_axis, known_value, listed


def _two(order: str) -> BeforeValidator:
    def check(points: Any) -> Any:
        if isinstance(points, list | tuple) and len(points) != 2:
            text = f"compares two points, {order} first: [{{..}}, {{..}}]; {len(points)} given"
            raise PydanticCustomError("two_sides", "{text}", {"text": text})
        return points

    return BeforeValidator(check)


def _one_or_two(points: Any) -> Any:
    points = [points] if isinstance(points, Mapping) else points
    if isinstance(points, list | tuple) and len(points) not in (1, 2):
        text = f"is about one point, {{..}}, or the difference of two, [{{..}}, {{..}}]; {len(points)} given"
        raise PydanticCustomError("sides", "{text}", {"text": text})
    return points


_POINT: dict[str, Any] = {"type": "object", "additionalProperties": {}}
OneOrTwo = Annotated[
    tuple[Axes, ...],
    BeforeValidator(_one_or_two),
    WithJsonSchema({"anyOf": [_POINT, {"type": "array", "items": _POINT, "minItems": 1, "maxItems": 2}]}),
]


class Expectation(Spec):
    """What is expected of a metric. A kind of claim is a class, called in YAML like its own field."""

    def known(self, points: Sequence[Axes], place: DocPath) -> Self:
        """With names and values as ``points`` have them. Raises ``BadValueError``."""
        return self


class Less(Expectation):
    """The metric is lower at the first points than at the second."""

    less: Annotated[tuple[Axes, Axes], _two("the lower one")]
    metric: str


class Within(Expectation):
    """The value at a point, or that at the first points minus that at the second, lies between bounds.

    ``tolerance: t`` is ``bounds: [-t, t]``, for differences.
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
    """What is claimed of each line of points that differ in one axis alone; of those that have the values ``at``."""

    along: str
    at: Axes = {}
    metric: str

    def known(self, points: Sequence[Axes], place: DocPath) -> Self:
        name = known_axis(self.along, points, (*place, "along"), key=False)
        if name in self.at:
            raise BadValueError((*place, "at", name), "is the axis along which the points differ", key=True)
        if len({point[name] for point in self.here(points)}) < 2:
            where = f" at {listed(self.at)}" if self.at else ""
            raise BadValueError((*place, "along"), f"there is only one value of {name}{where}")
        return self.model_copy(update={"along": name})

    def here(self, points: Sequence[Axes]) -> list[Axes]:
        """The points on the lines."""
        return [point for point in points if self.at.items() <= point.items()]


class Monotone(Along):
    """Along an axis, each value is below (above) the one before; with a tolerance, not above (below) it by so much."""

    monotone: Literal["increasing", "decreasing"]
    tolerance: NonNegative = 0.0


class ArgminIn(Along):
    """Along an axis, the lowest value of the metric is at one of these values of the axis."""

    argmin_in: Annotated[tuple[Value, ...], Field(min_length=1)]

    def known(self, points: Sequence[Axes], place: DocPath) -> Self:
        found, place = super().known(points, place), (*place, "argmin_in")
        here = self.here(points)
        values = tuple(known_value(found.along, v, here, (*place, i)) for i, v in enumerate(self.argmin_in))
        if {point[found.along] for point in here} <= set(values):
            raise BadValueError(place, f"has all values of {found.along}: nothing is claimed")
        return found.model_copy(update={"argmin_in": values})


class RatioAtLeast(Expectation):
    """The metric, or the counted ``nfe``, of the first points is at least so many times that of the second."""

    ratio_at_least: Positive
    of: Annotated[tuple[Axes, Axes], _two("the larger one")]
    metric: str
