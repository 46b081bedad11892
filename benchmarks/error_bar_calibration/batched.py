"""The metric frechet for many draws of low dimension at once; ``check`` compares it with the library."""

from __future__ import annotations

import torch
from torch import Tensor

from designspace.evaluation.frechet import bias_corrected, frechet, influence
from designspace.evaluation.moments import Moments
from designspace.sampling.noise import generator

GROUPS = 10
Numbers = dict[str, Tensor]


def measure(x: Tensor, sd: Tensor, *, correct: bool = True, compare: bool = True) -> tuple[Numbers, Tensor]:
    """The numbers of draws ``x [R, n, d]`` from a reference N(0, diag(sd^2)), each ``[R]``, and influences ``[R, n]``.

    With ``correct`` that without bias, too, and what other corrections give; with ``compare`` the jackknife as well.
    """
    n = x.shape[1]
    whole = _Expansion(x, sd)
    effect = whole.influence()
    se = effect.std(1) / n**0.5
    if not correct:
        return {"value": whole.value, "se": se}, effect
    shuffled = x[:, torch.from_numpy(generator("halves", n).permutation(n))]
    halves = [_Expansion(half, sd) for half in (shuffled[:, : n // 2], shuffled[:, n // 2 :])]
    once = whole.corrected()
    value = (4 * once - (halves[0].corrected() + halves[1].corrected()) / 2) / 3
    pairs = whole.variance_of_pairs(shuffled)
    variance = (se**2 - 2 * pairs).clamp(min=0) + 10 / 9 * pairs
    found = {"value": whole.value, "se": se, "bias_corrected": value, "bias_corrected_se": variance.sqrt()}
    found |= {"one_term": once, "line": 2 * whole.value - (halves[0].value + halves[1].value) / 2}
    found |= {"jackknife": _jackknife(x, sd, whole.value) if compare else torch.full_like(value, torch.nan)}
    return found, effect


def check(x: Tensor, reference: Moments, found: Numbers) -> None:
    """Raises ``AssertionError`` unless the library gives the numbers of the first draw."""
    effect = influence(x[0], reference)
    se = float(effect.std()) / len(effect) ** 0.5
    numbers = {"value": frechet(Moments.of(x[0]), reference), "se": se} | bias_corrected(x[0], reference, se)
    for name, number in numbers.items():
        torch.testing.assert_close(float(found[name][0]), number, rtol=1e-7, atol=1e-9)


class _Expansion:
    def __init__(self, x: Tensor, sd: Tensor) -> None:
        self.n, self.mean = x.shape[1], x.mean(1, keepdim=True)
        self.c = x - self.mean
        self.p = self.c * sd
        squares, self.U = torch.linalg.eigh(self.p.mT @ self.p / (self.n - 1))
        self.s = squares.clamp(min=1e-300).sqrt()
        self.sd, self.trace = sd, self.c.square().sum((1, 2)) / (self.n - 1)
        self.u = self.p @ (self.U / self.s[:, None])
        self.V = self.s[:, :, None] * self.s[:, None] / (self.s[:, :, None] + self.s[:, None])
        self.value = self.mean.square().sum((1, 2)) + self.trace + sd.square().sum() - 2 * self.s.sum(1)

    def influence(self) -> Tensor:
        effect = 2 * (self.c @ self.mean.mT)[..., 0] + self.c.square().sum(2)
        effect = effect - (self.u.square() @ self.s[..., None])[..., 0]
        return effect - effect.mean(1, keepdim=True)

    def corrected(self) -> Tensor:
        q = self.u.square()
        fourth = ((q @ self.V) * q).sum((1, 2)) / self.n
        return self.value - (self.trace + (fourth - self.s.sum(1) / 2) / 2) / self.n

    def variance_of_pairs(self, x: Tensor) -> Tensor:
        u = (x - self.mean) * self.sd @ (self.U / self.s[:, None])
        v = u.roll(1, 1)
        w = u * v
        linear = 2 * w - (u.square() + v.square() - 1) / 2
        each = ((w @ self.V) * w).sum(2) + (linear @ self.s[..., None])[..., 0]
        return each.square().sum(1) / (2 * self.n**3)


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
