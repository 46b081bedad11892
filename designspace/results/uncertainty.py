"""The standard error of a value from the influences of its images, for metrics and for reports, without PyTorch."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Z = 1.959963984540054
"""The half-width of a 95 % interval in standard errors, in the normal approximation."""
LEAST = 3
"""The number of images per dimension that the expansion needs: random halves of fewer hardly span the feature space."""


def suffices(images: int, features: int) -> bool:
    """Whether there are enough images to expand a Fréchet distance to second order."""
    return images >= LEAST * max(features, 2)


def standard_error(influence: Array, pairs: Array | None = None) -> float:
    r"""The standard error of a statistic of n images, or of any linear combination of such statistics.

    With the influences :math:`a_i` of the images and the second-order influences :math:`b_i = \mathrm{IF}_2(i, \pi(i))`
    of n pairs of different images, where :math:`\pi` is a fixed cyclic permutation,

    .. math:: \mathrm{se}^2 = \max\left(\tfrac1n s^2(a) - v,\ \tfrac12 v\right), \qquad v = \frac{1}{2 n^3} \sum_i b_i^2

    Here v is the variance from pairs of images. It is a part of the variance of the statistic, but the sample variance
    of the influences counts it twice (Efron and Stein 1981, https://doi.org/10.1214/aos/1176345462). Without ``pairs``,
    the result is :math:`s(a) / \sqrt n`, which is too large where the first-order influences vanish, as for images as
    good as the reference. Both inputs are linear in the statistic: the standard error of a difference is that of the
    differences of ``influence`` and of ``pairs``.

    Args:
        influence: The influence of each image, ``[n]``, n >= 2.
        pairs: The second-order influence of each pair, ``[n]``.
    """
    n = len(influence)
    first = float(np.var(influence, ddof=1, dtype=np.float64)) / n
    if pairs is None:
        return math.sqrt(first)
    return math.sqrt(counted_once(first, float(np.square(pairs, dtype=np.float64).sum()) / (2 * n**3)))


def counted_once(first: float, pairs: float) -> float:
    """The variance of a statistic from that of its influences, which counts the variance from ``pairs`` twice."""
    return max(first - pairs, pairs / 2)


def effective_images(influence: Array) -> float:
    r"""The number of images that determine a standard error: :math:`(\sum_i a_i^2)^2 / \sum_i a_i^4`.

    It is n for influences of equal size and 1 if a single image determines the error; n / 3 for normal influences. NaN
    if all influences are 0. Kish (1965), Survey Sampling. A variance that is estimated from k effective images varies
    as one with 2 k degrees of freedom does: for k = 5, by Student's t, an interval of 1.96 standard errors holds the
    true value in 92 % of draws, and in fewer below.
    """
    squares = np.square(np.asarray(influence, np.float64))
    return float(squares.sum() ** 2 / np.square(squares).sum()) if squares.any() else math.nan


def interval(value: float, se: float, skew: float = 0.0, critical: float = Z) -> tuple[float, float]:
    r"""The confidence interval of a value, by default at the 95 % level.

    .. math:: \text{value} + k \pm \sqrt{(c \cdot \text{se})^2 + k^2}, \qquad k = \text{skew}\, (c / 1.96)^2

    Without skew, this is value :math:`\pm` c se. A Fréchet distance is a sum of squares, so its error grows with it: by
    chance, the value and its standard error are too small, or too large, at the same time. The interval is therefore
    moved towards larger values; ``evaluation.expansion`` has the formula of the skew and its source.

    Args:
        value: The raw value or one without bias.
        se: Its standard error.
        skew: The metric's ``skew``, which is that of the raw value and of the values without bias. The skew of a mean
            of R independent values is the mean of their skews, divided by R.
        critical: The half-width c in standard errors, such as a quantile of Student's distribution.
    """
    middle = skew * (critical / Z) ** 2
    half = math.hypot(critical * se, middle)
    return value + middle - half, value + middle + half


def critical_of(gap: float, se: float, skew: float = 0.0) -> float:
    r"""The ``critical`` for which the ``interval`` of a value ends at a number that lies ``gap`` below it.

    .. math:: c = \frac{\text{gap}}{\sqrt{\text{se}^2 - 2\, \text{gap} \cdot \text{skew} / 1.96^2}}

    It is infinite for numbers that no interval reaches.
    """
    square = se**2 - 2 * gap * skew / Z**2
    if square > 0:
        return gap / math.sqrt(square)
    return math.copysign(math.inf, gap) if gap else 0.0


def critical_value(degrees: float | None = None, tests: int = 1) -> float:
    """The half-width of a 95 % interval in standard errors: Student's quantile for ``degrees``, ``Z`` without them.

    With ``tests``, the intervals of so many values hold together (Bonferroni).
    """
    if degrees is None:
        return Z if tests == 1 else NormalDist().inv_cdf(1 - 0.025 / tests)
    from scipy.special import stdtrit  # imported here, because it takes 0.2 s and few reports need it

    return float(stdtrit(degrees, 1 - 0.025 / tests))
