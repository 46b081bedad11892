from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pydantic import field_validator
from torch import Tensor

from designspace.errors import DataError
from designspace.evaluation.description import SHIPPED, Described, read
from designspace.evaluation.network_file import features_of_file, require_features
from designspace.evaluation.rows import Detector
from designspace.storage.files import file_hash


class File(Detector, name="file"):
    """A feature network from a file: TorchScript, an exported program of PyTorch, or ONNX.

    ``path`` is a JSON file that describes the network, or the name of a description that comes with the package:
    ``dinov2_vitl14`` or ``clip_vitl14_336``, whose weights do not. Its entries are:

    - ``protocol``, the name of a Fréchet distance of the features, which begins with ``FD-``;
    - ``network``, the name of the file, which ends in ``.pt`` (TorchScript), ``.pt2`` (``torch.export``) or ``.onnx``;
    - ``sha256`` of this file, which is checked; without it, the name of the protocol is followed by the file's hash;
    - ``size``, the side of the images or their height and width, ``filter`` (``bicubic``, ``bilinear``) and
      ``antialias``: how images are resized; with ``clip: false``, they may overshoot their range;
    - ``range``, the values of pixels 0 and 255, by default [0, 1], ``mean`` and ``std``, per channel, and ``channels``;
    - ``output``, the number or the name of the output, ``pooling`` (``none``, ``space``, ``tokens``, ``class_token``)
      and ``width``, the number of features;
    - ``licence`` and ``source``, a text that says where the file comes from.

    The file is looked for beside the description, then in the folder ``weights`` of the cache, where those of the
    package's own descriptions are expected. It counts by its content, and has to take batches of any size. TorchScript
    and exported programs are executed; ONNX needs ``pip install 'designspace[onnx]'``. Raises ``DataError`` with the
    line and column of the description.
    """

    path: Path

    @field_validator("path", mode="before")
    @classmethod
    def _shipped(cls, path: Any) -> Any:
        """The description that comes with the package, if ``path`` is its name."""
        shipped = SHIPPED / f"{path}.json"
        return shipped if isinstance(path, str) and "/" not in path and shipped.is_file() else path

    @property
    def width(self) -> int | None:  # type: ignore[override]
        """The number of features that the description says."""
        return self._described().about.width

    def protocol(self) -> str:
        return self._described().protocol()

    def resize(self) -> str:
        return str(self._described().about)

    def identity(self) -> dict[str, Any]:
        found = self._described()
        return self.origin() | found.about.identity() | {"sha256": file_hash(found.file())}

    def require(self) -> None:
        try:
            require_features(self._described())
        except DataError as error:
            error.within("path")
            raise

    def load(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        return features_of_file(self._described(), device)

    def _described(self) -> Described:
        return read(self.path)
