"""One look for all figures: legible at the width of a column, in print and for the colour-blind."""

from __future__ import annotations

import textwrap
from contextlib import AbstractContextManager
from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito (2008), https://jfly.uni-koeln.de/color/, the yellow left out: it is too light for lines."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", "*", ">", "h")
LINES = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.4, 1.2, 1.4)), (0, (3, 1.2, 1.2, 1.2, 1.2, 1.2)))
WIDTH = 3.5
"""Of a column in print, in inches: fonts come out at the size that they have here."""
DPI = 200
FAINT = "#BDBDBD"
NOTE: Any = {"fontsize": 6.5, "color": "#555555"}

RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: figures are the same everywhere
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


def sheet() -> AbstractContextManager[None]:
    """The style, on top of matplotlib's own defaults: what the user has set elsewhere changes no figure."""
    import matplotlib.style

    return matplotlib.style.context(["default", RC])


def look(i: int) -> dict[str, Any]:
    """Colour, marker and line of the i-th configuration: no two of the first 420 are the same."""
    return {
        "color": COLOURS[i % len(COLOURS)],
        "marker": MARKERS[i % len(MARKERS)],
        "linestyle": LINES[i % len(LINES)],
        "markeredgecolor": "white",
    }


def plain(text: str) -> str:
    """Text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")


def wrapped(name: str, width: int) -> str:
    """A name in two lines at most."""
    return "\n".join(textwrap.wrap(name, width, max_lines=2, placeholder=" …")) or " "
