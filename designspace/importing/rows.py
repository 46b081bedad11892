"""Rows of Table 1 for the classes of NVIDIA's preconditionings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from designspace.denoising.rows import CNoise, DiscreteCNoise
from designspace.design import Design
from designspace.importing.nvidia import Wrapped
from designspace.registry.component import Component
from designspace.storage.pickled import PickleError
from designspace.training.export import ROWS

COLUMNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "EDMPrecond": ("edm", ("sigma_data",)),
    "Precond": ("edm", ("sigma_data",)),
    "VPPrecond": ("vp", ("beta_d", "beta_min", "M", "epsilon_t")),
    "VEPrecond": ("ve", ("sigma_min", "sigma_max")),
    "iDDPMPrecond": ("iddpm", ("M", "C_1", "C_2")),
}
"""The column of Table 1 of each class, and the attributes that are fields of its rows."""
EDM2 = "Precond"
MOST_LEVELS = 100_000
TOLERANCE = 0.01
"""The largest relative difference of iDDPM's levels: NVIDIA computes them in float32, where they differ by 0.001."""

Rows = dict[str, dict[str, Any]]
"""The six rows of ``training.export.ROWS`` as mappings with ``name`` and fields."""


def rows_of(model: Wrapped) -> tuple[Rows, str]:
    """The rows of a checkpoint of NVIDIA's, and why. Raises ``PickleError`` if its class or a field is unknown."""
    if model.wrapper not in COLUMNS:
        raise PickleError(f"holds a {model.wrapper}; known are {', '.join(COLUMNS)}")
    column, names = COLUMNS[model.wrapper]
    changes: dict[str, Any] = {"noise_distribution": {"name": "edm2"}} if model.wrapper == EDM2 else {}
    design = Design.preset(column, **changes)
    fields = {name: model.fields[name] for name in (*names, "P_mean", "P_std") if name in model.fields}
    if fields.get("M", 0) > MOST_LEVELS:
        raise PickleError(f"has {fields['M']:,} noise levels, more than {MOST_LEVELS:,}")
    try:
        rows = {row: _with_fields(getattr(design, row), fields) for row in ROWS}
    except ValidationError as error:
        first = error.errors()[0]
        raise PickleError(f"has {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if model.levels is not None:
        _require_levels(rows["c_noise"], model.levels)
    why = ", ".join(f"{name} {value:g}" for name, value in fields.items())
    return dumped(rows), f"rows: {column} ({model.wrapper}{f': {why}' if why else ''})"


def dumped(rows: Mapping[str, Component]) -> Rows:
    """The six rows as plain data."""
    return {row: component.model_dump(mode="json") for row, component in rows.items()}


def _with_fields(component: Component, fields: Mapping[str, Any]) -> Component:
    """``component`` with those of ``fields`` that it has."""
    own = {name: value for name, value in fields.items() if name in type(component).model_fields}
    return type(component).model_validate(component.model_dump() | own)


def _require_levels(c_noise: Component, levels: Tensor) -> None:
    """Raise ``PickleError`` if the levels that a network was trained with are not those of ``c_noise``."""
    assert isinstance(c_noise, CNoise)
    ours = c_noise.levels() if isinstance(c_noise, DiscreteCNoise) else None
    if ours is None:
        return
    theirs = levels.double()
    if theirs.shape != ours.shape or not bool(((theirs - ours).abs() <= TOLERANCE * ours).all()):
        raise PickleError("has noise levels that are not those of iDDPM with its M, C_1 and C_2")
