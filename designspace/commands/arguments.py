"""What commands take as arguments: components as in YAML, and data sets by their place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from designspace.commands.errors import stop

if TYPE_CHECKING:
    from designspace.rows import Data

FILES = {".zip": "zip", ".npz": "npz"}


def data_set(place: str) -> Data:
    """The data set that ``place`` names: a path, or a data set as in YAML."""
    import designspace as ds

    path = Path(place)
    if path.exists():
        kind = "folder" if path.is_dir() else FILES.get(path.suffix.lower())
        if kind is None:
            stop(2, f"{place}: neither a folder nor a zip nor an npz")
        return ds.Data.get(kind).model_validate({"path": path})
    if path.suffix.lower() in FILES or ("/" in place and not place.startswith("{")):
        stop(2, f"{place}: no such folder, zip or npz")
    data: Data = component(ds.Data, place, place)
    return data


def component(row: Any, text: str, where: str) -> Any:
    """A component as in YAML, ``lite0`` or ``{name: lite0, size: 128}``; errors end the command."""
    from pydantic import ValidationError

    from designspace.spec.document import parse
    from designspace.spec.errors import SpecError, dotted, what

    document = parse(text, where, lines=False)
    if document.problems:
        raise SpecError(document.problems)
    try:
        return row.model_validate(document.data)
    except ValidationError as error:
        stop(2, *(": ".join(filter(None, (where, dotted(e["loc"]), what(e)))) for e in error.errors()))
