"""The cells of Table 1, independent of the output format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from designspace.design import Design
from designspace.registry.component import Component
from designspace.table.columns import Columns
from designspace.text import written


@dataclass(frozen=True)
class Cell:
    """A component (its name, formula in LaTeX and fields) or a value that is not a component."""

    name: str
    formula: str = ""
    fields: str = ""
    differs: bool = False
    """Whether the component or its fields differ from those in the first column."""


@dataclass(frozen=True)
class Row:
    """A row of Table 1, with a cell for each column."""

    name: str
    cells: list[Cell]


def rows(columns: Columns) -> Iterator[Row]:
    """The rows of Table 1; ``to_zero`` is included only if the columns differ in it."""
    for name in Design.model_fields:
        values = [getattr(design, name) for design in columns.values()]
        if isinstance(values[0], Component) or len(set(values)) > 1:
            yield Row(name, [_cell(value, value != values[0]) for value in values])


def legend(columns: Columns) -> str:
    """The meaning of a mark, ``differs from edm``; empty if there is only one column."""
    return f"differs from {next(iter(columns))}" if len(columns) > 1 else ""


def fields(component: Component) -> str:
    """The fields of a component as text: ``sigma_min = 0.002, sigma_max = 80, rho = 7``; empty if it has none."""
    values = component.model_dump()
    return ", ".join(f"{key} = {written(values[key])}" for key in type(component).model_fields)


def _cell(value: object, differs: bool) -> Cell:
    if isinstance(value, Component):
        return Cell(value.name, " ".join(value.formula.split()), fields(value), differs)
    return Cell(written(value), differs=differs)
