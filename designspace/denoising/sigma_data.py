r"""The field ``sigma_data`` of the rows c_skip, c_out, c_in and loss_weight: the data's standard deviation.

A number, or ``data``: then it is measured on the data set of the ablation when that is loaded, so that what is
resolved, hashed and stored holds the number. Each row has its own, so that one can be varied alone; ``sigma_data`` of
a design gives the same to all rows that have the field and do not set it. It is the standard deviation of all values
about their mean (Karras et al., 2022, https://arxiv.org/abs/2206.00364, Appendix B.6): input and target have unit
variance, and the loss at the start is 1 if the mean is 0 as well (digits: mean -0.39, loss 1.0 to 1.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from designspace.registry.component import Component, Positive, Spec
from designspace.registry.known import ROWS

NAME = "sigma_data"
MEASURED: ContextVar[Callable[[], float] | None] = ContextVar("MEASURED", default=None)
"""While an ablation is resolved: gives the standard deviation of its data set."""


def _number(value: Any) -> Any:
    if value != "data":
        return value
    measure = MEASURED.get()
    if measure is None:
        text = "'data' is measured on the data set of an ablation, and here is none: give the number"
        raise PydanticCustomError("no_data", "{text}", {"text": text})
    return measure()


SigmaData = Annotated[Positive, BeforeValidator(_number, json_schema_input_type=float | Literal["data"])]
"""The type of the field: positive, finite, or ``data``."""


class _Shared(Spec):
    sigma_data: SigmaData


def spread(design: Mapping[str, Any]) -> dict[str, Any]:
    """The raw ``design`` with its ``sigma_data`` in each row that has the field and does not set it.

    Raises ``ValidationError`` if it is not positive, or if no row has the field.
    """
    rows = {row: value for row, value in design.items() if row != NAME}
    own = {row: _given(row, rows[row]) for row in rows if row in ROWS}
    takers = {row: fields for row, fields in own.items() if fields and has_field(row, str(fields["name"]))}
    if not takers:
        text = f"no row of this design has a field {NAME}"
        kind = PydanticCustomError("no_sigma_data", "{text}", {"text": text})
        line = InitErrorDetails(type=kind, loc=(NAME,), input=design[NAME])
        raise ValidationError.from_exception_data("Design", [line])
    number = _Shared.model_validate({NAME: design[NAME]}).sigma_data
    return rows | {row: {NAME: number} | fields for row, fields in takers.items()}


def has_field(row: str, name: str | None = None) -> bool:
    """Whether the component ``name`` of ``row``, or any of them, has a field ``sigma_data``."""
    known = ROWS[row].known
    return any(NAME in cls.model_fields for key, cls in known.items() if name in (None, key))


def _given(row: str, value: Any) -> dict[str, Any]:
    """Name and fields as they are set; empty if ``value`` is no component."""
    if isinstance(value, Component):
        return {"name": value.name} | {key: getattr(value, key) for key in value.model_fields_set}
    if isinstance(value, str):
        return {"name": value}
    return dict(value) if isinstance(value, Mapping) and "name" in value else {}
