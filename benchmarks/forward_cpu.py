"""Evaluations per second of the networks that the package ships, by memory format, batch and number of threads.

    python benchmarks/forward_cpu.py [--models cifar10_jpeg digits] [--batches 8 25 200] [--threads 1 2] [--rounds 7]

Networks set the memory format of their input themselves; ``channels first`` undoes that. The variants take turns in one
process. Times are CPU times of all threads, divided by their number, so that other load on the machine matters less;
the column ``system`` is the share that the operating system takes, mostly to provide memory: what the allocator has
returned after one evaluation it has to ask for again in the next. The column ``ratio`` has the median of the rounds'
ratios to the first line of the same number of threads.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor

import components.network.unet
import designspace as ds
from designspace.denoising.rows import Conditional

FORMATS = ("channels first", "channels last")


class Variant(NamedTuple):
    """A way to evaluate a network, with the CPU time and the system's part of it per image in each round."""

    format: str
    batch: int
    cpu: list[float]
    system: list[float]


def evaluation(loaded: Conditional, variant: Variant, classes: int) -> Callable[[], Tensor]:
    x = torch.randn(variant.batch, *loaded.shape, generator=torch.Generator().manual_seed(0))
    D = loaded.bind(torch.arange(variant.batch) % classes if classes else None)

    def evaluate() -> Tensor:
        if variant.format == FORMATS[1]:
            return D(x, torch.tensor(1.0))
        with patch.object(components.network.unet, "laid_out", lambda x, network: x):
            return D(x, torch.tensor(1.0))

    return evaluate


@torch.no_grad()
def measured(model: str, batches: list[int], rounds: int) -> Iterator[Variant]:
    denoiser = ds.Denoiser.get("pretrained")(model=model)
    data = ds.Data.get("digits")().load()  # its content does not matter to a pretrained denoiser
    loaded = denoiser.load(data, ds.Design.preset("edm"), torch.device("cpu"))
    variants = [Variant(form, batch, [], []) for batch in reversed(batches) for form in FORMATS]
    runs = [evaluation(loaded, variant, denoiser.known_classes(data)) for variant in variants]
    for run in runs:
        run()
    for _ in range(rounds):
        for variant, run in zip(variants, runs, strict=True):
            cpu, system = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_stime
            run()
            variant.cpu.append((time.process_time() - cpu) / variant.batch)
            variant.system.append((resource.getrusage(resource.RUSAGE_SELF).ru_stime - system) / variant.batch)
    return iter(variants)


def show(model: str, batches: list[int], threads: int, rounds: int) -> None:
    torch.set_num_threads(threads)
    first: Variant | None = None
    for variant in measured(model, batches, rounds):
        first = first or variant
        ratio = statistics.median(a / b for a, b in zip(first.cpu, variant.cpu, strict=True))
        speed = threads / statistics.median(variant.cpu)
        share = sum(variant.system) / sum(variant.cpu)
        cells = (model, threads, variant.batch, variant.format, f"{speed:.0f}", f"{share:.0%}", f"{ratio:.2f}")
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["cifar10_jpeg", "fashion_mnist", "digits"])
    parser.add_argument("--batches", nargs="+", type=int, default=[8, 25, 50, 200])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| model | threads | batch | memory format | evaluations/s | system | ratio |")
    print("|---|---:|---:|---|---:|---:|---:|")
    for model in args.models:
        for threads in args.threads:
            show(model, args.batches, threads, args.rounds)


if __name__ == "__main__":
    main()
