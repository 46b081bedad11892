"""The moving averages of the parameters of a network in training, and averages that are made of them afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from designspace.training.rows import EMA

Parameters = list[Tensor]


class Averages:
    """The averages that ``ema`` tracks, and those of earlier steps that it keeps, which stay in the memory of the CPU.

    Buffers of the network, such as running statistics, are averages already and are copied.
    """

    def __init__(self, network: nn.Module, ema: EMA, batch_size: int) -> None:
        self._ema, self._tracked, self._batch_size = ema, ema.tracked(), batch_size
        self._parameters: Parameters = list(network.parameters())
        self._first = deepcopy(network).eval().requires_grad_(False)
        self._buffers = list(self._first.buffers()), list(network.buffers())
        others = ([p.clone() for p in self._first.parameters()] for _ in self._tracked[1:])
        self._now: list[Parameters] = [list(self._first.parameters()), *others]
        self._kept: dict[int, list[Parameters]] = {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the averages towards the parameters of the network after its ``step``-th step."""
        for ema, average in zip(self._tracked, self._now, strict=True):
            decay = ema.decay((step - 1) * self._batch_size, self._batch_size)
            torch._foreach_lerp_(average, self._parameters, 1 - decay)
        if self._buffers[0]:
            torch._foreach_copy_(*self._buffers)
        kept = self._ema.kept(step)
        self._kept = {known: self._kept[known] for known in kept if known in self._kept}
        if step in kept:
            self._kept[step] = [self._copied(average) for average in self._now]

    def _copied(self, average: Parameters) -> Parameters:
        """A copy in the memory of the CPU. That of a GPU's memory is complete only after ``_wait``."""
        copies = [torch.empty_like(p, device="cpu", pin_memory=p.is_cuda) for p in average]
        torch._foreach_copy_(copies, average, non_blocking=True)
        return copies

    def _wait(self) -> None:
        """Wait until the copies are complete."""
        if self._kept and self._parameters[0].is_cuda:
            torch.cuda.current_stream(self._parameters[0].device).synchronize()

    def module(self, step: int) -> nn.Module:
        """The network with the average of its parameters after ``step`` steps, the last of ``update``."""
        if len(self._tracked) == 1 or not step:
            return self._first
        self._wait()
        before = {known: average for known, average in self._kept.items() if known < step}
        weights = self._ema.weights([*before, step])
        module = deepcopy(self._first)
        for i, parameter in enumerate(module.parameters()):
            values = [average[i] for now in (*before.values(), self._now) for average in now]
            terms = (w * value.double().cpu() for w, value in zip(weights.flatten().tolist(), values, strict=True))
            parameter.copy_(sum(terms, start=torch.zeros(())))
        return module

    def tensors(self) -> dict[str, Tensor]:
        """All averages as tensors."""
        self._wait()
        found = {f"average.{name}": value for name, value in self._first.state_dict().items()}
        names = [name for name, _ in self._first.named_parameters()]
        for k, average in enumerate(self._now[1:], start=1):
            found |= {f"average_{k}.{name}": value for name, value in zip(names, average, strict=True)}
        if self._kept:
            found["kept"] = torch.tensor(list(self._kept))
            for i, name in enumerate(names):
                each = [torch.stack([average[i] for average in now]) for now in self._kept.values()]
                found[f"kept.{name}"] = torch.stack(each)
        return found

    def restore(self, found: Mapping[str, Tensor]) -> None:
        """Restore the averages from ``tensors``."""
        self._first.load_state_dict(below("average.", found))
        names = [name for name, _ in self._first.named_parameters()]
        for k, average in enumerate(self._now[1:], start=1):
            for name, value in zip(names, average, strict=True):
                value.copy_(found[f"average_{k}.{name}"])
        steps = found["kept"].tolist() if "kept" in found else []
        stacks = [found[f"kept.{name}"].unbind() for name in names] if steps else []
        self._kept = {
            step: [list(average) for average in zip(*(stack[n].unbind() for stack in stacks), strict=True)]
            for n, step in enumerate(steps)
        }


def below(prefix: str, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}


@lru_cache
def exponent(std: float) -> float:
    r"""The exponent :math:`\gamma` of the weights with the relative width ``std``."""
    inverse = std**-2
    return float(max(np.roots([1, 7, 16 - inverse, 12 - inverse]).real))


def inner(a: Tensor, s: Tensor, b: Tensor, t: Tensor) -> Tensor:
    r"""The integral of the product of :math:`(a + 1) \tau^a / s^{a + 1}` and :math:`(b + 1) \tau^b / t^{b + 1}`.

    The former is 0 after s, the latter after t.
    """
    ratio = torch.where(s < t, (s / t) ** b, (t / s) ** a)
    return (a + 1) * (b + 1) / (a + b + 1) * ratio / torch.maximum(s, t)


@lru_cache
def fit(std: float, tracked: tuple[float, ...], steps: tuple[int, ...]) -> tuple[Tensor, float]:
    """The coefficients of the tracked averages at ``steps``, float64 ``[len(steps), 2]``, and the relative error.

    They minimise the integrated squared difference between the weights, and are then scaled to a sum of 1.
    """
    end = torch.tensor(steps[-1], dtype=torch.float64)
    times = torch.tensor(steps, dtype=torch.float64).repeat_interleave(len(tracked)) / end
    powers = torch.tensor([exponent(width) for width in tracked], dtype=torch.float64).repeat(len(steps))
    own, one = torch.tensor(exponent(std), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    gram = inner(powers[:, None], times[:, None], powers, times)
    target, size = inner(powers, times, own, one), inner(own, one, own, one)
    scale = gram.diag().rsqrt()
    found = scale * torch.linalg.solve(scale[:, None] * gram * scale, scale * target)
    found = found / found.sum()
    error = ((found @ gram @ found - 2 * found @ target) / size + 1).clamp_min(0).sqrt()
    return found.reshape(len(steps), len(tracked)), error.item()
