"""Rows of training that change in training: the learned loss weight and the adaptive noise distribution."""

import math

import pytest
import torch
from conftest import f64
from pipeline import write_spec
from training_stand_in import SPEC, trained

import designspace as ds
from designspace.evaluation.denoiser_probe import denoising
from designspace.report import Study
from designspace.report.figures.profiles import LEARNED, draw, profile_panels
from designspace.run.run import run
from designspace.spec import load
from designspace.storage.cache import Cache
from designspace.training.batches import Batches
from designspace.training.checkpoints import trained as run_training
from designspace.training.loss import bin_levels, errors
from designspace.training.rows import AdaptedLevels, LearnedWeight

CPU = torch.device("cpu")
BOTH = ds.Design.preset("edm", loss_weight="uncertainty", noise_distribution="adaptive")
pytestmark = pytest.mark.usefixtures("cache")


def state_of(denoiser, data, design=BOTH, cache=None):
    quiet = lambda progress: None  # noqa: E731
    return run_training(denoiser.plan(data, design), denoiser.training_images, CPU, cache, seen=quiet)


def same(one, other):
    a, b = (state.tensors() for state in (one, other))
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# The learned loss weight


def gaussian_errors(sigma, std=0.5, d=16):
    """The weighted errors of the ideal denoiser of Gaussian data: their mean is that of the posterior variance."""
    design = ds.Design.preset("edm", loss_weight="uncertainty")
    draw = torch.Generator().manual_seed(0)
    y, noise = (torch.randn(len(sigma), d, generator=draw) for _ in range(2))

    def D(x, level):
        return (x.double() * (std**2 / (std**2 + level[:, None] ** 2))).float()

    return errors(D, design, std * y, sigma, noise)


def test_at_the_optimum_the_learned_loss_is_the_mean_error():
    """The gradient vanishes there, within 4 standard errors, and not if the learned loss is a quarter lower."""
    weight = ds.LossWeight.get("uncertainty")(channels=64).learned()
    levels = torch.logspace(-1.5, 1, 12, dtype=torch.float64)
    mean = ds.LossWeight.get("edm")()(levels) * 0.25 * levels**2 / (0.25 + levels**2)  # lambda times the variance
    sigma = levels.repeat_interleave(4000)
    found = gaussian_errors(sigma)
    features = torch.stack([weight.expected(levels).log() for weight.weight.data in torch.eye(64)], 1)
    for factor, vanishes in ((1.0, True), (0.75, False)):
        weight.weight.data = torch.linalg.lstsq(features, (factor * mean).log()).solution.float()
        torch.testing.assert_close(weight.expected(levels), factor * mean, rtol=1e-3, atol=0)
        slopes = (1 - found / weight.expected(sigma).float()).reshape(12, -1)  # of each loss, by u
        se = slopes.std(1) / math.sqrt(4000)
        assert ((slopes.mean(1).abs() < 4 * se).all()) == vanishes
        weight(found, sigma).mean().backward()
        by_hand = (features.float().repeat_interleave(4000, 0) * slopes.flatten()[:, None]).mean(0)
        torch.testing.assert_close(weight.weight.grad, by_hand, rtol=1e-3, atol=1e-5)
        weight.weight.grad = None


def test_before_training_it_is_the_weight_of_edm():
    levels, row = torch.logspace(-2, 1.5, 20, dtype=torch.float64), ds.LossWeight.get("uncertainty")(sigma_data=0.7)
    assert torch.equal(row(levels), ds.LossWeight.get("edm")(sigma_data=0.7)(levels))
    given = torch.rand(20)
    assert torch.equal(row.learned()(given, levels), given)


def test_training_learns_the_loss_of_each_level(digits):
    """After training, e^u is near the recorded mean error, where enough levels have been drawn."""
    design = ds.Design.preset("edm", loss_weight="uncertainty", sigma_data=digits.sigma_data)
    state = state_of(trained(25_600, learning_rate=3e-3), digits, design)
    known = slice(14, 26)  # 0.057 to 1.2
    sums, counts = (torch.stack(column[-5:]).sum(0)[known] for column in (state.record.sums, state.record.counts))
    ratio = state.weight.expected(bin_levels()[known]) / (sums / counts)
    assert (ratio.log().abs() < math.log(1.3)).all(), ratio
    assert (sums / counts).max() > 1.5 * (sums / counts).min()  # it is not the same for all


# The adaptive noise distribution


def test_levels_are_drawn_where_the_loss_varies():
    """The losses of two of ten parts have a standard deviation of 2, those of the others one of 0.1."""
    row = ds.NoiseDistribution.get("adaptive")(sigma_min=0.01, sigma_max=10.24, bins=10)
    levels, draw = row.adapted(CPU), torch.Generator().manual_seed(0)
    for step in range(400):
        sigma = levels.from_uniform(torch.rand(128, generator=draw, dtype=torch.float64))
        wide = (sigma > 0.32) & (sigma < 1.28)
        levels.see(sigma, torch.where(wide, 2.0, 0.1) * torch.randn(128, generator=draw) + 5, step)
    sigma = levels.from_uniform((torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000)
    share = ((sigma > 0.32) & (sigma < 1.28)).double().mean().item()
    assert share == pytest.approx(0.1 * 2 / 10 + 0.9 * 2 * 2 / (2 * 2 + 8 * 0.1), abs=0.05)
    assert (sigma.diff() > 0).all()
    assert 0.01 < sigma[0] < 0.0101
    assert 10 < sigma[-1] < 10.24


def test_batches_have_the_same_images_whatever_the_levels(digits):
    """Only the levels of a step depend on what was seen before."""
    batches = Batches.of(digits, BOTH, None, 0, 32, labelled=False, device=CPU)
    levels = BOTH.noise_distribution.adapted(CPU)
    first, untouched = batches(25), batches(25, levels)
    torch.testing.assert_close(untouched.sigma, first.sigma, rtol=1e-9, atol=0)
    for step in range(20):
        sigma = batches(step, levels).sigma
        levels.see(sigma, (1 / sigma).float(), step)
    later = batches(25, levels)
    assert torch.equal(later.y, first.y)
    assert torch.equal(later.noise, first.noise)
    assert later.sigma.log().mean() < first.sigma.log().mean() - 1


# Training


def test_a_training_goes_on_bit_by_bit(digits, tmp_path):
    whole = state_of(trained(3200), digits)
    for images in (800, 1600, 1632, 3200):
        plan = trained(3200).plan(digits, BOTH)
        part = run_training(plan, images, CPU, Cache(tmp_path / "b"), seen=lambda progress: None)
    assert same(part, whole)
    assert {"loss_weight.weight", "adam_loss_weight.weight.exp_avg", "noise_distribution.ends"} <= part.tensors().keys()
    assert part.weight.weight.any()
    assert not torch.allclose(part.levels.ends.diff(), torch.full((64,), 1 / 64, dtype=torch.float64), rtol=0.1)


def test_parts_of_a_batch_add_up_to_it(digits):
    whole, parts = (state_of(trained(640, accumulate=k), digits) for k in (1, 3))
    torch.testing.assert_close(parts.weight.weight, whole.weight.weight, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(parts.levels.ends, whole.levels.ends, rtol=1e-3, atol=1e-5)


def test_rows_without_state_train_as_before(digits):
    names = state_of(trained(320), digits, ds.Design.preset("edm")).tensors().keys()
    assert not [name for name in names if name.startswith(("loss_weight", "noise_distribution", "adam_"))]


class Scaled(LearnedWeight):
    """A learned weight with one number for all levels."""

    def __init__(self):
        super().__init__()
        self.log = torch.nn.Parameter(torch.zeros(()))

    def forward(self, errors, sigma):
        return errors * (-self.log).exp() + self.log


class Counting(AdaptedLevels):
    """Levels that fall by a thousandth per step."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros((), dtype=torch.float64))

    def from_uniform(self, u):
        return torch.exp(4 * u - 3) * 0.999**self.seen

    def see(self, sigma, losses, step):
        self.seen += 1


def test_rows_of_the_user_may_have_a_state_as_well(digits, tmp_path):
    weight = type(ds.LossWeight)(
        "Mine",
        (ds.LossWeight,),
        {"__module__": __name__, "__call__": lambda self, sigma: sigma**-2, "learned": lambda self: Scaled()},
        name="mine_learned",
    )
    drawn = type(ds.NoiseDistribution)(
        "Mine",
        (ds.NoiseDistribution,),
        {
            "__module__": __name__,
            "from_uniform": lambda self, u: torch.exp(4 * u - 3),
            "adapted": lambda self, device: Counting(),
        },
        name="mine_adapted",
    )
    try:
        design = ds.Design.preset("edm", loss_weight=weight(), noise_distribution=drawn())
        whole = state_of(trained(640), digits, design)
        for images in (320, 640):
            plan = trained(640).plan(digits, design)
            part = run_training(plan, images, CPU, Cache(tmp_path / "b"), seen=lambda progress: None)
        assert same(part, whole)
        assert part.levels.seen == 20
        assert abs(part.weight.log.item()) > 0.01
    finally:
        ds.LossWeight.known.pop("mine_learned")
        ds.NoiseDistribution.known.pop("mine_adapted")


def test_the_profile_of_the_loss_shows_what_was_learned(digits, tmp_path):
    design = {"preset": "edm", "loss_weight": "uncertainty", "noise_distribution": "adaptive", "sigma_data": "data"}
    metric = {"name": "loss", "images": 50, "levels": 8, "sigma_min": 0.02, "sigma_max": 20}
    evaluate = SPEC["evaluate"] | {"metrics": ["frechet", metric]}
    grid = {"loss_weight": ["uncertainty", "edm"]}
    ablation = load(write_spec(tmp_path, **SPEC | {"design": design, "evaluate": evaluate, "grid": grid, "nfe": 7}))
    run(ablation, out=tmp_path / "reports", progress=False)
    (folder,) = (tmp_path / "reports").iterdir()
    (panel,) = profile_panels(Study(folder), "loss")
    learned = {curve.name: len(curve.learned) for curve in panel.curves}
    assert sorted(learned.values()) == [0, 8]
    figure = draw([panel])
    assert [line for line in figure.axes[0].lines if line.get_linewidth() == LEARNED["linewidth"]]


def test_the_density_of_the_profile_is_the_final_one(digits):
    state = state_of(trained(3200), digits)
    denoiser = trained(3200).load(digits, BOTH, CPU)
    seen = denoising(digits, BOTH, (denoiser, None), 20, CPU, labelled=False)
    profile, _ = seen.profile(ds.Metric.get("loss")(levels=8), lambda D, sigma: seen.squared_errors(D, sigma))
    assert profile.density.max() > 1.5 * profile.density.min()
    torch.testing.assert_close(seen.expected(profile), state.weight.expected(profile.sigma))
    assert f64(0) < seen.expected(profile).min()
