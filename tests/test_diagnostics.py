"""The converged flow and the metrics that use it, against closed forms for a Gaussian and for a single point."""

import itertools
import math

import pytest
import torch
from conftest import f64, posterior_mean
from pipeline import write_spec

import designspace as ds
from designspace.run.run import run
from designspace.sampling.counting import cost
from designspace.sampling.noise import latents
from designspace.sampling.probe import Probe, rms
from designspace.sampling.sample import place
from designspace.spec import load

STD = 0.5


def gaussian(x, sigma):
    return x * (STD**2 / (STD**2 + torch.as_tensor(sigma).to(x).reshape(-1, 1) ** 2))


def at(sigma, start=80.0):
    """The scale at ``sigma`` of a latent of scale 1, for Gaussian data."""
    return start * math.sqrt((STD**2 + sigma**2) / (STD**2 + start**2))


def probe(design=None, D=gaussian, num_steps=12, images=6, **rows):
    latents = torch.randn(images, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return Probe(design or ds.Design.preset("edm", **rows), D, latents, num_steps)


def observed(name, of, **fields):
    return ds.Metric.get(name)(**fields).observe(of)


@pytest.mark.parametrize("sigma", [80.0, 33.3, 4.0, 0.77, 0.05, 0.002])
def test_the_converged_flow_is_that_of_the_gaussian(sigma):
    p = probe()
    torch.testing.assert_close(p.solution().at(sigma), p.latents * at(sigma), rtol=1e-6, atol=0)


def test_the_converged_flow_converges_with_order_4():
    p = probe()
    exact = p.latents * at(p.ends()[1])
    errors = [(p.solution(steps).x[-1] - exact).abs().max().item() for steps in (64, 128, 256)]
    assert [math.log2(a / b) for a, b in itertools.pairwise(errors)] == pytest.approx([4, 4], abs=0.3)


@pytest.mark.parametrize(("to_zero", "limit", "end"), [(True, 0.0, 2e-4), (True, 0.01, 0.01), (False, 0.0, 0.002)])
def test_the_converged_flow_ends_where_the_design_and_the_denoiser_allow(to_zero, limit, end):
    def D(x, sigma):
        assert sigma >= limit * (1 - 1e-9)
        return gaussian(x, sigma)

    D.sigma_min, D.sigma_max = limit, 80.0
    p = probe(D=D, to_zero=to_zero)
    assert p.ends() == pytest.approx((80.0, end))
    assert p.solution().sigma[-1].item() == pytest.approx(end)


def test_local_errors_of_euler_are_those_of_the_formula():
    p = probe(solver="euler")
    sigmas = p.flow.sigma
    expected = []
    for a, b in itertools.pairwise(sigmas):
        ahead = at(a) * (b / a + (1 - b / a) * STD**2 / (STD**2 + a**2))
        expected.append(abs(ahead - (at(b) if b else at(0))))
    each = p.latents.square().mean(1).sqrt()
    torch.testing.assert_close(p.local_errors(), f64(expected)[:, None] * each, rtol=1e-4, atol=1e-7)
    metric = observed("truncation_error", p)
    assert metric.value == pytest.approx(p.local_errors().sum(0).mean().item())
    assert metric.profile[0].tolist() == list(sigmas[:-1])


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2), ("ab", 4), ("rk4", 4)])
def test_local_errors_fall_one_order_faster_than_the_end_point(solver, order):
    """Measured in the middle of the grid, where the history of multistep solvers is complete."""
    found = [probe(solver=solver, num_steps=n + 1).local_errors()[n // 2].mean().item() for n in (64, 128)]
    assert math.log2(found[0] / found[1]) == pytest.approx(order + 1, abs=0.5)


def test_endpoint_error_is_the_distance_to_the_gaussians_end_point():
    p = probe(num_steps=8)
    x = ds.sample(p.design, gaussian, p.latents, 8).x
    metric = observed("endpoint_error", p)
    assert metric.value == pytest.approx((x - p.latents * at(0)).square().mean().sqrt().item(), rel=1e-4)
    assert 0 < metric.floor < 1e-6
    gaps = rms(x - p.latents * at(0)).square()
    assert metric.se == pytest.approx(gaps.std().item() / len(gaps) ** 0.5 / (2 * metric.value), rel=1e-3)


def test_paired_influences_add_up_to_the_difference():
    """The difference of two designs is resolved ten times better than it would be without common latents."""
    one, other = (observed("endpoint_error", probe(D=posterior_mean, images=200, num_steps=n)) for n in (18, 19))
    paired = (one.influence - other.influence).std().item() / 200**0.5
    assert paired < math.hypot(one.se, other.se) / 10


def point(x, sigma):
    """The denoiser of data at the origin, for which x is sigma times the latent."""
    return torch.zeros_like(x)


def test_the_curves_to_a_single_point_are_straight_where_sigma_is_the_time():
    metric = observed("curvature", probe(D=point))
    assert metric.value == pytest.approx(1, abs=1e-9)
    assert metric.profile[1].max() < 1e-3  # degrees


def test_with_the_schedule_of_ve_they_are_parabolas():
    p = probe(D=point, schedule="ve")
    a = p.latents.square().mean(1).sqrt()  # y = a sqrt(t)
    length = a / 2 * (1 + 4 / a**2).sqrt() + (2 / a).asinh() * a**2 / 4
    assert observed("curvature", p).value == pytest.approx((length / (1 + a**2).sqrt()).mean().item(), abs=2e-4)


def test_curvature_depends_on_the_plane_and_not_on_the_solver():
    values = {
        (schedule, solver): observed("curvature", probe(schedule=schedule, solver=solver)).value
        for schedule in ("linear", "ve")
        for solver in ("euler", "heun")
    }
    assert values["linear", "euler"] == values["linear", "heun"]
    assert values["linear", "heun"] < values["ve", "heun"]


def test_denoiser_change_of_a_gaussian_is_the_way_of_its_posterior_mean():
    """The output of the denoiser moves in one direction only."""
    p = probe()
    metric = observed("denoiser_change", p)
    start = p.latents * 80 * STD**2 / (STD**2 + 80**2)
    assert metric.value == pytest.approx(rms(p.latents * at(0) - start).mean().item(), rel=1e-4)
    assert observed("denoiser_change", probe(D=point)).value == 0


@pytest.mark.parametrize("rows", [{"solver": "euler_ancestral"}, {"stochasticity": {"name": "churn", "S_churn": 5}}])
@pytest.mark.parametrize("name", ["endpoint_error", "truncation_error", "curvature", "denoiser_change"])
def test_noise_leaves_the_curves_of_the_flow(name, rows):
    with pytest.raises(ValueError, match="adds noise, so samples do not follow the flow"):
        ds.Metric.get(name)().check(ds.Design.preset("edm", **rows), ds.Denoiser.get("exact")())


def test_an_adaptive_solver_has_no_steps_to_look_at_but_an_end_point():
    design = ds.Design.preset("edm", solver={"name": "rk45", "rtol": 1e-6, "atol": 1e-6})
    with pytest.raises(ValueError, match=r"rk45.* chooses its own steps"):
        ds.Metric.get("truncation_error")().check(design, ds.Denoiser.get("exact")())
    assert observed("endpoint_error", probe(design)).value < 1e-4


@pytest.mark.parametrize(
    ("solver", "num_steps"),
    [("euler", 18), ("heun", 6), ("heun", 18), ("dpmpp_2m", 18), ("unipc", 10), ("ab", 18), ("rk4", 12)],
)
def test_equal_error_makes_all_local_errors_equal(solver, num_steps):
    rule = ds.TimeSteps.get("equal_error")()
    p = probe(D=posterior_mean, solver=solver, time_steps=rule, num_steps=num_steps, images=32)
    levels = rule.place(p)
    design = ds.Design.preset("edm", solver=solver, time_steps={"name": "explicit", "levels": levels.tolist()})
    errors = probe(design, posterior_mean, num_steps, 32).local_errors()[:-1].square().mean(1).sqrt()
    assert errors.max() < 1.02 * errors.min()
    assert (levels[0], levels[-1]) == (80.0, pytest.approx(0.002))


def test_equal_error_on_other_images_and_nearer_to_the_end_point():
    latents = torch.randn(200, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    found = {}
    for steps in ("edm", "equal_error"):
        design = place(ds.Design.preset("edm", solver="heun", time_steps=steps), posterior_mean, latents, 18)
        p = Probe(design, posterior_mean, latents, 18)
        errors = p.local_errors()[:-1].square().mean(1).sqrt()
        found[steps] = (errors.max() / errors.min()).item(), observed("endpoint_error", p).value
    assert found["equal_error"][0] < 2 < 50 < found["edm"][0]
    assert found["equal_error"][1] < found["edm"][1]


def test_levels_do_not_depend_on_what_is_sampled_with_them():
    design = ds.Design.preset("edm", time_steps="equal_error")
    latents = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one, all_ = (ds.sample(design, posterior_mean, latents[:n], 9) for n in (1, 5))
    assert torch.equal(one.sigmas, all_.sigmas)
    assert one.nfe == 17
    assert cost(design, 9).nfe == 17
    assert not torch.equal(one.sigmas[:-1], design.time_steps.sigmas(9))


def test_where_no_error_is_made_the_levels_stay():
    p = probe(D=point, solver="euler", time_steps="equal_error")
    assert torch.equal(p.design.time_steps.place(p), p.design.time_steps.sigmas(12))


def test_equal_error_keeps_the_limits_of_the_denoiser():
    def D(x, sigma):
        assert 0.01 * (1 - 1e-9) <= sigma <= 50 * (1 + 1e-9)
        return gaussian(x, sigma)

    D.sigma_min, D.sigma_max = 0.01, 50.0
    out = ds.sample(ds.Design.preset("edm", time_steps="equal_error"), D, torch.ones(1, 4), 7)
    assert (out.sigma_max, out.sigma_min) == pytest.approx((50, 0.01))


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ({"solver": "rk45"}, "solver rk45 chooses its own steps"),
        ({"solver": "sa_solver"}, "the design draws noise"),
        ({"stochasticity": {"name": "churn", "S_churn": 5}}, "the design draws noise"),
    ],
)
def test_equal_error_needs_steps_without_noise(rows, why):
    with pytest.raises(ValueError, match=why):
        ds.Design.preset("edm", time_steps="equal_error", **rows)


class TestInAnAblation:
    @pytest.fixture(autouse=True)
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))

    SPEC = {
        "data": {"name": "mixture", "count": 100},
        "denoiser": "gaussian_mixture",
        "grid": {"solver": ["euler", "rk45", "euler_ancestral"], "num_steps": [5]},
        "evaluate": {"images": 20, "detector": "pixels", "metrics": ["endpoint_error", "truncation_error"]},
        "components": [],
    }

    def go(self, tmp_path, **changes):
        ablation = load(write_spec(tmp_path, **self.SPEC | changes))
        return ablation, run(ablation, out=tmp_path / "reports", progress=False)

    def test_points_go_without_what_cannot_be_measured_and_a_warning_says_so(self, tmp_path):
        ablation, results = self.go(tmp_path)
        assert [w.partition("evaluate.metrics.")[2] for w in ablation.warnings] == [
            "0: 1 of 3 trials cannot measure it: metric endpoint_error: solver euler_ancestral adds noise,"
            " so samples do not follow the flow",
            "1: 2 of 3 trials cannot measure it: metric truncation_error: solver rk45 chooses its own steps"
            " (and 1 more)",
        ]
        assert [sorted(row.metrics) for row in results.rows()] == [
            ["endpoint_error", "truncation_error"],
            ["endpoint_error"],
            [],
        ]
        assert results.failures == []

    def test_a_metric_that_no_point_has_is_wrong_input(self, tmp_path):
        with pytest.raises(ds.SpecError, match=r"small.yaml:.*evaluate.metrics.0: metric truncation_error"):
            self.go(tmp_path, grid={"solver": ["rk45"]}, evaluate={"metrics": ["truncation_error"], "images": 20})

    def test_the_spread_of_adaptive_evaluations_is_kept(self, tmp_path):
        ablation, results = self.go(tmp_path)
        row, design = results.rows()[1], ablation.trials()[1].design
        assert design.solver.adaptive
        denoiser = ds.Denoiser.get("gaussian_mixture")()
        calls, D, start = [], denoiser.bind(), latents(0, range(20), denoiser.shape)
        each = ds.sample(design, D, start, 5).nfe_each.double()
        ds.sample(design, lambda x, sigma: calls.append(sigma) or D(x, sigma), start[:1], 5)
        assert len(calls) == each[0]
        assert each.std() > 0
        assert (row.nfe, row.nfe_sd) == pytest.approx((each.mean().item(), each.std(correction=0).item()))

    def test_no_feature_is_computed_where_none_is_asked_for(self, tmp_path):
        results = self.go(tmp_path)[1]
        assert {row.features for row in results.rows()} == {None}
        assert not (tmp_path / "cache" / "features").exists()
        assert (tmp_path / "cache" / "observed").is_dir()

    def test_measured_levels_are_kept_and_reported(self, tmp_path):
        spec = {
            "grid": {"time_steps": ["edm", "equal_error"], "num_steps": [5]},
            "design": {"preset": "edm", "solver": "euler"},
        }
        rows = self.go(tmp_path, **spec)[1].rows()
        edm, equal = (row.sigmas for row in rows)
        assert len(equal) == len(edm) == 6
        assert equal != edm
        assert rows[1].seconds["time_steps"] > 0
        assert "time_steps" not in rows[0].seconds
        kept = list((tmp_path / "cache" / "levels").rglob("*.safetensors"))
        assert len(kept) == 1
        before = kept[0].stat().st_mtime_ns
        evaluate = {"images": 30, "metrics": ["endpoint_error"], "detector": "pixels"}
        more = self.go(tmp_path, **spec, evaluate=evaluate)
        assert more[1].rows()[1].sigmas == equal
        assert kept[0].stat().st_mtime_ns == before
