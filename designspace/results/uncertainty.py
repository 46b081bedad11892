"""The standard error of a value from the influences of its images, for metrics and for reports, without PyTorch."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Z = 1.959963984540054
"""The half-width of a 95 % interval in standard errors, in the normal approximation."""


def standard_error(influence: Array, pairs: Array | None = None) -> float:
    r"""The standard error of a statistic of n images, or of any linear combination of such statistics.

    With the influences :math:`a_i` of the images and the second-order influences :math:`b_i = \mathrm{IF}_2(i, \pi(i))`
    of n pairs of different images, where :math:`\pi` is a fixed cyclic permutation,

    .. math:: \mathrm{se}^2 = \max\left(\frac{s^2(a)}{n} - 2 v, 0\right) + v, \qquad v = \frac{1}{2 n^3} \sum_i b_i^2

    Here v is the variance from pairs of images. The sample variance of the influences counts it twice (Efron and Stein
    1981, https://doi.org/10.1214/aos/1176345462). Without ``pairs``, the result is :math:`s(a) / \sqrt n`, which is too
    large where the first-order influences vanish, as for images as good as the reference. Both inputs are linear in the
    statistic: the standard error of a difference is that of the differences of ``influence`` and of ``pairs``.

    Args:
        influence: The influence of each image, ``[n]``, n >= 2.
        pairs: The second-order influence of each pair, ``[n]``.
    """
    n = len(influence)
    first = float(np.var(influence, ddof=1)) / n
    if pairs is None:
        return math.sqrt(first)
    twice = float(np.vdot(pairs, pairs)) / n**3
    return math.sqrt(max(first - twice, 0.0) + twice / 2)


def interval(value: float, se: float, raw: float | None = None, critical: float = Z) -> tuple[float, float]:
    r"""The confidence interval of a value, by default at the 95 % level.

    It is value :math:`\pm` critical se, unless ``raw`` is given. A Fréchet distance is a sum of squares, so its error
    grows with it: by chance, the value and its standard error are too small, or too large, at the same time. With
    ``raw``, the interval is therefore one of ratios,

    .. math:: \text{value} - \text{raw} + \text{raw} \cdot e^{\pm \text{critical} \cdot \text{se} / \text{raw}}

    Args:
        value: The centre: the raw value or one without bias, which may be negative.
        se: Its standard error.
        raw: The raw value, for metrics that are ``positive``; ``None`` for an interval that is symmetric about
            ``value``. For the interval of the raw value itself, ``raw`` equals ``value``.
        critical: The half-width in standard errors, such as a quantile of Student's distribution.
    """
    if raw is None or raw <= 0:
        return value - critical * se, value + critical * se
    low, high = (raw * math.expm1(sign * critical * se / raw) for sign in (-1, 1))
    return value + low, value + high


def critical_value(degrees: float | None = None) -> float:
    """The half-width of a 95 % interval in standard errors: Student's quantile for ``degrees``, ``Z`` without them."""
    if degrees is None:
        return Z
    from scipy.special import stdtrit  # imported here, because it takes 0.2 s and few reports need it

    return float(stdtrit(degrees, 0.975))
