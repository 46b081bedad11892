from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, ClassVar

from designspace.data.files import ImageFiles, Opened, hashed, require_size_of_an_image
from designspace.data.listing import Listing, walk
from designspace.errors import DataError
from designspace.storage.files import file_hash, reading


class Folder(ImageFiles, name="folder"):
    """Images in class folders (``<class>/<image>``), in a flat folder, or with a ``dataset.json`` of class numbers.

    Images and classes are in the order of their names. Folders may be nested; a common parent folder is ignored. Links
    are followed, but every file is read once. Formats are PNG, JPEG (also ``.jfif``), WebP, BMP, TIFF and PNM; files of
    other kinds are counted in a warning, hidden ones are not.

    Images are turned upright if their EXIF data say so. Those with a palette or in CMYK become RGB. More than 8 bits
    per channel, several frames per file and transparency are refused. All images must have one size and be all grey or
    all RGB. With ``size``, square images are resized to ``size`` x ``size`` pixels by Pillow's Lanczos filter, which is
    antialiased; with ``crop: center``, the central square of each image is used. Together they are the transform
    ``center-crop`` of EDM's dataset tool.

    If the decoded images exceed an eighth of the memory, or a quarter of ``$DESIGNSPACE_MAX_BYTES`` if it is set, they
    are kept in a file of the cache, of which only the parts in use are in memory.

    Raises ``DataError`` otherwise, and if no images decode to that much: more than 1 GiB and 200 times their files.
    The layout with ``dataset.json`` is defined at https://github.com/NVlabs/edm#preparing-datasets
    """

    version: ClassVar[int] = 2

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        listing = self._listing()
        yield Opened(self.path, listing, self._open, lambda: self._stored(listing))

    def files_hash(self) -> str:
        return hashed(self._listing().files, lambda name: file_hash(self.path / name))

    def _listing(self) -> Listing:
        with reading(self.path):
            self.path.stat()
        if not self.path.is_dir():
            raise DataError(f"{self.path} is a file, not a folder; use data 'zip' or 'npz' for archives")
        return Listing.of(*walk(self.path))

    def _stored(self, listing: Listing) -> int:
        with reading(self.path):
            return sum((self.path / name).stat().st_size for name in listing.files)

    def _open(self, name: str) -> IO[bytes]:
        file: Path = self.path / name
        with reading(file):
            require_size_of_an_image(file, file.stat().st_size)
            return file.open("rb")
