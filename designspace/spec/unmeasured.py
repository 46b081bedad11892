"""Metrics that cannot be measured at some points of a grid: a warning; at none: an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from designspace.rows import Metric
from designspace.spec.errors import BadValueError
from designspace.spec.paths import Setting, written
from designspace.spec.trial import Trial


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


def _problem(metric: Metric, trial: Trial) -> str:
    try:
        metric.check(trial.design, trial.denoiser)
    except ValueError as error:
        return str(error)
    return ""
