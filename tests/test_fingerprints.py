"""Numbers of a component change only with its version: ``python tests/test_fingerprints.py`` records new ones.

Several instances of each component are recorded: one with the default fields, and others in which one field has another
value. Recorded numbers are replaced only if the version is higher than the recorded one.

A fingerprint has two sums for each tensor that a component gives on fixed inputs: the root of the sum of its squares,
and a sum with fixed weights of both signs. They are compared with a tolerance: machines differ in the last digits.
"""

import json
import math
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache, singledispatch
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image
from pydantic.fields import FieldInfo
from torch import Tensor

import designspace as ds
from designspace.data.images import Images, Unseen
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.errors import DataError
from designspace.evaluation.denoiser_probe import denoising
from designspace.evaluation.measure import Sample
from designspace.evaluation.rows import DenoiserMetric, Diagnostic
from designspace.registry import identity
from designspace.registry.component import Component
from designspace.registry.known import ROWS, Known
from designspace.sampling.noise import latents
from designspace.sampling.probe import MeasuredTimeSteps, Probe
from designspace.spec.trial import VERSION
from designspace.storage.files import file_hash

FILE = Path(__file__).parent / "data" / "fingerprints.json"
BUILT_IN = [
    f"{row}/{name}"
    for row, kind in ROWS.items()
    for name, cls in sorted(kind.known.items())
    if cls.__module__.startswith("designspace.components.")
]
NOT_HERE = {"data/cifar10", "detector/inception"}
"""Their files cannot be part of the repository; tests/test_data_cifar10.py and test_inception.py have other tests."""
SMALL = {"model_channels": 8, "channel_mult": [1, 2], "channel_mult_emb": 2, "num_blocks": 1, "attn_resolutions": [4]}
FIELDS = {
    "time_steps/explicit": {"levels": [40.0, 3.0, 0.1]},
    "network/mlp": {"width": 8},
    "network/edm": SMALL,
    "network/adm": {**SMALL, "channel_mult": [1, 8]},
    "network/edm2": {**SMALL, "channels_per_head": 4},
    "network/diffusers": {
        "model": "UNet2DModel",
        "config": {
            "block_out_channels": [4, 8], "layers_per_block": 1, "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
            "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "norm_num_groups": 2, "attention_head_dim": 4,
        },
    },
    "denoiser/diffusers": {"path": Path(__file__).parent / "data" / "diffusers"},
    "denoiser/preconditioned": {"network": {"name": "mlp", "width": 8}},
    "denoiser/pretrained": {"model": "digits"},
    "denoiser/trained": {
        "network": {"name": "mlp", "width": 8}, "training_images": 512, "learning_rate": 0.02, "warm_up": 256.0,
        "ema": {"name": "half_life", "half_life": 128.0, "ramp_up": 0.5},
    },
    "guidance/autoguidance": {"guide": "exact"},
    "guidance/apg": {"norm_threshold": 0.5},
    "decoder/vae": {"mean": [5.81, 3.25, 0.12, -2.15], "std": [4.17, 4.62, 3.71, 3.28]},
    "augmentation/edm": {"geometric": 0.8, "colour": 0.8},
    "ema/half_life": {"half_life": 1000.0},
    "stochasticity/churn": {"S_churn": 10.0},
    "reference/statistics": {"images": 10},
    "data/unseen": {"shape": [1, 4, 4], "classes": 3},
}  # fmt: skip
"""The fields of the first instance of a component, if they are not the default ones."""
BETAS = [0.01 * i for i in range(1, 41)]
MORE: dict[str, list[dict[str, Any]]] = {
    "solver/heun": [{"alpha": 0.5}, {"alpha": 2 / 3}, {"alpha": 0.8}, {"alpha": 2 / 3, "euler_last": False}],
    "solver/dpmpp_2m_sde": [{"variant": "heun", "eta": 0.5}, {"variant": "heun", "eta": 0.0}],
    "solver/unipc": [{"variant": "bh1", "order": order} for order in (1, 2)],
    "solver/restart": [{"sigma_min": 0.15}],
    "solver/sa_solver": [{"order": 1, "corrector_order": 0}, {"tau": 0.0, "order": 2, "corrector_order": 2}],
    "time_steps/ddpm": [
        {"sigma_min": 0.1}, {"offset": 0}, {"spacing": "leading", "offset": 1}, {"betas": BETAS},
        {"zero_terminal_snr": True, "sigma_max": 5000.0},
    ],
    "time_steps/beta": [{"sigma_min": 0.1}, {"sigma_max": 50.0}, {"betas": BETAS}],
    "time_steps/ays": [{"sigma_min": 0.1}, {"sigma_max": 10.0}],
    "time_steps/linear_quadratic": [{"linear_steps": 3}],
    "time_steps/flow": [{"terminal": 0.1}, {"shift": 3.0, "spacing": "diffusers"}],
    "time_steps/iddpm": [{"sigma_min": 0.05}, {"C_1": 0.99}],
    "time_steps/equal_error": [{"sigma_min": 0.02}],
    "time_steps/fitted": [{"runs": 10}, {"sigma_min": 0.1}],
    "time_steps/oss": [{"student": "heun"}],
    "loss_weight/importance": [{"target": "sigmoid"}, {"target_distribution": "edm"}],
    "noise_distribution/iddpm": [{"C_1": 0.99}],
    "noise_distribution/log_logistic": [{"sigma_min": 0.01}, {"sigma_max": 80.0}],
    "time_steps/explicit": [{"levels": [5.0, 2.0, 1.0, 0.5]}],
    "schedule/vp": [{"sigma_min": 0.01, "sigma_max": 100.0}],
    "stochasticity/churn": [{"S_churn": 4.0}, {"S_min": 0.5, "S_max": 10.0}, {"S_max": 2.0}],
    "c_noise/betas": [{"betas": [0.1, 0.3, 0.5]}],
    "noise_distribution/betas": [{"betas": [0.1, 0.3, 0.5]}],
    "denoiser/diffusers": [{"scheduler": {"prediction_type": "sample"}}, {"clip": 0.5}],
    "denoiser/pretrained": [{"clip": 0.5}],
    "network/module": [{"kwargs": {"slope": 0.25}}],
    "network/edm": [
        {"resample_filter": [1, 3, 3, 1]}, {"attn_resolutions": []}, {"channel_mult": [1, 1, 2]},
        {"encoder_type": "residual", "resample_filter": [1, 3, 3, 1]},
    ],
    "network/adm": [{"attn_resolutions": [8]}, {"channel_mult": [1, 2, 4]}],
    "network/edm2": [
        {"resample_filter": [1, 3, 3, 1]}, {"attn_resolutions": []}, {"channel_mult": [1, 1, 2]}, {"num_blocks": 2},
        {"channel_mult_noise": 2}, {"channel_mult_emb": 1}, {"channels_per_head": 8}, {"clip_act": 0.5},
    ],
    "guidance/interval": [{"sigma_max": 20.0}],
    **{f"guidance/{name}": [{"sigma_max": 5.0}, {"sigma_max": 5.0, "per": "step"}]
       for name in ("cfg", "autoguidance", "rescale", "apg", "cfg_zero")},
    "decoder/module": [{"kwargs": {"slope": 0.25}}],
    "decoder/vae": [
        {"mean": None, "std": None} | given for given in ({}, {"scale": 0.5}, {"shift": -0.5})
    ],
    "denoiser/function": [{"kwargs": {"slope": 0.25}}],
    "data/unseen": [{"shape": [3, 4, 4]}],
    "denoiser/preconditioned": [{"network": {"name": "mlp", "width": 8, "depth": 1}}],
    "denoiser/trained": [
        {"augmentation": "edm"}, {"ema": {"name": "power"}}, {"decay_after": 256.0},
        {"network": {"name": "mlp", "width": 16}}, {"labels": True, "label_dropout": 0.5},
    ],
    "denoiser/gaussian_mixture": [{"weights": [1.0], "means": [[0.2]], "covs": [[[0.3]]]}],
    "data/mixture": [{"weights": [0.5, 0.5], "means": [[-0.3], [0.1]], "covs": [[[0.02]], [[0.03]]]}],
    **{f"data/{name}": [{"crop": "center"}, {"crop": "center", "size": 3}]
       for name in ("folder", "npz", "zip", "parquet", "hf", "torchvision", "factory")},
}  # fmt: skip
"""Instances that ``others`` does not find. A field that one of them changes alone has no other values from there."""
WITHOUT_EFFECT = {
    "data/fashion_mnist": {"path"},
    **{f"data/{name}": {"image", "label", "split", "path"} for name in ("hf", "parquet")},
    "data/torchvision": {"dataset", "root", "kwargs", "label"},
    "data/factory": {"factory", "kwargs", "files"},
    "denoiser/preconditioned": {"precision"},
    "denoiser/pretrained": {"model", "source", "precision"},
    "denoiser/function": {"factory", "weights", "key", "seed", "files", "shape", "classes", "sigma_min", "sigma_max"},
    "denoiser/diffusers": {"path", "variant", "conditioning", "precision"},
    "denoiser/trained": {
        "accumulate", "compile", "channels_last", "precision", "sampling_precision", "label_dropout", "snapshots",
    },
    **{f"metric/{name}": {"images"}
       for name in ("curvature", "denoiser_change", "denoising_error", "endpoint_error", "gradient_norm", "loss",
                    "truncation_error")},
    "network/module": {"factory", "weights", "shape", "seed", "key", "files", "output", "labels"},
    "network/diffusers": {"model", "config", "conditioning"},
    "network/unet": {"dropout"},
    "network/edm": {"dropout", "label_dropout"},
    "network/adm": {"dropout", "label_dropout"},
    "network/edm2": {"dropout"},
    "guidance/autoguidance": {"guide", "snapshot"},
    "decoder/module": {"factory", "weights", "seed", "key", "files", "batch_size"},
    "decoder/vae": {"path", "mean", "std", "scale", "shift", "dtype", "batch_size"},
    "reference/statistics": {"path", "images", "made_by", "source"},
    **{f"time_steps/{name}": {"images", "denoiser"} for name in ("equal_error", "fitted", "gits", "oss")},
}  # fmt: skip
"""Fields that need other files, that the framework reads, or that change numbers by rounding errors at most."""
TOLERANCE = {
    "network": 1e-3,
    "denoiser": 1e-3,
    "decoder": 1e-3,
    "detector": 1e-3,
    "metric": 1e-4,
    "augmentation": 1e-4,
    "guidance": 1e-4,
}
"""Relative to the size of the numbers, for rows that compute in float32."""
SEARCHED = {"time_steps/equal_error": 1e-4, "time_steps/fitted": 1e-4, "solver/rk45": 1e-6}
"""The same for what is found step by step, so that rounding grows; all else is given to 1e-9."""
SIGMA = torch.tensor([0.03, 0.2, 0.7, 1.0, 3.0, 20.0, 75.0], dtype=torch.float64)
CPU = torch.device("cpu")


def waves(*shape: int, shift: float = 0.0) -> Tensor:
    """Numbers between -1 and 1 that look random and are the same everywhere, float64."""
    return torch.sin(torch.arange(1, math.prod(shape) + 1, dtype=torch.float64).square() + shift).reshape(shape)


def pixels(*shape: int) -> Tensor:
    return (waves(*shape) * 127 + 128).to(torch.uint8)


AFFINE = """
import torch
class Affine(torch.nn.Module):
    def __init__(self, slope=0.5):
        super().__init__()
        self.slope = slope
    def forward(self, x, c_noise, labels=None):
        return self.slope * x + c_noise.reshape(-1, 1, 1, 1)
def scaled(slope=0.5):
    return lambda latents: slope * latents
def shrinking(slope=0.5):
    return lambda x, sigma: slope * x / (1 + sigma.to(x) ** 2)
"""


def perturb(network: torch.nn.Module, by: float = 0.1) -> None:
    """Move the parameters, since the output layer is zero at the start."""
    for parameter in network.parameters():
        parameter.data.add_(by * waves(*parameter.shape).float())


def two_modes(x: Tensor, sigma: Tensor) -> Tensor:
    """The posterior mean of points at -1 and 1 with a standard deviation of 0.3."""
    noisy = sigma.reshape(-1, *[1] * (x.ndim - 1)).to(x) ** 2 + 0.09
    return (0.09 * x + (noisy - 0.09) * (x / noisy).tanh()) / noisy


def noise(step: int, draw: int) -> Tensor:
    return 1.4 * waves(6, 2, shift=3.0 * step + 0.7 * draw)


@cache
def fetched(row: str, name: str, **fields: Any) -> Component:
    """A component that the inputs need, looked up once, so that all later look-ups are those of components."""
    return ROWS[row].known[name].model_validate(fields)


@cache
def preset(name: str) -> ds.Design:
    return ds.Design.preset(name)


def design(preset_name: str = "edm", **rows: Component) -> ds.Design:
    return ds.Design.model_validate({**dict(preset(preset_name)), **rows})


@singledispatch
def numbers(component: Component) -> list[object]:
    """All that a component gives on fixed inputs: tensors, numbers and text."""
    raise NotImplementedError(f"no fingerprint of the row {component.row}")


@numbers.register
def _(solver: ds.Solver):
    designs = design(solver=solver), design(solver=solver).model_copy(update={"to_zero": False})
    return [ds.sample(each, two_modes, waves(6, 2), 9, noise=noise).x for each in designs]


@numbers.register
def _(steps: ds.TimeSteps):
    if isinstance(steps, MeasuredTimeSteps):
        return [steps.place(Probe(design(time_steps=steps), two_modes, waves(6, 2), 7))]
    levels = steps.sigmas(18)
    limits = (0.0, 1e4) if steps.name == "explicit" else (1.05 * levels[-1].item(), 0.9 * levels[0].item())
    return [levels, steps.within(*limits).sigmas(7)]


@numbers.register
def _(schedule: ds.Schedule):
    t = torch.tensor([0.01, 0.1, 0.5, 0.9], dtype=torch.float64)
    return [schedule.sigma(t), schedule.sigma_dot(t), schedule.sigma_inv(SIGMA)]


@numbers.register
def _(scaling: ds.Scaling):
    t = torch.tensor([0.01, 0.1, 0.5, 0.9], dtype=torch.float64)
    schedule = fetched("schedule", "vp")
    return [scaling.s(t, schedule), scaling.s_dot(t, schedule)]


@numbers.register(ds.CSkip)
@numbers.register(ds.COut)
@numbers.register(ds.CIn)
def _(row):
    return [row(SIGMA)]


@numbers.register
def _(weight: ds.LossWeight):
    if weight.needs_density:
        return [weight(SIGMA), weight.weigh(SIGMA, fetched("noise_distribution", "cosine"))]
    if (learned := weight.learned()) is None:
        return [weight(SIGMA)]
    perturb(learned)
    return [weight(SIGMA), learned(SIGMA.float(), SIGMA).detach(), learned.expected(SIGMA)]


@numbers.register
def _(c_noise: ds.CNoise):
    supported = c_noise.supported(SIGMA)
    return [supported, c_noise(supported), *(limit for limit in c_noise.limits() if math.isfinite(limit))]


@numbers.register
def _(distribution: ds.NoiseDistribution):
    u, found = (torch.arange(50, dtype=torch.float64) + 0.3) / 50, []
    levels = distribution.adapted(CPU) or distribution
    for step in range(60 if levels is not distribution else 0):
        found.append(levels.from_uniform(u))
        levels.see(found[-1], waves(50).float() * found[-1].log().sin().float(), step)
    return [levels.from_uniform(u), *found[::20]]


@numbers.register
def _(stochasticity: ds.Stochasticity):
    return [number for sigma in SIGMA.tolist() for number in stochasticity.lift(sigma, 18)]


@numbers.register
def _(network: ds.Network):
    side = 8 * getattr(network, "patch", 1)
    built = network.build((1, side, side), 3, 0)
    perturb(built, 0.02)
    with torch.no_grad():
        x, c_noise = waves(3, 1, side, side).float(), torch.tensor([-1.0, 0.5, 3.0])
        return [built(x, c_noise, torch.tensor([0, 2, -1]))]


@numbers.register
def _(denoiser: ds.Denoiser):
    data = fetched("data", {"gaussian_mixture": "mixture", "tree": "tree"}.get(denoiser.name, "digits")).load()
    loaded = denoiser.load(data, design(), CPU)
    if denoiser.name == "preconditioned":  # an untrained network gives 0
        perturb(loaded.network)
    D, images = loaded.bind(None), data.scaled()[:4]
    noisy = [(images + sigma * waves(*images.shape), sigma) for sigma in (0.1, 1.0, 10.0)]
    with torch.no_grad():
        return [D(x.float(), torch.tensor(sigma, dtype=torch.float64)) for x, sigma in noisy]


def tinted(x: Tensor, c_noise: Tensor, labels: Tensor | None) -> Tensor:
    """A network with classes."""
    return (x * (1.5 if labels is None else labels[:, None] - 1) + c_noise[:, None]).sin()


@numbers.register
def _(guidance: ds.Guidance):
    loaded, labels = PreconditionedNetwork(tinted, design(), (2,)), torch.arange(6) % 3
    guided = guidance.wrap(loaded, *[PreconditionedNetwork(two_classes, design(), (2,))] * guidance.takes_guide)
    return [ds.sample(design(), guided.bind(labels), waves(6, 2), 9).x]


def two_classes(x: Tensor, c_noise: Tensor, labels: Tensor | None) -> Tensor:
    """A worse one."""
    return tinted(x, c_noise, None if labels is None else labels % 2) / 2


@numbers.register
def _(decoder: ds.Decoder):
    return [decoder.load(CPU)(waves(3, 4, 4, 4).float())]


@numbers.register
def _(data: ds.Data):
    images = data.load()
    content = data.content_hash() if isinstance(images, Unseen) else images.content_hash
    return [content, *images.classes]


@numbers.register
def _(augmentation: ds.Augmentation):
    images = waves(8, 3, 12, 12).float()
    return [*augmentation(images, torch.Generator().manual_seed(0))]


@numbers.register
def _(ema: ds.EMA):
    steps = [*ema.kept(500), 501]
    return [*(ema.decay(64 * step, 64) for step in (0, 3, 500)), *steps, ema.weights(steps), ema.error(steps)]


@numbers.register
def _(detector: ds.Detector):
    return [detector.protocol(), detector.resize(), detector.load(CPU)(pixels(3, 3, 16, 16))]


@numbers.register
def _(metric: ds.Metric):
    if isinstance(metric, Diagnostic):
        found = metric.observe(Probe(design(), two_modes, waves(6, 2), 7))
    elif isinstance(metric, DenoiserMetric):
        edm, network = design(), fetched("network", "mlp", width=8).build((1, 4, 4))
        perturb(network)
        loaded = PreconditionedNetwork(network, edm, (1, 4, 4)), None
        found = metric.observe(denoising(Images(pixels(12, 1, 4, 4)), edm, loaded, 8, CPU, labelled=False))
    else:
        d = metric.dimensions or 3
        found = metric.measure(Sample(waves(60, d).float()), Sample(1.2 * waves(70, d, shift=1.0).float() + 0.1))
    return list(found.tensors().values())


@numbers.register
def _(reference: ds.Reference):
    sample = reference.load(fetched("detector", "pixels"))
    return [sample.moments.mean, sample.moments.cov]


@cache
def files() -> tempfile.TemporaryDirectory[str]:
    """Images in each layout that is read, statistics of features and a network; deleted at the end of the process."""
    made = tempfile.TemporaryDirectory()
    folder = Path(made.name)
    images = pixels(6, 5, 7, 3).numpy()
    np.savez(folder / "images.npz", images=images, labels=np.arange(6) % 2)
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for i, image in enumerate(images):
            path = folder / "images" / "ab"[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
            archive.write(path, path.relative_to(folder / "images"))
    with suppress(ImportError):
        write_tables(folder)
    (folder / "items.py").write_text("import numpy as np\ndef make(file):\n    return np.load(file)['images']", "utf-8")
    network, about = folder / "network.pt", {"protocol": "FD-tiny", "network": "network.pt", "size": 8, "width": 12}
    torch.jit.trace(torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten()), torch.rand(2, 3, 8, 8)).save(
        network
    )
    about |= {"filter": "bicubic", "antialias": True, "output": 0, "licence": "none", "sha256": file_hash(network)}
    (folder / "network.json").write_text(json.dumps(about), "utf-8")
    spread = waves(4, 4).numpy()
    (folder / "affine.py").write_text(AFFINE, "utf-8")
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, shift_factor=0.25)
    for parameter in vae.parameters():
        parameter.data = 0.3 * waves(*parameter.shape).float()
    vae.save_pretrained(folder / "vae")
    np.savez(folder / "statistics.npz", mu=waves(4).numpy(), sigma=spread @ spread.T + np.eye(4))
    return made


def write_tables(folder: Path) -> None:
    """The images as Parquet and as the library ``datasets`` saves them."""
    import pyarrow as pa
    import pyarrow.parquet

    encoded = [path.read_bytes() for path in sorted((folder / "images").rglob("*.png"))]
    table = pa.table({"image": encoded, "label": [0, 0, 0, 1, 1, 1]})
    pyarrow.parquet.write_table(table, folder / "images.parquet")
    (folder / "hf").mkdir()
    with pa.OSFile(str(folder / "hf" / "x.arrow"), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    (folder / "hf" / "state.json").write_text('{"_data_files": [{"filename": "x.arrow"}]}', "utf-8")


class Own(ds.Schedule):
    """A schedule whose derivative and inverse the framework finds; the derivative is infinite at t = 0."""

    name: ClassVar[str] = "own"

    def sigma(self, t: Tensor) -> Tensor:
        return t**0.75 + t


def loop(preset_name: str = "edm", to_zero: bool = True, **rows: Component) -> Callable[[], list[object]]:
    def run() -> list[object]:
        trial = design(preset_name, **rows).model_copy(update={"to_zero": to_zero})
        found = ds.sample(trial, two_modes, waves(6, 2), 9, noise=noise)
        return [found.x, found.sigmas, found.nfe]

    return run


def churned(**fields: float) -> Component:
    return fetched("stochasticity", "churn", **{"S_churn": 5.0, "S_min": 0.05, "S_max": 50.0, "S_noise": 1.01} | fields)


def own_schedule() -> list[object]:
    t = torch.tensor([0.0, 0.01, 0.5, 3.0], dtype=torch.float64)
    return [Own().sigma_dot(t), Own().sigma_inv(SIGMA)]


FRAMEWORK: dict[str, Callable[[], list[object]]] = {
    **{f"sampler/churn {name}": loop(solver=fetched("solver", name), stochasticity=churned())
       for name in ("heun", "euler", "dpm2")},
    "sampler/churn vp": loop("vp", stochasticity=churned(S_churn=30.0)),
    "sampler/to_zero false": loop(to_zero=False),
    **{f"sampler/preset {name}": loop(name) for name in ("vp", "ve", "velocity", "flow")},
    "sampler/own schedule": own_schedule,
    "sampler/own schedule heun": loop(schedule=Own()),
    "sampler/measured levels": loop(time_steps=fetched("time_steps", "equal_error", images=4)),
    "sampler/keyed noise": lambda: [latents(0, range(3), (2, 2)), latents("time_steps", range(3, 5), (2, 2))],
}  # fmt: skip
"""Numbers of the framework itself, whose version is VERSION in designspace/spec/trial.py."""


def fields_of(path: str) -> dict[str, Any]:
    """The fields of the first instance of a component."""
    _, _, name = path.partition("/")
    read = {
        "npz": "images.npz", "zip": "images.zip", "folder": "images", "statistics": "statistics.npz",
        "parquet": "images.parquet", "hf": "hf", "vae": "vae",
        "file": "network.json",
    }  # fmt: skip
    file = read.get(name)
    given: dict[str, Any] = {"path": Path(files().name) / file} if file else {}
    if path == "decoder/module":
        given = {"factory": f"{files().name}/affine.py:scaled"}
    if path == "data/torchvision":
        given = {"dataset": "ImageFolder", "root": Path(files().name) / "images"}
    if path == "data/factory":
        given = {"factory": f"{files().name}/items.py:make", "kwargs": {"file": f"{files().name}/images.npz"}}
    if path == "network/module":
        given = {"factory": f"{files().name}/affine.py:Affine"}
    if path == "denoiser/function":
        given = {"factory": f"{files().name}/affine.py:shrinking"}
    return FIELDS.get(path, {}) | given


def others(field: FieldInfo, first: Any) -> list[Any]:
    """Values of a field besides the first: all others of a few, 0 if it may be 0, and one nearby."""
    kind = field.annotation
    low, high, step = (
        next((getattr(mark, of) for mark in field.metadata if hasattr(mark, of)), None)
        for of in ("ge", "le", "multiple_of")
    )
    if kind in (bool, bool | int):
        return [not first]
    if get_origin(kind) is Literal:
        return [value for value in get_args(kind) if value != first]
    if kind is int and low is not None and high is not None and high - low < 10:
        return [value for value in range(low, high + 1) if value != first]
    if kind is int:
        return [first + (step or 1)]
    if kind is float and math.isfinite(first):
        near = 0.8 * first if first and (low is None or 0.8 * first >= low) else 1.25 * first or 0.5
        return [near, 0.0] if low == 0 and first else [near]
    return []


@cache
def instances(path: str) -> dict[str, dict[str, Any]]:
    """The fields of all instances of a component, by their keys in the file of fingerprints."""
    row, _, name = path.partition("/")
    cls, first = ROWS[row].known[name], fields_of(path)
    more = MORE.get(path, [])
    left = WITHOUT_EFFECT.get(path, set()).union(*(change for change in more if len(change) == 1))
    changes = [
        {field: value}
        for field, info in cls.model_fields.items()
        if field not in left
        for value in others(info, first.get(field, info.default))
    ] + more
    return {path: first} | {f"{path} {json.dumps(change)}": first | change for change in changes}


def made(path: str, fields: dict[str, Any]) -> Component:
    row, _, name = path.partition("/")
    return ROWS[row].known[name].model_validate(fields)


def version_of(key: str) -> int:
    """The version of the component or, with ``sampler/``, of the framework that a fingerprint is of."""
    row, _, name = key.partition(" ")[0].partition("/")
    return VERSION if key in FRAMEWORK else ROWS[row].known[name].version


def fingerprint(parts: list[object]) -> list[object]:
    """For each part of what a component gives its text, or two sums of its numbers."""
    return [part if isinstance(part, str) else sums(torch.as_tensor(part)) for part in parts]


def sums(part: Tensor) -> list[float]:
    flat = part.double().flatten()
    return [float(f"{total:.12g}") for total in (flat.norm().item(), (flat * waves(len(flat))).sum().item())]


def same(one: list[object], other: list[object], tolerance: float) -> bool:
    return len(one) == len(other) and all(
        x == y if isinstance(x, str) else all(abs(a - b) <= tolerance * y[0] for a, b in zip(x, y, strict=True))
        for x, y in zip(one, other, strict=True)
    )


def tolerance_of(key: str) -> float:
    path = key.partition(" ")[0]
    return SEARCHED.get(path, TOLERANCE.get(path.partition("/")[0], 1e-9))


def declared(component: Component) -> set[str]:
    """The components that another names in its fields, in ``uses`` or in ``built_with``, at any depth."""
    with pytest.MonkeyPatch.context() as patch:  # the identity leaves out first versions
        patch.setattr(identity, "_is_first", lambda cls: False)
        found = used_in(component.identity())
    inner = [value for _, value in component if isinstance(value, Component)]
    return found.union(*({f"{one.row}/{one.name}"} | declared(one) for one in inner))


def used_in(part: Any) -> set[str]:
    """The components under ``uses`` in an identity."""
    if not isinstance(part, dict):
        return set()
    return set(part.get("uses", ())).union(*map(used_in, part.values()))


@cache
def computed(path: str) -> tuple[dict[str, list[object]], set[str]]:
    """The fingerprints of all instances of a component, and what was looked up but not declared meanwhile."""
    found: dict[str, list[object]] = {}
    undeclared: set[str] = set()
    for key, fields in instances(path).items():
        component, looked_up = made(path, fields), set[str]()
        look_up_inputs()
        component.require()
        found[key] = fingerprint(recording(looked_up, component))
        undeclared |= looked_up - declared(component) - {path}
    return found, undeclared


@cache
def look_up_inputs() -> None:
    """Look up all that inputs are made of."""
    design()
    for path in (
        "schedule/vp",
        "noise_distribution/cosine",
        "data/mixture",
        "data/tree",
        "data/digits",
        "detector/pixels",
    ):
        fetched(*path.split("/"))
    fetched("network", "mlp", width=8)


def recording(looked_up: set[str], component: Component) -> list[object]:
    """The numbers of a component; the components that are looked up meanwhile are added to ``looked_up``."""
    look_up = Known.__getitem__

    def observed(known: Known, name: str) -> type[Component]:
        cls = look_up(known, name)
        looked_up.add(f"{cls.row}/{cls.name}")
        return cls

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Known, "__getitem__", observed)
        return numbers(component)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path))


def computed_here(path: str) -> tuple[dict[str, list[object]], set[str]]:
    try:
        return computed(path)
    except DataError as missing:  # a data set that is not installed
        pytest.skip(str(missing))


def require_recorded(found: dict[str, list[object]]) -> None:
    recorded = json.loads(FILE.read_text("utf-8"))
    again = "record it: python tests/test_fingerprints.py"
    for key, numbers_now in found.items():
        assert key in recorded, f"{key} has no fingerprint; {again}"
        version = version_of(key)
        assert recorded[key]["version"] == version, f"{key} is of version {version} now; {again}"
        assert same(numbers_now, recorded[key]["numbers"], tolerance_of(key)), (
            f"{key} gives other numbers ({numbers_now}, not {recorded[key]['numbers']}): raise its `version`, or "
            f"VERSION in designspace/spec/trial.py if it is the framework that has changed; then {again}"
        )


HERE = sorted(set(BUILT_IN) - NOT_HERE)


@pytest.mark.parametrize("path", HERE)
def test_numbers_change_only_with_the_version(path):
    require_recorded(computed_here(path)[0])


@pytest.mark.parametrize("key", FRAMEWORK)
def test_numbers_of_the_framework_change_only_with_its_version(key):
    require_recorded({key: fingerprint(FRAMEWORK[key]())})


@pytest.mark.parametrize("path", HERE)
def test_a_component_that_another_fetches_by_name_is_declared(path):
    assert not computed_here(path)[1]


def test_a_component_that_is_not_declared_is_seen(monkeypatch):
    monkeypatch.setattr(ds.Solver.get("restart"), "uses", ("time_steps/edm",))
    computed.cache_clear()
    assert computed("solver/restart")[1] == {"solver/heun"}
    computed.cache_clear()


def test_every_fingerprint_is_of_a_component():
    keys = {key for path in HERE for key in instances(path)} | FRAMEWORK.keys()
    assert set(json.loads(FILE.read_text("utf-8"))) == keys


@pytest.mark.parametrize("path", HERE)
def test_every_field_has_a_value_that_gives_other_numbers(path):
    recorded = json.loads(FILE.read_text("utf-8"))
    row, _, name = path.partition("/")
    first = instances(path)[path]
    seen = {
        field
        for key, fields in instances(path).items()
        if not same(recorded[key]["numbers"], recorded[path]["numbers"], tolerance_of(key))
        for field in fields
        if field not in first or fields[field] != first[field]
    }
    assert seen >= ROWS[row].known[name].model_fields.keys() - WITHOUT_EFFECT.get(path, {"path"})


def test_a_small_change_of_the_numbers_is_seen(monkeypatch):
    linear = ds.Schedule.get("linear")
    before = fingerprint(numbers(linear()))
    monkeypatch.setattr(linear, "sigma", lambda self, t: t * (1 + 1e-7))
    assert not same(fingerprint(numbers(linear())), before, 1e-9)


def test_recorded_numbers_are_replaced_only_if_the_version_was_raised(tmp_path, monkeypatch):
    linear, file = ds.Schedule.get("linear"), tmp_path / "fingerprints.json"
    file.write_text("{}")
    record(file, ["schedule/linear"])
    first = file.read_text()
    assert json.loads(first)["schedule/linear"]["version"] == 1
    with monkeypatch.context() as patch:
        patch.setattr(linear, "sigma", lambda self, t: 1.01 * t)
        with pytest.raises(SystemExit, match=r"schedule/linear gives other numbers .* raise `version` first"):
            record(file, ["schedule/linear"])
        assert file.read_text() == first
        patch.setattr(linear, "version", 2)
        record(file, ["schedule/linear", "schedule/ve"])
        assert json.loads(file.read_text())["schedule/linear"]["version"] == 2
        assert file.read_text() != first
        assert "schedule/ve" in json.loads(file.read_text())
    with pytest.raises(SystemExit, match="raise `version` first"):  # neither are they if it is lowered
        record(file, ["schedule/linear"])


def record(file: Path, paths: Iterable[str], framework: Iterable[str] = ()) -> None:
    """Write the fingerprints of components and of the framework.

    Numbers that were recorded before are replaced only if the version has been raised since.
    """
    computed.cache_clear()
    found = {key: fingerprint(FRAMEWORK[key]()) for key in framework}
    for path in paths:
        found |= computed(path)[0]
    recorded, lines = json.loads(file.read_text("utf-8")), []
    for key in sorted(found):
        entry = {"version": version_of(key), "numbers": found[key]}
        old = recorded.get(key)
        if old and entry["version"] == old["version"] and same(found[key], old["numbers"], tolerance_of(key)):
            entry = old  # the last digits depend on the machine
        elif old and entry["version"] <= old["version"]:
            sys.exit(f"{key} gives other numbers with version {entry['version']}: raise `version` first")
        lines.append(f"{json.dumps(key)}: {json.dumps(entry)}")
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder_of_cache:
        os.environ["DESIGNSPACE_CACHE"] = folder_of_cache
        record(FILE, HERE, FRAMEWORK)
