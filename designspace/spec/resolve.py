"""From settings to trials, each error with the place of the value that caused it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import Annotated, Any, NamedTuple

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from designspace.data.rows import Data
from designspace.denoising.rows import Denoiser
from designspace.denoising.sigma_data import MEASURED
from designspace.design import Design
from designspace.errors import DataError, brief
from designspace.registry.component import Component, Spec
from designspace.spec.budget import afforded
from designspace.spec.errors import BadValueError, what
from designspace.spec.paths import Location, Setting, build, written
from designspace.spec.trial import Evaluate, Trial
from designspace.spec.unmeasured import unfit_reference

NAMES = {"unknown_component", "unnamed_component", "wrong_component", "not_a_component"}
"""Errors of the name of a component, not of its fields."""
MOST = 10_000
"""More steps or evaluations are a mistake, and counting them would take long."""


class Draft(Spec):
    """A trial whose steps are not counted yet and that may be repeated."""

    design: Design
    data: Data
    denoiser: Denoiser
    evaluate: Evaluate
    num_steps: Annotated[int, Field(ge=2, le=MOST)] = 18
    nfe: Annotated[int, Field(ge=1, le=MOST)] | None = None


class Fault(NamedTuple):
    """One of pydantic's errors about a draft."""

    location: Location
    text: str
    kind: str
    inside: bool
    """Whether fields below the location may have caused it."""


def faults(settings: Sequence[Setting]) -> list[Fault]:
    """What is wrong with the draft that ``settings`` give. Raises ``BadValueError`` if there is none."""
    return [] if isinstance(result := _draft(settings), Draft) else result


def trials(settings: Sequence[Setting], known: Sequence[Fault]) -> Iterator[Trial | BadValueError]:
    """The trials that ``settings`` give, one a repeat; or what is wrong. ``known`` is wrong with the baseline too."""
    try:
        draft = _draft(settings)
    except BadValueError as error:
        yield error
        return
    if not isinstance(draft, Draft):
        yield from (_bad(fault, settings, fault in known) for fault in draft)
        return
    try:
        num_steps = afforded(draft.design, draft.denoiser, draft.num_steps, draft.nfe, settings)
    except BadValueError as error:
        yield error
        return
    parts: dict[str, Any] = {name: getattr(draft, name) for name in ("design", "data", "denoiser", "evaluate")}
    for repeat in range(draft.evaluate.repeats):
        trial = Trial(num_steps=num_steps, seed=draft.evaluate.seed + repeat, **parts)
        missing = list(_missing_files(trial, settings))
        yield from missing
        if not missing:
            yield trial


def _draft(settings: Sequence[Setting]) -> Draft | list[Fault]:
    raw = build(settings)
    token = MEASURED.set(partial(_std, raw.get("data")))
    try:
        return Draft.model_validate(raw)
    except DataError as error:  # no data to measure sigma_data on
        raise BadValueError(written(settings, ("data",)), str(error)) from None
    except ValidationError as error:
        found = error.errors()
        inside = {e["loc"][:i] for e in found for i in range(len(e["loc"]))}  # items that are wrong are items
        return [_fault(e) for e in found if not (e["type"] == "too_short" and e["loc"] in inside)]
    except Exception as error:  # in a component's own validator
        place = next((s.place for s in settings[::-1] if s.varies), ("design",))
        raise BadValueError(place, f"a component fails: {brief(error)}") from error
    finally:
        MEASURED.reset(token)


def _std(raw: Any) -> float:
    """The standard deviation of the data set ``raw``; any number if it is none, which is said where it stands."""
    try:
        data = Data.model_validate(raw)
    except ValidationError:
        return 1.0
    return _std_of(data, data.content_hash())


@lru_cache
def _std_of(data: Data, content: str) -> float:
    return data.load().std


def _fault(error: ErrorDetails) -> Fault:
    kind, inside = error["type"], isinstance(error["input"], dict)
    if kind in NAMES and inside and "name" in error["input"]:
        return Fault((*error["loc"], "name"), what(error), kind, False)
    return Fault(error["loc"], what(error), kind, inside and kind not in NAMES)


def _bad(fault: Fault, settings: Sequence[Setting], known: bool) -> BadValueError:
    if fault.inside and not known:
        for setting in settings[::-1]:
            if setting.varies and setting.path[: len(fault.location)] == fault.location:
                return BadValueError(setting.place, fault.text)
    unknown = fault.kind == "extra_forbidden"
    return BadValueError(written(settings, fault.location, key=unknown), fault.text, key=unknown)


def _missing_files(trial: Trial, settings: Sequence[Setting]) -> Iterator[BadValueError]:
    """What a component needs and cannot find, or finds to be of another kind."""
    missing = False
    for location, component in _components(trial):
        try:
            component.require()
            component.identity()
        except (DataError, OSError) as error:
            missing = True
            yield BadValueError(written(settings, location), str(error))
    if not missing and (text := unfit_reference(trial.evaluate)):
        yield BadValueError(written(settings, ("evaluate", "reference")), text)


def _components(trial: Trial) -> Iterator[tuple[Location, Component]]:
    yield ("data",), trial.data
    yield ("denoiser",), trial.denoiser
    yield ("evaluate", "detector"), trial.evaluate.detector
    if trial.evaluate.reference is not None:
        yield ("evaluate", "reference"), trial.evaluate.reference
    yield from ((("evaluate", "metrics", i), metric) for i, metric in enumerate(trial.evaluate.metrics))
    yield from ((("design", row), value) for row, value in trial.design if isinstance(value, Component))
