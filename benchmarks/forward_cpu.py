"""Evaluations per second of the networks that the package ships, by batch and number of threads.

    python benchmarks/forward_cpu.py [--models cifar10_jpeg digits] [--batches 8 25 200] [--threads 1 2] [--rounds 7]

The batches take turns in one process. Times are CPU times of all threads, divided by their number, so that other load
on the machine matters less; the column ``system`` is the share that the operating system takes, mostly to provide
memory: what the allocator has returned after one evaluation it has to ask for again in the next. The column ``ratio``
has the median of the rounds' ratios to the first line of the same number of threads.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

import designspace as ds
from designspace.denoising.rows import Conditional


class Times(NamedTuple):
    """The CPU time per image in each round, in seconds, and the system's part of it, for batches of one size."""

    batch: int
    cpu: list[float]
    system: list[float]


def evaluation(loaded: Conditional, batch: int, classes: int) -> Callable[[], Tensor]:
    x = torch.randn(batch, *loaded.shape, generator=torch.Generator().manual_seed(0))
    D = loaded.bind(torch.arange(batch) % classes if classes else None)
    return lambda: D(x, torch.tensor(1.0))


@torch.no_grad()
def measured(model: str, batches: list[int], rounds: int) -> list[Times]:
    denoiser = ds.Denoiser.get("pretrained")(model=model)
    data = ds.Data.get("digits")().load()  # its content does not matter to a pretrained denoiser
    loaded = denoiser.load(data, ds.Design.preset("edm"), torch.device("cpu"))
    found = [Times(batch, [], []) for batch in reversed(batches)]
    runs = [evaluation(loaded, times.batch, denoiser.known_classes(data)) for times in found]
    for run in runs:
        run()
    for _ in range(rounds):
        for times, run in zip(found, runs, strict=True):
            cpu, system = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_stime
            run()
            times.cpu.append((time.process_time() - cpu) / times.batch)
            times.system.append((resource.getrusage(resource.RUSAGE_SELF).ru_stime - system) / times.batch)
    return found


def show(model: str, batches: list[int], threads: int, rounds: int) -> None:
    torch.set_num_threads(threads)
    first, *others = measured(model, batches, rounds)
    for times in (first, *others):
        ratio = statistics.median(a / b for a, b in zip(times.cpu, first.cpu, strict=True))
        speed = threads / statistics.median(times.cpu)
        share = sum(times.system) / sum(times.cpu)
        cells = (model, threads, times.batch, f"{speed:.0f}", f"{share:.0%}", f"{ratio:.2f}")
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["cifar10_jpeg", "fashion_mnist", "digits"])
    parser.add_argument("--batches", nargs="+", type=int, default=[8, 25, 50, 200])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| model | threads | batch | evaluations/s | system | ratio |")
    print("|---|---:|---:|---:|---:|---:|")
    for model in args.models:
        for threads in args.threads:
            show(model, args.batches, threads, args.rounds)


if __name__ == "__main__":
    main()
