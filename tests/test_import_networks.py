"""The networks of NVIDIA's checkpoints: D as the originals give it, and the parts that the golden data do not reach."""

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import f64
from pydantic import ValidationError
from safetensors.torch import load_file
from torch.nn.functional import conv2d, pad, silu

import designspace as ds
from designspace.denoising.layers import Convolution, attention, low_pass, resampled
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.errors import DataError
from designspace.storage.cache import Cache
from designspace.training.checkpoints import trained
from designspace.training.recipe import Recipe
from designspace.training.state import State

GOLDEN = Path(__file__).parent / "data" / "import"
NAMES = {"SongUNet": "edm", "DhariwalUNet": "adm", "UNet": "edm2"}
PRESETS = {"EDMPrecond": "edm", "VEPrecond": "ve", "Precond": "edm"}
PLAN = {"model_channels": 8, "channel_mult": (1, 2, 2), "num_blocks": 1, "attn_resolutions": ()}
SHAPE = (3, 8, 8)
CPU = torch.device("cpu")


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network(name, **fields):
    return ds.Network.get(name).model_validate(PLAN | fields)


def shaken(built, by=0.2):
    """The network with other parameters: most of its last layers are zero at the start."""
    with torch.no_grad():
        for k, parameter in enumerate(built.parameters()):
            parameter.add_(by * normal(*parameter.shape, seed=k))
    return built


def inputs_of(built, *names):
    """A list that gets the inputs of the layers with these names when the network is called."""
    seen = {}
    for name, module in built.named_modules():
        if name in names:
            module.register_forward_hook(lambda module, args, out, name=name: seen.update({name: (args[0], out)}))
    return seen


# The originals


def golden(name):
    """The wrapper's class, the network with its tensors, and the arrays x, sigma, labels and d."""
    if not (GOLDEN / f"{name}.json").is_file():
        pytest.skip("tests/data/import does not come with the source distribution")
    about = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    ((child, inner),) = about["children"].items()
    fields = dict(inner["init_kwargs"])
    side, classes, augment = (fields.pop(key, 0) for key in ("img_resolution", "label_dim", "augment_dim"))
    channels = fields.pop("in_channels", None) or fields.pop("img_channels")
    fields.pop("out_channels", None)
    row = ds.Network.get(NAMES[inner["class_name"]]).model_validate(fields)
    built = row.build((channels, side, side), classes, augment)
    tensors = {k.removeprefix(f"{child}."): v.float() for k, v in load_file(GOLDEN / f"{name}.safetensors").items()
               if k.startswith(f"{child}.")}  # fmt: skip
    built.load_state_dict(tensors)
    return about["class_name"], built, np.load(GOLDEN / f"{name}.npz")


def error(name, change=lambda built: None):
    """The largest error of D relative to its standard deviation."""
    wrapper, built, arrays = golden(name)
    change(built)
    x, sigma, labels, d = (torch.from_numpy(arrays[key]) for key in ("x", "sigma", "labels", "d"))
    design = ds.Design.preset(PRESETS[wrapper])
    D = PreconditionedNetwork(built, design, x.shape[1:]).bind(labels.argmax(1) if labels.numel() else None)
    with torch.no_grad():
        return float((D(x, sigma.double()) - d).abs().max() / d.std())


@pytest.mark.parametrize("name", ["edm-ddpmpp-uncond", "ve-ncsnpp-uncond", "edm-adm-cond"])
def test_the_denoiser_is_that_of_the_original(name):
    assert error(name) < 1e-5


def test_the_denoiser_of_edm2_is_that_of_the_original():
    """It divides its gains by the root of the fan-in in float16; the same gains give the same result."""

    def rounded(built):
        layers = dict(built.named_modules())
        for name, gain in built.named_parameters():
            if name.endswith("_gain"):
                weight = layers[name.replace("out_gain", "out_conv").replace("emb_gain", "emb_linear")].weight
                root = math.sqrt(weight[0].numel())
                gain.data.copy_((gain.half() / root).float() * root)

    assert 1e-5 < error("edm2-cond") < 5e-4
    assert error("edm2-cond", rounded) < 1e-5


# Layers


@pytest.mark.parametrize("taps", [(1, 1), (1, 3, 3, 1), (1, 2), (1, 5, 9, 2, -1, 1)])
def test_resampling_is_a_product_with_the_matrices_of_the_filter(taps):
    """Row i of the matrix that halves has the taps about pixels 2i and 2i + 1; its transpose, times 2, doubles."""
    n, row = 8, f64(taps) / sum(taps)
    halve = torch.zeros(n // 2, n, dtype=torch.float64)
    for i in range(n // 2):
        for k, tap in enumerate(row):
            at = 2 * i + k - (len(taps) - 1) // 2
            if 0 <= at < n:
                halve[i, at] += tap
    x = normal(2, 3, n, n).double()
    box = taps == (1, 1)
    kernel = None if box else low_pass(taps).double()
    for given in (x, x.contiguous(memory_format=torch.channels_last)):
        down, up = (resampled(given, kernel, up=up) for up in (False, True))
        torch.testing.assert_close(down, halve @ x @ halve.T, rtol=0, atol=1e-6)
        small = resampled(resampled(given, kernel, up=False), kernel, up=True)
        torch.testing.assert_close(small, 4 * halve.T @ (halve @ x @ halve.T) @ halve, rtol=0, atol=1e-6)
        assert up.shape == (2, 3, 2 * n, 2 * n)


@pytest.mark.parametrize("taps", [(1, 1), (1, 3, 3, 1)])
def test_a_convolution_before_the_filter_pads_the_image_once(taps):
    layer = Convolution(3, 4, 3, "after", taps)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    x = normal(2, 3, 8, 8)
    wide = pad(x, [1 + (len(taps) - 1) // 2] * 4)
    each = low_pass(taps).expand(4, 1, -1, -1)
    expected = conv2d(conv2d(wide, layer.weight, layer.bias), each, stride=2, groups=4)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_attention_is_that_of_a_loop_over_heads_and_pixels(unit, layout):
    heads, width, side = 2, 3, 4
    qkv = normal(2, heads * width * 3, side, side).contiguous(memory_format=layout)
    found = attention(qkv, heads, unit=unit)
    for image in range(2):
        for head in range(heads):
            first = 3 * width * head
            q, k, v = (qkv[image, first + part : first + 3 * width : 3].flatten(1).double() for part in range(3))
            if unit:
                q, k, v = (p / (1e-4 + p.square().mean(0).sqrt()) for p in (q, k, v))
            for pixel in range(side * side):
                weight = torch.stack([q[:, pixel] @ k[:, other] for other in range(side * side)]) / math.sqrt(width)
                expected = v @ weight.softmax(0)
                here = found[image, head * width : (head + 1) * width].flatten(1)[:, pixel]
                torch.testing.assert_close(here.double(), expected, rtol=1e-5, atol=1e-5)


# How the networks are put together


@pytest.mark.parametrize(
    ("name", "shape", "classes", "fields", "millions"),
    [
        ("edm", (3, 32, 32), 0, {"channel_mult": (2, 2, 2)}, 55.7),  # Karras et al. (2022), for CIFAR-10
        ("adm", (3, 64, 64), 1000, {}, 296),  # and for ImageNet
        # Karras et al. (2024), from XS to XXL
        *(("edm2", (4, 64, 64), 1000, {"model_channels": channels}, millions)
          for channels, millions in ((128, 125), (192, 280), (256, 498), (320, 777), (384, 1119), (448, 1523))),
    ],
)  # fmt: skip
def test_numbers_of_parameters_are_those_published(name, shape, classes, fields, millions):
    with torch.device("meta"):
        built = ds.Network.get(name).model_validate(fields).build(shape, classes, 9 if name == "edm" else 0)
    count = sum(parameter.numel() for parameter in built.parameters()) / 1e6
    assert round(count, 1 if millions < 100 else 0) == millions


@pytest.mark.parametrize("kind", ["skip", "residual"])
@pytest.mark.parametrize("taps", [(1, 1), (1, 3, 3, 1)])
def test_the_encoder_gets_the_image_in_each_size(kind, taps):
    built = shaken(network("edm", encoder_type=kind, resample_filter=taps).build(SHAPE))
    parts = [
        f"enc.{side}x{side}_{part}" for side in (8, 4, 2) for part in ("down", "block0", "aux_skip", "aux_residual")
    ]
    seen = inputs_of(built, *parts)
    x, kernel = normal(2, *SHAPE), low_pass(taps)
    with torch.no_grad():
        built(x, torch.zeros(2))
    image = x
    for side in (4, 2):
        name = f"enc.{side}x{side}"
        (_, down), (entered, _) = seen[f"{name}_down"], seen[f"{name}_block0"]
        if kind == "skip":
            image = resampled(image, kernel, up=False)
            torch.testing.assert_close(entered, down + seen[f"{name}_aux_skip"][1])
            torch.testing.assert_close(seen[f"{name}_aux_skip"][0], image)
        else:
            given, residual = seen[f"{name}_aux_residual"]
            torch.testing.assert_close(entered, (down + residual) / math.sqrt(2))
            torch.testing.assert_close(given, image)
            image = entered


def test_a_decoder_with_skips_sums_the_images_of_all_levels():
    built = network("edm", decoder_type="skip").build(SHAPE)
    for k, side in enumerate((2, 4, 8)):
        layer = built.dec[f"{side}x{side}_aux_conv"]
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, 10.0**k)
    assert "2x2_aux_up" not in built.dec
    torch.testing.assert_close(built(normal(2, *SHAPE), torch.zeros(2)), torch.full((2, *SHAPE), 111.0))


@pytest.mark.parametrize("name", NAMES.values())
@pytest.mark.parametrize("blocks", [1, 3])
def test_the_decoder_gets_what_the_encoder_gave_in_reverse(name, blocks):
    built = shaken(network(name, num_blocks=blocks).build((3, 12, 12)))
    seen = inputs_of(built, *(f"enc.{key}" for key in built.enc), *(f"dec.{key}" for key in built.dec))
    with torch.no_grad():
        built(normal(2, 3, 12, 12), torch.zeros(2))
    given = [seen[f"enc.{key}"][1] for key in built.enc]
    taken = [seen[f"dec.{key}"][0] for key in built.dec if "block" in key]
    assert len(given) == len(taken) == 3 * (blocks + 1)
    for skip, joined in zip(reversed(given), taken, strict=True):
        part = joined[:, -skip.shape[1] :]
        factor = math.sqrt(joined.shape[1] / (2 * skip.shape[1])) if name == "edm2" else 1.0
        torch.testing.assert_close(part, skip * factor, rtol=1e-4, atol=1e-5)


def attending(built):
    return [key for way in ("enc", "dec") for key, block in getattr(built, way).items() if getattr(block, "heads", 0)]


def test_blocks_with_attention():
    """In SongUNet the decoder has one per level; in the others every block has it, with a head per 64 channels."""
    fields = {"num_blocks": 2, "attn_resolutions": (8, 4), "model_channels": 64}
    deep = ["4x4_in0", "4x4_block0", "4x4_block1", "4x4_block2", "8x8_block0", "8x8_block1", "8x8_block2"]
    shape, two = (3, 8, 8), {"channel_mult": (1, 2)}
    down = ["8x8_block0", "8x8_block1", "4x4_block0", "4x4_block1"]
    built = {name: network(name, **fields | two).build(shape) for name in NAMES.values()}
    assert attending(built["edm"]) == [*down, "4x4_in0", "4x4_block2", "8x8_block2"]
    assert attending(built["adm"]) == attending(built["edm2"]) == down + deep
    for name, heads in (("edm", 1), ("adm", 2), ("edm2", 2)):
        assert (built[name].enc["8x8_block0"].heads, built[name].enc["4x4_block0"].heads) == (1, heads)


def test_learned_variances_are_the_second_half_of_the_output():
    x, sigma = normal(2, *SHAPE), f64(0.7)
    for name, last in (("edm", "dec.8x8_aux_conv"), ("adm", "out_conv")):
        plain, twice = (shaken(network(name, learned_variance=learned).build(SHAPE)) for learned in (False, True))
        state = plain.state_dict()
        for key in (f"{last}.weight", f"{last}.bias"):
            state[key] = torch.cat([state[key], torch.ones_like(state[key])])
        twice.load_state_dict(state)
        assert twice(x, torch.zeros(2)).shape == (2, 6, 8, 8)
        D, other = (ds.precondition(built, ds.Design.preset("iddpm")) for built in (plain, twice))
        torch.testing.assert_close(other(x, sigma), D(x, sigma))


# Labels


@pytest.mark.parametrize("kind", ["positional", "fourier"])
def test_what_the_embedding_is_made_of(kind):
    built = shaken(network("edm", embedding_type=kind, channel_mult_noise=2).build(SHAPE, 5, 2))
    seen = inputs_of(built, "map_layer0", "enc.8x8_block0.affine")
    c, labels, augment = torch.tensor([-1.0, 0.5, 2.0]), torch.tensor([4, -1, 0]), normal(3, 2)
    built(normal(3, *SHAPE), c, labels, augment)
    frequency = 10_000 ** -(torch.arange(8) / 7) if kind == "positional" else 2 * math.pi * built.map_noise.freqs
    angle = c[:, None] * frequency
    chosen = built.map_label.weight.T[labels] * (labels >= 0)[:, None] * math.sqrt(5) + built.map_label.bias
    total = torch.cat([angle.sin(), angle.cos()], 1) + chosen + augment @ built.map_augment.weight.T
    torch.testing.assert_close(seen["map_layer0"][0], total, rtol=1e-4, atol=1e-4)
    embedding = silu(built.map_layer1(silu(built.map_layer0(total))))
    torch.testing.assert_close(seen["enc.8x8_block0.affine"][0], embedding, rtol=1e-4, atol=1e-4)


def test_what_the_embedding_of_adm_is_made_of():
    built = shaken(network("adm").build(SHAPE, 5, 2))
    seen = inputs_of(built, "enc.8x8_block0.affine")
    c, labels, augment = torch.tensor([-1.0, 0.5, 2.0]), torch.tensor([4, -1, 0]), normal(3, 2)
    built(normal(3, *SHAPE), c, labels, augment)
    angle = c[:, None] * 10_000 ** -(torch.arange(4) / 4)
    first = torch.cat([angle.cos(), angle.sin()], 1) + augment @ built.map_augment.weight.T
    chosen = built.map_label.weight.T[labels] * (labels >= 0)[:, None]
    embedding = silu(built.map_layer1(silu(built.map_layer0(first))) + chosen)
    torch.testing.assert_close(seen["enc.8x8_block0.affine"][0], embedding, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["edm", "adm"])
def test_labels_are_left_out_in_training_only(name):
    built = shaken(network(name, label_dropout=0.99999, dropout=0.0).build(SHAPE, 5))
    x, c, labels = normal(3, *SHAPE), torch.zeros(3), torch.tensor([0, 1, 2])
    assert not torch.allclose(built(x, c, labels), built(x, c))
    built.train()
    torch.testing.assert_close(built(x, c, labels), built(x, c))


# EDM2: weights and magnitudes


def rms_of_weights(built):
    return torch.cat([
        p.square().flatten(1).mean(1).sqrt() for name, p in built.named_parameters() if name.endswith("weight")
    ])  # fmt: skip


def test_training_keeps_the_weights_of_each_output_at_unit_magnitude():
    built = network("edm2", channels_per_head=8, attn_resolutions=(4,)).build(SHAPE, 5, 2)
    shaken(built, by=1.0).requires_grad_(False)
    untouched = copy.deepcopy(built).state_dict()
    x, c, labels, augment = normal(3, *SHAPE), torch.zeros(3), torch.tensor([0, 1, 2]), normal(3, 2)
    evaluated = built(x, c, labels, augment)
    assert all(torch.equal(untouched[key], value) for key, value in built.state_dict().items())
    gap = built.train()(x, c, labels, augment) - evaluated  # normalising twice makes weights smaller by 1e-4
    assert gap.std() < 3e-3 * evaluated.std()
    torch.testing.assert_close(rms_of_weights(built), torch.ones(len(rms_of_weights(built))), rtol=0, atol=1e-3)


def test_activations_keep_their_magnitude_at_the_start():
    built = network("edm2", model_channels=64, channels_per_head=32, attn_resolutions=(4,)).build((3, 16, 16), 5)
    seen = inputs_of(built, *(f"{way}.{key}" for way in ("enc", "dec") for key in getattr(built, way)))
    with torch.no_grad():
        built(normal(8, 3, 16, 16), torch.linspace(-1, 1, 8), torch.arange(8) % 5)
    sizes = {key: float(out.square().mean().sqrt()) for key, (_, out) in seen.items()}
    assert len(sizes) == len(built.enc) + len(built.dec)
    assert all(0.6 < size < 1.5 for size in sizes.values()), sizes


def test_weights_and_activations_keep_their_magnitude_in_training(tmp_path):
    """In 60 steps with the learning rate of EDM2 and more; free weights grow by more than that."""
    small = {"model_channels": 32, "channel_mult": (1, 2), "num_blocks": 1, "attn_resolutions": (4,)}
    digits, edm2 = ds.Data.get("digits")().load(), network("edm2", channels_per_head=16, **small)
    design = ds.Design.preset("edm", sigma_data=digits.sigma_data, loss_weight="uncertainty")
    recipe = {"batch_size": 16, "learning_rate": 0.03, "warm_up": 160, "decay_after": 640}
    plan = ds.Denoiser.get("trained")(network=edm2, **recipe).plan(digits, design)
    built = trained(plan, 960, CPU, Cache(tmp_path), lambda progress: None).network
    assert (rms_of_weights(built) - 1).abs().max() < 0.01
    seen = inputs_of(built, *(f"{way}.{key}" for way in ("enc", "dec") for key in getattr(built, way)))
    with torch.no_grad():
        built(digits.scaled()[:64], torch.linspace(-1, 1, 64))
    sizes = {key: out.square().mean().sqrt().item() for key, (_, out) in seen.items()}
    assert all(0.6 < size < 1.4 for key, size in sizes.items() if key.startswith("enc")), sizes
    assert all(0.6 < size < 2.5 for size in sizes.values()), sizes


def test_activations_are_clipped():
    built = shaken(network("edm2", clip_act=0.25).build(SHAPE))
    seen = inputs_of(built, "dec.8x8_block1")
    built(normal(2, *SHAPE), torch.zeros(2))
    assert seen["dec.8x8_block1"][1].abs().max() == 0.25


def other_state():
    return shaken(network("edm2", seed=1).build(SHAPE)).state_dict()


def take_a_step(built):
    built.train()
    adam = torch.optim.Adam(built.parameters(), lr=0.1, fused=True)
    built(normal(2, *SHAPE), torch.zeros(2)).square().mean().backward()
    adam.step()
    built.eval()


def move_the_average(built):
    state = other_state()
    with torch.no_grad():
        torch._foreach_lerp_(list(built.parameters()), [state[name] for name, _ in built.named_parameters()], 0.5)


CHANGES = {
    "a state dict after eval()": lambda built: built.load_state_dict(other_state()),
    "a state dict that is assigned": lambda built: built.load_state_dict(other_state(), assign=True),
    "a moving average": move_the_average,
    "a step of training": take_a_step,
    "another type": lambda built: built.double(),
    "another type and back": lambda built: built.bfloat16().float(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_weights_in_use_follow_every_change_of_the_parameters(change):
    built = shaken(network("edm2").build(SHAPE))
    x, c = normal(2, *SHAPE), torch.zeros(2)
    with torch.inference_mode():
        before = built(x, c)
    change(built)
    x = x.to(built.out_gain.dtype)
    fresh = network("edm2").build(SHAPE).to(x.dtype)
    fresh.load_state_dict(built.state_dict())
    with torch.inference_mode():
        found, expected = built(x, c), fresh(x, c)
        assert torch.equal(found, expected)
        assert torch.equal(copy.deepcopy(built)(x, c), expected)
        assert not torch.equal(found, before)


def test_weights_in_use_are_computed_once(monkeypatch):
    built = shaken(network("edm2").build(SHAPE)).requires_grad_(False)
    x, c = normal(2, *SHAPE).requires_grad_(), torch.zeros(2)
    layer, count = type(built.out_conv), []
    original = layer._scaled
    monkeypatch.setattr(layer, "_scaled", lambda self, weight: count.append(1) or original(self, weight))
    with torch.inference_mode():
        built(x, c)
    first = len(count)
    built(x, c).sum().backward()  # what was computed in inference mode serves gradients as well
    assert len(count) == first > 0
    assert x.grad.abs().sum() > 0


def test_parameters_have_gradients_in_evaluation():
    built = shaken(network("edm2").build(SHAPE))
    x, c = normal(2, *SHAPE), torch.zeros(2)
    with torch.no_grad():
        built(x, c)
    built(x, c).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in built.parameters())


# Training


@pytest.mark.parametrize("name", NAMES.values())
def test_training_that_is_resumed_gives_the_same_network(name, tmp_path):
    digits = ds.Data.get("digits")().load()
    row = network(name, channel_mult=(1, 2), dropout=0.1)
    denoiser = ds.Denoiser.get("trained")(
        network=row, training_images=64, batch_size=16, warm_up=16, labels=True, augmentation="edm"
    )
    plan, quiet = denoiser.plan(digits, ds.Design.preset("edm")), lambda progress: None
    whole = trained(plan, 64, CPU, Cache(tmp_path / "one"), quiet)
    trained(plan, 32, CPU, Cache(tmp_path / "other"), quiet)
    resumed = trained(plan, 64, CPU, Cache(tmp_path / "other"), quiet)
    one, other = whole.tensors(), resumed.tensors()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    x, c = normal(2, *digits.shape), torch.zeros(2)
    assert whole.average(x, c).any()
    assert torch.equal(whole.average(x, c), resumed.average(x, c))


def test_the_average_of_edm2_is_evaluated_with_its_own_weights():
    ema = {"name": "half_life", "half_life": 1e6, "ramp_up": 0.5}
    state = State(network("edm2").build(SHAPE), Recipe(ema=ema, warm_up=1, batch_size=4), CPU, ds.Design.preset("edm"))
    x, c = normal(4, *SHAPE), torch.zeros(4)
    for _ in range(3):
        state.average(x, c)
        (state.network(x, c) - x).square().mean().backward()
        state.apply()
    fresh = network("edm2").build(SHAPE)
    fresh.load_state_dict(state.average.state_dict())
    assert torch.equal(state.average(x, c), fresh.requires_grad_(False)(x, c))


def test_initial_weights_of_edm_are_xaviers():
    built = network("edm", model_channels=32, attn_resolutions=(8,)).build(SHAPE, 5).requires_grad_(False)
    block = built.enc["8x8_block0"]
    bound = math.sqrt(6 / (2 * 9 * 32))
    for layer, expected in ((block.conv0, bound), (block.conv1, 1e-5 * bound), (block.qkv, math.sqrt(0.2 * 6 / 128))):
        assert layer.weight.abs().max() == pytest.approx(expected, rel=0.02)
        assert layer.weight.std() == pytest.approx(expected / math.sqrt(3), rel=0.05)
        assert not layer.bias.any()
    assert torch.equal(block.norm0.weight, torch.ones(32))


def test_initial_weights_of_adm_are_pytorchs_with_zeros_at_the_end_of_sums():
    built = network("adm", model_channels=64, attn_resolutions=(8,)).build(SHAPE, 50, 3).requires_grad_(False)
    block = built.enc["8x8_block0"]
    for layer, fan_in in ((block.conv0, 9 * 64), (block.qkv, 64), (block.affine, 256), (built.map_layer0, 64)):
        for parameter in (layer.weight, layer.bias):
            assert parameter.abs().max() == pytest.approx(1 / math.sqrt(fan_in), rel=0.05)
    assert built.map_label.weight.std() == pytest.approx(1, rel=0.05)
    zeros = [block.conv1, block.proj, built.out_conv, built.map_augment]
    assert not any(parameter.any() for layer in zeros for parameter in layer.parameters())


# What is refused


@pytest.mark.parametrize("name", NAMES.values())
@pytest.mark.parametrize("shape", [(3, 10, 12), (3, 30, 30), (3, 8), (1, 1, 1)])
def test_images_that_cannot_be_halved_at_each_level(name, shape):
    size = "x".join(map(str, shape))
    expected = f"network {name}: samples of {size}; with 3 levels it takes C x H x W, H and W multiples of 4"
    with pytest.raises(DataError, match=expected):
        network(name).build(shape)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("edm", {"model_channels": 132}, "132 channels, which do not divide into 32 groups: let model_channels"),
        ("adm", {"model_channels": 48, "channel_mult": [1, 2, 3]}, "a block has 144 channels, which do not divide"),
        ("edm", {"model_channels": 30}, "multiple of 4"),
        ("edm2", {"channel_mult": []}, "at least 1 item"),
        ("edm", {"resample_filter": [1, 2, 1]}, "an even number of weights, whose sum is not 0"),
        ("edm2", {"resample_filter": [1, -1]}, "an even number of weights, whose sum is not 0"),
        ("edm", {"encoder_type": "skips"}, "'standard', 'skip' or 'residual'"),
        ("adm", {"resample_filter": [1, 1]}, "unknown field 'resample_filter'"),
    ],
)  # fmt: skip
def test_fields_that_do_not_fit(name, fields, message):
    with pytest.raises(ValidationError, match=message):
        network(name, **fields)


def test_channels_that_do_not_divide_into_heads():
    with pytest.raises(DataError, match="a block has 32 channels, which do not divide into 3 heads"):
        network("edm2", model_channels=16, channels_per_head=9).build(SHAPE)
