"""The input of a metric (features of a set of images) and its output (a value with the influence of each image)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from designspace.evaluation.moments import Moments
from designspace.sampling.noise import generator

T = TypeVar("T")
Draw = NDArray[np.int64]
"""The indices of images drawn from a reference, with replacement, ``[n]``."""
Tensors = dict[str, Tensor]
Store = Callable[[str, Callable[[], Tensors]], Tensors]
"""Returns the tensors that are kept on disk under a name, after making them if there are none."""


@dataclass(frozen=True, eq=False)
class Sample:
    """The features of a set of images."""

    features: Tensor
    """float32 ``[n, d]``."""
    kept: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    """Intermediate results that metrics share, such as nearest neighbours."""
    store: Store | None = field(default=None, repr=False)
    """The store of ``saved``; the reference of a run has one."""

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def moments(self) -> Moments:
        """Mean and covariance of the features. Raises ``ValueError`` as ``Moments`` does."""
        return Moments.of(self.features)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result of ``make``, which is called only the first time that ``key`` is requested."""
        if key not in self.kept:
            self.kept[key] = make()
        found: T = self.kept[key]
        return found

    def saved(self, name: str, make: Callable[[], Tensors]) -> Tensors:
        """As ``once``, for tensors that take long to compute: if there is a ``store``, they are made once for all runs.

        They depend on the features and on ``name`` alone.
        """
        return self.once(name, make if self.store is None else partial(self.store, name, make))

    def derived(self, name: str, features: Tensor) -> Sample:
        """A sample with other features of the same images, whose tensors are saved under names of their own."""
        store = self.store
        return Sample(features, store=None if store is None else lambda key, make: store(f"{name}/{key}", make))

    def subset(self, index: Draw) -> Sample:
        """The images at these indices. What metrics compute from them is shared; their features are not kept."""
        return Sample(self.features[torch.from_numpy(index)], self.once(("subset", index.tobytes()), dict))


class Profile(NamedTuple):
    """A value as a function of the noise level; every column is float64 ``[m]``."""

    sigma: Tensor
    value: Tensor
    before: Tensor | None = None
    """The value before training."""
    density: Tensor | None = None
    """The probability density of the training noise levels per unit of ln sigma."""
    learned: Tensor | None = None
    """The value that a learned loss weight expects."""

    def columns(self) -> dict[str, Tensor]:
        """The columns that are not ``None``, by name."""
        return {name: column for name, column in self._asdict().items() if column is not None}


class Summary(Sample):
    """A set of images for which only the mean and covariance of the features are known."""

    def __init__(self, moments: Moments) -> None:
        self.__dict__["moments"] = moments  # replaces the cached property of Sample

    @property
    def features(self) -> Tensor:
        """Raises ``ValueError``: the features are not known."""
        raise ValueError("only mean and covariance of the reference are known: this metric needs its features")

    def __len__(self) -> int:
        if self.moments.n is None:
            raise ValueError("the number of images behind the mean and covariance of the reference is not known")
        return self.moments.n


class PartlyKnown(Sample):
    """A set of images for which the moments of all features are known, and the features of some images."""

    def __init__(self, features: Tensor, moments: Moments, store: Store | None = None) -> None:
        super().__init__(features, store=store)
        self.__dict__["moments"] = moments  # replaces the cached property of Sample


@dataclass(frozen=True, eq=False)
class Measured:
    """The result of a metric."""

    value: float
    se: float | None = None
    """The standard error due to the random choice of generated images, for a fixed reference."""
    influence: Tensor | None = None
    """The influence of each image on the value, float32 ``[n]``, centred; se is about std(influence) / sqrt(n)."""
    pairs: Tensor | None = None
    """The second-order influence of each image with its predecessor in the order ``shuffled(n)``, float32 ``[n]``."""
    floor: float | None = None
    """The lowest value to be expected, for metrics that know it without a reference."""
    profile: Profile | None = None
    extra: dict[str, float] = field(default_factory=dict)
    """Further numbers to record, by name."""

    def tensors(self) -> Tensors:
        """The result as tensors for storage; ``Measured.of`` reads it back."""
        numbers = {"value": self.value, "se": self.se, "floor": self.floor}
        found = {k: torch.tensor(v, dtype=torch.float64) for k, v in numbers.items() if v is not None}
        found |= {f"extra.{k}": torch.tensor(v, dtype=torch.float64) for k, v in self.extra.items()}
        images = {"influence": self.influence, "pairs": self.pairs}
        found |= {name: each for name, each in images.items() if each is not None}
        columns = {} if self.profile is None else self.profile.columns()
        return found | {f"profile.{name}": column for name, column in columns.items()}

    @classmethod
    def of(cls, kept: Tensors) -> Measured:
        """Restore a result from ``tensors``."""
        numbers = {k: kept[k].item() for k in ("value", "se", "floor") if k in kept}
        columns = {k.removeprefix("profile."): v for k, v in kept.items() if k.startswith("profile.")}
        profile = Profile(**columns) if columns else None
        extra = {k.removeprefix("extra."): v.item() for k, v in kept.items() if k.startswith("extra.")}
        return cls(**numbers, influence=kept.get("influence"), pairs=kept.get("pairs"), profile=profile, extra=extra)


def shuffled(n: int) -> NDArray[np.int64]:
    """A random order of n images that depends on n alone. Each image is paired with its predecessor in this order."""
    return generator("halves", n).permutation(n)


def mean(each: Tensor, **more: Any) -> Measured:
    """The mean of a value per image, ``[n]``.

    If all values are equal, as for a proportion of 0 or 1, the standard error is 0; by the rule of three the true value
    then lies within 3 / n with 95 % confidence.
    """
    return Measured(float(each.mean()), _se(each), (each - each.mean()).float(), **more)


def root_mean(squares: Tensor, **more: Any) -> Measured:
    """The root mean square, from the square of a value per image, ``[n]``; the influence is exact to first order."""
    return rooted(float(squares.mean()), squares - squares.mean(), 2, **more)


def rooted(value: float, effect: Tensor, p: float, **more: Any) -> Measured:
    """The p-th root of a value, with its influence to first order from that of the value, ``[n]``, centred."""
    root = value ** (1 / p)
    effect = effect / (p * root ** (p - 1) or 1.0)
    return Measured(root, _se(effect), effect.float(), **more)


def jackknife(value: float, without: Tensor, **more: Any) -> Measured:
    """A value with its influence from the values when each image is left out in turn, ``[n]``.

    This suits values that are not differentiable, such as counts. On average, the standard error is at least the true
    one, for differences between trials as well. Efron and Stein (1981), https://doi.org/10.1214/aos/1176345462.
    """
    effect = (len(without) - 1) * (without.mean() - without)
    return Measured(value, _se(effect), effect.float(), **more)


def _se(each: Tensor) -> float | None:
    return float(each.std()) / len(each) ** 0.5 if len(each) > 1 else None
