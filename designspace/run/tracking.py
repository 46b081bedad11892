"""Calling the trackers of a run with its events, without any effect on the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from designspace.errors import brief, warn
from designspace.interrupts import contained
from designspace.registry.isolation import Generators, settings_kept
from designspace.results.records import Result
from designspace.results.store import Results
from designspace.run.events import Event, Report, of_training
from designspace.run.job import label
from designspace.run.trackers import Metrics, Pictures, Tracked, Tracker
from designspace.spec.own import users_line
from designspace.storage.locks import storing
from designspace.training.loop import Progress, Seen

if TYPE_CHECKING:
    from designspace.spec.trial import Point

COLUMNS = 4
"""The number of images in a row of a picture."""


@contextmanager
def tracked(
    shown: AbstractContextManager[Report],
    trackers: Sequence[type[Tracker]],
    ablation: str,
    points: Sequence[Point],
    results: Results,
    device: str,
) -> Iterator[Report]:
    """Yield a function that passes each event of a run on to what ``shown`` yields and to the ``trackers``.

    At the end of a run, results that a tracker has not seen yet are passed on, for instance those that were computed
    before the ablation named it. ``device`` is that of this process, on which trackers must not disturb computations.
    """
    hooks = [_Hook(tracker, ablation, points, results, torch.device(device)) for tracker in trackers]
    with shown as show:

        def both(event: Event) -> None:
            show(event)
            for hook in hooks:
                hook.see(event)

        try:
            yield both
            for hook in hooks:
                hook.catch_up()
        finally:
            for hook in hooks:
                hook.close()


@contextmanager
def training_tracked(
    trackers: Sequence[type[Tracker]], ablation: str, point: Point, results: Results, device: torch.device
) -> Iterator[Seen]:
    """Yield a function that passes the progress of a training outside a run on to the trackers.

    It belongs to the trial of ``point``, as in the run that needs the network, and ends with the last loss.
    """
    hooks = [_Hook(tracker, ablation, [point], results, device) for tracker in trackers]
    values: dict[str, float] = {}
    lasts = False

    def seen(progress: Progress) -> None:
        values.update(of_training(progress))
        about = progress.images, progress.of, True, progress.pace, dict(values)
        for hook in hooks:
            hook.see(Event("training", point.trial.id, label(point), *about))

    try:
        yield seen
        lasts = True
    finally:
        for hook in hooks:
            hook.close(values if lasts else {})


class _Hook:
    """One of the trackers of a run: its objects for the trials that are being computed, and what it has been told."""

    def __init__(
        self,
        tracker: type[Tracker],
        ablation: str,
        points: Sequence[Point],
        results: Results,
        device: torch.device,
    ) -> None:
        self._tracker, self._ablation, self._results, self._device = tracker, ablation, results, device
        self._points: dict[str, Point] = {}
        for point in points:
            self._points.setdefault(point.trial.id, point)
        self._open: dict[str, Tracker] = {}
        self._fails = False
        self._name = tracker.name or tracker.__name__
        self._told = results.folder / f".tracked-{self._name}"
        """The ids of the trials whose results the tracker has, one per line."""

    def see(self, event: Event) -> None:
        """Pass on an event."""
        id = event.trial
        if event.kind in ("training", "sampling"):
            self._begin(id)
            if event.values and id in self._open:
                self._call(lambda: self._open[id].progress(event.done, event.values))
        elif event.kind == "failed":
            self._begin(id)
            self._end(id)
        elif id in self._open or id not in self._has():
            self._pass_on(id)

    def catch_up(self) -> None:
        """Pass on the results that the tracker does not have yet."""
        has = self._has()
        for id in self._points:
            if id not in has and self._results.of_trial(id):
                self._pass_on(id)

    def close(self, metrics: Metrics | None = None) -> None:
        """End the trials that have no result, because they were interrupted or only a network was trained."""
        for id in list(self._open):
            self._end(id, metrics)

    def _pass_on(self, id: str) -> None:
        if rows := self._results.of_trial(id):
            self._begin(id)
            if self._end(id, metrics_of(rows[0]), pictures_of(self._results.artefact(id))):
                with storing(self._told), self._told.open("a") as file:
                    file.write(f"{id}\n")
        elif id in self._open:  # it has failed in another process
            self._end(id)

    def _begin(self, id: str) -> None:
        if id not in self._open and not self._fails:
            point = self._points[id]
            spec = point.trial.model_dump(mode="json")

            def begin() -> None:
                made = self._tracker()
                made.began(self._about(id), spec)
                self._open[id] = made

            self._call(begin)

    def _end(self, id: str, metrics: Metrics | None = None, pictures: Pictures | None = None) -> bool:
        one = self._open.pop(id, None)
        return one is not None and self._call(lambda: one.ended(self._about(id), metrics or {}, pictures or {}))

    def _about(self, id: str) -> Tracked:
        point = self._points[id]
        return Tracked(id, self._ablation, label(point), dict(point.axes), self._results.folder.absolute())

    def _has(self) -> set[str]:
        return set(self._told.read_text().split()) if self._told.is_file() else set()

    def _call(self, what: Callable[[], None]) -> bool:
        """Whether the tracker could be called. After its first exception, it is not called any more."""
        if self._fails:
            return False
        generators = Generators(self._device)
        try:
            with settings_kept(), contained():
                what()
        except Exception as error:
            self._fails = True
            self._open.clear()
            failure = f"tracker {self._name} fails{users_line(error)}: {brief(error):.300}"
            warn(f"{failure}; it is left alone, and the next run passes on what it misses")
        finally:
            generators.restore()
        return not self._fails


def metrics_of(result: Result) -> dict[str, float | str]:
    """The numbers of a result by name; ``frechet_stderr`` is the standard error of ``frechet``."""
    found: dict[str, float | str] = {}
    for name, metric in result.metrics.items():
        further = {"stderr": metric.se, "drawn": metric.drawn, "protocol": metric.protocol}
        found |= {name: metric.value} | {f"{name}_{key}": value for key, value in further.items() if value is not None}
    seconds = math.fsum((result.seconds or {}).values())
    return found | {"nfe": result.nfe, "nfe_total": result.nfe_total, "images": result.images, "seconds": seconds}


def pictures_of(artefact: Mapping[str, Any] | None) -> dict[str, np.ndarray]:
    """The images of an artefact as one picture, if they are grey or RGB."""
    images = None if artefact is None else artefact.get("images")
    if images is None or images.shape[1] not in (1, 3) or images[0].size <= 3:
        return {}
    n, c, h, w = images.shape
    rows = math.ceil(n / COLUMNS)
    padded = np.concatenate([images, np.zeros((rows * COLUMNS - n, c, h, w), np.uint8)])
    grid = padded.reshape(rows, COLUMNS, c, h, w).transpose(0, 3, 1, 4, 2)
    return {"samples": grid.reshape(rows * h, COLUMNS * w, c)}
