r"""The plane of time and scaled sample, for data of one number: what a picture of the flow needs.

With :math:`z = s(t) x` the noisy data have the density :math:`p_t(z) = p(z / s; \sigma) / s`, their curves follow Eq. 4
of Karras et al. (2022), https://arxiv.org/abs/2206.00364, and the SDE that adds the noise is
:math:`dz = \frac{\dot s}{s} z\, dt + s \sqrt{2 \dot\sigma \sigma}\, dw`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from designspace.sampling.noise import generator, latents
from designspace.sampling.probe import Probe
from designspace.sampling.sample import sample

TIMES, HEIGHTS, CURVES, WALKS = 161, 121, 25, 12
"""Columns and rows of the density; curves of the flow, evenly spread over the noise; and random walks."""
SHOWN = 3.2
"""Standard deviations of the noise that the density covers."""


@torch.no_grad()
def plane(probe: Probe, data: Tensor) -> dict[str, Tensor]:
    """Tensors for the pictures of a design; ``data`` are the samples of the data set, ``[N]``.

    ``t sigma s`` [T]; ``z`` [X] and ``density`` [X, T]; ``curves`` [T, K] of the flow and ``walks`` [T, W] forward in
    time; ``levels`` [N + 1], the times of the design, its ``trajectory`` [N + 1, K] from the latents of the curves, and
    the ``tangents`` dz/dt [N, K] on the curves at the levels; for solvers without noise ``steps`` [N, K], where each
    step leads that begins on a curve.
    """
    design, flow = probe.design, probe.flow
    t = _times(probe)
    sigma, s = design.schedule.sigma(t), design.scaling.s(t, design.schedule)
    sigma[0] = 0.0
    draws = latents("plane", range(CURVES), (1, 1, 1)).double()
    spread = torch.erfinv(torch.linspace(-0.97, 0.97, CURVES, dtype=torch.float64)) * math.sqrt(2)
    even = Probe(design, probe.D, spread.reshape(draws.shape), probe.num_steps)
    solution = even.solution()
    curves = torch.stack([solution.at(_clip(v, even)).flatten() for v in sigma.tolist()]) * s[:, None]
    values, counts = torch.unique(data.double(), return_counts=True)
    height = float(SHOWN * (s * (sigma**2 + data.square().mean()).sqrt()).max())
    z = torch.linspace(-height, height, HEIGHTS, dtype=torch.float64)
    at = torch.tensor([flow.at(v).t for v in flow.sigma], dtype=torch.float64)
    scale = design.scaling.s(at, design.schedule)[:, None]
    path = sample(design, probe.D, even.latents, probe.num_steps, record=True).trajectory
    assert path is not None
    found = {
        "t": t,
        "sigma": sigma,
        "s": s,
        "z": z,
        "density": _density(z, sigma, s, values, counts / len(data)),
        "curves": curves,
    }
    found |= {"walks": _walks(sigma, s, data), "levels": at, "trajectory": path.flatten(1) * scale}
    found |= {"tangents": _tangents(even)}
    if not design.solver.stochastic and not design.stochasticity.noisy and not design.solver.adaptive:
        found["steps"] = torch.stack([x.flatten() for x in even.steps()]) * scale[1:]
    return {name: tensor.float() for name, tensor in found.items()}


def _times(probe: Probe) -> Tensor:
    """Even in time, but the first: 0, or the least time with a noise level (where VP's fit ends above 0)."""
    last = probe.flow.at(probe.flow.sigma[0]).t
    least = float(probe.design.schedule.sigma_inv(torch.tensor(probe.ends()[1], dtype=torch.float64)))
    return torch.linspace(least, last, TIMES, dtype=torch.float64)


def _clip(sigma: float, probe: Probe) -> float:
    high, low = probe.ends()
    return 0.0 if sigma < low else min(sigma, high)


def _density(z: Tensor, sigma: Tensor, s: Tensor, values: Tensor, weights: Tensor) -> Tensor:
    """The data with noise and scaled: Gaussians about their values, as wide as a row at least."""
    width = (s * sigma).clamp_min(float(z[1] - z[0]))
    gaps = (z[:, None, None] - s[:, None] * values) / width[:, None]
    return (-gaps.square() / 2).exp() @ weights.double() / (width * math.sqrt(2 * math.pi))


def _walks(sigma: Tensor, s: Tensor, data: Tensor) -> Tensor:
    """Grow by noise of variance sigma(t)^2 - sigma(t')^2 in each interval: the forward SDE, exactly."""
    random = generator("walks")
    chosen = data[torch.from_numpy(random.integers(len(data), size=WALKS))]
    added = (sigma.square().diff()).clamp_min(0).sqrt()[:, None]
    noise = torch.from_numpy(random.standard_normal((len(added), WALKS))) * added
    x = torch.cat([chosen[None], chosen + noise.cumsum(0)])
    return x * s[:, None]


def _tangents(probe: Probe) -> Tensor:
    solution, found = probe.solution(), []
    for sigma in probe.flow.sigma[: probe.num_steps]:
        level, x = probe.flow.at(sigma), solution.at(sigma)
        on_x, on_D = level.slope(1.0)
        found.append((on_x * x + on_D * probe.D(x, torch.tensor(sigma, dtype=torch.float64))).flatten())
    return torch.stack(found)
