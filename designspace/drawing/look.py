"""The style of all figures: legible at the width of a printed column, in greyscale, and to colour-blind readers."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The palette of Okabe and Ito (2008), https://jfly.uni-koeln.de/color/, without yellow, too light for lines."""
MORE = ("#882255", "#999933", "#332288", "#44AA99", "#AA4499")
"""Further colours, from the muted palette of Paul Tol, https://personal.sron.nl/~pault/."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", "*", ">", "h")
LINES = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.4, 1.2, 1.4)), (0, (3, 1.2, 1.2, 1.2, 1.2, 1.2)))
WIDTH = 3.5
"""The width of every figure in inches: that of a printed column, so that font sizes are right in a paper."""
DPI = 200
FAINT = "#BDBDBD"
"""The colour of elements in the background."""
DARK = "#444444"
"""The colour of reference lines."""
SMALL = 6.5
"""The font size of notes and of long legends."""
NOTE: dict[str, Any] = {"fontsize": SMALL, "color": "#555555"}
"""The style of the note above a panel."""
TITLE: dict[str, Any] = {"fontsize": 7.5, "fontweight": "bold", "color": "#333333"}
"""The style of the title of a panel."""

RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib, so figures are the same on every machine
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 7,
    "legend.fontsize": 7.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.which": "major",
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.2,
    "lines.markeredgewidth": 0.5,
    "legend.frameon": False,
    "savefig.dpi": DPI,
    "figure.constrained_layout.w_pad": 0.02,
    "figure.constrained_layout.h_pad": 0.02,
    "svg.hashsalt": "designspace",
    "svg.fonttype": "path",
}


def style() -> AbstractContextManager[None]:
    """The context in which all figures are drawn: ``RC`` on top of matplotlib's defaults, not the user's settings."""
    import matplotlib.style

    return matplotlib.style.context(["default", RC])


BASELINE: dict[str, Any] = {"color": "#777777", "marker": "o", "linestyle": "-", "markeredgecolor": "white"}
"""The look of the baseline."""
FAVOURED: dict[str, Any] = {"color": COLOURS[0], "marker": "o", "linestyle": "-", "markeredgecolor": "white"}
"""The look of what the evidence favours."""


def shades(count: int) -> list[str]:
    """The colours of ``count`` values in ascending order: a scale for greyscale prints and colour-blind readers."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["viridis"](0.78 * i / max(count - 1, 1))) for i in range(count)]


def stroke(i: int, colour: str) -> dict[str, Any]:
    """The i-th marker and line style, in this colour."""
    return look(i + 1) | {"color": colour}


def look(i: int) -> dict[str, Any]:
    """The colour, marker and line style of the i-th configuration; the first 420 are distinct."""
    return {
        "color": COLOURS[i % len(COLOURS)],
        "marker": MARKERS[i % len(MARKERS)],
        "linestyle": LINES[i % len(LINES)],
        "markeredgecolor": "white",
    }


def text_width(lines: Iterable[str], size: float) -> float:
    """The width of the widest of these lines in inches; 0 without any."""
    from matplotlib.textpath import TextPath

    paths = (TextPath((0, 0), line, size=size) for line in lines if line.strip())  # it fails without any outline
    return max((float(path.get_extents().width) / 72 for path in paths), default=0)


def plain(text: str) -> str:
    """The text with dollar signs escaped, so that matplotlib does not read it as mathematics."""
    return text.replace("$", r"\$")


def wrapped(name: str, width: int, most: int = 2) -> str:
    """The name on at most ``most`` lines of ``width`` characters, which end at spaces, commas and brackets.

    If this takes more lines or cuts a word, lines also end within a word: after hyphens and dots, else after equals
    signs, else after underscores. A name that is still longer is shortened in the middle: those of configurations that
    begin alike differ at the end, ``weight=2``.
    """
    name = " ".join(name.split())
    wrapper = _Wrapper(width, break_on_hyphens=False)
    lines = wrapper.wrap(name)
    for kind in (_Finer, _AtSigns, _AtUnderscores):
        if len(lines) <= most and all(len(part) <= width for part in wrapper.parts(name)):
            break
        finer = kind(width, break_on_hyphens=False)
        if len(found := finer.wrap(name)) <= most:
            wrapper, lines = finer, found
    if len(lines) > most:
        wrapper, first = _Wrapper(width, break_on_hyphens=False), lines[: most - 1]
        taken = 0
        for line in first:
            taken = name.index(line, taken) + len(line)
        *_, end = _Wrapper(width - 2, break_on_hyphens=False).wrap(name[taken:])
        before = name[: -len(end)]
        for part in reversed(wrapper.parts(before)):
            if len(part) + len(end) > width - 2:
                break
            end = part + end
        lines = [*first, f"… {end.strip()}"]
    return "\n".join(lines) or " "


class _Wrapper(textwrap.TextWrapper):
    """It ends lines at spaces, after commas, and after opening brackets that follow a word."""

    wordsep_simple_re = re.compile(r"(\s+)|(?<=,)(?=\S)|(?<=\S\()(?=\S)")

    def parts(self, text: str) -> list[str]:
        """What ``text`` may be divided into."""
        return self._split(text)


class _Finer(_Wrapper):
    """It also ends lines after hyphens and dots within a word."""

    wordsep_simple_re = re.compile(rf"{_Wrapper.wordsep_simple_re.pattern}|(?<=[^\W\d][-.])(?=[^\W\d])")


class _AtSigns(_Finer):
    """It also ends lines after equals signs."""

    wordsep_simple_re = re.compile(rf"{_Finer.wordsep_simple_re.pattern}|(?<=\w=)(?=\S)")


class _AtUnderscores(_AtSigns):
    """It also ends lines after underscores within a word."""

    wordsep_simple_re = re.compile(rf"{_AtSigns.wordsep_simple_re.pattern}|(?<=[^\W_]_)(?=[^\W_])")
