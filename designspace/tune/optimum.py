r"""The optimum of a numeric field, from a parabola through the values of a metric.

With :math:`x = \ln(\text{field})`, or the field itself on a linear scale, the parabola
:math:`y = a + b (x - \bar x) + c (x - \bar x)^2` minimises :math:`\sum_i (y_i - y(x_i))^2 / s_i^2`, where
:math:`s_i` is the standard error of :math:`y_i`. It has its minimum at :math:`x^* = \bar x - b / (2 c)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from designspace.results.uncertainty import Z


@dataclass(frozen=True)
class Vertex:
    """The lowest point of a parabola."""

    x: float
    gradient: tuple[float, ...]
    r"""The derivatives :math:`\partial x^* / \partial y_i`.

    They sum to 0. The standard error of :math:`x^*` (delta method) is that of the linear combination of the values with
    these coefficients, which for values on common latents is much smaller than for independent ones.
    """
    residuals: tuple[tuple[float, ...], ...]
    r"""For each point i, the coefficients of the values in its residual :math:`y_i - y(x_i)`."""

    def interval(self, se: float, lack: float = 1.0, critical: float = Z) -> tuple[float, float]:
        """The interval of the optimum, 95 % by default.

        Args:
            se: The standard error of the combination of values with the coefficients ``gradient``.
            lack: The factor of ``lack_of_fit``.
            critical: The quantile of the distribution of the optimum in standard errors.
        """
        return self.x - critical * lack * se, self.x + critical * lack * se


def lack_of_fit(z: Sequence[float]) -> float:
    r"""The factor by which standard errors grow because the values do not lie on a parabola.

    .. math:: \max\left(1, \sqrt{\overline{z^2}}\right)

    Args:
        z: The residuals of the points in standard errors. If the true values lie on a parabola, each has the variance
            1, and the factor is close to 1. Residuals without a standard error are left out.
    """
    known = [one for one in z if math.isfinite(one)]
    return max(1.0, math.sqrt(math.fsum(one**2 for one in known) / len(known))) if known else 1.0


def vertex(x: Sequence[float], y: Sequence[float], se: Sequence[float | None]) -> Vertex | None:
    """The lowest point of the parabola through at least three points; ``None`` if it does not open upwards.

    Points have equal weights if the standard error of any is unknown or 0.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(set(x)) < 3 or not np.isfinite(ys).all():
        return None
    errors = np.array([one if one is not None else math.nan for one in se])
    weights = 1 / errors if (errors > 0).all() else np.ones_like(xs)
    shifted = xs - xs.mean()
    powers = np.stack([np.ones_like(shifted), shifted, shifted**2], axis=1)
    fit = np.linalg.pinv(powers * weights[:, None]) * weights  # the coefficients are fit @ y
    _, b, c = fit @ ys
    if c <= 0:
        return None
    gradient = -(fit[1] - b / c * fit[2]) / (2 * c)
    residuals = np.eye(len(xs)) - powers @ fit
    return Vertex(float(xs.mean() - b / (2 * c)), tuple(gradient.tolist()), tuple(map(tuple, residuals.tolist())))


def on_scale(value: float, scale: str) -> float:
    """The coordinate of a value of the field on the scale ``log`` or ``linear``."""
    return math.log(value) if scale == "log" else value


def off_scale(x: float, scale: str) -> float:
    """The value of the field at a coordinate."""
    return math.exp(x) if scale == "log" else x
