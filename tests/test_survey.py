"""The survey of a data set: closed forms, invariants, and the command ``probe``."""

import json
import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import designspace as ds
from designspace.data.images import Images, to_uint8
from designspace.errors import DataError
from designspace.survey.curve import curves, linear, losses, value_by_value
from designspace.survey.facts import Facts
from designspace.survey.spread import Spread
from designspace.survey.suggest import ROUNDING, sigma_range
from designspace.survey.survey import Survey

SIDE = 6


def smooth(std, mean=0.0, n=4000, reach=2.0):
    """Gaussian images whose pixels are correlated over ``reach`` pixels; and the eigenvalues of their covariance."""
    at = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE)).double()
    covariance = std**2 * torch.exp(-torch.cdist(at, at) / reach) if reach else std**2 * torch.eye(SIDE**2).double()
    noise = torch.randn(n, SIDE**2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = mean + noise @ torch.linalg.cholesky(covariance).T
    return Images(to_uint8(x).reshape(n, 1, SIDE, SIDE)), torch.linalg.eigvalsh(covariance)


def survey(data, images=0):
    return Survey.of(data, ds.Network.get("mlp")(), images, 0, lambda progress: None)


def values(found):
    return {name: suggestion.value for name, suggestion in found.suggestions.items()}


def test_facts_are_counted():
    random = np.random.default_rng(0)
    pixels = random.integers(10, 200, (30, 3, 4, 5), dtype=np.uint8)
    pixels[:, 2] //= 4
    pixels[[7, 21]], pixels[9] = pixels[0], pixels[3]
    data = Images(torch.from_numpy(pixels), torch.arange(30) % 2, ("cat", "dog"))
    facts, x = Facts.of(data), pixels / 127.5 - 1
    assert (facts.images, facts.shape, facts.classes) == (30, (3, 4, 5), {"cat": 15, "dog": 15})
    assert (facts.copies, facts.copied) == (3, 2)  # 7 and 21 of 0, 9 of 3
    assert facts.sigma_data == data.sigma_data == pytest.approx(np.sqrt(np.mean(x**2)), rel=1e-12)
    assert facts.std == pytest.approx(x.std(), rel=1e-12)
    assert facts.mean == pytest.approx(x.mean(), rel=1e-12)
    assert facts.channel_std == pytest.approx(x.std((0, 2, 3)), rel=1e-12)
    assert facts.channel_mean == pytest.approx(x.mean((0, 2, 3)), rel=1e-12)
    assert (facts.pixel_range, facts.pixel_values) == ((pixels.min(), pixels.max()), len(np.unique(pixels)))


def test_nothing_to_learn_is_an_error():
    with pytest.raises(DataError, match=r"^1 image found, but"):
        Facts.of(Images(torch.zeros(1, 1, 4, 4, dtype=torch.uint8)))
    with pytest.raises(DataError, match=r"^all 50 images are the same"):
        Facts.of(Images(torch.arange(16, dtype=torch.uint8).reshape(1, 1, 4, 4).expand(50, -1, -1, -1)))


def test_the_spread_of_gaussian_data_is_that_of_its_covariance():
    data, eigenvalues = smooth(0.25, mean=0.1, n=10_000)
    found = Spread.of(data)
    assert found.mean_norm == pytest.approx(0.1 * SIDE, rel=0.05)
    assert found.covariance_norm == pytest.approx(float(eigenvalues.norm()), rel=0.05)
    for sigma in (3.0, 10.0):  # against the divergence of these Gaussians, not its bound
        x = eigenvalues / sigma**2
        exact = 0.1**2 * SIDE**2 / (2 * sigma**2) + float((x - x.log1p()).sum()) / 2
        assert found.divergence(sigma) == pytest.approx(exact, rel=0.1)
    for nats in (1e-3, 0.1, 10.0):
        assert found.divergence(found.drowned(nats)) == pytest.approx(nats, rel=1e-9)


def test_the_largest_distance_of_digits_is_found():
    digits = ds.Data.get("digits")().load()
    y = digits.scaled().flatten(1).double()
    squares = y.square().sum(1)
    longest = (squares[:, None] + squares - 2 * y @ y.T).max().sqrt()
    assert Spread.of(digits).distance == pytest.approx(float(longest), rel=1e-6)


@pytest.mark.parametrize("reach", [2.0, 0.0])
def test_linear_denoisers_reach_the_least_loss_of_gaussian_data(reach):
    r"""The mean of :math:`\lambda_i \sigma^2 / (\lambda_i + \sigma^2)`, the loss of the ideal denoiser."""
    data, eigenvalues = smooth(0.25, n=10_000, reach=reach)
    design = ds.Design.preset("edm", sigma_data=0.25)
    sigma = torch.tensor([0.02, 0.1, 0.5, 3.0], dtype=torch.float64)
    held = smooth(0.25, n=10_800, reach=reach)[0].scaled()[-800:].flatten(1)
    noise = torch.randn(held.shape, generator=torch.Generator().manual_seed(2))
    D, basis = linear(data)
    turned = ((x.double() @ basis).float() for x in (held, noise))
    found = losses(D, design, *turned, sigma), losses(value_by_value(data), design, held, noise, sigma)
    for loss, variances in zip(found, (eigenvalues, torch.full((SIDE**2,), 0.25**2)), strict=True):
        ideal = torch.stack([(variances * s**2 / (variances + s**2)).mean() for s in sigma]) * design.loss_weight(sigma)
        assert loss.tolist() == pytest.approx(ideal.tolist(), rel=0.04)


def test_an_untrained_network_has_the_loss_1_at_every_level():
    """Also for data whose mean is not 0, which a denoiser of single values can use at high levels."""
    data, _ = smooth(0.25, mean=0.15)
    found = curves(data, ds.Network.get("mlp")(), 0, 0.002, 10.0, 0, lambda progress: None)
    assert found.network.tolist() == pytest.approx([1.0] * len(found.sigma), abs=0.08)  # 256 images
    assert found.sigma[[0, -1]].tolist() == pytest.approx([0.002, 10.0], rel=1e-12)
    weight = ds.Design.preset("edm", sigma_data=data.sigma_data).loss_weight(found.sigma)
    ideal = weight * 0.25**2 * found.sigma**2 / (0.25**2 + found.sigma**2)
    assert found.per_value.tolist() == pytest.approx(ideal.tolist(), abs=0.08)


def test_the_network_finds_what_is_not_linear():
    signs = torch.randint(0, 2, (2000, 1), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    data = Images(to_uint8(signs * torch.tensor([0.5, -0.5]))[:, None, None])
    found = curves(data, ds.Network.get("mlp")(width=32), 40_000, 0.01, 10.0, 0, lambda progress: None)
    near = int((found.sigma - 0.3).abs().argmin())
    assert found.linear is not None
    assert float(found.network[near]) < 0.8 * float(found.linear[near])
    assert float(found.reduction[near]) == pytest.approx(1 - float(found.network[near] / found.per_value[near]))


def test_twice_the_contrast_is_twice_the_noise():
    small, large = (values(survey(smooth(std, mean)[0])) for std, mean in ((0.15, 0.05), (0.3, 0.1)))
    assert (small["sigma_data"], large["sigma_data"]) == pytest.approx((0.05 * 10**0.5, 0.1 * 10**0.5), rel=0.01)
    assert large["sigma_max"] / small["sigma_max"] == pytest.approx(2, rel=0.06)  # both rounded to two digits
    assert large["P_mean"] - small["P_mean"] == pytest.approx(math.log(2), abs=0.05)
    assert large["P_std"] == pytest.approx(small["P_std"], abs=0.05)
    assert large["sigma_min"] == small["sigma_min"] == pytest.approx(ROUNDING, rel=0.05)


def test_images_without_structure_get_the_levels_of_the_paper():
    found = survey(smooth(0.25, reach=0)[0])
    assert values(found)["P_std"] == 1.2
    assert values(found)["P_mean"] == pytest.approx(-1.2 + math.log(0.25 / 0.5), abs=0.02)
    assert "EDM's -1.2 at sigma_data 0.5" in found.suggestions["P_mean"].reason


def test_large_images_do_without_the_linear_denoiser():
    data = Images(torch.randint(0, 256, (40, 3, 40, 40), generator=torch.Generator().manual_seed(0), dtype=torch.uint8))
    found = survey(data)
    assert found.curves.linear is None
    assert any("too large for the linear denoiser" in note for note in found.notes)


@pytest.fixture
def shell(shell, monkeypatch):
    """Run the command in a wider terminal."""
    monkeypatch.setenv("COLUMNS", "120")
    return shell


class Largest(TorchDispatchMode):
    """Record the size in bytes of the largest tensor that is made."""

    size = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.size = max(self.size, made.untyped_storage().nbytes())
        return made


def test_no_measurement_copies_a_large_data_set():
    """Pixels may be mapped from a file that is larger than the memory."""
    pixels = torch.randint(0, 256, (2400, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    data = Images(pixels)
    with Largest() as made:
        spread, found = Spread.of(data), value_by_value(data)
    assert made.size < 1.5 * pixels.nbytes  # as float64 it has 8 times the size
    y = data.scaled().flatten(1).double()
    torch.testing.assert_close(found.mean, y.mean(0), rtol=0, atol=1e-7)
    torch.testing.assert_close(found.variances, y.var(0, unbiased=False), rtol=1e-6, atol=0)
    assert spread.covariance_norm == pytest.approx(float(found.variances.square().sum().sqrt()), rel=0.2)


def test_the_suggestion_can_be_pasted_into_an_ablation(shell, tmp_path):
    status, out, _ = shell("probe", "digits", "--images", 1280)
    assert status == 0
    assert "1,797 of 1 x 8 x 8, 10 classes of 174 to 183" in out
    assert "(mean -0.389, standard deviation 0.752)" in " ".join(out.split())
    assert "this width is a heuristic that has not been validated" in " ".join(out.split())
    text = out[out.index("\ndesign:") + 1 :]
    rest = "\nquestion: Does it load?\ndata: digits\ndenoiser: exact\nnum_steps: 8\nevaluate: {images: 40}"
    (tmp_path / "pasted.yaml").write_text(text + rest)
    (trial,) = ds.load(tmp_path / "pasted.yaml").trials()
    again = json.loads(shell("probe", "digits", "--images", 1280, "--json")[1])
    assert trial.design == ds.Design.preset(again["design"].pop("preset"), **again["design"])
    assert trial.design.c_skip.sigma_data == trial.design.loss_weight.sigma_data == 0.8466
    assert again["training"]["images"] == 1280
    assert again["training"]["network"]["name"] == "mlp"
    assert {"data", "spread", "loss", "suggestions", "notes"} < again.keys()


def test_the_same_data_and_seed_give_the_same_numbers(shell):
    first, second, other = (shell("probe", "digits", "--images", 640, "--json", "--seed", k)[1] for k in (1, 1, 2))
    assert first == second
    assert json.loads(first)["loss"]["network"] != json.loads(other)["loss"]["network"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digts",), "digts: unknown data 'digts'. Did you mean 'digits'?"),
        (("missing.npz",), "missing.npz: no such folder or file"),
        (("one.npz",), "1 image found, but"),
        (("same.npz",), "all 30 images are the same"),
        (("digits", "--network", "mlpp"), "--network: unknown network 'mlpp'. Did you mean 'mlp'?"),
        (("mixture", "--network", "unet"), "network unet: samples of 1x1x1"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else "",
)
def test_wrong_input_is_one_line_and_status_2(shell, tmp_path, arguments, message):
    for name, n in (("one", 1), ("same", 30)):
        np.savez(tmp_path / f"{name}.npz", images=np.full((n, 4, 4), 7, np.uint8))
    status, out, err = shell("probe", *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_sigma_max_follows_from_distance_or_divergence():
    near = Spread(distance=50.0, mean_norm=0.1, covariance_norm=1.0)
    far = Spread(distance=5.0, mean_norm=10.0, covariance_norm=1.0)
    assert sigma_range(near)["sigma_max"].value == 50
    assert sigma_range(far)["sigma_max"].value == pytest.approx(10 / math.sqrt(2 * 0.01), rel=0.02)
