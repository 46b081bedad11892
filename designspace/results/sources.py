"""The publications behind results: the components in a resolved spec and their sources."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from designspace.results.records import Source

ROW_OF = {"metrics": "metric"}
"""Maps a field of a spec to the row of its components, where the names differ."""
CITATIONS = Path(__file__).parent / "citations.json"
"""The sources of the built-in components, for results of earlier versions, which did not record them.

``python docs/make/citations.py`` writes it from the classes, and a test compares the two.
"""


def sources_of(trials: Iterable[object], recorded: Mapping[str, Sequence[Source]] | None) -> list[Source]:
    """The distinct sources of all components in resolved specs; if none are recorded, those of built-in components."""
    known = _built_in() if recorded is None else recorded
    names = sorted({name for trial in trials for name in components_in(trial)})
    return list({source.url: source for name in names for source in known.get(name, ())}.values())


def components_in(spec: object) -> Iterator[str]:
    """``row/name`` of each component in a resolved spec, at any depth."""
    for key, value in spec.items() if isinstance(spec, dict) else ():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                yield f"{ROW_OF.get(str(key), key)}/{part.get('name')}"
                yield from components_in(part)


@cache
def _built_in() -> dict[str, list[Source]]:
    found: dict[str, list[dict[str, Any]]] = json.loads(CITATIONS.read_text("utf-8"))
    return {name: [Source.model_validate(source) for source in sources] for name, sources in found.items()}
