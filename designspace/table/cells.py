"""What stands in each cell, whatever it is drawn with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from designspace.design import Design
from designspace.registry.component import Component
from designspace.table.columns import Columns


@dataclass(frozen=True)
class Cell:
    """A component by its name, its formula in LaTeX and its fields; or a value that is no component."""

    name: str
    formula: str = ""
    fields: str = ""
    differs: bool = False
    """From the first column's cell: another component, or other values of its fields."""


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
    """What the marks mean: ``differs from edm``; empty where there is nothing to compare."""
    return f"differs from {next(iter(columns))}" if len(columns) > 1 else ""


def fields(component: Component) -> str:
    """``sigma_min = 0.002, sigma_max = 80, rho = 7``; empty if the component has none."""
    values = component.model_dump()
    return ", ".join(f"{key} = {written(values[key])}" for key in type(component).model_fields)


def written(value: object) -> str:
    """A field's value as it is written in YAML: ``7``, ``true``, ``[0.4, 0.6]``."""
    if isinstance(value, float):
        return f"{value:.10g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _cell(value: object, differs: bool) -> Cell:
    if isinstance(value, Component):
        return Cell(value.name, " ".join(value.formula.split()), fields(value), differs)
    return Cell(written(value), differs=differs)
