from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import CHEN_2024
from designspace.sampling.grid_search import GridSearch
from designspace.sampling.probe import Probe


class GITS(GridSearch, name="gits"):
    r"""Geometry-inspired time steps: levels between which the converged solution is nearest to its tangents.

    The cost of a step from level i to level j of the grid is the distance to the converged solution :math:`x^*` after a
    step of Euler's method in sigma from that solution, averaged over ``images`` images. Dynamic programming minimises
    the sum of the costs, in which each step counts ``gamma`` times as much as the one before. ``metric`` is ``l2``, the
    distance itself, or ``deviation``, the difference of the distances to the straight line from the start of the
    solution to its end. Chen et al. (2024).

    The levels do not depend on the solver of the design, which may be any. The search takes one evaluation per image
    and level of the grid, in addition to 1,025 of the converged solution; the published one takes a solution of another
    solver on the grid.
    """

    formula = r"""
        V_k(j) = \min_{i > j} \left( c_{ji} + \gamma\, V_{k-1}(i) \right), \qquad
            c_{ji} = \operatorname{mean} \left| x^*_j + (\sigma_i - \sigma_j)\, d_j - x^*_i \right|, \qquad
            d_j = \tfrac{x^*_j - D(x^*_j; \sigma_j)}{\sigma_j}
    """
    sources = (CHEN_2024,)
    uses = ("time_steps/edm",)
    gamma: Positive = 1.1
    metric: Literal["l2", "deviation"] = "l2"

    def indices(self, probe: Probe, grid: Sequence[float], steps: int) -> Sequence[int]:
        return cheapest(self.costs(probe, grid), steps, self.gamma)

    def costs(self, probe: Probe, grid: Sequence[float]) -> np.ndarray:
        """The costs of the steps between all levels of ``grid``, float64 ``[n, n]``; infinite for steps upwards."""
        x = torch.stack([probe.solution().at(sigma) for sigma in grid])
        found = np.full((len(grid), len(grid)), np.inf)
        for j, sigma in enumerate(grid[:-1]):
            slope = (x[j] - probe.flow.D(x[j], sigma)) / sigma
            further = torch.tensor(grid[j + 1 :], dtype=x.dtype, device=x.device) - sigma
            ahead = x[j] + further.reshape(-1, *[1] * (x.ndim - 1)) * slope
            found[j, j + 1 :] = self._distance(ahead, x[j + 1 :], x[0], x[-1]).mean(1).double().cpu().numpy()
        return found

    def _distance(self, ahead: Tensor, exact: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """The distance of states ``[n, B, ...]`` from the solution, ``[n, B]``."""
        if self.metric == "l2":
            return _length(ahead - exact)
        chord = torch.nn.functional.normalize((last - first).flatten(1), dim=1)
        return (_off(ahead - first, chord) - _off(exact - first, chord)).abs()


def _off(x: Tensor, direction: Tensor) -> Tensor:
    """The distance of ``x`` ``[n, B, ...]`` from the line through 0 in ``direction`` ``[B, d]``."""
    flat = x.flatten(2)
    return _length(flat - (flat * direction).sum(2, keepdim=True) * direction)


def _length(x: Tensor) -> Tensor:
    return x.flatten(2).square().sum(2).sqrt()


def cheapest(costs: np.ndarray, steps: int, gamma: float) -> list[int]:
    """The levels on the cheapest way from the first to the last in ``steps`` steps, ``steps + 1`` indices.

    ``costs`` ``[n, n]`` are infinite for steps upwards. The m-th step counts ``gamma ** m`` times its cost.
    """
    rest, choices = costs[:, -1], []
    for _ in range(steps - 1):
        total = costs + gamma * rest
        choices.append(total.argmin(1))
        rest = total.min(1)
    way = [0]
    for choice in reversed(choices):
        way.append(int(choice[way[-1]]))
    return [*way, len(costs) - 1]
