"""An ablation, read from YAML: one question, a baseline column of Table 1, and what to vary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, PrivateAttr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from designspace.design import Design
from designspace.errors import Problem, SpecError
from designspace.registry.component import Spec
from designspace.spec.axes import Change, axes_of
from designspace.spec.claims import Claim
from designspace.spec.document import Document, override, read
from designspace.spec.paths import PARTS, FieldPath
from designspace.spec.plan import Plan, place_of, plan
from designspace.spec.problems import problems_of
from designspace.spec.trial import Point, Trial


def _folder_name(name: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", name):
        text = f"names the folder of the report: letters, digits, '_', '-' and '.' only, not {name!r}"
        raise PydanticCustomError("name", "{text}", {"text": text})
    return name


class Ablation(Spec):
    """The content of one YAML file; ``points`` and ``trials`` resolve what it sets and varies."""

    name: Annotated[str, AfterValidator(_folder_name)]
    question: str = ""
    components: tuple[str, ...] = ()
    """The files, relative to the YAML, and modules that define the user's own components."""
    data: Any = None
    denoiser: Any = None
    design: Any = None
    """A preset, ``{preset: edm, solver: euler, ...}``, or all rows; in Python also a ``Design``."""
    num_steps: Any = None
    nfe: Any = None
    """A budget of evaluations, instead of ``num_steps``."""
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
        """The names of the axes, slowest first."""
        return axes_of(dict(self))

    @property
    def warnings(self) -> list[str]:
        """What has no effect or cannot be measured, as ``file:line:column: where: what``. Raises ``SpecError``."""
        return [str(problem) for problem in self._planned().warnings]

    def points(self) -> list[Point]:
        """Every point of the grid, once per repeat. Raises ``SpecError``."""
        return list(self._planned().points)

    def trials(self) -> list[Trial]:
        """The different trials of the points, each of which is computed once. Raises ``SpecError``."""
        found: dict[str, Trial] = {}
        for point in self.points():
            found.setdefault(point.trial.id, point.trial)
        return list(found.values())

    def problem(self, path: FieldPath, value: Any, what: str) -> Problem:
        """A problem with a field that was set to ``value``, located where it was set."""
        return self._document.locate(Problem(what, place_of(dict(self), path, value)))

    def _planned(self) -> Plan:
        if self._plan is None:  # made in Python; ``load`` gives those from files their plan
            found = plan(dict(self), self._document)
            if found.errors:
                raise SpecError(found.errors)
            self._plan = found
        return self._plan


def load(path: Path | str, overrides: Sequence[str] = ()) -> Ablation:
    """Read, check and resolve an ablation.

    Args:
        path: A YAML file. It may name Python files to import, so read only files that you trust.
        overrides: Changes as of the option ``--set``, ``key=value``: ``evaluate.images=50``, ``grid.nfe=[7,11]``.

    Raises:
        SpecError: The file has errors; ``lines`` lists them all as ``file:line:column: where: what; did you mean``.
    """
    document = read(Path(path))
    if not isinstance(document.data, dict):
        what = "is empty" if document.data is None else f"should be a mapping of fields, not {document.data!r:.60}"
        raise SpecError([document.locate(Problem(what))])
    document.data.setdefault("name", Path(path).stem)
    override(document, overrides, list(Ablation.model_fields))
    ablation = _valid_part(document)
    found = plan(dict(ablation), document)
    if problems := [*document.problems, *found.errors]:
        raise SpecError(problems)
    ablation = ablation.model_copy(update={"claims": found.claims})
    ablation._document, ablation._plan = document, found
    return ablation


def _valid_part(document: Document) -> Ablation:
    """The ablation without the fields that are wrong, so that the rest can be checked as well."""
    try:
        return Ablation.model_validate(document.data)
    except ValidationError as error:
        problems = problems_of(error)
    document.problems += map(document.locate, problems)
    wrong = {problem.path[0] for problem in problems}
    wrong |= {"claims"} if wrong & set(PARTS) else set()
    rest = {key: value for key, value in document.data.items() if key not in wrong}
    return Ablation.model_validate({"name": "unnamed"} | rest)
