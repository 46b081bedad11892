"""Scales of axes."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from designspace.drawing.look import text_width
from designspace.drawing.ticks import labels, linear_ticks, log_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Interval = tuple[float, float]
"""The lower and the upper end of an interval."""
DECADES = 4
"""The largest number of decades above the linear part of an axis around 0."""
LINEAR = 10 / 9
"""The length of the linear part on either side of 0, in decades, on an axis that is logarithmic beyond it."""
WIDE = 20.0
"""Changes are shown on a linear axis if their sizes differ at most by this factor."""
SMALL_RANGE = 50
"""Values of which some are not positive are shown on a linear axis if their sizes differ at most by this factor."""
LABEL = 7.5
"""The font size of tick labels."""


@dataclass(frozen=True)
class Scale:
    """A logarithmic axis, which is linear below ``threshold`` if that is given, and everywhere if it is infinite."""

    low: float
    high: float
    ticks: list[float]
    threshold: float | None = None
    coarser: tuple[list[float], ...] = ()
    """Further sets of ticks, the finest first, of which an x axis shows the first that fits if ``ticks`` do not."""

    @property
    def mixed(self) -> bool:
        """Whether only a part of the axis is linear."""
        return self.threshold is not None and math.isfinite(self.threshold)

    def shows(self, value: float | None) -> bool:
        """Whether the value lies within the limits of the axis."""
        return value is not None and self.low <= value <= self.high

    def put_on_y(self, axes: Axes) -> None:
        """Apply the scale to the y axis."""
        from matplotlib.ticker import NullFormatter, NullLocator

        if self.threshold is None:
            axes.set_yscale("log", nonpositive="clip")
            axes.yaxis.set_minor_formatter(NullFormatter())
        elif self.mixed:
            axes.set_yscale("symlog", linthresh=self.threshold)
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(self.low, self.high)
        axes.set_yticks(self.ticks, list(labels(self.ticks).values()))

    def place(self, value: float) -> float:
        """Where the axis shows a value: equal differences are equal lengths."""
        if self.threshold is None:
            return math.log10(value)
        if abs(value) <= self.threshold or not self.mixed:
            return value / (self.threshold if self.mixed else 1.0) * LINEAR
        return math.copysign(LINEAR + math.log10(abs(value) / self.threshold), value)

    def value(self, place: float) -> float:
        """The value that the axis shows at a place."""
        if self.threshold is None:
            return math.pow(10.0, place)
        if abs(place) <= LINEAR or not self.mixed:
            return place / LINEAR * (self.threshold if self.mixed else 1.0)
        return math.copysign(self.threshold * 10.0 ** (abs(place) - LINEAR), place)

    def share(self, value: float) -> float:
        """Where the axis shows a value, as a share of its length."""
        low, high = self.place(self.low), self.place(self.high)
        return (self.place(value) - low) / (high - low)

    def moved(self, value: float, distance: float) -> float:
        """The value that lies at a distance from ``value`` on the axis."""
        return self.value(self.place(value) + distance) if distance else value

    def put_on_x(self, axes: Axes, inches: float) -> None:
        """Apply the scale to an x axis of this length; ticks without room for a label become minor."""
        from matplotlib.ticker import NullFormatter

        if self.threshold is None:
            axes.set_xscale("log")
        elif self.mixed:
            axes.set_xscale("symlog", linthresh=self.threshold)
        axes.set_xlim(self.low, self.high)
        kept, texts = spaced(self, inches), labels(self.ticks)
        axes.set_xticks(kept, [texts[tick] for tick in kept])
        axes.set_xticks([tick for tick in self.ticks if tick not in kept], minor=True)
        axes.xaxis.set_minor_formatter(NullFormatter())


def scale_of_distances(values: Sequence[float], intervals: Sequence[Interval], levels: Sequence[float]) -> Scale:
    """A scale for distances with their intervals: logarithmic, but linear around 0 if some are negative.

    Unbiased estimates of distances can be negative. Reference ``levels`` far from the values are ignored.
    """
    if min(values) < 0 or max(values) <= 0:
        low, high = _reach(values, intervals, levels)
        return _around_zero(min(low, 0.0), max(high, 0.0))
    points = [(v, *ends) for v, ends in _with_ends(values, intervals) if v > 0]  # exact zeros lie below the axis
    low, high = min(max(a, v / 3) for v, a, _ in points), max(b for *_, b in points)
    reach = max((high / low) ** 0.5, 2)
    near = [level for level in levels if low / reach < level < high * reach]
    low, high = min(low, *near, low), max(high, *near, high)
    pad = max((high / low) ** 0.05, 1.05)
    low, high = low / pad, high * pad
    return Scale(low, high, log_ticks(low, high))


def linear_scale(values: Sequence[float], intervals: Sequence[Interval], levels: Sequence[float]) -> Scale:
    """A linear scale for values with their intervals and the reference levels near them."""
    return _linear(*_reach(values, intervals, levels))


def scale_through(values: Sequence[float]) -> Scale:
    """A scale with a tick at each of the increasing values.

    It is logarithmic if all values are positive. Otherwise it is linear or, if their sizes differ much, logarithmic
    beyond the smallest of them.
    """
    low, high = values[0], values[-1]
    sizes = [abs(value) for value in values if value]
    wide = bool(sizes) and max(sizes) > SMALL_RANGE * min(sizes)
    threshold = None if low > 0 else min(sizes) if wide else math.inf
    scale = Scale(low, high, list(values), threshold)
    ends = scale.place(low), scale.place(high)
    pad = math.log10(1.5) if low == high else max(0.06 * (ends[1] - ends[0]), math.log10(1.06) if low > 0 else 0.0)
    return replace(scale, low=scale.value(ends[0] - pad), high=scale.value(ends[1] + pad))


def scale_of_changes(values: Sequence[float], intervals: Sequence[Interval]) -> Scale:
    """A scale for differences with their intervals, around 0: linear or, if their sizes differ much, logarithmic.

    A logarithmic scale is linear within the usual half width of an interval. Its ticks are 0 and, on either side, the
    same powers of ten, with three times these where there is room.
    """
    low, high = min(0.0, *(a for a, _ in intervals)), max(0.0, *(b for _, b in intervals))
    halves = [(b - a) / 2 for a, b in intervals]
    sizes = [size for size in (max(abs(v), half) for v, half in zip(values, halves, strict=True)) if size]
    largest = max(-low, high)
    threshold = _round_up(max(statistics.median(halves), min(sizes), largest / 10**DECADES)) if sizes else math.inf
    pad = 0.05 * (high - low or 1.0)
    if not sizes or largest <= max(WIDE * min(sizes), threshold):
        return Scale(low - pad, high + pad, linear_ticks(low, high, high, 6), math.inf)
    scale = Scale(low, high, [], threshold)
    pad = 0.05 * (scale.place(high) - scale.place(low))
    low, high = scale.value(scale.place(low) - pad), scale.value(scale.place(high) + pad)
    sets = _decades(threshold, max(-low, high))
    ticks = [sorted([0.0, *(s * t for t in of for s in (-1, 1) if low <= s * t <= high)]) for of in sets]
    return Scale(low, high, ticks[0], threshold, tuple(ticks[1:]))


def _decades(linear: float, end: float) -> list[list[float]]:
    """Ever fewer ticks from ``linear`` to ``end``: 1, 3, 10, 30, ..., then 1, 10, 100, ..., then fewer powers of ten.

    On less than a decade there may be neither, and the ticks are multiples of 1, 2 and 5.
    """
    powers = [10.0**i for i in range(math.floor(math.log10(linear)), math.floor(math.log10(end) + 1e-9) + 1)]

    def within(*digits: int) -> list[float]:
        ticks = (float(f"{digit * power:.10g}") for power in powers for digit in digits)
        return [tick for tick in ticks if linear <= tick <= end]

    if len(within(1, 3)) < 2:
        return [within(1, 2, 5)]
    own = within(1) or within(3)
    return [within(1, 3), *(own[-1 - step * ((len(own) - 1) // step) :: step] for step in range(1, len(own) + 1))]


def dodge(scale: Scale, count: int) -> list[float]:
    """How far to move each of ``count`` curves, so that their points at the same tick lie side by side.

    The distances are those of ``Scale.place``. Moved points stay nearer to their own tick than to the next one.
    """
    places = [scale.place(tick) for tick in scale.ticks]
    gaps = [b - a for a, b in itertools.pairwise(places)] or [math.log10(math.e)]
    width = min(0.3 * min(gaps), 0.045 * (places[-1] - places[0] or math.log10(math.e) * 10))
    step = min(width / max(count - 1, 1), 0.35 * width)
    return [step * (i - (count - 1) / 2) for i in range(count)]


def spaced(scale: Scale, inches: float) -> list[float]:
    """The ticks of an axis to label without overlap: the last, and those that fit, from the first on.

    If the scale has ``coarser`` sets of ticks, it is the first set that fits as a whole, or else the coarsest.
    """
    if scale.coarser:
        sets = [replace(scale, ticks=ticks, coarser=()) for ticks in (scale.ticks, *scale.coarser)]
        return next((one.ticks for one in sets if spaced(one, inches) == one.ticks), sets[-1].ticks)
    unit = inches / (scale.place(scale.high) - scale.place(scale.low))
    widths = {tick: text_width([text], LABEL) for tick, text in labels(scale.ticks).items()}

    def fit(a: float, b: float) -> bool:
        return unit * abs(scale.place(a) - scale.place(b)) > (widths[a] + widths[b]) / 2 + 0.05

    *most, last = scale.ticks
    kept: list[float] = []
    for tick in most:
        if fit(tick, last) and all(fit(tick, other) for other in kept[-1:]):
            kept.append(tick)
    return [*kept, last]


def _with_ends(values: Sequence[float], intervals: Sequence[Interval]) -> list[tuple[float, Interval]]:
    """Each value with its interval, which is the value itself if there are no intervals."""
    return list(zip(values, intervals or [(v, v) for v in values], strict=True))


def _reach(values: Sequence[float], intervals: Sequence[Interval], levels: Sequence[float]) -> Interval:
    """The range of the intervals, extended to levels that lie no further outside it than its own length."""
    points = [ends for _, ends in _with_ends(values, intervals)]
    low, high = min(a for a, _ in points), max(b for _, b in points)
    near = [level for level in levels if 2 * low - high < level < 2 * high - low]
    return min(low, *near, low), max(high, *near, high)


def _around_zero(low: float, high: float) -> Scale:
    size = max(-low, high) or 1.0
    threshold = _round_up(max(-low, size / 10**DECADES))
    if high <= 5 * threshold:  # too little would lie in the logarithmic part
        return _linear(low, high)
    top = 1.3 * high
    ticks = [threshold * i / 2 for i in range(-2, 3) if threshold * i / 2 >= low]
    ticks += [tick for tick in log_ticks(threshold, top) if tick > threshold]
    return Scale(low - 0.1 * threshold, top, ticks, threshold)


def _linear(low: float, high: float) -> Scale:
    pad = 0.05 * (high - low or 1.0)
    return Scale(low - pad, high + pad, linear_ticks(low, high, high + pad, 6), math.inf)


def _round_up(value: float) -> float:
    """Round up to one of 1, 2, 5, 10, 20, ..."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= value * (1 - 1e-9))
