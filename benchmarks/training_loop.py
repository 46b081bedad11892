"""The time of a training step, compared with a bare loop around the same network and data.

    python benchmarks/training_loop.py [--size tiny] [--batch 128] [--rounds 8] [--device cpu]

The bare loop does only what is necessary: forward pass, loss, backward pass and Adam, on prepared batches. Training in
this package adds shuffled and keyed batches, noise levels and noise, Eq. 8, the moving average, the guard against NaN,
and the record of losses. Rounds of 20 steps take turns, and the median of the ratios of the rounds is shown. Each round
is a call of ``Trainer.run``, which reads the losses at its end. On a CPU, times are CPU times of all threads, which
depend less on other processes, and the goal is a ratio of at most 1.05.

On a CPU, images are 1 x 8 x 8 in float32. On a GPU, they are 3 x 32 x 32 in bf16, compiled and channels_last, with
augmentation (try --size medium --batch 512). Two things are added there: the share of the step that the forward and
backward passes of the network take by the GPU's clock, with a goal of at least 90 %, and the lines at which a step
waits for the GPU, of which there should be none.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

import designspace as ds
from designspace.data.images import Images
from designspace.training.batches import Batches
from designspace.training.loop import Trainer
from designspace.training.recipe import Recipe
from designspace.training.state import State

STEPS = 20
Step = Callable[[], None]
Loop = Callable[[int], None]
"""Takes a number of steps."""


def alone(network: nn.Module, x: Tensor, recipe: Recipe, augment: Tensor | None) -> Step:
    """The network's own work: forward and backward."""
    if recipe.channels_last:
        network, x = network.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    run = torch.compile(network) if recipe.compile else network
    y, c_noise = torch.randn_like(x), torch.randn(len(x), device=x.device)

    def step() -> None:
        network.zero_grad(set_to_none=True)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            output = run(x, c_noise, None, *(() if augment is None else (augment,)))
        (output.float() - y).square().mean().backward()

    return step


def bare(network: nn.Module, x: Tensor, recipe: Recipe, augment: Tensor | None) -> Step:
    """With Adam."""
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    gradients = alone(network, x, recipe, augment)

    def step() -> None:
        gradients()
        optimizer.step()

    return step


def repeated(step: Step) -> Loop:
    def loop(steps: int) -> None:
        for _ in range(steps):
            step()

    return loop


def ours(network: nn.Module, x: Tensor, recipe: Recipe, augmentation: ds.Augmentation | None) -> tuple[Loop, Step]:
    """The training loop, and a step of it alone."""
    design, size = ds.Design.preset("edm"), recipe.batch_size
    data = Images(torch.randint(0, 256, (4 * size, *x.shape[1:]), dtype=torch.uint8))
    batches = Batches.of(data, design, augmentation, 0, size, labelled=False, device=x.device)
    trainer = Trainer(State(network, recipe, x.device, design), design, batches)

    def loop(steps: int) -> None:
        trainer.run(trainer.state.images + steps * size, lambda progress: None, lambda: None)

    return loop, lambda: trainer.step(batches(trainer.state.step))


def seconds(loop: Loop, device: torch.device) -> float:
    if device.type == "cuda":
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize(device)
        start.record()
    before = time.process_time()
    loop(STEPS)
    if device.type != "cuda":
        return (time.process_time() - before) / STEPS
    end.record()
    torch.cuda.synchronize(device)
    return start.elapsed_time(end) / 1000 / STEPS


def waits(step: Step) -> list[str]:
    """Where the CPU waits for the GPU in a step."""
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        step()
    torch.cuda.set_sync_debug_mode("default")
    return [f"{found.filename}:{found.lineno}" for found in caught if "synchroniz" in str(found.message)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    device, gpu = torch.device(asked.device), asked.device.startswith("cuda")
    fast = {"precision": "bf16", "compile": True, "channels_last": True} if gpu else {}
    recipe, augmentation = Recipe(batch_size=asked.batch, **fast), ds.Augmentation.get("edm")() if gpu else None
    shape = (3, 32, 32) if gpu else (1, 8, 8)
    x = torch.randn(asked.batch, *shape, device=device)
    told = torch.randn(asked.batch, augmentation.size, device=device) if augmentation else None
    unet = ds.Network.model_validate({"name": "unet", "size": asked.size})

    def network() -> nn.Module:
        return unet.build(shape, augment=augmentation.size if augmentation else 0).train().to(device)

    loop, step = ours(network(), x, recipe, augmentation)
    methods = {"bare loop": repeated(bare(network(), x, recipe, told)), "designspace": loop}
    if gpu:
        methods["network alone"] = repeated(alone(network(), x, recipe, told))
    for method in methods.values():
        method(1)
    rounds = [{name: seconds(method, device) for name, method in methods.items()} for _ in range(asked.rounds)]
    for name in methods:
        print(f"{name}: {1000 * statistics.median(r[name] for r in rounds):.1f} ms per step of {asked.batch} images")
    print(f"ratio: {statistics.median(r['designspace'] / r['bare loop'] for r in rounds):.3f}")
    if gpu:
        print(f"network's share: {statistics.median(r['network alone'] / r['designspace'] for r in rounds):.1%}")
        print("waits for the GPU in a step:", *(waits(step) or ["none"]))


if __name__ == "__main__":
    main()
