"""What a figure shows, read from its SVG: the lines of data that are in it, and its words."""

import re
from html import unescape

import numpy as np

TOLERANCE = 0.3
"""Points of 1/72 inch: matplotlib leaves out vertices that change a long line by less than a part of one."""


class Drawing:
    """An SVG file that matplotlib wrote."""

    def __init__(self, path):
        text = path.read_text("utf-8")
        self.words = [unescape(comment) for comment in re.findall(r"<!-- (.*?) -->", text)]
        groups = re.findall(r'<g id="line2d_\d+">\s*<path d="([^"]*)"', text)
        self.lines = [np.array(re.findall(r"[ML] (\S+) (\S+)", group), float) for group in groups]

    def scale(self, x, y):
        """Points per unit of ``y`` in the line that shows ``y`` over ``x``; ``None`` if no line does.

        The axes are not known: a line shows the data if its vertices are an affine function of them, upwards for more.
        Of several such lines, as those of proportional data, it is the closest.
        """
        x, y = np.asarray(x, float), np.asarray(y, float)
        order = np.argsort(x)
        fits = [_fit(line, x[order], y[order]) for line in self.lines if _is_curve(line)]
        found = [(misses, -slope) for misses, slope in fits if slope < 0 and misses < TOLERANCE]
        return min(found)[1] if found else None


def _fit(line, x, y):
    """By how much the vertices of a line miss ``y`` over ``x``, and the points per unit of y, which grow downwards."""
    across = np.interp(line[:, 0], [line[:, 0].min(), line[:, 0].max()], [x[0], x[-1]])
    terms = np.stack([np.interp(across, x, y), np.ones(len(line))], 1)
    found, *_ = np.linalg.lstsq(terms, line[:, 1], rcond=None)
    return float(np.abs(terms @ found - line[:, 1]).max()), float(found[0])


def _is_curve(line):
    return len(line) > 3 and bool((np.ptp(line, axis=0) > 10 * TOLERANCE).all())
