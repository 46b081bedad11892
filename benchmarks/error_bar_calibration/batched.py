"""The metric frechet for many draws of low dimension at once; ``check`` compares it with the library."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

import designspace as ds
from designspace.evaluation.measure import Sample, Summary, shuffled
from designspace.evaluation.moments import Moments
from designspace.results.uncertainty import Z

GROUPS = 10
Numbers = dict[str, Tensor]


def measure(x: Tensor, sd: Tensor, *, compare: bool = True) -> tuple[Numbers, Tensor, Tensor]:
    """The numbers of draws ``x [R, n, d]`` from a reference N(0, diag(sd^2)), each ``[R]``, with influences and pairs.

    These are the value, what other corrections of its bias give (the jackknife only with ``compare``), and the terms of
    the standard errors: ``first``, the variance of the influences over n, and ``pairs``, the variance from pairs.
    """
    known = _Side(torch.zeros(1, 1, len(sd)), sd, sd.square().sum())
    effect, pairs, whole = arm(x, known)
    halves = [_Expansion(half, known) for half in _halves(x)]
    once = whole.value - whole.bias()
    found = terms(effect, pairs) | {"value": whole.value, "skew": whole.skew(effect), "one_term": once}
    found |= {"bias_corrected": (4 * once - sum(half.value - half.bias() for half in halves) / 2) / 3}
    found |= {"line": 2 * whole.value - (halves[0].value + halves[1].value) / 2}
    found |= {"jackknife": _jackknife(x, sd, whole.value) if compare else torch.full_like(once, torch.nan)}
    found |= {"effective": effect.square().sum(1).square() / effect.pow(4).sum(1)}
    return found, effect, pairs


def arm(x: Tensor, known: _Side) -> tuple[Tensor, Tensor, _Expansion]:
    """Influences and pairs, both ``[R, n]`` and in shuffled order, and the expansion."""
    whole = _Expansion(x[:, torch.from_numpy(shuffled(x.shape[1]))], known)
    return whole.influence(), whole.pairs(), whole


def difference(x: Tensor, sd: Tensor, effect: Tensor, pairs: Tensor, value: Tensor) -> Numbers:
    """The difference of a second trial ``x`` from a first one, and the terms of its standard error."""
    theirs, second, whole = arm(x, _Side(torch.zeros(1, 1, len(sd)), sd, sd.square().sum()))
    return {"difference": whole.value - value} | terms(theirs - effect, second - pairs)


def terms(effect: Tensor, pairs: Tensor) -> Numbers:
    """The two terms of the standard error."""
    n = effect.shape[1]
    return {"first": effect.var(1) / n, "pairs": pairs.square().sum(1) / (2 * n**3)}


def two_samples(x: Tensor, y: Tensor) -> Numbers:
    """The value corrected for the bias of both sides, and the terms of its error: ``x [R, n, d]``, ``y [R, m, d]``."""

    def corrected(x: Tensor, y: Tensor) -> tuple[Tensor, _Expansion, _Expansion]:
        one, other = _Expansion(x, _Side.of(y)), _Expansion(y, _Side.of(x))
        return one.value - one.bias() - other.bias(), one, other

    x, y = (v[:, torch.from_numpy(shuffled(v.shape[1]))] for v in (x, y))
    once, one, other = corrected(x, y)
    halves = sum(corrected(*half)[0] for half in zip(_in_half(x), _in_half(y), strict=True))
    mine, theirs = (terms(side.influence(), side.pairs()) for side in (one, other))
    pairs = (mine["pairs"].sqrt() + theirs["pairs"].sqrt()).square()
    found = {"value": one.value, "both_corrected": (4 * once - halves / 2) / 3, "skew": one.skew(one.influence())}
    return found | {"first": mine["first"] + theirs["first"], "pairs": pairs}


def check(x: Tensor, reference: Moments | Tensor, found: Numbers) -> None:
    """Raises ``AssertionError`` unless the library gives the numbers of the first draw."""
    of = Summary(reference) if isinstance(reference, Moments) else Sample(reference[0])
    library = ds.Metric.get("frechet")().measure(Sample(x[0]), of)
    one = {name: float(each[0]) for name, each in found.items()}
    expected = {"value": library.value, "skew": library.extra["skew"]}
    if isinstance(reference, Moments):
        se = max(one["first"] - one["pairs"], one["pairs"] / 2) ** 0.5
        one |= {"se": se, "bias_corrected_se": (se**2 + one["pairs"] / 9) ** 0.5}
        expected |= {"se": library.se, **{k: library.extra[k] for k in ("bias_corrected", "bias_corrected_se")}}
    else:
        variance = max(one["first"] - one["pairs"], one["pairs"] / 2) + one["pairs"] / 9
        one |= {"both_corrected_se": variance**0.5}
        expected |= {k: library.extra[k] for k in ("both_corrected", "both_corrected_se")}
    for name, number in expected.items():
        np.testing.assert_allclose(one[name], number, rtol=1e-6, atol=1e-9, err_msg=name)


class _Side:
    """The moments of the other set, with a root of the covariance, which is a vector if it is diagonal."""

    def __init__(self, mean: Tensor, root: Tensor, trace: Tensor) -> None:
        self.mean, self.root, self.trace = mean, root, trace

    @classmethod
    def of(cls, y: Tensor) -> _Side:
        c = y - y.mean(1, keepdim=True)
        cov = c.mT @ c / (y.shape[1] - 1)
        return cls(y.mean(1, keepdim=True), torch.linalg.cholesky(cov), cov.diagonal(dim1=-2, dim2=-1).sum(-1))


class _Expansion:
    def __init__(self, x: Tensor, other: _Side) -> None:
        self.n, self.mean = x.shape[1], x.mean(1, keepdim=True)
        self.c, self.gap = x - self.mean, self.mean - other.mean
        p = self.c * other.root if other.root.ndim == 1 else self.c @ other.root
        squares, U = torch.linalg.eigh(p.mT @ p / (self.n - 1))
        self.s = squares.clamp(min=1e-300).sqrt()
        self.u = p @ (U / self.s[:, None])
        self.V = self.s[:, :, None] * self.s[:, None] / (self.s[:, :, None] + self.s[:, None])
        self.trace = self.c.square().sum((1, 2)) / (self.n - 1)
        self.value = self.gap.square().sum((1, 2)) + self.trace + other.trace - 2 * self.s.sum(1)

    def influence(self) -> Tensor:
        effect = 2 * (self.c @ self.gap.mT)[..., 0] + self.c.square().sum(2)
        effect = effect - (self.u.square() @ self.s[..., None])[..., 0]
        return effect - effect.mean(1, keepdim=True)

    def bias(self) -> Tensor:
        q = self.u.square()
        fourth = ((q @ self.V) * q).sum((1, 2)) / self.n
        return (self.trace + (fourth - self.s.sum(1) / 2) / 2) / self.n

    def pairs(self) -> Tensor:
        v = self.u.roll(1, 1)
        w = self.u * v
        linear = 2 * w - (self.u.square() + v.square() - 1) / 2
        return ((w @ self.V) * w).sum(2) + (linear @ self.s[..., None])[..., 0]

    def skew(self, effect: Tensor) -> Tensor:
        weighted = self.u * effect[..., None] / self.n
        slope = 2 * (self.s * weighted.sum(1).square()).sum(1)
        slope = slope + (self.V * (weighted.mT @ self.u).square()).sum((1, 2))
        cubes = effect.pow(3).mean(1) * (2 * Z**2 + 1) / 6
        return (cubes + slope * (Z**2 + 1) / 2) / effect.square().sum(1)


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    return _in_half(x[:, torch.from_numpy(shuffled(x.shape[1]))])


def _in_half(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]


def _jackknife(x: Tensor, sd: Tensor, value: Tensor) -> Tensor:
    """Groups of independent images left out in turn."""
    parts = x.chunk(GROUPS, 1)
    sums, scatters = (torch.stack(v) for v in ([p.sum(1) for p in parts], [p.mT @ p for p in parts]))
    n = torch.tensor([x.shape[1] - part.shape[1] for part in parts], dtype=torch.float64)[:, None]
    total = sums.sum(0) - sums
    scatter = scatters.sum(0) - scatters - total[..., None] * (total / n[..., None])[..., None, :]
    cov = scatter / (n - 1)[..., None, None]
    root = torch.linalg.eigvalsh(sd[:, None] * cov * sd).clamp(min=0).sqrt().sum(-1)
    mean = total / n[..., None]
    without = mean.square().sum(-1) + cov.diagonal(dim1=-2, dim2=-1).sum(-1) + sd.square().sum() - 2 * root
    return len(parts) * value - (len(parts) - 1) * without.mean(0)
