"""Limits on the size of a YAML file and of its grid, which are checked before these can take much time or memory."""

from __future__ import annotations

import itertools
import unicodedata
from typing import Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode

MOST_BYTES = 2**20
"""The largest size of a file. The largest ablation of this package has 10 kB."""
MOST_VALUES = 50_000
"""The largest number of keys, scalars, lists and mappings, with aliases replaced by what they stand for."""
DEEPEST = 50
"""The largest depth of nesting. The deepest field of a component is about ten levels deep."""
LONGEST = 10_000
"""The largest number of characters of a scalar."""
DIGITS = 300
"""The largest number of characters of a number: integers below 10**300 are finite as floating-point numbers."""
MOST_TRIALS = 100_000
"""The largest number of points of a grid, and of trials. The description that reports read then has about 20 MB."""
MOST_STEPS_TRIED = 40_000
"""The number of steps of the sampler that are tried when an ablation is checked, which takes a few seconds."""
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class LimitError(MarkedYAMLError):
    """A document exceeds one of the limits."""

    def __init__(self, what: str, mark: Any) -> None:
        super().__init__(problem=what, problem_mark=mark)


class LimitedComposer(Composer):
    """Stops as soon as a document has too many values or is nested too deeply, and refuses repeated anchors."""

    _values = _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        self._values += 1
        if self._values > MOST_VALUES:
            raise LimitError(f"has more than {MOST_VALUES:,} values, the limit for an ablation", event.start_mark)
        if self._depth == DEEPEST:
            raise LimitError(f"is nested more than {DEEPEST} levels deep, the limit for an ablation", event.start_mark)
        if not isinstance(event, AliasEvent) and event.anchor is not None and event.anchor in self.anchors:
            what = f"the anchor '{event.anchor}' is defined twice"
            raise MarkedYAMLError(problem=what, problem_mark=event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def expanded(node: Node, sizes: dict[int, int]) -> int:
    """The number of values in ``node`` once aliases are replaced by what they stand for, which is not done here.

    ``sizes`` holds the numbers of the nodes that were counted before. Raises ``LimitError`` for too many values.
    """
    if isinstance(node, ScalarNode):
        return 1
    if id(node) not in sizes:
        sizes[id(node)] = 0  # in case it contains itself, which is reported later
        items = node.value if isinstance(node, SequenceNode) else itertools.chain.from_iterable(node.value)
        sizes[id(node)] = 1 + sum(expanded(item, sizes) for item in items)
        if sizes[id(node)] > MOST_VALUES:
            what = f"stands for more than {MOST_VALUES:,} values once aliases are expanded, the limit for an ablation"
            raise LimitError(what, node.start_mark)
    return sizes[id(node)]


def too_long(node: ScalarNode) -> str:
    """Why a scalar is refused for its length, or an empty string."""
    length = len(node.value)
    if length > DIGITS and node.tag in NUMBERS:
        return f"is a number of {length:,} characters; the limit is {DIGITS}"
    return f"is a text of {length:,} characters; the limit is {LONGEST:,}" if length > LONGEST else ""


def unprintable(text: str, allowed: str) -> str:
    """Which character of ``text`` terminals and files cannot show, or an empty string."""
    wrong = next((c for c in text if c not in allowed and unicodedata.category(c) in ("Cc", "Cs")), None)
    return f"has the control character {ascii(wrong)[1:-1]}" if wrong else ""


def at_most(limit: int, why: str) -> AfterValidator:
    """The largest value of an integer field, and ``why`` there is a limit, which the message says."""

    def check(value: int) -> int:
        if value > limit:
            text = f"should be at most {limit}, not {value}: {why}"
            raise PydanticCustomError("too_large", "{text}", {"text": text})
        return value

    return AfterValidator(check)
