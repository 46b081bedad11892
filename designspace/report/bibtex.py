"""Publications as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable
from string import ascii_lowercase

from designspace.results.records import Source


def bibtex(sources: Iterable[Source]) -> str:
    """One entry per source, ordered by key: ``karras2022``, or ``karras2022a`` and ``karras2022b``."""
    entries = sorted((_key(source), source.url, source) for source in sources)
    keys = [key for key, *_ in entries]
    letters = {i: ascii_lowercase[keys[:i].count(key)] for i, key in enumerate(keys) if keys.count(key) > 1}
    return "\n\n".join(_entry(key + letters.get(i, ""), source) for i, (key, _, source) in enumerate(entries))


def _key(source: Source) -> str:
    first = re.split(r", | and | et al", source.authors)[0]
    return re.sub(r"\W", "", first).lower() + str(source.year)


def _entry(key: str, source: Source) -> str:
    authors = re.sub(r", (?:and )?| and ", " and ", source.authors.replace(" et al.", " and others"))
    title = {"title": f"{{{source.title}}}"} if source.title else {}  # the braces preserve capital letters
    fields = title | {"author": authors, "year": str(source.year)} | _where(source.url)
    return "\n".join([f"@misc{{{key},", *(f"  {name} = {{{value}}}," for name, value in fields.items()), "}"])


def _where(url: str) -> dict[str, str]:
    if arxiv := re.fullmatch(r"https?://arxiv\.org/abs/(.+)", url):
        return {"eprint": arxiv[1], "archiveprefix": "arXiv", "url": url}
    doi = re.fullmatch(r"https?://doi\.org/(.+)", url)
    return {"doi": doi[1], "url": url} if doi else {"url": url}
