"""What an ablation expects to find, said before it is run. The report says whether it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from designspace.component import Spec, did_you_mean
from designspace.spec.axes import label_of
from designspace.spec.errors import BadValueError, DocPath
from designspace.spec.paths import axis_name
from designspace.spec.trial import Label

Axes = dict[str, Annotated[Label, BeforeValidator(label_of), WithJsonSchema({})]]
"""Values of axes: they stand for all points that have them."""


class Less(Spec):
    """The metric is lower at the first points than at the second."""

    less: tuple[Axes, Axes]
    metric: str

    @field_validator("less", mode="before")
    @classmethod
    def _two(cls, less: Any) -> Any:
        if isinstance(less, list | tuple) and len(less) != 2:
            text = f"compares two points, the lower one first: [{{..}}, {{..}}]; {len(less)} given"
            raise PydanticCustomError("two_sides", "{text}", {"text": text})
        return less


class Claim(Spec):
    """A sentence, and how to check it. Another kind of check is another class beside ``Less``."""

    say: str
    expect: Less


def known_as(axes: Mapping[str, Any], points: Sequence[Axes], place: DocPath) -> Axes:
    """``axes`` with the names and values that ``points`` have. Raises ``BadValueError`` if no point has them."""
    columns = list(points[0])
    named: Axes = {}
    for key, value in axes.items():
        name = axis_name(key)
        if name not in columns:
            text = f"claim matches no trial: there is no axis '{key}'.{did_you_mean(key, columns)}"
            raise BadValueError((*place, key), f"{text} Axes: {', '.join(columns) or 'none'}.", key=True)
        values = list(dict.fromkeys(point[name] for point in points))
        same = [known for known in values if _same(known, value)]
        if not same:
            text = f"claim matches no trial: no point has {key} = {value!r}.{_nearest(value, values)}"
            raise BadValueError((*place, key), f"{text} Values: {', '.join(map(str, values))}.")
        named[name] = same[0]
    if not any(named.items() <= point.items() for point in points):
        listed = ", ".join(f"{name} = {value}" for name, value in named.items())
        raise BadValueError(place, f"claim matches no trial: no point has {listed} together")
    return named


def check(claims: Sequence[Claim], points: Sequence[Axes], metrics: Sequence[str]) -> Iterator[Claim | BadValueError]:
    """Each claim with its axes named as in ``points``; or what is wrong with it."""
    for i, claim in enumerate(claims):
        sides: list[Axes] = []
        for side, axes in enumerate(claim.expect.less):
            try:
                sides.append(known_as(axes, points, ("claims", i, "expect", "less", side)))
            except BadValueError as error:
                yield error
        if both := [point for point in points if len(sides) == 2 and all(s.items() <= point.items() for s in sides)]:
            named = ", ".join(f"{name} = {value}" for name, value in both[0].items())
            yield BadValueError(("claims", i, "expect", "less"), f"compares a point with itself: {named}")
        if claim.expect.metric not in metrics:
            text = f"'{claim.expect.metric}' is not measured.{did_you_mean(claim.expect.metric, metrics)}"
            yield BadValueError(("claims", i, "expect", "metric"), f"{text} Metrics: {', '.join(metrics)}.")
        elif len(sides) == 2:
            expect = claim.expect.model_copy(update={"less": tuple(sides)})
            yield claim.model_copy(update={"expect": expect})


def _same(known: Label, value: Label) -> bool:
    return known == value and isinstance(known, bool) == isinstance(value, bool)


def _nearest(value: Any, values: list[Label]) -> str:
    numbers = [known for known in values if isinstance(known, int | float) and not isinstance(known, bool)]
    if isinstance(value, int | float) and numbers:
        return f" Did you mean {min(numbers, key=lambda known: abs(known - value))}?"
    return did_you_mean(value, values)
