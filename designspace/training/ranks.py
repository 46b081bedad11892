"""The processes of one training, each of which takes a share of every batch.

``torchrun`` starts them and tells each its rank and where to meet the others, in environment variables. The images,
noise levels and noise of a batch are those of a single process, so the number of processes changes results by rounding
errors only.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn.functional import pad

from designspace.errors import DataError

VARIABLES = "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"
"""The environment variables that torchrun sets, as do others who start the processes of one training."""
LONGEST = timedelta(days=7)
"""How long a process waits for the others, one of which may wait for a lock. If one ends, the others do so at once."""


class LostError(Exception):
    """Another process of the training has ended."""


@dataclass(frozen=True)
class Ranks:
    """The place of this process among the processes of a training. All of them call the same methods in turn."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that reads and writes checkpoints and reports progress."""
        return self.rank == 0

    def share(self, n: int) -> slice:
        """The images of a batch of ``n`` that this process takes."""
        return self._share(n, self.rank)

    def _share(self, n: int, rank: int) -> slice:
        return slice(n * rank // self.count, n * (rank + 1) // self.count)

    def add(self, values: Tensor) -> None:
        """Replace ``values`` by their sum over all processes."""
        if self.count > 1:
            with _together():
                dist.all_reduce(values)

    def whole(self, own: Tensor, n: int) -> Tensor:
        """The values ``[..., n]`` of a whole batch, from those of the share of each process."""
        if self.count == 1:
            return own
        own = pad(own, (0, math.ceil(n / self.count) - own.shape[-1])).contiguous()
        found = [torch.empty_like(own) for _ in range(self.count)]
        with _together():
            dist.all_gather(found, own)
        sizes = (len(range(n)[self._share(n, rank)]) for rank in range(self.count))
        return torch.cat([part[..., :size] for part, size in zip(found, sizes, strict=True)], -1)

    def copy_first(self, tensors: list[Tensor]) -> None:
        """Replace ``tensors`` by those of the first process."""
        if self.count > 1:
            with _together():
                for tensor in tensors:
                    dist.broadcast(tensor, 0)

    def from_first(self, key: str, tensors: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """The tensors of the first process, on the CPU; the others give ``None``.

        Raises ``DataError`` if ``key`` is not the same in all processes.
        """
        own = {name: tensor.detach().cpu().contiguous() for name, tensor in (tensors or {}).items()}
        about: list[Any] = [(key, [(name, tensor.shape, tensor.dtype) for name, tensor in own.items()])]
        with _together():
            dist.broadcast_object_list(about)
        if about[0][0] != key:
            what = "the processes of this training were started with different specs, data or versions of components"
            raise DataError(f"{what}: start all with the same")
        found = {name: own.get(name, torch.empty(shape, dtype=dtype)) for name, shape, dtype in about[0][1]}
        self.copy_first(list(found.values()))
        return found

    def vote(self) -> Vote:
        """A question that all processes answer once per step."""
        return Vote(self)


ALONE = Ranks()
"""A training by this process alone."""


class Vote:
    """Whether any process says yes. With several processes the answer is that of the call before, so none waits."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._asked: tuple[dist.Work | None, Tensor] = None, torch.zeros((), dtype=torch.int32)

    def __call__(self, yes: bool) -> bool:
        if self._ranks.count == 1:
            return yes
        (work, before), given = self._asked, torch.tensor(int(yes), dtype=torch.int32)
        with _together():
            self._asked = dist.all_reduce(given, dist.ReduceOp.MAX, async_op=True), given
            if work is not None:
                work.wait()
        return bool(before)


@contextmanager
def _together() -> Iterator[None]:
    """Say what has happened if another process does not answer any more."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise LostError(f"another process of this training has ended; its own message says why ({reason})") from error


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Ranks, torch.device]]:
    """Join the processes of one training if ``torchrun`` has started this one; else it is alone.

    Yields the ``Ranks`` and the device of this process: on GPUs the one whose number is its rank on this machine.
    """
    if any(name not in os.environ for name in VARIABLES) or int(os.environ["WORLD_SIZE"]) == 1:
        yield ALONE, device
        return
    gpu = device.type == "cuda"
    if gpu:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=LONGEST)
    yield Ranks(dist.get_rank(), dist.get_world_size()), device
    dist.destroy_process_group()  # not after an error, since it might wait for processes that are lost
