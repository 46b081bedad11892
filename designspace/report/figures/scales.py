"""Axes whose ticks are where a reader wants them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from designspace.report.figures.curves import Panel

DECADES = 4
"""That an axis with values around 0 shows above its linear part, at most."""
MANTISSAS = ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9))


@dataclass(frozen=True)
class Scale:
    """A logarithmic axis; below ``threshold``, if there is one, it is linear."""

    low: float
    high: float
    ticks: list[float]
    threshold: float | None = None

    def shows(self, value: float | None) -> bool:
        """Whether the value lies on the axis."""
        return value is not None and self.low <= value <= self.high


def y_scale(panel: Panel) -> Scale:
    """Logarithmic; where values are near 0 or negative, as unbiased estimates may be, linear there.

    Linear for what is no distance: shares that are to be high, or to be neither high nor low.
    """
    points = list(zip(panel.values, panel.errors, strict=True))
    high = max(v + e for v, e in points)
    levels = [level for level in (panel.floor, panel.drawn) if level is not None]
    if panel.higher is False and min(panel.values) >= 0 < max(panel.values):  # exact zeros lie below the axis
        points = [(v, e) for v, e in points if v > 0]
        low = min(max(v - e, v / 3) for v, e in points)
        reach = max((high / low) ** 0.5, 2)
        near = [level for level in levels if low / reach < level < high * reach]
        low, high = min(low, *near, low), max(high, *near, high)
        low, high = _padded(low, high)
        return Scale(low, high, log_ticks(low, high))
    low = min(v - e for v, e in points)
    reach = high - low
    near = [level for level in levels if low - reach < level < high + reach]
    low, high = min(low, *near, low), max(high, *near, high)
    return _around_zero(min(low, 0.0), max(high, 0.0)) if panel.higher is False else _linear(low, high)


def x_scale(panel: Panel) -> Scale:
    """Logarithmic, with ticks at the evaluations used."""
    low, high = panel.x[0], panel.x[-1]
    pad = 1.5 if low == high else max((high / low) ** 0.06, 1.06)
    return Scale(low / pad, high * pad, panel.x)


def apart(nfe: Sequence[float], count: int) -> list[float]:
    """Factors that set the curves' points beside each other, by far less than the gap to the next evaluations."""
    gaps = [math.log(b / a) for a, b in itertools.pairwise(nfe)] or [1.0]
    width = min(0.3 * min(gaps), 0.045 * (math.log(nfe[-1] / nfe[0]) or 10.0))
    step = min(width / max(count - 1, 1), 0.35 * width)
    return [math.exp(step * (i - (count - 1) / 2)) for i in range(count)]


def spaced(ticks: Iterable[float], scale: Scale, inches: float) -> list[float]:
    """The ticks whose labels find room: the last, and from the first on those that touch no other."""
    unit = inches / math.log(scale.high / scale.low)

    texts = labels(ticks)

    def room(a: float, b: float) -> bool:
        return unit * abs(math.log(a / b)) > 0.031 * (len(texts[a]) + len(texts[b])) + 0.04

    *most, last = texts
    kept: list[float] = []
    for tick in most:
        if room(tick, last) and all(room(tick, other) for other in kept[-1:]):
            kept.append(tick)
    return [*kept, last]


def log_ticks(low: float, high: float) -> list[float]:
    """At least three round numbers, as round as possible."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for mantissas in MANTISSAS:
        found = [m * 10.0**p for p in powers for m in mantissas if low <= m * 10.0**p <= high]
        if len(found) >= 3:
            return found[:: math.ceil(len(found) / 9)]
    step = _round_up((high - low) / 4)
    return [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def labels(ticks: Iterable[float]) -> dict[float, str]:
    """Plain numbers, or all as powers of ten where some would be long."""
    found = {tick: f"{tick:.10g}".replace("-", "\N{MINUS SIGN}") for tick in ticks}
    long = any(len(text) > 7 or "e" in text for text in found.values())
    return {tick: _power(tick) for tick in found} if long else found


def _power(tick: float) -> str:
    mantissa, power = f"{tick:e}".split("e")
    times = rf"{float(mantissa):g}\times"
    if abs(float(mantissa)) == 1:
        times = "-" if tick < 0 else ""
    return rf"${times}10^{{{int(power)}}}$" if tick else "0"


def _around_zero(low: float, high: float) -> Scale:
    size = max(-low, high) or 1.0
    threshold = _round_up(max(-low, size / 10**DECADES))
    if high <= 5 * threshold:  # nothing to see in a logarithmic part
        return _linear(low, high)
    top = 1.3 * high
    ticks = [threshold * i / 2 for i in range(-2, 3) if threshold * i / 2 >= low]
    ticks += [tick for tick in log_ticks(threshold, top) if tick > threshold]
    return Scale(low - 0.1 * threshold, top, ticks, threshold)


def _linear(low: float, high: float) -> Scale:
    step, pad = _round_up((high - low or 1.0) / 6), 0.05 * (high - low or 1.0)
    ticks = [step * i for i in range(math.ceil(low / step), math.floor((high + pad) / step) + 1)]
    return Scale(low - pad, high + pad, ticks, math.inf)


def _padded(low: float, high: float) -> tuple[float, float]:
    pad = max((high / low) ** 0.05, 1.05)
    return low / pad, high * pad


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, ..."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= value * (1 - 1e-9))
