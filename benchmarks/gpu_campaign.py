r"""A campaign for a GPU, in order of value: networks for CIFAR-10, their distances, and the best one to ship.

    python benchmarks/gpu_campaign.py cifar10-train.zip --minutes 60 [--device cuda] [--out campaign]

For each of the ``JOBS``, the speed of the first network is measured during its training. It determines how many images
the networks can see in the given time; this number is kept in <out>/images.json. `designspace train` and `designspace
run` then do the work, and their command lines are printed. To continue after an interruption, run the script again:
everything is kept in the cache ($DESIGNSPACE_CACHE), so that at most a minute of training or 200 images are lost. The
reports and the network in half precision are written to <out>, in files below 15 MB.

To try it out on a CPU in a few minutes, with a zip of a few images of 32 x 32:

    python benchmarks/gpu_campaign.py few.zip --device cpu --minutes 20 --scale 0.001 \
        --set 'denoiser.network={name: unet, patch: 4}' --set denoiser.batch_size=4 --set denoiser.compile=false \
        --set denoiser.precision=float32 --set evaluate.images=20
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import torch

import designspace as ds
from designspace.storage.files import write_whole
from designspace.training.checkpoints import Plan, Trainable, trained
from designspace.training.loop import ENTRY, DivergedError, Progress

HERE = Path(__file__).parent
RESERVE, LARGEST = 60.0, 15 * 2**20
"""Seconds kept for the last reports; bytes of a file."""
FAST = ("denoiser.precision=bf16", "denoiser.compile=true", "denoiser.channels_last=true", "denoiser.batch_size=512")


@dataclass(frozen=True)
class Job:
    """An ablation whose denoisers are trained for so many minutes each, with changes; ``ship`` exports them."""

    file: Path
    minutes: float
    settings: tuple[str, ...] = ()
    ship: bool = False


ROWS = (*FAST, "denoiser.network={name: unet, size: medium}", "denoiser.warm_up=100000", "evaluate.images=10000")
JOBS = (
    Job(HERE / "cifar10.yaml", minutes=15, ship=True),
    Job(HERE.parent / "ablations" / "training_rows.yaml", minutes=3, settings=ROWS),
)


class OutOfTimeError(Exception):
    """The minutes are over."""


class Measured(Exception):  # noqa: N818  # not an error
    """The speed is known."""


@dataclass(frozen=True)
class Campaign:
    """What was asked for, and until when."""

    asked: argparse.Namespace
    end: float

    def do(self, job: Job) -> None:
        """Train, ship and evaluate."""
        data = json.dumps({"name": "zip", "path": str(self.asked.data.absolute())})
        settings = [f"data={data}", *job.settings, f"evaluate.detector={best()}", *self.asked.set]
        images = self.images(job, settings)
        sets = [word for setting in [*settings, f"denoiser.training_images={images}"] for word in ("--set", setting)]
        given = [str(job.file), "--device", self.asked.device, *sets]
        if job.ship:
            self.call("train", *given, "--export", str(self.asked.out / "models"), "--half")
        self.call("run", *given, "--out", str(self.asked.out / "reports"))

    def images(self, job: Job, settings: list[str]) -> int:
        """Images that a network of ``job`` sees, in whole entries of the record of losses."""
        path = self.asked.out / "images.json"
        known = json.loads(path.read_text()) if path.is_file() else {}
        if job.file.stem not in known:
            trials = ds.load(job.file, settings).trials()
            trial = next(trial for trial in trials if isinstance(trial.denoiser, Trainable))
            rate, entry = self.speed(trial.denoiser.plan(trial.data.load(), trial.design))
            entries = max(4, math.ceil(60 * job.minutes * self.asked.scale * rate / entry))
            print(f"{job.file.stem}: {rate:,.0f} images/s, {entries * entry:,} images a network", flush=True)
            known |= {job.file.stem: entries * entry}
            write_whole(path, json.dumps(known).encode())
        return known[job.file.stem]

    def speed(self, plan: Plan) -> tuple[float, int]:
        """Images a second without what happens once, such as compiling, and the images of an entry."""
        found: list[tuple[int, float]] = []

        def seen(progress: Progress) -> None:
            if progress.images % entry == 0:  # slow ones are told of before they end
                found.append((progress.images, monotonic()))
            if self.left() <= 0:
                raise OutOfTimeError
            if len(found) == 3:
                raise Measured

        entry = ENTRY * plan.recipe.batch_size
        try:
            trained(plan, 10**12, torch.device(self.asked.device), seen=seen)
        except Measured:
            torch.cuda.empty_cache()  # the commands below have processes of their own
        (first, start), (last, end) = found[0], found[-1]
        return (last - first) / (end - start), entry

    def left(self) -> float:
        return self.end - RESERVE - monotonic()

    def call(self, *words: str) -> None:
        """Run a command of designspace for as long as there is time."""
        print("+ designspace", shlex.join(words), flush=True)
        try:
            subprocess.run([sys.executable, "-m", "designspace", *words], timeout=max(self.left(), 0.1), check=False)
        except subprocess.TimeoutExpired as error:
            raise OutOfTimeError from error


def best() -> str:
    """Inception where its weights are, for then it is the FID."""
    try:
        ds.Detector.get("inception")().require()
    except ds.DataError:
        return "lite0"
    return "inception"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="a zip of images, one folder a class")
    parser.add_argument("--minutes", type=float, default=60, help="stop after so many")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("campaign"))
    parser.add_argument("--scale", type=float, default=1.0, help="times the minutes of training of each job")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE, changes all jobs")
    asked = parser.parse_args()
    campaign = Campaign(asked, monotonic() + 60 * asked.minutes)
    try:
        for job in JOBS:
            try:
                campaign.do(job)
            except (ds.SpecError, ds.DataError, DivergedError) as error:  # the other jobs may be well
                print(f"{job.file.stem}: {error}")
    except OutOfTimeError:
        print("out of time: run again to go on")
        for path in (asked.out / "reports").glob("*/results.jsonl"):
            subprocess.run([sys.executable, "-m", "designspace", "report", str(path.parent)], check=False)
    for path in asked.out.rglob("*"):
        if path.is_file() and path.stat().st_size > LARGEST:
            print(f"{path}: {path.stat().st_size / 2**20:.1f} MB, above {LARGEST / 2**20:.0f}")


if __name__ == "__main__":
    main()
