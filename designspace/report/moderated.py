r"""The variance of a combination of values, moderated by the variances of similar combinations.

Configurations need not vary alike. The pooled variance is used only where the combination's own variance is compatible
with it (F-test), and then the larger of the two. Otherwise, the own variance :math:`s^2` with :math:`d = R - 1` degrees
of freedom is moderated (Smyth 2004, Linear models and empirical Bayes methods for assessing differential expression in
microarray experiments, https://doi.org/10.2202/1544-6115.1027):

.. math:: \frac{d_0 s_0^2 + d s^2}{d_0 + d}, \quad \text{with } d_0 + d \text{ degrees of freedom},

and again the larger of this and the own variance is used. The relative variances of similar combinations scatter about
:math:`s_0^2` as if each were known from :math:`d_0` degrees of freedom, beyond what R - 1 degrees of freedom explain.
Both are fitted to the mean and the variance of their logarithms. Because the F-test has found the combination unlike
the others, they count for no more than its own variance does, :math:`d_0 \le d`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

COMPATIBLE = (0.01, 0.9)
"""The quantiles of the F-distribution between which a combination's own variance is compatible with the pooled one."""
ALIKE = 1e-4
"""Below this variance of their logarithms beyond chance, the variances of combinations are considered equal."""


class Pool(NamedTuple):
    """What the relative variances of similar combinations say about that of any other."""

    variance: float
    """Their mean."""
    degrees: float
    """The degrees of freedom of the mean."""
    center: float
    """The variance :math:`s_0^2` about which they scatter."""
    worth: float
    """The degrees of freedom :math:`d_0` that it is worth beside a combination's own variance; may be infinite."""

    def moderated(self, own: float, degrees: int) -> tuple[float, float]:
        """The relative variance of a combination with this one of its own, and its degrees of freedom."""
        low, high = _compatible(degrees, self.degrees)
        if low <= own / self.variance <= high:
            return max(own, self.variance), self.degrees
        worth = min(self.worth, degrees)
        total = worth + degrees
        return max(own, (worth * self.center + degrees * own) / total), max(min(total, self.degrees), degrees)


def fitted(ratios: np.ndarray, own: np.ndarray, independent: int) -> Pool | None:
    """The pool of relative variances with their ``own`` degrees of freedom; ``None`` without any.

    ``independent`` is the number of independent combinations per repeat among them.
    """
    if not len(ratios) or not independent:
        return None
    from scipy.special import digamma, polygamma  # imported here, because it takes 0.2 s and few reports need it

    mean, degrees = float((ratios * own).sum() / own.sum()), independent * float(own.mean())
    logs = np.log(ratios) - digamma(own / 2) + np.log(own / 2)
    each, counts = np.unique(own, return_counts=True)
    by_chance = float((polygamma(1, each / 2) * counts).sum() / len(own))
    excess = float(logs.var(ddof=1)) - by_chance if len(logs) > 1 else 0.0
    if excess < ALIKE:
        return Pool(mean, degrees, mean, math.inf)
    worth = 2 * _inverse_trigamma(excess)
    center = float(logs.mean() + digamma(worth / 2)) - math.log(worth / 2)
    return Pool(mean, degrees, math.exp(center), worth)


def variances(values: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The variances of rows, of which NaN are left out, in units of ``scale``, and their degrees of freedom.

    Rows without any variance, such as differences of a trial from itself, and those of fewer than two values do not
    count.
    """
    counts = np.isfinite(values).sum(1)
    known = (counts > 1) & (scale > 0)
    values, counts = values[known], counts[known]
    centered = values - np.nansum(values, 1, keepdims=True) / counts[:, None]
    ratios = np.nansum(centered**2, 1) / (counts - 1) / scale[known]
    return ratios[ratios > 0], counts[ratios > 0] - 1


def _compatible(own_degrees: int, degrees: float) -> tuple[float, float]:
    """The range of ratios of a combination's own variance to the pooled one in which they are compatible."""
    from scipy.special import fdtri

    low, high = (float(fdtri(own_degrees, degrees, quantile)) for quantile in COMPATIBLE)
    return low, high


def _inverse_trigamma(value: float) -> float:
    """The x whose trigamma function is ``value``, by Newton's method on 1 / trigamma, which is convex (Smyth 2004)."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        now = float(polygamma(1, x))
        step = now * (1 - now / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-9 * x:
            break
    return x
