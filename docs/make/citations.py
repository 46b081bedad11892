"""Write the sources of all built-in components to ``designspace/results/citations.json``."""

from __future__ import annotations

import json

from designspace.registry.known import ROWS
from designspace.results.sources import CITATIONS


def citations() -> str:
    """The content of the file: the sources of each component that has some, by ``row/name``."""
    known = {f"{row}/{name}": cls.sources for row in sorted(ROWS) for name, cls in sorted(ROWS[row].known.items())}
    found = {name: [source._asdict() for source in sources] for name, sources in known.items() if sources}
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    CITATIONS.write_text(citations(), "utf-8")
