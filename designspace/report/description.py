"""What an ablation's folder says that it is: ``ablation.json``, which may come from anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from designspace.errors import DataError
from designspace.results.lines import SCHEMA, Row, other_schema
from designspace.storage.files import reading

NEEDED = {"name": str, "question": str, "axes": list, "claims": list, "metrics": list, "points": list}
LONGEST = 1000
"""Bits of a whole number that is still a float."""


def description(folder: Path) -> Row:
    """Name, question, axes, metrics, claims and expected points. Raises ``DataError`` if they are not what they are."""
    path = folder / "ablation.json"
    with reading(path):
        text = path.read_text("utf-8", errors="replace")
    try:
        about = dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: not the description of an ablation ({error}); run the ablation again") from error
    if about.get("schema") != SCHEMA:
        raise DataError(f"{path}: {other_schema(about.get('schema'))}")
    for wrong in _wrong(about):
        raise DataError(f"{path}: {wrong}; run the ablation again")
    return about


def _wrong(about: Row) -> Iterator[str]:
    for key, kind in NEEDED.items():
        if not isinstance(about.get(key), kind):
            yield f"'{key}' is not a {kind.__name__}"
            return
    for key in ("axes", "metrics"):
        if not all(isinstance(name, str) for name in about[key]):
            yield f"'{key}' are not all names"
    if not _plain(about.get("baseline_axes", {})):
        yield "'baseline_axes' are not plain values by axis"
    if not all(isinstance(claim, dict) and isinstance(claim.get("expect", {}), dict) for claim in about["claims"]):
        yield "a claim that expects nothing"
    for point in about["points"]:
        if not (isinstance(point, dict) and isinstance(point.get("id"), str) and _plain(point.get("axes"))):
            yield "a point without id or axes"
        elif lacking := [axis for axis in about["axes"] if axis not in point["axes"]]:
            yield f"a point without a value of the axis '{lacking[0]}'"


def _plain(axes: Any) -> bool:
    return isinstance(axes, dict) and all(map(_is_plain, axes.values()))


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | float) or (isinstance(value, int) and value.bit_length() <= LONGEST)
