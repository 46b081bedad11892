"""Round ticks, and their labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axis import Axis

ROUND = ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9))
"""Sets of leading digits for logarithmic ticks, the roundest first."""
MOST = 9
"""The largest number of ticks on an axis."""


def log_ticks(low: float, high: float) -> list[float]:
    """At least three ticks for a logarithmic axis, as round as possible.

    matplotlib's ``LogLocator`` uses fixed digits, and falls back to linear ticks on less than a decade.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ROUND:
        found = [m * 10.0**p for p in powers for m in digits if low <= m * 10.0**p <= high]
        if len(found) >= 3:
            return found[:: math.ceil(len(found) / MOST)]
    return linear_ticks(low, high, high, 4)


def set_log_ticks(axis: Axis, values: Sequence[float], most: int) -> None:
    """Give a logarithmic axis that shows ``values`` at most ``most`` round ticks."""
    from matplotlib.ticker import NullFormatter

    low, high = min(values), max(values)
    ticks = log_ticks(low, high) if high > 1.01 * low else [low]
    found = labels(ticks[:: math.ceil(len(ticks) / most)])
    axis.set_ticks(list(found), list(found.values()))
    axis.set_minor_formatter(NullFormatter())


def labels(ticks: Iterable[float]) -> dict[float, str]:
    """The labels of ticks: plain numbers or, if any of these would be long, powers of ten for all ticks.

    matplotlib's formatters decide by the range of the axis or for each tick, and mix ``100`` with ``10^3``.
    """
    found = {tick: f"{tick:.10g}".replace("-", "\N{MINUS SIGN}") for tick in ticks}
    long = any(len(text) > 7 or "e" in text for text in found.values())
    return {tick: _power(tick) for tick in found} if long else found


def _power(tick: float) -> str:
    mantissa, power = f"{tick:e}".split("e")
    times = rf"{float(mantissa):g}\times"
    if abs(float(mantissa)) == 1:
        times = "-" if tick < 0 else ""
    return rf"${times}10^{{{int(power)}}}$" if tick else "0"


def linear_ticks(low: float, high: float, end: float, intervals: int) -> list[float]:
    """Ticks from ``low`` to ``end``, with at most ``intervals`` intervals up to ``high``."""
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(intervals, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(f"{tick:.12g}") for tick in found if low <= tick <= end]
