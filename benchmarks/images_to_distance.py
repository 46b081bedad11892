"""From images in memory to the distance, compared with clean-fid on a folder of the same images and the same network.

    pip install -r benchmarks/requirements.txt && python benchmarks/images_to_distance.py [--images 5000] [--rounds 3]

The first comparison uses a small stand-in with the interface of clean-fid's network, so that everything except the
network shows. The second computes features of a few images by the architecture of Inception with random weights, where
the network takes nearly all of the time. Both networks are TorchScript files. The methods take turns on one thread, and
clean-fid runs without worker processes. The time to write its images to a folder is not counted, and both are given the
statistics of the reference. The goals are 0.6 of clean-fid's time, and equal numbers: features to 1e-4, distances to
1e-6.
"""

from __future__ import annotations

import argparse
import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
import torchvision
from cleanfid import fid
from cleanfid.inception_torchscript import InceptionV3W
from numpy.typing import NDArray
from PIL import Image
from side_by_side import bar, heading, take_turns
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

import designspace as ds
from designspace.evaluation.frechet import frechet
from designspace.evaluation.inception import TORCHSCRIPT
from designspace.evaluation.moments import Moments

TIME, DISTANCE, FEATURES = 0.6, 1e-6, 1e-4
CPU = torch.device("cpu")


class Small(nn.Module):
    """2,048 features for little work."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 32, 16, stride=16)

    def forward(self, x: Tensor) -> Tensor:
        return adaptive_avg_pool2d(self.convolution(x).relu(), 8)


class Network(nn.Module):
    """With the interface of clean-fid's file."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = torch.jit.trace(layers.eval(), torch.randn(2, 3, 299, 299))

    def forward(self, x: Tensor, return_features: bool = False) -> Tensor:
        x = interpolate(x, (299, 299), mode="bilinear", align_corners=False)
        return self.layers((x - 128) / 128)


def inception() -> nn.Module:
    layers = torchvision.models.inception_v3(weights=None, aux_logits=False, transform_input=False, init_weights=False)
    layers.fc = nn.Identity()
    return layers


class Both(NamedTuple):
    """The same network as clean-fid and as we load it, and images in a folder and in memory."""

    clean_fid: nn.Module
    ours: Callable[[Tensor], Tensor]
    folder: Path
    pixels: Tensor

    @classmethod
    def of(cls, layers: nn.Module, pixels: Tensor, folder: Path) -> Both:
        file = folder / TORCHSCRIPT.name
        torch.jit.script(Network(layers).eval()).save(str(file))
        for k, image in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
            Image.fromarray(image).save(folder / f"{k:05}.png")
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        ours = ds.Detector.model_validate({"name": "inception", "weights": file, "sha256": sha256}).load(CPU)
        return cls(InceptionV3W(str(folder), download=False).eval(), ours, folder, pixels)

    def folder_features(self) -> NDArray[Any]:
        return fid.get_folder_features(str(self.folder), self.clean_fid, num_workers=0, device=CPU, verbose=False)

    def folder_distance(self, mu: NDArray[Any], sigma: NDArray[Any]) -> float:
        x = self.folder_features()
        return float(fid.frechet_distance(np.mean(x, axis=0), np.cov(x, rowvar=False), mu, sigma))

    def distance(self, reference: Moments) -> float:
        return frechet(Moments.of(self.ours(self.pixels)), reference)


def noise(count: int, seed: int) -> Tensor:
    """Of every frequency, with means and contrasts of their own: features of full rank."""
    g = torch.Generator().manual_seed(seed)
    contrast, mean = (torch.rand(count, 3, 1, 1, generator=g) for _ in range(2))
    x = torch.randn(count, 3, 32, 32, generator=g)
    return (40 + 80 * mean + (20 + 100 * contrast) * x).clip(0, 255).to(torch.uint8)


def compare(theirs: Callable[[], Any], ours: Callable[[], Any], rounds: int, images: int) -> tuple[Any, Any]:
    """Time both, and give what they gave."""
    timed = take_turns({"clean-fid": theirs, "designspace": ours}, rounds)
    base = timed["clean-fid"]
    print("| method | CPU ms an image | / clean-fid | wall time / clean-fid's |\n|---|---|---|---|")
    for name, t in timed.items():
        print(f"| {name} | {1e3 * t.seconds() / images:.2f} | {t.over(base):.3f} | {t.wall_over(base):.3f} |")
    print()
    bar("of clean-fid's time", timed["designspace"].over(base), TIME)
    return base.value, timed["designspace"].value


def to_distance(folder: Path, images: int, rounds: int) -> None:
    both = Both.of(Small(), noise(images, 0), folder)
    reference = Moments.of(both.ours(noise(images, 1)))
    assert len(reference.root) == reference.root.shape[1]
    mu, sigma = reference.mean.numpy(), reference.cov.numpy()
    heading(f"{images} images of 3 x 32 x 32 to the distance, small network")
    methods = (lambda: both.folder_distance(mu, sigma)), (lambda: both.distance(reference))
    theirs, mine = compare(*methods, rounds, images)
    bar("relative difference of the distances", abs(mine / theirs - 1), DISTANCE)


def to_features(folder: Path, images: int, rounds: int) -> None:
    both = Both.of(inception(), noise(images, 0), folder)
    both.folder_features(), both.ours(both.pixels)  # TorchScript compiles in its first runs
    heading(f"{images} images of 3 x 32 x 32 to features, Inception-v3's architecture")
    theirs, mine = compare(both.folder_features, lambda: both.ours(both.pixels).numpy(), rounds, images)
    bar("relative difference of the features", float(np.abs(mine - theirs).max() / np.abs(theirs).max()), FEATURES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=5000, help="to the distance; 0 to leave this out")
    parser.add_argument("--few", type=int, default=32, help="through Inception; 0 to leave this out")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for part, images in ((to_distance, args.images), (to_features, args.few)):
        with TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
            if images:
                part(Path(folder), images, args.rounds)


if __name__ == "__main__":
    main()
