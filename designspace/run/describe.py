"""What a run writes of its ablation beside the results, for reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from designspace.registry.component import Component
from designspace.registry.known import ROWS
from designspace.results.records import SCHEMA, Description, GridPoint, Source
from designspace.results.sources import components_in
from designspace.spec.baseline import default_labels
from designspace.storage.files import content_key

if TYPE_CHECKING:
    from designspace.spec import Ablation
    from designspace.spec.trial import Point, Trial

BASELINE = ("data", "denoiser", "guidance", "decoder", "design", "num_steps", "nfe", "nfe_total", "evaluate")
"""The fields of an ablation that every point starts from."""


def describe(ablation: Ablation, points: Sequence[Point]) -> Description:
    """What a report must know of the ablation, so that it can name missing points and needs no component."""
    optional: dict[str, Any] = {"components": list(ablation.components)} if ablation.components else {}
    return Description(
        schema=SCHEMA,
        name=ablation.name,
        question=ablation.question,
        axes=list(ablation.axes),
        claims=ablation.model_dump(mode="json", include={"claims"})["claims"],
        baseline=ablation.model_dump(mode="json", include=set(BASELINE)),
        baseline_axes=default_labels(dict(ablation), points),
        metrics=[metric.name for metric in points[0].trial.evaluate.metrics] if points else [],
        points=[GridPoint(id=point.trial.id, axes=point.axes) for point in points],
        sources=_sources(points),
        identities=_identities(points),
        **optional,
    )


def _sources(points: Sequence[Point]) -> dict[str, list[Source]]:
    """The publications that the components of the trials declare as their sources."""
    classes = components_of(points)
    return {
        name: [Source(**source._asdict()) for source in cls.sources] for name, cls in classes.items() if cls.sources
    }


def _identities(points: Sequence[Point]) -> dict[str, str]:
    """A hash of the identity of each component, by ``row/name`` and a hash of the component as specs have it."""
    values = [value for _, value in _distinct(points)]
    components = [c for value in values for c in (value if isinstance(value, tuple | list) else [value])]
    found = {
        f"{c.row}/{c.name} {content_key(to_jsonable_python(c))[:12]}": content_key(c.identity())[:12]
        for c in components
        if isinstance(c, Component)
    }
    return dict(sorted(found.items()))


def components_of(points: Sequence[Point]) -> dict[str, type[Component]]:
    """The classes of all components of the trials by ``row/name``, in the order of names."""
    specs = (to_jsonable_python({name: value}) for name, value in _distinct(points))
    paths = (name.split("/", 1) for name in sorted({name for spec in specs for name in components_in(spec)}))
    found = {f"{row}/{name}": ROWS[row].known.get(name) for row, name in paths if row in ROWS}
    return {path: cls for path, cls in found.items() if cls}


def _distinct(points: Sequence[Point]) -> Iterable[tuple[str, Any]]:
    """The fields of all trials, of which many are shared, with each value once."""
    return {id(value): (name, value) for point in points for name, value in _fields(point.trial)}.values()


def _fields(trial: Trial) -> Iterator[tuple[str, Any]]:
    """The fields of a trial, with those of its sections ``design`` and ``evaluate`` in place of these."""
    yield from (("data", trial.data), ("denoiser", trial.denoiser))
    yield from (("guidance", trial.guidance), ("decoder", trial.decoder))
    yield from trial.design
    yield from trial.evaluate
