"""Docstrings, which are reStructuredText, as Markdown."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator

SECTIONS = ("Args:", "Raises:", "Returns:")
URL = r"https?://(?:[^\s,()]|\([^\s()]*\))*(?:[^\s,.;:()]|\([^\s()]*\))"
"""It may hold parentheses in pairs, and ends before the punctuation of its sentence."""


def markdown(doc: str | None) -> str:
    """A docstring as Markdown, its formulas between dollars."""
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(doc or ""))
    return "\n\n".join(_block(block) for block in _whole(blocks))


def summary(doc: str | None) -> str:
    """The first line."""
    return _prose(inspect.cleandoc(doc or "").split("\n")[0])


def _whole(blocks: list[str]) -> Iterator[str]:
    """Code with empty lines inside is one block."""
    code = ""
    for block in blocks:
        if code and block.startswith("    "):
            code += f"\n\n{block}"
            continue
        if code:
            yield code
        code = block if block.startswith(".. code-block::") else ""
        if not code:
            yield block
    if code:
        yield code


def _block(block: str) -> str:
    if block.startswith(".. math::"):
        return f"$$\n{' '.join(block.removeprefix('.. math::').split())}\n$$"
    if block.startswith(".. code-block::"):
        first, _, rest = block.partition("\n")
        return f"```{first.split()[-1]}\n{inspect.cleandoc(rest)}\n```"
    if block.startswith(">>>"):
        return f"```pycon\n{block}\n```"
    if block.startswith(SECTIONS):
        title, _, rest = block.partition("\n")
        return f"**{title}**\n\n" + "\n".join(f"- {_entry(line)}" for line in _entries(rest))
    return _prose(block)


def _entries(text: str) -> list[str]:
    """``name: what``, each with its continued lines."""
    return re.sub(r"\n\s+", " ", textwrap.dedent(text)).splitlines()


def _entry(line: str) -> str:
    name, colon, rest = line.partition(": ")
    return f"`{name}`: {_prose(rest)}" if colon else _prose(line)


def _prose(text: str) -> str:
    """Roles and double backticks become mathematics and code; what else Markdown would take for mark-up is escaped."""
    parts = re.split(rf"(:math:`[^`]*`|``.+?``|{URL})", text, flags=re.S)
    return "".join(map(_part, parts))


def _part(part: str) -> str:
    if part.startswith(":math:"):
        return f"${' '.join(part[7:-1].split())}$"
    if part.startswith("``"):
        return f"`{' '.join(part[2:-2].split())}`"
    if part.startswith("http"):
        return f"<{part}>"
    return re.sub(r"([*\[\]$|])", r"\\\1", part.replace("<", "&lt;"))
