"""Labels at the right ends of curves, in place of a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from designspace.drawing.look import SMALL, plain, text_width, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE = 1.22 * SMALL / 72
"""The height of a line of a label, in inches."""
CHARACTERS = 21
"""The largest number of characters per line of a label."""
GAP = 0.1
"""The distance between the axes and their labels, in inches."""


@dataclass(frozen=True)
class End:
    """The end of a curve, and its name."""

    name: str
    x: float
    y: float
    place: float
    """The height of ``y`` in the axes, from 0 to 1."""
    colour: Any

    @property
    def text(self) -> str:
        """The name on one or two lines."""
        return wrapped(self.name, CHARACTERS)

    @property
    def height(self) -> float:
        """The height of the label in inches."""
        return height_of(self.name)


def height_of(name: str) -> float:
    """The height of a label in inches."""
    return LINE * (wrapped(name, CHARACTERS).count("\n") + 1)


def width_of(names: Sequence[str]) -> float:
    """The width of the widest label with the gap before it, in inches."""
    lines = [line for name in names for line in wrapped(name, CHARACTERS).split("\n")]
    return GAP + text_width(map(plain, lines), SMALL)


def label_ends(axes: Axes, ends: Sequence[End], height: float) -> None:
    """Write the names on the right of axes of this height in inches, each with a line to the end of its curve."""
    from matplotlib.transforms import ScaledTranslation

    figure: Any = axes.figure
    beside: Any = axes.transAxes + ScaledTranslation(GAP, 0, figure.dpi_scale_trans)
    ordered = sorted(ends, key=lambda end: end.place)
    centres = spread([end.place * height for end in ordered], [end.height for end in ordered], height)
    for end, centre in zip(ordered, centres, strict=True):
        axes.annotate(
            plain(end.text),
            (end.x, end.y),
            (1, centre / height),
            textcoords=beside,
            color=end.colour,
            fontsize=SMALL,
            va="center",
            linespacing=1,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": end.colour,
                "linewidth": 0.5,
                "alpha": 0.6,
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 2,
            },
        )


def spread(places: Sequence[float], sizes: Sequence[float], length: float) -> list[float]:
    """The centres of intervals of these sizes in [0, length] that do not overlap, as near as possible to ``places``.

    ``places`` ascend. The sum of the squared distances is the smallest possible one (isotonic regression).
    """
    before = [sum(sizes[:i]) + size / 2 for i, size in enumerate(sizes)]
    blocks: list[list[float]] = []
    for place, offset in zip(places, before, strict=True):
        blocks.append([place - offset])
        while any(_mean(a) > _mean(b) for a, b in pairwise(blocks[-2:])):
            last = blocks.pop()
            blocks[-1] += last
    room = max(length - sum(sizes), 0.0)
    shifts = [min(max(_mean(block), 0.0), room) for block in blocks for _ in block]
    return [shift + offset for shift, offset in zip(shifts, before, strict=True)]


def _mean(block: Sequence[float]) -> float:
    return sum(block) / len(block)
