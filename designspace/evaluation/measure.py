"""What a metric is given, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

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


@dataclass(frozen=True, eq=False)
class Measured:
    """The value of a metric."""

    value: float
    se: float | None = None
    """Its standard error over other draws of the generated images, the reference taken as fixed."""
    influence: Tensor | None = None
    """What each image has to do with it, float32 ``[n]``, centred: se is about std(influence) / sqrt(n)."""
    extra: dict[str, float] = field(default_factory=dict)
    """More numbers to keep with it, by name."""
