"""A design that a search has found, as a YAML file that ``designspace run`` takes."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from designspace.evaluation.rows import Metric
from designspace.results.records import plain
from designspace.spec.ablation import Ablation
from designspace.spec.trial import OPTIONAL, Trial

BLOCKS = ("design", "evaluate")
"""The sections that have one line per field."""


def as_yaml(ablation: Ablation, trial: Trial, budget: str) -> str:
    """The trial as an ablation with a single point.

    All rows and fields are written out and the names of files are absolute, so that the file means the same in any
    folder and after defaults have changed. Metrics that are not defined for the trial are left out.

    Args:
        ablation: The ablation with the search.
        trial: The design with what it was tested on, the first of its repeats.
        budget: Its budget, such as ``nfe=7``.
    """
    step_field, _, number = budget.partition("=")
    spec = trial.model_dump(mode="json", exclude={"num_steps", "seed"})
    evaluate = spec.pop("evaluate") | {"seed": trial.seed}
    evaluate["metrics"] = [
        metric for metric, of in zip(evaluate["metrics"], trial.evaluate.metrics, strict=True) if _is_defined(trial, of)
    ]
    parts = {name: part for name, part in spec.items() if name not in OPTIONAL or part != {"name": "none"}}
    about: dict[str, Any] = {"name": f"{ablation.name}_{step_field}_{number}", "question": ablation.question}
    about |= {"components": [_absolute(name, ablation.path) for name in ablation.components]}
    whole = {key: value for key, value in about.items() if value} | parts | {step_field: int(number)}
    return _dumped({key: _short(value) for key, value in plain(whole | {"evaluate": evaluate}).items()})


def _is_defined(trial: Trial, metric: Metric) -> bool:
    try:
        trial.require_defined(metric)
    except ValueError:
        return False
    return True


def _absolute(name: str, beside: Path | None) -> str:
    """A module as it is, and a file relative to the ablation as an absolute path."""
    if not name.startswith((".", "~", "/")):
        return name
    return str(((beside.parent if beside else Path.cwd()) / Path(name).expanduser()).resolve())


def _short(value: Any) -> Any:
    """Components without fields as their names, and mappings without the fields that are not given."""
    if isinstance(value, list):
        return [_short(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    given = {key: _short(item) for key, item in value.items() if item is not None}
    return given["name"] if given.keys() == {"name"} else given


def _dumped(content: Mapping[str, Any]) -> str:
    """YAML with one line per field of the ``BLOCKS``, and one for everything else."""
    lines = []
    for key, value in content.items():
        if key in BLOCKS and isinstance(value, Mapping):
            lines += [f"{key}:", *(f"  {name}: {_flow(item)}" for name, item in value.items())]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """The value on one line."""
    yaml, file = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style, yaml.width = True, 10**6
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(value, file)
    return re.sub(r"\n\.\.\.\n$", "", file.getvalue()).rstrip("\n")
