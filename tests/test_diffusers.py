"""Folders of diffusers: their networks denoise as its own samplers do, and wrong folders are refused in one line."""

import json
import os
import re
import shutil

import pytest
import torch
from typer.testing import CliRunner

import designspace as ds
from designspace.cli.app import app
from designspace.denoising.pipelines import read_folder
from designspace.errors import DataError
from designspace.spec import SpecError, load

diffusers = pytest.importorskip("diffusers")
TINY = {
    "sample_size": 8, "in_channels": 1, "out_channels": 1, "block_out_channels": (8, 16), "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "norm_num_groups": 4, "attention_head_dim": 4,
}  # fmt: skip
BETAS = torch.linspace(1e-3, 0.2, 60).tolist()
CPU = torch.device("cpu")
N = 10


def network(**config):
    torch.manual_seed(0)
    return diffusers.UNet2DModel(**(TINY | config)).eval()


@pytest.fixture
def folder(tmp_path):
    """Save a pipeline of a tiny network with a scheduler, and return its folder and the network."""

    def make(scheduler=None, **config):
        model, path = network(**config), tmp_path / "pipe"
        model.save_pretrained(path / "unet")
        (scheduler or diffusers.DDPMScheduler(clip_sample=False)).save_pretrained(path / "scheduler")
        name = type(scheduler).__name__ if scheduler else "DDPMScheduler"
        index = {"_class_name": "X", "unet": ["diffusers", "UNet2DModel"], "scheduler": ["diffusers", name]}
        (path / "model_index.json").write_text(json.dumps(index))
        return path, model

    return make


def denoiser(path, labels=None, **fields):
    found = ds.Denoiser.get("diffusers")(path=path, **fields)
    found.require()
    return found.load(ds.Data.get("digits")().load(), ds.Design.preset("edm"), CPU).bind(labels)


def sampled(path, latents, levels, start="unit", **fields):
    rows = {"solver": "euler", "time_steps": {"name": "explicit", "levels": levels}}
    return ds.sample(ds.Design.preset("edm", **rows), denoiser(path, **fields), latents, len(levels), start=start).x


def noise():
    return torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def sigma_of(scheduler):
    alpha_bar = scheduler.alphas_cumprod.double()
    return ((1 - alpha_bar) / alpha_bar).sqrt()


@torch.no_grad()
def followed(scheduler, model, z, **more):
    """The sampling loop of a pipeline of diffusers."""
    for t in scheduler.timesteps:
        output = model(scheduler.scale_model_input(z, t), t).sample[:, :1]
        z = scheduler.step(output, t, z, **more).prev_sample
    return z


def assert_same(x, reference, tolerance=2e-5):
    assert ((x - reference).abs().max() / reference.std()).item() < tolerance


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("betas", ["linear", "scaled_linear", "squaredcos_cap_v2", BETAS])
@pytest.mark.parametrize("clip_sample", [False, True])
def test_euler_is_ddim_of_diffusers(folder, prediction_type, betas, clip_sample):
    given = {"beta_schedule": betas} if isinstance(betas, str) else {"trained_betas": betas, "num_train_timesteps": 60}
    fields = {"prediction_type": prediction_type, "clip_sample": clip_sample, "timestep_spacing": "trailing"}
    scheduler = diffusers.DDIMScheduler(**given, **fields)
    path, model = folder(scheduler)
    scheduler.set_timesteps(N)
    reference = followed(scheduler, model, noise(), eta=0.0, use_clipped_model_output=True)
    levels = sigma_of(scheduler)[scheduler.timesteps].tolist()
    far = 3e-5 if (betas, prediction_type, clip_sample) == ("squaredcos_cap_v2", "epsilon", False) else 2e-5
    assert_same(sampled(path, noise(), levels), reference, far)  # sigma = 20291: diffusers rounds to float32


@pytest.mark.parametrize("prediction_type", ["v_prediction", "sample"])
@pytest.mark.parametrize("schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
def test_zero_terminal_snr_begins_at_4096(folder, prediction_type, schedule):
    fields = {"prediction_type": prediction_type, "beta_schedule": schedule, "rescale_betas_zero_snr": True}
    scheduler = diffusers.DDIMScheduler(timestep_spacing="trailing", clip_sample=False, **fields)
    path, model = folder(scheduler)
    scheduler.alphas_cumprod[-1] = 2**-24  # as in its schedulers of Euler, DPM-Solver++ and UniPC
    scheduler.set_timesteps(N)
    levels = sigma_of(scheduler)[scheduler.timesteps].tolist()
    assert levels[0] == pytest.approx(4096)
    assert_same(sampled(path, noise(), levels), followed(scheduler, model, noise(), eta=0.0))


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_euler_is_that_of_flow_matching(folder, shift):
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    path, model = folder(scheduler)
    scheduler.set_timesteps(sigmas=[0.999 - 0.0999 * i for i in range(N)])
    times = scheduler.sigmas[:-1].double()
    z = noise()
    with torch.no_grad():
        for t in scheduler.timesteps:
            z = scheduler.step(model(z, t).sample, t, z).prev_sample
    assert_same(sampled(path, noise(), (times / (1 - times)).tolist()), z)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_euler_is_that_of_edm_in_diffusers(folder, prediction_type):
    scheduler = diffusers.EDMEulerScheduler(prediction_type=prediction_type)
    path, model = folder(scheduler)
    scheduler.set_timesteps(N)
    reference = followed(scheduler, model, noise() * scheduler.sigmas[0])
    assert_same(sampled(path, noise(), scheduler.sigmas[:-1].tolist(), "sigma_max"), reference)


def test_a_continuous_noise_level_is_a_quarter_of_its_logarithm(folder):
    scheduler = diffusers.EulerDiscreteScheduler(timestep_type="continuous", prediction_type="v_prediction")
    path, model = folder(scheduler)
    scheduler.set_timesteps(N)
    reference = followed(scheduler, model, noise() * scheduler.sigmas[0])
    assert_same(sampled(path, noise(), scheduler.sigmas[:-1].tolist(), "sigma_max"), reference)


def test_dynamic_thresholding(folder):
    fields = {"sample_max_value": 1.5, "dynamic_thresholding_ratio": 0.9, "timestep_spacing": "trailing"}
    scheduler = diffusers.DDIMScheduler(thresholding=True, **fields)
    path, model = folder(scheduler)
    scheduler.set_timesteps(N)
    reference = followed(scheduler, model, noise(), eta=0.0, use_clipped_model_output=True)
    assert_same(sampled(path, noise(), sigma_of(scheduler)[scheduler.timesteps].tolist()), reference)


def test_learned_variances_are_left_out(folder):
    scheduler = diffusers.DDPMScheduler(variance_type="learned_range", clip_sample=False)
    path, model = folder(scheduler, out_channels=2)
    sigma, x = sigma_of(scheduler)[500], noise()
    with torch.no_grad():
        expected = x - sigma * model((x / (1 + sigma**2).sqrt()).float(), 500).sample[:, :1]
        assert_same(denoiser(path)(x, sigma), expected)


@pytest.mark.parametrize(
    ("prediction_type", "denoised"),
    [
        ("epsilon", lambda x, s, f: x - s * f),
        ("v_prediction", lambda x, s, f: x / (1 + s**2) - s / (1 + s**2).sqrt() * f),
        ("sample", lambda x, s, f: f),
    ],
)
def test_one_evaluation_is_the_formula_of_the_prediction(folder, prediction_type, denoised):
    scheduler = diffusers.DDPMScheduler(prediction_type=prediction_type, clip_sample=False)
    path, model = folder(scheduler)
    for t in (0, 300, 999):
        sigma, x = sigma_of(scheduler)[t], noise()
        with torch.no_grad():
            output = model((x / (1 + sigma**2).sqrt()).float(), t).sample
            assert_same(denoiser(path)(x, sigma), denoised(x, sigma, output).float())


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("linear", "linear"), ("scaled_linear", "scaled_linear"), ("cosine", "squaredcos_cap_v2"), ("sigmoid", "sigmoid")],
)
@pytest.mark.parametrize("zero", [False, True])
def test_levels_of_betas_are_those_of_diffusers(ours, theirs, zero):
    """They are products of 1,000 numbers in float32 there; with zero terminal SNR a difference of such products."""
    expected = sigma_of(diffusers.DDPMScheduler(beta_schedule=theirs, rescale_betas_zero_snr=zero)).flip(0)
    levels = ds.CNoise.get("betas")(schedule=ours, zero_terminal_snr=zero).levels()
    assert (levels.diff() < 0).all()
    below = expected < (1000 if zero else float("inf"))
    torch.testing.assert_close(levels[:-1][below], expected[below], rtol=1e-3 if zero else 3e-4, atol=0)
    if zero:
        assert levels[0] == 4096


def test_known_betas_give_known_rows(folder):
    def rows(**given):
        path, _ = folder(diffusers.DDPMScheduler(**given))
        return read_folder(path).rows["c_noise"]

    assert rows() == {"name": "ddpm", "M": 1000, "beta_1": 0.0001, "beta_M": 0.02}
    assert rows(beta_schedule="squaredcos_cap_v2") == {"name": "iddpm", "M": 1000}
    assert rows(trained_betas=[0.1, 0.2]) == {"name": "betas", "betas": [0.1, 0.2]}
    levels = ds.CNoise.get("betas")(schedule="cosine").levels()
    torch.testing.assert_close(levels, ds.CNoise.get("iddpm")().levels(), rtol=1e-10, atol=0)


def test_classes_are_passed_to_the_network(folder):
    scheduler = diffusers.DDPMScheduler(clip_sample=False)
    path, model = folder(scheduler, num_class_embeds=10)
    labels, x, sigma = torch.tensor([3, 1, 4, 1]), noise(), sigma_of(scheduler)[100]
    with torch.no_grad():
        output = model((x / (1 + sigma**2).sqrt()).float(), 100, class_labels=labels).sample
        assert_same(denoiser(path, labels)(x, sigma), (x - sigma * output).float())
        with pytest.raises(ValueError, match="labels: balanced"):
            denoiser(path)(x, sigma)
    assert read_folder(path).classes == 10


@pytest.mark.parametrize(
    ("own", "field", "limit"),
    [(True, "own", 1.0), (True, "none", None), (True, 0.5, 0.5), (False, "own", None), (False, {"limit": 2}, 2.0)],
)
def test_clip_is_that_of_the_scheduler_unless_it_is_given(folder, own, field, limit):
    path, _ = folder(diffusers.DDPMScheduler(clip_sample=own))
    found = denoiser(path, clip=field)(10 * noise(), torch.tensor(3.0, dtype=torch.float64)).abs().max().item()
    assert found == pytest.approx(limit) if limit else found > 5


def identity(path, **fields):
    return ds.Denoiser.get("diffusers")(path=path, **fields).identity()


def test_the_identity_has_what_decides_d_and_nothing_else(folder, tmp_path):
    path, model = folder()
    first = identity(path)
    (path / "README.md").write_text("about")
    (path / "text_encoder").mkdir()
    (path / "text_encoder" / "config.json").write_text("{}")
    shutil.copytree(path, tmp_path / "copy")
    assert identity(path) == first == identity(tmp_path / "copy")
    assert identity(path, clip=1) != first != identity(path, scheduler={"prediction_type": "sample"})
    assert identity(path, scheduler={"timestep_spacing": "leading"}) == first  # which D does not depend on
    with torch.no_grad():
        model.conv_out.bias += 1
    model.save_pretrained(path / "unet")
    assert identity(path) != first
    json.dumps(first, allow_nan=False)


def test_weights_in_other_files(folder, tmp_path):
    path, model = folder()
    x, sigma = noise(), torch.tensor(3.0, dtype=torch.float64)
    expected = denoiser(path)(x, sigma)
    weights = path / "unet" / "diffusion_pytorch_model.safetensors"
    for more in ({"max_shard_size": "60KB"}, {"safe_serialization": False}, {"variant": "fp16"}):
        weights.unlink(missing_ok=True)
        shutil.rmtree(path / "unet")
        model.save_pretrained(path / "unet", **more)
        variant = {"variant": more["variant"]} if "variant" in more else {}
        torch.testing.assert_close(denoiser(path, **variant)(x, sigma), expected)
    with pytest.raises(DataError, match="set variant: fp16"):
        denoiser(path)


def test_attention_layers_have_had_other_names(folder):
    path, model = folder()
    x, sigma = noise(), torch.tensor(3.0, dtype=torch.float64)
    expected, file = denoiser(path)(x, sigma), path / "unet" / "diffusion_pytorch_model"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = model.state_dict()
    for new, name in old.items():
        tensors = {key.replace(f".{new}.", f".{name}."): tensor for key, tensor in tensors.items()}
    assert any(".query." in key for key in tensors)
    file.with_suffix(".safetensors").unlink()
    torch.save(tensors, file.with_suffix(".bin"))
    torch.testing.assert_close(denoiser(path)(x, sigma), expected)


def test_a_model_alone_needs_a_scheduler(folder):
    path, _ = folder()
    x, sigma = noise(), torch.tensor(3.0, dtype=torch.float64)
    expected = denoiser(path)(x, sigma)
    with pytest.raises(DataError, match=r"without a scheduler.*give scheduler: .*, or path: .*pipe$"):
        denoiser(path / "unet")
    given = {"_class_name": "DDPMScheduler", "clip_sample": False}
    for scheduler in (path / "scheduler", path / "scheduler" / "scheduler_config.json", given):
        assert torch.equal(denoiser(path / "unet", scheduler=scheduler)(x, sigma), expected)


def test_an_autoencoder_is_told_from_a_denoiser(tmp_path):
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderKL"}')
    with pytest.raises(DataError, match=r"AutoencoderKL is an autoencoder: name its folder in decoder: \{name: vae"):
        denoiser(tmp_path)


EMBEDDINGS = {
    "cross_attention_dim": 8, "down_block_types": ("CrossAttnDownBlock2D",), "up_block_types": ("CrossAttnUpBlock2D",),
    "mid_block_type": "UNetMidBlock2DCrossAttn", "block_out_channels": (8,),
}  # fmt: skip


def test_a_network_of_text_needs_the_embeddings_of_a_prompt(folder, tmp_path):
    from safetensors.torch import save_file

    path, _ = folder()
    torch.manual_seed(0)
    config = {key: value for key, value in (TINY | EMBEDDINGS).items()}
    model = diffusers.UNet2DConditionModel(**config).eval()
    shutil.rmtree(path / "unet")
    model.save_pretrained(path / "unet")
    with pytest.raises(DataError, match="UNet2DConditionModel is conditional on text: give conditioning"):
        denoiser(path)
    prompt = torch.randn(5, 8)
    save_file({"encoder_hidden_states": prompt}, tmp_path / "prompt.safetensors")
    x, sigma = noise(), sigma_of(diffusers.DDPMScheduler())[100]
    with torch.no_grad():
        output = model((x / (1 + sigma**2).sqrt()).float(), 100, prompt.expand(4, 5, 8)).sample
    assert_same(denoiser(path, conditioning=tmp_path / "prompt.safetensors")(x, sigma), (x - sigma * output).float())


def changed(file, **values):
    def change(path):
        config = json.loads((path / file).read_text()) | values
        (path / file).write_text(json.dumps(config))

    return change


class Attack:
    def __reduce__(self):
        return os.system, ("touch executed",)


def attack(path):
    (path / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({"weight": Attack()}, path / "unet" / "diffusion_pytorch_model.bin")


def cut(path):
    file = path / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:2000])


SCHEDULER, CONFIG = "scheduler/scheduler_config.json", "unet/config.json"
WRONG = {
    "no index": (lambda path: (path / "model_index.json").unlink(), r"pipe has neither model_index.json nor config"),
    "cut index": (lambda path: (path / "model_index.json").write_text('{"unet":'), r"model_index.json is not JSON"),
    "list": (lambda path: (path / "model_index.json").write_text("[]"), r"model_index.json holds no mapping, but list"),
    "no unet": (changed("model_index.json", unet=None), r"has no unet and no transformer: load it with a function"),
    "transformers": (
        changed("model_index.json", unet=["transformers", "BertModel"]), r"unet is of the package transformers, not"
    ),
    "own package": (changed("model_index.json", unet=["my_module", "Net"]), r"unet is of the package my_module, not"),
    "no weights": (
        lambda path: (path / "unet" / "diffusion_pytorch_model.safetensors").unlink(), r"unet has no weights diffusion_"
    ),
    "cut weights": (cut, r"diffusion_pytorch_model.safetensors is a damaged safetensors file"),
    "pickle": (attack, r"diffusion_pytorch_model.bin contains objects of (posix|nt).system beside tensors"),
    "no scheduler": (lambda path: shutil.rmtree(path / "scheduler"), r"there is no .*scheduler_config.json"),
    "unknown scheduler": (
        changed(SCHEDULER, _class_name="DDIMSheduler"), r"scheduler 'DDIMSheduler'.* Did you mean 'DDIMScheduler'\?"
    ),
    "prediction": (changed(SCHEDULER, prediction_type="x0"), r"prediction_type 'x0' is not epsilon, v_prediction"),
    "betas": (changed(SCHEDULER, beta_schedule="laplace"), r"beta_schedule 'laplace' is not linear, scaled_linear"),
    "beta": (changed(SCHEDULER, beta_end=2.0), r"gives c_noise.beta_M: Input should be less than 1"),
    "number": (changed(SCHEDULER, beta_end="x"), r"gives c_noise.beta_M: Input should be a valid number"),
    "clip": (changed(SCHEDULER, clip_sample=True, clip_sample_range=-1), r"clip_sample_range .* greater than 0"),
    "network": (changed(CONFIG, _class_name="UNet3DConditionModel"), r"the network UNet3DConditionModel is not DiT"),
    "arguments": (changed(CONFIG, block_out_channels=[8]), r"UNet2DModel cannot be built with this config"),
    "other shapes": (changed(CONFIG, block_out_channels=[16, 16]), r"not the weights of UNet2DModel: .* another shape"),
    "inputs": (changed(CONFIG, in_channels=9), r"in_channels is 9 and out_channels 1, so it needs more than a noisy"),
    "size": (changed(CONFIG, sample_size="x"), r"sample_size is 'x', not a number of pixels"),
}  # fmt: skip
SPEC = """
data: digits
denoiser: {name: diffusers, path: ./pipe}
design: {preset: edm, solver: euler}
num_steps: 3
grid: {start: [sigma_max, unit]}
evaluate: {images: 10, detector: pixels, metrics: [frechet, loss]}
"""


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_folder_is_refused_in_one_line(folder, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    path, _ = folder()
    change, what = WRONG[case]
    change(path)
    (tmp_path / "a.yaml").write_text(SPEC)
    with pytest.raises(SpecError, match=what) as caught:
        load(tmp_path / "a.yaml")
    assert len(caught.value.lines) == 1
    assert caught.value.lines[0].startswith(f"{tmp_path / 'a.yaml'}:3:35: denoiser.path: ")
    assert not (tmp_path / "executed").exists()


def test_a_run_from_yaml(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    folder(diffusers.DDPMScheduler())
    (tmp_path / "a.yaml").write_text(SPEC)
    ablation = load(tmp_path / "a.yaml")
    assert [line.partition("denoiser: ")[2].split(",")[0] for line in ablation.warnings] == [
        "DDPMScheduler has timestep_spacing leading (steps_offset 0)",
        "DDPMScheduler clips D to [-1",
    ]
    first, second = ds.run(ablation, out=tmp_path / "out", progress=False).rows()
    assert first.metrics["frechet"].value != second.metrics["frechet"].value


def test_a_network_of_classes_is_sampled_with_labels(folder, tmp_path):
    folder(num_class_embeds=10)
    (tmp_path / "a.yaml").write_text(SPEC)
    with pytest.raises(SpecError, match=r":7:11: evaluate.labels: denoiser diffusers knows classes only"):
        ds.run(load(tmp_path / "a.yaml"), out=tmp_path / "out", progress=False)


def test_a_network_of_classes_can_be_imported(folder, tmp_path):
    path, _ = folder(num_class_embeds=10)
    assert CliRunner().invoke(app, ["import", str(path), "-o", str(tmp_path / "m")]).exit_code == 0
    model = ds.Denoiser.get("pretrained")(model=str(tmp_path / "m"))
    labels, sigma, x = torch.arange(4), torch.tensor(2.0), noise()
    imported = model.load(ds.Data.get("digits")().load(), ds.Design.preset("edm"), CPU).bind(labels)
    assert torch.equal(imported(x, sigma), denoiser(path, labels)(x, sigma))


@pytest.mark.parametrize(
    ("scheduler", "quirk"),
    [
        (lambda: diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0), "applies its shift 3 twice"),
        (lambda: diffusers.DPMSolverMultistepScheduler(use_karras_sigmas=True), "has use_karras_sigmas"),
        (lambda: diffusers.EulerDiscreteScheduler(use_beta_sigmas=True), "has use_beta_sigmas"),
        (lambda: diffusers.PNDMScheduler(set_alpha_to_one=False), "ends at its lowest noise level"),
        (lambda: diffusers.DDIMScheduler(), r"clips D to \[-1, 1\]"),
    ],
)
def test_quirks_of_schedulers_are_named(folder, scheduler, quirk):
    path, _ = folder(scheduler())
    cautions = ds.Denoiser.get("diffusers")(path=path).cautions()
    assert len([line for line in cautions if re.search(quirk, line)]) == 1
    assert [line for line in ds.Denoiser.get("diffusers")(path=path, clip="none").cautions() if "clips D" in line] == []


def test_a_network_of_diffusers_can_be_trained():
    config = {key: value for key, value in TINY.items() if key not in ("sample_size", "in_channels", "out_channels")}
    network = ds.Network.get("diffusers")(model="UNet2DModel", config=config)
    built = network.build((1, 8, 8), classes=10)
    x, c_noise = noise(), torch.zeros(4)
    none = built(x, c_noise, None)
    assert torch.equal(none, built(x, c_noise, torch.full((4,), -1)))
    assert not torch.equal(none, built(x, c_noise, torch.tensor([0, 1, 2, 3])))
    with pytest.raises(DataError, match=r"has no argument 'block_out_chanels'\. Did you mean 'block_out_channels'"):
        ds.Network.get("diffusers")(model="UNet2DModel", config={"block_out_chanels": [8]}).build((1, 8, 8))


def test_a_pretrained_model_may_ask_for_clipping(tmp_path):
    shipped = ds.Denoiser.get("pretrained")(model="digits")
    for suffix in (".json", ".safetensors"):
        shutil.copy(shipped.path.with_suffix(suffix), tmp_path / f"m{suffix}")
    about = json.loads((tmp_path / "m.json").read_text())
    about["denoiser"]["clip"] = {"limit": 0.5}
    (tmp_path / "m.json").write_text(json.dumps(about))
    images, x, sigma = ds.Data.get("digits")().load(), noise(), torch.tensor(0.3, dtype=torch.float64)

    def largest(**clip):
        denoiser = ds.Denoiser.get("pretrained")(model=str(tmp_path / "m"), **clip)
        return denoiser.load(images, None, CPU).bind(None)(x, sigma).abs().max().item(), denoiser.identity()

    found = [largest(), largest(clip="own"), largest(clip=0.25), largest(clip="none")]
    assert [value for value, _ in found[:3]] == [0.5, 0.5, 0.25]
    assert found[3][0] > 0.9
    assert found[0][1] == found[1][1]
    assert len({json.dumps(identity, allow_nan=False) for _, identity in found}) == 3
