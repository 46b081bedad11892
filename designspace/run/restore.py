"""What belongs to results that are there and is not in the reports: made again, where that costs no sampling."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

from designspace.errors import StorageError, brief
from designspace.evaluation.rows import Observation
from designspace.results.store import Results
from designspace.run.generate import chunks
from designspace.run.pipeline import evaluate
from designspace.run.stages import Stages

if TYPE_CHECKING:
    from designspace.spec.trial import Trial


def restore_artefacts(trials: Iterable[Trial], results: Results, stages: Stages) -> None:
    """Write the artefacts of ``trials`` that are missing or damaged, from features in the cache if they are there.

    Raises ``StorageError``; another error is a warning, since the results are there.
    """
    for trial in trials:
        if results.artefact(trial.id) is not None or not _at_hand(trial, stages):
            continue
        try:
            with stages.cache.lock(f"trial-{trial.id}", wait=False) as mine:
                if mine:
                    evaluate(trial, stages, results, lambda done, of, fresh: None)
        except StorageError:
            raise
        except Exception as error:
            warnings.warn(f"the artefact of {trial.id} cannot be made again: {brief(error)}", stacklevel=3)


def _at_hand(trial: Trial, stages: Stages) -> bool:
    """Whether the cache has all that would have to be sampled."""
    observations = [metric for metric in trial.evaluate.metrics if isinstance(metric, Observation)]
    stage = "images" if len(observations) == len(trial.evaluate.metrics) else "features"
    parts = chunks(trial.evaluate.images)
    return (
        all(stages.has(stage, trial, chunk) for chunk in parts)
        and stages.has("images", trial, parts[0])
        and all(stages.observed.has(trial, metric) for metric in observations)
    )
