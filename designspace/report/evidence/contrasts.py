"""Linear combinations of the values of points, such as differences, with their standard errors.

Trials with the same seed start from the same latents, so that they share most of the randomness in their values: the
standard error of a combination is computed from the same combination of the images' influences. If networks were
trained repeatedly, it includes the variation between training runs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from designspace.report.entry import Entry, se_in, se_of_mean, value_in
from designspace.report.evidence.inference import as_normal, two_sided
from designspace.report.study import Study
from designspace.report.trainings import Scatter, TrainingRuns
from designspace.results.uncertainty import critical_of, critical_value, interval, standard_error

SAME = 1e-12
"""Coefficients of a point that sum to less than this cancel."""


class Term(NamedTuple):
    """A point in a linear combination."""

    times: float
    point: Entry
    study: Study
    """The study that has the results of the point."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The metric of one point minus that of another, or another linear combination of the metric at several points."""

    value: float
    se: float | None
    paired: bool
    independent_se: float | None = None
    """The standard error that the difference would have if the two points had independent seeds."""
    degrees: float | None = None
    """The degrees of freedom of the standard error, if it comes from the scatter of few repeats (Student's t)."""
    runs: int | None = None
    """The number of training runs, if the standard error includes the variation between them."""
    skew: float = 0.0
    """For a single value, the distance by which the middle of its 95 % interval lies above it."""

    @property
    def z(self) -> float:
        """The difference in units of its standard error; NaN if the standard error is unknown."""
        return self.z_from(0.0)

    def z_from(self, other: float) -> float:
        """How many standard errors the difference lies above ``other``; NaN if the standard error is unknown.

        This is the ``critical`` of the ``interval`` that ends at ``other``. If the error comes from the scatter of few
        repeats, it is the z-value with the same p-value as Student's t.
        """
        if self.se is None:
            return math.nan
        z = critical_of(self.value - other, self.se, self.skew)
        return z if self.degrees is None else as_normal(z, self.degrees)

    @property
    def p(self) -> float:
        """The two-sided p-value under the null hypothesis of no difference; NaN if the standard error is unknown."""
        return two_sided(self.z)

    def interval(self, tests: int = 1) -> tuple[float, float] | None:
        """The 95 % interval, which holds together with those of all ``tests``; ``None`` without a standard error."""
        if self.se is None:
            return None
        return interval(self.value, self.se, self.skew, critical_value(self.degrees, tests))

    @property
    def gain(self) -> float | None:
        """The factor by which the number of images would have to grow for the same standard error without pairing.

        This is the squared ratio of the unpaired to the paired standard error; ``None`` for unpaired differences and
        if training was repeated. It is infinite if the difference has no error, and below 1 if the influences of the
        points are negatively correlated.
        """
        if not self.paired or self.runs or self.se is None or self.independent_se is None:
            return None
        return (self.independent_se / self.se) ** 2 if self.se > 0 else math.inf


def difference(
    study: Study, a: Entry, b: Entry, metric: str, times: float = 1.0, other: Study | None = None
) -> Difference:
    """The metric of ``a`` minus ``times`` that of ``b``, paired where possible.

    Args:
        study: The study that has the results of ``a``, and those of ``b`` unless ``other`` is given.
        a: The first point.
        b: The second point.
        metric: The metric to compare.
        times: The factor on the second point's metric.
        other: The study that has the results of ``b``.
    """
    return combination([Term(1.0, a, study), Term(-times, b, other or study)], metric)


def mean_difference(study: Study, pairs: Sequence[tuple[Entry, Entry]], metric: str) -> Difference:
    """The difference of the metric, first minus second, averaged over pairs of points.

    If the influences of some images are not known, its standard error is the mean of those of the pairs, which is an
    upper bound, because the pairs share latents.
    """
    share = 1 / len(pairs)
    terms = [Term(sign * share, point, study) for a, b in pairs for sign, point in ((1, a), (-1, b))]
    found = combination(terms, metric)
    if found.paired or found.runs or len(pairs) == 1:
        return found
    alone = [difference(study, a, b, metric) for a, b in pairs]
    errors, degrees = [gap.se for gap in alone if gap.se is not None], [gap.degrees for gap in alone if gap.degrees]
    se = statistics.fmean(errors) if len(errors) == len(pairs) else None
    return Difference(found.value, se, False, degrees=min(degrees, default=None))


def combination(terms: Sequence[Term], metric: str) -> Difference:
    r"""The sum of ``times`` the metric over the terms, in which equal trials count once or cancel.

    On common latents, the standard error is that of the same sum of the images' influences: ``standard_error``. It is
    combined over the seeds that all points have. A trial differs from itself by 0, without error. If influences are
    missing or no seed is common, the points are treated as independent. If networks were trained repeatedly, the
    variation between training runs is included: ``TrainingRuns.scatter``.
    """
    common = sorted(set.intersection(*({*term.point.seeds} for term in terms)))
    if not (terms := _collected(terms, metric)):
        return Difference(0.0, 0.0, True)
    same_protocol = len({term.point.protocol(metric) for term in terms}) == 1
    paired = [_paired_se(terms, seed, metric) if same_protocol else None for seed in common]
    known = [se for se in paired if se is not None]
    are_paired = bool(common) and len(known) == len(common)
    gaps = [_value(terms, seed, metric) for seed in common]
    between = _between_trainings(terms, metric)
    if not (are_paired or between):
        return _independent(terms, metric)
    own = known if are_paired else [_of_images(terms, seed, metric) for seed in common]
    se = max(se_of_mean((), own) or 0.0, math.sqrt(between.variance)) if between else se_of_mean(gaps, own)
    found = Difference(statistics.fmean(gaps), se, are_paired, _independent_se(terms, common, metric))
    return replace(found, degrees=between.degrees, runs=between.runs) if between else found


def _between_trainings(terms: Sequence[Term], metric: str) -> Scatter | None:
    """The uncertainty from repeated trainings, pooled over the points of all studies."""
    if not any(term.point.trainings for term in terms):
        return None
    series = [(term.times, term.point.series(metric)) for term in terms]
    if not all(math.isfinite(value) for _, s in series for value in s.values.values()):
        return None
    studies = list({id(term.study): term.study for term in terms}.values())
    runs = terms[0].point.runs if len(studies) == 1 else None
    every = runs or TrainingRuns(lambda metric: [one for study in studies for one in study.series(metric)])
    return every.scatter(metric, series)


def _value(terms: Sequence[Term], seed: int, metric: str) -> float:
    return sum(term.times * value_in(term.point.seeds[seed], metric) for term in terms)


def _collected(terms: Sequence[Term], metric: str) -> list[Term]:
    """The terms with the coefficients of equal points added up: several points may be the same trials."""
    found: dict[object, Term] = {}
    for term in terms:
        same = term.point.trials, tuple(value_in(row, metric) for row in term.point.rows)
        found[same] = term._replace(times=term.times + (found[same].times if same in found else 0.0))
    return [term for term in found.values() if abs(term.times) > SAME]


def _paired_se(terms: Sequence[Term], seed: int, metric: str) -> float | None:
    """The standard error for one seed; ``None`` if the influences of some images are not known."""
    rows = [(term.times, term.study, term.point.seeds[seed]) for term in terms]
    found = [(times, study.influence(row, metric), study.pairs(row, metric)) for times, study, row in rows]
    if any(influence is None for _, influence, _ in found) or len({study.span(row) for _, study, row in rows}) > 1:
        return None
    first = [times * influence for times, influence, _ in found if influence is not None]
    second = [times * pairs for times, _, pairs in found if pairs is not None]
    if len({array.shape for array in first}) > 1 or any(len(array) < 2 for array in first):
        return None
    known = len(second) == len(first) and len({array.shape for array in second}) == 1
    return standard_error(sum(first, np.zeros(1)), sum(second, np.zeros(1)) if known else None)


def _independent_se(terms: Sequence[Term], seeds: Sequence[int], metric: str) -> float | None:
    """The standard error that the combination would have if each term had seeds of its own."""
    errors = []
    for term in terms:
        rows = [term.point.seeds[seed] for seed in seeds]
        se = se_of_mean([value_in(row, metric) for row in rows], [se_in(row, metric) for row in rows])
        errors += [] if se is None else [term.times * se]
    return math.hypot(*errors) if len(errors) == len(terms) else None


def _of_images(terms: Sequence[Term], seed: int, metric: str) -> float | None:
    """The standard error for one seed if the terms have different images."""
    errors = [se_in(term.point.seeds[seed], metric) for term in terms]
    known = [term.times * se for term, se in zip(terms, errors, strict=True) if se is not None]
    return math.hypot(*known) if len(known) == len(terms) else None


def _independent(terms: Sequence[Term], metric: str) -> Difference:
    """The combination of independent points, with the degrees of freedom of Welch (1947) and Satterthwaite (1946)."""
    value = sum(term.times * term.point.value(metric) for term in terms)
    found = [(term.times, term.point.se(metric), term.point.degrees(metric)) for term in terms]
    errors = [(times * se, degrees) for times, se, degrees in found if se is not None]
    if len(errors) < len(terms):
        return Difference(value, None, False)
    se = math.hypot(*(error for error, _ in errors))
    of_few = sum(error**4 / degrees for error, degrees in errors if degrees)
    return Difference(value, se, False, se, degrees=se**4 / of_few if of_few else None)
