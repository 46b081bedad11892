"""Time steps found by a search: against brute force, closed forms and levels that were measured independently."""

import inspect
import itertools
import math

import numpy as np
import pytest
import torch
from conftest import posterior_mean
from pipeline import write_spec
from pydantic import ValidationError

import designspace as ds
from designspace.run.estimate import dry_run
from designspace.run.run import run
from designspace.sampling.noise import latents
from designspace.sampling.probe import Probe
from designspace.sampling.sample import place
from designspace.spec import load

cheapest = inspect.getmodule(ds.TimeSteps.get("gits")).cheapest
SEARCHES = ("oss", "gits", "fitted")
STD = 0.5


def gaussian(x, sigma):
    return x * (STD**2 / (STD**2 + torch.as_tensor(sigma).to(x).reshape(-1, 1) ** 2))


def probe(name, num_steps=6, D=posterior_mean, images=16, solver="euler", to_zero=True, **fields):
    rule = ds.TimeSteps.get(name)(**fields)
    start = torch.randn(images, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    design = ds.Design.preset("edm", solver=solver, time_steps=rule, to_zero=to_zero)
    return rule, Probe(design, D, start, num_steps)


def found(name, num_steps=6, **fields):
    rule, of = probe(name, num_steps, **fields)
    return rule.place(of)


def end_error(levels, D=posterior_mean, solver="euler", images=16):
    of = probe("explicit", len(levels), D, images, solver, levels=levels.tolist())[1]
    return ds.Metric.get("endpoint_error")().observe(of).value


@pytest.mark.parametrize("gamma", [0.9, 1.1])
def test_gits_finds_the_cheapest_of_all_ways(gamma):
    rule, of = probe("gits", 4, T=8, gamma=gamma)
    grid = rule.grid(of)
    costs, last = rule.costs(of, grid), len(grid) - 1

    def cost(way):
        return sum(gamma**m * costs[a, b] for m, (a, b) in enumerate(itertools.pairwise(way)))

    ways = [(0, *between, last) for between in itertools.combinations(range(1, last), 3)]
    assert tuple(cheapest(costs, 4, gamma)) == min(ways, key=cost)
    assert rule.place(of).tolist() == [grid[i] for i in min(ways, key=cost)[:-1]]


@pytest.mark.parametrize("metric", ["l2", "deviation"])
def test_gits_is_not_dearer_than_the_levels_of_edm_on_the_same_grid(metric):
    rule, of = probe("gits", 6, T=61, metric=metric)
    costs = rule.costs(of, rule.grid(of))

    def cost(way):
        return sum(1.1**m * costs[a, b] for m, (a, b) in enumerate(itertools.pairwise(way)))

    assert cost(cheapest(costs, 6, 1.1)) <= cost([0, 12, 24, 36, 48, 60, 61])


def test_gits_costs_are_errors_of_single_euler_steps():
    rule, of = probe("gits", 4, D=gaussian, T=8)
    grid = rule.grid(of)
    costs = rule.costs(of, grid)
    a, b = grid[2], grid[5]
    there = of.solution().at(a) * (b / a + (1 - b / a) * STD**2 / (STD**2 + a**2))
    assert costs[2, 5] == pytest.approx((there - of.solution().at(b)).norm(dim=1).mean().item(), rel=1e-9)
    assert np.isinf(costs[5, 2])


@pytest.mark.parametrize("solver", ["euler", "heun"])
def test_oss_finds_the_best_of_all_levels_where_errors_only_add(solver):
    """For Gaussian data all errors have the same sign, so that the state nearest to the solution is the best."""
    rule, of = probe("oss", 4, D=gaussian, solver=solver, T=8, images=3, student=solver)
    grid, exact = rule.grid(of), of.solution().at(0)

    def error(between):
        levels = [grid[0], *(grid[i] for i in between)]
        design = of.design.with_time_steps(ds.TimeSteps.get("explicit")(levels=levels))
        return (ds.sample(design, gaussian, of.latents, 4).x - exact).square().sum().item()

    best = min(itertools.combinations(range(1, len(grid) - 1), 3), key=error)
    assert rule.place(of).tolist() == [grid[0], *(grid[i] for i in best)]


def test_a_student_in_the_plane_of_the_design_steps_as_the_solver_does():
    """Euler's method has a path of its own in the search, which gives what the solver gives."""
    rule, of = probe("oss", 4, T=8)
    design = of.design.model_copy(update={"schedule": ds.Schedule.get("vp")(), "scaling": ds.Scaling.get("vp")()})
    of = Probe(design, of.D, of.latents, 4)
    grid = rule.grid(of)
    flow, x = of.flow.on(tuple(grid)), of.solution().at(grid[2])
    for j, reached in zip(range(5, 9), rule.steps_between(flow, x)(x, 2, range(5, 9)), strict=True):
        pair = flow.on((grid[2], grid[j]))
        torch.testing.assert_close(reached, design.solver.step(pair, x, 0, grid[2], None)[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("to_zero", [True, False])
@pytest.mark.parametrize("num_steps", [2, 3, 7])
@pytest.mark.parametrize("name", SEARCHES)
def test_levels_decrease_from_sigma_max(name, num_steps, to_zero):
    fields = {"runs": 12} if name == "fitted" else {"T": 16}
    levels = found(name, num_steps, to_zero=to_zero, images=4, **fields)
    assert levels.shape == (num_steps,)
    assert levels.dtype == torch.float64
    assert levels[0] == 80
    assert bool((levels.diff() < 0).all())
    if name == "fitted" or not to_zero:
        assert levels[-1] == pytest.approx(0.002)


@pytest.mark.parametrize("name", SEARCHES)
def test_searches_repeat_themselves_and_draw_nothing(name):
    state = torch.get_rng_state()
    assert torch.equal(found(name, images=4), found(name, images=4))
    assert torch.equal(torch.get_rng_state(), state)


def test_searched_levels_end_nearer_to_the_solution_than_those_of_edm():
    edm = end_error(ds.TimeSteps.get("edm")().sigmas(6), images=8)
    assert {name: end_error(found(name, images=8), images=8) < 0.8 * edm for name in SEARCHES} == dict.fromkeys(
        SEARCHES, True
    )


@pytest.mark.parametrize("solver", ["euler", "heun", "dpmpp_2m"])
def test_fitted_is_not_worse_than_where_it_starts(solver):
    few = {"solver": solver, "images": 6}
    starts = [end_error(ds.TimeSteps.get(name)().sigmas(5), **few) for name in ("edm", "cosine", "logsnr")]
    assert end_error(found("fitted", 5, runs=40, **few), **few) <= min(starts) * (1 + 1e-4)


def test_fitted_takes_no_more_runs_than_it_may():
    calls = []
    rule, of = probe("fitted", 6, lambda x, sigma: calls.append(1) or posterior_mean(x, sigma), runs=20)
    rule.place(of)
    assert 1025 + 3 * 6 < len(calls) <= 1025 + 20 * 6


@pytest.mark.parametrize(("name", "most"), [("gits", 17), ("oss", 5 * 12 + 1)])
def test_grid_searches_cost_what_their_documentation_says(name, most):
    calls = []
    rule, of = probe(name, 5, lambda x, sigma: calls.append(1) or posterior_mean(x, sigma), T=17)
    of.solution()
    calls.clear()
    rule.place(of)
    assert 0 < len(calls) <= most


def test_oss_on_the_digits_finds_the_levels_that_were_found_before():
    """Another implementation found 80, 4.824, 2.331, 1.448, 1.035, 0.727, 0.501 and 0.179 on other images."""
    data, design = ds.Data.get("digits")().load(), ds.Design.preset("edm", solver="euler", time_steps="oss")
    D = ds.Denoiser.get("exact")().load(data, design, torch.device("cpu")).bind(None)
    levels = design.time_steps.place(Probe(design, D, latents("time_steps", range(32), (1, 8, 8)).double(), 8))
    reference = [80, 4.824, 2.331, 1.448, 1.035, 0.727, 0.501, 0.179]
    assert max(abs(math.log(a / b)) for a, b in zip(levels.tolist(), reference, strict=True)) < 0.25


def test_grids_keep_the_levels_that_a_denoiser_supports():
    def D(x, sigma):
        return gaussian(x, sigma)

    D.sigma_min, D.sigma_max = 0.5, 9.5
    D.round_sigma = lambda sigma: sigma.round().clamp(1, 9)
    rule, of = probe("gits", 5, D=D)
    assert rule.grid(of) == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert set(rule.place(of).tolist()) <= set(range(1, 10))
    with pytest.raises(ValueError, match="time_steps gits: 10 steps, but its grid has only 9 levels"):
        found("gits", 10, D=D)


@pytest.mark.parametrize("student", ["dpmpp_2m", "euler_ancestral", "rk45"])
def test_oss_needs_a_student_of_single_deterministic_steps(student):
    with pytest.raises(ValidationError, match=f"the student is a deterministic one-step solver.*not {student}"):
        ds.TimeSteps.get("oss")(student=student)


def test_grid_searches_may_be_used_with_solvers_that_draw_noise():
    design = ds.Design.preset("edm", solver="euler_ancestral", time_steps={"name": "gits", "images": 4})
    assert len(place(design, posterior_mean, torch.ones(1, 4), 5).time_steps.levels) == 5
    with pytest.raises(ValueError, match="gits places the levels of steps, but solver rk45 chooses its own"):
        ds.Design.preset("edm", solver="rk45", time_steps="gits")
    with pytest.raises(ValueError, match="fitted measures the error of steps, but the design draws noise"):
        ds.Design.preset("edm", solver="euler_ancestral", time_steps="fitted")


class TestOnAnotherDenoiser:
    @pytest.fixture(autouse=True)
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))

    STEPS = {"name": "gits", "images": 4, "T": 16}
    NETWORK = {"name": "gaussian_mixture", "weights": [1.0], "means": [[0.2]], "covs": [[[3.0]]]}
    """In the place of a network: other levels are best for it than for the data."""

    def spec(self, tmp_path, **changes):
        fields = {
            "data": {"name": "mixture", "count": 100},
            "denoiser": self.NETWORK,
            "design": {"preset": "edm", "solver": "euler"},
            "grid": {"time_steps": [self.STEPS, self.STEPS | {"denoiser": "exact"}], "num_steps": [4]},
            "evaluate": {"images": 20, "detector": "pixels", "metrics": ["endpoint_error"]},
            "components": [],
        }
        return load(write_spec(tmp_path, **fields | changes))

    def test_levels_are_those_of_the_other_denoiser_and_are_found_once(self, tmp_path):
        out = {"out": tmp_path / "reports", "progress": False}
        own, other = run(self.spec(tmp_path), **out).rows()
        # The grid has 16 levels; that the solution was known from another trial or another run makes no difference.
        assert (own.nfe_search, other.nfe_search) == (1025 + 16, 1025 + 16)
        exact = run(self.spec(tmp_path, denoiser="exact", grid={"time_steps": [self.STEPS], "num_steps": [4]}), **out)
        assert other.sigmas == exact.rows()[-1].sigmas != own.sigmas
        files = tmp_path / "cache" / "levels"
        known = len(list(files.rglob("*.safetensors")))
        shifted = self.NETWORK | {"means": [[0.1]]}
        again = run(
            self.spec(
                tmp_path,
                grid={"denoiser": [shifted], "time_steps": [self.STEPS | {"denoiser": "exact"}], "num_steps": [4]},
            ),
            **out,
        )
        assert again.rows()[-1].sigmas == other.sigmas
        assert again.rows()[-1].nfe_search == 1025 + 16
        assert len(list(files.rglob("*.safetensors"))) == known

    def test_a_dry_run_states_what_the_search_takes_once(self, tmp_path):
        twice = {"time_steps": [self.STEPS | {"denoiser": "exact"}], "num_steps": [4], "seed": [0, 1]}
        one, other = dry_run(self.spec(tmp_path, grid=twice), out=tmp_path)
        assert one.error is other.error is None
        assert one.nfe_search == other.nfe_search == 1025 + 16
        assert one.parts["time_steps"] > 0
        assert "time_steps" not in other.parts

    def test_guidance_that_depends_on_steps_is_allowed_because_the_search_is_without_it(self, tmp_path):
        guidance = {"name": "interval", "weight": 2, "per": "step"}
        fields = {"data": {"name": "mixture", "count": 100}, "denoiser": "exact", "guidance": guidance}
        fields["evaluate"] = {"images": 20, "detector": "pixels", "metrics": ["frechet"], "labels": "balanced"}
        with pytest.raises(ds.SpecError, match="time_steps gits tries out single steps: use per: evaluation"):
            self.spec(tmp_path, **fields, grid={"time_steps": [self.STEPS], "num_steps": [4]})
        steps = {"time_steps": [self.STEPS | {"denoiser": "exact"}], "num_steps": [4]}
        ablation = self.spec(tmp_path, **fields, grid=steps)
        (guided,) = run(ablation, out=tmp_path / "reports", progress=False).rows()
        (plain,) = run(self.spec(tmp_path, **fields | {"guidance": "none"}, grid=steps), out=tmp_path).rows()
        assert guided.nfe_guidance > plain.nfe_guidance == 0
        assert guided.sigmas == plain.sigmas

    def test_it_is_part_of_the_identity_with_the_data_that_it_reads(self, tmp_path):
        own, other = (point.trial for point in self.spec(tmp_path).points())
        assert own.sampling_identity()["data"] is None
        assert other.sampling_identity()["data"] == other.data.identity()
        assert "denoiser" not in own.design.time_steps.identity()
        assert other.design.time_steps.identity()["denoiser"]["name"] == "exact"

    def test_an_unknown_one_is_an_error_of_the_spec(self, tmp_path):
        with pytest.raises(ds.SpecError, match=r"time_steps.*denoiser: unknown denoiser 'exat'. Did you mean 'exact'"):
            self.spec(tmp_path, grid={"time_steps": [self.STEPS | {"denoiser": "exat"}], "num_steps": [4]})

    def test_sampling_with_a_function_refuses_it(self):
        design = ds.Design.preset("edm", time_steps=self.STEPS | {"denoiser": "exact"})
        with pytest.raises(ValueError, match="gits: it is measured on denoiser exact, which only an ablation loads"):
            ds.sample(design, posterior_mean, torch.ones(1, 4), 5)
