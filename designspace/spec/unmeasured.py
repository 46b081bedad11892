"""Metrics that cannot be measured at some points of a grid: a warning; at none, or on a reference: an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from designspace.errors import DataError
from designspace.evaluation.measure import Summary
from designspace.evaluation.rows import Metric, Observation
from designspace.spec.errors import BadValueError
from designspace.spec.paths import Setting, written
from designspace.spec.trial import Evaluate, Trial


def unmeasured(base: Sequence[Setting], trials: Sequence[Trial]) -> Iterator[tuple[BadValueError, bool]]:
    """What to say of each metric that some trials go without, and whether all do."""
    problems: dict[tuple[int, str], list[str]] = {}
    for trial in trials:
        for i, metric in enumerate(trial.evaluate.metrics):
            problems.setdefault((i, metric.name), []).append(_problem(metric, trial))
    for (i, _), found in problems.items():
        reasons = list(dict.fromkeys(filter(None, found)))
        if reasons:
            without = sum(map(bool, found))
            all_do = without == len(found)
            text = reasons[0] + (f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else "")
            text = text if all_do else f"{without} of {len(found)} trials go without: {text}"
            yield BadValueError(written(base, ("evaluate", "metrics", i)), text), all_do


def unfit_reference(evaluate: Evaluate) -> str:
    """Why the reference that is given is none for the detector or the metrics; empty if it is one."""
    reference = evaluate.reference
    if reference is None:
        return ""
    try:
        known = reference.load(evaluate.detector)
    except DataError as error:
        return str(error)
    needy = [m.name for m in evaluate.metrics if not (isinstance(m, Observation) or m.moments_suffice)]
    if not (needy and isinstance(known, Summary)):
        return ""
    why = (
        f"metric {' and '.join(needy)} compares with each image's features, and it gives their mean and covariance only"
    )
    return f"{why}: leave it out, as in metrics: [frechet], or measure against images"


def _problem(metric: Metric, trial: Trial) -> str:
    try:
        metric.check(trial.design, trial.denoiser)
    except ValueError as error:
        return str(error)
    return ""
