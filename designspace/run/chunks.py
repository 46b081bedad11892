"""Computing the chunks of a trial together with other processes and, on a GPU, features beside sampling."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from typing import TYPE_CHECKING

import torch

from designspace.evaluation.rows import Metric, Observation
from designspace.interrupts import finishing
from designspace.registry.factories import FromCallable
from designspace.registry.float32 import full_float32
from designspace.registry.isolation import alone
from designspace.registry.known import ROWS
from designspace.registry.memory import ran_out_of_memory
from designspace.results.sources import components_in
from designspace.run.claims import Claims
from designspace.run.generate import chunks
from designspace.run.stages import Stage, Stages, Tensors

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

WAITING = 16
"""The largest number of chunks of images that wait for the computation of their features."""

Seen = Callable[[int, int, bool], None]
"""Called after each chunk with the number done, the total, and whether this one was computed rather than cached."""
Computed = Generator[tuple[range, Tensors]]


def all_chunks(trial: Trial, stages: Stages, seen: Seen) -> list[Tensors]:
    """The features or the images of all chunks of a trial, computed together with other processes."""
    mine, stage, todo = share_chunks(trial, stages, seen, wait=True), last_stage(trial), chunks(trial.evaluate.images)
    parts = [mine[chunk] if chunk in mine else _part(stage, trial, stages, chunk) for chunk in todo]
    if len(mine) < len(todo):
        seen(len(todo), len(todo), False)
    return parts


def share_chunks(trial: Trial, stages: Stages, seen: Seen, *, wait: bool = False) -> dict[range, Tensors]:
    """Compute chunks of a trial that are missing, together with other processes. Returns those of this process.

    With ``wait``, all chunks are in the cache in the end. The error of a trial is that of the first chunk that fails,
    as with one process: after an error, the chunks before are still computed, or waited for.
    """
    found, failure = dict[range, Tensors](), None
    stage = last_stage(trial)
    computed = _beside if stage == "features" and overlaps(trial, stages.device) else _in_turn
    with Claims(stages.cache, trial.id, _batches(stage, trial, stages), _is_done(stage, trial, stages)) as claims:
        if claims.done and wait:
            seen(claims.done, claims.total, False)
        while True:
            try:
                with closing(computed(stage, trial, stages, claims.taken(wait=wait))) as parts:
                    for chunk, tensors in parts:
                        found[chunk] = tensors
                        claims.release()
                        if failure is None:
                            seen(claims.done, claims.total, True)
                break
            except Exception as error:
                failure, computed = error, _in_turn
                claims.only_before_last()
    if failure is not None:
        raise failure
    return found


def is_shared(trial: Trial, stages: Stages) -> bool:
    """Whether other processes may compute chunks of a trial that one is computing, because its first chunk is there.

    The network has then been trained, and measured time steps have been found.
    """
    return stages.has(last_stage(trial), trial, chunks(trial.evaluate.images)[0])


def last_stage(trial: Trial) -> Stage:
    """The last stage of each chunk: features if there are metrics that compare them."""
    compared = (applies(metric, trial) and not isinstance(metric, Observation) for metric in trial.evaluate.metrics)
    return "features" if any(compared) else "images"


def applies(metric: Metric, trial: Trial) -> bool:
    """Whether ``metric`` is defined for ``trial``; otherwise it is left out, about which ``load`` has warned."""
    try:
        trial.require_defined(metric)
    except ValueError:
        return False
    return True


def _part(stage: Stage, trial: Trial, stages: Stages, chunk: range) -> Tensors:
    return stages.features(trial, chunk) if stage == "features" else stages.images(trial, chunk)


def _is_done(stage: Stage, trial: Trial, stages: Stages) -> Callable[[range], bool]:
    return lambda chunk: stages.has(stage, trial, chunk)


def _batches(stage: Stage, trial: Trial, stages: Stages) -> list[list[range]]:
    """The chunks of a trial, those together that are sampled as one batch."""
    todo = chunks(trial.evaluate.images)
    if all(stages.has(stage, trial, chunk) for chunk in todo):
        return [[chunk] for chunk in todo]
    found: list[list[range]] = []
    for chunk in todo:
        if not found or chunk not in found[-1]:
            found.append(stages.batch(trial, chunk))
    return found


def _in_turn(stage: Stage, trial: Trial, stages: Stages, todo: Iterable[range]) -> Computed:
    """The features or the images of each chunk, one chunk after the other."""
    for chunk in todo:
        with finishing():
            part = _part(stage, trial, stages, chunk)
        yield chunk, part


def overlaps(trial: Trial, device: torch.device) -> bool:
    """Whether features can be computed in a thread beside sampling, which makes a difference on a GPU only.

    Global generators and settings belong to the process, so that both must leave them alone, as built-in components
    without code of the user do. TF32 is such a setting.
    """
    if device.type != "cuda":
        return False
    names = (name.partition("/") for name in components_in(trial.model_dump(mode="json")))
    classes = [ROWS[row].known[name] for row, _, name in names if row in ROWS and name in ROWS[row].known]
    ours = all(cls.built_in() and not issubclass(cls, FromCallable) for cls in classes)
    return ours and "tf32" not in {getattr(part, "precision", None) for part in trial.denoisers}


def _beside(stage: Stage, trial: Trial, stages: Stages, todo: Iterable[range]) -> Computed:
    """The features of each chunk of images, computed in a thread while the next images are sampled.

    If memory does not suffice for this, they are computed after sampling. No thread is left at the end, however it
    comes.
    """
    waiting: deque[tuple[range, Future[Tensors]]] = deque()
    stream = _stream(stages.device)

    def features(chunk: range, images: Tensors) -> Tensors:
        with alone(), stream:
            return stages.features(trial, chunk, images)

    def first() -> tuple[range, Tensors]:
        chunk, future = waiting.popleft()
        try:
            return chunk, future.result()
        except Exception as error:
            if not ran_out_of_memory(error):
                raise
        return chunk, _part(stage, trial, stages, chunk)

    with full_float32():
        stages.loaded.detector(trial.evaluate.detector)  # here, because it may draw from global generators
        pool = ThreadPoolExecutor(1, "features")
        try:
            for chunk in todo:
                with finishing():
                    images = {} if stages.has(stage, trial, chunk) else stages.images(trial, chunk)
                waiting.append((chunk, pool.submit(features, chunk, images)))
                while waiting and (waiting[0][1].done() or len(waiting) > WAITING):
                    yield first()
            while waiting:
                yield first()
        finally:
            pool.shutdown(cancel_futures=True)


def _stream(device: torch.device) -> AbstractContextManager[object]:
    """A stream of the GPU, on which work need not wait for what is computed elsewhere from now on."""
    if device.type != "cuda":
        return nullcontext()
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    return torch.cuda.stream(stream)
