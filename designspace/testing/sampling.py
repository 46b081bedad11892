"""What solvers, stochasticity and diagnostics owe, on Gaussian data, whose flow is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from designspace.denoising.rows import Denoiser
from designspace.design import Design
from designspace.evaluation.rows import Diagnostic
from designspace.sampling.probe import Probe
from designspace.sampling.rows import Stochasticity
from designspace.sampling.sample import sample
from designspace.sampling.solver import Solver
from designspace.testing.table1 import SIGMAS

STD = 0.5


def converges_to_the_exact_end_point(solver: Solver) -> None:
    """On Gaussian data the end point is known: halving the steps brings it nearer. With noise, the spread is known."""
    design = _design(solver)
    if solver.stochastic:
        draw = torch.Generator().manual_seed(0)
        spread = sample(
            design, _gaussian, torch.randn(4000, 1, generator=draw), 200, noise=_keyed_by_hand(4000, draw)
        ).x.std()
        assert abs(spread - math.hypot(STD, 0.02)) < 0.05 * STD, f"data of std {STD} come out with {spread}"
        return
    exact = 10 * math.sqrt((STD**2 + 0.02**2) / (STD**2 + 10**2))
    one = torch.ones(1, 1, dtype=torch.float64)
    if solver.adaptive:
        assert abs(sample(design, _gaussian, one, 2).x.item() - exact) < 0.02 * exact
        return
    errors = [abs(sample(design, _gaussian, one, n).x.item() - exact) for n in (32, 64, 128)]
    assert errors[2] < errors[1] < errors[0], f"errors do not fall: {errors}"
    assert errors[2] < 0.02 * exact


def does_not_depend_on_the_batch(solver: Solver) -> None:
    """An image is the same alone and among others, and the denoiser is evaluated as often."""
    design = _design(solver)
    latents = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    together = sample(design, _gaussian, latents, 8)
    alone = sample(design, _gaussian, latents[:1], 8)
    torch.testing.assert_close(alone.x, together.x[:1], rtol=1e-12, atol=1e-12)
    if together.nfe_each is None:
        assert alone.nfe == together.nfe
    else:
        assert alone.nfe == together.nfe_each[0]


def lifts(stochasticity: Stochasticity) -> None:
    """Noise is only ever added, and none is added by a rule that says so."""
    for sigma in SIGMAS.tolist():
        hat, std = stochasticity.lift(sigma, 18)
        assert hat >= sigma
        assert std >= 0
        assert stochasticity.noisy or hat == sigma


def sees_what_the_flow_does(metric: Diagnostic) -> None:
    """Finite, with a centred influence for each image, the same again, and refused where noise is drawn."""
    design = Design.preset("edm")
    latents = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first, again = (metric.observe(Probe(design, _gaussian, latents, 8)) for _ in range(2))
    assert math.isfinite(first.value)
    assert first.value == again.value
    if first.influence is not None:
        assert first.influence.shape == (5,)
        assert abs(float(first.influence.mean())) <= 1e-3 * float(first.influence.abs().max()) + 1e-6 * abs(first.value)
    if first.profile is not None:
        assert first.profile[0].shape == first.profile[1].shape
        assert bool((first.profile[0] > 0).all())
    try:
        noisy = Design.preset("edm", stochasticity={"name": "churn", "S_churn": 10.0})
        metric.check(noisy, Denoiser.get("exact")())
    except ValueError:
        return
    raise AssertionError("check() should raise ValueError where noise is drawn")


def _design(solver: Solver) -> Design:
    return Design.preset("edm", solver=solver, to_zero=False, time_steps={"sigma_min": 0.02, "sigma_max": 10.0})


def _keyed_by_hand(images: int, draw: torch.Generator) -> Callable[[int, int], Tensor]:
    """Noise that is the same when asked for again, cheaper than ``KeyedNoise`` for thousands of images."""
    return cache(lambda step, k: torch.randn(images, 1, generator=draw))


def _gaussian(x: Tensor, sigma: Tensor) -> Tensor:
    return x * (STD**2 / (STD**2 + sigma.to(x).reshape(-1, 1) ** 2))
