"""The claims by which processes that compute the same trial share its chunks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from designspace.storage.files import CacheFolder

POLL, LONGEST = 0.05, 3.0
"""Seconds between two looks at what other processes are computing: at first, and at most."""


class Pauses:
    """Growing pauses between looks at the work of others: a file system must not be busy with dozens of processes.

    A pause is a quarter of the time that has been waited, so that nothing is noticed much later than necessary.
    """

    def __init__(self) -> None:
        self._waited = 0.0

    def pause(self) -> None:
        """Wait for a while that grows from ``POLL`` to ``LONGEST`` seconds."""
        seconds = min(max(POLL, self._waited / 4), LONGEST)
        self._waited += seconds
        time.sleep(seconds)


class Claims:
    """The claims of this process on batches of chunks of a trial; all are released at the end of the block ``with``.

    A claim is a lock in the cache, which the operating system releases when its process is killed: another process then
    takes the batch.
    """

    def __init__(
        self, cache: CacheFolder, trial: str, batches: Sequence[list[range]], is_done: Callable[[range], bool]
    ) -> None:
        self._cache, self._trial, self._is_done = cache, trial, is_done
        self._missing, self._held = {batch[0].start: batch for batch in batches}, dict[int, ExitStack]()
        self._last = 0
        self.total, self.done = sum(map(len, batches)), 0
        """The number of chunks, and that of those that this process knows to be in the cache, whoever computed them."""
        for start in list(self._missing):
            self._look(start)

    def taken(self, *, wait: bool = False) -> Iterator[range]:
        """Claim one batch after another that nobody has claimed, and yield its chunks that are missing.

        With ``wait``, batches that others have claimed are waited for.
        """
        pauses = Pauses()
        while others := sorted(self._missing.keys() - self._held.keys()):
            if (start := next(filter(self._claim, others), None)) is not None:
                self._last = start
                yield from self._missing[start]
                pauses = Pauses()
            elif wait:
                pauses.pause()
            else:
                return

    def release(self) -> None:
        """Give up the claims on batches that are in the cache now."""
        for start in [start for start in self._held if not self._look(start)]:
            self._held.pop(start).close()

    def only_before_last(self) -> None:
        """Give up all claims, and take only batches before the one that was taken last."""
        self._missing = {start: batch for start, batch in self._missing.items() if start < self._last}
        self._drop()

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, *error: object) -> None:
        self._drop()

    def _drop(self) -> None:
        while self._held:
            self._held.popitem()[1].close()

    def _claim(self, start: int) -> bool:
        """Lock the batch that begins with image ``start``, unless another process holds it or has computed it."""
        with ExitStack() as stack:
            name = f"chunk-{self._trial}-{start}"
            free = self._look(start) and stack.enter_context(self._cache.lock(name, wait=False, keep=False))
            if not (free and self._look(start)):  # the process that had the lock before may have been faster
                return False
            self._held[start] = stack.pop_all()
        return True

    def _look(self, start: int) -> bool:
        """Look which chunks of a batch are in the cache now, and return whether any is missing.

        Only single batches are looked at: on a network file system, each look may take a millisecond.
        """
        batch = self._missing.get(start, [])
        missing = [chunk for chunk in batch if not self._is_done(chunk)]
        self.done += len(batch) - len(missing)
        if missing:
            self._missing[start] = missing
        else:
            self._missing.pop(start, None)
        return bool(missing)
