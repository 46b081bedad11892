"""Denoisers against independent implementations in float64."""

import json
import math
import sys
from pathlib import Path

import pytest
import torch
from conftest import f64, posterior_mean
from pydantic import ValidationError
from safetensors.torch import save_file

import designspace as ds
from designspace.data.images import Images
from designspace.errors import DataError
from designspace.registry.component import FOLDER

CPU = torch.device("cpu")
PARAMETERS = ("weights", "means", "covs")
EDM = ds.Design.preset("edm")
SIGMAS = [0.002, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0, 80.0]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed))


def exact(images, labels=None):
    return ds.Denoiser.get("exact")().load(images, EDM, CPU).bind(labels)


def direct(images, x, sigma, labels=None):
    """The softmax over all images, computed from differences in float64, one sample at a time."""
    y = images.scaled().double().flatten(1)
    result = []
    for i, (row, level) in enumerate(zip(x.double().flatten(1), sigma.expand(len(x)), strict=True)):
        here = y if labels is None else y[images.labels == labels[i]]
        result.append((-(row - here).square().sum(1) / (2 * level**2)).softmax(0) @ here)
    return torch.stack(result).reshape(x.shape)


def smooth(n, size, seed=0):
    """Images that are smooth in space and from one image to the next, like photographs."""
    coarse = torch.rand(n, 3, 4, 4, generator=seeded(seed))
    fine = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear") + 0.02 * normal(n, 3, size, size)
    return Images((fine.clip(0, 1) * 255).to(torch.uint8), torch.arange(n) % 3)


@pytest.fixture(scope="module")
def pictures():
    return smooth(600, 32)


def hard_cases(images, sigma, n=8):
    """Noisy images, points half-way between nearest neighbours with and without noise, and pure noise."""
    y = images.scaled().flatten(1)
    some = y[torch.randperm(len(y), generator=seeded())[:n]]
    near = torch.cdist(some.double(), y.double()).topk(2, largest=False).indices[:, 1]
    middle = (some + y[near]) / 2
    noise = [sigma * normal(n, y.shape[1], seed=k) for k in range(3)]
    return torch.cat([some + noise[0], middle, middle + noise[1], noise[2]]).reshape(-1, *images.shape)


@pytest.mark.parametrize("name", ["digits", "pictures"])
@pytest.mark.parametrize("sigma", SIGMAS)
def test_exact_denoiser_is_the_softmax_over_all_images(name, sigma, request):
    images, level = request.getfixturevalue(name), f64(sigma)
    x = hard_cases(images, sigma)
    expected = direct(images, x, level)
    denoised = exact(images)(x, level)
    assert denoised.dtype == torch.float32
    assert (denoised - expected).abs().max() < 2e-5
    denoised = exact(images)(x.double(), level)
    assert denoised.dtype == torch.float64
    assert (denoised - expected).abs().max() < 1e-6  # the condition of a near-tie: eps |x| |y| / sigma^2


def test_exact_denoiser_where_more_images_tie_than_are_compared_one_by_one():
    base = smooth(50, 32)
    images = Images(torch.cat([base.pixels[:2].repeat_interleave(60, 0), base.pixels]))
    y = base.scaled()
    x = torch.lerp(y[0], y[1], 0.5 + torch.linspace(-1e-6, 1e-6, 5)[:, None, None, None])
    for sigma in map(f64, (0.002, 0.02, 0.1, 0.3, 0.5, 0.7)):
        expected = direct(images, x, sigma)
        assert (exact(images)(x, sigma) - expected).abs().max() < 1e-4
    assert (expected - y[0]).abs().max() > 0.1  # both have weight


def test_a_level_for_each_sample(digits):
    sigma = f64(SIGMAS)
    x = digits.scaled()[:11] + sigma.float()[:, None, None, None] * normal(11, 1, 8, 8)
    denoised = exact(digits)(x, sigma)
    assert (denoised - direct(digits, x, sigma)).abs().max() < 2e-5
    for i in range(11):  # whatever else is in the batch
        assert (exact(digits)(x[i : i + 1], sigma[i]) - denoised[i]).abs().max() < 5e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exact_denoiser_of_a_class(digits, dtype):
    labels = torch.arange(11) % 10
    for sigma in (0.002, 0.3, 1.0, 80.0):
        x = (digits.scaled()[100:111] + sigma * normal(11, 1, 8, 8)).to(dtype)
        denoised = exact(digits, labels)(x, f64(sigma))
        assert (denoised - direct(digits, x, f64(sigma), labels)).abs().max() < 2e-5
        only = Images(digits.pixels[digits.labels == 3])
        assert (exact(digits, labels)(x, f64(sigma))[3] - exact(only)(x, f64(sigma))[3]).abs().max() < 2e-6


def test_limits_of_the_exact_denoiser(digits):
    D, y = exact(digits), digits.scaled()
    mean = y.double().mean(0).expand(5, -1, -1, -1)
    for dtype in (torch.float32, torch.float64):
        x = y[:5].to(dtype) + 0.01
        torch.testing.assert_close(D(x, f64(1e6)).double(), mean, rtol=0, atol=5e-6)
        for sigma in (1e-4, 1e-30, 0.0):
            torch.testing.assert_close(D(x, f64(sigma)).float(), y[:5], rtol=0, atol=1e-6)


def test_samples_that_diverged_are_not_repaired(digits):
    x = digits.scaled()[:4].clone()
    x[0, 0, 0, 0], x[1, 0, 0, 0], x[2] = math.nan, math.inf, -math.inf
    for dtype in (torch.float32, torch.float64):
        finite = exact(digits)(x.to(dtype), f64(0.1)).isfinite().flatten(1).all(1)
        assert finite.tolist() == [False, False, False, True]


def test_sampling_with_the_exact_denoiser_ends_at_images(digits):
    sample = ds.sample(EDM, exact(digits), normal(20, 1, 8, 8), 18).x
    gaps = torch.cdist(sample.flatten(1), digits.scaled().flatten(1)).amin(1)
    assert gaps.max() < 0.05


def test_classes_that_are_not_there(digits):
    with pytest.raises(ValueError, match="no image of class 12"):
        exact(digits, torch.tensor([1, 12]))
    with pytest.raises(ValueError, match="the data set has none"):
        exact(Images(digits.pixels), torch.tensor([1]))


# Gaussian mixture


@pytest.fixture
def mixture(golden):
    return ds.Denoiser.get("gaussian_mixture")(**golden["gmm"])


def log_density(golden, x, sigma, modes=(0, 1, 2)):
    """The log density of noisy samples, computed with torch.distributions."""
    weights, means, covs = (f64(golden["gmm"][key])[list(modes)] for key in PARAMETERS)
    noisy = torch.distributions.MultivariateNormal(means, covs + sigma**2 * torch.eye(4, dtype=torch.float64))
    return (weights.log() + noisy.log_prob(x[:, None])).logsumexp(1)


@pytest.mark.parametrize("sigma", [0.002, 0.05, 0.3, 1.0, 10.0, 80.0])
def test_gaussian_mixture_is_the_posterior_mean_and_its_score(mixture, golden, sigma):
    x = (f64(golden["latents"]) * sigma + 0.2).requires_grad_()
    D = mixture.bind(None)
    torch.testing.assert_close(D(x, f64(sigma)), posterior_mean(x, f64(sigma)), rtol=1e-12, atol=1e-12)
    (score,) = torch.autograd.grad(log_density(golden, x, f64(sigma)).sum(), x)
    torch.testing.assert_close((D(x, f64(sigma)) - x) / sigma**2, score, rtol=1e-10, atol=1e-10)


def test_modes_are_classes(mixture, golden):
    x, labels = f64(golden["latents"])[:3], torch.tensor([2, 0, 1])
    for sigma in (f64(0.5), f64([0.1, 1.0, 10.0])):
        x = x.detach().requires_grad_()
        levels = sigma.expand(3)
        each = [log_density(golden, x[i : i + 1], levels[i], [k]) for i, k in enumerate(labels.tolist())]
        (score,) = torch.autograd.grad(sum(each).sum(), x)
        denoised = mixture.bind(labels)(x, sigma)
        torch.testing.assert_close((denoised - x) / levels[:, None] ** 2, score, rtol=1e-10, atol=1e-10)
    with pytest.raises(ValueError, match="labels are 0 to 2"):
        mixture.bind(torch.tensor([3, 0, 0]))


def test_gaussian_mixture_takes_images_and_other_types(mixture, golden):
    x = f64(golden["latents"])
    D, flat = mixture.bind(), mixture.bind(None)(x, f64(0.7))
    assert mixture.shape == (1, 1, 4)
    assert torch.equal(D(x.reshape(-1, 1, 1, 4), f64(0.7)), flat.reshape(-1, 1, 1, 4))
    single = D(x.float(), f64(0.7))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), flat, rtol=0, atol=1e-6)


def test_gaussian_mixture_goes_with_the_data_set_mixture(golden):
    data = ds.Data.get("mixture")(**golden["gmm"], count=20_000).load()
    denoiser = ds.Denoiser.get("gaussian_mixture")(**golden["gmm"]).load(data, EDM, CPU)
    x = data.scaled()[:50] + 0.5 * normal(50, 1, 1, 4)
    assert denoiser.shape == data.shape
    # the posterior mean of 20,000 points drawn from it: a Monte Carlo estimate
    gap = denoiser.bind(None)(x, f64(0.5)) - exact(data)(x, f64(0.5))
    assert gap.square().mean().sqrt() < 0.01


# Networks


class Constant(torch.nn.Module):
    """A network that returns one number and records how it was called."""

    def __init__(self, value=0.0, channels=1, dtype=torch.float32):
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(value, dtype=dtype))
        self.channels = channels

    def forward(self, x, c_noise, labels):
        self.called = x, c_noise, labels, self.training
        return self.value.expand(x.shape).repeat(1, self.channels, *[1] * (x.ndim - 2))


@pytest.mark.parametrize("preset", ["ddpm", "iddpm", "vp", "ve", "edm"])
def test_preconditioning_of_every_preset(preset, golden):
    design, x = ds.Design.preset(preset), normal(3, 2, 4, 4).double()
    for sigma in (f64(0.03), f64(3.0), f64([0.05, 1.0, 70.0])):
        over = sigma.reshape(-1, 1, 1, 1)
        zero, one = (ds.precondition(network, design)(x, sigma) for network in (Constant(0.0), Constant(1.0)))
        torch.testing.assert_close(zero, design.c_skip(over) * x, rtol=1e-14, atol=0)
        torch.testing.assert_close(one - zero, design.c_out(over).expand_as(x), rtol=1e-12, atol=1e-12)
        network = Constant()
        ds.precondition(network, design, torch.tensor([1, 2, 0]))(x, sigma)
        seen, c_noise, labels, training = network.called
        torch.testing.assert_close(seen, (design.c_in(over) * x).float())
        torch.testing.assert_close(c_noise, design.c_noise(sigma).float().expand(3))
        assert (labels.tolist(), training) == ([1, 2, 0], False)


@pytest.mark.parametrize("net", ["VPPrecond", "VEPrecond", "iDDPMPrecond", "EDMPrecond"])
def test_preconditioning_agrees_with_reference_values(net, golden):
    want = {key: f64(values) for key, values in golden["precond"][net].items() if isinstance(values, list)}
    x = torch.ones(len(want["sigma"]), 1, dtype=torch.float64)

    def F(x, c_noise, labels):
        assert labels is None
        return x * 3 + c_noise[:, None]

    D = ds.precondition(F, ds.Design.preset(net.removesuffix("Precond").lower()))
    expected = want["c_skip"] + want["c_out"] * (3 * want["c_in"] + want["c_noise"])
    torch.testing.assert_close(D(x, want["sigma"])[:, 0], expected, rtol=1e-5, atol=1e-6)  # F is in float32
    assert D.sigma_min == pytest.approx(golden["precond"][net]["net_sigma_min"])
    assert D.sigma_max == pytest.approx(float(golden["precond"][net]["net_sigma_max"]))


@pytest.mark.parametrize("preset", ["ddpm", "iddpm", "vp", "ve"])
def test_the_levels_that_a_network_knows_reach_the_sampler(preset):
    design = ds.Design.preset("edm", **{row: preset for row in ("c_skip", "c_out", "c_in", "c_noise")})
    D = ds.precondition(Constant(), design)
    assert (D.sigma_min, D.sigma_max) == design.c_noise.limits()
    out = ds.sample(design, D, normal(2, 1, 4, 4), 6)
    lo, hi = max(0.002, D.sigma_min), min(80.0, D.sigma_max)
    assert out.sigmas[-2] == pytest.approx(lo, rel=1e-3)
    assert out.sigmas[0] == pytest.approx(hi, rel=1e-2)
    torch.testing.assert_close(out.sigmas[:-1], design.c_noise.round_sigma(out.sigmas[:-1]), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_network_sees_its_own_type(dtype):
    network = Constant(1.0, dtype=dtype)
    x = normal(2, 1, 4, 4).double()
    denoised = ds.precondition(network, ds.Design.preset("iddpm"))(x, f64(50.0))
    seen, c_noise, _, _ = network.called
    assert (denoised.dtype, seen.dtype) == (torch.float64, dtype)
    assert c_noise.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    expected = float(ds.Design.preset("iddpm").c_noise(f64(50.0)))
    assert c_noise.tolist() == [expected, expected]
    assert expected > 256
    assert expected % 4  # bfloat16 has no such number


def test_learned_variances_are_ignored():
    network = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 1))
    x, sigma = normal(2, 2, 4, 4), f64(0.3)

    def F(x, c_noise, labels):
        return network(x)

    mean = torch.nn.functional.conv2d(EDM.c_in(sigma).float() * x, network[0].weight[:2], network[0].bias[:2])
    expected = EDM.c_skip(sigma) * x + EDM.c_out(sigma) * mean
    torch.testing.assert_close(ds.precondition(F, EDM)(x, sigma), expected)
    with pytest.raises(ValueError, match=r"returns \[2, 6, 4, 4\] for an input \[2, 2, 4, 4\]"):
        ds.precondition(Constant(channels=3), EDM)(x, sigma)


def test_gradients_reach_the_network():
    network = Constant(1.0)
    ds.precondition(network, EDM)(normal(2, 1, 4, 4), f64(0.5)).sum().backward()
    assert network.value.grad == pytest.approx(32 * float(EDM.c_out(f64(0.5))))


NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.inner = torch.nn.Linear(1, width)

    def forward(self, x, c_noise, labels):
        return 0 * x + self.inner(c_noise[:, None]).sum(1)[:, None, None, None]

def make(width=4):
    return Net(width).train()

def number():
    return 7
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    save_file({"inner.weight": torch.ones(3, 1), "inner.bias": torch.zeros(3)}, tmp_path / "w.safetensors")
    return tmp_path


def module(folder, factory="./net.py:make", **fields):
    return ds.Network.model_validate({"name": "module", "factory": factory, **fields}, context={FOLDER: folder})


def test_a_network_from_a_file(folder, digits):
    network = module(folder, kwargs={"width": 3}, weights="w.safetensors")
    denoiser = ds.Denoiser.get("preconditioned")(network=network).load(digits, EDM, CPU)
    x, sigma = normal(2, 1, 8, 8), f64(0.3)
    assert denoiser.shape == (1, 8, 8)
    denoised = denoiser.bind(None)(x, sigma)
    torch.testing.assert_close(denoised, EDM.c_skip(sigma) * x + EDM.c_out(sigma) * 3 * EDM.c_noise(sigma))
    assert not denoised.requires_grad
    assert not network.build((1, 8, 8)).training
    assert module(folder, shape=[3, 32, 32]).shape_of(digits) == (3, 32, 32)


def test_a_network_is_known_by_content(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for file in folder.iterdir():
        (elsewhere / file.name).write_bytes(file.read_bytes())
    fields = {"kwargs": {"width": 3, "blocks": [1, {"deep": True}]}, "weights": "w.safetensors"}
    one, moved = (module(place, **fields) for place in (folder, elsewhere))
    known = one.identity()
    assert known == moved.identity()
    assert str(folder) not in json.dumps(known)
    assert hash(one) == hash(module(folder, **fields))
    assert ds.Network.model_validate(json.loads(one.model_dump_json())) == one
    others = [{"factory": "./net.py:number"}, {"kwargs": {"width": 4}}, {"weights": None}, {"shape": (1, 2, 2)}]
    assert all(module(folder, **{**fields, **other}).identity() != known for other in others)
    (elsewhere / "w.safetensors").write_bytes((folder / "w.safetensors").read_bytes() + b" ")
    assert module(elsewhere, **fields).identity() != known
    (folder / "net.py").write_text(NET + "# changed")
    assert module(folder, **fields).identity() != known


def test_a_network_from_an_installed_module(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    (folder / "my_nets.py").write_text(NET)
    network = module(folder, "my_nets:make")
    assert network.identity()["factory"] == module(folder).identity()["factory"]
    assert "my_nets" not in sys.modules  # saying what it is runs no code of it
    assert isinstance(network.build((1, 8, 8)), torch.nn.Module)


WRONG = {
    "no file": ({"factory": "./nett.py:make"}, "there is no .*nett.py: check the path"),
    "no module": ({"factory": "no_such_package.nets:make"}, "no_such_package"),
    "no callable": ({"factory": "./net.py:mak"}, "has no callable 'mak'. Did you mean 'make'"),
    "not a network": ({"factory": "./net.py:number"}, "gives 7, not a torch.nn.Module"),
    "wrong argument": ({"kwargs": {"wdth": 3}}, "unexpected keyword argument 'wdth'"),
    "a file that fails": ({"factory": "./broken.py:make"}, "cannot be imported: NameError: name 'nn'"),
    "no weights": ({"weights": "x.safetensors"}, "there is no .*x.safetensors"),
    "other weights": ({"weights": "w.safetensors"}, "not the weights of .*net.py:make: .*inner.weight"),
}


@pytest.mark.parametrize(("fields", "message"), WRONG.values(), ids=WRONG)
def test_networks_that_cannot_be_built(folder, fields, message):
    (folder / "broken.py").write_text("class Net(nn.Module): pass")
    with pytest.raises(DataError, match=message) as error:
        module(folder, **fields).build((1, 8, 8))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ({"factory": "./nett.py:make"}, "there is no .*nett.py: check the path"),
        ({"factory": "no_such.nets:make"}, "no_such"),
        ({"weights": "x"}, "there is no .*/x"),
    ],
)
def test_what_is_missing_is_said_before_anything_runs(folder, missing, message):
    with pytest.raises(DataError, match=message):
        module(folder, **missing).identity()


@pytest.mark.parametrize("fields", [{"factory": "make"}, {"kwargs": {"a": math.inf}}, {"shape": [0, 8]}])
def test_fields_out_of_their_domain(folder, fields):
    with pytest.raises(ValidationError, match=r"[Ss]hould be"):
        module(folder, **fields)


def test_paths_are_relative_to_the_spec(folder):
    network = module(folder, weights="w.safetensors")
    assert Path(network.factory.rpartition(":")[0]) == folder / "net.py"
    assert network.weights == folder / "w.safetensors"


READS = """
import torch
from pathlib import Path

def make(path, other=None):
    assert Path(path).is_absolute()
    return torch.nn.Identity()
"""


def test_what_the_factory_reads_is_part_of_the_identity(folder):
    """Paths in ``kwargs``, names of folders beside the spec that the factory sees as they are, and ``files``."""
    (folder / "reads.py").write_text(READS)
    (folder / "unet").mkdir()
    for name in ("told.bin", "unet/a.bin", "own.bin"):
        (folder / name).write_text("1")
    kwargs = {"path": "./told.bin", "other": ["unet", "no.bin"]}
    known = set()
    for name in ("told.bin", "unet/a.bin", "own.bin", ""):
        network = module(folder, "./reads.py:make", kwargs=kwargs, files=["own.bin"])
        network.build((1, 8, 8))
        assert network.files == (folder / "own.bin", folder / "unet")
        assert network.kwargs.model_dump()["other"] == kwargs["other"]
        assert ds.Network.model_validate(json.loads(network.model_dump_json())) == network  # as workers receive it
        known.add(json.dumps(network.identity(), sort_keys=True))
        if name:
            (folder / name).write_text("2")
    assert len(known) == 4


def test_a_file_without_a_path_is_refused(folder, tmp_path_factory, monkeypatch):
    """What counts is the file beside the spec, and what a factory opens the one in its working directory."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    for place, path in ((folder, "./a.bin"), (elsewhere, elsewhere / "b.bin")):
        (place / Path(path).name).write_text("1")
        with pytest.raises(ValidationError, match=f"{Path(path).name} names a file: write {path}\\b"):
            module(folder, kwargs={"deep": [{"at": Path(path).name}]})
        assert module(folder, kwargs={"at": str(path)}).kwargs.model_dump() == {"at": str(place / Path(path).name)}


def test_a_missing_file_is_reported_where_it_is_named(folder, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(folder / "cache"))
    text = (
        "data: digits\ndenoiser:\n  name: preconditioned\n  network:\n    name: module\n    factory: ./reads.py:make\n"
    )
    (folder / "reads.py").write_text(READS)
    (folder / "a.yaml").write_text(text + "    kwargs: {path: ./gone.bin}\ndesign: edm\nnum_steps: 3\n")
    with pytest.raises(ds.SpecError) as error:
        ds.load(folder / "a.yaml")
    assert error.value.lines == [
        f"{folder}/a.yaml:7:20: denoiser.network.kwargs.path: there is no {folder}/gone.bin: check the path"
    ]


def test_a_model_of_ones_own_is_relative_to_the_spec(folder, monkeypatch):
    shipped = ds.Denoiser.get("pretrained")(model="digits")
    (folder / "sub").mkdir()
    for suffix in (".json", ".safetensors"):
        (folder / f"sub/mine{suffix}").write_bytes(shipped.path.with_suffix(suffix).read_bytes())
    monkeypatch.chdir(folder)

    def pretrained(model, place):
        return ds.Denoiser.model_validate({"name": "pretrained", "model": model}, context={FOLDER: place})

    for model, place in (("mine", folder / "sub"), ("./mine", folder / "sub"), ("sub/mine", folder)):
        found = pretrained(model, place)
        assert found.identity() == shipped.identity()
        assert ds.Denoiser.model_validate(found.model_dump()).path == folder / "sub/mine"
    with pytest.raises(DataError, match="there is no model 'mine'"):
        pretrained("mine", folder).identity()
    assert pretrained("digits", folder).path == shipped.path


def test_a_network_without_weights_is_the_same_every_time(tmp_path):
    source = "import torch\n\n\ndef make():\n    return torch.nn.Linear(3, 3)\n"
    (tmp_path / "linear.py").write_text(source)
    network = ds.Network.get("module").model_validate({"factory": f"{tmp_path / 'linear.py'}:make"})
    before = torch.random.get_rng_state()
    first, second = (network.build((1, 8, 8)).weight for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), before)
