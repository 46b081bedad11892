"""Named time steps: reference values of diffusers, ComfyUI and the papers; aliases; levels from a file."""

import json

import numpy as np
import pytest
import scipy.stats
import torch
from conftest import f64
from diffusers.schedulers.scheduling_utils import AysSchedules
from pydantic import ValidationError
from typer.testing import CliRunner

import designspace as ds
from designspace.cli.app import app
from designspace.registry.known import ALIASES, ROWS
from designspace.spec import load


def levels(name, n, **fields):
    return ds.TimeSteps.get(name)(**fields).sigmas(n)


def close(found, expected, rtol=1e-9):
    torch.testing.assert_close(found, f64(expected), rtol=rtol, atol=0)


def trained(**fields):
    """The levels of a DDPM network by the time step of diffusers, from the lowest."""
    return ds.TimeSteps.get("ddpm")(**fields).sigmas(1000).flip(0)


STABLE_DIFFUSION = {"schedule": "scaled_linear", "beta_1": 0.00085, "beta_M": 0.012}


@pytest.mark.parametrize(
    ("spacing", "time_steps"),
    [
        ({}, [999, 749, 499, 250, 0]),  # 749.25, 499.5 and 249.75, rounded in favour of higher noise in a tie
        ({"spacing": "leading"}, [800, 600, 400, 200, 0]),
        ({"spacing": "leading", "offset": 1}, [801, 601, 401, 201, 1]),
        ({"spacing": "trailing"}, [999, 799, 599, 399, 199]),
        ({"spacing": "sgm_uniform"}, [799.2, 599.4, 399.6, 199.8]),
        ({"spacing": "simple"}, [999, 799, 599, 399, 199]),
    ],
)
def test_spacings_of_trained_levels(spacing, time_steps):
    expected = [999, *map(round, time_steps)] if len(time_steps) == 4 else time_steps
    close(levels("ddpm", 5, **spacing), trained()[expected].tolist())


@pytest.mark.parametrize("n", [7, 16, 30, 64])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_spacings_are_those_of_diffusers(spacing, n):
    from diffusers import DDIMScheduler

    betas = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    scheduler = DDIMScheduler(**betas, timestep_spacing=spacing, steps_offset=0)
    scheduler.set_timesteps(n)
    found = levels("ddpm", n, spacing=spacing, **STABLE_DIFFUSION)
    close(
        found,
        trained(**STABLE_DIFFUSION)[scheduler.timesteps].tolist(),
    )
    alpha_bar = scheduler.alphas_cumprod.double()[scheduler.timesteps]
    close(found, ((1 - alpha_bar) / alpha_bar).sqrt().tolist(), 1e-4)


@pytest.mark.parametrize("n", [7, 30])
def test_simple_is_that_of_comfyui_and_sgm_uniform_omits_the_last_level(n):
    grid = trained()
    close(levels("ddpm", n, spacing="simple"), [grid[-(1 + int(i * (1000 / n)))].item() for i in range(n)])
    assert torch.equal(levels("ddpm", n, spacing="sgm_uniform"), levels("ddpm", n + 1)[:-1])


def test_zero_terminal_snr_with_trailing_levels_begins_at_the_highest_level():
    found = levels("ddpm", 10, spacing="trailing", zero_terminal_snr=True, sigma_max=5000.0)
    assert found[0] == 4096
    assert bool((found.diff() < 0).all())


def test_an_offset_needs_leading_levels_and_room():
    with pytest.raises(ValidationError, match="spacing trailing has no offset: use spacing: leading"):
        ds.TimeSteps.get("ddpm")(spacing="trailing", offset=1)
    with pytest.raises(ValueError, match="1000 steps leave no room for the offset 1 in 1000 levels"):
        levels("ddpm", 1000, spacing="leading", offset=1)
    with pytest.raises(ValueError, match="1001 steps, but its grid has only 1000 levels"):
        levels("ddpm", 1001, spacing="trailing")


@pytest.mark.parametrize("n", [5, 10, 30])
def test_beta_over_the_index_is_that_of_comfyui(n):
    indices = np.rint(scipy.stats.beta.ppf(1 - np.linspace(0, 1, n, endpoint=False), 0.6, 0.6) * 999).astype(int)
    close(levels("beta", n), trained()[torch.from_numpy(indices)].tolist())


def test_beta_takes_every_level_once_if_there_are_as_many_steps():
    assert torch.equal(levels("beta", 1000), levels("ddpm", 1000))
    assert bool((levels("beta", 400).diff() < 0).all())


def test_beta_over_the_flow_time():
    """The quantiles are those of diffusers' ``use_beta_sigmas`` on the levels of DDPM: 129.8, 78.7, 27.7 of 157.4."""
    sigma = levels("beta", 5, over="flow_time")
    t = sigma / (1 + sigma)
    even = (t - t[-1]) / (t[0] - t[-1])
    assert (0.01 + even * 157.397).tolist() == pytest.approx([157.4, 129.8, 78.7, 27.7, 0.01], abs=0.05)
    assert (sigma[0], sigma[-1]) == (pytest.approx(4096), pytest.approx(0.001))


def test_polyexponential_is_logsnr_with_a_power():
    close(levels("polyexponential", 9), levels("logsnr", 9).tolist())
    close(levels("polyexponential", 3, rho=2.0), [80, 0.002 * (80 / 0.002) ** 0.25, 0.002])


MOCHI = {
    (8, 0.025, None): [0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875],
    (9, 0.025, None): [0.99375, 0.9875, 0.98125, 0.975, 0.931, 0.8115, 0.6165, 0.346],
    (10, 0.1, 3): [0.966667, 0.933333, 0.9, 0.853061, 0.778912, 0.677551, 0.54898, 0.393197, 0.210204],
    (2, 0.025, None): [0.975],
}
"""The times after the first one, by ``linear_quadratic_schedule`` of diffusers 0.42."""


@pytest.mark.parametrize("arguments", MOCHI)
def test_linear_quadratic_is_that_of_mochi(arguments):
    n, threshold, linear_steps = arguments
    sigma = levels("linear_quadratic", n, threshold=threshold, linear_steps=linear_steps)
    close((sigma / (1 + sigma))[1:], MOCHI[arguments], 2e-6)
    assert sigma[0] == 4096


def test_linear_quadratic_refuses_a_threshold_that_leaves_the_parabola_nothing():
    with pytest.raises(ValueError, match="linear_steps = 1 has to be below 4 and at least threshold times 4"):
        levels("linear_quadratic", 4, threshold=0.9, linear_steps=1)


@pytest.mark.parametrize(
    ("model", "name"),
    [("sd15", "StableDiffusionSigmas"), ("sdxl", "StableDiffusionXLSigmas"), ("svd", "StableDiffusionVideoSigmas")],
)
def test_ays_tables_are_those_of_diffusers(model, name):
    """The last level there is 0."""
    close(levels("ays", 10, model=model), AysSchedules[name][:-1])


def test_ays_is_interpolated_and_cut():
    deepfloyd = [160.41, 8.081, 3.315, 1.885, 1.207, 0.785, 0.553, 0.293, 0.186, 0.030, 0.006]
    close(levels("ays", 11, model="deepfloyd", end="lowest"), deepfloyd)
    twice = levels("ays", 21, model="deepfloyd", end="lowest")
    close(twice[::2], deepfloyd)
    close(twice[1], (160.41 * 8.081) ** 0.5)
    found = levels("ays", 6, model="svd", sigma_max=80.0, sigma_min=0.1, end="lowest")
    close(found[[0, -1]], [80, 0.1])
    with pytest.raises(ValueError, match=r"no level of sd15 lies in the range, 0\.02 to 0\.01"):
        levels("ays", 5, sigma_min=0.01, sigma_max=0.02)


def test_cosine_with_a_scale_is_cosine_of_scaled_data():
    close(levels("cosine", 7, scale=0.5), (0.5 * levels("cosine", 7, sigma_max=160.0, sigma_min=0.004)).tolist())


def test_aliases_are_the_same_component():
    for row, names in ALIASES.items():
        for alias, name in names.items():
            assert ROWS[row].get(alias) is ROWS[row].get(name)
    one, other = (ds.Design.preset("edm", time_steps={"name": name, "scale": 0.5}) for name in ("cosine", "kl_optimal"))
    assert one == other
    assert one.time_steps.identity() == other.time_steps.identity()


def test_trials_with_an_alias_have_the_same_id(tmp_path):
    text = "data: digits\ndenoiser: exact\ndesign: edm\ngrid: {time_steps: [cosine, kl_optimal, edm, karras]}\n"
    (tmp_path / "a.yaml").write_text(text)
    ids = [point.trial.id for point in load(tmp_path / "a.yaml").points()]
    assert ids[0] == ids[1] != ids[2] == ids[3]


def test_the_command_line_and_suggestions_know_aliases():
    def out(*arguments):
        return CliRunner().invoke(app, arguments).output

    assert json.loads(out("list", "time_steps", "--json"))["time_steps"]["kl_optimal"] == "Another name of cosine."
    assert "time_steps/cosine\nalso called kl_optimal\n" in out("show", "kl_optimal")
    with pytest.raises(ValueError, match="Did you mean 'kl_optimal'"):
        ds.TimeSteps.get("kl_optimum")


def test_a_component_of_the_user_may_have_the_name_of_an_alias():
    known = ROWS["time_steps"].known

    class Mine(ds.TimeSteps, name="karras"):
        def sigmas(self, n):
            return torch.linspace(2, 1, n, dtype=torch.float64)

    try:
        assert ds.TimeSteps.get("karras") is Mine
    finally:
        del known["karras"]
    assert ds.TimeSteps.get("karras") is ds.TimeSteps.get("edm")


FILES = {"a.json": "[80, 10.5, 1, 0.125]", "b.txt": "# found\n80 10.5\n1,0.125 # the last\n", "c.npy": None}


@pytest.mark.parametrize("name", FILES)
def test_explicit_levels_from_a_file_are_those_of_the_list(name, tmp_path):
    if FILES[name] is None:
        np.save(tmp_path / name, np.array([80, 10.5, 1, 0.125], np.float32))
    else:
        (tmp_path / name).write_text(FILES[name])
    head = "data: digits\ndenoiser: exact\ndesign: {preset: edm, time_steps: explicit}\n"
    grid = (
        f"grid: {{time_steps: [{{name: explicit, levels: {name}}}, {{name: explicit, levels: [80, 10.5, 1, 0.125]}}]}}"
    )
    (tmp_path / "a.yaml").write_text(head + grid)
    one, other = (point.trial for point in load(tmp_path / "a.yaml").points())
    assert one.id == other.id
    assert one.design.time_steps.levels == (80, 10.5, 1, 0.125)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.json", b'{"a": 1}', "a.json is not a list of numbers: its JSON is something else"),
        ("a.json", b"[1, 2", "a.json is not a list of numbers: Expecting ',' delimiter"),
        ("a.txt", b"80 x 1", "a.txt is not a list of numbers: could not convert string to float: 'x'"),
        ("a.txt", b"80 10 0", "should be greater than 0, not 0.0"),
        ("a.txt", b"1 2", "levels must decrease, but 1 is followed by 2"),
        ("a.bin", b"\xff\xfe\x00", "a.bin is not a list of numbers"),
        ("a.npy", b"\x93NUMPY", "a.npy is not a list of numbers"),
        ("a.txt", None, "there is no .*a.txt: check the path"),
    ],
)
def test_a_file_without_levels_is_one_clear_error(name, content, why, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    text = f"data: digits\ndenoiser: exact\ndesign: {{preset: edm, time_steps: {{name: explicit, levels: {name}}}}}\n"
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ds.SpecError, match=rf"a.yaml:3:\d+: .*time_steps.levels.*{why}") as caught:
        load(tmp_path / "a.yaml")
    assert len(str(caught.value).splitlines()) == 1


# What the paper says of them


@pytest.mark.parametrize("n", [5, 10, 18, 50])
@pytest.mark.parametrize("name", ["edm", "ve", "vp", "iddpm"])
def test_steps_are_longer_where_there_is_more_noise(name, n):
    """Without exception for EDM and VE; as a trend for VP, whose last steps are too long, and iDDPM, which rounds."""
    sigmas = levels(name, n)
    lengths = -sigmas.diff()
    assert scipy.stats.spearmanr(lengths, sigmas[:-1]).statistic > 0.98
    if name in ("edm", "ve"):
        assert (lengths.diff() < 0).all()


def test_rho_goes_from_uniform_to_geometric_levels():
    even, geometric = (
        torch.linspace(80, 0.002, 18, dtype=torch.float64),
        levels("ve", 18, sigma_min=0.002, sigma_max=80),
    )
    torch.testing.assert_close(levels("edm", 18, rho=1), even, rtol=0, atol=1e-12)
    gaps = [(levels("edm", 18, rho=rho) / geometric - 1).abs().max().item() for rho in (1e4, 1e5, 1e6)]
    assert gaps == pytest.approx([gaps[0], gaps[0] / 10, gaps[0] / 100], rel=0.01)  # ln^2 of the range over rho
    assert gaps[-1] < 2e-5
