from pathlib import Path
from zipfile import BadZipFile, ZipFile

from designspace.data.images import Images
from designspace.data.readers import read_images
from designspace.data.rows import Data
from designspace.errors import DataError
from designspace.storage.files import file_hash, reading


class Zip(Data, name="zip"):
    """Images in a zip archive with the layout of ``folder``; it is read in place and never extracted.

    Raises ``DataError`` if the file is damaged or not a zip archive, and wherever ``folder`` does. The layout with
    ``dataset.json`` is defined at https://github.com/NVlabs/edm#preparing-datasets
    """

    path: Path

    def load(self) -> Images:
        with self._opened() as archive:
            return read_images(self.path, archive.namelist(), archive.read)

    def content_hash(self) -> str:
        return file_hash(self.path)

    def _opened(self) -> ZipFile:
        with reading(self.path):
            try:
                return ZipFile(self.path)
            except (BadZipFile, NotImplementedError, ValueError) as error:
                raise DataError(f"{self.path} is not a complete zip archive ({error}); copy it again") from error
