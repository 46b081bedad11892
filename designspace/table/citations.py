"""The literature behind trials, as BibTeX: the sources that their components declare.

Components that are not installed here, such as those of a plugin, are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from string import ascii_lowercase
from typing import Any

from designspace.registry.component import ROWS
from designspace.registry.literature import Source

PLURAL = {"metrics": "metric"}


def bibtex(trials: Iterable[Any]) -> str:
    """An entry for each source of the components of resolved specs, ordered by key."""
    used = {component for trial in trials for component in _components(trial)}
    sources = {source.url: source for row, name in sorted(used) for source in _of(row, name)}
    entries = sorted(((_key(source), source) for source in sources.values()), key=lambda pair: (pair[0], pair[1].url))
    keys = [key for key, _ in entries]
    letters = {i: ascii_lowercase[keys[:i].count(key)] for i, key in enumerate(keys) if keys.count(key) > 1}
    return "\n\n".join(_entry(key + letters.get(i, ""), source) for i, (key, source) in enumerate(entries))


def _components(spec: Any) -> Iterator[tuple[str, str]]:
    """Row and name of each component in a resolved spec, at any depth."""
    for key, value in spec.items() if isinstance(spec, dict) else ():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                yield PLURAL.get(str(key), str(key)), str(part.get("name"))
                yield from _components(part)


def _of(row: str, name: str) -> tuple[Source, ...]:
    component = ROWS[row].known.get(name) if row in ROWS else None
    return component.sources if component else ()


def _key(source: Source) -> str:
    first = re.split(r", | and | et al", source.authors)[0]
    return re.sub(r"\W", "", first).lower() + str(source.year)


def _entry(key: str, source: Source) -> str:
    authors = re.sub(r", (?:and )?| and ", " and ", source.authors.replace(" et al.", " and others"))
    title = f"{{{source.title}}}"  # the inner braces keep its capitals
    fields = {"title": title, "author": authors, "year": str(source.year)} | _where(source.url)
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@misc{{{key},", *lines, "}"])


def _where(url: str) -> dict[str, str]:
    if arxiv := re.fullmatch(r"https?://arxiv\.org/abs/(.+)", url):
        return {"eprint": arxiv[1], "archiveprefix": "arXiv", "url": url}
    doi = re.fullmatch(r"https?://doi\.org/(.+)", url)
    return {"doi": doi[1], "url": url} if doi else {"url": url}
