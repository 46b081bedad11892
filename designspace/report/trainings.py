r"""The variation between training runs, pooled over the configurations of an ablation.

Each repeat of a configuration with a trained network trains a network of its own, so the values of the R repeats differ
by the randomness of training and of sampling. Three repeats alone say little about their variance (Student's t with two
degrees of freedom has the critical value 4.30). The variance of a combination :math:`d = \sum_m c_m v_m` of values is
therefore compared with that of all similar combinations at the same budget, in units of

.. math:: \sum_\text{networks} \left(\sum_{m \text{ of the network}} |c_m v_m|\right)^2,

which assumes that the standard deviation is proportional to the value. For all pairs of I networks of R repeats each,
the mean of these relative variances has (I - 1)(R - 1) degrees of freedom, as in a two-way analysis of variance whose
blocks are the repeats (Fisher 1925, Statistical Methods for Research Workers).

Configurations need not vary alike. The pooled variance is used only where the combination's own variance is compatible
with it (F-test), and then the larger of the two. Otherwise, the own variance :math:`s^2` with :math:`d = R - 1` degrees
of freedom is moderated (Smyth 2004, Linear models and empirical Bayes methods for assessing differential expression in
microarray experiments, https://doi.org/10.2202/1544-6115.1027):

.. math:: \frac{d_0 s_0^2 + d s^2}{d_0 + d}, \quad \text{with } d_0 + d \text{ degrees of freedom},

and again the larger of this and the own variance is used. The relative variances of similar combinations scatter about
:math:`s_0^2` as if each were known from :math:`d_0` degrees of freedom, beyond what R - 1 degrees of freedom explain.
Both are fitted to the mean and the variance of their logarithms. Values near 0, such as the KID of good samples, whose
variance is not relative to the value, have their own variance and R - 1 degrees of freedom.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import NamedTuple

from designspace.results.records import Result, plain

NETWORKS = ("trained", "pretrained", "preconditioned")
"""The denoisers with a network, by name, for results of earlier versions, which do not record ``network``."""
COMPATIBLE = (0.01, 0.9)
"""The quantiles of the F-distribution between which a combination's own variance is compatible with the pooled one."""
ALIKE = 1e-4
"""Below this variance of their logarithms beyond chance, the variances of combinations are considered equal."""
AWAY = 3.0
"""A value is pooled if it exceeds its standard deviation over the repeats by this factor."""
ROWS = ("c_skip", "c_out", "c_in", "c_noise", "noise_distribution", "loss_weight")


class Series(NamedTuple):
    """The values of a metric at one point, for each seed."""

    group: Hashable
    """The budget and the protocol: variances are pooled within a group."""
    values: Mapping[int, float]
    networks: Mapping[int, str | None]

    @property
    def network(self) -> tuple[str | None, ...]:
        """The networks of all seeds, which points share that differ in sampling only."""
        return tuple(self.networks.values())

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return statistics.fmean(self.values.values())


Terms = Sequence[tuple[float, Series]]
"""A linear combination of points: coefficients and values."""


class Scatter(NamedTuple):
    """The uncertainty of a mean over training runs."""

    variance: float
    degrees: float
    runs: int


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
        if low <= own / self.variance <= high or math.isinf(self.worth):
            return max(own, self.variance), self.degrees
        total = self.worth + degrees
        return max(own, (self.worth * self.center + degrees * own) / total), max(min(total, self.degrees), degrees)


class Kind(StrEnum):
    """Which combinations have similar relative variances."""

    ALONE = "values"
    BETWEEN = "differences between networks"
    WITHIN = "differences between samplers of one network"


def network_of(row: Result) -> str | None:
    """What tells the trained network of a result apart; ``None`` if its denoiser has no network."""
    if row.network is not None:
        return row.network
    denoiser, design = ((row.trial or {}).get(part) or {} for part in ("denoiser", "design"))
    if not isinstance(denoiser, Mapping) or denoiser.get("name") not in NETWORKS:
        return None
    rows = [design.get(row) for row in ROWS if denoiser["name"] != "pretrained"]
    return json.dumps(plain([denoiser, *rows]), sort_keys=True)


@dataclass(frozen=True)
class TrainingRuns:
    """The training runs of all points of a study."""

    series: Callable[[str], Iterable[Series]]
    """The finite values of a metric at all points that have it."""
    _pools: dict[Hashable, Pool | None] = field(default_factory=dict)

    def scatter(self, metric: str, terms: Terms) -> Scatter | None:
        """The variance of a combination's mean over training runs; ``None`` unless networks were trained repeatedly."""
        values = _over_seeds(terms)
        repeated = [s for _, s in terms if len({s.networks[seed] for seed in values} - {None}) > 1]
        if len(values) < 2 or not repeated:
            return None
        own, runs = _variance(values.values()), len(values)
        pool, scale = self._pool(metric, _kind(terms), frozenset(s.group for s in repeated)), _scale(terms)
        if pool is None or not scale or not all(map(_is_relative, repeated)):
            return Scatter(own / runs, runs - 1, runs)
        relative, degrees = pool.moderated(own / scale, runs - 1)
        return Scatter(relative * scale / runs, degrees, runs)

    def _pool(self, metric: str, kind: Kind, groups: frozenset[Hashable]) -> Pool | None:
        """The relative variances of a kind of combinations in some groups; ``None`` if there are none."""
        key = metric, kind, groups
        if key not in self._pools:
            here = (s for s in self.series(metric) if s.group in groups and _is_relative(s))
            points = [s for s in here if len(set(s.networks.values()) - {None}) > 1]
            found = [(_over_seeds(terms), _scale(terms)) for terms in _combinations(points, kind)]
            known = [(_variance(d.values()) / scale, len(d) - 1) for d, scale in found if len(d) > 1]
            self._pools[key] = _pooled(known, _independent(points, kind))
        return self._pools[key]


def _is_relative(s: Series) -> bool:
    values = list(s.values.values())
    return len(values) > 1 and s.mean > AWAY * math.sqrt(_variance(values))


def _compatible(own_degrees: int, degrees: float) -> tuple[float, float]:
    """The range of ratios of a combination's own variance to the pooled one in which they are compatible."""
    from scipy.special import fdtri  # imported here, because it takes 0.2 s and few reports need it

    low, high = (float(fdtri(own_degrees, degrees, quantile)) for quantile in COMPATIBLE)
    return low, high


def _over_seeds(terms: Terms) -> dict[int, float]:
    """The combination for each seed that all its points have."""
    seeds = set.intersection(*(set(s.values) for _, s in terms))
    return {seed: sum(c * s.values[seed] for c, s in terms) for seed in sorted(seeds)}


def _scale(terms: Terms) -> float:
    found: dict[object, float] = {}
    for c, s in terms:
        if any(s.network):
            found[s.network] = found.get(s.network, 0.0) + abs(c * s.mean)
    return sum(size**2 for size in found.values())


def _kind(terms: Terms) -> Kind:
    found: dict[object, float] = {}
    for c, s in terms:
        if any(s.network):
            found[s.network] = found.get(s.network, 0.0) + c
    if all(abs(total) < 1e-9 for total in found.values()):
        return Kind.WITHIN
    return Kind.ALONE if len(found) < 2 else Kind.BETWEEN


def _combinations(points: Sequence[Series], kind: Kind) -> Iterator[Terms]:
    if kind is Kind.ALONE:
        yield from ([(1.0, s)] for s in points)
        return
    for a, b in combinations(points, 2):
        if a.group == b.group and (a.network == b.network) is (kind is Kind.WITHIN):
            yield [(1.0, a), (-1.0, b)]


def _independent(points: Sequence[Series], kind: Kind) -> int:
    """The number of independent contrasts per repeat."""
    networks = len({s.network for s in points})
    return {Kind.ALONE: networks, Kind.BETWEEN: networks - 1, Kind.WITHIN: len(points) - networks}[kind]


def _pooled(known: Sequence[tuple[float, int]], independent: int) -> Pool | None:
    """The pool of relative variances with their degrees of freedom; equal trials, without variance, do not count."""
    varied = [(value, degrees) for value, degrees in known if value > 0]
    if not varied or not independent:
        return None
    from scipy.special import digamma, polygamma

    weights = sum(degrees for _, degrees in varied)
    mean, degrees = sum(value * d for value, d in varied) / weights, independent * weights / len(varied)
    logs = [math.log(value) - float(digamma(d / 2)) + math.log(d / 2) for value, d in varied]
    by_chance = statistics.fmean(float(polygamma(1, d / 2)) for _, d in varied)
    excess = _variance(logs) - by_chance if len(logs) > 1 else 0.0
    if excess < ALIKE:
        return Pool(mean, degrees, mean, math.inf)
    worth = 2 * _inverse_trigamma(excess)
    center = statistics.fmean(logs) + float(digamma(worth / 2)) - math.log(worth / 2)
    return Pool(mean, degrees, math.exp(center), worth)


def _variance(values: Collection[float]) -> float:
    """The sample variance. ``statistics.variance`` takes 18 times as long, and 1,000 points have 500,000 pairs."""
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


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
