"""The rows of training and preconditioning: closed forms, and claims A8 to A11 of the design."""

import json
import math

import pytest
import torch
from conftest import f64

import designspace as ds
from designspace.data.images import Images
from designspace.design import preset_names
from designspace.registry.known import ROWS
from designspace.spec import SpecError, load
from designspace.spec.schema import schema

SIGMAS = torch.logspace(-2.5, 1.9, 12, dtype=torch.float64)
LEARNED = ("c_skip", "c_out", "c_in", "c_noise", "noise_distribution", "loss_weight")
TABLE = ["ddpm", "iddpm", "vp", "ve", "edm"]
STD = {
    "edm": 0.5,
    "edm2": 0.5,
    "velocity": 1.0,
    "vdm++": 1.0,
}  # the standard deviation of the data that the column is made for; others: any


AMPLIFIED = {
    **dict.fromkeys(("edm", "edm2"), lambda sigma: 0.5 / math.hypot(1, 0.5 / sigma)),
    **dict.fromkeys(("velocity", "vdm++"), lambda sigma: 1 / math.hypot(1, 1 / sigma)),
    "flow": lambda sigma: sigma / (1 + sigma),
    "jit": lambda sigma: 1.0,
}
"""How much an error of the network counts in D, if not sigma times."""
MOST = {"edm": 0.5, "edm2": 0.5, "velocity": 1.0, "vdm++": 1.0, "flow": 1.0, "jit": 1.0}


def row(kind, name, **fields):
    return ROWS[kind].get(name)(**fields)


def close(actual, expected, rtol=1e-12):
    torch.testing.assert_close(
        actual, torch.as_tensor(expected, dtype=torch.float64).expand_as(actual), rtol=rtol, atol=0
    )


def quantiles(n=100_000):
    return (torch.arange(n, dtype=torch.float64) + 0.5) / n


# Formulas


def test_what_the_network_predicts():
    """F = (y - c_skip x) / c_out is the signal, the noise, or the velocity n cos phi - y sin phi, sigma = tan phi."""
    y, n, sigma = f64([0.3, -0.9]), f64([1.1, 0.2]), f64(0.7)
    for c_skip, c_out, target in [
        ("zero", row("c_out", "data", sigma_data=1.0), y),
        ("one", row("c_out", "vp"), n),
        ("velocity", row("c_out", "velocity"), (n - sigma * y) / (1 + sigma**2).sqrt()),
    ]:
        close((y - row("c_skip", c_skip)(sigma) * (y + sigma * n)) / c_out(sigma), target)


def test_the_velocity_is_the_slope_of_the_turning_sample():
    phi = f64(0.6).requires_grad_()
    y, n = 0.4, -1.3
    (slope,) = torch.autograd.grad(y * phi.cos() + n * phi.sin(), phi)
    sigma = phi.detach().tan()
    x = y + sigma * n
    design = ds.Design.preset("velocity")
    close((y - design.c_skip(sigma) * x) / design.c_out(sigma), slope)
    close(design.c_in(sigma) * x, y * phi.detach().cos() + n * phi.detach().sin())


@pytest.mark.parametrize("sd", [0.3, 1.0, 2.0])
def test_velocity_is_edm_but_for_a_sign(sd):
    edm, velocity = (ds.Design.preset(name, sigma_data=sd) for name in ("edm", "velocity"))
    for kind, sign in (("c_skip", 1), ("c_out", -1), ("c_in", 1), ("loss_weight", 1)):
        close(getattr(velocity, kind)(SIGMAS), sign * getattr(edm, kind)(SIGMAS))


def test_min_snr():
    """Hang et al. weight the signal's error by min(SNR, gamma), and noise and velocity by that over SNR and SNR + 1."""
    sigma, gamma = f64([0.01, 0.1, 0.4, 0.5, 3.0, 50.0]), 5.0
    snr = sigma**-2
    weight = row("loss_weight", "min_snr")(sigma)
    close(weight, torch.minimum(snr, f64(gamma)))
    of_noise, of_velocity = (weight * getattr(ds.Design.preset(p), "c_out")(sigma) ** 2 for p in ("vp", "velocity"))  # noqa: B009
    close(of_noise, torch.minimum(snr, f64(gamma)) / snr)
    close(of_velocity, torch.minimum(snr, f64(gamma)) / (snr + 1))
    assert float(row("loss_weight", "min_snr", gamma=1.0)(f64(0.1))) == 1.0


def test_constants():
    values = {("c_skip", "zero"): 0, ("c_skip", "one"): 1, ("c_in", "one"): 1, ("loss_weight", "uniform"): 1}
    for (kind, name), value in (values | {("c_out", "data"): 0.5}).items():
        assert row(kind, name)(SIGMAS).tolist() == [value] * len(SIGMAS)


@pytest.mark.parametrize(
    ("name", "fields", "mean", "std"),
    [
        ("edm", {}, -1.2, 1.2),
        ("edm2", {}, -0.4, 1.0),
        ("shifted", {}, -1.2 + math.log(3), 1.2),
        ("shifted", {"shift": 8 / 64, "P_mean": -0.4}, -0.4 - math.log(8), 1.2),
        ("uniform_log", {}, math.log(0.16) / 2, math.log(40_000) / math.sqrt(12)),
        ("ve", {}, math.log(2) / 2, math.log(5000) / math.sqrt(12)),
    ],
)
def test_mean_and_spread_of_the_logarithm(name, fields, mean, std):
    log = row("noise_distribution", name, **fields).from_uniform(quantiles()).log()
    assert float(log.mean()) == pytest.approx(mean, abs=1e-6)
    assert float(log.std()) == pytest.approx(std, rel=1e-3)


def test_cosine_draws_angles_evenly():
    sigma = row("noise_distribution", "cosine").from_uniform(f64([0.0, 0.25, 0.5, 1.0]))
    close(sigma[[0, -1]], f64([0.002, 80.0]), 1e-9)
    close(sigma.atan().diff()[:2], sigma.atan().diff()[1].item())
    steps = ds.TimeSteps.get("cosine")().sigmas(5)
    close(row("noise_distribution", "cosine").from_uniform(f64([1.0, 0.75, 0.5, 0.25, 0.0])), steps, 1e-9)


@pytest.mark.parametrize("name", ["edm", "edm2", "shifted"])
def test_a_log_normal_has_no_ends(name):
    for u in (0.0, 1.0):
        with pytest.raises(ValueError, match=f"noise_distribution {name}: u must lie in the open interval"):
            row("noise_distribution", name).from_uniform(f64(u))


# Claims


@pytest.mark.parametrize("preset", sorted(set(preset_names()) - {"flow", "jit"}))
def test_a8_variances_of_input_and_target(preset):
    """Computed from the covariance of y and n, without draws: Var(a y + b n) = a^2 sd^2 + b^2 sigma^2."""
    design = ds.Design.preset(preset)
    for sd in (STD.get(preset, 1.0), 0.3):
        c_skip, c_out, c_in = (getattr(design, kind)(SIGMAS) for kind in ("c_skip", "c_out", "c_in"))
        target = ((1 - c_skip) ** 2 * sd**2 + c_skip**2 * SIGMAS**2) / c_out**2
        seen = c_in**2 * (sd**2 + SIGMAS**2)
        made_for = sd == STD.get(preset, sd)
        assert torch.allclose(target, torch.ones_like(target), rtol=1e-9) == made_for
        assert torch.allclose(seen, torch.ones_like(seen), rtol=1e-9) == (preset != "ve" and sd == STD.get(preset, 1.0))


@pytest.mark.parametrize("sd", [0.3, 1.0])
def test_a8_variances_of_flow_matching(sd):
    """Those of z = (1 - t) y + t n and of n - y, which are not 1."""
    t, design = SIGMAS / (1 + SIGMAS), ds.Design.preset("flow")
    close(design.c_in(SIGMAS) ** 2 * (sd**2 + SIGMAS**2), (1 - t) ** 2 * sd**2 + t**2)
    c_skip, c_out = design.c_skip(SIGMAS), design.c_out(SIGMAS)
    close(((1 - c_skip) ** 2 * sd**2 + c_skip**2 * SIGMAS**2) / c_out**2, sd**2 + 1, 1e-9)


@pytest.mark.parametrize("sd", [0.5, 1.0])
def test_a9_c_skip_makes_c_out_smallest(sd):
    skips = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    c_skip, c_out = row("c_skip", "edm", sigma_data=sd), row("c_out", "edm", sigma_data=sd)
    for sigma in SIGMAS:
        needed = (1 - skips) ** 2 * sd**2 + skips**2 * sigma**2
        assert float(skips[needed.argmin()]) == pytest.approx(float(c_skip(sigma)), abs=1e-5)
        assert float(needed.min().sqrt()) == pytest.approx(float(c_out(sigma)), rel=1e-6)
    assert (c_skip(SIGMAS).diff() < 0).all()
    assert c_skip(f64(1e-6)) > 1 - 1e-9
    assert c_skip(f64(1e6)) < 1e-9


@pytest.mark.parametrize("preset", sorted(set(preset_names()) - {"jit", "vdm++"}))
def test_a10_weight_times_c_out_squared_is_one(preset):
    design = ds.Design.preset(preset)
    close(design.loss_weight(SIGMAS) * design.c_out(SIGMAS) ** 2, 1.0, 1e-12)


@pytest.mark.parametrize("preset", preset_names())
def test_a11_how_much_an_error_of_the_network_counts(preset):
    design, x = ds.Design.preset(preset), torch.zeros(20_000, 1, dtype=torch.float64)
    error = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    for sigma in SIGMAS:
        wrong = ds.precondition(lambda *seen: error, design)(x, sigma).std()
        amplified = AMPLIFIED.get(preset, lambda sigma: sigma)(float(sigma))
        assert float(wrong / error.std()) == pytest.approx(amplified, rel=1e-6)
        assert amplified <= MOST.get(preset, float(sigma))


# What goes together

REFUSED = {
    # down to 0.002, but these networks support levels from 0.006 or more
    "noise_distribution": {(base, name) for base in ("ddpm", "iddpm", "ve") for name in ("uniform_log", "adaptive")},
    "c_noise": {("vdm++", name) for name in ("betas", "ddpm", "iddpm", "ve")},
    "loss_weight": {(base, "importance") for base in ("ddpm", "iddpm")},  # distributions without a density
}
"""The components that do not go into a column, by row."""


@pytest.mark.parametrize("kind", LEARNED)
def test_each_row_is_settable_alone(kind):
    for base in preset_names():
        for name in TABLE:
            if (base, name) in REFUSED.get(kind, ()):
                continue
            design = ds.Design.preset(base, **{kind: name})
            others = [other for other in LEARNED if other != kind]
            assert [getattr(design, other) for other in others] == [
                getattr(ds.Design.preset(base), other) for other in others
            ]


def fits(base, kind, name):
    try:
        ds.Design.preset(base, **{kind: name})
    except SpecError:
        return False
    return True


@pytest.mark.parametrize("kind", LEARNED)
def test_every_component_goes_into_every_column_unless_levels_are_not_supported(kind):
    refused = {(base, name) for base in preset_names() for name in ROWS[kind].known if not fits(base, kind, name)}
    assert refused == REFUSED.get(kind, set())


def test_levels_that_c_noise_does_not_support(tmp_path):
    text = "data: digits\ndenoiser: exact\ndesign: ve\ngrid: {noise_distribution.sigma_max: [100, 1e6]}\n"
    (tmp_path / "wide.yaml").write_text(text)
    with pytest.raises(SpecError, match=r"wide.yaml:4:\d+: .* draws 52% of its noise levels outside 0.02 to 100"):
        load(tmp_path / "wide.yaml")
    ds.Design.preset("edm", noise_distribution={"name": "ve", "sigma_max": 1e6})  # c_noise edm supports any


@pytest.mark.parametrize("base", ["ddpm", "iddpm"])
@pytest.mark.parametrize("drawn", ["ddpm", "iddpm", "vp", "ve", "edm"])
def test_training_and_sampling_are_on_one_grid(base, drawn):
    design = ds.Design.preset(base, noise_distribution=drawn)
    grid = design.c_noise.levels()
    sigma = design.training_sigmas(5000, torch.Generator().manual_seed(0))
    assert sigma.dtype == torch.float64
    assert set(sigma.tolist()) <= set(grid[:-1].tolist())
    assert set(design.c_noise.round_sigma(design.time_steps.sigmas(18)).tolist()) <= set(grid[:-1].tolist())
    if drawn == base:
        assert torch.equal(sigma, design.noise_distribution.sample(5000, torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("preset", ["vp", "ve", "edm", "velocity"])
def test_columns_without_a_grid_train_on_what_they_draw(preset):
    design = ds.Design.preset(preset)
    first, second = (torch.Generator().manual_seed(0) for _ in range(2))
    close(design.training_sigmas(1000, first), design.noise_distribution.sample(1000, second))


def test_levels_are_moved_to_the_ends_of_what_c_noise_supports():
    design = ds.Design.preset("edm", c_noise="ve")
    sigma = design.training_sigmas(5000, torch.Generator().manual_seed(0))
    assert sigma.min() == 0.02
    assert 0.005 < (sigma == 0.02).double().mean() < 0.02  # Phi((ln 0.02 + 1.2) / 1.2) = 0.012


# sigma_data


def sigma_data(design):
    return {
        kind: getattr(getattr(design, kind), "sigma_data", None) for kind in ("c_skip", "c_out", "c_in", "loss_weight")
    }


def test_one_sigma_data_for_all_rows_that_do_not_set_it():
    design = ds.Design.preset(
        "edm", sigma_data=0.7, c_in="vp", c_out={"sigma_data": 0.6}, loss_weight=row("loss_weight", "edm")
    )
    assert sigma_data(design) == {"c_skip": 0.7, "c_out": 0.6, "c_in": None, "loss_weight": 0.7}
    assert ds.Design.model_validate(json.loads(design.model_dump_json())) == design
    assert sigma_data(ds.Design.preset("edm", c_skip={"sigma_data": 0.7}))["c_out"] == 0.5  # one alone may be varied


@pytest.mark.parametrize(
    ("preset", "rows", "where", "message"),
    [
        ("edm", {"sigma_data": "data"}, ("sigma_data",), "there is none here: give the number"),
        ("edm", {"c_skip": {"sigma_data": "data"}}, ("c_skip", "sigma_data"), "there is none here: give the number"),
        ("edm", {"sigma_data": 0}, ("sigma_data",), "greater than 0"),
        ("vp", {"sigma_data": 1}, ("sigma_data",), "no row of this design has a field sigma_data"),
    ],
)
def test_sigma_data_that_cannot_be(preset, rows, where, message):
    with pytest.raises(SpecError, match=message) as error:
        ds.Design.preset(preset, **rows)
    assert error.value.problems[0].path == where


def test_the_root_mean_square_of_images():
    digits = ds.Data.get("digits")().load()
    assert digits.sigma_data == pytest.approx(float(digits.scaled().double().square().mean().sqrt()), rel=1e-6)
    assert digits.sigma_data == pytest.approx(0.8466, abs=5e-5)
    assert Images(torch.tensor([0, 255, 0]).to(torch.uint8).reshape(3, 1, 1, 1)).sigma_data == 1.0


@pytest.fixture
def trials(tmp_path):
    def make(more, data="digits"):
        path = tmp_path / "a.yaml"
        path.write_text(f"data: {data}\ndenoiser: exact\nevaluate: {{detector: pixels}}\n{more}\n")
        return load(path).trials()

    return make


def test_sigma_data_is_measured_when_an_ablation_is_loaded(trials):
    rms = ds.Data.get("digits")().load().sigma_data
    (all_rows,) = trials("design: {preset: edm, sigma_data: data}")
    assert set(sigma_data(all_rows.design).values()) == {rms}
    (number,) = trials(f"design: {{preset: edm, sigma_data: {rms!r}}}")
    assert number.id == all_rows.id  # what is hashed and stored is the number
    assert json.loads(all_rows.model_dump_json())["design"]["c_in"] == {"name": "edm", "sigma_data": rms}
    one, other = trials("design: edm\ngrid: {c_skip.sigma_data: [0.5, data]}")
    assert sigma_data(one.design)["c_skip"] == 0.5
    assert list(sigma_data(other.design).values()) == [rms, 0.5, 0.5, 0.5]
    axis = trials("design: edm\ngrid: {sigma_data: [0.5, data], c_in: [edm, vp]}")
    assert [sigma_data(t.design)["c_in"] for t in axis] == [0.5, None, rms, None]
    mixture, digits = trials("design: {preset: edm, sigma_data: data}\ngrid: {data: [mixture, digits]}")
    assert sigma_data(digits.design)["c_in"] == rms != sigma_data(mixture.design)["c_in"]


def test_an_axis_of_sigma_data_without_effect(tmp_path):
    (tmp_path / "a.yaml").write_text("data: digits\ndenoiser: exact\ndesign: edm\ngrid: {sigma_data: [0.5, 1]}\n")
    (warning,) = load(tmp_path / "a.yaml").warnings
    assert (
        "grid.sigma_data: has no effect: denoiser exact does not depend on c_in, c_out, c_skip, loss_weight" in warning
    )


def test_the_schema_knows_both_ways_to_give_sigma_data():
    found = schema()
    field = found["properties"]["design"]["anyOf"][1]["properties"]["sigma_data"]
    kinds = {kind.get("type") if "const" not in kind else kind["const"] for kind in field["anyOf"]}
    assert kinds == {"number", "data"}
    edm = next(kind for kind in found["$defs"]["CSkip"]["anyOf"] if kind.get("title") == "edm")
    assert edm["properties"]["sigma_data"]["anyOf"] == field["anyOf"]


def test_errors_of_sigma_data_have_a_place(trials):
    for more, data, message in [
        (
            "design: {preset: edm, sigma_data: -1}",
            "digits",
            r"4:\d+: design.sigma_data: should be greater than 0, not -1",
        ),
        ("design: {preset: edm, sigma_data: dat}", "digits", r"4:\d+: design.sigma_data: should be a number"),
        ("design: edm\ngrid: {sigma_dat: [1]}", "digits", "Did you mean 'sigma_data'"),
        ("design: {preset: edm, sigma_data: data}", "{name: npz, path: /no.npz}", r"1:\d+: data: there is no /no.npz"),
        ("design: {preset: edm, sigma_data: data}", "digit", "unknown data 'digit'. Did you mean 'digits'"),
    ]:
        with pytest.raises(SpecError, match=message) as error:
            trials(more, data)
        assert len(error.value.lines) == 1
