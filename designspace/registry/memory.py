"""What is done when the memory of a device is full."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor


def ran_out_of_memory(error: BaseException | None) -> bool:
    """Whether an exception, or one that it was raised from, says that the memory of a device is full."""
    return error is not None and (isinstance(error, torch.OutOfMemoryError) or ran_out_of_memory(error.__cause__))


class Fitting:
    """A function of a batch ``[B, ...]`` that is called with halves of it, and halves of these, if memory is full.

    Batches after the first for which memory did not suffice are divided at once into parts that have fitted. If memory
    does not even suffice for one element, the error is raised.
    """

    def __init__(self, compute: Callable[[Tensor], Tensor]) -> None:
        self._compute, self._most = compute, sys.maxsize

    def __call__(self, batch: Tensor) -> Tensor:
        """The results of all elements of the batch, ``[B, ...]``."""
        if len(batch) <= self._most:
            try:
                return self._compute(batch)
            except Exception as error:
                if not ran_out_of_memory(error):
                    raise
                if len(batch) == 1:
                    self._most = sys.maxsize  # memory may be free later on
                    raise
            self._most = len(batch) // 2
            torch.cuda.empty_cache()  # the exception, which held tensors of the failed call, is gone by now
        return torch.cat([self(part) for part in torch.split(batch, self._most)])
