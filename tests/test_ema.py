"""The average of the parameters as a row, and averages that are chosen after training."""

import json
import math

import pytest
import torch
from conftest import f64
from pipeline import write_spec
from scipy.integrate import quad
from training_stand_in import SPEC, trained
from typer.testing import CliRunner

import designspace as ds
from designspace.cli.app import app
from designspace.run.estimate import dry_run
from designspace.run.run import run
from designspace.spec import load
from designspace.storage.cache import Cache
from designspace.training.averages import Averages, exponent, inner
from designspace.training.checkpoints import trained as run_training
from designspace.training.export import read

CPU = torch.device("cpu")
EDM = ds.Design.preset("edm")
POWER = {"name": "power", "std": 0.1}
pytestmark = pytest.mark.usefixtures("cache")


def power(std):
    return ds.EMA.get("power")(std=std)


def state_of(denoiser, data, cache=None):
    return run_training(denoiser.plan(data, EDM), denoiser.training_images, CPU, cache, seen=lambda progress: None)


def same(one, other):
    a, b = (state.tensors() for state in (one, other))
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# The weights


def test_the_exponents_of_the_paper():
    """Karras et al. (2024), Section 3.1 and Eq. 126."""
    assert [exponent(std) for std in (0.05, 0.1)] == pytest.approx([16.97, 6.94], abs=0.005)
    for std in (0.02, 0.05, 0.1, 0.2):
        gamma = exponent(std)
        assert math.sqrt((gamma + 1) / (gamma + 2) ** 2 / (gamma + 3)) == pytest.approx(std, rel=1e-9)


@pytest.mark.parametrize("std", [0.05, 0.1, 0.2])
def test_a_tracked_average_has_the_width_of_its_name(std):
    """The weights of all steps, multiplied out."""
    steps = 20_000
    beta = f64([power(std).decay(t, 1) for t in range(steps)])
    later = torch.cat([beta.flip(0).cumprod(0).flip(0)[1:], f64([1.0])])
    weight, t = (1 - beta) * later, torch.arange(1, steps + 1, dtype=torch.float64) / steps
    mean = (weight * t).sum()
    assert math.sqrt((weight * (t - mean) ** 2).sum()) == pytest.approx(std, rel=0.01)


@pytest.mark.parametrize(("s", "t"), [(1.0, 1.0), (0.4, 1.0), (1.0, 0.4), (3.0, 7.0)])
@pytest.mark.parametrize(("a", "b"), [(16.97, 6.94), (6.94, 6.94), (1.9, 48.0)])
def test_inner_products_are_integrals(a, b, s, t):
    def product(tau):
        return (a + 1) * tau**a / s ** (a + 1) * (b + 1) * tau**b / t ** (b + 1)

    expected, _ = quad(product, 0, min(s, t), epsabs=0, epsrel=1e-10)
    assert inner(f64(a), f64(s), f64(b), f64(t)).item() == pytest.approx(expected, rel=1e-6)


class Quadratic:
    """Gradient descent on a quadratic function with noise: parameters that decay at several rates and fluctuate."""

    def __init__(self, dimensions=64):
        draw = torch.Generator().manual_seed(0)
        self.network = torch.nn.Linear(dimensions, 1, bias=False).double()
        self.weight = self.network.weight.data.copy_(torch.randn(1, dimensions, generator=draw))
        self.curvature, self.draw = torch.logspace(-2, -0.3, dimensions, dtype=torch.float64), draw

    def step(self):
        noise = torch.randn(self.weight.shape, generator=self.draw, dtype=torch.float64)
        self.weight -= self.curvature * self.weight + 0.03 * self.curvature * noise


@pytest.mark.parametrize("steps", [300, 1000, 1023])
def test_an_average_of_any_width_is_what_tracking_it_gives(steps):
    """To 1e-3 of its length for 0.07, although the parameters were 500 times as long at the start.

    Narrower averages depend on the noise of few steps, wider ones on the parameters at the start.
    """
    of_length, of_path = {0.02: 2e-3, 0.05: 1e-9, 0.07: 1e-3, 0.1: 1e-9}, {0.02: 2e-5, 0.07: 4e-6, 0.2: 4e-3}
    toy = Quadratic()
    start, tracked = toy.weight.clone(), {std: toy.weight.clone() for std in of_length | of_path}
    kept = {std: Averages(toy.network, power(std), 32) for std in tracked}
    for step in range(1, steps + 1):
        toy.step()
        for std, average in tracked.items():
            average.lerp_(toy.weight, 1 - power(std).decay(32 * (step - 1), 32))
            kept[std].update(step)
    off = {std: (kept[std].module(steps).weight - average).norm().item() for std, average in tracked.items()}
    path = (toy.weight - start).norm().item()
    assert all(off[std] < bound * tracked[std].norm().item() for std, bound in of_length.items()), off
    assert all(off[std] < bound * path for std, bound in of_path.items()), (off, path)


def test_the_errors_that_the_documentation_states():
    for step in (200, 500, 1500, 2047, 2048, 3000, 4096, 16_384):
        kept = [*(k for k in power(0.1).kept(step) if k < step), step]
        assert all(power(std).error(kept) < 0.011 for std in (0.02, 0.03, 0.05, 0.07, 0.1)), step
        assert all(power(std).error(kept) < 0.08 for std in (0.15, 0.2)), step


def test_few_steps_are_kept_whatever_the_length():
    counts = [len(power(0.1).kept(step)) for step in range(1, 20_000, 7)]
    assert max(counts) == 18
    assert all({*power(0.1).kept(step)} <= {*power(0.1).kept(step - 1), step} for step in range(1, 3000))
    assert power(0.1).kept(1000)[-6:] == (960, 968, 976, 984, 992, 1000)


# Training


def test_the_width_is_chosen_after_training(digits, cache):
    """It is part of the identity of a denoiser, but not of its training; the latest steps have the most weight."""
    wide, narrow = trained(3200, ema=POWER | {"std": 0.2}), trained(3200, ema=POWER | {"std": 0.02})
    assert wide.plan(digits, EDM).key == narrow.plan(digits, EDM).key != trained(3200).plan(digits, EDM).key
    assert wide.identity() != narrow.identity()
    one, other = (state_of(denoiser, digits) for denoiser in (wide, narrow))
    assert same(one, other)
    network, wide_average, narrow_average = (
        torch.cat([p.flatten() for p in module.parameters()]) for module in (one.network, one.average, other.average)
    )
    assert 0 < (narrow_average - network).norm() < 0.5 * (wide_average - network).norm()


def test_a_training_goes_on_bit_by_bit(digits, tmp_path):
    """In parts, the snapshots of which have to be kept; and an earlier end has only those up to it."""
    denoiser = trained(6400, ema=POWER | {"std": 0.07})
    whole = state_of(denoiser, digits)
    for images in (1600, 3200, 4800, 6400):
        part = run_training(denoiser.plan(digits, EDM), images, CPU, Cache(tmp_path / "b"), seen=lambda progress: None)
    assert same(part, whole)
    early = trained(3200, ema=POWER | {"std": 0.07})
    alone = state_of(early, digits, Cache(tmp_path / "c"))
    assert same(state_of(early, digits, Cache(tmp_path / "b")), alone)
    for a, b in zip(part.average.parameters(), whole.average.parameters(), strict=True):
        assert torch.equal(a, b)


def test_snapshots_for_guidance_are_averages_of_their_own_training(digits):
    denoiser = trained(3200, ema=POWER | {"std": 0.07}, snapshots=[0.5])
    state_of(denoiser, digits)
    x, sigma = digits.scaled()[:4], f64(0.5)
    found = denoiser.snapshot(0.5).load(digits, EDM, CPU).bind()(x, sigma)
    alone = trained(1600, ema=POWER | {"std": 0.07}).load(digits, EDM, CPU).bind()(x, sigma)
    assert torch.equal(found, alone)


def test_an_axis_of_widths_trains_once(tmp_path, capfd):
    denoiser = SPEC["denoiser"] | {"training_images": 640, "ema": "power"}
    spec = SPEC | {"denoiser": denoiser, "grid": {"denoiser.ema.std": [0.05, 0.1, 0.2]}, "num_steps": 4}
    ablation = load(write_spec(tmp_path, **spec))
    assert ["training" in row.parts for row in dry_run(ablation, out=tmp_path)] == [True, False, False]
    results = run(ablation, out=tmp_path / "reports")
    assert results.failures == []
    assert capfd.readouterr().err.count(" training: 640 of 640 images") == 1
    assert results.frame["frechet"].nunique() == 3
    assert {row.network for row in results.rows()} == {results.rows()[0].network}


def test_every_width_of_a_training_is_exported(tmp_path, digits):
    denoiser = SPEC["denoiser"] | {"training_images": 640, "ema": "power"}
    spec = SPEC | {"denoiser": denoiser, "grid": {"denoiser.ema.std": [0.05, 0.2]}, "num_steps": 4}
    path = write_spec(tmp_path, **spec)
    done = CliRunner().invoke(app, ["train", str(path), "--export", str(tmp_path / "models")])
    assert done.exit_code == 0, done.stderr
    models = sorted((tmp_path / "models").glob("*.json"))
    assert [model.stem.partition("-")[2] for model in models] == ["640-std0.05", "640-std0.2"]
    x, sigma = digits.scaled()[:4], f64(0.5)
    for model, std in zip(models, (0.05, 0.2), strict=True):
        assert read(model).about["denoiser"]["ema"] == {"name": "power", "std": std}
        mine = ds.Denoiser.model_validate({"name": "pretrained", "model": str(model.with_suffix(""))})
        other = ds.Denoiser.model_validate(denoiser | {"ema": {"name": "power", "std": std}})
        got, want = (each.load(digits, EDM, CPU).bind()(x, sigma) for each in (mine, other))
        torch.testing.assert_close(got, want)


def test_a_width_that_the_snapshots_do_not_give_is_told(tmp_path):
    denoiser = SPEC["denoiser"] | {"ema": "power"}
    spec = SPEC | {"denoiser": denoiser, "grid": {"denoiser.ema.std": [0.02, 0.05, 0.1, 0.2, 0.27]}, "num_steps": 4}
    (text,) = (text for text in load(write_spec(tmp_path, **spec)).warnings if "std" in text)
    assert text.endswith(
        "denoiser: the snapshots of 200 steps give the average power(std=0.27) with weights that are off by 30%: "
        "choose another width, or train for longer"
    )


# Earlier versions


def test_the_former_fields_are_read():
    made = ds.Denoiser.get("trained").model_validate
    old = made({"network": "mlp", "ema_half_life": 640, "ema_ramp_up": 0.2, "ema_sigma_rel": None})
    assert old == made({"network": "mlp", "ema": {"name": "half_life", "half_life": 640, "ramp_up": 0.2}})
    assert made({"network": "mlp", "ema_sigma_rel": 0.07}).ema == power(0.07)
    assert not {"ema_half_life", "ema_ramp_up", "ema_sigma_rel"} & ds.Denoiser.get("trained").model_fields.keys()
    given = {name: old.identity().get(name) for name in ("ema_half_life", "ema_ramp_up", "ema_sigma_rel", "ema")}
    assert given == {"ema_half_life": 640.0, "ema_ramp_up": 0.2, "ema_sigma_rel": None, "ema": None}
    assert json.loads(old.model_dump_json())["ema"] == {"name": "half_life", "half_life": 640.0, "ramp_up": 0.2}


def test_former_and_new_fields_do_not_mix(tmp_path):
    spec = SPEC | {"denoiser": SPEC["denoiser"] | {"ema_half_life": 640, "ema": "power"}}
    with pytest.raises(ds.SpecError, match="ema_half_life is a field of ema now"):
        load(write_spec(tmp_path, **spec))
