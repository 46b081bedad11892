"""Every solver with every time steps, schedule and scaling, on a mixture of two Gaussians.

All registered components are crossed, so that a new component needs no new test. Deterministic solvers are compared
with the converged flow through the same range of noise levels, down to the last positive level, because the step to
zero is exact only in the limit. Stochastic solvers are compared with the moments of the mixture at that level.
"""

import math
from functools import cache

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

import designspace as ds
from designspace.sampling.grid_search import GridSearch
from designspace.sampling.probe import Converged, MeasuredTimeSteps
from designspace.spec import load

MEAN, VARIANCE = 0.5, 0.04
LATENTS = torch.linspace(-1.8, 1.9, 8, dtype=torch.float64)[:, None]


def own(row):
    return [name for name in row.known if not name.startswith("test_")]


SOLVERS = own(ds.Solver)
IN_TIME = [s for s in SOLVERS if ds.Solver.get(s).in_time]
STOCHASTIC = [s for s in SOLVERS if ds.Solver.get(s).stochastic]
ADAPTIVE = [s for s in SOLVERS if ds.Solver.get(s).adaptive]
STEPPING = [s for s in SOLVERS if s not in STOCHASTIC + ADAPTIVE]
STEPS = own(ds.TimeSteps)
PLANES = [(schedule, scaling) for schedule in own(ds.Schedule) for scaling in own(ds.Scaling)]
TABLE_1 = [("linear", "none"), ("ve", "none"), ("vp", "vp")]

LEVELS = [80.0, 30.0, 12.0, 6.0, 3.0, 1.7, 1.0, 0.6, 0.3, 0.1, 0.02, 0.002]
GIVEN = {
    "explicit": {"levels": LEVELS},
    "equal_error": {"images": 4},
    "flow": {"sigma_max": 80.0},
    "linear_quadratic": {"sigma_max": 80.0, "threshold": 0.3},
    "ays": {"end": "lowest"},
    "fitted": {"images": 4, "runs": 12},
    "gits": {"images": 4},
    "oss": {"images": 4},
    "beta": {"over": "flow_time", "sigma_min": 0.002, "sigma_max": 80.0},
}
EVEN = {
    "vp": {"epsilon_s": 0.05},
    "cosine": {"sigma_min": 0.1},
    "ddpm": {"sigma_min": 0.3},
    "iddpm": {"sigma_min": 0.2},
    "flow": {"sigma_min": 0.05},
    "linear_quadratic": {"sigma_min": 0.05},
    "beta": {"sigma_min": 0.05},
}
"""On the full range of these grids, the last steps stay large in lambda until there are far more than 1,000 levels, and
two of the grids do not have as many. On this part of the range, errors fall at the order of the solver."""
MEASURED = [name for name in STEPS if issubclass(ds.TimeSteps.get(name), MeasuredTimeSteps)]
REFUSED = {
    **{(s, steps): f"{steps} measures the error of steps" for s in STOCHASTIC for steps in ("equal_error", "fitted")},
    **{(s, steps): f"{steps} places the levels of steps" for s in ADAPTIVE for steps in MEASURED},
    ("deis", "linear_quadratic"): "no VP time spans 80 down to",
}
"""Combinations that are refused, and the error message."""
ON_GRIDS = [name for name in STEPS if issubclass(ds.TimeSteps.get(name), GridSearch)]
"""Time steps that have gaps which more steps need not make smaller, because Euler's method makes no error there."""
REGULAR = [name for name in STEPS if name not in ON_GRIDS]


def D(x, sigma):
    """The ideal denoiser of two modes of equal weight."""
    sigma = torch.as_tensor(sigma).to(x).reshape(-1, 1)
    noisy = VARIANCE + sigma**2
    return (VARIANCE * x + sigma**2 * MEAN * torch.tanh(MEAN * x / noisy)) / noisy


def planes_of(steps):
    """All planes for one rule of time steps, every other plane for each of the others."""
    return PLANES if steps == "edm" else PLANES[STEPS.index(steps) % 2 :: 2]


def design(solver, steps, schedule="linear", scaling="none", **fields):
    if schedule == "vp" and steps != "vp":  # Table 1's own range needs no fit
        schedule = {"name": "vp", "sigma_min": 0.002, "sigma_max": 80}
    time_steps = {"name": steps, **GIVEN.get(steps, {}), **fields}
    return ds.Design.preset(
        "edm", solver=solver, time_steps=time_steps, schedule=schedule, scaling=scaling, to_zero=False
    )


@cache
def exact(sigma_max, sigma_min):
    return Converged.of(D, LATENTS, sigma_max, sigma_min, 1024).x[-1]


def error(made, num_steps):
    out = ds.sample(made, D, LATENTS, num_steps)
    return (out.x - exact(out.sigma_max, out.sigma_min)).abs().max().item()


def order(made, coarse, fine):
    """The observed order of convergence, and the two errors it is computed from."""
    errors = [error(made, n) for n in (coarse, fine)]
    found = math.log(errors[0] / errors[1]) / math.log(fine / coarse) if errors[1] > 1e-10 else math.inf
    return found, errors


def refused(solver, steps):
    """Whether the two are incompatible. If so, a design of both raises an error."""
    why = REFUSED.get((solver, steps))
    if why:
        with pytest.raises(ValueError, match=why):
            ds.sample(design(solver, steps), D, LATENTS, 12)
    return bool(why)


def counts_of(steps):
    """The numbers of steps. There are few for measured levels, which take long to find."""
    return (12, 48) if steps in MEASURED else (128, 256)


@pytest.mark.parametrize("ends", [(80.0, 0.002), (152.2, 0.0105)])
def test_the_exact_end_points_are_those_of_scipy(ends):
    """SciPy uses a different method, of order 8."""

    def slope(level, x):
        x = torch.from_numpy(x)[:, None]
        return (x - D(x, math.exp(level)))[:, 0].numpy()

    span = tuple(map(math.log, ends))
    found = solve_ivp(slope, span, (ends[0] * LATENTS[:, 0]).numpy(), method="DOP853", rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(exact(*ends)[:, 0].numpy(), found.y[:, -1], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("steps", ON_GRIDS)
@pytest.mark.parametrize("solver", STEPPING)
def test_levels_of_a_grid_go_with_every_solver(solver, steps):
    """With more of these levels, which are those for Euler's method, the error of any solver is small or falls."""
    few, many = (error(design(solver, steps), n) for n in (6, 24))
    assert many < max(few / 2, 0.1), (few, many)


@pytest.mark.parametrize("steps", [s for s in REGULAR if s != "fitted"])  # whose levels are not alike for other N
@pytest.mark.parametrize("solver", [s for s in STEPPING if s in IN_TIME])
def test_solvers_in_time_converge_in_every_plane(solver, steps):
    """They converge with their order for every schedule and scaling."""
    least = ds.Solver.get(solver)().order_of_convergence - (0.5 if steps in MEASURED else 0.3)
    planes = TABLE_1 if steps in MEASURED else planes_of(steps)  # the others need more steps than can be measured
    for schedule, scaling in planes:
        found, errors = order(design(solver, steps, schedule, scaling, **EVEN.get(steps, {})), *counts_of(steps))
        assert found > least, (schedule, scaling, found, errors)


@pytest.mark.parametrize("steps", REGULAR)
@pytest.mark.parametrize("solver", [s for s in STEPPING if s not in IN_TIME])
def test_solvers_in_sigma_converge_and_know_no_plane(solver, steps):
    if refused(solver, steps):
        return
    assert error(design(solver, steps), 256 if steps not in MEASURED else 24) < 0.01
    found, errors = order_on_even_steps(solver, steps)
    # The first steps are of lower order; few steps, and the published weights of dpmpp_3m, are slow to reach theirs.
    assert found > (1.0 if steps in MEASURED or solver == "dpmpp_3m" else 1.5), (found, errors)
    plain = ds.sample(design(solver, steps), D, LATENTS, 12).x
    for schedule, scaling in PLANES[-1:] if steps in MEASURED else planes_of(steps):
        assert torch.equal(ds.sample(design(solver, steps, schedule, scaling), D, LATENTS, 12).x, plain)


def order_on_even_steps(solver, steps):
    if steps not in EVEN:
        return order(design(solver, steps), *counts_of(steps))
    if solver == "ipndm" and steps in ("ddpm", "iddpm"):  # its weights are those of equal steps; these are rounded
        return math.inf, []
    fields = {} if solver == "deis" else EVEN[steps]  # no VP time, in which deis steps, spans a part of the range
    return order(design(solver, steps, **fields), 128, 512)


@pytest.mark.parametrize("steps", REGULAR)
@pytest.mark.parametrize("solver", ADAPTIVE)
def test_adaptive_solvers_keep_their_tolerance_and_know_no_plane(solver, steps):
    if refused(solver, steps):
        return
    plain = ds.sample(design(solver, steps), D, LATENTS, 12)
    assert error(design(solver, steps), 12) < 0.02
    assert error(design({"name": solver, "rtol": 1e-6, "atol": 1e-6}, steps), 12) < 2e-5
    for schedule, scaling in planes_of(steps):
        assert torch.equal(ds.sample(design(solver, steps, schedule, scaling), D, LATENTS, 12).x, plain.x)


MANY = 4000
ACCURATE = {"restart": {"name": "restart", "levels": 9}}
"""By default, restart solves the ODE again in two steps, which are too few for some planes."""
ENOUGH = {"sa_solver": 800}
"""The number of steps, 200 by default. On the grids of VP, the last steps triple in lambda whatever their number is, so
that the error of third-order extrapolation falls slowly."""


@cache
def draws():
    draw = torch.Generator().manual_seed(0)
    noise = cache(lambda step, k: torch.randn(MANY, 1, dtype=torch.float64, generator=draw))
    return torch.randn(MANY, 1, dtype=torch.float64, generator=draw), noise


@pytest.mark.parametrize("steps", REGULAR)
@pytest.mark.parametrize("solver", STOCHASTIC)
def test_stochastic_solvers_keep_the_distribution(solver, steps):
    """The second and fourth moments are right within 5 standard errors of 4,000 draws, plus 3 % for finite steps."""
    if refused(solver, steps):
        return
    latents, noise = draws()
    planes = planes_of(steps) if solver in IN_TIME else [("linear", "none")]
    for schedule, scaling in planes:
        made = design(ACCURATE.get(solver, solver), steps, schedule, scaling)
        out = ds.sample(made, D, latents, ENOUGH.get(solver, 200), noise=noise)
        variance = VARIANCE + out.sigma_min**2
        for k, moment in ((2, MEAN**2 + variance), (4, MEAN**4 + 6 * MEAN**2 * variance + 3 * variance**2)):
            found = out.x**k
            bar = 5 * found.std().item() / MANY**0.5 + 0.03 * moment
            assert abs(found.mean().item() - moment) < bar, (schedule, scaling, k, found.mean().item(), moment)
    for schedule, scaling in planes_of(steps) if solver not in IN_TIME else []:
        few = [
            ds.sample(made, D, LATENTS, 12, noise=lambda step, k: LATENTS).x
            for made in (design(solver, steps), design(solver, steps, schedule, scaling))
        ]
        assert torch.equal(*few)


@pytest.mark.parametrize("solver", [s for s in SOLVERS if s not in IN_TIME])
def test_an_axis_of_the_plane_is_reported_as_without_effect(solver, tmp_path):
    """Loading warns for every solver that does not depend on schedule and scaling."""
    path = tmp_path / "idle.yaml"
    text = f"data: digits\ndenoiser: exact\ndesign: {{preset: edm, solver: {solver}}}\n"
    path.write_text(text + "num_steps: 12\ngrid: {schedule: [linear, ve], scaling: [none, vp]}\n")
    lines = load(path).warnings
    assert [line.split(": ")[1] for line in lines] == ["grid.schedule", "grid.scaling"]
    assert all(f"has no effect: solver {solver} does not step in time" in line for line in lines)


def test_solvers_that_are_crossed_with_an_idle_axis_are_named(tmp_path):
    path = tmp_path / "mixed.yaml"
    text = "data: digits\ndenoiser: exact\ndesign: edm\nnum_steps: 12\n"
    path.write_text(text + "grid:\n  solver: [heun, dpmpp_2m, ab]\n  schedule: [linear, ve]\n")
    warning = f"{path}:7:3: grid.schedule: has no effect with solvers that do not step in time: dpmpp_2m, ab"
    assert load(path).warnings == [warning]


@pytest.mark.parametrize("solver", IN_TIME)
def test_an_axis_of_the_plane_matters_to_solvers_in_time(solver, tmp_path):
    path = tmp_path / "busy.yaml"
    text = f"data: digits\ndenoiser: exact\ndesign: {{preset: edm, solver: {solver}}}\n"
    path.write_text(text + "num_steps: 12\ngrid: {schedule: [linear, ve], scaling: [none, vp]}\n")
    assert load(path).warnings == []
