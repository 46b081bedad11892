import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from designspace.data.tables import Part, Table, arrow, chosen_split
from designspace.errors import DataError
from designspace.storage.files import reading

STATE, SPLITS = "state.json", "dataset_dict.json"
LARGEST = 2**26
"""The largest size in bytes of the JSON files that describe a data set."""


class HF(Table, name="hf"):
    """A data set of the Hugging Face library ``datasets`` on disk, in a folder that ``save_to_disk`` has written.

    ``split`` names the split of a ``DatasetDict``. Columns, formats of images, ``size`` and ``crop`` are as in the data
    set ``parquet``. Nothing is downloaded. The library ``datasets`` is not needed, but the package ``pyarrow`` is,
    which ``pip install 'designspace[hf]'`` installs. Two sets are the same if the contents of the ``.arrow`` files and
    the fields except ``path`` and ``split`` are the same.

    Raises ``DataError`` as ``parquet`` does, and for a folder of another kind.
    """

    path: Path

    def paths(self) -> list[Path]:
        folder = self._folder()
        state = _json(folder / STATE)
        if state.get("_indices_data_files"):
            raise DataError(f"{folder} selects rows by indices: save `dataset.flatten_indices()` instead")
        files = state.get("_data_files")
        given = [each.get("filename") for each in files if isinstance(each, dict)] if isinstance(files, list) else []
        names = [name for name in given if isinstance(name, str) and Path(name).name == name]
        if not names or len(names) < len(given):
            raise DataError(f"{folder / STATE} does not list files of this folder in `_data_files`: save it again")
        return [folder / name for name in names]

    def part(self, path: Path) -> Part:
        pyarrow = arrow()
        with pyarrow.memory_map(str(path)) as file:
            if any(map(_is_compressed, pyarrow.ipc.MessageReader.open_stream(file))):
                raise DataError(
                    f"{path} has compressed buffers, which `save_to_disk` does not write: save the set again"
                )
        with pyarrow.memory_map(str(path)) as file, pyarrow.ipc.open_stream(file) as reader:
            schema, rows = reader.schema, sum(batch.num_rows for batch in reader)
        return Part(path, schema, rows, path.stat().st_size, partial(_column, path))

    def _folder(self) -> Path:
        """The folder of the split."""
        if not self.path.exists():
            raise DataError(f"there is no {self.path.absolute()}, and nothing is downloaded: {self._download()}")
        if (self.path / SPLITS).is_file():
            splits = _json(self.path / SPLITS).get("splits")
            known = [str(each) for each in splits] if isinstance(splits, list) else []
            split = chosen_split(self.path, [each for each in known if Path(each).name == each], self.split)
            return self.path / split
        if not (self.path / STATE).is_file():
            raise DataError(f"{self.path} has no {STATE}, so `save_to_disk` has not written it. {self._other()}")
        if self.split is not None:
            raise DataError(f"{self.path} has no splits: leave out `split`")
        return self.path

    def _download(self) -> str:
        name = "/".join(self.path.parts[-2:])
        code = f"from datasets import load_dataset; load_dataset('{name}').save_to_disk('{self.path.absolute()}')"
        return f"pip install datasets; python -c \"{code}\" does it, if '{name}' is its name on the Hub"

    def _other(self) -> str:
        if self.path.is_dir() and any(self.path.rglob("*.parquet")):
            return "It has Parquet files: use data 'parquet'"
        return "Save a data set with `datasets.load_dataset(...).save_to_disk(folder)`"


def _column(path: Path, name: str) -> Iterator[Any]:
    pyarrow = arrow()
    with pyarrow.memory_map(str(path)) as file, pyarrow.ipc.open_stream(file) as reader:
        for batch in reader:
            yield batch.column(name)


def _is_compressed(message: Any) -> bool:
    """Whether a message of an Arrow stream has buffers that pyarrow would decompress to any size.

    Its metadata are a table ``Message`` in the format FlatBuffers, whose field 2 is the header: a ``RecordBatch`` with
    the optional field 3, ``compression``, or a ``DictionaryBatch``, whose field 1 is such a batch.
    """
    if message.type not in ("record batch", "dictionary"):
        return False
    data = message.metadata.to_pybytes()
    batch = _field(data, int.from_bytes(data[:4], "little"), 2)
    if message.type == "dictionary" and batch:
        batch = _field(data, batch, 1)
    return batch is not None and _field(data, batch, 3) is not None


def _field(data: bytes, table: int, number: int) -> int | None:
    """Where the table in a field of a table begins; ``None`` if the field is not set."""
    fields = table - _integer(data, table)
    place = 4 + 2 * number
    offset = _integer(data, fields + place, 2) if place < _integer(data, fields, 2) else 0
    return table + offset + _integer(data, table + offset) if offset else None


def _integer(data: bytes, at: int, size: int = 4) -> int:
    return int.from_bytes(data[at : at + size], "little", signed=size == 4)


def _json(path: Path) -> dict[str, Any]:
    with reading(path):
        if path.stat().st_size > LARGEST:
            raise DataError(f"{path} is too large for a description of a data set")
        content = path.read_bytes()
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} is not a mapping: save the data set again")
    return found
