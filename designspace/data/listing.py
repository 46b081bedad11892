"""The files of a folder or archive: which of them are images, and what is left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path, PurePosixPath

from designspace.storage.files import is_hidden, reading

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm", ".pnm"),
)
INDEX = "dataset.json"
"""The file of class numbers in NVIDIA's format."""
LINKS = "repeated by links"


@dataclass(frozen=True)
class Listing:
    """The files of a data set by their relative names with slashes."""

    images: tuple[str, ...]
    """The images in sorted order."""
    index: str | None
    """The file ``dataset.json`` in the common parent folder of all files, if there is one."""
    root: str
    """The common parent folder, with a slash at its end; empty if there is none."""
    ignored: dict[str, int] = field(default_factory=dict)
    """The number of files of other kinds, by suffix. Hidden files and those of the system are not counted."""

    @classmethod
    def of(cls, names: Iterable[str], links: int = 0) -> Listing:
        """Sort out ``names``; ``links`` is the number of symbolic links that were not followed."""
        seen = sorted(name for name in names if not any(map(is_hidden, name.split("/"))))
        images = tuple(name for name in seen if name.lower().endswith(SUFFIXES))
        root = _common_folder([*images, *(name for name in seen if name.split("/")[-1] == INDEX)])
        index = root + INDEX if root + INDEX in seen else None
        read = {*images, index}
        others = Counter(_kind(name) for name in seen if name not in read)
        ignored = dict(sorted(others.items())) | ({LINKS: links} if links else {})
        return cls(images, index, root, ignored)

    @property
    def files(self) -> tuple[str, ...]:
        """All files that are read."""
        return self.images if self.index is None else tuple(sorted((*self.images, self.index)))

    @property
    def left_out(self) -> str:
        """What is left out, in words: ``read 3 of 9 files; ignored: 6 .gif``; empty if nothing is."""
        if not self.ignored:
            return ""
        total = len(self.images) + sum(self.ignored.values())
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.ignored.items())
        return f"read {len(self.images)} of {total} files; ignored: {kinds}"


def _kind(name: str) -> str:
    return PurePosixPath(name).suffix.lower() or "without suffix"


def _common_folder(names: list[str]) -> str:
    levels = zip(*(name.split("/")[:-1] for name in names), strict=False)
    return "".join(f"{level[0]}/" for level in takewhile(lambda level: len(set(level)) == 1, levels))


def walk(root: Path) -> tuple[list[str], int]:
    """The names of all files below ``root``, and the number of symbolic links to what is listed anyway.

    Links are followed, but every file is listed once: under its own name or, if it lies outside of ``root``, under that
    of the first link to it. Hidden folders are skipped. Raises ``DataError`` if a folder cannot be read.
    """
    home = os.path.realpath(root)
    folders, links = [("", home)], list[tuple[str, str]]()
    names, seen, again = list[str](), set[str](), 0
    while folders or links:
        while folders:  # real folders before links, so that files keep their own names
            name, real = folders.pop()
            if real in seen or (name and _contains(real, home)):
                again += 1
                continue
            seen.add(real)
            for entry in _entries(real):
                if entry.is_symlink():
                    links.append((name + entry.name, entry.path))
                elif entry.is_dir():
                    folders.append((f"{name}{entry.name}/", entry.path))
                else:
                    names.append(name + entry.name)
                    seen.add(entry.path)
        for name, path in sorted(links):
            real = os.path.realpath(path)
            if Path(real).is_dir():
                folders.append((f"{name}/", real))
            elif real in seen:
                again += 1
            else:
                names.append(name)
                seen.add(real)
        links = []
        folders.reverse()  # the first of several links to a folder gives its files their names
    return names, again


def _contains(folder: str, other: str) -> bool:
    return f"{other}/".startswith(f"{folder.rstrip('/')}/")


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with reading(Path(folder)), os.scandir(folder) as entries:
        return [entry for entry in entries if not is_hidden(entry.name)]
