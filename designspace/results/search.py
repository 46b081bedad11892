"""The record of a search for the best design, the file search.json beside the results of its final test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from designspace.errors import DataError
from designspace.results.domains import Count, Number, OptionalCount, OptionalNumber, Spread
from designspace.results.encoded import LineError, decoded
from designspace.results.lines import problem
from designspace.results.records import SCHEMA, Record
from designspace.storage.files import reading, write_whole

NAME = "search.json"
SPENT = "the budget of the search is spent"
"""Why there was no race, although there were candidates."""


class Stage(Record):
    """A candidate, measured in a stage of a race."""

    images: Count
    value: Number
    se: Spread = None
    gap: OptionalNumber = None
    """The value minus that of the candidate that was the best one in this stage; ``None`` for the best one itself."""
    gap_se: Spread = None
    p: OptionalNumber = None
    """The p-value of the gap, corrected for all pairs of candidates in the race at this stage and for the stages."""


class Arm(Record):
    """A candidate in a race."""

    label: str
    set: dict[str, Any] = {}
    """What it changes in the design of that time, by row or field as in the YAML; empty for the incumbent."""
    stages: list[Stage] = []
    dropped: int | None = None
    """The index of the stage after which it was dropped; ``None`` if it was in the race until the end."""
    reason: str = ""
    """Why it was not raced: it does not fit, or its samples are those of another candidate; empty if it was raced."""


class Optimum(Record):
    """The optimum of a numeric field by a parabola through the values of its candidates."""

    value: Number
    low: OptionalNumber = None
    """The lower end of the 95 % interval; ``None`` if it lies outside the range of the field."""
    high: OptionalNumber = None
    flat: list[Number] = []
    """The tested values that do not differ significantly from the best one, in ascending order."""


class Outcome(Record):
    """A race among the candidates of one row or field, at one budget."""

    budget: str
    """The budget as in the name of a final design, such as ``nfe=7``."""
    run_pass: Count = 1
    """The pass over the rows, from 1."""
    row: str
    """A row such as ``solver``, or a field such as ``time_steps.rho``."""
    incumbent: str = ""
    """The label of the candidate that the design had before."""
    favoured: str = ""
    """The label of the candidate that the design has afterwards."""
    decided: bool = False
    """Whether the favoured candidate is significantly better than all others that could be measured."""
    skipped: str = ""
    """Why no race was run; empty if one was."""
    gain: OptionalNumber = None
    """By how much the favoured candidate is better than the incumbent, in the last stage that measured both."""
    gain_se: Spread = None
    decides_at: OptionalCount = None
    """If undecided, the number of images that would decide with a probability of 80 %, if the estimates are right."""
    arms: list[Arm] = []
    optimum: Optimum | None = None
    seconds: list[float] = []
    """The wall-clock time of each stage, which a resumed search counts as spent."""


class FinalDesign(Record):
    """The design that a search found for one budget."""

    set: dict[str, Any] = {}
    """What it changes in the baseline."""
    yaml: str = ""
    """A file that ``designspace run`` takes: the ablation with this design and budget."""


class SearchRecord(Record):
    """The file search.json: all races of a search and the designs that it found."""

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    metric: str
    higher_is_better: bool | None = False
    alpha: Number = 0.05
    """The probability with which a race drops any candidate that is as good as the best one."""
    stages: Count = 1
    """The largest number of stages of a race."""
    images_spent: int = 0
    """The number of images that all races generated, without those of the final test."""
    images_full_grid: int = 0
    """The number that all combinations of the candidates would take, with as many images as the last stage has."""
    seconds: float = 0.0
    outcomes: list[Outcome] = []
    """All races, in the order in which they were run."""
    final: dict[str, FinalDesign] = {}
    """The designs by budget, such as ``nfe=7``; empty while races are still run."""


def file_of(budget: str) -> str:
    """The name of the file with the final design of a budget: ``tuned_nfe_7.yaml`` for ``nfe=7``."""
    return f"tuned_{budget.replace('=', '_')}.yaml"


def read_search(folder: Path) -> SearchRecord | None:
    """The file search.json of ``folder``; ``None`` if there is none. Raises ``DataError`` if it cannot be used."""
    path = folder / NAME
    if not path.exists():
        return None
    with reading(path):
        text = path.read_bytes()
    try:
        return SearchRecord.model_validate(decoded(text))
    except (LineError, ValidationError) as error:
        what = problem(error) if isinstance(error, ValidationError) else str(error)
        raise DataError(f"{path}: not the record of a search ({what}); run designspace tune again") from error


def write_search(folder: Path, search: SearchRecord) -> None:
    """Write search.json, and the final designs as YAML files beside it. Raises ``StorageError``."""
    found = {"schema": SCHEMA} | search.plain()
    write_whole(folder / NAME, json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n")
    for budget, final in search.final.items():
        if final.yaml:
            write_whole(folder / file_of(budget), final.yaml.encode())
