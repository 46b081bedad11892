"""Algorithms 1 and 2 of Karras et al. (2022), https://arxiv.org/abs/2206.00364, with any solver."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar, get_args

import torch
from torch import Tensor

from designspace.errors import IdleWarning
from designspace.registry.calling import calling, described, require_number, unmet
from designspace.registry.component import Component
from designspace.sampling import rows
from designspace.sampling.flow import Flow, Lift, make_flow, rounding
from designspace.sampling.noise import KeyedNoise
from designspace.sampling.noise import latents as latents_of
from designspace.sampling.probe import GivenLevels, MeasuredTimeSteps, Probe, placed
from designspace.sampling.solver import AdaptiveSolver, SamplingRows, Solver, solved, take_step


@dataclass(frozen=True)
class Samples:
    """The result of ``sample``."""

    x: Tensor
    """The samples, in the dtype of the state; unscaled (divided by s) if the design does not go to zero."""
    nfe: int | float
    """The number of evaluations per sample, as counted; the mean if the solver is adaptive.

    They are calls of the main network with the condition of the sample; a function D that does not count its calls, see
    ``count_call``, is called once per evaluation.
    """
    sigmas: Tensor
    """The noise levels, float64 ``[steps + 1]``, with the final 0 if the design goes to zero."""
    sigma_min: float
    sigma_max: float
    """With ``sigma_min``, the range of the positive levels; it lies within the limits of the denoiser."""
    nfe_each: Tensor | None = None
    """``nfe`` for each sample, ``[B]``, if the solver is adaptive."""
    nfe_guidance: int | float = 0
    """The number of all other calls of networks per sample, which guidance adds; see ``guiding``."""
    nfe_idle: int | float = 0
    """The part of ``nfe`` that moves nothing: it is spent on steps between levels that rounding makes equal."""
    trajectory: Tensor | None = None
    """On request, the unscaled sample x = z / s(t) at each level, ``[steps + 1, B, ...]``."""

    @property
    def nfe_total(self) -> int | float:
        """The number of all calls of networks per sample, whatever each costs; ``sample`` does not know their sizes."""
        return self.nfe + self.nfe_guidance


Rows = TypeVar("Rows", bound=SamplingRows)


@torch.no_grad()
def sample(
    design: SamplingRows,
    D: rows.D,
    latents: Tensor,
    num_steps: int = 18,
    *,
    dtype: torch.dtype | None = None,
    step_noise: Callable[[int], Tensor] | None = None,
    noise: Callable[[int, int], Tensor] | None = None,
    record: bool = False,
    start: rows.Start | None = None,
) -> Samples:
    r"""Carry ``latents`` to samples along the flow of ``design``.

    Args:
        design: A column of Table 1; its rows solver, time_steps, schedule, scaling and stochasticity are used.
        D: The denoiser, ``D(x [B, ...], sigma) -> [B, ...]``. sigma is float64 and 0-dimensional, or ``[B]`` with
            ``rk45``. D must not modify x. If it has the attributes ``sigma_min``, ``sigma_max`` or ``round_sigma``,
            the levels are kept within these limits and rounded by it. As in the reference implementation, churn may
            exceed ``sigma_max``.
        latents: :math:`\mathcal N(0, I)`, ``[B, ...]``; they are scaled to the first noise level here, see ``start``.
        num_steps: N, the number of positive noise levels, at least 2.
        dtype: The dtype of the state; by default float64 for float64 latents, else float32. Coefficients are float64.
        step_noise: The noise of step i, ``[B, ...]``, for stochastic designs; it replaces draw 0 of ``noise``.
        noise: The noise of (step, draw), ``[B, ...]``; by default keyed by the position in the batch, with seed 0.
        record: Whether to return the whole trajectory.
        start: ``sigma_max`` multiplies latents by the first level, ``unit`` by 1 / c_in of it; see ``make_flow``. By
            default, what ``design.start`` says.

    Raises:
        TypeError: ``design`` is no design, for instance the name of a preset.
        ValueError: Time steps, solver and limits of D are incompatible, or another argument, the output of D or the
            noise does not have the shape or type stated here.

    Components of your own are not checked here, see ``designspace.testing``. Time steps that have to be measured are
    placed first, see ``place``; their evaluations are not counted. A warning says if evaluations move nothing.
    """
    _check(design, latents, num_steps, dtype, start)
    design = design if start is None else design.with_start(start)
    design = place(design, D, latents, num_steps)
    dtype = dtype or (torch.float64 if latents.dtype == torch.float64 else torch.float32)
    flow = prepare(design, D, num_steps, _like(latents, dtype, step_noise, noise))
    trajectory = []
    for x in follow(design.solver, flow, latents.to(dtype)):
        if record:
            trajectory.append(x)
    if idle := flow.D.idle:
        grid = getattr(getattr(D, "round_sigma", None), "__self__", None)
        warnings.warn(fall_together(flow, grid), IdleWarning, stacklevel=3)
    return Samples(
        x=x,
        nfe=flow.D.main.mean(),
        sigmas=torch.tensor(flow.sigma, dtype=torch.float64),
        sigma_min=flow.sigma[num_steps - 1],
        sigma_max=flow.sigma[0],
        nfe_each=flow.D.main.each(),
        nfe_guidance=flow.D.guidance.mean(),
        nfe_idle=idle,
        trajectory=torch.stack(trajectory) if record else None,
    )


def _like(
    latents: Tensor,
    dtype: torch.dtype,
    step_noise: Callable[[int], Tensor] | None,
    noise: Callable[[int, int], Tensor] | None,
) -> Callable[[int, int], Tensor]:
    """The noise of (step, draw) with the shape and the device of ``latents``, in ``dtype``."""
    draw = noise or KeyedNoise(0, range(len(latents)), tuple(latents.shape[1:]))

    def cast(step: int, k: int) -> Tensor:
        eps = step_noise(step) if step_noise and k == 0 else draw(step, k)
        if eps.shape != latents.shape:
            raise ValueError(f"the noise of step {step} is {list(eps.shape)} for latents {list(latents.shape)}")
        return eps.to(device=latents.device, dtype=dtype, non_blocking=True)

    return cast


def prepare(design: SamplingRows, D: rows.D, num_steps: int, noise: Callable[[int, int], Tensor]) -> Flow:
    """The flow of ``design``, with the noise that is added to it. Raises ``ValueError`` if the solver cannot run."""
    flow = make_flow(design, D, num_steps, noise)
    if design.stochasticity.noisy:
        flow = replace(flow, lifts=churn(design, flow.sigma, num_steps, D))
    with calling(design.solver, may_refuse=True):
        design.solver.check(flow)
    return flow


def churn(design: SamplingRows, sigma: tuple[float, ...], num_steps: int, D: rows.D) -> tuple[Lift, ...]:
    """Algorithm 2, lines 4 and 5: the noise that is added before each step, up to a level that ``D`` supports."""
    lifts = []
    for level in sigma[:-1]:
        hat, S_noise = lift(design.stochasticity, level, num_steps)
        if hat < level:
            unmet(design.stochasticity, f"sigma_hat of lift({level:g}, {num_steps})", f"at least {level:g}", f"{hat:g}")
        if hat > level:
            hat = float(rounding(D)(torch.tensor(hat, dtype=torch.float64)))
        lifts.append(Lift(hat, math.sqrt(max(hat**2 - level**2, 0.0)) * S_noise))
    return tuple(lifts)


def lift(rule: rows.Stochasticity, sigma: float, num_steps: int) -> tuple[float, float]:
    """Call ``rule.lift``. Raises ``BrokenRowError`` unless it returns two finite numbers."""
    with calling(rule, may_refuse=True):
        found = rule.lift(sigma, num_steps)
    what = f"lift({sigma:g}, {num_steps})"
    if not isinstance(found, tuple) or len(found) != 2:
        unmet(rule, what, "the pair (sigma_hat, S_noise)", described(found))
    hat = require_number(rule, f"sigma_hat of {what}", found[0])
    S_noise = require_number(rule, f"S_noise of {what}", found[1])
    return hat, S_noise


def follow(solver: Solver, flow: Flow, latents: Tensor) -> Iterator[Tensor]:
    """The loop of Algorithms 1 and 2: the samples at each of ``flow.sigma``."""
    x = latents * flow.spread
    yield x
    if isinstance(solver, AdaptiveSolver):
        yield from solved(solver, flow, x)
        return
    memory = None
    for i in range(flow.steps):
        flow.D.at_step(i, flow.sigma[i])
        before, spent = x if flow.sigma[i] == flow.sigma[i + 1] else None, flow.D.main.whole
        if flow.lifts:  # Algorithm 2, line 6
            x = flow.add_noise(x, i, flow.lifts[i].std)
        x, memory = take_step(solver, flow, x, i, flow.start(i), memory)
        if before is not None:  # noise moves x between equal levels, too
            flow.D.spend(flow.D.main.whole - spent, (x == before).all())
        yield x


def fall_together(flow: Flow, grid: object) -> str:
    """How many levels are equal because ``grid`` rounds them, and the evaluations that move nothing because of it."""
    equal = flow.num_steps - len(set(flow.sigma[: flow.num_steps]))
    known = f"{grid.row} {grid.name}" if isinstance(grid, Component) else "the denoiser"
    levels = f"{equal} of {flow.num_steps} levels fall together on the grid of {known}"
    return f"{levels}: {flow.D.idle} of {flow.D.main.whole} evaluations move nothing"


def _check(design: object, latents: Tensor, num_steps: int, dtype: torch.dtype | None, start: str | None) -> None:
    if not isinstance(getattr(design, "solver", None), Solver):
        preset = f": a preset is ds.Design.preset({design!r})" if isinstance(design, str) else ""
        raise TypeError(f"design must be a Design, not {described(design)}{preset}")
    if not isinstance(latents, Tensor) or latents.ndim == 0 or latents.numel() == 0:
        given = list(latents.shape) if isinstance(latents, Tensor) else f"a {type(latents).__name__}"
        raise ValueError(f"latents must be a non-empty tensor [B, ...], not {given}")
    if not isinstance(num_steps, int):
        raise ValueError(f"num_steps must be an integer, not {num_steps!r}")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ValueError(f"dtype must be one of PyTorch's floating-point types, such as torch.float64, not {dtype!r}")
    if start not in (None, *get_args(rows.Start)):
        raise ValueError(f"start is {' or '.join(get_args(rows.Start))}, not {start!r}")


def place(design: Rows, D: rows.D, like: Tensor, num_steps: int) -> Rows:
    """The design with fixed levels instead of time steps that have to be measured with ``D``.

    Designs with other time steps are returned as they are. The images on which the levels are measured have the shape
    and the device of those in ``like``, and depend on nothing else. Raises ``ValueError`` if the time steps name
    another denoiser, which is not known here.
    """
    if not isinstance(design.time_steps, MeasuredTimeSteps):
        return design
    if other := design.time_steps.denoiser:
        what = f"it is measured on denoiser {other.name}, which only an ablation loads"
        raise ValueError(f"time_steps {design.time_steps.name}: {what}; leave denoiser out to measure D itself")
    own = latents_of("time_steps", range(design.time_steps.images), tuple(like.shape[1:]))
    levels, _ = placed(design.time_steps, Probe(design, D, own.double().to(like.device), num_steps))
    return design.with_time_steps(GivenLevels(levels=tuple(levels.tolist())))
