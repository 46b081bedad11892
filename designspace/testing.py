"""What every component owes: checks for any registered component, the built-in ones and yours.

.. code-block:: python

    import pytest
    from designspace.testing import checks
    from my_package import Cosine

    @pytest.mark.parametrize("check", checks(Cosine()), ids=lambda check: check.__name__)
    def test_contract(check):
        check()
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from functools import cache, partial, wraps

import torch
from torch import Tensor

from designspace.component import ROWS, Component
from designspace.converged import Probe
from designspace.design import Design
from designspace.rows import Data, Detector, Diagnostic, Metric, Network, Stochasticity
from designspace.sampler import sample
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
from designspace.testing_network import is_the_same_each_time, keeps_the_shape

Check = Callable[[], None]
TIMES = torch.linspace(0.02, 1, 50, dtype=torch.float64)
SIGMAS = torch.logspace(-2, 2, 50, dtype=torch.float64)
STD = 0.5


def checks(component: Component) -> list[Check]:
    """The checks that ``component`` has to pass; each is called without arguments and raises ``AssertionError``."""
    found = [
        _bound(check, component) for row, tests in _CHECKS.items() if isinstance(component, row) for check in tests
    ]
    return found


def _bound(check: Callable[[Component], None], component: Component) -> Check:
    return wraps(check)(partial(check, component))


def is_documented(component: Component) -> None:
    """The docstring names its source: authors, year, link."""
    doc = type(component).__doc__ or ""
    assert doc.strip(), f"{type(component).__name__} has no docstring"
    if type(component).__module__.startswith("designspace.") and component.row in _WITH_FORMULA:
        assert re.search(r"\(\d{4}\)|\d{4}, http", doc), "the docstring names no source"
        assert "math::" in doc, "the docstring has no formula"


def round_trips(component: Component) -> None:
    """It is what its JSON says, can be a key, and has an identity."""
    text = json.dumps(component.model_dump(mode="json"), allow_nan=False)
    again = ROWS[component.row].model_validate(json.loads(text))
    assert again == component
    assert hash(again) == hash(component)
    assert json.dumps(again.identity(), allow_nan=False) == json.dumps(component.identity(), allow_nan=False)


def inverse_and_derivative_fit(schedule: Schedule) -> None:
    """Sigma grows from 0, sigma_inv undoes it, sigma_dot is its derivative."""
    t = TIMES.clone().requires_grad_()
    sigma = schedule.sigma(t)
    assert sigma.dtype == torch.float64
    assert bool((sigma.diff() > 0).all()), "sigma(t) does not increase"
    torch.testing.assert_close(schedule.sigma_inv(sigma), t)
    torch.testing.assert_close(schedule.sigma_dot(t), _slope(sigma, t))
    torch.testing.assert_close(schedule.sigma(torch.zeros(1, dtype=torch.float64)), torch.zeros(1, dtype=torch.float64))


def derivative_fits_with_every_schedule(scaling: Scaling) -> None:
    """s(0) = 1, s > 0, and s_dot is its derivative."""
    for schedule in (cls() for cls in Schedule.known.values()):
        t = TIMES.clone().requires_grad_()
        s = scaling.s(t, schedule)
        assert bool((s > 0).all())
        torch.testing.assert_close(scaling.s_dot(t, schedule), _slope(s, t))
        torch.testing.assert_close(scaling.s(0 * TIMES[:1], schedule), torch.ones(1, dtype=torch.float64))


def levels_decrease(steps: TimeSteps) -> None:
    """N positive decreasing float64 levels, which follow the limits of a denoiser."""
    for n in (2, 5, 18):
        sigmas = steps.sigmas(n)
        assert sigmas.shape == (n,)
        assert sigmas.dtype == torch.float64
        assert bool((sigmas > 0).all() and (sigmas.diff() < 0).all())
    lo, hi = 0.05, 60.0
    assert bool((steps.within(lo, hi).sigmas(5) >= lo * (1 - 1e-9)).all()), "within() does not keep the lower limit"
    assert bool((steps.within(lo, hi).sigmas(5) <= hi * (1 + 1e-9)).all()), "within() does not keep the upper limit"


def one_level_is_refused(steps: TimeSteps) -> None:
    """One level has no step length."""
    try:
        steps.sigmas(1)
    except ValueError:
        return
    raise AssertionError("sigmas(1) should raise ValueError: N - 1 is zero")


def keeps_shape(row: CSkip | COut | CIn | CNoise | LossWeight) -> None:
    """A finite value for each noise level, in float64."""
    for sigma in (SIGMAS, SIGMAS.reshape(5, 10), SIGMAS[3]):
        value = row(sigma)
        assert value.shape == sigma.shape
        assert value.dtype == torch.float64
        assert bool(value.isfinite().all())


def is_positive(row: CIn | LossWeight) -> None:
    """Neither the input's scale nor the loss may vanish or change sign."""
    assert bool((row(SIGMAS) > 0).all())


def grows_with_the_noise(c_noise: CNoise) -> None:
    """The network must be able to tell levels apart; rounding is to levels that stay what they are."""
    assert bool((c_noise(SIGMAS).diff() >= 0).all())
    rounded = c_noise.round_sigma(SIGMAS)
    torch.testing.assert_close(c_noise.round_sigma(rounded), rounded)
    lo, hi = c_noise.limits()
    assert 0 <= lo < hi


def draws_are_levels(distribution: NoiseDistribution) -> None:
    """Positive, monotone in u, reproducible."""
    sigma = distribution.from_uniform(torch.linspace(0.001, 0.999, 99, dtype=torch.float64))
    assert bool((sigma > 0).all())
    assert bool((sigma.diff() >= 0).all() or (sigma.diff() <= 0).all()), "from_uniform is not monotone"
    first, second = (distribution.sample(7, torch.Generator().manual_seed(0)) for _ in range(2))
    assert first.shape == (7,)
    assert first.dtype == torch.float64
    assert torch.equal(first, second)


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


def gives_uint8_images(data: Data) -> None:
    """NCHW, labels among the classes, a hash that stays."""
    images = data.load()
    assert images.pixels.dtype == torch.uint8
    assert images.pixels.ndim == 4
    assert images.labels is None or images.labels.shape == (len(images),)
    assert data.content_hash() == data.content_hash()


def gives_features(detector: Detector) -> None:
    """float32 [B, d], for grey and colour, whatever the batch."""
    features = detector.load(torch.device("cpu"))
    for channels in (1, 3):
        pixels = torch.arange(5 * channels * 64).reshape(5, channels, 8, 8).to(torch.uint8)
        out = features(pixels)
        assert out.dtype == torch.float32
        assert out.ndim == 2
        torch.testing.assert_close(features(pixels[2:3]), out[2:3], rtol=1e-4, atol=1e-4)


def tells_distributions_apart(metric: Metric) -> None:
    """Further apart is larger, and influences are centred."""
    from designspace.evaluation.measure import Sample

    if isinstance(metric, Diagnostic):
        return
    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    near, far = (metric.measure(Sample(x + shift), Sample(x.flip(0))) for shift in (0.1, 1.0))
    assert near.value < far.value
    if far.influence is not None:
        assert far.influence.shape == (200,)
        assert abs(float(far.influence.mean())) < 1e-3 * float(far.influence.abs().max())


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
        metric.check(Design.preset("edm", stochasticity={"name": "churn", "S_churn": 10.0}))
    except ValueError:
        return
    raise AssertionError("check() should raise ValueError where noise is drawn")


_WITH_FORMULA = {row for row in ROWS if row in Design.model_fields}
_CHECKS: dict[type[Component], list[Callable[..., None]]] = {
    Component: [is_documented, round_trips],
    Schedule: [inverse_and_derivative_fit],
    Scaling: [derivative_fits_with_every_schedule],
    TimeSteps: [levels_decrease, one_level_is_refused],
    CSkip: [keeps_shape],
    COut: [keeps_shape],
    CIn: [keeps_shape, is_positive],
    CNoise: [keeps_shape, grows_with_the_noise],
    LossWeight: [keeps_shape, is_positive],
    NoiseDistribution: [draws_are_levels],
    Solver: [converges_to_the_exact_end_point, does_not_depend_on_the_batch],
    Stochasticity: [lifts],
    Data: [gives_uint8_images],
    Network: [keeps_the_shape, is_the_same_each_time],
    Detector: [gives_features],
    Metric: [tells_distributions_apart],
    Diagnostic: [sees_what_the_flow_does],
}


def _design(solver: Solver) -> Design:
    return Design.preset("edm", solver=solver, to_zero=False, time_steps={"sigma_min": 0.02, "sigma_max": 10.0})


def _keyed_by_hand(images: int, draw: torch.Generator) -> Callable[[int, int], Tensor]:
    """Noise that is the same when asked for again, cheaper than ``KeyedNoise`` for thousands of images."""
    return cache(lambda step, k: torch.randn(images, 1, generator=draw))


def _gaussian(x: Tensor, sigma: Tensor) -> Tensor:
    return x * (STD**2 / (STD**2 + sigma.to(x).reshape(-1, 1) ** 2))


def _slope(y: Tensor, t: Tensor) -> Tensor:
    if not y.requires_grad:
        return torch.zeros_like(t)
    grad: Tensor = torch.autograd.grad(y.sum(), t)[0]
    return grad


def checks_of(package: str) -> Iterator[tuple[str, Check]]:
    """The checks of all components that ``package`` defines and that need no field, with names for pytest."""
    for row, kind in ROWS.items():
        for name, cls in kind.known.items():
            required = any(field.is_required() for field in cls.model_fields.values())
            if f"{cls.__module__}.".startswith(f"{package}.") and not required:
                for check in checks(cls()):
                    yield f"{row}/{name}-{check.__name__}", check
