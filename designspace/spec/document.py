"""Reading a YAML file as plain data, with the line and column of every key and value."""

from __future__ import annotations

import math
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode

from designspace.errors import DocPath, Kind, Place, Problem, SpecError
from designspace.spec.limits import MOST_BYTES, LimitedComposer, LimitError, expanded, too_long, unprintable
from designspace.spec.problems import Problems
from designspace.storage.included import no_such_file
from designspace.text import first_of

LISTED = 20
"""The largest number of files that a message lists."""
SCALARS = (str, bool, int, float, type(None))
PLAIN_TAGS = ("tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")


class Spot(NamedTuple):
    """The places of a key and of its value; the two are the same for an item of a list."""

    key: Place
    value: Place


@dataclass
class Document:
    """Plain data and the place of each part; ``source`` is empty for data made in Python."""

    data: Any
    source: str = ""
    spots: dict[DocPath, Spot] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)

    def locate(self, problem: Problem) -> Problem:
        """``problem`` with the place of the value at its path or, if there is none, of the nearest value above it."""
        if problem.place or not self.source:
            return problem
        place = Place(self.source, 1, 1)
        for end in range(len(problem.path), 0, -1):
            if spot := self.spots.get(problem.path[:end]):
                place = spot.key if problem.key and end == len(problem.path) else spot.value
                break
        return problem._replace(place=place)

    def replace(self, path: DocPath, part: Document) -> None:
        """Add the places and problems of ``part``, whose data are now at ``path``."""
        self.spots = {old: spot for old, spot in self.spots.items() if old[: len(path)] != path}
        self.spots |= {path + below: spot for below, spot in part.spots.items()}
        self.problems += part.problems

    def from_option(self, path: DocPath) -> bool:
        """Whether the value at ``path`` was given on the command line."""
        return path in self.spots and not self.spots[path].value.line


def read(path: Path) -> Document:
    """Read a YAML file. Repeated keys and unusable values are recorded as problems of the document.

    Raises:
        SpecError: The file cannot be read, or it exceeds one of ``limits``.
    """
    try:
        if not (path.is_file() or path.is_dir()) and path.exists():  # reading a pipe or a device might never end
            raise _unreadable("is not a regular file", Place(str(path)))
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except IsADirectoryError:
        names = sorted(file.name for file in path.glob("*.yaml"))
        files = first_of(names, LISTED) or "no YAML"
        raise _unreadable(f"is a folder, not a file. It has: {files}", Place(str(path))) from None
    except FileNotFoundError:
        raise _unreadable(no_such_file(path), Place(str(path))) from None
    except OSError as error:
        raise _unreadable(f"cannot be read: {error.strerror}", Place(str(path))) from None
    if len(content) > MOST_BYTES:
        what = f"is larger than {MOST_BYTES // 2**20} MiB, the limit for an ablation"
        raise _unreadable(what, Place(str(path)))
    return parse(_decoded(content, str(path)), str(path))


def _decoded(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _place_after(content[: error.start].decode("utf-8-sig"), source)
        if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            raise _unreadable("is UTF-16; save it as UTF-8", place) from None
        raise _unreadable(f"is not UTF-8: byte 0x{content[error.start]:02x}", place) from None


def parse(text: str, source: str, *, lines: bool = True) -> Document:
    """Read the document in ``text``, YAML 1.2.

    Args:
        text: The YAML.
        source: Where the text comes from, for error messages: the name of a file or a command-line option.
        lines: Whether places have a line and a column; otherwise every place is just ``source``.

    Raises:
        SpecError: The text is not YAML, or it exceeds one of ``limits``.
    """
    reader = _Reader(Document(None, source), lines)
    try:
        node = reader.yaml.compose(text)
        if node is not None:
            expanded(node, {})
            reader.document.data = reader.plain(node, ())
    except LimitError as error:
        raise _unreadable(str(error.problem), reader.at(error.problem_mark)) from None
    except YAMLError as error:
        what, place = _syntax(error, text, source)
        raise _unreadable(f"is not YAML: {what}", place if lines else Place(source)) from None
    return reader.document


class _Reader:
    """Turns the nodes of a document into plain data, and records the place of each."""

    def __init__(self, document: Document, lines: bool) -> None:
        self.yaml = YAML(typ="safe", pure=True)
        self.yaml.Composer = LimitedComposer
        self.document, self._lines, self._open = document, lines, set[int]()

    def plain(self, node: Any, path: DocPath, key: Node | None = None) -> Any:
        below = node.value == "" if isinstance(node, ScalarNode) else not node.flow_style
        value = self._at(key if key and below else node)
        self.document.spots[path] = Spot(self._at(key or node), value)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if node.tag not in PLAIN_TAGS:
            return self._refuse(path, f"unknown tag {node.tag}", node)
        if id(node) in self._open:
            return self._refuse(path, "contains itself")
        self._open.add(id(node))
        if isinstance(node, SequenceNode):
            result: Any = [self.plain(item, (*path, i)) for i, item in enumerate(node.value)]
        else:
            result = self._mapping(node, path)
        self._open.remove(id(node))
        return result

    def _mapping(self, node: Any, path: DocPath) -> dict[str, Any]:
        first: dict[str, Node] = {}
        for key in (key for key, _ in node.value if isinstance(key, ScalarNode)):
            if first.setdefault(key.value, key) is not key:
                line = first[key.value].start_mark.line + 1
                self._refuse((*path, key.value), f"is given twice, first in line {line}", key)
        self.yaml.constructor.flatten_mapping(node)  # anchors: `<<: *base`
        result = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._refuse(path, "a key should be a word, not a list or a mapping", key)
            elif what := too_long(key) or unprintable(key.value, allowed=""):
                self._refuse(path, f"a key {what}", key)
            else:
                result[key.value] = self.plain(value, (*path, key.value), key)
        return result

    def _scalar(self, node: ScalarNode, path: DocPath) -> Any:
        if what := too_long(node) or unprintable(node.value, allowed="\n\t"):
            return self._refuse(path, what, node)
        try:
            value = self.yaml.constructor.construct_object(node)
        except Exception:  # ruamel lets various errors of conversions pass
            return self._refuse(path, f"unknown tag {node.tag}, or a value that it does not allow", node)
        if isinstance(value, bytes):
            return self._refuse(path, "no field takes binary data", node)
        if isinstance(value, float) and math.isinf(value) and "inf" not in node.value.lower():
            return self._refuse(path, f"{node.value} is too large for a number", node)
        return value if isinstance(value, SCALARS) else node.value  # dates stay text

    def _refuse(self, path: DocPath, what: str, node: Node | None = None) -> None:
        place = self._at(node) if node else self.document.spots[path].value
        self.document.problems.append(Problem(what, path, Kind.UNREADABLE, place=place))

    def _at(self, node: Node) -> Place:
        return self.at(node.start_mark)

    def at(self, mark: Any) -> Place:
        """The place of a mark in the text."""
        source = self.document.source
        return Place(source, mark.line + 1, mark.column + 1) if self._lines else Place(source)


def _unreadable(what: str, place: Place) -> SpecError:
    return SpecError([Problem(what, kind=Kind.UNREADABLE, place=place)])


def _syntax(error: YAMLError, text: str, source: str) -> tuple[str, Place]:
    """What is wrong with the YAML, and where."""
    if not isinstance(error, MarkedYAMLError):  # a character that YAML does not allow
        return getattr(error, "reason", str(error)), _place_after(text[: getattr(error, "position", 0)], source)
    what = str(error.problem)
    if error.context:
        start = error.context_mark
        what += f" ({error.context}" + (f" that starts in line {start.line + 1})" if start else ")")
    mark = error.problem_mark
    return what, Place(source, mark.line + 1, mark.column + 1) if mark else Place(source)


def _place_after(before: str, source: str) -> Place:
    return Place(source, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
