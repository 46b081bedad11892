"""Compute the file that comes with ``data: cifar10_jpeg``, from an archive of the images.

    python benchmarks/shipped_data/cifar10_jpeg.py cifar10-train.zip

The archive holds the 50,000 training images of CIFAR-10 after JPEG compression (quality 75, 4:2:0), one folder per
class. The file holds the mean and covariance of their lite0 features, the features of every fifth image in half
precision, and the labels, but no image. It takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

import designspace as ds
from designspace.evaluation.moments import Moments
from designspace.storage.cache import pack
from designspace.storage.files import write_whole

FILE: Path = ds.Data.get("cifar10_jpeg").file  # type: ignore[attr-defined]
EVERY = 5
BATCH = 500


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    data, detector = ds.Data.get("zip")(path=parser.parse_args().archive).load(), ds.Detector.get("lite0")()
    features = detector.load(torch.device("cpu"))
    found = torch.cat([features(batch) for batch in data.pixels.split(BATCH)])
    assert data.labels is not None
    write(found, data.labels, data.sigma_data, data.content_hash)


def write(features: torch.Tensor, labels: torch.Tensor, sigma_data: float, content: str) -> None:
    """Write ``FILE`` and, beside it, a JSON file with the provenance."""
    moments = Moments.of(features)
    some = features[::EVERY].half()
    tensors = {"mean": moments.mean, "cov": moments.cov, "features": some, "labels": labels.to(torch.uint8)}
    write_whole(FILE, pack(FILE.stem, tensors))
    about = {
        "images": "the 50,000 training images of CIFAR-10 after JPEG compression (quality 75, 4:2:0)",
        "sha256": content,
        "shape": [3, 32, 32],
        "sigma_data": sigma_data,
        "classes": ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
        "n": len(features),
        "features": f"every {EVERY}th image in the order of the labels, float16",
        "detector": ds.Detector.get("lite0")().identity(),
        "made_by": "benchmarks/shipped_data/cifar10_jpeg.py",
    }
    write_whole(FILE.with_suffix(".json"), (json.dumps(about, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
