"""Decoders: latents of a denoiser become images."""

import json
import shutil
import sys

import pytest
import torch
import yaml
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import designspace as ds
from designspace.cli.app import app
from designspace.data.images import to_uint8
from designspace.errors import DataError, SpecError
from designspace.report import Study, write
from designspace.run.estimate import dry_run
from designspace.run.stages import Stages
from designspace.spec import load
from designspace.storage.cache import Cache

CPU = torch.device("cpu")
STATISTICS = {"mean": [5.81, 3.25, 0.12, -2.15], "std": [4.17, 4.62, 3.71, 3.28]}
"""Of the latents of EDM2."""
FILE = """
import torch


class Blur(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = torch.nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x, c_noise, labels=None):
        return self.mix(x)


class Enlarge(torch.nn.Module):
    def __init__(self, by=2, channels=1):
        super().__init__()
        self.by = by
        self.mix = torch.nn.Conv2d(4, channels, 1)

    def forward(self, latents):
        return self.mix(torch.nn.functional.interpolate(latents, scale_factor=self.by)).tanh()


def enlarge(device):
    assert device == "cpu"
    return lambda latents: torch.nn.functional.interpolate(latents[:, :1], scale_factor=2).tanh()


def broken():
    return lambda latents: latents.nothing


def parts():
    return lambda latents: {"image": latents}


def infinite():
    return lambda latents: torch.nn.functional.interpolate(latents[:, :1], scale_factor=2) / 0


def number():
    return 3
"""
NETWORK = {"name": "module", "factory": "./net.py:Blur", "shape": [4, 4, 4]}
SPEC = {
    "name": "latent",
    "data": "digits",
    "denoiser": {"name": "preconditioned", "network": NETWORK},
    "decoder": {"name": "vae", "path": "./vae"},
    "design": "edm",
    "num_steps": 3,
    "evaluate": {"images": 20, "detector": "pixels", "metrics": ["frechet"]},
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with an autoencoder of 4x4x4 latents and 1x8x8 images, and a file of code."""
    folder = tmp_path_factory.mktemp("made")
    torch.manual_seed(0)
    AutoencoderKL(
        in_channels=1, out_channels=1, latent_channels=4, block_out_channels=(8, 8), norm_num_groups=4, sample_size=16,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, scaling_factor=0.3,
        shift_factor=0.25,
    ).save_pretrained(folder / "vae")  # fmt: skip
    (folder / "net.py").write_text(FILE)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "spec")


@pytest.fixture
def spec(folder):
    def spec(**changes):
        path = folder / "latent.yaml"
        path.write_text(yaml.safe_dump(SPEC | changes, sort_keys=False))
        return load(path)

    return spec


def latents(n=5):
    return torch.randn(n, 4, 4, 4, generator=torch.Generator().manual_seed(1))


def decoder(name, **fields):
    return ds.Decoder.get(name)(**fields)


def folders_own(folder, z):
    """What the autoencoder itself makes of its own latents."""
    with torch.no_grad():
        return AutoencoderKL.from_pretrained(folder / "vae").decode(z).sample


# The decoder of an autoencoder


@pytest.mark.parametrize(
    ("fields", "factor", "offset"),
    [
        ({}, 1 / 0.3, 0.25),
        ({"scale": 0.5}, 2.0, 0.25),
        ({"scale": 0.5, "shift": -1.0}, 2.0, -1.0),
        (STATISTICS, torch.tensor(STATISTICS["std"]) / 0.5, torch.tensor(STATISTICS["mean"])),
        (
            STATISTICS | {"final_mean": 0.1, "final_std": 1.0},
            torch.tensor(STATISTICS["std"]),
            torch.tensor(STATISTICS["mean"]) - 0.1 * torch.tensor(STATISTICS["std"]),
        ),
    ],
    ids=["of the folder", "scale", "scale and shift", "EDM2", "other statistics"],
)
def test_it_decodes_as_diffusers_does(fields, factor, offset, made):
    factor, offset = (torch.as_tensor(part).reshape(-1, 1, 1) for part in (factor, offset))
    decode = decoder("vae", path=made / "vae", batch_size=2, **fields).load(CPU)
    torch.testing.assert_close(decode(latents()), folders_own(made, latents() * factor + offset), rtol=0, atol=1e-6)


def test_statistics_of_latents_in_the_folder_are_used(folder):
    config = folder / "vae" / "config.json"
    more = {"latents_mean": STATISTICS["mean"], "latents_std": STATISTICS["std"], "shift_factor": None}
    config.write_text(json.dumps(json.loads(config.read_text()) | more))
    std, mean = (torch.tensor(STATISTICS[name]).reshape(-1, 1, 1) for name in ("std", "mean"))
    decode = decoder("vae", path=folder / "vae").load(CPU)  # as the pipeline of Stable Diffusion XL does
    expected = folders_own(folder, latents() * std / 0.3 + mean)
    torch.testing.assert_close(decode(latents()), expected, rtol=0, atol=1e-6)


def test_half_precision_is_close(made):
    exact, half = (decoder("vae", path=made / "vae", dtype=dtype).load(CPU) for dtype in ("float32", "bfloat16"))
    found = half(latents())
    assert found.dtype == torch.float32
    assert 0 < (found - exact(latents())).abs().max() < 0.05


def test_the_folder_of_a_pipeline_and_pickled_weights(folder):
    pipe = folder / "pipe"
    shutil.copytree(folder / "vae", pipe / "vae")
    (pipe / "model_index.json").write_text("{}")
    vae = decoder("vae", path=folder / "vae")
    of_pipe = decoder("vae", path=pipe)
    assert of_pipe.identity() == vae.identity()
    weights = pipe / "vae" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    assert torch.equal(decoder("vae", path=pipe).load(CPU)(latents()), vae.load(CPU)(latents()))


def test_shapes_are_known_without_loading(made):
    vae = decoder("vae", path=made / "vae")
    assert vae.shape_of((4, 4, 6)) == tuple(vae.load(CPU)(torch.zeros(1, 4, 4, 6)).shape[1:]) == (1, 8, 12)


def test_its_identity_has_its_contents_and_not_its_place_or_batches(folder):
    vae = decoder("vae", path=folder / "vae")
    copy = shutil.copytree(folder / "vae", folder / "copy")
    assert decoder("vae", path=copy, batch_size=1).identity() == vae.identity()
    before = json.dumps(vae.identity())
    weights = copy / "diffusion_pytorch_model.safetensors"
    save_file({name: 1.01 * tensor for name, tensor in load_file(weights).items()}, weights)
    assert json.dumps(decoder("vae", path=copy).identity()) != before
    assert json.dumps(decoder("vae", path=folder / "vae", scale=0.3).identity()) != before


def damage(folder, what):
    vae = folder / "vae"
    weights, config = vae / "diffusion_pytorch_model.safetensors", vae / "config.json"
    if what == "no weights":
        weights.unlink()
    elif what == "no folder":
        shutil.rmtree(vae)
    elif what == "no config":
        config.write_text("[]")
    elif what == "cut off":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif what == "another class":
        config.write_text(json.dumps({"_class_name": "UNet2DModel"}))
    elif what == "other names":
        tensors = load_file(weights)
        tensors.pop("post_quant_conv.bias")
        save_file(tensors, weights)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no folder", r":14:9: decoder.path: there is no .*vae.config.json: check the path$"),
        ("no config", r"config.json is not the config.json of a model of diffusers$"),
        ("another class", r"describes a model of class UNet2DModel; the decoder needs an AutoencoderKL$"),
        ("no weights", r"vae has no diffusion_pytorch_model.safetensors or .*: copy the whole folder"),
    ],
)
def test_a_folder_that_is_not_complete_is_refused_with_its_place(what, message, folder, spec):
    damage(folder, what)
    with pytest.raises(SpecError, match=message):
        spec()


@pytest.mark.parametrize(
    ("what", "message"), [("cut off", "cannot be read: "), ("other names", r"does not fit config.json: 1 other names")]
)
def test_weights_that_do_not_fit_are_refused(what, message, folder):
    damage(folder, what)
    with pytest.raises(DataError, match=message):
        decoder("vae", path=folder / "vae").load(CPU)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mean": [1.0, 2.0, 3.0, 4.0]}, "give either scale and shift, or both mean and std"),
        ({**STATISTICS, "scale": 2.0}, "give either scale and shift, or both mean and std"),
        ({"mean": [1.0], "std": [1.0, 2.0]}, "mean and std need one number per channel"),
        ({"mean": [1.0], "std": [1.0]}, r":15:3: decoder.mean: has 1 numbers, but latents of .*vae have 4 channels$"),
    ],
)
def test_statistics_that_do_not_go_together_are_refused(fields, message, spec):
    with pytest.raises(SpecError, match=message):
        spec(decoder=SPEC["decoder"] | fields)


# A decoder of one's own


def test_a_module_with_weights_and_arguments(folder):
    (expected,) = (torch.nn.Conv2d(4, 1, 1).state_dict(),)
    save_file({f"mix.{name}": tensor for name, tensor in expected.items()}, folder / "weights.safetensors")
    own = decoder(
        "module", factory=f"{folder}/net.py:Enlarge", kwargs={"by": 3}, weights=folder / "weights.safetensors"
    )
    assert own.shape_of((4, 2, 2)) == (1, 6, 6)
    z = latents()[:, :, :2, :2]
    plain = torch.nn.functional.conv2d(z, expected["weight"], expected["bias"]).tanh()
    torch.testing.assert_close(own.load(CPU)(z)[:, :, ::3, ::3], plain)


def test_a_function_gets_the_device(folder):
    decode = decoder("module", factory=f"{folder}/net.py:enlarge").load(CPU)
    assert torch.equal(decode(latents())[:, :, ::2, ::2], latents()[:, :1].tanh())


# Runs


def test_a_run_decodes_latents(folder, spec, tmp_path):
    ablation = spec(evaluate=SPEC["evaluate"] | {"metrics": ["frechet", "endpoint_error"]})
    results = ds.run(ablation, out=tmp_path, progress=False)
    (row,) = results.rows()
    assert row.seconds.keys() == {"sampling", "decoding", "features", "metrics"}
    assert row.trial["decoder"]["name"] == "vae"
    trial = ablation.trials()[0]
    stages = Stages(Cache(), CPU)
    sampled = stages.latents(trial, range(20))
    assert sampled["latents"].shape == (20, 4, 4, 4)
    images = to_uint8(folders_own(folder, sampled["latents"] / 0.3 + 0.25))
    assert (stages.images(trial, range(20))["images"].int() - images.int()).abs().max() <= 1  # batches round otherwise
    shown = torch.as_tensor(results.artefact(row.id)["images"])
    assert torch.equal(shown, stages.images(trial, range(20))["images"][:8])
    assert row.metrics["endpoint_error"].value > 0

    write(Study(results.folder))
    table = (results.folder / "table.md").read_text()
    assert "decoded by vae" in table


def test_another_decoder_does_not_sample_again(spec, tmp_path, monkeypatch):
    own = {"name": "module", "factory": "./net.py:enlarge"}
    ablation = spec(grid={"decoder": [SPEC["decoder"], own]})
    planned = dry_run(ablation, out=tmp_path)
    parts = [{"sampling", "decoding"} & point.parts.keys() for point in planned]
    assert parts == [{"sampling", "decoding"}, {"decoding"}]
    calls = []
    monkeypatch.setattr(sys.modules[Stages.__module__], "generate", counting(calls))
    first, second = ds.run(ablation, out=tmp_path / "a", progress=False).rows()
    assert len(calls) == 1
    assert first.nfe == second.nfe == 5
    assert first.metrics["frechet"].value != second.metrics["frechet"].value
    assert {point.id for point in planned} == {first.id, second.id}
    ds.run(ablation, out=tmp_path / "b", progress=False)
    assert len(calls) == 1
    (again,) = dry_run(spec(), out=tmp_path / "c")
    assert again.cached == 1
    assert again.parts.keys() <= {"reference", "metrics"}


def counting(calls):
    from designspace.run.generate import generate

    def counted(*args):
        calls.append(args)
        return generate(*args)

    return counted


def test_without_a_decoder_nothing_changes(spec):
    plain = spec(denoiser="exact", decoder=None)
    same = spec(denoiser="exact", decoder="none")
    (one,), (other,) = plain.trials(), same.trials()
    assert one.id == other.id
    assert "decoder" not in one.identity()
    assert spec().trials()[0].identity()["decoder"]["name"] == "vae"
    assert one.model_validate(json.loads(one.model_dump_json())).id == one.id


def test_ids_follow_the_weights(folder, spec):
    before = spec().trials()[0]
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    save_file({name: 1.01 * tensor for name, tensor in load_file(weights).items()}, weights)
    after = spec().trials()[0]
    assert before.id != after.id
    assert before.sampling_identity() == after.sampling_identity()


def test_images_that_are_not_finite_are_blamed_on_the_decoder(spec, tmp_path):
    results = ds.run(spec(decoder={"name": "module", "factory": "./net.py:infinite"}), out=tmp_path, progress=False)
    (failure,) = results.failures
    assert "20 of the images 0 to 19 are not finite" in failure.error
    assert "in decoder 'module'" in failure.error


def test_metrics_of_the_denoiser_on_images_are_refused(spec):
    with pytest.raises(SpecError, match=r"evaluates the denoiser on the images .* latents of decoder vae"):
        spec(evaluate=SPEC["evaluate"] | {"metrics": ["denoising_error"]})


def test_the_spread_of_pixels_is_not_that_of_latents(spec):
    with pytest.raises(SpecError, match=r"design.sigma_data: 'data' is measured on pixels, .* latents of decoder vae"):
        spec(design={"preset": "edm", "sigma_data": "data"})
    assert spec(design={"preset": "edm", "sigma_data": "data"}, decoder="none").trials()


PIXELS = {"name": "preconditioned", "network": "mlp"}
OWN = {"name": "module", "factory": "./net.py:Enlarge"}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"denoiser": PIXELS}, "decoder: .*vae decodes latents of 4 channels, not 1x8x8"),
        (
            {"denoiser": {"name": "preconditioned", "network": NETWORK | {"shape": [4, 8, 8]}}},
            "decoder: vae makes images of 1x16x16 from the 4x8x8 of denoiser preconditioned, but the images of the data"
            " set are 1x8x8",
        ),
        (
            {"decoder": OWN | {"kwargs": {"channels": 3}}},
            "decoder: module makes images of 3x8x8 from the 4x4x4 of denoiser preconditioned, but the images of the"
            " data set are 1x8x8",
        ),
        (
            {"denoiser": "exact"},
            "decoder: denoiser exact works on the pixels of the data set, which need no decoder: use decoder none, or a"
            " denoiser of latents",
        ),
        ({"denoiser": {"name": "trained", "network": "mlp"}}, "decoder: denoiser trained works on the pixels"),
        (
            {"decoder": {"name": "module", "factory": "./net.py:broken"}},
            r"decoder: decoder module fails \(.*net.py:\d+\): AttributeError: ",
        ),
        (
            {"decoder": {"name": "module", "factory": "./net.py:parts"}},
            r"decoder: the decoder returns a dict \(image: tensor \[1, 4, 4, 4\]\); it must return the images",
        ),
        (
            {"decoder": {"name": "module", "factory": "./net.py:number"}},
            "decoder: .*net.py:number gives 3, which cannot be called: let it return",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused_before_any_work(changes, line, folder, spec, tmp_path):
    ablation = spec(**changes)
    for call in (ds.run, dry_run):
        with pytest.raises(SpecError, match=rf"latent.yaml:\d+:\d+: {line}"):
            call(ablation, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    checked = CliRunner().invoke(app, ["check", str(ablation.path)])
    assert checked.exit_code == 2


def test_the_place_is_that_of_the_value_on_the_axis(spec, tmp_path):
    wrong = OWN | {"kwargs": {"by": 4}}
    ablation = spec(grid={"decoder": [OWN, wrong]})
    text = ablation.path.read_text().splitlines()
    line = next(i for i, found in enumerate(text, 1) if "by: 4" in found) - 3
    with pytest.raises(SpecError, match=rf"latent.yaml:{line}:\d+: grid.decoder.1: module makes images of 1x16x16"):
        ds.run(ablation, out=tmp_path)


def test_a_denoiser_of_another_shape_needs_a_decoder(spec, tmp_path):
    what = "makes samples of 4x4x4, but the images of the data set are 1x8x8: use other data or"
    for call in (ds.run, dry_run):
        with pytest.raises(SpecError, match=rf"latent.yaml:\d+:\d+: denoiser: .* {what}"):
            call(spec(decoder="none"), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
