"""Components: named, registered, validated design choices.

A *row* is an abstract class (``class Schedule(Component, row="schedule")``); a *component* is a
concrete subclass of a row (``class VP(Schedule, name="vp")``). Defining the class registers it.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import math
import sys
import textwrap
from collections.abc import Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from designspace.registry import sources
from designspace.registry.builtin import import_builtin, import_plugins
from designspace.registry.literature import Source
from designspace.text import did_you_mean

ROW_MODULES = ("sampling.rows", "sampling.solver", "denoising.rows", "training.rows", "data.rows", "evaluation.rows")
"""Where rows are defined: the blocks of Table 1, then what surrounds them."""
TABLE_1 = (
    "solver", "time_steps", "schedule", "scaling",
    "c_skip", "c_out", "c_in", "c_noise",
    "noise_distribution", "loss_weight",
)  # fmt: skip
"""The rows of Table 1 in its order; further rows follow by name."""


class Rows(Mapping[str, "type[Component]"]):
    """Every row by name. The modules that define them are imported when a row is asked for that is not known yet."""

    def __init__(self) -> None:
        self._rows: dict[str, type[Component]] = {}

    def add(self, row: type[Component]) -> None:
        """Make a row known by its name."""
        self._rows[row.row] = row

    def __getitem__(self, name: str) -> type[Component]:
        if name not in self._rows:
            self._import_all()
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        self._import_all()
        return iter([*TABLE_1, *sorted(self._rows.keys() - set(TABLE_1))])

    def __len__(self) -> int:
        self._import_all()
        return len(self._rows)

    def _import_all(self) -> None:
        for module in ROW_MODULES:
            importlib.import_module(f"designspace.{module}")


ROWS = Rows()
"""Every row, by name."""


class Known(MutableMapping[str, "type[Component]"]):
    """The components of a row by name.

    A built-in component is imported when it is looked up, from its file ``components/<row>/<name>.py``; plugins are
    imported when a name is not among these; and all of them when the mapping is iterated.
    """

    def __init__(self, row: str) -> None:
        self._row = row
        self._classes: dict[str, type[Component]] = {}

    def __getitem__(self, name: str) -> type[Component]:
        if name not in self._classes:
            import_builtin(self._row, name)
        if name not in self._classes:
            import_plugins()
        return self._classes[name]

    def __setitem__(self, name: str, cls: type[Component]) -> None:
        """Register a component. Raises ``TypeError`` if another has its name."""
        import_builtin(self._row, name)
        other = self._classes.get(name, cls)
        if _place(other) != _place(cls):
            raise TypeError(f"{self._row} {name!r} is defined twice: in {_place(other)} and in {_place(cls)}")
        self._classes[name] = cls

    def __delitem__(self, name: str) -> None:
        del self._classes[name]

    def __iter__(self) -> Iterator[str]:
        import_builtin(self._row)
        import_plugins()
        return iter(self._classes)

    def __len__(self) -> int:
        return len(list(iter(self)))


FOLDER: ContextVar[Path | None] = ContextVar("FOLDER", default=None)
"""While a file is read that names other files: the folder that they are relative to."""

Count = Annotated[int, Field(ge=2)]
Neighbours = Annotated[int, Field(ge=1)]
Order = Annotated[float, Field(ge=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Spec(BaseModel):
    """An immutable, hashable model that refuses unknown fields with a suggestion, and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _suggest(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            raise cls._with_suggestions(error) from None

    @classmethod
    def _with_suggestions(cls, error: ValidationError) -> ValidationError:
        def better(line: Any) -> InitErrorDetails:
            text, kind = line["msg"], line["type"]
            if kind == "extra_forbidden" and len(line["loc"]) == 1:
                name, known = line["loc"][0], list(cls.model_fields)
                text = f"unknown field '{name}'.{did_you_mean(name, known)} Fields: {', '.join(known) or 'none'}."
            final = PydanticCustomError(kind, "{text}", {"text": text})
            return InitErrorDetails(type=final, loc=line["loc"], input=line["input"])

        return ValidationError.from_exception_data(error.title, [better(e) for e in error.errors()])

    @field_validator("*")
    @classmethod
    def _no_nan(cls, value: Any) -> Any:
        if isinstance(value, float) and math.isnan(value):
            raise PydanticCustomError("nan", "NaN is not a value")
        return value


class Component(Spec):
    """One cell of Table 1; its fields are its hyper-parameters. Immutable and hashable.

    ``version`` is raised when the numbers that a built-in component gives change: it is part of
    the identity of every trial that uses the component, so old results are not mistaken for new.
    """

    row: ClassVar[str]
    name: ClassVar[str]
    version: ClassVar[int] = 1
    formula: ClassVar[str] = ""
    """LaTeX, as in a displayed equation; ``\\\\`` begins a new line and ``&`` aligns. Not inherited."""
    sources: ClassVar[tuple[Source, ...]] = ()
    """The publications that define the component. Not inherited."""
    known: ClassVar[MutableMapping[str, type[Self]]]  # the components of this row, by name
    _source: ClassVar[str | None] = None

    def __init_subclass__(cls, *, row: str = "", name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__module__.startswith("designspace."):
            cls._source = sources.record(cls.__module__)
        if row:
            cls.row, cls.known = row, cast(Any, Known(row))
            ROWS.add(cls)
        elif name:
            cls.name = name
            cls.formula, cls.sources = vars(cls).get("formula", ""), vars(cls).get("sources", ())
            cls.__doc__ = _documented(cls)
            cls.known[name] = cast(Any, cls)

    @classmethod
    def get(cls, name: str) -> type[Self]:
        """The component of this row called ``name``; raises an error with a suggestion if there is none."""
        if name not in cls.known:
            text = f"unknown {cls.row} '{name}'.{did_you_mean(name, cls.known)} Known: {', '.join(sorted(cls.known))}."
            raise PydanticCustomError("unknown_component", "{text}", {"text": text})
        return cls.known[name]

    @model_validator(mode="wrap")
    @classmethod
    def _from_name(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """``heun`` or ``{name: heun, alpha: 0.5}`` where the field is annotated with a row."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, str | Mapping):
            text = f"a {cls.row} is a name or a mapping with 'name', not {value!r}"
            raise PydanticCustomError("not_a_component", "{text}", {"text": text})
        params: dict[str, Any] = {"name": value} if isinstance(value, str) else dict(value)
        if cls is not ROWS[cls.row]:
            if (name := params.pop("name", cls.name)) != cls.name:
                text = f"this is {cls.row} '{cls.name}', not '{name}'"
                raise PydanticCustomError("wrong_component", "{text}", {"text": text})
            return handler(params)
        if "name" not in params:
            text = f"a {cls.row} needs a 'name'. Known: {', '.join(sorted(cls.known))}."
            raise PydanticCustomError("unnamed_component", "{text}", {"text": text})
        return cls.get(str(params.pop("name"))).model_validate(params)

    @field_validator("*")
    @classmethod
    def _beside_the_spec(cls, value: Any) -> Any:
        folder = FOLDER.get()
        return folder / value.expanduser() if folder and isinstance(value, Path) else value

    @model_validator(mode="after")
    def _range(self) -> Self:
        low, high = getattr(self, "sigma_min", 0.0), getattr(self, "sigma_max", math.inf)
        if low >= high:
            text = f"sigma_min = {low} is not below sigma_max = {high}"
            raise PydanticCustomError("empty_range", "{text}", {"text": text})
        return self

    @model_serializer
    def _dump(self) -> dict[str, Any]:
        return {"name": self.name} | {k: _plain(getattr(self, k)) for k in type(self).model_fields}

    def __str__(self) -> str:
        changed = {k: v for k, v in self if k in self.model_fields_set and v != type(self).model_fields[k].default}
        return self.name + (f"({', '.join(f'{k}={v}' for k, v in changed.items())})" if changed else "")

    def require(self) -> None:
        """Raise ``DataError`` if a file or module that it needs is missing; called before anything is computed."""
        for _, value in self:
            if isinstance(value, Component):
                value.require()

    def identity(self) -> dict[str, Any]:
        """What numbers depend on: the fields, and the version (built-in) or the source's hash (user's).

        A component that names files overrides this with their content's hash in place of the path.
        """
        return self.origin() | {k: _identity(getattr(self, k)) for k in type(self).model_fields}

    @classmethod
    def origin(cls) -> dict[str, Any]:
        """The part of the identity that is not in the fields: name, and version or source hash.

        A user's source is what was executed, with the modules that it imports from beside itself; see ``sources``.
        """
        if cls.__module__.startswith("designspace.components."):
            return {"name": cls.name, "version": cls.version}
        source = cls._source or hashlib.sha256(inspect.getsource(cls).encode()).hexdigest()
        return {"name": cls.name, "source": source}


def _documented(cls: type[Component]) -> str:
    """The docstring with the formula after its first paragraph and the sources at its end, in reStructuredText."""
    parts = inspect.cleandoc(vars(cls).get("__doc__") or "").split("\n\n", 1)
    if cls.formula:
        parts.insert(1, ".. math:: " + textwrap.indent(inspect.cleandoc(cls.formula), "    ").lstrip())
    if cls.sources:
        parts += ["Sources:", "\n".join(f"- {s.authors} ({s.year}). {s.title}. {s.url}" for s in cls.sources)]
    return "\n\n".join(parts)


def _plain(value: Any) -> Any:
    """JSON has no infinity: it is written as the string ``inf``, which pydantic reads back as a number."""
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, Component):
        return value.model_dump()
    if isinstance(value, Path):
        return str(value)
    return value


def _identity(value: Any) -> Any:
    return value.identity() if isinstance(value, Component) else _plain(value)


def _place(cls: type[Component]) -> str:
    file = getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.__module__
    return f"{file}:{cls.__qualname__}"
