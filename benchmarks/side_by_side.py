"""Timing of methods that take turns on one thread, so that other load on the machine affects all of them alike."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from threadpoolctl import threadpool_limits


class Timed(NamedTuple):
    """What a method took and gave."""

    cpu: list[float]
    """CPU seconds of this process, a round each: other processes disturb them less than the clock on the wall."""
    wall: list[float]
    value: Any
    """Of the last round."""

    def seconds(self) -> float:
        return statistics.median(self.cpu)

    def over(self, peer: Timed) -> float:
        """The median of the rounds' ratios, in CPU time."""
        return statistics.median(a / b for a, b in zip(self.cpu, peer.cpu, strict=True))

    def wall_over(self, peer: Timed) -> float:
        return statistics.median(a / b for a, b in zip(self.wall, peer.wall, strict=True))


def take_turns(methods: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Timed]:
    """Call each once a round, on one thread; work that only the first call has is to be done before."""
    timed = {name: Timed([], [], None) for name in methods}
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for _ in range(rounds):
            for name, method in methods.items():
                wall, cpu = time.perf_counter(), time.process_time()
                value = method()
                cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
                timed[name] = Timed([*timed[name].cpu, cpu], [*timed[name].wall, wall], value)
    return timed


def heading(title: str) -> None:
    load = os.getloadavg()[0]
    print(f"\n## {title}\n\none thread; load of the machine {load:.1f} on {os.cpu_count()} cores\n", flush=True)


def bar(what: str, measured: float, most: float) -> None:
    """One line: the ratio that was measured, the most that is asked for, and whether it is kept."""
    print(
        f"- {what}: {measured:.3g}, at most {most:g} asked for: {'kept' if measured <= most else 'MISSED'}", flush=True
    )
