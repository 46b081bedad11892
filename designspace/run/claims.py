"""How processes that compute the same trial share its chunks: each claims those that it computes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from designspace.interrupts import finishing
from designspace.run.generate import chunks
from designspace.run.stages import Stage, Stages, Tensors
from designspace.storage.files import CacheFolder

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

POLL = 0.1
"""Seconds between two looks at chunks that other processes are computing."""
Seen = Callable[[int, int, bool], None]
"""Called after each chunk with the number done, the total, and whether this one was computed rather than cached."""


def is_shared(stage: Stage, trial: Trial, stages: Stages) -> bool:
    """Whether other processes may compute chunks of a trial that one is computing, because its first chunk is there.

    The network has then been trained, and measured time steps have been found.
    """
    return stages.has(stage, trial, chunks(trial.evaluate.images)[0])


def share_chunks(stage: Stage, trial: Trial, stages: Stages, seen: Seen, *, wait: bool = False) -> dict[range, Tensors]:
    """Compute chunks of a trial that are missing, together with other processes. Returns those of this process.

    With ``wait``, all chunks are in the cache in the end. The error of a trial is that of the first chunk that fails,
    as with one process: after an error, the chunks before are still waited for.
    """
    found, failure = dict[range, Tensors](), None
    batches = [[chunk] for chunk in chunks(trial.evaluate.images)]
    with Claims(stages.cache, trial.id, batches, lambda chunk: stages.has(stage, trial, chunk)) as claims:
        if claims.done and wait:
            seen(claims.done, claims.total, False)
        while taken := claims.take(wait=wait):
            try:
                with finishing():
                    found |= {chunk: stages.of(stage, trial, chunk) for chunk in taken}
            except Exception as error:
                failure = error
                claims.only_before(taken)
            claims.release(taken)
            if failure is None:
                seen(claims.done, claims.total, True)
    if failure is not None:
        raise failure
    return found


Batch = Sequence[range]
"""The chunks that a process computes together, and claims together."""


class Claims:
    """The claims of this process on batches of one trial; all are released at the end of the block ``with``.

    A claim is a lock in the cache, which the operating system releases when its process is killed: another process then
    takes the batch.
    """

    def __init__(
        self, cache: CacheFolder, trial: str, batches: Iterable[Batch], is_done: Callable[[range], bool]
    ) -> None:
        self._cache, self._trial, self._is_done = cache, trial, is_done
        self._missing, self._held = list(batches), dict[int, ExitStack]()
        self.total, self.done = sum(map(len, self._missing)), 0
        """The number of chunks, and that of those that are known to be in the cache, whoever has computed them."""
        self._forget_done()

    def take(self, *, wait: bool = False) -> Batch:
        """Claim the first batch that is not complete and that nobody has claimed. Returns it, or nothing.

        With ``wait``, batches that others have claimed are waited for: nothing is returned only once all are complete.
        """
        while True:
            free = next((batch for batch in self._forget_done() if self._claim(batch)), [])
            if free or not (wait and self._missing):
                return free
            time.sleep(POLL)

    def release(self, batch: Batch) -> None:
        """Give up a claim, usually because the batch is complete."""
        self._held.pop(batch[0].start).close()
        self._forget_done()

    def only_before(self, batch: Batch) -> None:
        """Take no more batches but those before this one."""
        self._missing = [one for one in self._missing if one[0].start < batch[0].start]

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, *error: object) -> None:
        for held in self._held.values():
            held.close()
        self._held.clear()

    def _claim(self, batch: Batch) -> bool:
        """Lock a batch, unless it is held already; it may have been computed just before the lock became free."""
        start = batch[0].start
        with ExitStack() as stack:
            lock = self._cache.lock(f"chunk-{self._trial}-{start}", wait=False, keep=False)
            if start in self._held or not stack.enter_context(lock) or all(map(self._is_done, batch)):
                return False
            self._held[start] = stack.pop_all()
        return True

    def _forget_done(self) -> list[Batch]:
        missing = [batch for batch in self._missing if not all(map(self._is_done, batch))]
        self.done += sum(map(len, self._missing)) - sum(map(len, missing))
        self._missing = missing
        return missing
