import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from designspace.data.limits import require_plausible
from designspace.data.listing import walk
from designspace.data.tables import Part, Table, arrow, chosen_split
from designspace.errors import DataError
from designspace.storage.files import reading

SUFFIX = ".parquet"
SHARD = re.compile(r"-\d+(-of-\d+)?$")
"""The end of the name of one of several files of a split, as in ``train-00000-of-00002``."""
ROWS = 64
"""The number of rows that are read at a time."""


class Parquet(Table, name="parquet"):
    """Images in Parquet files, as the Hugging Face Hub holds them.

    ``path`` is a file, a list of files, or a folder whose ``.parquet`` files are read in the order of their names. If
    the folder holds several splits, ``train-00000-of-00002.parquet`` and ``test-00000-of-00001.parquet``, ``split``
    names one.

    The column ``image`` holds encoded images: binary, or a struct with the field ``bytes``. The optional column
    ``label`` holds class numbers, or texts, which become classes in sorted order. Without these fields, the columns
    called ``image`` or ``img`` and ``label``, ``labels`` or ``fine_label`` are read, or else the only column of binary
    data as images; ``label: none`` reads no labels. Names of classes are taken from the metadata of the library
    ``datasets``.

    Formats of images, ``size`` and ``crop``, and what becomes of large sets are as in the data set ``folder``. Two sets
    are the same if the contents of the files, in their order, and the fields except ``path`` and ``split`` are the
    same. The package ``pyarrow`` is needed, which ``pip install 'designspace[hf]'`` installs.

    Raises ``DataError``, which names file and row, for missing columns, for other types, and for rows without an image
    or a class number.
    """

    path: Path | tuple[Path, ...]

    def paths(self) -> list[Path]:
        if isinstance(self.path, tuple):
            if not self.path:
                raise DataError("data parquet: path lists no files")
            return list(self.path)
        with reading(self.path):
            self.path.stat()
        if not self.path.is_dir():
            return [self.path]
        found = sorted(name for name in walk(self.path)[0] if name.endswith(SUFFIX))
        if not found:
            raise DataError(f"{self.path} has no {SUFFIX} files")
        splits = {name: SHARD.sub("", PurePosixPath(name).stem) for name in found}
        if all(map(str.isdecimal, splits.values())):  # the files are only numbered
            return [self.path / name for name in found]
        split = chosen_split(self.path, splits.values(), self.split)
        return [self.path / name for name in found if splits[name] == split]

    def part(self, path: Path) -> Part:
        with _opened(path) as file:
            about, stored = file.metadata, path.stat().st_size
            for group in (about.row_group(k) for k in range(about.num_row_groups)):
                require_plausible(group.total_byte_size, path, stored)
            return Part(path, file.schema_arrow, about.num_rows, stored, partial(_column, path))


def _opened(path: Path) -> Any:
    arrow()
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(path, memory_map=False, pre_buffer=False)


def _column(path: Path, name: str) -> Iterator[Any]:
    with _opened(path) as file:
        for batch in file.iter_batches(batch_size=ROWS, columns=[name], use_threads=False):
            yield batch.column(0)
