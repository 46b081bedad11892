"""The contract of every row, tested on each registered component and on components that break it."""

import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

import designspace as ds
from designspace.design import preset_names
from designspace.errors import DataError
from designspace.evaluation import measure
from designspace.evaluation.measure import Measured
from designspace.evaluation.rows import DenoiserMetric, Diagnostic
from designspace.registry.known import ROWS
from designspace.sampling.levels import ramp
from designspace.testing import _CHECKS, checks, checks_of
from designspace.training.rows import AdaptedLevels, LearnedWeight

BUILT_IN = [
    pytest.param(cls, id=f"{row}/{name}")
    for row, kind in ROWS.items()
    for name, cls in kind.known.items()
    if cls.__module__.startswith("designspace.components.")
]
TABLE_1 = ["solver", "time_steps", "schedule", "scaling", "c_skip", "c_out", "c_in", "c_noise", "noise_distribution"]
FILES = Path(tempfile.gettempdir()) / f"designspace-contract-{os.getpid()}"
"""The components that read files are collected before a fixture can make a folder."""
SMALL = {"model_channels": 8, "channel_mult": (1, 2), "num_blocks": 1, "attn_resolutions": (4,)}
"""With their default fields, the networks of NVIDIA's checkpoints have up to 300 million parameters."""
PIPELINE = Path(__file__).parent / "data" / "diffusers"
TINY = {
    "block_out_channels": [4, 8], "layers_per_block": 1, "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "norm_num_groups": 2, "attention_head_dim": 4,
}  # fmt: skip
EXAMPLES = [
    ds.TimeSteps.get("explicit")(levels=(40.0, 10.0, 1.0, 0.1)),
    ds.LossWeight.get("importance")(target="sigmoid", target_distribution="edm"),
    ds.Data.get("folder")(path=FILES / "folder"),
    ds.Data.get("zip")(path=FILES / "images.zip"),
    ds.Data.get("npz")(path=FILES / "images.npz"),
    ds.Data.get("parquet")(path=FILES / "images.parquet"),
    ds.Data.get("hf")(path=FILES / "hf"),
    ds.Data.get("torchvision")(dataset="ImageFolder", root=FILES / "folder"),
    ds.Data.get("factory")(factory=f"{FILES / 'items.py'}:make"),
    ds.Reference.get("statistics")(path=FILES / "statistics.npz"),
    ds.Detector.get("file")(path=FILES / "network.json"),
    ds.Denoiser.get("preconditioned")(network="mlp"),
    ds.Denoiser.get("pretrained")(model="digits"),
    ds.Denoiser.get("trained")(network={"name": "mlp", "width": 8}, training_images=256),
    ds.Guidance.get("autoguidance")(guide="gaussian_mixture"),
    ds.Network.get("module")(factory=f"{FILES / 'identity.py'}:make"),
    ds.Network.get("edm")(**SMALL),
    ds.Network.get("edm")(**SMALL, embedding_type="fourier", encoder_type="residual", resample_filter=(1, 3, 3, 1)),
    ds.Network.get("adm")(**SMALL),
    ds.Network.get("edm2")(**SMALL, channels_per_head=8),
    ds.Denoiser.get("function")(factory=f"{FILES / 'identity.py'}:denoiser"),
    ds.Data.get("unseen")(shape=(1, 8, 8), classes=3),
    ds.Network.get("diffusers")(model="UNet2DModel", config=TINY),
    ds.Denoiser.get("diffusers")(path=PIPELINE),
    ds.Decoder.get("module")(factory=f"{FILES / 'identity.py'}:enlarge"),
    ds.Decoder.get("vae")(path=FILES / "vae"),
]


def write_tables(images):
    import pyarrow as pa
    import pyarrow.parquet

    table = pa.table({"image": [path.read_bytes() for path in images], "label": list(range(len(images)))})
    pyarrow.parquet.write_table(table, FILES / "images.parquet")
    (FILES / "hf").mkdir()
    with pa.OSFile(str(FILES / "hf" / "x.arrow"), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    (FILES / "hf" / "state.json").write_text('{"_data_files": [{"filename": "x.arrow"}]}')


@pytest.fixture(scope="module", autouse=True)
def files():
    """The files that the examples read."""
    (FILES / "folder" / "a").mkdir(parents=True)
    pixels = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8)
    for k, image in enumerate(pixels):
        Image.fromarray(image).save(FILES / "folder" / "a" / f"{k}.png")
    subprocess.run([sys.executable, "-m", "zipfile", "-c", "../images.zip", "a"], cwd=FILES / "folder", check=True)
    np.savez(FILES / "images.npz", images=pixels, labels=np.arange(4) % 2)
    with suppress(ImportError):
        write_tables(sorted((FILES / "folder").rglob("*.png")))
    (FILES / "items.py").write_text("import torch\ndef make():\n    return torch.zeros(4, 1, 8, 8).byte()\n")
    features = np.random.default_rng(0).normal(size=(20, 5))
    np.savez(FILES / "statistics.npz", mu=features.mean(0), sigma=np.cov(features.T), n=20)
    (FILES / "identity.py").write_text(IDENTITY)
    torch.jit.trace(torch.nn.Flatten(), torch.rand(2, 3, 8, 8)).save(FILES / "network.pt")
    (FILES / "network.json").write_text(json.dumps(NETWORK))
    AutoencoderKL(block_out_channels=(8,), norm_num_groups=4).save_pretrained(FILES / "vae")
    yield
    for path in sorted(FILES.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    FILES.rmdir()


NETWORK = {
    "protocol": "FD-flat", "network": "network.pt", "size": 8, "filter": "bicubic", "antialias": True, "width": 192,
    "licence": "Apache-2.0",
}  # fmt: skip
IDENTITY = """
import torch


class Identity(torch.nn.Module):
    def forward(self, x, c_noise, labels=None, augment=None):
        return x


def make():
    return Identity()


def enlarge():
    return torch.nn.Upsample(scale_factor=2)


def denoiser():
    return lambda x, sigma: x / (1 + sigma.to(x).reshape(-1, 1, 1, 1) ** 2)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))


CHECKS = checks_of("designspace.components", EXAMPLES)


@pytest.mark.parametrize("check", [pytest.param(check, id=name) for name, check in CHECKS])
def test_contract(check):
    try:
        check()
    except DataError as missing:  # weights and data sets that do not come with the package
        pytest.skip(str(missing))


def test_every_row_has_checks_of_its_own():
    quick, in_context, _ = _CHECKS
    assert {row for kind in quick | in_context for row in [getattr(kind, "row", None)] if row} == set(ROWS)


def test_the_target_of_the_network_is_bounded_as_the_noise_vanishes():
    """D(x; 0) = x needs F = (1 - c_skip) / c_out x, in every preset."""
    sigma = torch.logspace(-6, -2, 5, dtype=torch.float64)
    for preset in preset_names():
        design = ds.Design.preset(preset)
        assert ((1 - design.c_skip(sigma)) / design.c_out(sigma)).abs().max() < 1 + 1e-9, preset


@pytest.mark.parametrize("cls", BUILT_IN)
def test_one_component_per_file_of_its_name(cls):
    path = Path(inspect.getfile(cls))
    assert (path.parent.name, path.stem) == (cls.row, cls.name)
    assert [c for c in ROWS[cls.row].known.values() if Path(inspect.getfile(c)) == path] == [cls]


def test_components_folder_reads_as_the_table():
    root = Path(ds.__file__).parents[1] / "components"
    assert {p.name for p in root.iterdir() if p.is_dir() and p.name != "__pycache__"} <= set(ROWS)
    assert list(ROWS)[: len(TABLE_1)] == TABLE_1
    assert not (root / "__init__.py").exists()


@pytest.mark.parametrize(
    "row", ["time_steps", "c_skip", "c_out", "c_in", "c_noise", "noise_distribution", "loss_weight"]
)
def test_table_1_is_complete(row):
    assert {"ddpm", "iddpm", "vp", "ve", "edm"} <= set(ROWS[row].known)


def mean(values, **other):
    """The mean as a metric measures it, with other numbers in place of the right ones."""
    return replace(measure.mean(values), **other)


@pytest.fixture
def define():
    """Define a component from methods and class variables for the duration of a test."""
    made = []

    def make(base, **attributes):
        base.known.pop("broken", None)
        cls = type(base)("Broken", (base,), {"__module__": __name__, "__doc__": "Broken."} | attributes, name="broken")
        made.append(cls)
        return cls()

    yield make
    for cls in made:
        cls.known.pop("broken", None)


def failures(component):
    """The checks that the component fails, with their messages."""
    found = {}
    for check in checks(component):
        try:
            check()
        except AssertionError as error:
            found[check.__name__] = str(error)
    return found


def edm(row):
    return ROWS[row].get("edm")()


def heun(**changes):
    """Heun's method with a modification."""
    step = ds.Solver.get("heun")().step

    def broken(self, flow, x, i, sigma, memory):
        return changes["after"](x, *step(flow, x, i, sigma, memory))

    return {"step": broken} | {key: value for key, value in changes.items() if key != "after"}


def conditional(D, shape=(1, 8, 8)):
    """A denoiser that ignores the labels of its images."""

    class Loaded:
        def __init__(self):
            self.shape = shape

        def bind(self, labels):
            return D

    return Loaded()


def level(sigma):
    return sigma.float().reshape(-1, 1, 1, 1)


def good(x, sigma):
    return x / (1 + 4 * level(sigma) ** 2)


BROKEN = [
    (
        ds.Schedule,
        {"sigma": lambda self: 1.0, "sigma_inv": lambda self, s: s},
        "takes_the_arguments",
        "the arguments of sigma: expected (self, t), got (self)",
    ),
    (ds.Schedule, {"sigma": lambda self, t: t + 1}, "sigma_increases_from_zero", "sigma(0): expected 0, got 1"),
    (
        ds.Schedule,
        {"sigma": lambda self, t: t - 3 * torch.exp(-(((t - 30) / 0.3) ** 2))},
        "sigma_increases_from_zero",
        "return schedule.sigma_inv(_levels(schedule)): expected no error, got schedule broken: "
        "sigma(t) is not increasing: it falls near t = 29.",
    ),
    (
        ds.Schedule,
        {"sigma": lambda self, t: t - 3 * torch.exp(-(((t - 30) / 0.3) ** 2)), "sigma_inv": lambda self, s: s},
        "sigma_increases_from_zero",
        "sigma(t): expected an increasing function, got a change of -",
    ),
    (
        ds.Schedule,
        {"sigma": lambda self, t: t.clamp(max=1) + (t - 2).clamp(min=0)},
        "sigma_increases_from_zero",
        "sigma(t): expected an increasing function, got a change of 0 from 1",
    ),
    (
        ds.Schedule,
        {
            "sigma": lambda self, t: (1.3 * torch.pi * t).tan(),
            "sigma_inv": lambda self, s: (s.atan() / torch.pi + (s > 1)) / 1.3,
        },
        "sigma_increases_from_zero",
        "sigma(t): expected an increasing function, got a change of -",
    ),
    (
        ds.Schedule,
        {"sigma": lambda self, t: torch.where(t < 1, t, t + 3)},
        "sigma_inv_inverts_sigma",
        "return schedule.sigma_inv(_levels(schedule)): expected no error, got schedule broken: "
        "sigma(t) jumps over 1.099 at t = 1",
    ),
    (
        ds.Schedule,
        {"sigma": lambda self, t: t, "sigma_inv": lambda self, s: 101 - s},
        "sigma_inv_inverts_sigma",
        "sigma_inv(sigma): expected an increasing function, got a change of -",
    ),
    (
        ds.Schedule,
        {"sigma": lambda self, t: t**2, "sigma_dot": lambda self, t: t, "sigma_inv": lambda self, s: s.sqrt()},
        "sigma_dot_is_the_derivative",
        "sigma_dot(t), the derivative of sigma(t), at 10: expected 20, got 10",
    ),
    (
        ds.Schedule,
        {"sigma": lambda self, t: t**2, "sigma_inv": lambda self, s: s},
        "sigma_inv_inverts_sigma",
        "sigma(sigma_inv(sigma)) at 100: expected 100, got 10000",
    ),
    (
        ds.Scaling,
        {"s": lambda self, t, schedule: 1 / (1 + t), "s_dot": lambda self, t, schedule: -1 / (1 + t)},
        "scales_the_signal",
        "s_dot(t), the derivative of s(t), with a schedule at",
    ),
    (
        ds.Scaling,
        {"s": lambda self, t, schedule: 2 / (1 + t)},
        "scales_the_signal",
        "s(0) with a schedule: expected 1, got 2",
    ),
    (
        ds.TimeSteps,
        {"sigmas": lambda self, n: 0.1 + 10 * ramp(n)},
        "levels_decrease",
        "sigmas(2): expected positive levels in decreasing order, got [0.1, 10.1]",
    ),
    (
        ds.TimeSteps,
        {"sigmas": lambda self, n: 90 - 80 * ramp(n)},
        "respects_the_limits_of_a_denoiser",
        "within(0.05, 60.0).sigmas(2): expected levels within these limits, got [90.0, ",
    ),
    (
        ds.TimeSteps,
        {"sigmas": lambda self, n: 1.0 / (1 + torch.arange(n, dtype=torch.float64))},
        "one_level_is_refused",
        "sigmas(1): expected ValueError, got no error",
    ),
    (
        ds.Stochasticity,
        {"lift": lambda self, sigma, n: (0.9 * sigma, 1.0)},
        "noise_is_only_added",
        "the level of lift(0.01, 18): expected at least 0.01, got 0.009",
    ),
    (
        ds.Stochasticity,
        {"lift": lambda self, sigma, n: (1.1 * sigma, 1.0), "noisy": False},
        "noise_is_only_added",
        "the level of lift(0.01, 18) where noisy is False: expected 0.01, got 0.011",
    ),
    (
        ds.Solver,
        heun(after=lambda before, x, memory: (1.001 * x, memory)),
        "converges_to_the_exact_end_point",
        "the errors at the end point with 32, 64 and 128 steps: expected falling numbers, got [",
    ),
    (
        ds.Solver,
        heun(order_of_convergence=property(lambda self: 3), after=lambda before, x, memory: (x, memory)),
        "converges_at_its_order",
        "the observed order_of_convergence: expected 3, as declared, got 2.0",
    ),
    (
        ds.Solver,
        heun(after=lambda before, x, memory: (x + 1e-6 * (x.mean() - x), memory)),
        "does_not_depend_on_the_batch",
        "an image alone and in a batch: expected ",
    ),
    (
        ds.Solver,
        heun(after=lambda before, x, memory: (before.copy_(x), memory)),
        "does_not_modify_its_input",
        "the first state, after sampling: expected ",
    ),
    (
        ds.Solver,
        heun(after=lambda before, x, memory: (x, memory)),
        "converges_at_its_order",
        "order_of_convergence: expected a class variable or a property that declares it; measured is 2.01, got None",
    ),
    (
        ds.CSkip,
        {"__call__": lambda self, sigma: 1 + sigma},
        "passes_a_share_of_the_input",
        "the values at 1e+06 and 1e+12, as sigma goes to infinity,: expected a common limit, got [1000001.0, ",
    ),
    (
        ds.CSkip,
        {"__call__": lambda self, sigma: -1 / (1 + sigma)},
        "passes_a_share_of_the_input",
        "c_skip, the share of the input that is passed on,: expected numbers in [0, 1], got [",
    ),
    (
        ds.CSkip,
        {"__call__": lambda self, sigma: sigma.float()},
        "is_a_function_of_the_noise_level",
        "the dtype of the value for sigma [50]: expected torch.float64, got torch.float32",
    ),
    (
        ds.COut,
        {"__call__": lambda self, sigma: sigma / (sigma > 1)},
        "is_a_function_of_the_noise_level",
        "the value for sigma [50]: expected finite numbers, got [inf, inf",
    ),
    (
        ds.COut,
        {"__call__": lambda self, sigma: 1 / sigma},
        "scales_the_output",
        "the values at 1e-12 and 1e-06, as sigma goes to 0,: expected a common limit",
    ),
    (
        ds.COut,
        {"__call__": lambda self, sigma: sigma**2},
        "scales_the_output",
        "c_out / sigma as sigma goes to infinity: expected at most 1e+06, got ",
    ),
    (
        ds.COut,
        {"__call__": lambda self, sigma: torch.zeros_like(sigma)},
        "scales_the_output",
        "c_out at positive noise levels: expected numbers other than 0, got [0.0, ",
    ),
    (
        ds.CIn,
        {"__call__": lambda self, sigma: sigma / (1 + sigma)},
        "scales_the_input",
        "c_in: expected a function that does not increase",
    ),
    (
        ds.CIn,
        {"__call__": lambda self, sigma: -1 / (1 + sigma)},
        "is_positive",
        "the value for every noise level: expected a positive number, got [-0.99",
    ),
    (
        ds.CNoise,
        {"__call__": lambda self, sigma: sigma.log().cos()},
        "tells_noise_levels_apart",
        "c_noise: expected a monotone function, got changes from -",
    ),
    (
        ds.CNoise,
        {"__call__": lambda self, sigma: sigma.float()},
        "is_a_function_of_the_noise_level",
        "the dtype of the value for sigma [50]: expected torch.float64, got torch.float32",
    ),
    (
        ds.CNoise,
        {"__call__": lambda self, sigma: sigma, "round_sigma": lambda self, sigma: sigma / 2},
        "rounds_to_supported_levels",
        "round_sigma of rounded levels at 100: expected 50, got 25",
    ),
    (
        ds.Network,
        {"build": lambda self, shape, classes=0, augment=0: Cropping().eval()},
        "keeps_the_shape",
        "the shape of the output with 0 classes",
    ),
    (
        ds.Network,
        {"build": lambda self, shape, classes=0, augment=0: Restless().eval()},
        "keeps_the_shape",
        "the output with 0 classes and 0 augmentation labels, a second time",
    ),
    (
        ds.Network,
        {"build": lambda self, shape, classes=0, augment=0: torch.nn.Identity()},
        "is_built_for_evaluation",
        "the mode of the built network: expected evaluation, got training",
    ),
    (
        ds.Network,
        {"build": lambda self, shape, classes=0, augment=0: Unaugmented().eval()},
        "keeps_the_shape",
        "F(x, c_noise, labels, augment) of the network: expected a fourth argument, the augmentation labels [B, L] or "
        "None, got TypeError: ",
    ),
    (
        ds.Network,
        {"build": lambda self, shape, classes=0, augment=0: Drawn().eval()},
        "is_the_same_each_time",
        "the state of PyTorch's generator after build: expected unchanged",
    ),
    (
        ds.Denoiser,
        {"load": lambda self, data, design, device: conditional(lambda x, s: good(x, s) + 1e-3 * x.mean())},
        "is_a_function_of_x_and_sigma",
        "D(x; sigma) for an image alone: expected ",
    ),
    (
        ds.Denoiser,
        {"load": lambda self, data, design, device: conditional(lambda x, s: x.mul_(0.5))},
        "is_a_function_of_x_and_sigma",
        "x after D(x; sigma): expected unchanged, got another tensor",
    ),
    (
        ds.Denoiser,
        {"load": lambda self, data, design, device: conditional(lambda x, s: 0.9 * good(x, s))},
        "keeps_the_limits_of_the_flow",
        "|D(x; sigma) - x| at sigma = 0.001: expected at most 0.02, got 0.",
    ),
    (
        ds.Denoiser,
        {"load": lambda self, data, design, device: conditional(lambda x, s: x.clone())},
        "keeps_the_limits_of_the_flow",
        "|D(x; sigma)| at sigma = 1000 for data in [-1, 1]: expected at most 10, got ",
    ),
    (
        ds.Decoder,
        {"load": lambda self, device: lambda latents: latents.flatten(1)},
        "decodes_latents",
        "the images: expected a floating-point tensor [3, C, H, W], got float32 [3, ",
    ),
    (
        ds.Decoder,
        {"load": lambda self, device: lambda latents: latents - latents.mean()},
        "decodes_latents",
        "the image of a latent alone: expected ",
    ),
    (
        ds.Decoder,
        {"load": lambda self, device: lambda latents: latents.mul_(0.5)},
        "decodes_latents",
        "the latents after they were decoded: expected unchanged, got another tensor",
    ),
    (
        ds.Decoder,
        {
            "load": lambda self, device: lambda latents: latents.clone(),
            "shape_of": lambda self, latents: (3, *latents[1:]),
        },
        "decodes_latents",
        "the shape of an image from latents [4, 8, 8]: expected (3, 8, 8), got (4, 8, 8)",
    ),
    (
        ds.Guidance,
        {"wrap": lambda self, denoiser: conditional(lambda x, s: x[:, :, :2], denoiser.shape)},
        "guides_a_denoiser",
        "the output of D(x; sigma): expected a tensor [3, 1, 4, 4], got float32 [3, 1, 2, 4]",
    ),
    (
        ds.Guidance,
        {"wrap": lambda self, denoiser: conditional(lambda x, s: denoiser.bind(None)(x, s), denoiser.shape)},
        "guides_a_denoiser",
        "sigma_min of the guided D, which has to pass on the attributes of D without guidance: expected 0.01, got none",
    ),
    (
        ds.NoiseDistribution,
        {"from_uniform": lambda self, u: (6 * u).sin() + 2},
        "draws_noise_levels",
        "from_uniform(u): expected a monotone function of u, got [",
    ),
    (
        ds.NoiseDistribution,
        {"from_uniform": lambda self, u: u.exp(), "density": lambda self, sigma: sigma},
        "has_the_density_of_its_quantiles",
        "density(sigma) at 2.58571: expected 1, got 2.58570966",
    ),
    (
        ds.LossWeight,
        {"__call__": lambda self, sigma: 1 - sigma},
        "is_positive",
        "the value for every noise level: expected a positive number, got [",
    ),
    (
        ds.Augmentation,
        {"size": 1, "__call__": lambda self, images, generator: (images.flip(3), torch.zeros(len(images), 1))},
        "transforms_images",
        "images whose labels are all zero, for images of 1 channels: expected ",
    ),
    (
        ds.Augmentation,
        {"size": 2, "__call__": lambda self, images, generator: (images, torch.zeros(len(images), 1))},
        "transforms_images",
        "the labels: expected a floating-point tensor [32, 2], got float32 [32, 1]",
    ),
    (
        ds.Data,
        {
            "load": lambda self: ds.data.images.Images(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.arange(4)),
            "content_hash": lambda self: "",
        },
        "gives_uint8_images",
        "the classes: expected 4 names or more, got 0",
    ),
    (
        ds.Detector,
        {"protocol": lambda self: "FD-broken", "load": lambda self, device: lambda pixels: pixels.float().std(0)[None]},
        "gives_features",
        "the features of 5 images: expected a float32 tensor [5, d], got float32 [1, 1, 8, 8]",
    ),
    (
        ds.Reference,
        {"content_hash": lambda self: str(np.random.random()), "load": lambda self, detector: None},
        "is_a_reference",
        "content_hash() a second time: expected 0.",
    ),
    (
        ds.Metric,
        {"measure": lambda self, generated, reference: Measured(-float(generated.features.mean() ** 2))},
        "tells_distributions_apart",
        "the value at distance 1: expected above -",
    ),
    (
        Diagnostic,
        {"observe": lambda self, probe: Measured(1.0), "check": lambda self, design, denoiser: None},
        "refuses_designs_that_draw_noise",
        "check() of a design that draws noise: expected ValueError, got no error",
    ),
    (
        Diagnostic,
        {"observe": lambda self, probe: Measured(1.0, se=float("nan"))},
        "sees_what_the_flow_does",
        "the standard error: expected a finite number, got nan",
    ),
    (
        ds.NoiseDistribution,
        {"from_uniform": lambda self, u: u, "adapted": lambda self, device: Wandering()},
        "adapts_noise_levels",
        "adapted(device).from_uniform(u) after 3 steps: expected positive numbers, got ",
    ),
    (
        ds.LossWeight,
        {"__call__": lambda self, sigma: sigma, "learned": lambda self: Unlearned()},
        "learns_a_weight",
        "the gradients of learned(): expected those of all parameters, got none of idle",
    ),
    (
        ds.EMA,
        {"decay": lambda self, images, batch_size: 1.5},
        "averages_parameters",
        "decay(0, 64): expected a float from 0 to 1, got 1.5",
    ),
    (
        ds.EMA,
        {"decay": lambda self, images, batch_size: 0.5, "kept": lambda self, step: {1, step} if step % 2 else [step]},
        "averages_parameters",
        "kept(3): expected steps of kept(2), or 3, got [1, 3]",
    ),
    (
        ds.Metric,
        {"measure": lambda self, generated, reference: Measured(1.0, influence=generated.features[:, 0] + 5)},
        "measures_a_number",
        "the mean of the influence: expected 0 within ",
    ),
    (
        ds.Metric,
        {"measure": lambda self, generated, reference: mean(generated.features[:, 0], se=1e-9)},
        "measures_a_number",
        "the standard error: expected at least ",
    ),
    (
        ds.Metric,
        {"measure": lambda self, generated, reference: mean(generated.features[:, 0], influence=torch.zeros(200))},
        "measures_a_number",
        "the standard deviation of the influence, divided by √n: expected at least ",
    ),
    (
        ds.Metric,
        {"measure": lambda self, generated, reference: Measured(1.0, se=np.random.default_rng().random())},
        "measures_a_number",
        "the standard error a second time (a random generator, such as numpy.random.default_rng(), needs a fixed seed)",
    ),
    (
        ds.Solver,
        heun(after=lambda before, x, memory: (x.double(), memory)),
        "keeps_shape_and_dtype",
        "x after step 1: expected a float32 tensor [3, 5], got float64 [3, 5]",
    ),
    (
        ds.Solver,
        {"step": lambda self, flow, x, i, sigma, memory: (x / (sigma if flow.sigma[i + 1] else x - x), memory)},
        "keeps_shape_and_dtype",
        "samples for latents of torch.float32 at 0: expected finite numbers, got ",
    ),
    (
        ds.Solver,
        heun(after=lambda before, x, memory: (x + 1e-6 * before, memory)),
        "is_exact_for_a_constant_denoiser",
        "x at the last level for a constant D: expected ",
    ),
    (
        DenoiserMetric,
        {"observe": lambda self, seen: Measured(float("nan"))},
        "sees_what_the_denoiser_does",
        "the value: expected a finite number, got nan",
    ),
]


class Restless(torch.nn.Module):
    """A network that draws from a generator without a seed."""

    def forward(self, x, c_noise, labels=None, augment=None):
        return x + np.random.default_rng().random()


class Wandering(AdaptedLevels):
    """Noise levels that fall in the course of training."""

    seen = 0

    def from_uniform(self, u):
        return u - 4e-4 * self.seen

    def see(self, sigma, losses, step):
        self.seen += 1


class Unlearned(LearnedWeight):
    """A loss weight with a parameter that has no effect."""

    def __init__(self):
        super().__init__()
        self.scale, self.idle = (torch.nn.Parameter(torch.ones(())) for _ in range(2))

    def forward(self, errors, sigma):
        return errors / self.scale + self.scale.log()


class Cropping(torch.nn.Module):
    """A network whose output is smaller than its input."""

    def forward(self, x, c_noise, labels=None, augment=None):
        return x[..., 1:]


class Unaugmented(torch.nn.Module):
    """A network that takes no labels of augmentation."""

    def forward(self, x, c_noise, labels=None):
        return x


class Drawn(torch.nn.Module):
    """A network whose weights are drawn from PyTorch's generator."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(1))

    def forward(self, x, c_noise, labels=None, augment=None):
        return self.weight * x


@pytest.mark.parametrize(
    ("base", "attributes", "check", "message"),
    BROKEN,
    ids=[f"{b.row}-{c}-{k}" for k, (b, _, c, _) in enumerate(BROKEN)],
)
def test_a_broken_component_fails_with_a_message(base, attributes, check, message, define):
    found = failures(define(base, **attributes))
    assert check in found
    found[check] = re.sub(r"with schedule \w+", "with a schedule", found[check])  # the first that is registered
    assert found[check].startswith(f"{base.row} broken: {message}"), found[check]
    assert all(re.match(rf"{base.row} broken: .+: expected .+, got ", text, re.DOTALL) for text in found.values()), (
        found
    )


def test_every_check_is_tested_by_a_component_that_breaks_it():
    tested = {check for _, _, check, _ in BROKEN} | {"is_documented", "round_trips"}
    assert {check.__name__ for group in _CHECKS for row in group.values() for check in row} == tested


def test_checks_that_every_component_has(define):
    assert "is_documented" in failures(define(ds.Schedule, __doc__="", sigma=lambda self, t: t))
    built_in = define(ds.Schedule, sigma=lambda self, t: t)
    type(built_in).__module__ = "designspace.components.schedule"
    assert failures(built_in) == {
        "is_documented": "schedule broken: sources: expected at least one publication, got none"
    }
    different = define(ds.Schedule, sigma=lambda self, t: t, __hash__=lambda self: id(self))
    assert set(failures(different)) == {"round_trips"}


def test_flow_matching_fits_the_contract(define):
    """Its time must stay below 1, where the noise level is infinite."""
    schedule = define(ds.Schedule, sigma=lambda self, t: t / (1 - t))
    assert failures(schedule) == {}
    assert failures(define(ds.Scaling, s=lambda self, t, schedule: 1 / (1 + schedule.sigma(t)))) == {}


@pytest.mark.parametrize(
    ("sigma", "t_max"),
    [(lambda t: 280 * t, 0.3), (lambda t: t / (0.3 - t), 0.3), (lambda t: (1.3 * torch.pi * t).tan(), None)],
)
def test_a_schedule_may_end(sigma, t_max, define):
    """The levels that are checked are those up to ``t_max``, or up to the first pole."""

    def of(self, t):
        assert t_max is None or (t <= t_max).all()
        return sigma(t)

    assert failures(define(ds.Schedule, sigma=of, **({"t_max": t_max} if t_max else {}))) == {}


def test_a_check_that_raises_another_error_says_what_was_called(define):
    def sigma(self, t):
        raise KeyError("table")

    found = failures(define(ds.Schedule, sigma=sigma))["sigma_increases_from_zero"]
    assert found.startswith(
        'schedule broken: require_close("sigma(0)", elementwise(schedule, "sigma(t)", schedule.sigma'
    )
    assert "expected no error, got schedule 'broken' fails: KeyError: 'table' (" in found
    assert "test_contract.py:" in found


def test_checks_of_scalings_use_the_built_in_schedules(define):
    define(ds.Schedule, sigma=lambda self, t: t + 1)
    assert failures(ds.Scaling.get("vp")()) == {}


def test_components_with_required_fields_need_an_example(define):
    class Needy(ds.Schedule, name="needy"):
        """A schedule with a field that has no default."""

        power: float

        def sigma(self, t):
            return t**self.power

    try:
        ((name, check),) = checks_of(__name__)
        assert name == "schedule/needy-has_an_example"
        with pytest.raises(
            AssertionError, match=r"needy: examples for checks_of: .* because of the required fields power"
        ):
            check()
        found = dict(checks_of(__name__, [Needy(power=2)]))
        assert len(found) == 6
        for check in found.values():
            check()
    finally:
        del ds.Schedule.known["needy"]


def test_duplicates_name_both_places(tmp_path):
    source = "import designspace as ds\nclass E(ds.Solver, name='euler'):\n    def step(self, *a): ...\n"
    (tmp_path / "mine.py").write_text(source)
    code = (
        "import designspace.registry.discovery as d, pathlib as p; d.import_user('./mine.py', relative_to=p.Path.cwd())"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(ds.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert "solver 'euler' is defined twice" in done.stderr
    assert "mine.py:E" in done.stderr
    assert "euler.py:Euler" in done.stderr
