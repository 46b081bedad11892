"""What keyed noise costs in sampling, and how the speed of a network depends on the batch.

    python benchmarks/sampling_noise.py [--model cifar10_jpeg] [--images 50] [--rounds 5] [--device cpu] [--threads 1]

Images are sampled with stochastic solvers, once with their own noise and once with a tensor that is there already. The
two take turns; the median of the ratios of their times is shown, of CPU times on a CPU. The goal is a ratio of 1.05. On
a GPU, noise is computed ahead in threads; the number of operations of a run that wait for the GPU is shown as well.
On a CPU, one thread is used by default: the operations are so small that two threads on a busy machine spend nearly all
of their time waiting for each other. The line below the table tells how much noise a thread of the host computes, which
is what a GPU has to be supplied with: one draw per image for each step of most of these designs.

The second table has the evaluations per second for batches of several sizes, and the largest difference between the
images of these batches and those of the first size, in units of [-1, 1].
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

import designspace as ds
from designspace.registry.float32 import full_float32
from designspace.run.generate import THREADS
from designspace.sampling.counting import noise_order
from designspace.sampling.noise import Ahead, Draw, Drawn, KeyedNoise

STEPS = 6
DESIGNS: dict[str, dict[str, object]] = {
    "heun with churn": {"solver": "heun", "stochasticity": {"name": "churn", "S_churn": 10}},
    "euler_ancestral": {"solver": "euler_ancestral"},
    "dpmpp_sde": {"solver": "dpmpp_sde"},
    "dpmpp_2m_sde": {"solver": "dpmpp_2m_sde"},
}
Run = Callable[[], Tensor]
Bound = Callable[[int], Callable[[Tensor, Tensor], Tensor]]


def loaded(model: str, device: torch.device) -> tuple[Bound, tuple[int, ...]]:
    """A function of the number of images that gives D, and the shape of an image."""
    denoiser = ds.Denoiser.get("pretrained")(model=model)
    made = denoiser.load(ds.Data.get(model)().load(), ds.Design.preset("edm"), device)

    def bound(n: int) -> Callable[[Tensor, Tensor], Tensor]:
        return made.bind(torch.zeros(n, dtype=torch.int64, device=device) if denoiser.labels else None)

    return bound, made.shape


def keyed(design: ds.Design, bound: Bound, shape: tuple[int, ...], images: range, device: torch.device) -> Run:
    """Sampling as ``run`` does it."""

    def run() -> Tensor:
        order = [Draw(images), *(Draw(images, *at) for at in noise_order(design, STEPS))]
        gpu = device.type == "cuda"
        threads = min(THREADS, torch.get_num_threads())
        with Ahead(0, shape, order, threads, pinned=True) if gpu else Drawn(0, shape) as random:
            start = random.latents(images).to(device, non_blocking=True)
            return ds.sample(design, bound(len(images)), start, STEPS, noise=random.noise(images)).x

    return run


def free(design: ds.Design, bound: Bound, shape: tuple[int, ...], images: range, device: torch.device) -> Run:
    """The same with noise that costs nothing."""
    x = torch.randn(len(images), *shape, device=device)
    return lambda: ds.sample(design, bound(len(images)), x, STEPS, noise=lambda step, draw: x).x


def seconds(run: Run, device: torch.device) -> float:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    start = clock()
    run().sum().item()
    return clock() - start


def waits(run: Run) -> int:
    """The number of operations of a run that wait for the GPU."""
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run()
    torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(found.message) for found in caught)


def cost_of_noise(bound: Bound, shape: tuple[int, ...], asked: argparse.Namespace) -> Iterator[str]:
    device, images = torch.device(asked.device), range(asked.images)
    for name, rows in DESIGNS.items():
        design = ds.Design.preset("edm", **rows)
        both = [make(design, bound, shape, images, device) for make in (keyed, free)]
        for run in both:
            run()
        ratios = [seconds(both[0], device) / seconds(both[1], device) for _ in range(asked.rounds)]
        waiting = f" {waits(both[0])}" if device.type == "cuda" else ""
        yield f"| {name} | {statistics.median(ratios):.3f} |{waiting}"


def draws(shape: tuple[int, ...], images: int) -> float:
    """Images per second for which one thread computes noise."""
    noise, times = KeyedNoise(0, range(images), shape), 20
    start = time.thread_time()
    for step in range(times):
        noise(step, 0)
    return times * images / (time.thread_time() - start)


def speed_of_batches(bound: Bound, shape: tuple[int, ...], asked: argparse.Namespace) -> Iterator[str]:
    device, design = torch.device(asked.device), ds.Design.preset("edm")
    runs: dict[int, Run] = {}
    for size in asked.batches:
        parts = [range(i, min(i + size, asked.images)) for i in range(0, asked.images, size)]
        each = [keyed(design, bound, shape, part, device) for part in parts]
        runs[size] = lambda each=each: torch.cat([run() for run in each])
    images = {size: run() for size, run in runs.items()}
    times: dict[int, list[float]] = {size: [] for size in runs}
    for _ in range(asked.rounds):
        for size, run in runs.items():
            times[size].append(seconds(run, device))
    for size, x in images.items():
        speed = asked.images * (2 * STEPS - 1) / statistics.median(times[size])
        yield f"| {size} | {speed:,.0f} | {(x - images[asked.batches[0]]).abs().max().item():.1e} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="cifar10_jpeg")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, nargs="+", default=[25, 5, 50])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of the CPU; by default 1, with a GPU as many as PyTorch uses")
    asked = parser.parse_args()
    if threads := asked.threads or (1 if asked.device == "cpu" else 0):
        torch.set_num_threads(threads)
    bound, shape = loaded(asked.model, torch.device(asked.device))
    with full_float32(), torch.no_grad():
        print(f"{asked.model}, {asked.images} images, {STEPS} steps, {asked.device}\n")
        print("| design | time / time without noise |\n|---|---:|")
        for line in cost_of_noise(bound, shape, asked):
            print(line, flush=True)
        print(f"\nNoise of one thread: {draws(shape, asked.images):,.0f} draws/s of an image {list(shape)}")
        print("\n| batch | evaluations/s | largest difference |\n|---:|---:|---:|")
        for line in speed_of_batches(bound, shape, asked):
            print(line, flush=True)


if __name__ == "__main__":
    main()
