"""The included networks: their initial output, and how they receive noise level, class and augmentation."""

import copy
import sys

import pytest
import torch
from conftest import f64

import designspace as ds
from designspace.data.images import Images
from designspace.denoising.networks import fourier, seeded, timestep
from designspace.denoising.preconditioned import Preconditioned
from designspace.design import preset_names
from designspace.errors import DataError

CPU = torch.device("cpu")
SHAPE = (1, 8, 8)
PLAN = {"model_channels": 16, "channel_mult": (1, 2), "num_blocks": 1, "attn_resolutions": (4,)}
NETWORKS = {
    "unet": {}, "mlp": {"width": 32}, "edm": PLAN, "adm": PLAN | {"channel_mult": (1, 4)},
    "edm2": PLAN | {"channels_per_head": 16},
}  # fmt: skip
SIZES = {"tiny": (0, 0.7), "small": (0, 3), "medium": (3, 7), "base": (5, 15)}  # millions of parameters


def network(name, **fields):
    return ds.Network.get(name)(**(NETWORKS[name] | fields))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def count(module):
    return sum(p.numel() for p in module.parameters())


def trained(built, steps=3, labels=None, augment=None):
    """A network after a few training steps towards a target that depends on all inputs."""
    optimiser = torch.optim.Adam(built.train().parameters(), lr=1e-2)
    x, c_noise = normal(8, *SHAPE), torch.linspace(-1.5, 1, 8)
    target = normal(8, *SHAPE, seed=1)
    for _ in range(steps):
        optimiser.zero_grad()
        (built(x, c_noise, labels, augment) - target).square().mean().backward()
        optimiser.step()
    return built.eval().requires_grad_(False)


# The start


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 12), (3, 32, 32)])
def test_the_output_is_zero_at_the_start(name, shape):
    built = network(name).build(shape, classes=3, augment=2)
    output = built(normal(2, *shape), torch.tensor([-1.5, 900.0]), torch.tensor([0, 2]), normal(2, 2))
    assert output.shape == (2, *shape)
    assert output.abs().max() < (1e-4 if name == "edm" else 1e-30)  # whose last layer has weights of 1e-5


@pytest.mark.parametrize("preset", sorted(set(preset_names()) - {"jit", "vdm++"}))
def test_the_loss_at_the_start_is_the_same_at_every_noise_level(preset):
    """E[lambda |D - y|^2 / d] on data whose root mean square, not standard deviation, is the column's sigma_data.

    It is 1 or, for the velocity n - y of flow matching, 1 + rms^2.
    It is the mean of 512,000 squares, with a standard error of at most sqrt(2 / 512,000) = 0.2 %.
    """
    design = ds.Design.preset(preset)
    rms = getattr(design.c_skip, "sigma_data", 1.0)
    y, n = rms * (0.6 + 0.8 * normal(8000, *SHAPE).double()), normal(8000, *SHAPE, seed=1).double()
    D = ds.precondition(network("mlp").build(SHAPE), design)
    levels = design.noise_distribution.from_uniform(f64([0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999]))
    with torch.no_grad():
        losses = [design.loss_weight(s) * (D(y + s * n, s) - y).square().mean() for s in levels]
    expected = 1 + rms**2 if preset == "flow" else 1
    assert torch.stack(losses).sub(expected).abs().max() < 0.02


def test_the_loss_of_digits_starts_at_one_with_their_root_mean_square():
    """Their mean is -0.39: with the standard deviation about it, the loss at the start would rise with the level."""
    digits = ds.Data.get("digits")().load()
    y = digits.scaled().double()
    n = normal(*y.shape, seed=1).double()

    def losses(sigma_data):
        design = ds.Design.preset("edm", sigma_data=sigma_data)
        D = ds.precondition(network("mlp").build(digits.shape), design)
        levels = f64([0.002, 0.1, 1.0, 10.0, 80.0])
        with torch.no_grad():
            return [float(design.loss_weight(s) * (D(y + s * n, s) - y).square().mean()) for s in levels]

    assert losses(digits.sigma_data) == pytest.approx([1] * 5, abs=0.01)
    assert losses(float(y.std()))[::2] == pytest.approx([1, 1.17, 1.27], abs=0.01)


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_of_the_seed_and_draw_nothing_else(name):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = network(name).build(SHAPE, 3, 2).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(7)
    again, other = (network(name, seed=seed).build(SHAPE, 3, 2).state_dict() for seed in (0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_a_seed_is_left_even_when_building_fails():
    before = torch.random.get_rng_state()
    with pytest.raises(RuntimeError, match="size"), seeded(3):
        torch.rand(3) + torch.rand(2)
    assert torch.equal(torch.random.get_rng_state(), before)


# Learning


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_flow_to_all_parameters_after_a_few_steps(name):
    built = network(name).build(SHAPE, 3, 2).train()
    labels, augment = torch.tensor([0, 1, 2, -1]), normal(4, 2)
    x, c_noise, target = normal(4, *SHAPE), torch.linspace(-1.5, 1, 4), normal(4, *SHAPE, seed=1)
    optimiser = torch.optim.SGD(built.parameters(), lr=0.1)
    for _ in range(4):  # at first, layers in front of those that are zero have none
        optimiser.zero_grad()
        (built(x, c_noise, labels, augment) - target).square().mean().backward()
        optimiser.step()
    still = [key for key, p in built.named_parameters() if p.grad is None or not p.grad.any()]
    assert [key for key in still if not key.endswith("to_k.bias")] == []  # softmax does not see a shift of all keys


@pytest.mark.parametrize("name", NETWORKS)
def test_labels_and_augmentation_matter_and_none_is_a_default(name):
    labels, augment = torch.arange(8) % 3, normal(8, 2)
    built = trained(network(name).build(SHAPE, 3, 2), labels=labels, augment=augment)
    x, c = normal(8, *SHAPE, seed=2), torch.zeros(8)
    plain = built(x, c, labels)
    assert torch.equal(built(x, c, labels, torch.zeros(8, 2)), plain)
    assert not torch.allclose(built(x, c, labels, augment), plain)
    assert not torch.allclose(built(x, c, (labels + 1) % 3), plain)
    assert torch.equal(built(x, c, None), built(x, c, torch.full((8,), -1)))
    assert not torch.allclose(built(x, c), plain)
    some = torch.where(torch.arange(8) < 4, labels, -1)  # as for guidance: classes left out, sample by sample
    torch.testing.assert_close(built(x, c, some)[:4], plain[:4], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(built(x, c, some)[4:], built(x, c)[4:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_labels_for_a_network_without_classes(name):
    built = network(name).build(SHAPE)
    with pytest.raises(ValueError, match="labels were given, but the network was built without classes"):
        built(normal(2, *SHAPE), torch.zeros(2), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="augmentation labels were given, but the network was built without"):
        built(normal(2, *SHAPE), torch.zeros(2), None, torch.zeros(2, 3))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_noise_level_matters_and_a_batch_does_not(name):
    built = trained(network(name).build(SHAPE))
    x = normal(1, *SHAPE).expand(4, -1, -1, -1)
    levels = torch.tensor([-1.0, 0.0, 3.0, 700.0])
    output = built(x, levels)
    assert torch.pdist(output.flatten(1)).min() > 1e-4
    torch.testing.assert_close(built(x[2:3], levels[2:3]), output[2:3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_samples_and_networks_of_other_types(name, dtype):
    single = trained(network(name).build(SHAPE))
    x, sigma = 2 * normal(2, *SHAPE).double(), f64([0.3, 3.0])
    edm = ds.Design.preset("edm")
    expected = ds.precondition(single, edm)(x, sigma)
    assert expected.dtype == torch.float64
    other = ds.precondition(copy.deepcopy(single).to(dtype), edm)(x, sigma)
    assert other.dtype == torch.float64
    torch.testing.assert_close(other, expected, rtol=0, atol=1e-5 if dtype == torch.float64 else 0.05)
    assert ds.precondition(single, edm)(x.to(dtype), sigma).dtype == dtype


def test_a_toy_is_learned():
    """One number, -1 or 1: after 300 steps the loss is near that of the ideal denoiser, tanh(x / sigma^2)."""
    design = ds.Design.preset("velocity")
    built = network("mlp").build((1,)).train()
    D = Preconditioned(built, design)
    optimiser, draw = torch.optim.Adam(built.parameters(), lr=3e-3), torch.Generator().manual_seed(0)

    def losses(count):
        y = torch.randint(0, 2, (count, 1), generator=draw).double() * 2 - 1
        sigma = design.training_sigmas(count, draw)
        x = y + sigma[:, None] * torch.randn(count, 1, generator=draw)
        weight = design.loss_weight(sigma)[:, None]
        return [(weight * (d - y).square()).mean() for d in (D(x, sigma), torch.tanh(x / sigma[:, None] ** 2))]

    for _ in range(300):
        optimiser.zero_grad()
        losses(256)[0].backward()
        optimiser.step()
    with torch.no_grad():
        learned, ideal = losses(20_000)
    assert ideal < learned < ideal + 0.05


def test_augmentation_labels_reach_the_network_through_the_denoiser():
    built, x, sigma, augment = network("mlp").build(SHAPE, 0, 2), normal(3, *SHAPE), f64(0.5), normal(3, 2)
    seen = []
    built.register_forward_pre_hook(lambda module, args: seen.append(args[3:]))
    edm = ds.Design.preset("edm")
    Preconditioned(built, edm, None, augment)(x, sigma)
    Preconditioned(built, edm)(x, sigma)
    assert (len(seen[0]), seen[1]) == (1, ())
    assert torch.equal(seen[0][0], augment)


# How noise is told


@pytest.mark.parametrize("row", sorted(ds.CNoise.known))
def test_every_c_noise_is_resolved_and_smooth(row):
    """10 % more noise turns the fastest sinusoid by more than 1 radian, unless the row gives both the same number."""
    c_noise = ds.CNoise.get(row)()
    sigma = torch.logspace(-1.6, 1.9, 100, dtype=torch.float64)
    c, more = c_noise(sigma), c_noise(1.1 * sigma)
    turned = (timestep(more) - timestep(c))[c != more]
    assert turned.min() > 1.0
    assert turned.max() < 40  # DDPM's own: up to 21 indices, so 21
    assert (timestep(more) - timestep(c) >= more - c).all()
    assert timestep(c_noise(f64([0.002, 80.0]))).abs().max() < 1800
    embedded = fourier(c_noise(torch.logspace(-1, 1.9, 40, dtype=torch.float64)), 32)
    assert torch.pdist(embedded).min() > 1.0  # of sqrt(32), if none of their angles agreed


# U-Net


@pytest.mark.parametrize("size", SIZES)
def test_parameters_of_the_sizes(size):
    low, high = SIZES[size]
    counts = [count(network("unet", size=size).build((3, side, side), classes=10)) / 1e6 for side in (8, 16, 28, 64)]
    assert low < min(counts)
    assert max(counts) < high
    assert counts[1:] == counts[1:2] * 3  # three levels from 16 x 16 on
    stated = {"tiny": (0.43, 0.66), "small": (1.7, 2.6), "medium": (3.8, 6.2), "base": (8.5, 13.9)}[size]
    bare = [count(network("unet", size=size).build((3, side, side))) / 1e6 for side in (8, 16)]
    assert bare == pytest.approx(stated, rel=0.03)


@pytest.mark.parametrize("size", [(8, 8), (12, 12), (28, 28), (64, 64), (20, 8)])
def test_images_of_many_sizes(size):
    built = network("unet").build((3, *size), classes=2)
    torch.nn.init.ones_(built.unet.conv_out.weight)
    with torch.no_grad():
        assert built(normal(1, 3, *size), torch.zeros(1), torch.tensor([1])).shape == (1, 3, *size)


@pytest.mark.parametrize(
    ("shape", "patch"), [((3, 30, 32), 1), ((3, 4, 4), 1), ((3, 32), 1), ((1, 1, 1), 1), ((1, 12, 12), 2)]
)
def test_images_that_a_unet_does_not_take(shape, patch):
    with pytest.raises(
        DataError, match=f"samples of {'x'.join(map(str, shape))}; with patch {patch} it takes C x H x W"
    ):
        network("unet", patch=patch).build(shape)


def test_patches_are_channels_and_come_back_in_their_place():
    built = network("unet", patch=2).build((1, 16, 16))
    assert built.unet.config.in_channels == built.unet.config.out_channels == 4
    built.unet.forward = lambda x, *_, **__: (x,)
    x = normal(2, 1, 16, 16)
    assert torch.equal(built(x, torch.zeros(2)), x)


def test_dropout_is_for_training():
    built = trained(network("unet", dropout=0.5).build(SHAPE))
    x, c = normal(2, *SHAPE), torch.zeros(2)
    assert torch.equal(built(x, c), built(x, c))
    assert not torch.equal(built.train()(x, c), built(x, c))


def test_without_diffusers_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(DataError, match=r"pip install 'designspace\[diffusers\]'"):
        network("unet").build(SHAPE)
    text = "data: digits\ndenoiser: {name: preconditioned, network: unet}\ndesign: edm\n"
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ds.SpecError, match=r"a.yaml:2:\d+: denoiser.network: network unet needs the package diffusers"):
        ds.load(tmp_path / "a.yaml")


# Networks of one's own, and their data


def test_what_a_factory_asks_for_it_is_given(tmp_path):
    (tmp_path / "net.py").write_text(
        "import torch\n\n\ndef make(shape, classes, width=3, augment=7):\n"
        "    made = torch.nn.Linear(1, 1)\n    made.given = (shape, classes, width, augment)\n    return made\n"
    )
    fields = {"factory": f"{tmp_path / 'net.py'}:make", "kwargs": {"width": 4, "augment": 9}}
    assert ds.Network.get("module").model_validate(fields).build((1, 8, 8), 5, 2).given == ((1, 8, 8), 5, 4, 9)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_denoiser_takes_shape_and_classes_from_the_data(name):
    images = Images(torch.zeros(4, 1, 12, 8, dtype=torch.uint8), torch.tensor([0, 1, 2, 2]), ("a", "b", "c"))
    edm = ds.Design.preset("edm")
    ready = ds.Denoiser.get("preconditioned")(network=network(name)).load(images, edm, CPU)
    x, sigma = normal(3, 1, 12, 8), f64(0.4)
    assert ready.shape == (1, 12, 8)
    torch.testing.assert_close(ready.bind(torch.tensor([0, 1, 2]))(x, sigma), (edm.c_skip(sigma) * x).float())


def test_images_of_a_network_depend_on_the_data_set(tmp_path):
    text = "denoiser: {name: preconditioned, network: mlp}\ndesign: edm\ngrid: {data: [digits, mixture]}\n"
    (tmp_path / "a.yaml").write_text(text)
    one, other = ds.load(tmp_path / "a.yaml").trials()
    assert one.sampling_identity() != other.sampling_identity()


def test_a_module_has_the_initial_weights_of_its_seed(tmp_path):
    (tmp_path / "linear.py").write_text("from torch.nn import Linear\n")  # hashing all of PyTorch would take 13 s

    def weights(**seed):
        spec = {"factory": f"{tmp_path}/linear.py:Linear", "kwargs": {"in_features": 2, "out_features": 2}, **seed}
        return ds.Network.get("module").model_validate(spec).build((1, 2, 2)).weight.tolist()

    assert weights() == weights(seed=0) != weights(seed=1)
