"""Training: Eq. 8, what is recorded and saved, and that interruptions change nothing."""

import math
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from conftest import f64
from pipeline import write_spec
from training_stand_in import SPEC, trained
from typer.testing import CliRunner

import designspace as ds
from designspace.cli.app import app
from designspace.data.images import Images
from designspace.interrupts import Interrupted, deferred, handled
from designspace.run.estimate import dry_run
from designspace.run.run import run
from designspace.spec import load
from designspace.storage.cache import Cache
from designspace.training.batches import Batches
from designspace.training.checkpoints import trained as run_training
from designspace.training.export import export, read
from designspace.training.loop import DivergedError
from designspace.training.loss import BINS, bin_levels, bin_of, errors
from designspace.training.recipe import Recipe
from designspace.training.state import learning_rate
from designspace.training.transform import Draw, geometric, warp

CPU = torch.device("cpu")
HERE = Path(__file__).parent / "training_stand_in.py"
EDM = ds.Design.preset("edm")
pytestmark = pytest.mark.usefixtures("cache")


def state_of(denoiser, data, design=EDM):
    quiet = lambda progress: None  # noqa: E731
    return run_training(denoiser.plan(data, design), denoiser.training_images, CPU, seen=quiet)


def same(one, other):
    a, b = one.tensors(), other.tensors()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# The loss


@pytest.mark.parametrize("preset", ["ddpm", "iddpm", "vp", "ve", "edm"])
def test_the_loss_of_the_ideal_denoiser_of_gaussian_data(preset):
    """It is the weight times the posterior variance."""
    design, std = ds.Design.preset(preset), 0.5
    sigma = f64([0.02, 0.1, 1.0, 10.0]).repeat_interleave(20_000)
    draw = torch.Generator().manual_seed(0)
    y, noise = (torch.randn(len(sigma), 4, generator=draw) for _ in range(2))

    def D(x, level):
        return (x.double() * (std**2 / (std**2 + level[:, None] ** 2))).float()

    found = errors(D, design, std * y, sigma, noise).reshape(4, -1).double()
    level = f64([0.02, 0.1, 1.0, 10.0])
    expected = design.loss_weight(level) * std**2 * level**2 / (std**2 + level**2)
    torch.testing.assert_close(found.mean(1), expected, rtol=0.02, atol=0)  # 8 standard errors


def test_bins_are_even_in_the_logarithm_and_keep_what_lies_outside():
    assert torch.equal(bin_of(bin_levels()), torch.arange(BINS))
    assert bin_of(f64([1e-9, 1e9])).tolist() == [0, BINS - 1]


# What a step sees


def batches(data, **fields):
    given = {"augmentation": None, "seed": 0, "size": 32, "labelled": False, "device": CPU} | fields
    return Batches.of(data, EDM, **given)


def test_every_image_is_used_once_per_epoch_in_a_new_order():
    pixels = torch.arange(50, dtype=torch.uint8).reshape(50, 1, 1, 1)
    make = batches(Images(pixels), size=20)
    seen = torch.cat([((make(step).y + 1) * 127.5).round().flatten() for step in range(5)]).long()
    first, second = seen[:50], seen[50:]
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(50))
    assert first.tolist() != second.tolist()


def test_a_step_is_a_function_of_seed_and_step(digits):
    a, b, c = batches(digits)(7), batches(digits)(7), batches(digits, seed=1)(7)
    assert all(torch.equal(getattr(a, k), getattr(b, k)) for k in ("y", "sigma", "noise"))
    assert not torch.equal(a.noise, c.noise)
    assert not torch.equal(a.noise, batches(digits)(8).noise)


def test_labels_go_with_their_images(digits):
    batch = batches(digits, labelled=True)(3)
    flat = digits.scaled().flatten(1)
    places = [int((flat == y).all(1).nonzero()[0]) for y in batch.y.flatten(1)]
    assert torch.equal(digits.labels[places], batch.labels)


def test_augmentation_labels_go_with_their_images(digits):
    """They are zero for unchanged images, and the network learns to use them for the others."""
    edm = ds.Augmentation.get("edm")(x_flip=0.1, geometric=0.2)
    plain, batch = batches(digits, size=256)(3), batches(digits, size=256, augmentation=edm)(3)
    assert torch.equal(batch.sigma, plain.sigma)
    quiet = (batch.augment == 0).all(1)
    assert 20 < quiet.sum() < 200
    same_images = (batch.y == plain.y).flatten(1).all(1)
    assert torch.equal(quiet, same_images)
    denoiser = trained(320, augmentation={"name": "edm", "geometric": 0.5})
    columns = slice(-batch.augment.shape[1], None)
    before, after = (
        n.level.weight[:, columns] for n in (denoiser.plan(digits, EDM).build(), state_of(denoiser, digits).network)
    )
    assert ((after - before).abs().amax(0) > 0).sum() >= 8


# Augmentation


def test_what_is_not_transformed_stays_and_says_so():
    images = torch.rand(200, 3, 8, 8) * 2 - 1
    edm = ds.Augmentation.get("edm")(x_flip=0.1, geometric=0.1, colour=0.1)
    found, told = edm(images, torch.Generator().manual_seed(0))
    quiet = ~told.any(1)
    assert 20 < quiet.sum() < 180
    assert torch.equal(found[quiet], images[quiet])
    assert ((found - images).abs().flatten(1).amax(1) > 0.01)[~quiet].float().mean() > 0.95


def test_transformations_are_as_frequent_and_as_large_as_in_the_paper():
    """Frequencies and moments of the labels on 20,000 images, within 4.5 standard errors.

    Karras et al. (2022), Appendix F.2: x-flips with probability 1/2, everything else with 0.12, of which half are
    y-flips; both shifts happen together, and half of the directions of stretching are 0.
    """
    n = 20_000
    edm = ds.Augmentation.get("edm")()
    _, told = edm(torch.zeros(n, 1, 8, 8), torch.Generator().manual_seed(0))
    assert told.shape == (n, edm.size) == (n, 9)
    flip_x, flip_y, scale, cos, sin, along, across, x, y = told.double().unbind(1)
    happened = [flip_x, flip_y, scale, sin, along, across, x, y, ~told.any(1), (scale != 0) & (x != 0)]
    expected = [0.5, 0.06, 0.12, 0.12, 0.12, 0.06, 0.12, 0.12, 0.5 * 0.94 * 0.88**4, 0.12**2]
    for column, p in zip(happened, expected, strict=True):
        assert float((column != 0).double().mean()) == pytest.approx(p, abs=4.5 * math.sqrt(p * (1 - p) / n))
    assert torch.equal(x != 0, y != 0)
    assert set(flip_x.tolist()) == set(flip_y.tolist()) == {0, 1}
    moments = [  # labels of the images that were transformed, their mean square, and the variance of their squares
        (scale[scale != 0], 1, 2),
        (1 + cos[sin != 0], 1 / 2, 1 / 8),
        (sin[sin != 0], 1 / 2, 1 / 8),
        (along[along != 0], 3 / 4, 3 / 2),
        (across[along != 0], 1 / 4, 1 / 2),
        (x[x != 0], 1, 2),
        (y[y != 0], 1, 2),
    ]
    for seen, square, variance in moments:
        assert float(seen.square().mean()) == pytest.approx(square, abs=4.5 * math.sqrt(variance / len(seen)))
        assert float(seen.mean()) == pytest.approx(0, abs=4.5 * math.sqrt(square / len(seen)))


def test_flips_are_exact_and_told():
    images = torch.rand(1000, 1, 8, 8)
    found, told = ds.Augmentation.get("edm")(geometric=0.2)(images, torch.Generator().manual_seed(1))
    for column, axis in ((0, 3), (1, 2)):
        alone = (told[:, column] == 1) & (told.count_nonzero(1) == 1)
        assert alone.any()
        assert torch.equal(found[alone], images[alone].flip(axis))


def test_a_quarter_turn_keeps_shapes_and_a_shift_is_a_share_of_the_longer_side():
    images = torch.zeros(1, 1, 8, 16)
    images[..., 3:5, 4:12] = 1  # 2 high, 8 wide
    turned = warp(images, f64([[[0, -1, 0], [1, 0, 0], [0, 0, 1]]]).float())
    assert (turned[0, 0, :, 7:9] > 0.9).all()
    assert (turned[0, 0, :, [5, 10]].abs() < 0.1).all()
    shifted = warp(images, f64([[[1, 0, 0.25], [0, 1, 0], [0, 0, 1]]]).float())
    torch.testing.assert_close(shifted[..., 4:], images.roll(2, 3)[..., 4:], rtol=0, atol=1e-4)


def test_labels_say_the_geometry():
    """The matrix, reconstructed from the labels: they leave open only whether w or -w stretches the image."""
    matrix, told = geometric(Draw(300, 0.6, torch.Generator().manual_seed(0)))
    scale, cos, sin, along, across, x, y = told.double().unbind(1)
    eye = torch.eye(3, dtype=torch.float64).repeat(300, 1, 1)
    turn, move, pull = (eye.clone() for _ in range(3))
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1] = 1 + cos, sin, -sin, 1 + cos
    move[:, 0, 2], move[:, 1, 2] = x / 4, y / 4  # an eighth of a side of length 2
    size = torch.hypot(along, across)
    double = 2 * torch.atan2(across, along)  # the direction r is at -r in pixel coordinates, where y points down
    traceless = torch.stack([double.cos(), -double.sin(), -double.sin(), -double.cos()], 1).reshape(-1, 2, 2)
    gaps = []
    for w in (size, -size):
        pull[:, :2, :2] = torch.linalg.matrix_exp(0.2 * math.log(2) * w[:, None, None] * traceless)
        grown = eye * torch.stack([2 ** (0.2 * scale)] * 2 + [torch.ones_like(scale)], 1)[:, None]
        gaps.append((move @ pull @ turn @ grown - matrix.double()).abs().amax((1, 2)))
    assert torch.minimum(*gaps).max() < 1e-5
    assert all((gap[size > 0] < 1e-5).any() for gap in gaps)


def test_a_hue_turn_keeps_grey_and_brightness():
    images = torch.rand(50, 3, 4, 4)
    found, told = ds.Augmentation.get("edm")(x_flip=0, geometric=0, colour=1)(images, torch.Generator().manual_seed(2))
    want = (images.mean(1) + 0.2 * told[:, 9, None, None]) * 2 ** (0.5 * told[:, 10, None, None])
    torch.testing.assert_close(found.mean(1), want, rtol=1e-4, atol=1e-4)
    grey = images.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    turned, _ = ds.Augmentation.get("edm")(x_flip=0, geometric=0, colour=1)(grey, torch.Generator().manual_seed(2))
    torch.testing.assert_close(turned.std(1), torch.zeros(50, 4, 4), rtol=0, atol=1e-5)


# The moving average


def test_half_of_the_average_is_forgotten_in_a_half_life():
    half_life, late = ds.EMA.get("half_life")(half_life=1000), 1_000_000
    kept = math.prod(half_life.decay(late + 50 * k, 50) for k in range(20))
    assert kept == pytest.approx(0.5)


def test_the_ramps_count_the_images_before_a_step():
    """Karras et al. (2022), Appendix F.2."""
    half_life, recipe = ds.EMA.get("half_life")(half_life=1000), Recipe(batch_size=50, learning_rate=0.2, warm_up=400)
    decays = [half_life.decay(images, 50) for images in (0, 2000, 20_000)]
    assert decays == pytest.approx([0, 0.5 ** (50 / 100), 0.5**0.05])
    assert [learning_rate(recipe, images) for images in (0, 50, 400, 401)] == pytest.approx([0, 0.025, 0.2, 0.2])
    abrupt = Recipe(batch_size=50, warm_up=0)
    assert [learning_rate(abrupt, images) for images in (0, 50)] == [0, abrupt.learning_rate]
    falling = recipe.model_copy(update={"decay_after": 1000.0})
    assert [learning_rate(falling, images) for images in (200, 1000, 4000)] == pytest.approx([0.1, 0.2, 0.1])


def test_the_average_moves_by_1_minus_beta_towards_each_steps_parameters(digits):
    """Three steps of 32 images, computed by hand from the parameters after each."""
    ema = ds.EMA.get("half_life")(half_life=640, ramp_up=0.5)
    states = [state_of(trained(32 * k, ema=ema), digits) for k in (1, 2, 3)]
    betas = [ema.decay(images, 32) for images in (32, 64)]
    assert all(0 < beta < 0.9 for beta in betas)
    networks = (*(state.network for state in states), states[-1].average)
    for a, b, c, average in zip(*(network.parameters() for network in networks), strict=True):
        expected = torch.lerp(torch.lerp(b, a, betas[0]), c, 1 - betas[1])
        torch.testing.assert_close(average, expected, rtol=1e-5, atol=1e-7)
    assert not torch.equal(next(states[1].network.parameters()), next(states[2].network.parameters()))


def test_the_first_steps_are_as_long_as_the_warm_up_says(digits):
    """The first step is 0; each of Adam's next ones is at most about the learning rate, here 32 / 320 of 0.01."""
    plan = trained(32, learning_rate=0.01, warm_up=320).plan(digits, EDM)
    first, second = (state_of(trained(32 * k, learning_rate=0.01, warm_up=320), digits).network for k in (1, 2))
    start = plan.build().state_dict()
    assert all(torch.equal(start[key], value) for key, value in first.state_dict().items())
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    moved = torch.cat([(after - before).abs().flatten() for before, after in pairs])
    assert 0.0005 < moved.max().item() < 0.0011


# Training


def test_training_lowers_the_loss_and_averages_the_parameters(digits):
    state = state_of(trained(32_000), digits)
    assert state.record.mean[-1] < 0.8 * state.record.mean[0]
    assert state.record.images == [3200 * k for k in range(1, 11)]
    assert all(counts.sum() == 3200 for counts in state.record.counts)
    pairs = zip(state.average.parameters(), state.network.parameters(), strict=True)
    assert all(not torch.equal(average, parameter) for average, parameter in pairs)


def test_parts_of_a_batch_add_up_to_it(digits):
    whole, parts = (state_of(trained(320, accumulate=k), digits) for k in (1, 3))
    for a, b in zip(whole.network.parameters(), parts.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_more_images_go_on_where_fewer_ended_and_fewer_are_found(digits, cache):
    alone = state_of(trained(640), digits)
    again = state_of(trained(1280), digits)
    cache_files = len(list((cache.root / "training").rglob("*.safetensors")))
    assert same(state_of(trained(640), digits), alone)
    assert same(state_of(trained(1280), digits), again)
    assert len(list((cache.root / "training").rglob("*.safetensors"))) == cache_files
    for file in (cache.root / "training").rglob("*.safetensors"):
        file.unlink()
    assert same(state_of(trained(1280), digits), again)


def test_a_killed_run_goes_on_as_if_it_had_not_been(digits, cache, tmp_path):
    """The result is bitwise identical after being killed twice."""
    whole = state_of(trained(6400), digits)
    for file in (cache.root / "training").rglob("*.safetensors"):
        file.unlink()
    script = Path(__file__).parent / "training_stand_in.py"
    environment = os.environ | {"PYTHONPATH": str(Path(ds.__file__).parents[1])}
    seen = 0
    for _ in range(2):
        process = subprocess.Popen([sys.executable, script, "6400"], env=environment, stderr=subprocess.DEVNULL)
        while not (newer := newest(cache.root)) or newer <= seen:
            assert process.poll() is None, "it was not killed in time"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen = newest(cache.root)
    assert same(state_of(trained(6400), digits), whole)


def newest(root):
    files = list((root / "training").rglob("*.safetensors"))
    return max((file.stat().st_mtime_ns for file in files), default=0)


def test_channels_last_goes_on_where_it_ended(digits, tmp_path):
    """The optimizer's moments are kept in another order in memory than that of the parameters."""
    whole = state_of(trained(640, channels_last=True), digits)
    plan = trained(640, channels_last=True).plan(digits, EDM)
    for images in (320, 640):
        state = run_training(plan, images, CPU, Cache(tmp_path / "other"), seen=lambda progress: None)
    assert same(state, whole)


def test_a_time_limit_keeps_what_was_trained(digits, cache):
    """``seen`` may raise; training then resumes from there and ends as if nothing had happened."""
    whole = state_of(trained(9600), digits)
    for file in (cache.root / "training").rglob("*.safetensors"):
        file.unlink()
    seen = []

    def out_of_time(progress):
        seen.append(progress.images)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        run_training(trained(9600).plan(digits, EDM), 9600, CPU, seen=out_of_time)
    state = run_training(trained(9600).plan(digits, EDM), 9600, CPU, seen=lambda progress: seen.append(progress.images))
    assert seen == [3200, 6400, 9600]
    assert same(state, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_training_after_the_step_and_saves_it(digits, cache, monkeypatch, number):
    monkeypatch.setattr("designspace.training.loop.PATIENCE", 0.0)
    plan, before, seen = trained(160).plan(digits, EDM), signal.getsignal(number), []

    def interrupt(progress):
        seen.append(progress.images)
        if progress.images == 64:
            signal.raise_signal(number)

    with pytest.raises(Interrupted) as interrupted:
        run_training(plan, 160, CPU, seen=interrupt)
    assert str(interrupted.value) == "interrupted: training saved at 64 of 160 images; run again to continue"
    assert interrupted.value.status == 128 + number
    assert signal.getsignal(number) == before
    state = run_training(plan, 160, CPU, seen=interrupt)
    assert seen == [32, 64, 96, 128, 160]
    assert same(state, run_training(plan, 160, CPU, Cache(cache.root / "whole"), seen=lambda progress: None))


def test_a_second_ctrl_c_ends_training_at_once(digits, monkeypatch):
    monkeypatch.setattr("designspace.training.loop.PATIENCE", 0.0)

    def interrupt_twice(progress):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)  # a cluster may repeat it while the training is saved
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("training went on")

    with pytest.raises(Interrupted, match=r"^interrupted; run again to continue$"):
        run_training(trained(160).plan(digits, EDM), 160, CPU, seen=interrupt_twice)


def test_a_shorter_training_is_saved_beside_a_longer_one(digits, monkeypatch):
    """Both resume where they ended."""
    monkeypatch.setattr("designspace.training.loop.PATIENCE", 0.0)
    long = state_of(trained(160, snapshots=[]), digits)
    seen = []

    def once(progress):
        seen.append(progress.images)
        if progress.images == 64:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        run_training(trained(96).plan(digits, EDM), 96, CPU, seen=once)
    run_training(trained(96).plan(digits, EDM), 96, CPU, seen=once)
    assert seen == [32, 64, 96]
    assert same(state_of(trained(160), digits), long)


def test_workers_save_their_training_when_the_run_is_interrupted(tmp_path, cache):
    """The signal reaches only the process of the run, which passes it on."""
    denoiser = SPEC["denoiser"] | {"training_images": 10**8}
    spec = write_spec(tmp_path, **SPEC | {"denoiser": denoiser, "grid": {"loss_weight": ["edm", "ve"]}, "num_steps": 4})
    command = [sys.executable, "-m", "designspace", "run", spec, "--workers", "2"]
    environment = os.environ | {"PYTHONPATH": str(Path(ds.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as process:
        lines = []
        while len({line.partition(":")[0] for line in lines if ": training: " in line}) < 2:
            lines.append(process.stderr.readline())
            assert process.poll() is None, lines
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    assert process.returncode == 143
    assert len(re.findall("interrupted: training saved at [0-9,]+ of 100,000,000 images; run again", rest)) == 2, rest
    assert rest.splitlines()[-1] == "interrupted; run again to continue"
    assert "Traceback" not in rest
    assert len(list((cache.root / "training").rglob("*.safetensors"))) == 2


def test_a_damaged_state_is_set_aside(digits, cache):
    whole = state_of(trained(640), digits)
    for file in (cache.root / "training").rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-10])
    with pytest.warns(UserWarning, match="damaged"):
        assert same(state_of(trained(640), digits), whole)


@pytest.mark.parametrize("learning_rate", [1e3, 1e30])
def test_divergence_stops_with_a_record(digits, learning_rate):
    with pytest.raises(DivergedError, match=r"training diverged: loss .* at .* images, .* at the start"):
        state_of(trained(32_000, learning_rate=learning_rate, warm_up=0), digits)


def test_dropout_is_a_function_of_seed_and_step(digits, tmp_path):
    network = {"name": "module", "factory": f"{HERE}:with_dropout"}
    torch.manual_seed(1)
    whole = state_of(trained(640, network=network), digits)
    plan = trained(640, network=network).plan(digits, EDM)
    for images in (320, 640):
        state = run_training(plan, images, CPU, Cache(tmp_path / "other"), seen=lambda progress: None)
    assert same(state, whole)


def test_tied_frozen_and_running_values_of_a_network(digits):
    """Tied values stay equal, frozen ones unchanged, and running ones are copied to the average."""
    denoiser = trained(640, network={"name": "module", "factory": f"{HERE}:peculiar"})
    state = state_of(denoiser, digits)
    again = state_of(denoiser, digits)
    assert same(state, again)
    for network in (state.network, state.average, again.average):
        assert torch.equal(network.first.weight, network.second.weight)
        assert torch.equal(network.frozen, denoiser.plan(digits, EDM).build().frozen)
    assert torch.equal(state.average.norm.running_var, state.network.norm.running_var)
    assert not torch.equal(state.average.norm.running_var, torch.ones(8))


def test_a_slow_entry_is_told_of_and_kept(digits, cache, monkeypatch):
    monkeypatch.setattr("designspace.training.loop.PATIENCE", 0.0)
    seen = []
    state = run_training(trained(160).plan(digits, EDM), 160, CPU, seen=lambda progress: seen.append(progress.images))
    assert seen == [32, 64, 96, 128, 160]
    monkeypatch.undo()
    assert same(state, run_training(trained(160).plan(digits, EDM), 160, CPU, Cache(cache.root / "b"), seen=print))


@pytest.mark.parametrize(
    ("told", "evaluated", "message"),
    [(True, "none", "is trained with labels and without"), (False, "data", "is trained without class labels")],
)
def test_a_network_is_sampled_as_it_is_trained(tmp_path, told, evaluated, message):
    spec = SPEC | {
        "denoiser": SPEC["denoiser"] | {"labels": told},
        "evaluate": SPEC["evaluate"] | {"labels": evaluated},
    }
    with pytest.raises(ds.SpecError, match=message):
        run(load(write_spec(tmp_path, **spec)), out=tmp_path)


def test_nothing_random_is_taken_from_torch(digits):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    state_of(trained(320), digits)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "fields",
    [
        {"labels": True},
        {"augmentation": {"name": "edm", "geometric": 0.5}},
        {"precision": "bf16"},
        {"channels_last": True},
    ],
    ids=str,
)
def test_options_train_and_sample(digits, fields):
    """All options reduce the initial error (F = 0), and deviate from plain training as much as intended."""
    denoiser, plain = trained(3200, **fields), trained(3200)
    assert denoiser.plan(digits, EDM).key != plain.plan(digits, EDM).key
    y, labels, sigma = digits.scaled()[:200], digits.labels[:200], f64(0.5)
    x = y + 0.5 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    D, without = denoiser.load(digits, EDM, CPU), plain.load(digits, EDM, CPU).bind()(x, sigma)
    told = labels if "labels" in fields else None
    found = D.bind(told)(x, sigma)
    assert (found - y).square().mean() < 0.9 * (EDM.c_skip(sigma) * x - y).square().mean()
    off = float((found - without).square().mean().sqrt() / (without - EDM.c_skip(sigma) * x).square().mean().sqrt())
    low, high = {"precision": (1e-5, 0.02), "channels_last": (0, 1e-4)}.get(next(iter(fields)), (0.05, 1))
    assert low <= off < high
    if told is not None:
        assert not torch.allclose(D.bind((labels + 1) % 10)(x, sigma), found, atol=1e-3)


# As a stage


def test_trials_share_what_they_can(tmp_path):
    """Two solvers, one network; another training row, another network."""
    load(write_spec(tmp_path, **SPEC))
    trials = load(
        write_spec(tmp_path, **SPEC | {"grid": {"loss_weight": ["edm", "ve"], "solver": ["euler", "heun"]}})
    ).trials()
    keys = [t.denoiser.plan(t.data.load(), t.design).key for t in trials]
    assert len(set(keys)) == 2
    assert keys[0] == keys[1] != keys[2] == keys[3]


def test_an_ablation_trains_once_and_reads_intermediate_images(tmp_path, capfd):
    spec = SPEC | {"grid": {"training_images": [0, 640, 1280], "solver": ["euler", "heun"]}, "num_steps": 4}
    ablation = load(write_spec(tmp_path, **spec))
    results = run(ablation, out=tmp_path / "reports")
    assert results.failures == []
    lines = [line.partition(" training: ") for line in capfd.readouterr().err.splitlines()]
    assert [text.split()[0] for _, found, text in lines if found] == ["640", "1,280"]
    assert results.frame["frechet"].nunique() == 6


def test_a_run_shows_training_among_its_trials(tmp_path, capfd):
    """There are progress lines, also from worker processes, and none if progress is switched off."""
    spec = write_spec(tmp_path, **SPEC | {"denoiser": SPEC["denoiser"] | {"warm_up": 320}})
    run(load(spec), out=tmp_path / "quiet", progress=False)
    assert capfd.readouterr().err == ""
    said = r"^\[0/2\] solver=\w+, num_steps=4: training: 6,400 of 6,400 images, [\d,]+ images/s, loss [\d.]+, 0 s left$"
    for workers in (1, 2):
        shutil.rmtree(tmp_path / "cache")
        run(load(spec), out=tmp_path / f"of {workers}", workers=workers)
        shown = capfd.readouterr().err
        assert len(re.findall(said, shown, re.MULTILINE)) == 1, shown


def test_a_bar_on_a_terminal(tmp_path):
    """``train`` shows one by itself, and ``run`` shows it among its trials without other output."""
    spec, longer = write_spec(tmp_path, **SPEC), "denoiser.training_images=16000"
    alone = on_a_terminal(tmp_path, "-m", "designspace", "train", spec)
    assert re.search(r"training .* 6,400 of 6,400 images, [\d,]+ images/s, loss [\d.]+, 0 s left", alone)
    code = "import designspace as ds, sys; ds.run(ds.load(*sys.argv[1:2], sys.argv[2:]))"
    among = on_a_terminal(tmp_path, "-c", code, spec, longer)
    assert re.search(r"solver=euler, num_steps=4 .* training, [\d,]+ images/s, loss [\d.]+, \d+ s left", among)
    assert "of 16,000 images" not in among


def on_a_terminal(folder, *arguments):
    """What Python shows with these arguments on a pseudo-terminal with 120 columns."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(Path(ds.__file__).parents[1]), "COLUMNS": "120", "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, *arguments], stderr=theirs, stdout=subprocess.DEVNULL, env=environment, cwd=folder
    ) as process:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # Linux's way to say that nobody has it open any more
            while part := os.read(ours, 65536):
                said += part
    os.close(ours)
    assert process.returncode == 0, said.decode()
    return said.decode()


def test_a_dry_run_does_not_train(tmp_path, cache):
    denoiser = SPEC["denoiser"] | {"training_images": 64_000}
    rows = dry_run(load(write_spec(tmp_path, **SPEC | {"denoiser": denoiser})), out=tmp_path)
    assert ["training" in row.parts for row in rows] == [True, False]  # which they share
    assert not (cache.root / "training").exists()


def test_a_dry_run_estimates_the_training_that_is_left(tmp_path):
    """Trainings of 1, 2 and 4 units of images for two seeds, of which one unit of one is in the cache."""
    grid = {"training_images": [16_000, 32_000, 64_000]}
    spec = SPEC | {"grid": grid, "num_steps": 4, "evaluate": SPEC["evaluate"] | {"repeats": 2}}
    ablation = load(write_spec(tmp_path, **spec))
    first = ablation.points()[0].trial
    run_training(first.denoiser.plan(first.data.load(), first.design), 16_000, CPU, seen=lambda progress: None)
    rows = dry_run(ablation, out=tmp_path)
    assert [row.repeat for row in rows] == [1, 2] * 3
    unit = rows[1].parts["training"]
    assert [row.parts.get("training", 0) / unit for row in rows] == pytest.approx([0, 1, 1, 1, 2, 2])


def test_divergence_fails_a_trial_and_not_the_ablation(tmp_path):
    spec = SPEC | {"grid": {"denoiser.learning_rate": [1e-3, 1e30]}, "num_steps": 4}
    results = run(load(write_spec(tmp_path, **spec)), out=tmp_path / "reports", progress=False)
    assert len(results.rows()) == 1
    assert "training diverged" in results.failures[0].error


def test_a_denoiser_that_was_exported_is_the_same(tmp_path, digits):
    spec = write_spec(tmp_path, **SPEC)
    done = CliRunner().invoke(app, ["train", str(spec), "--export", str(tmp_path / "models")])
    assert done.exit_code == 0, done.stderr
    assert "6,400 images, loss" in done.stdout
    path = min((tmp_path / "models").glob("*.json"), key=lambda path: len(path.name))  # and those of its snapshots
    about = read(path).about
    assert about["data"]["sha256"] == digits.content_hash
    assert about["loss"]["images"][-1] == about["images"] == 6400
    load(spec)  # registers the network
    x, sigma = torch.randn(3, 1, 8, 8), torch.tensor(0.7, dtype=torch.float64)
    mine = ds.Denoiser.model_validate({"name": "pretrained", "model": str(path.with_suffix(""))})
    other = ds.Denoiser.model_validate(SPEC["denoiser"])
    got, want = (d.load(digits, ds.Design.preset(p), CPU).bind()(x, sigma) for d, p in ((mine, "ve"), (other, "edm")))
    torch.testing.assert_close(got, want)


def test_half_precision_is_half_the_size_and_computes_in_single(tmp_path, digits):
    denoiser = trained(3200)
    state, plan = state_of(denoiser, digits), denoiser.plan(digits, EDM)
    for half in (False, True):
        export(state, plan, tmp_path / f"half={half}", CPU, half=half)
    whole, small = (tmp_path / f"half={half}" for half in (False, True))
    assert {tensor.dtype for tensor in read(small).parameters.values()} == {torch.float16}
    mine = ds.Denoiser.model_validate({"name": "pretrained", "model": str(small)}).load(digits, EDM, CPU)
    for name, parameter in mine.network.named_parameters():
        assert torch.equal(parameter, read(whole).parameters[name].half().float())
    x, sigma = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)), f64(0.7)
    exact = denoiser.load(digits, EDM, CPU).bind()(x, sigma)
    torch.testing.assert_close(mine.bind()(x, sigma), exact, rtol=0, atol=2e-3 * exact.std().item())  # 2^-11 and sums


def test_parameters_too_large_for_half_precision_are_refused(tmp_path, digits):
    denoiser = trained(3200)
    state = state_of(denoiser, digits)
    next(state.average.parameters()).data.fill_(1e5)
    with pytest.raises(ds.DataError, match="above 65504 do not fit into float16"):
        export(state, denoiser.plan(digits, EDM), tmp_path / "model", CPU, half=True)
    assert list(tmp_path.glob("model*")) == []


def test_a_model_that_is_not_there_is_named(tmp_path):
    denoiser = ds.Denoiser.model_validate({"name": "pretrained", "model": "digit"})
    with pytest.raises(ds.DataError, match="there is no model 'digit'"):
        denoiser.require()


@pytest.mark.parametrize(
    ("model", "data"), [("digits", {"name": "digits"}), ("fashion_mnist", {"name": "fashion_mnist", "size": 32})]
)
def test_a_shipped_denoiser_is_what_its_file_says(model, data):
    denoiser = ds.Denoiser.model_validate({"name": "pretrained", "model": model})
    denoiser.require()
    about = read(denoiser.path).about
    try:
        images = ds.Data.model_validate(data).load()
    except ds.DataError as missing:
        pytest.skip(str(missing))
    assert about["data"]["sha256"] == images.content_hash
    rows = {row: about["design"][row] for row in ("c_skip", "c_out", "c_in", "c_noise", "loss_weight")}
    design, some = ds.Design.preset("edm", **rows), images.scaled()[:: len(images) // 400][:400]
    noise = torch.randn(some.shape, generator=torch.Generator().manual_seed(0))
    place = min(range(BINS), key=lambda k: abs(about["loss_by_sigma"]["sigma"][k] - 0.5))
    sigma = f64([about["loss_by_sigma"]["sigma"][place]]).expand(len(some))
    D = denoiser.load(images, EDM, CPU).bind()
    found = torch.cat(
        [errors(D, design, *part) for part in zip(*(x.split(100) for x in (some, sigma, noise)), strict=True)]
    )
    assert found.mean().item() == pytest.approx(about["loss_by_sigma"]["mean"][place], rel=0.15)


def test_an_interruption_does_not_end_a_later_training_in_a_thread():
    with pytest.raises(Interrupted), handled():
        signal.raise_signal(signal.SIGINT)
    asked = []

    def work():
        with deferred() as interrupted:
            asked.append(interrupted())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [False]
