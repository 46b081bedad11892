"""What an ablation expects to find, said before it is run. The report says whether it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from designspace.registry.component import Spec
from designspace.spec.errors import BadValueError, DocPath
from designspace.spec.expectations import ArgminIn, Less, Monotone, RatioAtLeast, Within
from designspace.spec.points import Axes, known_as, listed
from designspace.text import did_you_mean

Kind = Less | Within | Monotone | ArgminIn | RatioAtLeast
KINDS: Mapping[str, type[Kind]] = {
    "less": Less,
    "within": Within,
    "monotone": Monotone,
    "argmin_in": ArgminIn,
    "ratio_at_least": RatioAtLeast,
}


def _of_its_kind(value: Any) -> Any:
    """So that errors are those of the kind that was meant, not of all of them."""
    if not isinstance(value, Mapping):
        return value
    named, known = [key for key in value if key in KINDS], ", ".join(KINDS)
    if len(named) == 1:
        return KINDS[named[0]].model_validate(value)
    if named:
        text = f"is of one kind, not {' and '.join(named)}"
        raise PydanticCustomError("kind", "{text}", {"text": text})
    fields = {field for kind in KINDS.values() for field in kind.model_fields}
    unknown = next((key for key in value if key not in fields), None)
    if unknown is None:
        raise PydanticCustomError("kind", "{text}", {"text": f"does not say what is expected: one of {known}"})
    text = f"unknown kind of claim '{unknown}'.{did_you_mean(unknown, KINDS)} Kinds: {known}."
    wrong = PydanticCustomError("extra_forbidden", "{text}", {"text": text})
    raise ValidationError.from_exception_data("expect", [InitErrorDetails(type=wrong, loc=(unknown,), input=value)])


Expect = Annotated[Kind, BeforeValidator(_of_its_kind)]


class Claim(Spec):
    """A sentence, and how to check it. Another kind of claim is another class, here and in ``report.checks``."""

    say: str
    expect: Expect


def check(claims: Sequence[Claim], points: Sequence[Axes], metrics: Sequence[str]) -> Iterator[Claim | BadValueError]:
    """Each claim with its axes named as in ``points``; or what is wrong with it."""
    for i, claim in enumerate(claims):
        place: DocPath = ("claims", i, "expect")
        errors = [*_wrong_metric(claim.expect, metrics, place)]
        expect = _named(claim.expect, points, place, errors)
        yield from errors
        if not errors:
            yield claim.model_copy(update={"expect": expect})


def _named(expect: Kind, points: Sequence[Axes], place: DocPath, errors: list[BadValueError]) -> Kind:
    found: dict[DocPath, Axes] = {}
    for path, axes in _sides(expect):
        try:
            found[path] = known_as(axes, points, (*place, *path))
        except BadValueError as error:
            errors.append(_of_a_claim(error))
    if len(found) < len([*_sides(expect)]):
        return expect
    try:
        return _with(expect, found, points, place).known(points, place)
    except BadValueError as error:
        errors.append(_of_a_claim(error))
        return expect


def _with(expect: Kind, found: dict[DocPath, Axes], points: Sequence[Axes], place: DocPath) -> Kind:
    """``expect`` with the axes ``found`` in place of its own. Raises ``BadValueError`` if two are the same point."""
    update: dict[str, Any] = {}
    for (field, *position), axes in found.items():
        update[str(field)] = (*update.get(str(field), ()), axes) if position else axes
    for field, two in ((field, two) for field, two in update.items() if isinstance(two, tuple)):
        both = [p for p in points if len(two) == 2 and all(side.items() <= p.items() for side in two)]
        if both:
            raise BadValueError((*place, field), f"compares a point with itself: {listed(both[0])}")
    return expect.model_copy(update=update)


def _wrong_metric(expect: Kind, metrics: Sequence[str], place: DocPath) -> Iterator[BadValueError]:
    known = [*metrics, *(["nfe"] if isinstance(expect, RatioAtLeast) else [])]
    if expect.metric not in known:
        text = f"'{expect.metric}' is not measured.{did_you_mean(expect.metric, known)} Metrics: {', '.join(known)}."
        yield BadValueError((*place, "metric"), text)


def _of_a_claim(error: BadValueError) -> BadValueError:
    unmatched = str(error).startswith(("no point has", "there is no axis"))
    return BadValueError(error.place, f"claim matches no trial: {error}" if unmatched else str(error), key=error.key)


def _sides(expect: Kind) -> Iterator[tuple[DocPath, Axes]]:
    """Every naming of points in ``expect``, and where it stands."""
    for field, value in expect:
        if isinstance(value, Mapping):
            yield (field,), dict(value)
        elif isinstance(value, tuple) and value and isinstance(value[0], Mapping):
            yield from (((field, i), dict(side)) for i, side in enumerate(value))
