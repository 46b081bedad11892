"""The YAML file as plain data, with the line and column of every key and value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode

from designspace.errors import Place, Problem, SpecError
from designspace.spec.errors import DocPath, dotted
from designspace.text import did_you_mean

SCALARS = (str, bool, int, float, type(None))


class Spot(NamedTuple):
    """Where a value is written, and the key that names it; the same for a list's item."""

    key: Place
    value: Place


@dataclass
class Document:
    """Plain data and where each part of it was written; without ``source``, data that nobody wrote in a file."""

    data: Any
    source: str = ""
    spots: dict[DocPath, Spot] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: DocPath, text: str, *, key: bool = False) -> Problem:
        """A problem with the value at ``path`` or, if it is not there, with what it should be in."""
        where, place = dotted(path), Place(self.source, 1, 1) if self.source else None
        for end in range(len(path), 0, -1):
            if spot := self.spots.get(path[:end]):
                place = spot.key if key and end == len(path) else spot.value
                break
        return Problem(place, where if place is None or place.line else "", text)

    def replace(self, path: DocPath, part: Document) -> None:
        """Take the spots of ``part``, which now stands at ``path``."""
        self.spots = {old: spot for old, spot in self.spots.items() if old[: len(path)] != path}
        self.spots |= {path + below: spot for below, spot in part.spots.items()}
        self.problems += part.problems


def read(path: Path) -> Document:
    """The document in a file. Raises ``SpecError`` if the file cannot be read; repeated keys are among its problems."""
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        files = ", ".join(sorted(file.name for file in path.glob("*.yaml")))
        text = f"is a folder, not a file. It has: {files or 'no YAML'}"
        raise SpecError([Problem(Place(str(path)), "", text)]) from None
    except OSError as error:
        near = did_you_mean(path.name, [file.name for file in path.parent.glob("*.y*ml")])
        text = "no such file." + near if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise SpecError([Problem(Place(str(path)), "", text)]) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _place(content[: error.start].decode("utf-8-sig"), str(path))
        raise SpecError([Problem(place, "", f"is not UTF-8: byte 0x{content[error.start]:02x}")]) from None
    return parse(text, str(path))


def parse(text: str, source: str, *, lines: bool = True) -> Document:
    """The document in ``text``, YAML 1.2. Raises ``SpecError`` if it cannot be read.

    Without ``lines``, all of it is at one place: ``source``.
    """
    reader = _Reader(Document(None, source), lines)
    try:
        node = reader.yaml.compose(text)
        reader.document.data = None if node is None else reader.plain(node, ())
    except YAMLError as error:
        raise SpecError([_unreadable(error, text, source, lines)]) from None
    return reader.document


class _Reader:
    def __init__(self, document: Document, lines: bool) -> None:
        self.yaml = YAML(typ="safe", pure=True)
        self.document, self._lines, self._open = document, lines, set[int]()

    def plain(self, node: Any, path: DocPath, key: Node | None = None) -> Any:
        below = node.value == "" if isinstance(node, ScalarNode) else not node.flow_style
        value = self._at(key if key and below else node)
        self.document.spots[path] = Spot(self._at(key or node), value)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
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
                text = f"is given twice, first in line {first[key.value].start_mark.line + 1}"
                self._refuse((*path, key.value), text, key)
        self.yaml.constructor.flatten_mapping(node)  # anchors: `<<: *base`
        result = {}
        for key, value in node.value:
            if isinstance(key, ScalarNode):
                result[key.value] = self.plain(value, (*path, key.value), key)
            else:
                self._refuse(path, "a key should be a word, not a list or a mapping", key)
        return result

    def _scalar(self, node: ScalarNode, path: DocPath) -> Any:
        try:
            value = self.yaml.constructor.construct_object(node)
        except (YAMLError, ValueError):
            return self._refuse(path, f"the tag {node.tag} is not known here, or its value is wrong", node)
        return value if isinstance(value, SCALARS) else node.value  # a date is a word

    def _refuse(self, path: DocPath, text: str, node: Node | None = None) -> None:
        place = self._at(node) if node else self.document.spots[path].value
        self.document.problems.append(Problem(place, dotted(path) if place.line else "", text))

    def _at(self, node: Node) -> Place:
        mark, source = node.start_mark, self.document.source
        return Place(source, mark.line + 1, mark.column + 1) if self._lines else Place(source)


def _unreadable(error: YAMLError, text: str, source: str, lines: bool) -> Problem:
    if not isinstance(error, MarkedYAMLError):  # a character that YAML does not allow
        position, what = getattr(error, "position", 0), getattr(error, "reason", str(error))
        return Problem(_place(text[:position], source) if lines else Place(source), "", f"is not YAML: {what}")
    what = f"is not YAML: {error.problem}"
    if error.context:
        start = error.context_mark
        what += f" ({error.context}" + (f" that starts in line {start.line + 1})" if start else ")")
    mark = error.problem_mark
    return Problem(Place(source, mark.line + 1, mark.column + 1) if mark and lines else Place(source), "", what)


def _place(before: str, source: str) -> Place:
    return Place(source, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
