"""The times at which a noise schedule reaches given levels, if only its formula is known."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

FIRST_TIME, LAST_TIME = 2.0**-40, 2.0**332
"""The search steps through the times between these, octave by octave. Below, and between steps, it bisects."""
PER_OCTAVE = 64
"""The number of steps per octave. Poles and maxima that are closer to each other are not seen."""
NEGLIGIBLE = 1e-6
"""Noise levels below this may be rounding errors, for instance those of the square root of 1 / cos(t)^2 - 1."""
TOLERANCE = 1e-9
"""The largest error of the noise level at a time that was found."""
BACK = 1e-7
"""The relative step that tells whether a function increases at a point."""


def inverse(function: Callable[[Tensor], Tensor], targets: Tensor, t_max: float) -> Tensor:
    """The first times at which an increasing function is at least ``targets``, to the last bit; 0 for targets of 0.

    The function is not evaluated beyond ``t_max``. It may have a pole before, as t / (1 - t) has at t = 1.

    Raises:
        ValueError: The function does not increase from 0 up to the largest target without jumps.
    """
    sought = targets.double().flatten()
    if not bool((sought > 0).any()):
        return torch.zeros_like(targets, dtype=torch.float64)
    times, values = _scan(function, sought.max().item(), t_max)
    after = torch.searchsorted(values, sought).clamp(1, len(times) - 1)
    t = _bisect(function, sought, times[after - 1], times[after], values[after - 1]).where(sought > 0, 0.0)
    _require_all_reached(function, sought, t, times[-1:], values[-1])
    _require_increase_from_zero(function, sought, t)
    return t.reshape(targets.shape)


def _scan(function: Callable[[Tensor], Tensor], highest: float, t_max: float) -> tuple[Tensor, Tensor]:
    """Times from 0 to the first at which the function reaches ``highest`` or no longer increases, and its values.

    The values are the largest so far.
    """
    times, values, start, ended = [torch.zeros(1).double()], [torch.zeros(1).double()], FIRST_TIME / 2, False
    while not ended and start < min(t_max, LAST_TIME):
        t = torch.linspace(start, 2 * start, PER_OCTAVE + 1, dtype=torch.float64)[1:]
        t = t[: int((t < t_max).sum()) + 1].clamp(max=t_max)
        value, peak = _rising(function, t), values[-1][-1:]
        if peak == 0:  # The function may be undefined just above t = 0.
            value = value.nan_to_num(nan=0.0).where((value > 0).cumsum(0) == 0, value)
        peaks = torch.cat([peak, value.nan_to_num(nan=0.0)]).cummax(0).values
        ends = (value >= highest) | ~(value >= peaks[:-1] - NEGLIGIBLE)
        ended = bool(ends.any())
        steps = int(ends.int().argmax()) + 1 if ended else len(t)
        times.append(t[:steps])
        values.append(peaks[1 : steps + 1])
        start *= 2
    return torch.cat(times), torch.cat(values)


def _rising(function: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    """The values of the function, NaN where it decreases, as it does beyond a pole of even order."""
    value, before = function(t).double(), function(t * (1 - BACK)).double()
    return value.masked_fill(before > value * (1 + 1e-9) + NEGLIGIBLE / 10, torch.nan)


def _bisect(
    function: Callable[[Tensor], Tensor], targets: Tensor, early: Tensor, late: Tensor, reached: Tensor
) -> Tensor:
    """The first times in ``[early, late]`` at which the function is at least ``targets`` or no longer increases."""
    while True:
        middle = (early + late) / 2
        if bool(((middle == early) | (middle == late)).all()):
            return late
        value = _rising(function, middle)
        short = (value < targets) & (value >= reached) | value.isnan() & (reached == 0)
        early, reached = torch.where(short, middle, early), torch.fmax(reached, value.where(short, 0.0))
        late = torch.where(short, late, middle)


def _require_all_reached(
    function: Callable[[Tensor], Tensor], targets: Tensor, t: Tensor, end: Tensor, peak: Tensor
) -> None:
    """Raise ``ValueError`` if the search ended at ``end``, with values up to ``peak``, before the largest target."""
    missed = (targets > 0) & ~(function(t) >= targets * (1 - TOLERANCE))
    if not bool(missed.any()):
        return
    value = function(end).double()
    if bool(value.isfinite() & (_rising(function, end).isnan() | (value < peak))):
        raise ValueError(f"sigma(t) is not increasing: it falls near t = {end.item():.4g}")
    raise ValueError(f"sigma(t) does not reach {targets[missed].max().item():.4g}")


def _require_increase_from_zero(function: Callable[[Tensor], Tensor], targets: Tensor, t: Tensor) -> None:
    """Raise ``ValueError`` unless sigma(0) is 0, sigma is ``targets`` at ``t``, and ``t`` increases with them."""
    first = function(torch.tensor([0.0, torch.finfo(torch.float64).tiny], dtype=torch.float64)).double()
    limit = first[first.isfinite()][:1]
    if bool((limit.abs() > NEGLIGIBLE).any()):
        raise ValueError(f"sigma(0) is {limit.item():.4g}, not 0")
    jumped = (targets > 0) & ~((function(t) - targets).abs() <= TOLERANCE * (1 + targets))
    if bool(jumped.any()):
        raise ValueError(f"sigma(t) jumps over {targets[jumped][0].item():.4g} at t = {t[jumped][0].item():.4g}")
    if bool((t[targets.argsort()].diff() < 0).any()):
        raise ValueError("sigma(t) is not increasing: a higher noise level has an earlier time")
