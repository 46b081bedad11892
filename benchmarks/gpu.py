"""Where the time goes on a GPU: noise, sampling, training, and a trial from images to metrics, in about two minutes.

    python benchmarks/gpu.py [--device cuda] [--out gpu] [--tiny]

Every number comes from the interfaces that ablations use, so that tables of different versions can be compared. The
table is printed as Markdown and written to <out>.md and <out>.json with the device, the versions and the commit.
``--tiny`` has sizes for a CPU and takes a few seconds; its numbers mean nothing.

The share of a network is the time of the bare network on as many batches, divided by the whole time. Images are
compared with those of the CPU for the same latents and noise, on a scale from -1 to 1.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import training_loop
from numpy.typing import NDArray
from torch import Tensor

import designspace as ds
from designspace.results.records import Result
from designspace.run.generate import generate
from designspace.sampling.noise import KeyedNoise, latents
from designspace.storage.files import write_whole
from designspace.storage.provenance import provenance
from designspace.training.checkpoints import trained

SHAPE = (3, 32, 32)
NOISE = """
name: noise
data: {{name: npz, path: {path}}}
denoiser: exact
design: {design}
num_steps: {steps}
evaluate: {{images: 8, detector: pixels, metrics: [frechet]}}
"""
CHURN = "{preset: edm, stochasticity: {name: churn, S_churn: 40}}"
DIGITS = """
name: digits
data: digits
denoiser: {{name: pretrained, model: digits}}
design: {{preset: edm, solver: {solver}}}
nfe: 11
evaluate: {{images: 8, detector: pixels, metrics: [frechet]}}
"""
TRAINED = """
name: training
data: {{name: npz, path: {path}}}
denoiser:
  name: trained
  network: {{name: unet, size: {size}}}
  augmentation: edm
  batch_size: {batch}
{fast}
design: edm
nfe: 3
evaluate: {{images: 8, detector: pixels, metrics: [frechet]}}
"""
FAST = "  precision: bf16\n  compile: true\n  channels_last: true"
UNTRAINED = """
name: {name}
data: {{name: npz, path: {path}}}
denoiser:
  name: trained
  network: {{name: unet, size: {size}}}
  training_images: 0
  precision: {precision}
design: {design}
nfe: {nfe}
evaluate: {{images: {images}, seed: {seed}, detector: lite0, metrics: [frechet, kid]}}
"""
Row = tuple[str, str, str]
"""What was measured, how, and the result."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    noise: int = 200
    steps: int = 18
    latents: int = 1000
    network: str = "medium"
    batches: tuple[int, ...] = (50, 200, 1000)
    sampled: int = 1000
    precisions: tuple[str, ...] = ("float32", "bf16")
    trained: str = "small"
    training_batch: int = 512
    training: int = 300 * 512
    rounds: int = 3
    trial: int = 10_000
    reference: int = 10_000
    compared: int = 32


TINY = Sizes(4, 3, 10, "tiny", (2, 4), 4, ("float32",), "tiny", 4, 8, 1, 24, 48, 2)


@dataclass(frozen=True)
class Bench:
    """The measurements on one device; ``folder`` has the data, the cache and the results."""

    device: torch.device
    sizes: Sizes
    folder: Path

    def noise(self) -> Iterator[Row]:
        """Sampling as in a run, with latents and noise from its threads, but with a denoiser that costs nothing."""
        n, steps = self.sizes.noise, self.sizes.steps
        designs = {"Heun": "edm", "churn": CHURN, "ancestral": "{preset: edm, solver: euler_ancestral}"}
        for name, design in designs.items():
            trial = self.trial_of("noise", NOISE.format(path=self.data, design=design, steps=steps))
            work = partial(generate, trial, Shrunk(), None, range(n), self.device, n)
            yield "sampler without a network", f"{name}, {n} images, {steps} steps", f"{1e3 * self.timed(work):.1f} ms"
        count = self.sizes.latents
        yield "latents", f"{count} images", f"{1e3 * self.timed(lambda: latents(0, range(count), SHAPE)):.1f} ms"

    def sampling(self) -> Iterator[Row]:
        """Evaluations per second of an untrained network in a run, by precision, batch and noise."""
        cases = [(precision, batch, "edm") for precision in self.sizes.precisions for batch in self.sizes.batches]
        cases.append((self.sizes.precisions[-1], self.sizes.batches[-1], CHURN))
        for seed, (precision, asked, design) in enumerate(cases, 1):  # else images of the case before would be taken
            ablation = self.ablation("sampling", self.sizes.sampled, precision, nfe=11, design=design, seed=seed)
            network, calls = self.network(ablation, asked), 11 * self.sizes.sampled  # first, so that kernels are loaded
            result = self.ran(ablation, asked)
            seconds, batch = result.seconds["sampling"], result.provenance["batch_size"]
            share = calls / asked * network / seconds
            yield (
                f"sampling, unet {self.sizes.network}",
                f"{precision}, batches of {batch}{', churn' * (design == CHURN)}",
                f"{calls / seconds:,.0f} evaluations/s, {share:.0%} in the network",
            )

    def training(self) -> Iterator[Row]:
        """Images per second of a training, without what happens once, such as compiling."""
        size, batch = self.sizes.trained, self.sizes.training_batch
        fast = FAST if self.device.type == "cuda" else ""
        trial = self.trial_of("training", TRAINED.format(path=self.data, size=size, batch=batch, fast=fast))
        plan, seen = trial.denoiser.plan(trial.data.load(), trial.design), [(0, time.perf_counter())]
        trained(plan, self.sizes.training, self.device, seen=lambda now: seen.append((now.images, time.perf_counter())))
        (_, begin), (before, start), (after, end) = seen[0], seen[min(1, len(seen) - 2)], seen[-1]
        x = torch.randn(batch, *SHAPE, device=self.device)
        told = torch.randn(batch, plan.augmentation.size, device=self.device)
        bare = training_loop.repeated(training_loop.alone(plan.build().train().to(self.device), x, plan.recipe, told))
        bare(1)
        network = statistics.median(training_loop.seconds(bare, self.device) for _ in range(self.sizes.rounds))
        step = (end - start) / (after - before) * batch
        yield (
            f"training, unet {size}",
            f"batch {batch}, {plan.recipe.precision}",
            f"{batch / step:,.0f} images/s, {network / step:.0%} in the network; {start - begin:.0f} s to begin with",
        )

    def trial(self) -> Iterator[Row]:
        """The stages of two trials that share a reference, which nothing has been compared with before."""
        np.savez(path := self.folder / "reference.npz", images=smooth(self.sizes.reference, seed=1))
        for which, nfe in (("first", 5), ("second", 7)):
            precision = self.sizes.precisions[-1]
            ran = self.ran(self.ablation(f"trial_{which}", self.sizes.trial, precision, nfe=nfe, path=path))
            told = ", ".join(f"{stage} {spent:.1f} s" for stage, spent in ran.seconds.items())
            yield f"{which} trial of {self.sizes.trial} images", f"reference of {self.sizes.reference}", told

    def images(self) -> Iterator[Row]:
        """The largest difference of images of the shipped digits network from those of the CPU."""
        for solver in ("heun", "dpmpp_3m_sde"):
            trial = self.trial_of("digits", DIGITS.format(solver=solver))
            here, there = (self.sampled(trial, device) for device in (torch.device("cpu"), self.device))
            yield "images, digits network", f"{solver}, against the CPU", f"{float((here - there).abs().max()):.1e}"

    def sampled(self, trial: ds.Trial, device: torch.device) -> Tensor:
        loaded = trial.denoiser.load(trial.data.load(), trial.design, device)
        n = range(self.sizes.compared)
        start, keyed = latents(0, n, loaded.shape).to(device), KeyedNoise(0, n, loaded.shape)
        out = ds.sample(trial.design, loaded.bind(None), start, trial.num_steps, dtype=torch.float32, noise=keyed)
        return out.x.cpu()

    def network(self, ablation: ds.Ablation, batch: int) -> float:
        """Seconds of one call of the ablation's network."""
        trial = next(iter(ablation.points())).trial
        D = trial.denoiser.load(trial.data.load(), trial.design, self.device).bind(None)
        x, sigma = torch.randn(batch, *SHAPE, device=self.device), torch.tensor(1.0, dtype=torch.float64)
        with torch.no_grad():
            return self.timed(lambda: D(x, sigma))

    def timed(self, work: Callable[[], object], once: bool = False) -> float:
        """Seconds of ``work``: the median of several calls after a first one."""
        found = []
        for _ in range(1 if once else self.sizes.rounds + 1):
            self.wait()
            start = time.perf_counter()
            work()
            self.wait()
            found.append(time.perf_counter() - start)
        return found[0] if once else statistics.median(found[1:])

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def ablation(self, name: str, images: int, precision: str, **more: object) -> ds.Ablation:
        """One trial of an untrained network."""
        given = {"name": name, "path": self.data, "size": self.sizes.network, "images": images, "precision": precision}
        return self.load(name, UNTRAINED.format(**{"design": "edm", "seed": 0} | given | more))

    @property
    def data(self) -> Path:
        return self.folder / "data.npz"

    def trial_of(self, name: str, text: str) -> ds.Trial:
        return next(iter(self.load(name, text).points())).trial

    def load(self, name: str, text: str) -> ds.Ablation:
        path = self.folder / f"{name}.yaml"
        path.write_text(text)
        return ds.load(path)

    def ran(self, ablation: ds.Ablation, batch: int | None = None) -> Result:
        """The result of the ablation's trial, with the seconds of its stages."""
        results = ds.run(
            ablation, device=str(self.device), out=self.folder / "reports", batch_size=batch, progress=False
        )
        return results.rows()[0]


class Shrunk:
    """The ideal denoiser of unit Gaussian data."""

    shape = SHAPE

    def bind(self, labels: None) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda x, sigma: x * (1 / (1 + float(sigma) ** 2))


def smooth(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth random images, which differ in colour and contrast, ``[count, 32, 32, 3]``."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 4, 4, generator=draw) * torch.rand(count, 1, 1, 1, generator=draw)
    fine = torch.nn.functional.interpolate(coarse, size=SHAPE[1:], mode="bilinear")
    return (128 + 60 * fine).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("gpu"))
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    sizes, device = TINY if asked.tiny else Sizes(), torch.device(asked.device)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["DESIGNSPACE_CACHE"] = str(folder / "cache")
        bench = Bench(device, sizes, folder)
        np.savez(bench.data, images=smooth(sizes.reference))
        print("| what | how | measured |\n|---|---|---|")
        for part in (bench.noise, bench.sampling, bench.training, bench.trial, bench.images):
            for row in part():
                print(f"| {' | '.join(row)} |", flush=True)
                rows.append(row)
    about = provenance(device)
    title = f"{about['device']}, torch {about['versions']['torch']}, commit {about['git']}, {about['time']}"
    table = "\n".join(f"| {' | '.join(row)} |" for row in [("what", "how", "measured"), ("---",) * 3, *rows])
    write_whole(asked.out.with_suffix(".md"), f"{title}\n\n{table}\n".encode())
    write_whole(asked.out.with_suffix(".json"), json.dumps(about | {"rows": rows}, indent=1).encode())


if __name__ == "__main__":
    main()
