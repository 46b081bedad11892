"""The block ``search`` of an ablation: which choices ``designspace tune`` tries, and at which budgets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from designspace.errors import DocPath
from designspace.registry.component import Finite, Positive, Spec
from designspace.spec.axes import Change, Choice, choices
from designspace.spec.paths import PARTS, SEARCH, STEPS, Setting
from designspace.spec.problems import Problems, refusal
from designspace.spec.steps import STEP_LIMIT
from designspace.text import Label

BASELINE = "baseline"
TUNED = "tuned"
"""The labels of the baseline and of the designs that were found, on the axis ``design``."""


class Range(Spec):
    """Values of a numeric field that are tried: ``{from: 3, to: 15, scale: log, points: 5}``."""

    low: Finite = Field(alias="from")
    high: Finite = Field(alias="to")
    scale: Literal["log", "linear"] = "log"
    points: Annotated[int, Field(ge=3, le=50)] = 5

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = handler(self)
        return {"from": self.low, "to": self.high} | {k: v for k, v in found.items() if k in ("scale", "points")}

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.low >= self.high:
            text = f"from = {self.low:g} is not below to = {self.high:g}"
            raise PydanticCustomError("empty_range", "{text}", {"text": text})
        if self.scale == "log" and self.low <= 0:
            text = f"from = {self.low:g} has no logarithm: use scale: linear"
            raise PydanticCustomError("not_positive", "{text}", {"text": text})
        return self

    def values(self, *, integer: bool = False) -> list[float] | list[int]:
        """The values, in increasing order and rounded to three significant digits; distinct integers if ``integer``."""
        there, back = (math.log, math.exp) if self.scale == "log" else (float, float)
        low, high = there(self.low), there(self.high)
        inner = [back(low + (high - low) * i / (self.points - 1)) for i in range(1, self.points - 1)]
        if integer:
            return sorted({round(value) for value in (self.low, *inner, self.high)})
        return [self.low, *(float(f"{value:.3g}") for value in inner), self.high]


def _tried(value: Any) -> Any:
    """Validate what is tried of a row: ``all``, a range, or a list of candidates."""
    if isinstance(value, Mapping) and not {"name", "set", "label"} & value.keys():
        return Range.model_validate(value)
    if isinstance(value, Range) or value == "all":
        return value
    if isinstance(value, list | tuple):
        return list(value)
    text = f"should be a list of candidates, all, or a range such as {{from: 3, to: 15}}, not {value!r:.80}"
    raise PydanticCustomError("candidates", "{text}", {"text": text})


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _one_step_field(value: Any) -> Any:
    if not isinstance(value, Mapping) or len(value) != 1 or next(iter(value)) not in STEPS:
        text = f"should name one of {', '.join(STEPS)} with one or more budgets, as in {{nfe: [7, 11]}}"
        raise PydanticCustomError("budgets", "{text}", {"text": text})
    return value


def _distinct(budgets: list[int]) -> list[int]:
    if twice := next((budget for i, budget in enumerate(budgets) if budget in budgets[:i]), None):
        raise PydanticCustomError("twice", "{text}", {"text": f"{twice} is listed twice"})
    return budgets


Tried = Annotated[Literal["all"] | Range | list[Any], BeforeValidator(_tried)]
Budgets = Annotated[
    list[Annotated[int, Field(ge=1), STEP_LIMIT]],
    BeforeValidator(_listed),
    Field(min_length=1),
    AfterValidator(_distinct),
]


class Spent(Spec):
    """A limit on what the races of a search may cost; the final test comes on top."""

    minutes: Positive | None = None
    images: Annotated[int, Field(ge=1)] | None = None


class Search(Spec):
    """What ``designspace tune`` searches: rows and fields, each at one or more budgets of evaluations."""

    at: Annotated[dict[str, Budgets], BeforeValidator(_one_step_field)]
    """The budgets, ``{nfe: [7, 11]}``; each has a search of its own."""
    rows: dict[str, Tried] = Field(min_length=1)
    """What is tried, in the order in which it is raced: rows such as ``solver`` and fields such as
    ``time_steps.rho``, each with a list of candidates, ``all`` components of the row, or a range of values."""
    stages: Annotated[int, Field(ge=1, le=10)] = 4
    """The number of stages of a race. Each uses twice as many images as the one before; the last uses
    ``evaluate.images``."""
    passes: Annotated[int, Field(ge=1, le=10)] = 2
    """The largest number of passes over the rows. The search ends earlier if a pass changes nothing."""
    budget: Spent = Spent()
    """What the races may cost: ``{minutes: 30}`` or ``{images: 100000}``."""
    against: tuple[Change, ...] = ()
    """Further designs with which the design found is compared in the final test."""
    final_images: Annotated[int, Field(ge=2)] | None = None
    """The number of fresh images per design of the final test; by default ``evaluate.images``."""

    _tuned: dict[int, dict[str, Any]] = PrivateAttr(default_factory=dict)

    @property
    def step_field(self) -> str:
        """The field in which budgets are given: ``nfe``, ``nfe_total`` or ``num_steps``."""
        return next(iter(self.at))

    @property
    def budgets(self) -> list[int]:
        """The budgets, in the order in which they are written."""
        return self.at[self.step_field]

    @property
    def axes(self) -> list[str]:
        """The axes of the final test."""
        return ["design", self.step_field]

    @property
    def labels(self) -> list[dict[str, Label]]:
        """The points of the final test, about which claims may be made before the search."""
        names = (BASELINE, TUNED, *(change.name() for change in self.against))
        return [{"design": name, self.step_field: budget} for budget in self.budgets for name in names]

    @property
    def tuned(self) -> Mapping[int, Mapping[str, Any]]:
        """For each budget, the fields of the design that was found; empty before the search."""
        return self._tuned

    def with_tuned(self, tuned: Mapping[int, Mapping[str, Any]]) -> Self:
        """The same search with the designs that were found, which are one more value of its axis ``design``."""
        found = self.model_copy()
        found._tuned = {budget: dict(changes) for budget, changes in tuned.items()}
        return found

    def designs(self, budget: int, problems: Problems) -> Iterator[Choice]:
        """The designs of the final test at a budget: the baseline, that which was found, and those of ``against``."""
        yield Choice({"design": BASELINE})
        if budget in self._tuned:
            change = Change(label=TUNED, set=self._tuned[budget])
            yield Choice({"design": TUNED}, tuple(change.settings((SEARCH, "tuned", budget))))
        names: list[Label] = [BASELINE, TUNED]
        for i, change in enumerate(self.against):
            with problems.collecting():
                place: DocPath = (SEARCH, "against", i)
                if change.name() in names:
                    raise refusal(f"another design is also called '{change.name()}': give it another label", place)
                names.append(change.name())
                yield Choice({"design": change.name()}, tuple(change.settings(place)))

    def step(self, budget: int) -> Choice:
        """The budget as a change of the baseline."""
        place: DocPath = (SEARCH, "at", self.step_field)
        setting = Setting((self.step_field,), budget, (*place, self.budgets.index(budget)), place)
        return Choice({self.step_field: budget}, (setting,))

    def choices(self, problems: Problems) -> list[Choice]:
        """Every design of the final test at every budget."""
        found = (self.designs(budget, problems) for budget in self.budgets)
        each = zip(self.budgets, found, strict=True)
        return [design + self.step(budget) for budget, designs in each for design in designs]


def varied(fields: Mapping[str, Any], problems: Problems) -> list[Choice]:
    """The points of the ablation with these ``fields``; invalid values are reported in ``problems``."""
    search: Search | None = fields[SEARCH]
    return search.choices(problems) if search else choices({part: fields[part] for part in PARTS}, problems)
