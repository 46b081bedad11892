from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar
from zipfile import BadZipFile, ZipFile, ZipInfo

from designspace.data.files import ImageFiles, Opened, require_size_of_an_image
from designspace.data.limits import require_plausible
from designspace.data.listing import Listing
from designspace.errors import DataError
from designspace.storage.files import file_hash, reading

ENCRYPTED = 1
"""The bit of the flags of a member that says that a password is needed."""


class Zip(ImageFiles, name="zip"):
    """Images in a zip archive; layouts, formats, ``size`` and ``crop`` are those of the data set ``folder``.

    The archive is read in place and never extracted. Backslashes in names separate folders. Raises ``DataError`` if the
    file is damaged or not a zip archive, if members are encrypted or have the same name or names with ``..``, and
    wherever ``folder`` does.
    """

    version: ClassVar[int] = 2

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        with self._archive() as archive:
            members = self._members(archive)
            listing = Listing.of(members)
            sizes = {name: members[name].file_size for name in listing.files}
            stored = self.path.stat().st_size
            require_plausible(sum(sizes.values()), self.path, stored)
            for name, size in sizes.items():
                require_size_of_an_image(f"{self.path}: {name}", size)
            yield Opened(self.path, listing, lambda name: archive.open(members[name]), lambda: stored)

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
            parts = info.filename.replace("\\", "/").split("/")
            name = "/".join(part for part in parts if part != ".")
            if ".." in parts:
                raise DataError(f"{self.path}: the member {name} is outside of the archive; pack it again without `..`")
            if info.flag_bits & ENCRYPTED:
                raise DataError(f"{self.path}: {name} is encrypted; unpack it and pack it again without a password")
            if found.setdefault(name, info) is not info:
                raise DataError(f"{self.path}: two members are called {name}; pack it again")
        return {name: info for name, info in found.items() if not name.endswith("/")}
