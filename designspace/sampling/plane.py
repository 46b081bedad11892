r"""Pictures of the flow in the plane of time and scaled sample, for one-dimensional data.

With :math:`z = s(t) x`, the noisy data have the density :math:`p_t(z) = p(z / s; \sigma) / s`. Their trajectories
follow Eq. 4 of Karras et al. (2022), https://arxiv.org/abs/2206.00364, and the SDE that adds the noise is
:math:`dz = \frac{\dot s}{s} z\, dt + s \sqrt{2 \dot\sigma \sigma}\, dw`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from designspace.sampling.noise import generator
from designspace.sampling.probe import Probe
from designspace.sampling.sample import sample

TIMES, HEIGHTS, CURVES, WALKS = 161, 121, 25, 12
"""The numbers of columns and rows of the density, of trajectories of the flow, and of random walks."""
SHOWN = 3.2
"""Half the height of the picture, in standard deviations of the noisy data."""


@torch.no_grad()
def plane(probe: Probe, data: Tensor) -> dict[str, Tensor]:
    """The tensors from which the pictures of a design are drawn; ``data`` are the samples of the data set, ``[N]``.

    - ``t``, ``sigma`` and ``s`` [T]: the time axis.
    - ``z`` [X] and ``density`` [X, T]: the density of the noisy data.
    - ``curves`` [T, K]: trajectories of the flow. ``walks`` [T, W]: random walks forward in time.
    - ``levels`` [N + 1]: the times of the levels of the design. ``trajectory`` [N + 1, K]: its samples at these times,
      from the latents of the curves. ``tangents`` [N, K]: dz/dt on the curves at these times.
    - ``steps`` [N, K], for deterministic solvers: the ends of the steps that begin on the curves.
    """
    design, flow = probe.design, probe.flow
    t = _times(probe)
    sigma, s = design.schedule.sigma(t), design.scaling.s(t, design.schedule)
    sigma[0] = 0.0
    spread = torch.erfinv(torch.linspace(-0.97, 0.97, CURVES, dtype=torch.float64)) * math.sqrt(2)
    even = Probe(design, probe.D, spread.reshape(-1, 1, 1, 1), probe.num_steps)
    solution = even.solution()
    curves = torch.stack([solution.at(_clip(v, even)).flatten() for v in sigma.tolist()]) * s[:, None]
    values, counts = torch.unique(data.double(), return_counts=True)
    height = float(SHOWN * (s * (sigma**2 + data.square().mean()).sqrt()).max())
    z = torch.linspace(-height, height, HEIGHTS, dtype=torch.float64)
    at = torch.tensor([flow.at(v).t for v in flow.sigma], dtype=torch.float64)
    scale = design.scaling.s(at, design.schedule)[:, None]
    path = sample(design, probe.D, even.latents, probe.num_steps, record=True).trajectory
    assert path is not None
    found = {"t": t, "sigma": sigma, "s": s, "z": z, "density": _density(z, sigma, s, values, counts / len(data))}
    found |= {"curves": curves, "walks": _walks(sigma, s, data), "levels": at, "tangents": _tangents(even)}
    found |= {"trajectory": path.flatten(1) * scale}
    if not design.solver.stochastic and not design.stochasticity.noisy and not design.solver.adaptive:
        found["steps"] = torch.stack([x.flatten() for x in even.steps()]) * scale[1:]
    return {name: tensor.float() for name, tensor in found.items()}


def _times(probe: Probe) -> Tensor:
    """Evenly spaced times, from that of the lowest level of the converged solution to that of the first level."""
    last = probe.flow.at(probe.flow.sigma[0]).t
    least = float(probe.design.schedule.sigma_inv(torch.tensor(probe.ends()[1], dtype=torch.float64)))
    return torch.linspace(least, last, TIMES, dtype=torch.float64)


def _clip(sigma: float, probe: Probe) -> float:
    high, low = probe.ends()
    return 0.0 if sigma < low else min(sigma, high)


def _density(z: Tensor, sigma: Tensor, s: Tensor, values: Tensor, weights: Tensor) -> Tensor:
    """The density of the scaled noisy data: Gaussians at the values, at least as wide as a row of the picture."""
    width = (s * sigma).clamp_min(float(z[1] - z[0]))
    gaps = (z[:, None, None] - s[:, None] * values) / width[:, None]
    return (-gaps.square() / 2).exp() @ weights.double() / (width * math.sqrt(2 * math.pi))


def _walks(sigma: Tensor, s: Tensor, data: Tensor) -> Tensor:
    """Exact solutions of the forward SDE: each interval adds noise of variance sigma(t)^2 - sigma(t')^2."""
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
