"""A trial as an ablation of one point, which runs it again."""

from __future__ import annotations

from typing import Any

from designspace.results.records import Result


def as_ablation(row: Result, components: object = ()) -> Any:
    """Its resolved spec as the content of a file for ``designspace run``, which computes the trial of the same id.

    Metrics that its design cannot be measured by are left out: other trials of the ablation have them. The id is then
    another, with the same images and the same numbers. ``components`` are those of the ablation.
    """
    spec = row.trial
    if not (isinstance(spec, dict) and isinstance(evaluate := spec.get("evaluate"), dict)):
        return spec
    own = {"components": components} if components else {}
    rest = {key: value for key, value in spec.items() if key not in ("seed", "evaluate")}
    measured = evaluate | {"seed": row.seed, "repeats": 1}
    if isinstance(metrics := evaluate.get("metrics"), list):
        measured["metrics"] = [metric for metric in metrics if _name(metric) in row.metrics]
    return own | rest | {"evaluate": measured}


def _name(metric: object) -> object:
    return metric.get("name") if isinstance(metric, dict) else metric
