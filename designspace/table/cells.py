"""The cells of Table 1, independent of how they are printed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from designspace.design import Design
from designspace.registry.component import Component
from designspace.table.columns import Columns
from designspace.text import written


@dataclass(frozen=True)
class Cell:
    """The name of a component with its formula in LaTeX and its fields, or a value that is not a component."""

    name: str
    formula: str = ""
    fields: str = ""
    differs: bool = False
    """Whether it differs from the first column's cell, in the component or in the values of its fields."""


@dataclass(frozen=True)
class Row:
    """A row of Table 1, with a cell for each column."""

    name: str
    cells: list[Cell]


def rows(columns: Columns) -> Iterator[Row]:
    """The rows of Table 1; ``to_zero`` only where the columns differ in it."""
    for name in Design.model_fields:
        values = [getattr(design, name) for design in columns.values()]
        if isinstance(values[0], Component) or len(set(values)) > 1:
            yield Row(name, [_cell(value, value != values[0]) for value in values])


def legend(columns: Columns) -> str:
    """What a mark means: ``differs from edm``; empty if there is only one column."""
    return f"differs from {next(iter(columns))}" if len(columns) > 1 else ""


def fields(component: Component) -> str:
    """``sigma_min = 0.002, sigma_max = 80, rho = 7``; empty if the component has none."""
    values = component.model_dump()
    return ", ".join(f"{key} = {written(values[key])}" for key in type(component).model_fields)


def _cell(value: object, differs: bool) -> Cell:
    if isinstance(value, Component):
        return Cell(value.name, " ".join(value.formula.split()), fields(value), differs)
    return Cell(written(value), differs=differs)
