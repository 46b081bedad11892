"""Components: named, registered, validated design choices.

A *row* is an abstract class (``class Schedule(Component, row="schedule")``), a *component* a concrete subclass of a row
(``class VP(Schedule, name="vp")``). Defining the class registers it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from designspace.errors import DataError
from designspace.registry import sources
from designspace.registry.cells import Cell
from designspace.registry.description import documented
from designspace.registry.identity import as_json, beside, built_with, identified, why_not_hashed
from designspace.registry.known import ROWS, Known
from designspace.registry.literature import Source
from designspace.text import did_you_mean

FOLDER = "folder"
"""The key, in pydantic's validation context, of the folder that the files named in a spec are relative to."""


def folder_of(info: ValidationInfo) -> Path | None:
    """The folder of the spec that is being validated, or ``None`` if the validation context names none."""
    return cast(Path | None, (info.context or {}).get(FOLDER))


Count = Annotated[int, Field(ge=2, le=10_000_000)]
"""A number of images, levels and the like. More would be a mistake and would not fit into memory."""
Neighbours = Annotated[int, Field(ge=1, le=10_000)]
Order = Annotated[float, Field(ge=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Spec(BaseModel):
    """An immutable, hashable model. It refuses NaN, and unknown fields with a suggestion."""

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
                name, known = line["loc"][0], [field.alias or name for name, field in cls.model_fields.items()]
                own = f"{getattr(cls, 'row', '')} {getattr(cls, 'name', cls.__name__)}".strip()
                fields = f"Fields: {', '.join(known)}." if known else f"The {own} has no fields."
                text = f"unknown field '{name}'.{did_you_mean(name, known)} {fields}"
            final = PydanticCustomError(kind, "{text}", {**line.get("ctx", {}), "text": text})
            return InitErrorDetails(type=final, loc=line["loc"], input=line["input"])

        return ValidationError.from_exception_data(error.title, [better(e) for e in error.errors()])

    @field_validator("*")
    @classmethod
    def _no_nan(cls, value: Any) -> Any:
        if isinstance(value, float) and math.isnan(value):
            raise PydanticCustomError("nan", "NaN is not allowed")
        return value


class Component(Spec):
    """One cell of Table 1. Its fields are its hyper-parameters; it is immutable and hashable.

    ``version`` is raised whenever the numbers of a built-in component change. It is part of the identity of every trial
    that uses the component, so old results are not mistaken for new ones.
    """

    row: ClassVar[str]
    name: ClassVar[str]
    version: ClassVar[int] = 1
    formula: ClassVar[str] = ""
    """The displayed equation in LaTeX; ``\\\\`` begins a new line and ``&`` aligns. Subclasses do not inherit it."""
    sources: ClassVar[tuple[Source, ...]] = ()
    """The publications that define the component. Subclasses do not inherit them."""
    uses: ClassVar[tuple[str, ...]] = ()
    """Other components that the code fetches by name, such as ``solver/heun``: their versions enter the identity."""
    known: ClassVar[Known]
    """The components of this row, by name."""
    _source: ClassVar[str | Cell | None] = ""  # the source if a user defines the class; None if it cannot be read

    def __init_subclass__(cls, *, row: str = "", name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__module__.startswith("designspace."):
            cls._source = sources.defining(cls.__module__, cls.__name__)
        if row:
            cls.row, cls.known = row, Known(row)
            ROWS.add(row, cls)
        elif name:
            if "__init__" in vars(cls):
                raise TypeError(f"{cls.row} '{name}' defines __init__: its arguments are fields, `order: int = 2`")
            cls.name = name
            cls.formula, cls.sources = vars(cls).get("formula", ""), vars(cls).get("sources", ())
            cls.__doc__ = documented(vars(cls).get("__doc__"), cls.formula, cls.sources)
            cls.known[name] = cast(Any, cls)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, field in cls.model_fields.items():
            if why := why_not_hashed(field):
                raise TypeError(f"field '{name}' of {cls.__name__}: {why}")

    @classmethod
    def get(cls, name: str) -> type[Self]:
        """The component called ``name`` of this row. Raises an error with a suggestion if there is none."""
        if name not in cls.known:
            near, known = did_you_mean(name, cls.known.names()), ", ".join(sorted(cls.known))
            text = f"unknown {cls.row} '{name}'.{near} Known: {known}."
            raise PydanticCustomError("unknown_component", "{text}", {"text": text})
        found = cls.known[name]
        if missing := sorted(found.__abstractmethods__):
            text = f"{cls.row} '{name}' does not define {', '.join(missing)}; see: designspace show {cls.row}"
            raise PydanticCustomError("unknown_component", "{text}", {"text": text})
        return found

    @model_validator(mode="wrap")
    @classmethod
    def _from_name(cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Accept ``heun`` or ``{name: heun, alpha: 0.5}`` where a field is annotated with a row."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, str | Mapping):
            text = f"{cls.row} is a name or a mapping with 'name', not {value!r}"
            raise PydanticCustomError("not_a_component", "{text}", {"text": text})
        params: dict[str, Any] = {"name": value} if isinstance(value, str) else dict(value)
        if cls is not ROWS[cls.row]:
            if (name := params.pop("name", cls.name)) != cls.name:
                text = f"this is {cls.row} '{cls.name}', not '{name}'"
                raise PydanticCustomError("wrong_component", "{text}", {"text": text})
            return handler(params)
        if "name" not in params:
            text = f"{cls.row} needs a 'name'. Known: {', '.join(sorted(cls.known))}."
            raise PydanticCustomError("unnamed_component", "{text}", {"text": text})
        return cls.get(str(params.pop("name"))).model_validate(params, context=info.context)

    @field_validator("*")
    @classmethod
    def _beside_the_spec(cls, value: Any, info: ValidationInfo) -> Any:
        folder = folder_of(info)
        return value if folder is None else beside(value, folder)

    @model_validator(mode="after")
    def _no_relative_defaults(self) -> Self:
        for name in type(self).model_fields.keys() - self.model_fields_set:
            value = getattr(self, name)
            if (absolute := beside(value, Path("/"))) is not value and absolute != value:
                text = f"the default of {name} is a relative path: begin it with Path(__file__).parent"
                raise PydanticCustomError("relative_default", "{text}", {"text": text})
        return self

    @model_validator(mode="after")
    def _range(self) -> Self:
        low, high = getattr(self, "sigma_min", 0.0), getattr(self, "sigma_max", math.inf)
        if low >= high:
            text = f"sigma_min = {low} is not below sigma_max = {high}"
            raise PydanticCustomError("empty_range", "{text}", {"text": text})
        return self

    @model_serializer
    def _dump(self) -> dict[str, Any]:
        return {"name": self.name} | {k: as_json(getattr(self, k)) for k in type(self).model_fields}

    @classmethod
    def remark(cls) -> str:
        """A sentence that ``designspace show`` and the documentation add to the docstring; by default none."""
        return ""

    def __hash__(self) -> int:
        fields = tuple(getattr(self, name) for name in type(self).model_fields)
        try:
            return hash((type(self), fields))
        except TypeError:  # a component of the user's own with lists or mappings among its fields
            return hash((type(self), repr(fields)))

    def __str__(self) -> str:
        changed = {k: v for k, v in self if k in self.model_fields_set and v != type(self).model_fields[k].default}
        return self.name + (f"({', '.join(f'{k}={v}' for k, v in changed.items())})" if changed else "")

    def require(self) -> None:
        """Raise ``DataError`` if a file or module that it needs is missing; called before anything is computed."""
        for name, value in self:
            if isinstance(value, Component):
                try:
                    value.require()
                except DataError as error:
                    error.within(name)
                    raise

    def identity(self) -> dict[str, Any]:
        """Everything that the numbers of the component depend on: its origin and its fields.

        A field of type ``Path`` counts by the content of the file or folder, which has to exist. It is relative to the
        spec that gives it; a default is absolute, such as ``Path(__file__).parent / "weights.bin"``. A component that
        only writes to a path, or reads but a part of a folder, overrides this method.
        """
        return self.origin() | identified(self)

    @classmethod
    def built_in(cls) -> bool:
        """Whether the class belongs to this package rather than to a user or a plugin."""
        return cls._source == ""

    @classmethod
    def in_notebook(cls) -> bool:
        """Whether the class is defined in a cell of a notebook, which no other process can import."""
        return isinstance(cls._source, Cell)

    @classmethod
    def origin(cls) -> dict[str, Any]:
        """The part of the identity that comes from the code: name, version or source hash, and what it ``uses``.

        Raises ``DataError`` if the source of a user's component cannot be read; see ``registry.sources``.
        """
        if cls._source is None:
            place = "define it in a file or in a cell of a notebook"
            raise DataError(f"{cls.row} '{cls.name}': the source of its class cannot be read, so it has no id; {place}")
        source = cls._source.digest() if isinstance(cls._source, Cell) else cls._source
        own = {"source": source} if source else {"version": cls.version}
        used = (ROWS[row].known[name] for row, name in (path.split("/") for path in cls.uses))
        return {"name": cls.name} | own | built_with(used)
