import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from designspace.data.images import Images, Unseen
from designspace.data.rows import Data, Files, KnownFeatures
from designspace.errors import DamagedError, DataError
from designspace.registry.literature import KRIZHEVSKY_2009
from designspace.storage.cache import unpack
from designspace.storage.files import file_hash, reading

FILE = Path(str(files("designspace"))) / "data" / "cifar10_jpeg.safetensors"
WHY = (
    "data cifar10_jpeg has no images, only labels and the features of detector lite0 of size 96; "
    "for anything else use the images: data: {name: zip, path: ...}"
)


class Cifar10Jpeg(Data, name="cifar10_jpeg"):
    """The 50,000 training images of CIFAR-10 after JPEG compression, without the images themselves.

    It comes with the package and holds what it takes to evaluate the included network ``cifar10_jpeg``: shape, classes,
    labels, mean and covariance of the features of all images, and the features of 10,000 of them, all for the detector
    ``lite0`` with ``size: 96``. Fréchet distances use the former; the KID, precision, recall and drawn references the
    latter. JPEG compression (quality 75, 4:2:0) has changed the pixels, so values must not be compared with published
    ones for CIFAR-10.

    Raises ``DataError`` for anything that needs the images: training, the exact denoiser, and other detectors.
    """

    sources = (KRIZHEVSKY_2009,)
    has_pixels: ClassVar[bool] = False
    features_of: ClassVar[str] = "lite0"
    file: ClassVar[Path] = FILE

    def load(self) -> Images:
        about = _about()
        shape, labels, classes = tuple(about["shape"]), _tensors()["labels"].long(), tuple(about["classes"])
        return Unseen(shape, labels, classes, WHY, images=len(labels), sigma_data=about["sigma_data"])

    def content_hash(self) -> str:
        return file_hash(FILE)

    def files_read(self) -> Files:
        return Files(formats={"jpeg": _about()["n"]}, ignored={})

    def known_features(self, detector: dict[str, Any]) -> KnownFeatures | None:
        if detector != _about()["detector"]:
            return None
        kept = _tensors()
        return KnownFeatures(kept["features"].float(), _about()["n"], kept["mean"], kept["cov"])


@cache
def _about() -> dict[str, Any]:
    with reading(FILE.with_suffix(".json")):
        found: dict[str, Any] = json.loads(FILE.with_suffix(".json").read_text("utf-8"))
    return found


@cache
def _tensors() -> dict[str, Tensor]:
    with reading(FILE):
        content = FILE.read_bytes()
    try:
        return unpack(FILE.stem, content)
    except DamagedError as error:
        raise DataError(f"{FILE} is damaged ({error}): install the package again") from error
