r"""The variation between training runs, pooled over the configurations of an ablation.

Each repeat of a configuration with a trained network trains a network of its own, so the values of the R repeats differ
by the randomness of training and of sampling. Three repeats alone say little about their variance (Student's t with two
degrees of freedom has the critical value 4.30). The variance of a combination :math:`d = \sum_m c_m v_m` of values is
therefore compared with that of all similar combinations at the same budget, in units of

.. math:: \sum_\text{networks} \left(\sum_{m \text{ of the network}} |c_m v_m|\right)^2,

which assumes that the standard deviation is proportional to the value. For all pairs of I networks of R repeats each,
the mean of these relative variances has (I - 1)(R - 1) degrees of freedom, as in a two-way analysis of variance whose
blocks are the repeats (Fisher 1925, Statistical Methods for Research Workers). How the variance of a combination
follows from these is in ``moderated``. Values near 0, such as the KID of good samples, whose variance is not relative
to the value, have their own variance and R - 1 degrees of freedom.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from designspace.report.moderated import Pool, fitted, variances
from designspace.results.records import Result, plain

NETWORKS = ("trained", "pretrained", "preconditioned")
"""The denoisers with a network, by name, for results of earlier versions, which do not record ``network``."""
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
        own, runs = statistics.variance(values.values()), len(values)
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
            labels = _labels(points)
            self._pools[key] = fitted(*_relative(points, labels, kind), _independent(labels, kind))
        return self._pools[key]


def _is_relative(s: Series) -> bool:
    values = list(s.values.values())
    return len(values) > 1 and s.mean > AWAY * statistics.stdev(values)


def _over_seeds(terms: Terms) -> dict[int, float]:
    """The combination for each seed that all its points have."""
    seeds = set.intersection(*(set(s.values) for _, s in terms))
    return {seed: sum(c * s.values[seed] for c, s in terms) for seed in sorted(seeds)}


def _labels(points: Sequence[Series]) -> list[int | None]:
    """A number for the networks of each point, the same for points that share them; ``None`` without a network.

    Points share their networks if they do so for some seed, because a seed may be missing from any of them.
    """
    owners: dict[str, int] = {}
    found: list[int | None] = []
    for point in points:
        own = [network for network in point.networks.values() if network is not None]
        label = next((owners[network] for network in own if network in owners), len(owners))
        owners |= {network: owners.get(network, label) for network in own}
        found.append(label if own else None)
    return found


def _by_network(terms: Terms, size: Callable[[float, Series], float]) -> list[float]:
    """The sum of ``size`` over the terms of each network."""
    found: dict[int, float] = {}
    for (c, s), label in zip(terms, _labels([s for _, s in terms]), strict=True):
        if label is not None:
            found[label] = found.get(label, 0.0) + size(c, s)
    return list(found.values())


def _scale(terms: Terms) -> float:
    return sum(size**2 for size in _by_network(terms, lambda c, s: abs(c * s.mean)))


def _kind(terms: Terms) -> Kind:
    found = _by_network(terms, lambda c, s: c)
    if all(abs(total) < 1e-9 for total in found):
        return Kind.WITHIN
    return Kind.ALONE if len(found) < 2 else Kind.BETWEEN


def _relative(points: Sequence[Series], labels: Sequence[int | None], kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    """The relative variances of all combinations of a kind, and their degrees of freedom.

    Pairs are computed one point at a time against all later ones: 1,000 points have 500,000 pairs.
    """
    seeds = sorted({seed for s in points for seed in s.values})
    values = np.array([[s.values.get(seed, np.nan) for seed in seeds] for s in points]).reshape(len(points), len(seeds))
    means = np.array([s.mean for s in points])
    if kind is Kind.ALONE:
        return variances(values, means**2)
    groups, networks = _numbered([s.group for s in points]), np.array(labels)
    found = []
    for i in range(len(points) - 1):
        same = networks[i + 1 :] == networks[i]
        rest = (groups[i + 1 :] == groups[i]) & (same if kind is Kind.WITHIN else ~same)
        a, b = abs(means[i]), np.abs(means[i + 1 :][rest])
        scale = (a + b) ** 2 if kind is Kind.WITHIN else a**2 + b**2
        found.append(variances(values[i + 1 :][rest] - values[i], scale))
    ratios, degrees = zip(*found, strict=True) if found else ((), ())
    return np.concatenate([*ratios, []]), np.concatenate([*degrees, []])


def _numbered(groups: Sequence[Hashable]) -> np.ndarray:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups])


def _independent(labels: Sequence[int | None], kind: Kind) -> int:
    """The number of independent contrasts per repeat."""
    networks = len(set(labels))
    return {Kind.ALONE: networks, Kind.BETWEEN: networks - 1, Kind.WITHIN: len(labels) - networks}[kind]
