"""Small, fast components for tests of the pipeline, written as users write theirs.

Environment variables, which are not part of a trial's identity, make them do more:
STAND_IN_LOG   a file that gets a letter for each evaluation: D denoiser, F features, R data read
STAND_IN_PAUSE seconds that each evaluation of the denoiser takes
STAND_IN_STOP  a file: the metric creates it, then never ends
STAND_IN_TOGETHER  a folder whose name is a number: each process that samples writes what it sees of the GPUs to a file
               there, and begins no second chunk until there are so many files
STAND_IN_ONCE  a file: with fail: die_once, the first process that gets there creates it and is killed
"""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

import designspace as ds
from designspace.data.images import Images
from designspace.sampling.noise import generator

IMAGES = 450
"""The number of images of a trial in tests that set STAND_IN_STOP."""
CHECKED = 10
"""The largest number of images on which components are checked when a spec is loaded."""


def log(letter):
    if path := os.environ.get("STAND_IN_LOG"):
        with Path(path).open("a") as file:
            file.write(letter)


def normal(*key, shape):
    return torch.from_numpy(generator(*key).standard_normal(shape)).float()


class StandInData(ds.Data, name="stand_in_data"):
    """Sixty images of 4 x 4."""

    def load(self):
        log("R")
        pixels = (normal("pixels", shape=(60, 1, 4, 4)) * 60 + 128).clip(0, 255).to(torch.uint8)
        return Images(pixels, torch.arange(60) % 3, ("a", "b", "c"))

    def content_hash(self):
        return "sixty images of 4 x 4"


@dataclass
class Linear:
    shape: tuple[int, ...]
    weight: torch.Tensor
    fail: str
    chunks: int = 0

    def meet(self, folder):
        (folder / str(os.getpid())).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", ""))
        while self.chunks > 1 and len(list(folder.iterdir())) < int(folder.name):
            time.sleep(0.01)

    def bind(self, labels):
        self.chunks += 1
        shift = 0 if labels is None else labels[:, None] * 0.1

        def run(x):
            log("D")
            time.sleep(float(os.environ.get("STAND_IN_PAUSE", "0")))
            if folder := os.environ.get("STAND_IN_TOGETHER"):
                self.meet(Path(folder))
            if self.fail == "die":  # as a process that takes more memory than there is
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fail == "die_once" and not (once := Path(os.environ["STAND_IN_ONCE"])).exists():
                once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fail == "exit":
                sys.exit(0)
            if self.fail == "interrupt":  # not by a signal
                raise KeyboardInterrupt
            if self.fail == "raise":
                raise ValueError("no such luck\nsecond line")
            return x * float("inf") if self.fail == "diverge" else x

        def D(x, sigma):
            x = run(x) if len(x) > CHECKED else x
            return ((x / (1 + sigma**2)).flatten(1) @ self.weight.to(x.dtype) + shift).reshape(x.shape)

        return D


class StandInDenoiser(ds.Denoiser, name="stand_in_denoiser"):
    """A linear map."""

    fail: str = ""

    def load(self, data, design, device):
        return Linear(data.shape, torch.eye(16) + 0.01 * normal("weight", shape=(16, 16)), self.fail)


class StandInDetector(ds.Detector, name="stand_in_detector"):
    """Five random projections."""

    seed: int = 0

    def protocol(self):
        return "FD-stand_in"

    def load(self, device):
        project = normal("project", self.seed, shape=(16, 5))

        def features(images):
            if len(images) > CHECKED:
                log("F")
            return images.flatten(1).float() / 255 @ project

        return features


class StandInMetric(ds.Metric, name="stand_in_metric"):
    """The distance of the means."""

    def measure(self, generated, reference):
        from designspace.evaluation.measure import Measured

        if (stop := os.environ.get("STAND_IN_STOP")) and len(generated) == IMAGES:
            Path(stop).touch()
            time.sleep(1000)
        gap = generated.features.mean(0) - reference.features.mean(0)
        influence = (generated.features - generated.features.mean(0)) @ gap
        return Measured(value=float(gap.norm()), se=None, influence=influence, extra={})
