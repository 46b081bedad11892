"""An ablation, read from YAML: one question, a baseline column of Table 1, and what to vary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, PrivateAttr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from designspace.design import Design
from designspace.errors import Problem, SpecError
from designspace.registry.component import Spec
from designspace.spec.axes import Change
from designspace.spec.claims import Claim
from designspace.spec.document import Document, read
from designspace.spec.errors import what
from designspace.spec.grid import axes_of
from designspace.spec.overrides import override
from designspace.spec.paths import PARTS, FieldPath
from designspace.spec.plan import Plan, place_of, plan
from designspace.spec.trial import Evaluate, Point, Trial

__all__ = ["Ablation", "Evaluate", "Point", "SpecError", "Trial", "load"]


def _folder_name(name: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", name):
        text = f"names the folder of the report: letters, digits, '_', '-' and '.' only, not {name!r}"
        raise PydanticCustomError("name", "{text}", {"text": text})
    return name


class Ablation(Spec):
    """The content of one YAML file. What it varies and sets is resolved by ``points``, all of it or nothing."""

    name: Annotated[str, AfterValidator(_folder_name)]
    question: str = ""
    components: tuple[str, ...] = ()
    """Files, relative to the YAML, and modules in which own components are defined."""
    data: Any = None
    denoiser: Any = None
    design: Any = None
    """A preset, ``{preset: edm, solver: euler, ...}``, or all rows; in Python a ``Design`` as well."""
    num_steps: Any = None
    nfe: Any = None
    """The evaluations to be afforded, in place of ``num_steps``."""
    grid: dict[str, list[Any]] = {}
    zip: dict[str, list[Any]] = {}
    one_at_a_time: dict[str, list[Any]] = {}
    cumulative: tuple[Change, ...] = ()
    evaluate: dict[str, Any] = {}
    claims: tuple[Claim, ...] = ()

    @field_validator("design")
    @classmethod
    def _rows(cls, design: Any) -> Any:
        return design.model_dump() if isinstance(design, Design) else design

    _document: Document = PrivateAttr(default_factory=lambda: Document({}))
    _plan: Plan | None = PrivateAttr(default=None)

    @property
    def path(self) -> Path | None:
        """The file that it was read from."""
        return Path(self._document.source) if self._document.source else None

    @property
    def axes(self) -> list[str]:
        """What the points differ in, slowest first."""
        return axes_of(dict(self))

    @property
    def warnings(self) -> list[str]:
        """``file:line:column: where: what`` for each axis that cannot matter. Raises ``SpecError``."""
        return list(self._planned().warnings)

    def points(self) -> list[Point]:
        """Every point of the grid, each as often as it is repeated. Raises ``SpecError``."""
        return list(self._planned().points)

    def trials(self) -> list[Trial]:
        """Every trial once: points that are the same trial are computed together. Raises ``SpecError``."""
        found: dict[str, Trial] = {}
        for point in self.points():
            found.setdefault(point.trial.id, point.trial)
        return list(found.values())

    def problem(self, path: FieldPath, value: Any, text: str) -> Problem:
        """What is wrong with a field that was set to ``value``, at the place where it was."""
        return self._document.problem(place_of(self, path, value), text)

    def _planned(self) -> Plan:
        if self._plan is None:  # made in Python; those from files come with their plan
            document = replace(self._document, problems=[])
            self._plan = plan(self, document)
            if document.problems:
                raise SpecError(document.problems)
        return self._plan


def load(path: Path | str, overrides: Sequence[str] = ()) -> Ablation:
    """Read, check and resolve an ablation.

    Args:
        path: A YAML file. It may name Python files to import: read only files that you trust.
        overrides: ``key=value`` each, as of the option ``--set``: ``evaluate.images=50``, ``grid.nfe=[7,11]``.

    Raises:
        SpecError: Its ``lines`` say all that is wrong: ``file:line:column: where: what; did you mean``.
    """
    document = read(Path(path))
    if not isinstance(document.data, dict):
        text = "is empty" if document.data is None else f"should be a mapping of fields, not {document.data!r:.60}"
        raise SpecError([document.problem((), text)])
    document.data.setdefault("name", Path(path).stem)
    override(document, overrides, list(Ablation.model_fields))
    ablation = _valid_part(document)
    found = plan(ablation, document)
    if document.problems:
        raise SpecError(document.problems)
    ablation = ablation.model_copy(update={"claims": found.claims})
    ablation._document, ablation._plan = document, found
    return ablation


def _valid_part(document: Document) -> Ablation:
    """The ablation without the fields that are wrong, so that the rest can be checked as well."""
    try:
        return Ablation.model_validate(document.data)
    except ValidationError as error:
        wrong = {str(e["loc"][0]) for e in error.errors()}
        for e in error.errors():
            document.problems.append(document.problem(e["loc"], what(e), key=e["type"] == "extra_forbidden"))
        wrong |= {"claims"} if wrong & set(PARTS) else set()
        rest = {key: value for key, value in document.data.items() if key not in wrong}
        return Ablation.model_validate({"name": "unnamed"} | rest)
