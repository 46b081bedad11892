"""What a metric is given, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from designspace.evaluation.moments import Moments


@dataclass(frozen=True, eq=False)
class Sample:
    """The features of a set of images."""

    features: Tensor
    """float32 ``[n, d]``."""

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def moments(self) -> Moments:
        """Their mean and covariance. Raises ``ValueError`` as ``Moments`` does."""
        return Moments.of(self.features)


class Summary(Sample):
    """A set of images of which only the mean and covariance of the features are known."""

    def __init__(self, moments: Moments) -> None:
        self.__dict__["moments"] = moments  # in place of what a sample computes

    @property
    def features(self) -> Tensor:
        """There are none. Raises ``ValueError``."""
        raise ValueError("of the reference only mean and covariance are known: a metric of its features needs images")

    def __len__(self) -> int:
        if self.moments.n is None:
            raise ValueError("of how many images the reference's mean and covariance are is not known")
        return self.moments.n


@dataclass(frozen=True, eq=False)
class Measured:
    """The value of a metric."""

    value: float
    se: float | None = None
    """Its standard error over other draws of the generated images, the reference taken as fixed."""
    influence: Tensor | None = None
    """What each image has to do with it, float32 ``[n]``, centred: se is about std(influence) / sqrt(n)."""
    floor: float | None = None
    """The least that can be expected, where the metric knows it by itself."""
    profile: tuple[Tensor, Tensor] | None = None
    """Where it comes from: noise levels and values at them, float64 ``[m]`` each."""

    extra: dict[str, float] = field(default_factory=dict)
    """More numbers to keep with it, by name."""

    def tensors(self) -> dict[str, Tensor]:
        """All of it, to be kept; ``Measured.of`` reads it back."""
        numbers = {"value": self.value, "se": self.se, "floor": self.floor}
        found = {k: torch.tensor(v, dtype=torch.float64) for k, v in numbers.items() if v is not None}
        found |= {f"extra.{k}": torch.tensor(v, dtype=torch.float64) for k, v in self.extra.items()}
        found |= {} if self.influence is None else {"influence": self.influence}
        return found | ({} if self.profile is None else {"profile": torch.stack(self.profile)})

    @classmethod
    def of(cls, kept: dict[str, Tensor]) -> Measured:
        """From ``tensors``."""
        numbers = {k: kept[k].item() for k in ("value", "se", "floor") if k in kept}
        profile = (kept["profile"][0], kept["profile"][1]) if "profile" in kept else None
        extra = {k.removeprefix("extra."): v.item() for k, v in kept.items() if k.startswith("extra.")}
        return cls(**numbers, influence=kept.get("influence"), profile=profile, extra=extra)


def mean(each: Tensor, **more: Any) -> Measured:
    """The mean over images of a value that each has, ``[n]``."""
    return Measured(float(each.mean()), _se(each), (each - each.mean()).float(), **more)


def root_mean(squares: Tensor, **more: Any) -> Measured:
    """The root of the mean over images of a square that each has, ``[n]``; to first order in each."""
    value = float(squares.mean().sqrt())
    effect = (squares - squares.mean()) / (2 * value or 1.0)
    return Measured(value, _se(effect), effect.float(), **more)


def _se(each: Tensor) -> float | None:
    return float(each.std()) / len(each) ** 0.5 if len(each) > 1 else None
