"""Compute the file that comes with ``data: cifar10_jpeg``, from an archive of the images.

    python benchmarks/shipped_data/cifar10_jpeg.py cifar10-train.zip
    python benchmarks/shipped_data/cifar10_jpeg.py cifar10-train.zip --check

The archive holds the 50,000 training images of CIFAR-10 after JPEG compression (quality 75, 4:2:0), one folder per
class. The file holds the mean and covariance of their lite0 features, the features of every fifth image in half
precision, and the labels, but no image. It takes about two minutes on two cores. With ``--check``, nothing is written:
the result is compared with the file that is there, of which another processor reproduces the features up to rounding.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import designspace as ds
from designspace.data.images import Images
from designspace.evaluation.moments import Moments
from designspace.storage.cache import pack, unpack
from designspace.storage.files import write_whole

FILE: Path = ds.Data.get("cifar10_jpeg").file  # type: ignore[attr-defined]
EVERY = 5
BATCH = 500
ROUNDING = 1e-3
"""Features are kept in float16, whose rounding error is up to 4.9e-4 of a value."""


def main() -> None:
    """Write the file and, beside it, a JSON file with the provenance, or compare them with those that are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--check", action="store_true", help="compare with the file that is there, write nothing")
    given = parser.parse_args()
    images = ds.Data.get("zip")(path=given.archive).load()
    about, tensors = described(images), computed(images)
    if given.check:
        compare(about, tensors)
        return
    write_whole(FILE, pack(FILE.stem, tensors))
    write_whole(FILE.with_suffix(".json"), (json.dumps(about, indent=1) + "\n").encode())


def computed(images: Images) -> dict[str, Tensor]:
    """The tensors of the file."""
    assert images.labels is not None
    detect = ds.Detector.get("lite0")().load(torch.device("cpu"))
    features = torch.cat([detect(batch) for batch in images.pixels.split(BATCH)])
    moments, some = Moments.of(features), features[::EVERY].half()
    return {"mean": moments.mean, "cov": moments.cov, "features": some, "labels": images.labels.to(torch.uint8)}


def described(images: Images) -> dict[str, Any]:
    """What the JSON file says."""
    return {
        "images": "the 50,000 training images of CIFAR-10 after JPEG compression (quality 75, 4:2:0)",
        "sha256": images.content_hash,
        "shape": list(images.shape),
        "sigma_data": images.sigma_data,
        "classes": list(images.classes),
        "n": len(images),
        "features": f"every {EVERY}th image in the order of the labels, float16",
        "detector": ds.Detector.get("lite0")().identity(),
        "made_by": "benchmarks/shipped_data/cifar10_jpeg.py",
    }


def compare(about: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Print the largest difference of each tensor to that in ``FILE``, and end with status 1 if it is not rounding."""
    known, kept = json.loads(FILE.with_suffix(".json").read_text("utf-8")), unpack(FILE.stem, FILE.read_bytes())
    wrong = [name for name in about if about[name] != known[name]]
    print(f"{FILE.with_suffix('.json').name}: " + (f"other values of {', '.join(wrong)}" if wrong else "the same"))
    for name, tensor in tensors.items():
        scale = kept[name].double().abs().max().item()
        difference = (tensor.double() - kept[name].double()).abs().max().item() / scale
        print(f"{name}: differs by at most {difference:.1e} of the largest value, {scale:.4g}")
        wrong += [name] if difference > ROUNDING else []
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
