"""The outputs of a component change only with its version; ``python tests/test_fingerprints.py`` records both.

A fingerprint has two numbers for each tensor that a component returns on fixed inputs: its norm, and a sum with fixed
weights of both signs. They are compared with a tolerance, because machines differ in the last digits.
"""

import json
import math
import os
import tempfile
import zipfile
from functools import cache, singledispatch
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import designspace as ds
from designspace.data.images import Images
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.errors import DataError
from designspace.evaluation.denoiser_probe import denoising
from designspace.evaluation.measure import Sample
from designspace.evaluation.rows import DenoiserMetric, Diagnostic
from designspace.registry.component import Component
from designspace.registry.known import ROWS
from designspace.sampling.probe import MeasuredTimeSteps, Probe

FILE = Path(__file__).parent / "data" / "fingerprints.json"
BUILT_IN = [
    f"{row}/{name}"
    for row, kind in ROWS.items()
    for name, cls in sorted(kind.known.items())
    if cls.__module__.startswith("designspace.components.")
]
NOT_HERE = {"detector/inception"}
"""Its weights cannot be part of the repository; tests/test_inception.py has reference values."""
FIELDS = {
    "time_steps/explicit": {"levels": [40.0, 3.0, 0.1]},
    "network/mlp": {"width": 8},
    "network/module": {"factory": f"{__file__}:Affine"},
    "denoiser/preconditioned": {"network": {"name": "mlp", "width": 8}},
    "denoiser/pretrained": {"model": "digits"},
    "denoiser/trained": {"network": {"name": "mlp", "width": 8}, "training_images": 256},
    "augmentation/edm": {"geometric": 0.8, "colour": 0.8},
    "stochasticity/churn": {"S_churn": 10.0},
}
TOLERANCE = {"network": 1e-3, "denoiser": 1e-3, "detector": 1e-3, "metric": 1e-4, "augmentation": 1e-4}
"""Relative to the size of the numbers, for rows that compute in float32."""
SEARCHED = {"time_steps/equal_error": 1e-4, "solver/rk45": 1e-6}
"""The same for what is found step by step, so that rounding grows; all else is given to 1e-9."""
SIGMA = torch.tensor([0.03, 0.2, 0.7, 1.0, 3.0, 20.0, 75.0], dtype=torch.float64)
CPU = torch.device("cpu")


class Affine(torch.nn.Module):
    """A user-defined network."""

    def forward(self, x: Tensor, c_noise: Tensor, labels: Tensor | None = None) -> Tensor:
        return 0.5 * x + c_noise.reshape(-1, 1, 1, 1)


def waves(*shape: int, shift: float = 0.0) -> Tensor:
    """Deterministic float64 numbers between -1 and 1 that look random."""
    return torch.sin(torch.arange(1, math.prod(shape) + 1, dtype=torch.float64).square() + shift).reshape(shape)


def pixels(*shape: int) -> Tensor:
    return (waves(*shape) * 127 + 128).to(torch.uint8)


def two_modes(x: Tensor, sigma: Tensor) -> Tensor:
    """The posterior mean of points at -1 and 1 with a standard deviation of 0.3."""
    noisy = sigma.reshape(-1, *[1] * (x.ndim - 1)).to(x) ** 2 + 0.09
    return (0.09 * x + (noisy - 0.09) * (x / noisy).tanh()) / noisy


def noise(step: int, draw: int) -> Tensor:
    return 1.4 * waves(6, 2, shift=3.0 * step + 0.7 * draw)


@singledispatch
def numbers(component: Component) -> list[object]:
    """All outputs of a component on fixed inputs: tensors, numbers and text."""
    raise NotImplementedError(f"no fingerprint of the row {component.row}")


@numbers.register
def _(solver: ds.Solver):
    return [ds.sample(ds.Design.preset("edm", solver=solver), two_modes, waves(6, 2), 9, noise=noise).x]


@numbers.register
def _(steps: ds.TimeSteps):
    if isinstance(steps, MeasuredTimeSteps):
        return [steps.place(Probe(ds.Design.preset("edm", time_steps=steps), two_modes, waves(6, 2), 7))]
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
    schedule = ds.Schedule.get("vp")()
    return [scaling.s(t, schedule), scaling.s_dot(t, schedule)]


@numbers.register(ds.CSkip)
@numbers.register(ds.COut)
@numbers.register(ds.CIn)
@numbers.register(ds.LossWeight)
def _(row):
    return [row(SIGMA)]


@numbers.register
def _(c_noise: ds.CNoise):
    supported = c_noise.supported(SIGMA)
    return [supported, c_noise(supported), *(limit for limit in c_noise.limits() if math.isfinite(limit))]


@numbers.register
def _(distribution: ds.NoiseDistribution):
    return [distribution.from_uniform((torch.arange(50, dtype=torch.float64) + 0.3) / 50)]


@numbers.register
def _(stochasticity: ds.Stochasticity):
    return [number for sigma in SIGMA.tolist() for number in stochasticity.lift(sigma, 18)]


@numbers.register
def _(network: ds.Network):
    built = network.build((1, 8, 8), 3, 0)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.02 * waves(*parameter.shape).float())  # the output layer is zero at the start
        x, c_noise = waves(3, 1, 8, 8).float(), torch.tensor([-1.0, 0.5, 3.0])
        return [built(x, c_noise, torch.tensor([0, 2, -1]))]


@numbers.register
def _(denoiser: ds.Denoiser):
    data = ds.Data.get("mixture" if denoiser.name == "gaussian_mixture" else "digits")().load()
    loaded = denoiser.load(data, ds.Design.preset("edm"), CPU)
    D, images = loaded.bind(None), data.scaled()[:4]
    noisy = [(images + sigma * waves(*images.shape), sigma) for sigma in (0.1, 1.0, 10.0)]
    with torch.no_grad():
        return [D(x.float(), torch.tensor(sigma, dtype=torch.float64)) for x, sigma in noisy]


@numbers.register
def _(data: ds.Data):
    images = data.load()
    return [images.content_hash, *images.classes]


@numbers.register
def _(augmentation: ds.Augmentation):
    images = waves(8, 3, 12, 12).float()
    return [*augmentation(images, torch.Generator().manual_seed(0))]


@numbers.register
def _(detector: ds.Detector):
    return [detector.protocol(), detector.resize(), detector.load(CPU)(pixels(3, 3, 16, 16))]


@numbers.register
def _(metric: ds.Metric):
    if isinstance(metric, Diagnostic):
        found = metric.observe(Probe(ds.Design.preset("edm"), two_modes, waves(6, 2), 7))
    elif isinstance(metric, DenoiserMetric):
        design, network = ds.Design.preset("edm"), ds.Network.get("mlp")(width=8).build((1, 4, 4))
        for parameter in network.parameters():
            parameter.data.add_(0.1 * waves(*parameter.shape).float())
        loaded = PreconditionedNetwork(network, design, (1, 4, 4)), None
        found = metric.observe(denoising(Images(pixels(12, 1, 4, 4)), design, loaded, 8, CPU, labelled=False))
    else:
        d = metric.dimensions or 3
        found = metric.measure(Sample(waves(60, d).float()), Sample(1.2 * waves(70, d, shift=1.0).float() + 0.1))
    return list(found.tensors().values())


@numbers.register
def _(reference: ds.Reference):
    sample = reference.load(ds.Detector.get("pixels")())
    return [sample.moments.mean, sample.moments.cov]


@cache
def files() -> tempfile.TemporaryDirectory[str]:
    """Images in each of the layouts that are read, and statistics of features; deleted at the end of the process."""
    made = tempfile.TemporaryDirectory()
    folder = Path(made.name)
    images = pixels(6, 5, 5, 3).numpy()
    np.savez(folder / "images.npz", images=images, labels=np.arange(6) % 2)
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for i, image in enumerate(images):
            path = folder / "images" / "ab"[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
            archive.write(path, path.relative_to(folder / "images"))
    spread = waves(4, 4).numpy()
    np.savez(folder / "statistics.npz", mu=waves(4).numpy(), sigma=spread @ spread.T + np.eye(4))
    return made


def made(path: str) -> Component:
    row, _, name = path.partition("/")
    fields = FIELDS.get(path, {})
    if path in ("data/npz", "data/zip", "reference/statistics"):
        file = {"npz": "images.npz", "zip": "images.zip", "statistics": "statistics.npz"}[name]
        fields = {"path": Path(files().name) / file}
    if path == "data/folder":
        fields = {"path": Path(files().name) / "images"}
    if path == "reference/statistics":
        fields |= {"images": 10}
    return ROWS[row].known[name].model_validate(fields)


def fingerprint(path: str) -> list[object]:
    """For each output of a component, its text or two sums of its numbers."""
    return [part if isinstance(part, str) else sums(torch.as_tensor(part)) for part in numbers(made(path))]


def sums(part: Tensor) -> list[float]:
    flat = part.double().flatten()
    return [float(f"{total:.12g}") for total in (flat.norm().item(), (flat * waves(len(flat))).sum().item())]


def same(one: list[object], other: list[object], tolerance: float) -> bool:
    return len(one) == len(other) and all(
        x == y if isinstance(x, str) else all(abs(a - b) <= tolerance * y[0] for a, b in zip(x, y, strict=True))
        for x, y in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("path", [path for path in BUILT_IN if path not in NOT_HERE])
def test_numbers_change_only_with_the_version(path, tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path))
    row, _, name = path.partition("/")
    again = "record it: python tests/test_fingerprints.py"
    recorded = json.loads(FILE.read_text("utf-8")).get(path)
    assert recorded, f"{path} has no fingerprint; {again}"
    version = ROWS[row].known[name].version
    assert recorded["version"] == version, f"{path} is of version {version} now; {again}"
    try:
        found = fingerprint(path)
    except DataError as missing:  # a data set that is not installed
        pytest.skip(str(missing))
    assert same(found, recorded["numbers"], SEARCHED.get(path, TOLERANCE.get(row, 1e-9))), (
        f"{path} gives other numbers ({found}, not {recorded['numbers']}): raise its `version`, or VERSION in "
        f"designspace/spec/trial.py if it is the framework that has changed; then {again}"
    )


def test_every_fingerprint_is_of_a_component():
    assert set(json.loads(FILE.read_text("utf-8"))) == set(BUILT_IN) - NOT_HERE


def test_a_small_change_of_the_numbers_is_seen(monkeypatch):
    linear = ds.Schedule.get("linear")
    before = fingerprint("schedule/linear")
    monkeypatch.setattr(linear, "sigma", lambda self, t: t * (1 + 1e-7))
    assert not same(fingerprint("schedule/linear"), before, 1e-9)


def record() -> None:
    """Write the fingerprints of all components."""
    lines = []
    with tempfile.TemporaryDirectory() as cache_folder:
        os.environ["DESIGNSPACE_CACHE"] = cache_folder
        for path in sorted(set(BUILT_IN) - NOT_HERE):
            row, _, name = path.partition("/")
            entry = {"version": ROWS[row].known[name].version, "numbers": fingerprint(path)}
            lines.append(f"{json.dumps(path)}: {json.dumps(entry)}")
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    record()
