"""The legend above the panels of a figure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from designspace.drawing.given import first, is_given
from designspace.drawing.look import NOTE, SMALL, WIDTH, plain, text_width, wrapped
from designspace.text import joint_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = 46
"""The largest number of characters per line of a name."""


def joined(names: Sequence[str]) -> str:
    """All names if they fit on a line of the legend, otherwise the first and the number of the others."""
    text = ", ".join(names)
    return text if len(text) <= NAME else joint_name(names)


@dataclass(frozen=True)
class Key:
    """An entry of the legend: a name and the style of its line, or of its area if ``filled``."""

    name: str
    style: dict[str, Any]
    filled: bool = False


@dataclass(frozen=True)
class Legend:
    """A legend that arranges its keys in as many columns as fit."""

    keys: Sequence[Key]
    size: float
    """The font size in points."""
    line: float = 2.6
    """The length of a line in units of the font size."""
    most: int = 4
    """The largest number of columns."""
    width: float = WIDTH
    """The width of the figure in inches."""
    note: str = ""
    """What stands above the keys."""

    @property
    def columns(self) -> int:
        """The number of columns that fit into the width of a figure."""
        lines = [line for key in self.keys for line in wrapped(key.name, NAME).split("\n")]
        widest = text_width(map(plain, lines), self.size)
        return max(
            1, min(len(self.keys), self.most, int((self.width - 0.1) / (widest + (self.line + 2.08) * self.size / 72)))
        )

    @property
    def rows(self) -> int:
        """The number of rows of keys."""
        return math.ceil(len(self.keys) / self.columns)

    @property
    def height(self) -> float:
        """The height in inches."""
        lines = [wrapped(key.name, NAME).count("\n") + 1 for key in self.keys]
        short, longer = divmod(len(lines), self.columns)  # matplotlib's first columns have one more
        starts = [column * short + min(column, longer) for column in range(self.columns + 1)]
        most = max(sum(lines[start:end]) for start, end in itertools.pairwise(starts))
        return 0.06 + 0.02 * self.size * most + 0.02 * SMALL * len(self.note.splitlines())

    def draw(self, figure: Figure) -> None:
        """Put the legend above all panels of the figure, or into the first of the axes that the user gives."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        handles = [Patch(**key.style) if key.filled else Line2D([], [], **key.style) for key in self.keys]
        look = {"fontsize": self.size, "handlelength": self.line, "handletextpad": 0.5, "labelspacing": 0.3}
        names = [" "] * len(handles)
        if is_given():
            legend = first().legend(handles, names, loc="best", **look)
        else:
            wide = {"ncols": self.columns, "columnspacing": 1.2, "borderaxespad": 0.1}
            legend = figure.legend(handles, names, loc="outside upper center", **look, **wide)
            if self.note:
                legend.set_title(plain(self.note))
                legend.get_title().set(**NOTE)
        for text, key in zip(legend.get_texts(), self.keys, strict=True):
            text.set_text(plain(wrapped(key.name, NAME)))  # set here, because matplotlib skips labels that begin with _


def fitting(keys: Sequence[Key], fixed: Sequence[Key], room: float, **layout: Any) -> Legend:
    """A legend of small letters with as many of the ``keys`` as fit into ``room`` inches, then the ``fixed`` ones.

    ``layout`` are further fields of the legend.
    """
    count = len(keys)
    while count > 1 and Legend([*keys[:count], *fixed], SMALL, **layout).height > room:
        count -= 1
    return Legend([*keys[:count], *fixed], SMALL, **layout)
