"""What a metric is given, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from designspace.evaluation.moments import Moments

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Sample:
    """The features of a set of images."""

    features: Tensor
    """float32 ``[n, d]``."""
    kept: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    """What was found out about them, so that metrics share the work."""

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def moments(self) -> Moments:
        """Their mean and covariance. Raises ``ValueError`` as ``Moments`` does."""
        return Moments.of(self.features)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` gives, made the first time that it is asked for under ``key``."""
        if key not in self.kept:
            self.kept[key] = make()
        found: T = self.kept[key]
        return found


class Profile(NamedTuple):
    """Where among the noise levels a value comes from: float64 ``[m]`` each."""

    sigma: Tensor
    value: Tensor
    before: Tensor | None = None
    """The same of the network before it was trained."""
    density: Tensor | None = None
    """How often training draws the level: the share of draws per unit of ln sigma."""

    def columns(self) -> dict[str, Tensor]:
        """Those that there are, by name."""
        return {name: column for name, column in self._asdict().items() if column is not None}


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
    profile: Profile | None = None
    extra: dict[str, float] = field(default_factory=dict)
    """More numbers to keep with it, by name."""

    def tensors(self) -> dict[str, Tensor]:
        """All of it, to be kept; ``Measured.of`` reads it back."""
        numbers = {"value": self.value, "se": self.se, "floor": self.floor}
        found = {k: torch.tensor(v, dtype=torch.float64) for k, v in numbers.items() if v is not None}
        found |= {f"extra.{k}": torch.tensor(v, dtype=torch.float64) for k, v in self.extra.items()}
        found |= {} if self.influence is None else {"influence": self.influence}
        columns = {} if self.profile is None else self.profile.columns()
        return found | {f"profile.{name}": column for name, column in columns.items()}

    @classmethod
    def of(cls, kept: dict[str, Tensor]) -> Measured:
        """From ``tensors``."""
        numbers = {k: kept[k].item() for k in ("value", "se", "floor") if k in kept}
        columns = {k.removeprefix("profile."): v for k, v in kept.items() if k.startswith("profile.")}
        profile = Profile(**columns) if columns else None
        extra = {k.removeprefix("extra."): v.item() for k, v in kept.items() if k.startswith("extra.")}
        return cls(**numbers, influence=kept.get("influence"), profile=profile, extra=extra)


def mean(each: Tensor, **more: Any) -> Measured:
    """The mean over images of a value that each has, ``[n]``.

    Where all have the same, as for a share of 0 or 1, its standard error is 0; the rule of three bounds it by 3 / n.
    """
    return Measured(float(each.mean()), _se(each), (each - each.mean()).float(), **more)


def root_mean(squares: Tensor, **more: Any) -> Measured:
    """The root of the mean over images of a square that each has, ``[n]``; to first order in each."""
    return rooted(float(squares.mean()), squares - squares.mean(), 2, **more)


def rooted(value: float, effect: Tensor, p: float, **more: Any) -> Measured:
    """The p-th root of a value that each image has an effect on, ``[n]``, centred; to first order in each."""
    root = value ** (1 / p)
    effect = effect / (p * root ** (p - 1) or 1.0)
    return Measured(root, _se(effect), effect.float(), **more)


def jackknife(value: float, without: Tensor, **more: Any) -> Measured:
    """A value, and what it would be without each image, ``[n]``: for values that change by jumps.

    The standard error is on average not below the true one, for differences of two trials as well. Efron and Stein
    (1981), https://doi.org/10.1214/aos/1176345462.
    """
    effect = (len(without) - 1) * (without.mean() - without)
    return Measured(value, _se(effect), effect.float(), **more)


def _se(each: Tensor) -> float | None:
    return float(each.std()) / len(each) ** 0.5 if len(each) > 1 else None
