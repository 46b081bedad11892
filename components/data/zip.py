from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar
from zipfile import BadZipFile, ZipFile, ZipInfo

from designspace.data.files import ImageFiles, Opened, require_size_of_an_image
from designspace.data.limits import require_room
from designspace.data.listing import Listing
from designspace.errors import DataError
from designspace.storage.files import file_hash, reading


class Zip(ImageFiles, name="zip"):
    """Images in a zip archive; layouts, formats, ``size`` and ``crop`` are those of the data set ``folder``.

    The archive is read in place and never extracted. Backslashes in names separate folders. Raises ``DataError`` if the
    file is damaged or not a zip archive, if two members have the same name, and wherever ``folder`` does.
    """

    version: ClassVar[int] = 2

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        with self._archive() as archive:
            members = self._members(archive)
            listing = Listing.of(members)
            sizes = {name: members[name].file_size for name in listing.files}
            require_room(sum(sizes.values()), self.path, self.path.stat().st_size)
            for name, size in sizes.items():
                require_size_of_an_image(f"{self.path}: {name}", size)
            yield Opened(self.path, listing, lambda name: archive.open(members[name]))

    def files_hash(self) -> str:
        return file_hash(self.path)

    def _archive(self) -> ZipFile:
        with reading(self.path):
            try:
                return ZipFile(self.path)
            except (BadZipFile, NotImplementedError, ValueError) as error:
                raise DataError(f"{self.path} is not a complete zip archive ({error}); copy it again") from error

    def _members(self, archive: ZipFile) -> dict[str, ZipInfo]:
        """The files in the archive by their names with slashes."""
        found: dict[str, ZipInfo] = {}
        for info in archive.infolist():
            name = info.filename.replace("\\", "/").removeprefix("./")
            if found.setdefault(name, info) is not info:
                raise DataError(f"{self.path}: two members are called {name}; pack it again")
        return {name: info for name, info in found.items() if not name.endswith("/")}
