import re
from pathlib import Path
from typing import Annotated, Any

from designspace.errors import DataError
from designspace.evaluation.measure import Sample
from designspace.evaluation.rows import Detector, Reference
from designspace.evaluation.statistics import read_statistics
from designspace.registry.component import Count
from designspace.registry.identity import Since, identified
from designspace.registry.literature import PARMAR_2022
from designspace.storage.files import file_hash

CLEAN_FID = re.compile(r"_(clean|legacy_pytorch|legacy_tensorflow)_(clip_vit_b_32_)?[a-z0-9]+_(\d+|na)(_kid)?$")


class Statistics(Reference, name="statistics"):
    """Published statistics of reference images: mean and covariance of their features, or the features themselves.

    An npz file with the arrays ``mu [d]`` and ``sigma [d, d]``, as clean-fid, pytorch-fid, EDM and ADM publish them, or
    ``feats [n, d]``, as clean-fid for its KID. Its features must be those of the ``detector``: ``made_by`` is the name
    of a Fréchet distance of these features (``FID``; ``FID-legacy_tensorflow`` for files of EDM and ADM;
    ``FD-lite0-96-320``). The file names of clean-fid say so; those of most other files do not.

    ``images`` is the number of images, if the file does not hold it as ``n``; ``source`` says where the file comes
    from. With mean and covariance alone there are no drawn references, and metrics that compare single images, such as
    the KID, cannot be computed. Raises ``DataError`` if the file is damaged or does not hold such arrays.
    """

    sources = (PARMAR_2022,)
    path: Path
    images: Annotated[Count | None, Since(None)] = None
    made_by: str | None = None
    source: str = ""

    def require(self) -> None:
        if self.source and not self.path.exists():
            raise DataError(f"there is no {self.path.resolve()}: it comes from {self.source}")

    def content_hash(self) -> str:
        return file_hash(self.path)

    def identity(self) -> dict[str, Any]:
        return super().identity() | identified(self, ["images"])

    def load(self, detector: Detector) -> Sample:
        found, made_by = read_statistics(self.path, self.images), self._made_by()
        if detector.width not in (None, found.d):
            gives = f"detector {detector} gives {detector.width}"
            raise DataError(f"{self.path}: it holds {found.d} features, but {gives}: it belongs to another detector")
        if made_by is not None and made_by != detector.protocol():
            own = f"those of detector {detector} are for {detector.protocol()}"
            raise DataError(f"{self.path}: its features are for {made_by}, but {own}; set `made_by` if this is wrong")
        return found.sample

    def about(self) -> dict[str, Any]:
        found = read_statistics(self.path, self.images)
        about = {"file": self.path.name, "images": found.images, "arrays": list(found.taken)}
        return about | {"not_used": list(found.left), "made_by": self._made_by(), "source": self.source}

    def _made_by(self) -> str | None:
        named = CLEAN_FID.search(self.path.stem)
        if self.made_by is not None or named is None:
            return self.made_by
        mode, clip = named.group(1, 2)
        return "FD-clip_vit_b_32" if clip else "FID" if mode == "clean" else f"FID-{mode}"
