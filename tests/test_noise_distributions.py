"""Noise distributions: quantiles against densities, reference values, moments, and stratified levels in training."""

import math

import pytest
import torch
from conftest import f64
from scipy.stats import beta, laplace, logistic

import designspace as ds
from designspace.registry.known import ROWS
from designspace.training.batches import Batches
from designspace.training.rows import DiscreteNoiseDistribution, NoiseDistribution

CPU = torch.device("cpu")
KNOWN = [cls() for cls in ROWS["noise_distribution"].known.values()]
CONTINUOUS = [
    *(each for each in KNOWN if not isinstance(each, DiscreteNoiseDistribution) and each.adapted(CPU) is None),
    ds.NoiseDistribution.get("log_logistic")(loc=0.0, scale=1.0),
    ds.NoiseDistribution.get("log_logistic")(sigma_min=0.01, sigma_max=80.0),
    *(ds.NoiseDistribution.get("mode")(s=s) for s in (-1.0, 0.0, 1.7)),
    ds.NoiseDistribution.get("beta_t")(a=1.0, b=1.5, t_min=0.0),
    ds.NoiseDistribution.get("cosine_interpolated")(image_d=256, noise_d_high=256, sigma_data=0.5),
]
U = f64([1e-6, 1e-3, 0.02, 0.1, 0.25, 0.4, 0.55, 0.75, 0.9, 0.98, 1 - 1e-3, 1 - 1e-6])


def row(name, **fields):
    return ds.NoiseDistribution.get(name)(**fields)


def close(actual, expected, rtol=1e-12, atol=0.0):
    torch.testing.assert_close(actual, f64(expected).expand_as(actual), rtol=rtol, atol=atol)


def quantiles(distribution, n=100_000):
    return distribution.from_uniform((torch.arange(n, dtype=torch.float64) + 0.5) / n)


# Quantiles and densities


@pytest.mark.parametrize("distribution", CONTINUOUS, ids=str)
def test_the_density_is_the_slope_of_the_probability(distribution):
    """From the middle of the distribution to a millionth at both ends, by differences of its quantiles."""
    sigma, step = distribution.from_uniform(U), 1e-4 * torch.minimum(U, 1 - U)
    low, high = (distribution.from_uniform(u).log() for u in (U - step, U + step))
    close(distribution.density(sigma) * (high - low).abs() / (2 * step), 1.0, 1e-5)


@pytest.mark.parametrize("distribution", CONTINUOUS, ids=str)
def test_quantiles_are_monotone_up_to_both_ends(distribution):
    ends = f64([2.0**-54, 1e-12, 1e-9, *U, 1 - 1e-9, 1 - 1e-12, 1 - 2.0**-53])
    sigma = distribution.from_uniform(ends)
    assert sigma.isfinite().all()
    assert (sigma > 0).all()
    assert sigma.log().diff().sign().unique().numel() == 1
    assert distribution.limits() == pytest.approx((float(sigma.min()), float(sigma.max())), rel=1e-12)
    assert distribution.from_uniform(U[3]).shape == ()


@pytest.mark.parametrize("distribution", CONTINUOUS, ids=str)
def test_the_density_integrates_to_one(distribution):
    log = torch.linspace(*(math.log(end) for end in distribution.limits()), 40_001, dtype=torch.float64)
    assert float(torch.trapezoid(distribution.density(log.exp()), log)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ["edm", "vp", "uniform_log", "log_logistic", "beta_t"])
def test_the_density_that_follows_from_quantiles(name):
    sigma = row(name).from_uniform(U)
    found = NoiseDistribution.density(row(name), sigma)
    close(found[2:-2], row(name).density(sigma)[2:-2], 1e-8)
    close(found, row(name).density(sigma), 1e-6)


@pytest.mark.parametrize("name", ["ddpm", "iddpm", "betas"])
def test_a_few_levels_have_no_density(name):
    with pytest.raises(ValueError, match=f"noise_distribution {name} draws from 1000 levels and has none"):
        row(name).density(f64([1.0]))


def test_a_distribution_that_changes_in_training_has_no_density():
    with pytest.raises(ValueError, match="noise_distribution adaptive changes in training and has no fixed density"):
        row("adaptive").density(f64([1.0]))


# Reference values


def test_log_logistic_is_the_logistic_distribution():
    distribution = row("log_logistic")
    close(distribution.from_uniform(U).log(), logistic.ppf(U, loc=math.log(0.5), scale=0.5), 1e-9, 1e-9)
    close(distribution.density(f64([0.1, 0.5, 7.0])), logistic.pdf(f64([0.1, 0.5, 7.0]).log(), math.log(0.5), 0.5))
    assert float(distribution.from_uniform(f64(0.9))) == pytest.approx(1.5)
    cut = row("log_logistic", sigma_min=0.01, sigma_max=80.0)
    close(cut.from_uniform(f64([0.0, 1.0])), [0.01, 80.0], 1e-9)


def test_rectified_flow_draws_its_time_evenly():
    t = row("log_logistic", loc=0.0, scale=1.0).from_uniform(U)
    close(t / (1 + t), U, 1e-9)
    ends = row("mode", s=0.0).from_uniform(U)
    close(1 / (1 + ends), U, 1e-9)  # which decreases


def test_mode():
    """t = 1 - u - s (cos^2(pi u / 2) - 1 + u); values of SD3's formula to four digits."""
    u = f64([0.1, 0.25, 0.5, 0.9])
    sigma = row("mode").from_uniform(u)
    t = 1 - u - 1.29 * ((math.pi / 2 * u).cos().square() - 1 + u)
    close(sigma / (1 + sigma), t, 1e-12)
    close(t, [0.8026, 0.6164, 0.5, 0.1974], atol=5e-5)
    steepest = row("mode", s=1.75).from_uniform(torch.linspace(0.4, 0.6, 2001, dtype=torch.float64))
    assert (steepest.diff() < 0).all()


def test_laplace():
    """The paper's mu = 0 and b = 0.5 are those of the log-SNR."""
    close(-2 * row("laplace").from_uniform(U).log(), -laplace.ppf(U, scale=0.5), 1e-9, 1e-9)
    assert float(row("laplace").from_uniform(f64(0.75))) == pytest.approx(2**0.25)


def test_beta_t():
    """The noise times of pi_0 are 0.001 + 0.999 x, with x distributed as Beta(1.5, 1)."""
    sigma = row("beta_t").from_uniform(U)
    close(sigma / (1 + sigma), 0.001 + 0.999 * U ** (2 / 3), 1e-9)
    close(1 / (1 + sigma), 0.999 * (1 - U ** (2 / 3)), 1e-9)
    sigma = row("beta_t", a=2.0, b=3.0, t_min=0.0).from_uniform(U)
    close(sigma / (1 + sigma), beta.ppf(U, 2, 3), 1e-9)


def test_cosine_interpolated():
    """One size of noise is the cosine distribution, scaled; two are mixed, with the lower one at high noise."""
    ends = {"sigma_min": 0.002, "sigma_max": 80.0}
    for d in (32, 64):
        one = row("cosine_interpolated", noise_d_low=d, noise_d_high=d, **ends)
        scaled = {end: value * d / 64 for end, value in ends.items()}
        close(one.from_uniform(U), 64 / d * row("cosine", **scaled).from_uniform(U), 1e-9)
    low, high, both = (
        row("cosine_interpolated", noise_d_low=a, noise_d_high=b).from_uniform(U)
        for a, b in ((32, 32), (64, 64), (32, 64))
    )
    close(both, high ** (1 - U) * low**U, 1e-9)
    close(row("cosine_interpolated").from_uniform(f64([0.0, 1.0])), [1e-3, 1e3], 1e-9)
    half = row("cosine_interpolated").from_uniform(f64(0.5))
    assert float(half) == pytest.approx(math.sqrt(2), rel=2e-3)  # the root of 1 x 2, the medians of both


def test_cosine_interpolated_in_the_direction_of_crowson():
    """With the two sizes swapped, it is the interpolation of log-SNRs, from the size at low noise to that at high."""
    lowest, highest, image, at_low, at_high = -2 * math.log(1e3), -2 * math.log(1e-3), 64, 32, 64

    def log_snr(t, noise):
        shift = 2 * math.log(noise / image)
        begin, end = (math.atan(math.exp(-0.5 * (limit - shift))) for limit in (highest, lowest))
        return -2 * (begin + t * (end - begin)).tan().log() + shift

    expected = (-0.5 * torch.lerp(log_snr(U, at_low), log_snr(U, at_high), U)).exp()
    found = row("cosine_interpolated", noise_d_low=at_high, noise_d_high=at_low).from_uniform(U)
    close(found, expected, 1e-9)


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("log_logistic", math.log(0.5), 0.5 * math.pi / math.sqrt(3)),
        ("laplace", 0.0, 0.25 * math.sqrt(2)),
        ("mode", 0.0, None),
    ],
)
def test_mean_and_spread_of_the_logarithm(name, mean, std):
    log = quantiles(row(name)).log()
    assert float(log.mean()) == pytest.approx(mean, abs=1e-6)
    if std:
        assert float(log.std()) == pytest.approx(std, rel=1e-3)
    drawn = row(name).sample(20_000, torch.Generator().manual_seed(0)).log()
    assert float(drawn.mean()) == pytest.approx(mean, abs=4 * float(log.std()) / math.sqrt(20_000))
    assert float(drawn.std()) == pytest.approx(float(log.std()), rel=0.05)


# Stratified levels


def levels(digits, design, stratified, steps=200, size=16):
    batches = Batches.of(digits, design, None, 0, size, labelled=False, device=CPU, stratified=stratified)
    return [batches(step) for step in range(steps)]


def test_stratified_levels_have_the_same_distribution_and_a_smaller_variance(digits):
    design = ds.Design.preset("edm")
    plain, even = (levels(digits, design, stratified) for stratified in (False, True))
    for a, b in zip(plain, even, strict=True):
        assert torch.equal(a.y, b.y)
        assert torch.equal(a.noise, b.noise)
        probability = torch.special.ndtr((b.sigma.log() + 1.2) / 1.2)
        assert torch.equal((16 * probability).floor(), torch.arange(16).double())  # one in each sixteenth
    log = torch.stack([batch.sigma.log() for batch in even])
    assert float(log.mean()) == pytest.approx(-1.2, abs=0.01)
    assert float(log.std()) == pytest.approx(1.2, rel=0.02)
    assert float(log.mean(1).std()) < 0.2 * float(torch.stack([b.sigma.log() for b in plain]).mean(1).std())


def test_without_stratified_a_training_is_the_same_as_before_there_was_any():
    make = ds.Denoiser.get("trained")
    plain, even = (make(network="mlp", stratified=stratified) for stratified in (False, True))
    assert "stratified" not in plain.identity()
    assert even.identity() == plain.identity() | {"stratified": True}
