r"""A campaign for a GPU and any number of minutes: networks for CIFAR-10, their distances, and the best one to ship.

    python benchmarks/gpu_campaign.py cifar10-train.zip --minutes 60 [--device cuda] [--out campaign]

The ``JOBS`` are done in order of value. Each has a share of the minutes for training. The speed of its first network,
measured in its training, tells how many images each of its networks can see in this time; the number is kept in
<out>/images.json, as it is a part of their identity. `designspace train` trains the networks, and `designspace run`
evaluates them while those of the next job are trained. The number of images to evaluate shrinks with the minutes.

At the end of the minutes, and after Ctrl-C or SIGTERM, commands that still run are asked to stop, which saves their
training, and reports are written of what there is. Run the script again to continue: networks, images and compiled
code are kept in the cache ($DESIGNSPACE_CACHE). Reports and the network in half precision are in <out>, in files below
15 MB.

To try it out on a CPU in two minutes, with a zip of a few images of 32 x 32:

    python benchmarks/gpu_campaign.py few.zip --device cpu --minutes 2 --jobs 1 \
        --set 'denoiser.network={name: unet, patch: 4}' --set denoiser.batch_size=4 --set denoiser.compile=false \
        --set denoiser.precision=float32 --set evaluate.images=20
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import torch

import designspace as ds
from designspace.interrupts import Interrupted, handled
from designspace.storage.cache import Cache
from designspace.storage.files import write_whole
from designspace.training.checkpoints import Trainable, trained
from designspace.training.loop import ENTRY, DivergedError, Progress

HERE = Path(__file__).parent
RESERVE, GRACE, LARGEST = 0.1, 30.0, 15 * 2**20
"""The share of the time kept for the last reports; seconds for a command to stop; bytes of a file."""
FAST = ("denoiser.precision=bf16", "denoiser.compile=true", "denoiser.channels_last=true", "denoiser.batch_size=512")


@dataclass(frozen=True)
class Job:
    """An ablation whose networks are trained in a share of the minutes, with changes; ``ship`` exports them."""

    file: Path
    share: float
    settings: tuple[str, ...] = ()
    ship: bool = False


ROWS = (*FAST, "denoiser.network={name: unet, size: medium}", "denoiser.warm_up=100000")
JOBS = (
    Job(HERE / "cifar10.yaml", share=0.35, ship=True),
    Job(HERE.parent / "ablations" / "training_rows.yaml", share=0.35, settings=ROWS),
)


OVER = "out of time: run again to continue"


class OutOfTimeError(Exception):
    """The minutes are over."""


class Measured(Exception):  # noqa: N818  # not an error
    """The speed is known."""


@dataclass(frozen=True)
class Campaign:
    """What was asked for, until when, and the evaluations that run."""

    asked: argparse.Namespace
    end: float
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def do(self, job: Job) -> None:
        """Train and ship, and begin to evaluate."""
        data = json.dumps({"name": "zip", "path": str(self.asked.data.absolute())})
        evaluated = f"evaluate.images={images_for(self.asked.minutes)}"
        settings = [f"data={data}", *job.settings, evaluated, f"evaluate.detector={best()}", *self.asked.set]
        images = self.images(job, settings)
        sets = [word for setting in [*settings, f"denoiser.training_images={images}"] for word in ("--set", setting)]
        given = [str(job.file), "--device", self.asked.device, *sets]
        exported = ["--export", str(self.asked.out / "models"), "--half"] if job.ship else []
        self.wait(self.start("train", *given, *exported))
        self.start("run", *given, "--out", str(self.asked.out / "reports"))

    def images(self, job: Job, settings: list[str]) -> int:
        """The images that each network of ``job`` sees, in whole entries of the record of losses."""
        path = self.asked.out / "images.json"
        known = json.loads(path.read_text()) if path.is_file() else {}
        if job.file.stem not in known:
            trials = [trial for trial in ds.load(job.file, settings).trials() if isinstance(trial.denoiser, Trainable)]
            networks = len({trial.network() for trial in trials})
            rate, entry = self.speed(trials[0])
            entries = max(1, int(60 * self.asked.minutes * job.share * rate / networks / entry))
            print(
                f"{job.file.stem}: {rate:,.0f} images/s, {networks} networks, {entries * entry:,} images each",
                flush=True,
            )
            known |= {job.file.stem: entries * entry}
            write_whole(path, json.dumps(known).encode())
        return int(known[job.file.stem])

    def speed(self, trial: ds.Trial) -> tuple[float, int]:
        """Images per second without what happens once, such as compiling, and the images of an entry."""
        plan, found = trial.denoiser.plan(trial.data.load(), trial.design), list[tuple[int, float]]()

        def seen(progress: Progress) -> None:
            found.append((progress.images, monotonic()))
            if self.left() <= 0:
                raise OutOfTimeError(OVER)
            if len(found) == 3:
                raise Measured

        try:
            trained(plan, 10**12, torch.device(self.asked.device), seen=seen)
        except Measured:
            torch.cuda.empty_cache()  # the commands below have processes of their own
        (first, start), (last, end) = found[0], found[-1]
        return (last - first) / (end - start), ENTRY * plan.recipe.batch_size

    def left(self) -> float:
        """Seconds for work; the rest is for reports."""
        return self.end - RESERVE * 60 * self.asked.minutes - monotonic()

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command of designspace, which Ctrl-C in the terminal reaches through ``stop`` alone."""
        print("+ designspace", shlex.join(words), flush=True)
        self.running.append(subprocess.Popen([sys.executable, "-m", "designspace", *words], start_new_session=True))
        return self.running[-1]

    def wait(self, command: subprocess.Popen[bytes]) -> None:
        """Wait for a command for as long as there is time."""
        try:
            command.wait(max(self.left(), 0.1))
        except subprocess.TimeoutExpired as error:
            raise OutOfTimeError(OVER) from error

    def all(self) -> bool:
        """Do all jobs, and wait for their evaluations. Returns whether no command has failed."""
        for job in JOBS[: self.asked.jobs]:
            try:
                self.do(job)
            except (ds.SpecError, ds.DataError, DivergedError) as error:  # the other jobs may be well
                print(f"{job.file.stem}: {error}", flush=True)
        for command in self.running:
            self.wait(command)
        return not any(command.returncode for command in self.running)

    def stop(self) -> None:
        """Ask all commands to stop, so that they save what they have, and write reports of what there is."""
        for command in self.running:
            command.terminate()
        for command in self.running:
            try:
                command.wait(GRACE)
            except subprocess.TimeoutExpired:
                command.kill()
        for path in (self.asked.out / "reports").glob("*/results.jsonl"):
            subprocess.run([sys.executable, "-m", "designspace", "report", str(path.parent)], check=False)


def images_for(minutes: float) -> int:
    """The images per trial: 10,000 in an hour, and fewer in less time, in whole chunks."""
    return min(10_000, 200 * max(1, round(minutes * 10_000 / 60 / 200)))


def best() -> str:
    """Inception where its weights are, for then it is the FID."""
    try:
        ds.Detector.get("inception")().require()
    except ds.DataError:
        return "lite0"
    return "inception"


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="a zip of images, one folder per class")
    parser.add_argument("--minutes", type=float, default=60, help="the time for everything")
    parser.add_argument("--jobs", type=int, default=len(JOBS), help="how many jobs, from the first one")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("campaign"))
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE, changes all jobs")
    asked = parser.parse_args()
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Cache().root / "compiled"))  # for later commands, too
    campaign = Campaign(asked, monotonic() + 60 * asked.minutes)
    with handled():
        try:
            status = 0 if campaign.all() else 1
        except (OutOfTimeError, Interrupted) as error:
            status = error.status if isinstance(error, Interrupted) else 0
            print(error, flush=True)
            campaign.stop()
    for path in asked.out.rglob("*"):
        if path.is_file() and path.stat().st_size > LARGEST:
            print(f"{path}: {path.stat().st_size / 2**20:.1f} MB, above {LARGEST / 2**20:.0f}")
    return status


if __name__ == "__main__":
    sys.exit(main())
