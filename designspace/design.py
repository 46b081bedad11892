"""A column of Table 1."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from ruamel.yaml import YAML

from designspace.component import Spec, did_you_mean
from designspace.rows import Stochasticity
from designspace.table1 import (
    CIn,
    CNoise,
    COut,
    CSkip,
    LossWeight,
    MeasuredTimeSteps,
    NoiseDistribution,
    Scaling,
    Schedule,
    Solver,
    TimeSteps,
)


class Design(Spec):
    """One choice for each row of Table 1 of Karras et al. (2022), and for the stochasticity of its Algorithm 2."""

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

    @model_validator(mode="after")
    def _no_noise_between_the_steps_of_a_multistep_method(self) -> Self:
        if self.stochasticity.noisy and not self.solver.one_step:
            text = (
                f"{self.stochasticity.name} adds noise between steps, which spoils what the multistep solver"
                f" {self.solver.name} remembers; use stochasticity none or a one-step solver such as heun"
            )
            kind = PydanticCustomError("churn_multistep", "{text}", {"text": text})
            line = InitErrorDetails(type=kind, loc=("stochasticity",), input=self.stochasticity)
            raise ValidationError.from_exception_data("Design", [line])
        return self

    @model_validator(mode="after")
    def _levels_are_measured_for_steps_without_noise(self) -> Self:
        solver = self.solver
        if isinstance(self.time_steps, MeasuredTimeSteps) and (
            solver.stochastic or solver.adaptive or self.stochasticity.noisy
        ):
            what = f"solver {solver.name} chooses its own steps" if solver.adaptive else "the design draws noise"
            text = f"{self.time_steps.name} measures the error of single steps, but {what}; use a deterministic solver"
            kind = PydanticCustomError("levels_of_noise", "{text}", {"text": text})
            line = InitErrorDetails(type=kind, loc=("time_steps",), input=self.time_steps)
            raise ValidationError.from_exception_data("Design", [line])
        return self

    @classmethod
    def preset(cls, preset: str, **rows: Any) -> Self:
        """A column of Table 1, ``ddpm iddpm vp ve edm``, with any rows replaced.

        A row is given as a component, a name, or a mapping: with ``name`` it replaces the row, without it
        changes fields of the preset's own component.
        """
        return cls.model_validate(override(preset_rows(preset), rows))

    def within(self, lo: float, hi: float) -> Self:
        """The same design for a denoiser that supports noise levels in ``[lo, hi]`` only."""
        rows = {"time_steps": self.time_steps.within(lo, hi), "schedule": self.schedule.within(lo, hi)}
        return self.model_copy(update=rows)


def preset_names() -> list[str]:
    """The presets, in the table's order."""
    order = ["ddpm", "iddpm", "vp", "ve", "edm"]
    found = [path.stem for path in _preset_folder().glob("*.yaml")]
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
