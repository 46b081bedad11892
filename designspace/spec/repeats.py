"""Whether the repeats of trained networks are enough for intervals of use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from designspace.errors import Kind, Problem
from designspace.spec.paths import STEPS, Setting, written
from designspace.spec.trial import Point, Trial

TOO_WIDE = "intervals of it extend 12.7 standard errors to each side; use 3 repeats or more"


def too_few_repeats(base: Sequence[Setting], points: Sequence[Point]) -> Iterator[Problem]:
    """Yield a warning if the variation between trainings would have a single degree of freedom.

    With I networks of R repeats each at the same budget, the variance of values has I (R - 1) degrees of freedom, and
    that of differences between networks (I - 1)(R - 1), because it is pooled over all of them
    (``designspace/report/trainings.py``). Two repeats are thus too few for one network and for two.
    """
    found: dict[object, dict[str, None]] = {}
    for point in points:
        trial = point.trial
        if trial.evaluate.repeats == 2 and trial.seed == trial.evaluate.seed and _trained_again(trial):
            budget = tuple(point.axes.get(axis) for axis in STEPS)
            found.setdefault((budget, repr(trial.evaluate)), {})[_network(trial)] = None
    fewest = min(map(len, found.values()), default=0)
    if fewest in (1, 2):
        of = (
            "the variance over the trainings of one configuration"
            if fewest == 1
            else ("the variance of the difference between two configurations, (2 - 1) x (2 - 1),")
        )
        what = f"with 2 repeats, {of} has one degree of freedom: {TOO_WIDE}"
        yield Problem(what, written(base, ("evaluate", "repeats")), Kind.FEW_REPEATS)


def _trained_again(trial: Trial) -> bool:
    """Whether each repeat trains a network of its own."""
    return any(denoiser.repeated(1) != denoiser for denoiser in trial.denoisers)


def _network(trial: Trial) -> str:
    """What the networks of two points have in common if they are the same."""
    rows = dict.fromkeys(row for denoiser in trial.denoisers for row in denoiser.rows)
    return repr([trial.data, *trial.denoisers, *(getattr(trial.design, row) for row in rows)])
