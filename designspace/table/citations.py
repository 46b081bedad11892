"""The literature behind a trial, as BibTeX: its components' docstrings name their sources.

A source is named as ``Karras et al. (2022), https://arxiv.org/abs/2206.00364``. Components that are not installed here,
such as those of a plugin, are passed over.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from string import ascii_lowercase
from typing import Any, NamedTuple

from designspace.registry.component import ROWS

NAME = r"(?:del? |van |von )?[A-Z][\w’-]+"
SOURCE = re.compile(
    rf"({NAME}(?:(?:, | and ){NAME})*(?: et al\.)?)(?:'s(?: [\w-]+)?)?,? \(?((?:19|20)\d\d)\)?, "
    r"(?:([A-Z][^.;()]{9,}), )?(https?://\S+)"
)
PLURAL = {"metrics": "metric"}


class Source(NamedTuple):
    """A publication as a docstring names it; seldom with its title."""

    authors: str
    year: str
    title: str
    url: str


def bibtex(trials: Iterable[Any]) -> str:
    """An entry for each source that components of the resolved specs name, ordered by key."""
    used = {component for trial in trials for component in _components(trial)}
    sources = {source.url: source for row, name in sorted(used) for source in _of(row, name)}
    entries = sorted((_key(source), source) for source in sources.values())
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


@cache
def _of(row: str, name: str) -> tuple[Source, ...]:
    component = ROWS[row].known.get(name) if row in ROWS else None
    doc = " ".join((inspect.getdoc(component) or "").split()) if component else ""
    return tuple(Source(*found)._replace(url=_trimmed(found[-1])) for found in SOURCE.findall(doc))


def _trimmed(url: str) -> str:
    """Without the punctuation of the sentence."""
    url = url.rstrip(".,;:")
    return _trimmed(url[:-1]) if url.endswith(")") and url.count(")") > url.count("(") else url


def _key(source: Source) -> str:
    first = re.split(r", | and | et al", source.authors)[0]
    return re.sub(r"\W", "", first).lower() + source.year


def _entry(key: str, source: Source) -> str:
    authors = re.sub(r", (?:and )?| and ", " and ", source.authors.replace(" et al.", " and others"))
    fields = {"author": authors, "year": source.year} | _where(source.url)
    if title := source.title or _titles().get(source.url):
        fields = {"title": f"{{{title}}}"} | fields  # braces keep its capitals
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@misc{{{key},", *lines, "}"])


def _where(url: str) -> dict[str, str]:
    if arxiv := re.fullmatch(r"https?://arxiv\.org/abs/(.+)", url):
        return {"eprint": arxiv[1], "archiveprefix": "arXiv", "url": url}
    doi = re.fullmatch(r"https?://doi\.org/(.+)", url)
    return {"doi": doi[1], "url": url} if doi else {"url": url}


@cache
def _titles() -> dict[str, str]:
    """By URL, of the sources of built-in components."""
    return dict(json.loads((files("designspace") / "titles.json").read_text("utf-8")))
