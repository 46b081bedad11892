r"""Two sets of images as manifolds: a ball around each image, as wide as its k-th nearest neighbour is far.

Precision, recall, density and coverage are counts of images in balls. Kynkäänniemi et al. (2019),
https://arxiv.org/abs/1904.06991; Naeem et al. (2020), https://arxiv.org/abs/2002.09797. All four are counted in one
pass over the distances of generated images from the reference's, for the published values of k at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from designspace.evaluation.measure import Sample
from designspace.evaluation.moments import Array, check_widths, float64, table
from designspace.evaluation.neighbours import Integers, Near, blocks, nearest, squares
from designspace.evaluation.rows import Metric
from designspace.evaluation.tally import Leaving, Tally
from designspace.registry.component import Neighbours

PUBLISHED = (3, 5)
"""The k of precision and recall, and that of density and coverage."""
ROUNDING = 1e-12
"""Of squared distances, relative to squared norms: an image on the surface of a ball lies inside."""


class OverlapMetric(Metric):
    """A metric of ``overlap``: a share, or a number that is about 1 at best. Raises ``ValueError`` as that does."""

    higher_is_better: ClassVar[bool | None] = True
    k: Neighbours

    @property
    def least(self) -> int:
        return self.k + 1


@dataclass(frozen=True)
class Overlap:
    """How generated images lie in the balls of the reference, and the reference's in those of the generated."""

    inside: Integers
    """The reference's balls that each generated image lies in, ``[n]``."""
    covered: int
    """The reference's balls that have a generated image in them."""
    covered_without: Integers
    """As many without each generated image, ``[n]``."""
    recalled: int
    """The reference's images that lie in generated images' balls."""
    recalled_without: Integers | None
    """As many without each generated image, ``[n]``; ``None`` if the others had no k neighbours then."""


def overlap(generated: Sample, reference: Sample, k: int) -> Overlap:
    """Count, with balls to the k-th nearest neighbours.

    Raises ``ValueError`` if either set has k images or fewer, if the reference's images are all the same, if the
    features' dimensions differ, and for NaN or infinity.
    """
    if (n := min(len(generated), len(reference))) <= k:
        raise ValueError(f"balls to the k = {k} nearest neighbours take {k + 1} images of each set at least, not {n}")
    together = tuple(sorted({k, *(other for other in PUBLISHED if other < n)}))
    counted = generated.once(("overlap", reference, together), lambda: _count(generated, reference, together))
    return counted[k]


def _count(generated: Sample, reference: Sample, ks: tuple[int, ...]) -> dict[int, Overlap]:
    m, n = len(reference), len(generated)
    check_widths(table(generated.features)[1], table(reference.features)[1])
    balls, own = nearest(reference, reference, max(ks)), nearest(generated, generated, min(max(ks) + 1, n - 1))
    if not balls.squares.any():
        raise ValueError(f"the {m} images of the reference have all the same features: no ball has a size")
    tallies = {k: (Tally(m, n), Leaving(own.index, k, n, m)) for k in ks}
    for j in blocks(m):
        y = float64(reference.features[j])
        for i in blocks(n):
            x = float64(generated.features[i])
            apart = squares(x, y)
            for k, (held, leaving) in tallies.items():
                held.add(j, i, (apart <= _reach(balls, k, j, y)).T)
                limit, next_limit = (_reach(own, of, i, x)[:, None] for of in (k, k + 1))
                leaving.add(i, j, apart <= limit, (apart > limit) & (apart <= next_limit))
        for _, leaving in tallies.values():
            leaving.close(j)
    return {k: _overlap(held, leaving) for k, (held, leaving) in tallies.items()}


def _reach(near: Near, k: int, rows: slice, x: Array) -> Array:
    """Squared radii; where there is no k-th neighbour, the last one's."""
    return np.asarray(near.squares[rows, min(k, near.squares.shape[1]) - 1] + ROUNDING * np.square(x).sum(1))


def _overlap(held: Tally, leaving: Leaving) -> Overlap:
    covered = held.filled()
    lost = np.bincount(held.only(), minlength=len(held.per_point))
    recalled = leaving.covered()
    without = None if leaving.change is None else recalled + leaving.change
    return Overlap(held.per_point, covered, covered - lost, recalled, without)
