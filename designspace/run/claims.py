"""How processes that compute the same trial share its chunks: each claims those that it computes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from designspace.interrupts import finishing
from designspace.run.generate import chunks
from designspace.run.stages import Stage, Stages, Tensors
from designspace.storage.files import CacheFolder

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

POLL = 0.05
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
    todo = chunks(trial.evaluate.images)
    with Claims(stages.cache, trial.id, todo, lambda chunk: stages.has(stage, trial, chunk)) as claims:
        if claims.done and wait:
            seen(claims.done, claims.total, False)
        while taken := claims.take(wait=wait):
            try:
                with finishing():
                    found |= {chunk: stages.of(stage, trial, chunk) for chunk in taken}
            except Exception as error:
                failure = error
                claims.only_before(taken[0])
            claims.release(taken)
            if failure is None:
                seen(claims.done, claims.total, True)
    if failure is not None:
        raise failure
    return found


class Claims:
    """The claims of this process on chunks of one trial; all are released at the end of the block ``with``.

    A claim is a lock in the cache, which the operating system releases when its process is killed: another process then
    takes the chunk.
    """

    def __init__(
        self, cache: CacheFolder, trial: str, chunks: Iterable[range], is_done: Callable[[range], bool]
    ) -> None:
        self._cache, self._trial, self._is_done = cache, trial, is_done
        self._missing, self._held = list(chunks), dict[range, ExitStack]()
        self.total, self.done = len(self._missing), 0
        """The number of chunks, and that of those that are known to be in the cache, whoever has computed them."""
        self._forget_done()

    def take(self, most: int = 1, *, wait: bool = False) -> list[range]:
        """Claim the first chunks, up to ``most`` that follow each other, that are missing and that nobody has claimed.

        With ``wait``, chunks that others have claimed are waited for: the list is empty only once no chunk is missing.
        """
        while True:
            taken: list[range] = []
            for chunk in self._forget_done():
                if taken and (len(taken) == most or chunk.start != taken[-1].stop):
                    break
                if self._claim(chunk):
                    taken.append(chunk)
            if taken or not (wait and self._missing):
                return taken
            time.sleep(POLL)

    def release(self, chunks: Iterable[range]) -> None:
        """Give up claims, usually because the chunks are in the cache now."""
        for chunk in chunks:
            self._held.pop(chunk).close()
        self._forget_done()

    def only_before(self, chunk: range) -> None:
        """Take no more chunks but those before ``chunk``."""
        self._missing = [one for one in self._missing if one.start < chunk.start]

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, *error: object) -> None:
        self.release(list(self._held))

    def _claim(self, chunk: range) -> bool:
        """Lock a chunk, unless it is held already; it may have been computed just before the lock became free."""
        with ExitStack() as stack:
            name = f"chunk-{self._trial}-{chunk.start}"
            if chunk in self._held or not stack.enter_context(self._cache.lock(name, wait=False, keep=False)):
                return False
            if self._is_done(chunk):
                return False
            self._held[chunk] = stack.pop_all()
        return True

    def _forget_done(self) -> list[range]:
        missing = [chunk for chunk in self._missing if not self._is_done(chunk)]
        self.done += len(self._missing) - len(missing)
        self._missing = missing
        return missing
