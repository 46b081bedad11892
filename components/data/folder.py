import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from designspace.data.images import Images
from designspace.data.readers import data_files, read_images
from designspace.data.rows import Data
from designspace.errors import DataError
from designspace.storage.files import file_hash, reading


class Folder(Data, name="folder"):
    """Images in class folders (``<class>/<image>``), in a flat folder, or with a ``dataset.json`` of class numbers.

    Images and classes are in the order of their names. Folders may be nested and linked; hidden files and files of
    other types are ignored. All images must have one size and be all grey or all RGB; images of other modes (palette,
    alpha, CMYK) are converted to RGB. Raises ``DataError`` otherwise. The layout with ``dataset.json`` is defined at
    https://github.com/NVlabs/edm#preparing-datasets
    """

    path: Path

    def load(self) -> Images:
        return read_images(self.path, self._names(), lambda name: (self.path / name).read_bytes())

    def content_hash(self) -> str:
        """The sha256 of the names and bytes of all files that are read."""
        digest = hashlib.sha256()
        for name in data_files(self._names()):
            digest.update(f"{name}\0{file_hash(self.path / name)}".encode())
        return digest.hexdigest()

    def _names(self) -> Iterator[str]:
        with reading(self.path):
            self.path.stat()
        if not self.path.is_dir():
            raise DataError(f"{self.path} is a file, not a folder; use data 'zip' or 'npz' for archives")
        for at, _, names in os.walk(self.path, followlinks=True):
            folder = Path(at).relative_to(self.path).as_posix()
            yield from (f"{folder}/{name}".removeprefix("./") for name in names)
