"""A column of Table 1."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from ruamel.yaml import YAML
from torch import Tensor

from designspace.compatible import misfits
from designspace.component import Spec, did_you_mean
from designspace.rows import Stochasticity
from designspace.sigma_data import NAME as SIGMA_DATA
from designspace.sigma_data import spread
from designspace.table1 import (
    CIn,
    CNoise,
    COut,
    CSkip,
    LossWeight,
    NoiseDistribution,
    Scaling,
    Schedule,
    Solver,
    TimeSteps,
)


class Design(Spec):
    """One choice for each row of Table 1 of Karras et al. (2022), and for the stochasticity of its Algorithm 2.

    Any row can be changed alone; refused is only what cannot be run or has no meaning (``compatible``). ``sigma_data``
    beside the rows is a short form: it goes to each row that has the field and does not set it. Rows may have different
    ones, so that one can be varied alone; the unit variances of Appendix B.6 then no longer hold.
    """

    # Sampling (Section 3)
    solver: Solver
    time_steps: TimeSteps
    schedule: Schedule
    scaling: Scaling
    # Network and preconditioning (Section 5)
    c_skip: CSkip
    c_out: COut
    c_in: CIn
    c_noise: CNoise
    # Training (Section 5)
    noise_distribution: NoiseDistribution
    loss_weight: LossWeight
    # Stochastic sampling (Section 4)
    stochasticity: Stochasticity
    to_zero: bool = True
    """Whether the last step goes to sigma = 0; if not, N levels make N - 1 steps (the convention of diff-sampler)."""

    @model_validator(mode="before")
    @classmethod
    def _one_sigma_data_for_all_rows(cls, value: Any) -> Any:
        return spread(value) if isinstance(value, Mapping) and SIGMA_DATA in value else value

    @model_validator(mode="after")
    def _rows_go_together(self) -> Self:
        lines = [
            InitErrorDetails(
                type=PydanticCustomError(kind, "{text}", {"text": text}),
                loc=(row,),
                input=getattr(self, row).model_dump(),
            )
            for row, kind, text in misfits(self)
        ]
        if lines:
            raise ValidationError.from_exception_data("Design", lines)
        return self

    @classmethod
    def preset(cls, preset: str, **rows: Any) -> Self:
        """A column of Table 1, ``ddpm iddpm vp ve edm``, or ``velocity``, with any rows replaced.

        A row is given as a component, a name, or a mapping: with ``name`` it replaces the row, without it
        changes fields of the preset's own component. ``sigma_data=0.7`` goes to all rows that have the field.
        """
        return cls.model_validate(override(preset_rows(preset), rows))

    def training_sigmas(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """``n`` noise levels to train on, float64 ``[n]``, on the levels that the sampler will ask for.

        They are drawn from ``noise_distribution``, then moved to levels that ``c_noise`` supports.
        """
        return self.supported(self.noise_distribution.sample(n, generator))

    def supported(self, sigma: Tensor) -> Tensor:
        """Noise levels moved into the limits of ``c_noise`` and to its nearest level."""
        lo, hi = self.c_noise.limits()
        return self.c_noise.round_sigma(sigma.clamp(lo, hi))

    def within(self, lo: float, hi: float) -> Self:
        """The same design for a denoiser that supports noise levels in ``[lo, hi]`` only."""
        rows = {"time_steps": self.time_steps.within(lo, hi), "schedule": self.schedule.within(lo, hi)}
        return self.model_copy(update=rows)


def preset_names() -> list[str]:
    """The presets: the table's columns in its order, then the others by name."""
    order = ["ddpm", "iddpm", "vp", "ve", "edm"]
    found = sorted(path.stem for path in _preset_folder().glob("*.yaml"))
    return sorted(found, key=lambda name: order.index(name) if name in order else len(order))


def preset_rows(name: str) -> dict[str, Any]:
    """The rows of a preset as plain data. Raises ``ValueError`` with a suggestion if there is no such preset."""
    if name not in preset_names():
        raise ValueError(
            f"unknown preset '{name}'.{did_you_mean(name, preset_names())} Known: {', '.join(preset_names())}."
        )
    rows: dict[str, Any] = YAML(typ="safe", pure=True).load((_preset_folder() / f"{name}.yaml").read_text("utf-8"))
    return rows


def override(rows: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``rows`` with ``changes``: a mapping without ``name`` changes fields of the row's own component."""
    result = dict(rows)
    for row, change in changes.items():
        old = result.get(row)
        if isinstance(change, dict) and "name" not in change and old is not None:
            change = ({"name": old} if isinstance(old, str) else dict(old)) | change
        result[row] = change
    return result


def _preset_folder() -> Path:
    installed = Path(str(files("designspace"))) / "presets"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "ablations" / "presets"
