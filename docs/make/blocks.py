"""The fenced blocks of a page; as a program, runs all of a page's in the current folder: ``python blocks.py PAGE``."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r'^```(\w+)(?: title="([^"]*)")?\n(.*?)^```$', re.M | re.S)


class Block(NamedTuple):
    """A block of code."""

    language: str
    file: str
    """The file that it is the content of; empty if it is to be run."""
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The command lines after ``$``, in words; comments are left out, and a backslash continues a line."""
        lines = self.text.replace("\\\n", "").splitlines()
        return [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ ")]


def blocks(page: str) -> list[Block]:
    """All blocks of a page of Markdown."""
    return [Block(language, file, text) for language, file, text in FENCE.findall(page)]


def run(block: Block) -> None:
    """Write the file, or run the commands or the code. Raises whatever they raise."""
    if block.file:
        Path(block.file).write_text(block.text, "utf-8")
    elif block.language == "python":
        exec(compile(block.text, "block", "exec"), {"__name__": "block"})
    for command in block.commands:
        if command[0] == "designspace":
            _designspace(command[1:])


def _designspace(arguments: list[str]) -> None:
    from designspace.cli.app import app

    print("$ designspace", *arguments, flush=True)
    try:
        app(arguments, prog_name="designspace")
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"designspace {shlex.join(arguments)} ends with status {end.code}") from None


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    for found in blocks(Path(sys.argv[1]).read_text("utf-8")):
        run(found)
