"""An ablation, read from YAML: one question, a baseline column of Table 1, and what to vary."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, PrivateAttr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from designspace.denoising.rows import Denoiser
from designspace.design import Design
from designspace.errors import DocPath, Kind, Problem, SpecError
from designspace.registry.component import Spec
from designspace.registry.wording import problems_of
from designspace.spec.axes import Change, axes_of
from designspace.spec.candidates import Space
from designspace.spec.claims import Claim
from designspace.spec.document import Document, read
from designspace.spec.evaluate import Evaluate
from designspace.spec.overrides import override
from designspace.spec.paths import PARTS, SEARCH, field_path
from designspace.spec.plan import Plan, place_of, plan
from designspace.spec.problems import Problems
from designspace.spec.search import Search, varied
from designspace.spec.trial import Point, Trial
from designspace.storage.included import located

ROW = Denoiser.row
LONGEST_NAME = 100
"""The largest number of characters of a name; file systems limit those of a folder to 255 bytes."""


def _folder_name(name: str) -> str:
    if not re.fullmatch(rf"\w[\w.-]{{,{LONGEST_NAME - 1}}}", name):
        which = f"up to {LONGEST_NAME} letters, digits, '_', '-' and '.'"
        text = f"names the report's folder, so it may have only {which}, not {name[:LONGEST_NAME]!r}"
        raise PydanticCustomError("name", "{text}", {"text": text})
    return name


def _name_from(file: Path) -> str:
    """The name of an ablation that states none: that of its file, with ``_`` for what a name may not have."""
    return re.sub(r"[^\w.-]+", "_", file.stem).lstrip("-.")[:LONGEST_NAME] or "ablation"


class Ablation(Spec):
    """The content of one YAML file; ``points`` and ``trials`` resolve what it sets and varies."""

    name: Annotated[str, AfterValidator(_folder_name)]
    question: str = ""
    components: tuple[str, ...] = ()
    """Files (relative to the YAML file) and modules that define the user's own components."""
    data: Any = None
    denoiser: Any = None
    guidance: Any = None
    """How the denoiser is combined with evaluations without the class or of another denoiser."""
    decoder: Any = None
    """What turns samples of the denoiser into images, if these are latents."""
    design: Any = None
    """The name of a preset, ``{preset: edm, solver: euler, ...}`` or all rows; in Python also a ``Design``."""
    num_steps: Any = None
    nfe: Any = None
    """A budget of denoiser evaluations per image, as an alternative to ``num_steps``."""
    nfe_total: Any = None
    """A budget that includes the evaluations that guidance adds, as another alternative."""
    grid: dict[str, list[Any]] = {}
    zip: dict[str, list[Any]] = {}
    one_at_a_time: dict[str, list[Any]] = {}
    cumulative: tuple[Change, ...] = ()
    evaluate: dict[str, Any] = {}
    search: Search | None = None
    """What ``designspace tune`` searches, in place of ``grid`` and the like and of a number of steps."""
    claims: tuple[Claim, ...] = ()
    trackers: tuple[str, ...] = ()
    """Programs that the results and training curves are passed on to: ``wandb``, ``tensorboard``, or your own."""

    @field_validator("design")
    @classmethod
    def _rows(cls, design: Any) -> Any:
        return design.model_dump() if isinstance(design, Design) else design

    _document: Document = PrivateAttr(default_factory=lambda: Document({}))
    _plan: Plan | None = PrivateAttr(default=None)

    @property
    def path(self) -> Path | None:
        """The file that the ablation was read from; ``None`` if it was made in Python."""
        return Path(self._document.source) if self._document.source else None

    @property
    def axes(self) -> list[str]:
        """The names of the axes, slowest first."""
        return self.search.axes if self.search else axes_of(dict(self))

    @property
    def warnings(self) -> list[str]:
        """Values without effect and metrics that some trials cannot measure, as ``file:line:column: where: what``.

        Raises ``SpecError``.
        """
        return [str(problem) for problem in self._planned().warnings]

    def points(self) -> list[Point]:
        """Every point of the grid, once per repeat. Raises ``SpecError``."""
        return list(self._planned().points)

    def trials(self) -> list[Trial]:
        """The distinct trials of the points; each is computed only once. Raises ``SpecError``."""
        found: dict[str, Trial] = {}
        for point in self.points():
            found.setdefault(point.trial.id, point.trial)
        return list(found.values())

    def space(self) -> Space:
        """The candidates of the races of ``search``. Raises ``SpecError`` if the ablation has no ``search``."""
        if self.search is None:
            what = "has no block search, so there is nothing to tune: use designspace run"
            raise SpecError([self._document.locate(Problem(what))])
        return Space(dict(self), self._folder)

    def require_points(self) -> None:
        """Raise ``SpecError`` if the ablation has a ``search`` that has found nothing yet, so that it cannot be run."""
        if self.search and not self.search.tuned:
            what = "is for designspace tune FILE (in Python, designspace.tune), not for run"
            raise SpecError([self._document.locate(Problem(what, (SEARCH,), key=True))])

    def changed(self, **fields: Any) -> Self:
        """A copy with other values of some fields, whose relative file names are relative to the same folder."""
        found = self.model_copy(update=fields)
        found._plan = None
        return found

    @property
    def _folder(self) -> Path:
        return self.path.absolute().parent if self.path else Path.cwd()

    def with_denoiser(self, denoiser: Denoiser) -> Self:
        """The ablation with this denoiser in every trial. Raises ``SpecError`` if an axis varies the denoiser."""
        tried = [self.space().tried(row, Problems(), None) for row in self.search.rows] if self.search else []
        found = itertools.chain(varied(dict(self), Problems()), *tried)
        settings = (setting for choice in found for setting in choice.settings)
        places = {setting.place: None for setting in settings if setting.path[0] == ROW}
        what = "varies the denoiser, which is given in Python: leave out one of the two"
        if places:
            raise SpecError([self._document.locate(Problem(what, place)) for place in places])
        return self.changed(**{ROW: denoiser})

    def problem(self, path: DocPath, value: Any, what: str) -> Problem:
        """A problem with a field that is set to ``value``, with the place in the file where it is set.

        A component may have been made of the name or the mapping that is written there.
        """
        return self._document.locate(Problem(what, place_of(dict(self), path, value, self._folder)))

    def _planned(self) -> Plan:
        if self._plan is None:  # the ablation was made in Python; ``load`` sets the plan of one read from a file
            found = plan(dict(self), self._document)
            if found.errors:
                raise SpecError(found.errors)
            self._plan = found
        return self._plan


def load(
    path: Path | str, overrides: Sequence[str] = (), *, also: Callable[[Ablation], object] | None = None
) -> Ablation:
    """Read, check and resolve an ablation.

    Components that are not built in are checked for what would make results wrong: shapes, dtypes, finite values,
    inverses, derivatives, decreasing levels. Each distinct instance is checked, up to 50 of a class and 10 seconds
    each; those for which a file is missing are left to the run. Networks that the user's code makes are built with
    their weights and called once with two images.

    Args:
        path: A YAML file, or the name of an included ablation, such as ``solver_grid``. A file may name Python files to
            import, so read only files that you trust.
        overrides: Changes in the form of the option ``--set``: ``evaluate.images=50``, ``grid.nfe=[7,11]``.
        also: A further check of the ablation, which may lack invalid fields. The problems of a ``SpecError`` that it
            raises are reported with the others.

    Raises:
        SpecError: The file has errors; ``lines`` lists all of them as ``file:line:column: where: what``.
    """
    path = located(Path(path))
    document = read(path)
    if not isinstance(document.data, dict):
        what = "is empty" if document.data is None else f"should be a mapping of fields, not {document.data!r:.60}"
        raise SpecError([document.locate(Problem(what))])
    document.data.setdefault("name", _name_from(path))
    override(document, overrides, list(Ablation.model_fields))
    ablation = _valid_part(document)
    found = plan(dict(ablation), document)
    problems = Problems(_causes([*document.problems, *found.errors]))
    ablation = ablation.model_copy(update={"claims": found.claims})
    ablation._document, ablation._plan = document, found
    if also and not any(problem.path[:1] == ("components",) for problem in problems):  # which may define what is named
        with problems.collecting():
            also(ablation)
    if problems:
        raise SpecError(problems)
    return ablation


def _valid_part(document: Document) -> Ablation:
    """The ablation without its invalid fields, so that the others can be checked as well."""
    try:
        return Ablation.model_validate(document.data)
    except ValidationError as error:
        problems = [_with_its_section(problem) for problem in problems_of(error)]
    document.problems += map(document.locate, problems)
    wrong = {problem.path[0] for problem in problems}
    wrong |= {"claims"} if wrong & {*PARTS, SEARCH} else set()
    rest = {key: value for key, value in document.data.items() if key not in wrong}
    return Ablation.model_validate({"name": "unnamed"} | rest)


def _causes(problems: Sequence[Problem]) -> list[Problem]:
    """``problems`` without those that only follow from a value that could not be read."""
    refused = {problem.path for problem in problems if problem.kind is Kind.UNREADABLE and problem.path}
    return [
        problem
        for problem in problems
        if problem.kind is Kind.UNREADABLE or not any(problem.path[: len(path)] == path for path in refused)
    ]


def _with_its_section(problem: Problem) -> Problem:
    """``problem``, with the section of a field that is written beside the sections, such as ``solver: heun``."""
    name, *below = map(str, problem.path)
    path = ("evaluate", name) if name in Evaluate.model_fields else field_path(name)
    if problem.kind is not Kind.UNKNOWN_FIELD or below or path is None or len(path) < 2:
        return problem
    rest = "".join(f"{{{field}: " for field in path[1:]) + ".." + "}" * len(path[1:])
    where = rest.replace("{", "{preset: edm, ", 1) if path[0] == "design" else rest
    return problem._replace(what=f"unknown field '{name}' at the top level. Did you mean {path[0]}: {where}?")
