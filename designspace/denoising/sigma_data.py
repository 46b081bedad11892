"""The field ``sigma_data`` of the rows c_skip, c_out, c_in and loss_weight: the root mean square of the data.

The value is a number or ``data``, which stands for the value measured on the data set of the ablation. It is measured
when the ablation is loaded, so that resolved trials hold the number. Each row has a field of its own, so that one can
be varied alone; ``sigma_data`` of a design sets the field in every row that has it and does not set it itself.

It is measured as the root mean square of all values, with which the input and the target of the network have a mean
square of 1, and the loss of a network with output 0 is 1 at every noise level (Karras et al., 2022,
https://arxiv.org/abs/2206.00364, Appendix B.6). The paper calls it the standard deviation, which is the same if the
mean of the data is 0. It differs for data such as digits: their mean is -0.39, their standard deviation 0.75 and their
root mean square 0.85. With 0.75, that loss would rise from 1 at low noise levels to 1.27 at high ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from designspace.registry.component import Component, Positive, Spec
from designspace.registry.known import ROWS

NAME = "sigma_data"
MEASURE = "measure"
"""The key, in pydantic's validation context, of a function that returns the root mean square of the data set."""


def _number(value: Any, info: ValidationInfo) -> Any:
    if value != "data":
        return value
    measure: Callable[[], float] | None = (info.context or {}).get(MEASURE)
    if measure is None:
        text = "'data' is measured on the data set of an ablation, and there is none here: give the number"
        raise PydanticCustomError("no_data", "{text}", {"text": text})
    return measure()


SigmaData = Annotated[Positive, BeforeValidator(_number, json_schema_input_type=float | Literal["data"])]
"""The type of the field: a positive finite number, or ``data``."""


class _Shared(Spec):
    sigma_data: SigmaData


def spread(design: Mapping[str, Any], context: Any = None) -> dict[str, Any]:
    """Return the raw ``design`` with its ``sigma_data`` in each row that has the field and does not set it.

    ``context`` is pydantic's validation context, which says what ``sigma_data: data`` is measured on. Raises
    ``ValidationError`` if the value is not positive, or if no row has the field.
    """
    rows = {row: value for row, value in design.items() if row != NAME}
    own = {row: _given(row, rows[row]) for row in rows if row in ROWS}
    takers = {row: fields for row, fields in own.items() if fields and has_field(row, str(fields["name"]))}
    if not takers:
        text = f"no row of this design has a field {NAME}"
        kind = PydanticCustomError("no_sigma_data", "{text}", {"text": text})
        line = InitErrorDetails(type=kind, loc=(NAME,), input=design[NAME])
        raise ValidationError.from_exception_data("Design", [line])
    number = _Shared.model_validate({NAME: design[NAME]}, context=context).sigma_data
    return rows | {row: {NAME: number} | fields for row, fields in takers.items() if NAME not in fields}


def has_field(row: str, name: str | None = None) -> bool:
    """Whether the component ``name`` of ``row``, or any of them, has a field ``sigma_data``."""
    known = ROWS[row].known
    return any(NAME in cls.model_fields for key, cls in known.items() if name in (None, key))


def _given(row: str, value: Any) -> dict[str, Any]:
    """The name and the given fields of a component; empty if ``value`` is not a component."""
    if isinstance(value, Component):
        return {"name": value.name} | {key: getattr(value, key) for key in value.model_fields_set}
    if isinstance(value, str):
        return {"name": value}
    return dict(value) if isinstance(value, Mapping) and "name" in value else {}
