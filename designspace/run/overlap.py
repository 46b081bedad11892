"""Computing the features of some images while the next ones are sampled."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch

from designspace.registry.factories import FromCallable
from designspace.registry.float32 import full_float32
from designspace.registry.isolation import alone
from designspace.registry.known import ROWS
from designspace.results.sources import components_in
from designspace.run.generate import chunks, ran_out_of_memory
from designspace.run.stages import Stages, Tensors

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

WAITING = 16
"""The largest number of chunks of images that wait for the computation of their features."""


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


def features_beside_sampling(trial: Trial, stages: Stages) -> Generator[tuple[Tensors, bool]]:
    """The ``features`` of each chunk of images, with whether they were computed now, in the order of the chunks.

    They are computed in a thread. If memory does not suffice for this, they are computed after sampling. No thread is
    left at the end, however it comes.
    """
    waiting: deque[tuple[range, bool, Future[Tensors]]] = deque()
    stream = _stream(stages.device)

    def features(chunk: range, images: Tensors) -> Tensors:
        with alone(), stream:
            return stages.features(trial, chunk, images)

    def first() -> tuple[Tensors, bool]:
        chunk, computed, future = waiting.popleft()
        try:
            return future.result(), computed
        except Exception as error:
            if not ran_out_of_memory(error):
                raise
        return stages.features(trial, chunk), computed

    with full_float32():
        stages.loaded.detector(trial.evaluate.detector)  # here, because it may draw from global generators
        pool = ThreadPoolExecutor(1, "features")
        try:
            for chunk in chunks(trial.evaluate.images):
                computed = not stages.has("features", trial, chunk)
                images = stages.images(trial, chunk) if computed else {}
                waiting.append((chunk, computed, pool.submit(features, chunk, images)))
                while waiting and (waiting[0][2].done() or len(waiting) > WAITING):
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
