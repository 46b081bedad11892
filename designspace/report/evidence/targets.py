r"""The values that count as equally good, and tests of whether a point reaches them.

A target is itself an estimate, so that each test takes its error into account. All tests are one-sided, at the level
that the caller asks for. Points without a standard error are neither above nor below a target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Protocol

from designspace.report.entry import Entry
from designspace.report.evidence.contrasts import difference
from designspace.report.evidence.inference import as_student
from designspace.report.study import Study
from designspace.results.records import DRAWS
from designspace.results.uncertainty import Z, interval

NEAR = 0.03
"""How much larger than the lowest value, in units of it, values may be that count as equally good."""


class Target(Protocol):
    """The largest value that counts as good enough."""

    @property
    def value(self) -> float:
        """The estimate."""

    def missed(self, entry: Entry, level: float) -> bool:
        """Whether the expected value of the point is significantly above the target."""

    def reached(self, entry: Entry, level: float) -> bool:
        """Whether the expected value of the point is significantly below the target."""


@dataclass(frozen=True)
class DrawnRange:
    r"""The upper end of the 95 % range of the drawn reference, :math:`T = \mu + 1.96 \sigma`.

    The mean and standard deviation of k = ``DRAWS`` draws, m and s, estimate it. For normal draws, its confidence
    bounds are those of a quantile, :math:`m + t_{k-1}(1.96 \sqrt k)\, s / \sqrt k` with a quantile of the noncentral t
    distribution. They are combined with the bounds of the point's own value, which is independent of the draws:

    .. math:: y - T > \sqrt{(y - l_y)^2 + (u_T - T)^2} \quad \text{or} \quad T - y > \sqrt{(u_y - y)^2 + (T - l_T)^2}

    Zou and Donner (2008), Construction of confidence limits about effect measures, https://doi.org/10.1002/sim.3095.
    """

    metric: str
    mean: float
    sd: float

    @property
    def value(self) -> float:
        return self.mean + Z * self.sd

    def missed(self, entry: Entry, level: float) -> bool:
        bounds = self._bounds(entry, level)
        gap = entry.value(self.metric) - self.value
        return bounds is not None and gap > math.hypot(entry.value(self.metric) - bounds[0], self._of(1 - level))

    def reached(self, entry: Entry, level: float) -> bool:
        bounds = self._bounds(entry, level)
        gap = self.value - entry.value(self.metric)
        return bounds is not None and gap > math.hypot(bounds[1] - entry.value(self.metric), self._of(level))

    def _bounds(self, entry: Entry, level: float) -> tuple[float, float] | None:
        """The one-sided bounds of the point's value; ``None`` if its error is unknown."""
        se, degrees = entry.se(self.metric), entry.degrees(self.metric)
        if se is None:
            return None
        critical = _critical(level) if degrees is None else as_student(_critical(level), degrees)
        return interval(entry.value(self.metric), se, entry.skew(self.metric), critical)

    def _of(self, probability: float) -> float:
        """The distance between the estimate and the bound above which it lies with this probability."""
        from scipy.special import nctdtrit  # imported here, because it takes 0.2 s and few reports need it

        root = math.sqrt(DRAWS)
        return (float(nctdtrit(DRAWS - 1, Z * root, probability)) / root - Z) * self.sd


@dataclass(frozen=True, eq=False)
class NearBest:
    r"""3 % more than the lowest expected value of the points: :math:`T = 1.03 \min_j \mu_j`.

    A point is below the target if its value is significantly lower than 1.03 times that of every other point, which
    needs no correction (intersection-union test), and above it if it is significantly higher than 1.03 times that of
    the point with the lowest value, corrected for the number of other points, because that one is seen in the same
    data. Differences are paired on common latents. If the lowest value is negative, the factor is 0.97.
    """

    study: Study
    metric: str
    points: Sequence[Entry]

    @cached_property
    def _lowest_first(self) -> list[Entry]:
        return sorted(self.points, key=lambda entry: entry.value(self.metric))

    @property
    def value(self) -> float:
        best = self._lowest_first[0]
        return self._factor(best) * best.value(self.metric)

    def missed(self, entry: Entry, level: float) -> bool:
        others = max(len(self._lowest_first) - 1, 1)
        return entry is not self._lowest_first[0] and self._z(entry, self._lowest_first[0]) > _critical(level / others)

    def reached(self, entry: Entry, level: float) -> bool:
        others = (other for other in self._lowest_first if other is not entry)
        return all(self._z(entry, other) < -_critical(level) for other in others)

    def _z(self, entry: Entry, other: Entry) -> float:
        """By how many standard errors the point exceeds the target that the other one would set; NaN if unknown."""
        return difference(self.study, entry, other, self.metric, times=self._factor(other)).z

    def _factor(self, entry: Entry) -> float:
        return 1 + math.copysign(NEAR, entry.value(self.metric))


def _critical(level: float) -> float:
    return NormalDist().inv_cdf(1 - level)
