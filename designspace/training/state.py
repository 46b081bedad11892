"""The state of a training run, with its conversion to and from tensors for checkpoints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from designspace.registry.calling import calling, require_like
from designspace.training.averages import Averages, below
from designspace.training.loss import BINS, bin_of
from designspace.training.ranks import ALONE, Ranks
from designspace.training.recipe import Recipe
from designspace.training.rows import TrainingRows

LEAST = 1e-8
"""The shortest warm-up in images, which prevents divisions by 0."""


def learning_rate(recipe: Recipe, images: int) -> float:
    r"""The learning rate of the step before which ``images`` images have been seen: 0 in the first step.

    .. math:: \alpha \min(n / w, 1) / \sqrt{\max(n / m, 1)}

    with n images seen, the field ``learning_rate`` (:math:`\alpha`), ``warm_up`` (w) and ``decay_after`` (m).
    Karras et al. (2022), Appendix F.2; Karras et al. (2024), https://arxiv.org/abs/2312.02696, Appendix B.
    """
    ramp = min(images / max(recipe.warm_up, LEAST), 1.0)
    decay = 1.0 if recipe.decay_after is None else math.sqrt(max(images / recipe.decay_after, 1.0))
    return recipe.learning_rate * ramp / decay


@dataclass(eq=False)
class Record:
    """The loss by noise level in the course of training: the sum and the count in each bin, for each entry."""

    images: list[int] = field(default_factory=list)
    """The number of images seen at the end of each entry."""
    sums: list[Tensor] = field(default_factory=list)
    """The sum of the losses in each bin, float64 ``[BINS]`` per entry."""
    counts: list[Tensor] = field(default_factory=list)
    """The number of losses in each bin, float64 ``[BINS]`` per entry."""

    @property
    def mean(self) -> list[float]:
        """The mean loss of each entry."""
        return [float(s.sum() / c.sum()) for s, c in zip(self.sums, self.counts, strict=True)]


class Gradients:
    """The gradients of parameters, side by side in one tensor per dtype, so that few operations treat all of them."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._groups: list[tuple[Tensor, list[tuple[nn.Parameter, Tensor]]]] = []
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        for dtype in dict.fromkeys(parameter.dtype for parameter in trained):
            group = [parameter for parameter in trained if parameter.dtype == dtype]
            flat = torch.zeros(sum(p.numel() for p in group), dtype=dtype, device=group[0].device)
            places = zip(group, torch.split(flat, [p.numel() for p in group]), strict=True)
            dense = ((p, place, torch.empty_like(p, device="meta").stride()) for p, place in places)
            self._groups.append((flat, [(p, place.as_strided(p.shape, stride)) for p, place, stride in dense]))

    @torch.no_grad()
    def clean(self, ranks: Ranks) -> None:
        """Add up the gradients of all processes, then replace NaN by 0 and infinities by +-1e5."""
        for flat, group in self._groups:
            found = [(p, own, p.grad) for p, own in group if p.grad is not None]
            if ranks.count > 1 and len(found) < len(group):  # another process may have a gradient that is missing here
                flat.zero_()
            if found:
                torch._foreach_copy_([own for _, own, _ in found], [gradient for _, _, gradient in found])
            ranks.add(flat)
            torch.nan_to_num_(flat, nan=0.0, posinf=1e5, neginf=-1e5)
            for parameter, own in [(p, own) for p, own, _ in found] if ranks.count == 1 else group:
                parameter.grad = own


class State:
    """A network with its moving averages, the state of the optimizer, and the record of the loss.

    It also has what rows of ``design`` learn in training: the loss weight, and the noise distribution.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        device: torch.device,
        design: TrainingRows,
        ranks: Ranks = ALONE,
    ) -> None:
        form = {"memory_format": torch.channels_last} if recipe.channels_last else {}
        self.network = network.to(device, **form).train()  # type: ignore[call-overload]
        self.averages = Averages(self.network, recipe.ema, recipe.batch_size)
        self.recipe, self.step, self.record = recipe, 0, Record()
        self.weight, self.levels = design.loss_weight.learned(), design.noise_distribution.adapted(device)
        if self.weight is not None:
            self.weight.to(device)
        self._design, self.ranks = design, ranks
        self._parameters = [parameter for _, parameter in self._named_parameters()]
        self._gradients = Gradients(self._parameters)
        self.optimizer = torch.optim.Adam(self._parameters, lr=0.0, betas=(0.9, 0.999), eps=1e-8, fused=True)
        self._seen: list[tuple[Tensor, Tensor]] = []
        """Noise levels and weighted errors of steps that the sums do not contain yet."""
        self._sums = torch.zeros(2, BINS, dtype=torch.float64)
        self._first = torch.zeros((), dtype=torch.float64, device=device)

    @property
    def average(self) -> nn.Module:
        """The network with the average of its parameters."""
        return self.averages.module(self.step)

    @property
    def images(self) -> int:
        """The number of images seen."""
        return self.step * self.recipe.batch_size

    def apply(self) -> None:
        """Take an optimizer step with the accumulated gradients, after replacing NaN by 0 and infinities by +-1e5."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, self.images)
        self._gradients.clean(self.ranks)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.ranks.copy_first(list(self.network.buffers()))
        self.step += 1
        self.averages.update(self.step)

    @property
    def learned(self) -> dict[str, nn.Module]:
        """What rows of the design have learned, by row."""
        found = {"loss_weight": self.weight, "noise_distribution": self.levels}
        return {row: module for row, module in found.items() if module is not None}

    def losses(self, errors: Tensor, sigma: Tensor) -> Tensor:
        """The losses ``[B]`` to minimise, from the weighted errors ``[B]`` at these noise levels."""
        if self.weight is None:
            return errors
        row = self._design.loss_weight
        with calling(row):
            found: object = self.weight(errors, sigma)
        return require_like(row, "the losses", found, errors)

    def see(self, sigma: Tensor, errors: Tensor, losses: Tensor) -> None:
        """Add the weighted errors of a batch to the record, and tell its losses to the noise distribution."""
        if self.step == 0:
            self._first.copy_(self.ranks.whole(errors, len(sigma)).mean())
        self._seen.append((sigma, errors))
        if self.levels is not None:
            with calling(self._design.noise_distribution):
                self.levels.see(sigma, self.ranks.whole(losses, len(sigma)), self.step)

    def settle(self) -> None:
        """Add what was seen to the sums of the current entry, in the order of the steps. Waits for the device."""
        if self._seen:
            sigma, errors = (torch.stack(column) for column in zip(*self._seen, strict=True))
            bins = bin_of(sigma).flatten()
            values = self.ranks.whole(errors, self.recipe.batch_size).flatten().double().cpu()
            self._sums[0].index_add_(0, bins, values)
            self._sums[1].index_add_(0, bins, torch.ones_like(values))
            self._seen.clear()

    @property
    def first(self) -> float:
        """The mean loss of the first batch."""
        return float(self._first)

    def loss(self) -> float:
        """The mean loss of the current entry. Waits for the device."""
        self.settle()
        return float(self._sums[0].sum() / self._sums[1].sum())

    def close_entry(self) -> None:
        """End the current entry of the record and begin another."""
        self.settle()
        sums, counts = self._sums.clone()
        self._sums.zero_()
        self.record.images.append(self.images)
        self.record.sums.append(sums)
        self.record.counts.append(counts)

    def curve(self) -> Record:
        """The record or, before its first entry is complete, the current entry alone."""
        if self.record.images or not self.step:
            return self.record
        self.settle()
        sums, counts = self._sums.clone()
        return Record([self.images], [sums], [counts])

    def _named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Everything that is optimised, with the names under which checkpoints keep its moments."""
        modules = {"adam": self.network} | {f"adam_{row}": module for row, module in self.learned.items()}
        for prefix, module in modules.items():
            yield from ((f"{prefix}.{name}", parameter) for name, parameter in module.named_parameters())

    def tensors(self) -> dict[str, Tensor]:
        """The whole state as tensors."""
        self.settle()
        found = {"step": torch.tensor(self.step), "open": self._sums, "first": self._first}
        found |= {f"network.{k}": v for k, v in self.network.state_dict().items()}
        found |= self.averages.tensors()
        for row, module in self.learned.items():
            found |= {f"{row}.{k}": v for k, v in module.state_dict().items()}
        for name, parameter in self._named_parameters():
            found |= {f"{name}.{k}": v for k, v in self.optimizer.state.get(parameter, {}).items()}
        if self.record.images:
            record = self.record
            found |= {"record.images": torch.tensor(record.images)}
            found |= {"record.sums": torch.stack(record.sums), "record.counts": torch.stack(record.counts)}
        return found

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Restore the state from ``tensors``."""
        self.step = int(kept["step"])
        self._sums.copy_(kept["open"])
        self._seen.clear()
        self._first.copy_(kept["first"])
        self.network.load_state_dict(below("network.", kept))
        self.averages.restore(kept)
        for row, module in self.learned.items():
            module.load_state_dict(below(f"{row}.", kept))
        for name, parameter in self._named_parameters():
            moments = below(f"{name}.", kept)
            self.optimizer.state[parameter] = {k: _as(v, parameter) for k, v in moments.items()}
        if "record.images" in kept:
            columns = (kept[f"record.{k}"] for k in ("sums", "counts"))
            self.record = Record(kept["record.images"].tolist(), *(list(column.unbind()) for column in columns))


def _as(kept: Tensor, parameter: Tensor) -> Tensor:
    """``kept`` on the parameter's device and in its memory format, which fused Adam relies on."""
    return torch.empty_like(parameter).copy_(kept) if kept.shape == parameter.shape else kept.to(parameter.device)
