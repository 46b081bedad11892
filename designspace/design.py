"""A design, that is, a column of Table 1: its three blocks together, and the check that its rows can be combined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import torch
from pydantic import ValidationError, ValidationInfo, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from ruamel.yaml import YAML
from torch import Tensor

from designspace.denoising.rows import CIn, CNoise, COut, CSkip
from designspace.denoising.sigma_data import NAME as SIGMA_DATA
from designspace.denoising.sigma_data import spread
from designspace.errors import Problem, SpecError
from designspace.registry.component import Component, Spec
from designspace.registry.identity import Since
from designspace.registry.wording import problems_of
from designspace.sampling.probe import MeasuredTimeSteps
from designspace.sampling.rows import Scaling, Schedule, Start, Stochasticity, TimeSteps
from designspace.sampling.solver import Solver
from designspace.storage.included import included
from designspace.text import did_you_mean
from designspace.training.rows import LossWeight, NoiseDistribution, training_sigmas, training_weights


class Design(Spec):
    """One choice for each row of Table 1 of Karras et al. (2022), and for the stochasticity of its Algorithm 2.

    Any row can be changed independently of the others; only combinations that cannot run or are meaningless are refused
    (see ``misfits``). ``sigma_data``, given beside the rows, sets that field in every row that has it and does not set
    it itself. Rows may have different values, so that one can be varied alone; the unit variances of Appendix B.6 then
    no longer hold.
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
    """Whether a last step goes to sigma = 0. If not, N levels make N - 1 steps, as in diff-sampler."""
    start: Annotated[Start, Since("sigma_max")] = "sigma_max"
    """What unit Gaussian latents are multiplied by: ``sigma_max``, the first noise level, or, with ``unit``, 1 / c_in
    at that level. The first input of the network is then unit noise, as in samplers that are written in z = s(t) x."""

    @model_validator(mode="before")
    @classmethod
    def _one_sigma_data_for_all_rows(cls, value: Any, info: ValidationInfo) -> Any:
        return spread(value, info.context) if isinstance(value, Mapping) and SIGMA_DATA in value else value

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
        """A column of Table 1 (``ddpm``, ``iddpm``, ``vp``, ``ve``, ``edm``) or another preset, with changes.

        The others are ``edm2``, ``flow``, ``jit``, ``vdm++`` and ``velocity``.

        A row is given as a component, a name, or a mapping. A mapping with ``name`` replaces the row; one without it
        changes fields of the preset's component. ``sigma_data=0.7`` sets that field of all rows that have it.

        Raises ``SpecError``, with one line per mistake, if a row or a field cannot be set so, and ``ValueError`` if
        there is no such preset.
        """
        try:
            return cls.model_validate(override(preset_rows(preset), rows))
        except ValidationError as error:
            raise SpecError(problems_of(error)) from None

    def training_sigmas(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` noise levels to train on, float64 ``[n]``, from ``noise_distribution``.

        They are clamped and rounded to levels that ``c_noise`` supports, as the levels of the sampler are.
        """
        return training_sigmas(self, n, generator)

    def training_weights(self, sigma: Tensor) -> Tensor:
        """The loss weights of noise levels ``sigma`` that are drawn from ``noise_distribution``, in the same shape.

        They are those of ``loss_weight``, except for loss_weight ``importance``, which depends on the distribution.
        """
        return training_weights(self, sigma)

    def with_time_steps(self, time_steps: TimeSteps) -> Self:
        """A copy with other time steps, which are not checked against the other rows."""
        return self.model_copy(update={"time_steps": time_steps})

    def with_start(self, start: Start) -> Self:
        """A copy with another start."""
        return self.model_copy(update={"start": start})


def preset_names() -> list[str]:
    """The presets: the columns of Table 1 in their order, then the others by name."""
    order = ["ddpm", "iddpm", "vp", "ve", "edm"]
    found = sorted(path.stem for path in _preset_folder().glob("*.yaml"))
    return sorted(found, key=lambda name: order.index(name) if name in order else len(order))


def preset_rows(name: str) -> dict[str, Any]:
    """The rows of a preset as plain data. Raises ``ValueError`` with a suggestion if the preset does not exist."""
    if name not in preset_names():
        raise ValueError(
            f"unknown preset '{name}'.{did_you_mean(name, preset_names())} Known: {', '.join(preset_names())}."
        )
    rows: dict[str, Any] = YAML(typ="safe", pure=True).load((_preset_folder() / f"{name}.yaml").read_text("utf-8"))
    return rows


def override(rows: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Apply ``changes`` to ``rows``; a mapping without ``name`` changes fields of the component in that row."""
    for row, change in changes.items():
        if isinstance(change, Mapping) and "name" not in change and row in rows:
            for name, value in change.items():
                rows = with_field(rows, (row, name), value)
        else:
            rows = with_field(rows, (row,), change)
    return rows


def with_field(spec: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    """Return a copy of the raw ``spec`` in which the field at ``path`` is ``value``.

    A component or preset on this path that is given by its name becomes a mapping with fields.

    Raises:
        SpecError: The path leads through a value that has no fields, such as a number.
    """
    name, *rest = path
    if not rest:
        return {**spec, name: value}
    inside = spec.get(name)
    if isinstance(inside, str):
        inside = {"preset" if name == "design" else "name": inside}
    if isinstance(inside, Component):
        inside = inside.model_dump()
    if not isinstance(inside, Mapping | None):
        raise SpecError([Problem(f"'{name}' has no fields that could be set; set it as a whole", (name,))])
    return {**spec, name: with_field(inside or {}, rest, value)}


def _preset_folder() -> Path:
    return included() / "presets"


MOST_OUTSIDE = 0.1
"""The largest fraction of training levels that may lie outside the limits of c_noise; they are clamped to these."""


class Misfit(NamedTuple):
    """The reason why a row cannot be combined with the others."""

    row: str
    kind: str
    text: str


def misfits(design: Design) -> Iterator[Misfit]:
    """The reasons why rows cannot be combined, each with the row that should be changed."""
    if text := _noise_between_the_steps_of_a_multistep_method(design):
        yield Misfit("stochasticity", "churn_multistep", text)
    if text := _levels_measured_where_noise_is_drawn(design):
        yield Misfit("time_steps", "levels_of_noise", text)
    if text := _levels_that_the_network_cannot_be_told(design):
        yield Misfit("noise_distribution", "levels_not_supported", text)
    if text := _a_density_that_does_not_exist(design):
        yield Misfit("noise_distribution", "no_density", text)


def _noise_between_the_steps_of_a_multistep_method(design: Design) -> str:
    if not design.stochasticity.noisy or design.solver.one_step:
        return ""
    return (
        f"{design.stochasticity.name} adds noise between steps, which invalidates the history of the multistep solver"
        f" {design.solver.name}; use stochasticity none or a one-step solver such as heun"
    )


def _levels_measured_where_noise_is_drawn(design: Design) -> str:
    rule, solver = design.time_steps, design.solver
    if not isinstance(rule, MeasuredTimeSteps):
        return ""
    if solver.adaptive:
        return f"{rule.name} places the levels of steps, but solver {solver.name} chooses its own steps"
    if not rule.follows_solver or not (solver.stochastic or design.stochasticity.noisy):
        return ""
    what = "measures the error of steps, but the design draws noise"
    return f"{rule.name} {what}; use a deterministic solver"


def _levels_that_the_network_cannot_be_told(design: Design) -> str:
    low, high = design.c_noise.limits()
    if low <= 0 and high == float("inf"):
        return ""
    sigma = design.noise_distribution.from_uniform((torch.arange(1000, dtype=torch.float64) + 0.5) / 1000)
    slack = 1e-9  # the limits of the two rows may differ by rounding errors
    outside = ((sigma < low * (1 - slack)) | (sigma > high * (1 + slack))).double().mean().item()
    if outside <= MOST_OUTSIDE:
        return ""
    return (
        f"{design.noise_distribution} draws {outside:.0%} of its noise levels outside {low:.3g} to {high:.3g}, the"
        f" range that c_noise {design.c_noise} supports; change the range, or use c_noise edm, which supports any level"
    )


def _a_density_that_does_not_exist(design: Design) -> str:
    if not design.loss_weight.needs_density:
        return ""
    try:
        design.noise_distribution.density(torch.ones(1, dtype=torch.float64))
    except ValueError as error:
        return f"loss_weight {design.loss_weight.name} needs a density: {error}"
    return ""
