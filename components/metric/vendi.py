import math
from typing import Annotated, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from designspace.evaluation.measure import Measured, Sample
from designspace.evaluation.moments import Array, Features, float64
from designspace.evaluation.rows import Metric
from designspace.registry.literature import FRIEDMAN_2023, PASARKAR_2024

BLOCK = 4096
"""The number of images whose features are converted to float64 at a time."""


class Vendi(Metric, name="vendi"):
    r"""The effective number of different images: the exponential of the entropy of the eigenvalues of a Gram matrix.

    The matrix holds the cosines of the angles between the features of all pairs of the n images, divided by n, so that
    its eigenvalues add up to 1. The value is 1 if all features point in one direction, k for k groups of the same size
    whose features are orthogonal, and at most min(n, d). Low orders ``q`` weight rare directions more and high orders
    the common ones; ``q: inf`` gives 1 / max λ, and q = 1 the entropy of Shannon.

    It needs no reference and says nothing about fidelity: noise is diverse. Neither direction is better; compare the
    value with that of images drawn from the data, which reports show beside it. It is biased towards low values for
    few images, so compare equal numbers of them. Features with a large mean have similar directions, and values near 1.

    The standard error is that of the first-order influence of each image. It agrees with simulations, except where this
    influence vanishes, at the maximum of the value, as for orthogonal groups of equal probability: there it is about
    1.4 times too large. Features of length 0 have no direction; they count as equal to each other and orthogonal to all
    others.
    """

    formula = r"""
        \exp\left(-\sum_i \lambda_i \ln \lambda_i\right), \quad \text{or} \quad
            \left(\sum_i \lambda_i^q\right)^{1 / (1 - q)}, \qquad
            \lambda_i = \text{eigenvalues of } \tfrac1n \left[\frac{x_i^\top x_j}{|x_i|\,|x_j|}\right]_{ij}
    """
    sources = (FRIEDMAN_2023, PASARKAR_2024)
    higher_is_better: ClassVar[bool | None] = None
    moments_suffice: ClassVar[bool] = True
    q: Annotated[float, Field(gt=0)] = 1.0

    def measure(self, generated: Sample, reference: Sample) -> Measured:
        x, n = generated.features, len(generated)
        values, vectors = _spectrum(x)
        value, slopes = _score(values, self.q)
        each = np.concatenate([np.square(_unit(x[i : i + BLOCK]) @ vectors) @ slopes for i in range(0, n, BLOCK)])
        effect = each - each.mean()
        se = float(effect.std(ddof=1)) / math.sqrt(n) if n > 1 else None
        return Measured(value, se, torch.from_numpy(effect).float())

    def value(self, generated: Sample, reference: Sample) -> float:
        return _score(_eigenvalues(generated.features), self.q)[0]


def _score(values: Array, q: float) -> tuple[float, Array]:
    r"""The effective number of eigenvalues that are positive and add up to 1, and its derivative by each of them."""
    if q == 1:
        score = math.exp(-float(values @ np.log(values)))
        return score, -score * np.log(values)
    if math.isinf(q):
        return 1 / float(values.max()), np.where(values == values.max(), -1.0, 0.0) / float(values.max()) ** 2
    if abs(q - 1) < 0.5:  # the sum of the powers differs little from that of the eigenvalues, which is 1
        growth = np.expm1((q - 1) * np.log(values))
        score = math.exp(math.log1p(values @ growth) / (1 - q))
        return score, score * q / (1 - q) * growth / (1 + values @ growth)  # up to a constant, which has no effect
    scaled = (values / values.max()) ** q  # powers of the eigenvalues themselves may underflow
    score = math.exp((q * math.log(values.max()) + math.log(scaled.sum())) / (1 - q))
    return score, score * q / (1 - q) * scaled / values / scaled.sum()


def _spectrum(features: Features) -> tuple[Array, Array]:
    """The eigenvalues ``[r]`` of the mean of u u^T, other than 0, and its eigenvectors ``[d + 1, r]``.

    Here u is a row of ``_unit``. The eigenvalues are those of the Gram matrix of the n images, divided by n.
    """
    n, d = features.shape
    values, vectors = np.linalg.eigh(_gram(features))
    kept = _positive(values, n, d)
    values, vectors = values[kept], vectors[:, kept]
    if n <= d:
        vectors = _unit(features).T @ vectors / np.sqrt(n * values)
    return values / values.sum(), vectors


def _eigenvalues(features: Features) -> Array:
    """Those of ``_spectrum``, in a third of the time."""
    values = np.asarray(np.linalg.eigvalsh(_gram(features)), np.float64)
    values = values[_positive(values, *features.shape)]
    return np.asarray(values / values.sum())


def _gram(features: Features) -> Array:
    """The Gram matrix of the rows of ``_unit`` or that of its columns, whichever is smaller, divided by n."""
    n, d = features.shape
    if n <= d:
        u = _unit(features)
        return u @ u.T / n
    blocks = (_unit(features[i : i + BLOCK]) for i in range(0, n, BLOCK))
    return np.asarray(sum(u.T @ u for u in blocks) / n)


def _positive(values: Array, n: int, d: int) -> NDArray[np.bool_]:
    """Which of the eigenvalues, in increasing order, are not 0 up to rounding."""
    return np.asarray(values > max(n, d) * np.finfo(float).eps * values[-1])


def _unit(features: Features) -> Array:
    """The features divided by their lengths, ``[n, d + 1]``; those of length 0 point in the last direction."""
    x = float64(features)
    length = np.sqrt(np.square(x).sum(1, keepdims=True))
    return np.concatenate([x / np.where(length > 0, length, 1.0), length == 0], axis=1)
