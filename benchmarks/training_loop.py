"""What a training step costs beside a bare loop around the same network and data, in the same run.

    python benchmarks/training_loop.py [--size tiny] [--batch 128] [--rounds 8] [--device cpu]

The bare loop does what cannot be left out: forward, loss, backward, Adam, on batches that are there already. Ours adds
the shuffled and keyed batches, noise levels and noise, Eq. 8, the moving average, the guard against NaN and the record
of losses. Rounds of 20 steps take turns; the median of the rounds' ratios is shown.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

import designspace as ds
from designspace.training.batches import Batches
from designspace.training.loop import Trainer
from designspace.training.recipe import Recipe
from designspace.training.state import State

STEPS = 20


def bare(network: nn.Module, batch: int, device: torch.device) -> Callable[[], None]:
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    x, y = (torch.randn(batch, 1, 8, 8, device=device) for _ in range(2))
    c_noise = torch.randn(batch, device=device)

    def step() -> None:
        loss = (network(x, c_noise, None) - y).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def ours(network: nn.Module, batch: int, device: torch.device) -> Callable[[], None]:
    recipe, design = Recipe(batch_size=batch), ds.Design.preset("edm")
    data = ds.Data.get("digits")().load()
    batches = Batches.of(data, design, None, 0, batch, labelled=False, device=device)
    trainer = Trainer(State(network, recipe, device), design, batches)
    return lambda: trainer._step(batches(trainer.state.step))


def seconds(step: Callable[[], None], device: torch.device) -> float:
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / STEPS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    network = ds.Network.model_validate({"name": "unet", "size": asked.size})
    methods = {
        "bare loop": bare(network.build((1, 8, 8)).train().to(device), asked.batch, device),
        "designspace": ours(network.build((1, 8, 8)), asked.batch, device),
    }
    for step in methods.values():
        step()
    rounds = [{name: seconds(step, device) for name, step in methods.items()} for _ in range(asked.rounds)]
    for name in methods:
        print(f"{name}: {1000 * statistics.median(r[name] for r in rounds):.1f} ms a step of {asked.batch} images")
    print(f"ratio: {statistics.median(r['designspace'] / r['bare loop'] for r in rounds):.3f}")


if __name__ == "__main__":
    main()
