"""How many images a denoiser is called with at once.

On a CPU this follows a rule that measures nothing, so that images are the same to the last bit in each run. On a GPU,
where such differences exist between two runs anyway, batches are as large as it takes for nearly the highest speed.
This is measured once for each network and kind of device, and kept in the cache, where later runs and other workers
find it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from designspace.denoising.rows import Conditional, Denoiser
from designspace.registry.isolation import isolated
from designspace.registry.memory import ran_out_of_memory
from designspace.run.generate import CHUNK
from designspace.sampling.noise import latents
from designspace.storage.cache import Cache
from designspace.storage.files import content_key
from designspace.training.checkpoints import Trainable

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

PIXELS = 25 * 32 * 32
"""The pixels in a batch of a network on a CPU; with more, the allocator returns most memory after each evaluation."""
MOST = 32 * CHUNK
"""The largest batch that is tried."""
ENOUGH = 0.95
"""The part of the highest speed that a batch must reach."""
TIMES = 3
"""How often the evaluation of a batch is timed, after one that is not."""
NOT_OF_SPEED = {"seed", "training_images", "learning_rate", "warm_up", "decay_after", "ema"}
"""Fields of a denoiser that is trained on which its speed does not depend."""


@dataclass(frozen=True)
class BatchSizes:
    """The images per call of the denoiser of each trial: ``given``, or chosen for ``device``."""

    cache: Cache
    device: torch.device
    given: int | None = None
    _known: dict[str, int] = field(default_factory=dict)

    def of(self, trial: Trial, denoiser: Conditional) -> int:
        """The batch size for a trial, whose ``denoiser`` is on the device."""
        key = self._key(trial, denoiser)
        if key not in self._known:
            self._known[key] = self.given or self._chosen(trial, denoiser, key)
        return self._known[key]

    def lower(self, trial: Trial, denoiser: Conditional, size: int) -> None:
        """Use ``size`` from now on, because memory did not suffice for more."""
        key = self._key(trial, denoiser)
        self._known[key] = size
        if not self.given and self.device.type != "cpu":
            self.cache.put("batch", key, _tensors(size))

    def _chosen(self, trial: Trial, denoiser: Conditional, key: str) -> int:
        if self.device.type == "cpu":
            return on_cpu(denoiser.shape, has_network=trial.denoiser.has_network)
        with self.cache.lock(f"batch-{key}"), isolated(self.device, "batch", key), torch.no_grad():
            evaluate = _evaluation(trial, denoiser, self.device)
            kept = self.cache.get_or_make("batch", key, lambda: _tensors(fastest(lambda n: _seconds(evaluate, n))))
        return int(kept["size"])

    def _key(self, trial: Trial, denoiser: Conditional) -> str:
        """The hash of what the speed of the trial's denoiser depends on."""
        kind = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        return content_key(
            speed_of(trial.denoiser),
            trial.guidance.identity(),
            denoiser.shape,
            trial.evaluate.labels == "none",
            kind,
            torch.__version__,
        )


def on_cpu(shape: tuple[int, ...], *, has_network: bool) -> int:
    """The batch size on a CPU for samples of this shape.

    Larger batches make networks slower per image: the activations no longer fit into the memory that the allocator
    keeps, so that every evaluation gets new pages from the system. Batches of a chunk have nearly equal sizes.
    """
    if not has_network:
        return CHUNK
    most = max(1, PIXELS // math.prod(shape[1:]))
    return math.ceil(CHUNK / math.ceil(CHUNK / most))


def fastest(seconds: Callable[[int], float], most: int = MOST) -> int:
    """The smallest batch that is nearly as fast per image as the fastest: a chunk times a power of two, up to ``most``.

    ``seconds`` gives the time of a batch. Batches are doubled while this makes them faster and memory suffices. If it
    does not even suffice for a chunk, the batch is halved until it does.
    """
    speeds: dict[int, float] = {}
    size = CHUNK
    while size <= most:
        spent = _unless_memory_is_full(seconds, size)
        if spent is None:
            break
        speeds[size] = size / spent
        if size > CHUNK and speeds[size] < speeds[size // 2] / ENOUGH:
            break
        size *= 2
    if not speeds:
        while size > 1 and _unless_memory_is_full(seconds, size) is None:
            size //= 2
        return size
    return min(size for size, speed in speeds.items() if speed >= ENOUGH * max(speeds.values()))


def speed_of(denoiser: Denoiser) -> object:
    """What the speed of a denoiser depends on: for a trained one, neither its seeds nor its learning rates."""
    if not isinstance(denoiser, Trainable):
        return denoiser.identity()
    fields = {name: value for name, value in denoiser.identity().items() if name not in NOT_OF_SPEED}
    if isinstance(network := fields.get("network"), dict):
        fields["network"] = {name: value for name, value in network.items() if name != "seed"}
    return fields


def _unless_memory_is_full(seconds: Callable[[int], float], size: int) -> float | None:
    try:
        return seconds(size)
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
    torch.cuda.empty_cache()
    return None


def _evaluation(trial: Trial, denoiser: Conditional, device: torch.device) -> Callable[[int], Tensor]:
    """A function of n that evaluates the denoiser for n images at one of the trial's noise levels."""
    sigma = trial.design.time_steps.sigmas(trial.num_steps)[trial.num_steps // 2]
    one = latents(trial.seed, range(1), denoiser.shape) * float(sigma)

    def evaluate(n: int) -> Tensor:
        labels = None if trial.evaluate.labels == "none" else torch.zeros(n, dtype=torch.int64, device=device)
        return denoiser.bind(labels)(one.to(device).expand(n, *denoiser.shape).contiguous(), sigma)

    return evaluate


def _seconds(evaluate: Callable[[int], Tensor], n: int) -> float:
    """The median time of an evaluation of n images, the first one left out; ``item`` waits for the device."""
    spent = []
    for _ in range(1 + TIMES):
        start = perf_counter()
        evaluate(n).sum().item()
        spent.append(perf_counter() - start)
    return statistics.median(spent[1:])


def _tensors(size: int) -> dict[str, Tensor]:
    return {"size": torch.tensor(size)}
