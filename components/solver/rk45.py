import math
from collections.abc import Iterator

import torch
from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import DORMAND_1980, SONG_2021
from designspace.sampling.flow import Flow, combine
from designspace.sampling.solver import AdaptiveSolver

A = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
"""Rows of the tableau of Dormand and Prince (1980), Table 2; the last row is the step of order 5."""
E = (-71 / 57600, 0.0, 71 / 16695, -71 / 1920, 17253 / 339200, -22 / 525, 1 / 40)
"""The step of order 4 minus that of order 5."""


class RK45(AdaptiveSolver, name="rk45"):
    r"""Dormand-Prince 5(4) with adaptive steps for each image; six evaluations per step, and one at the start.

    It steps from :math:`\sigma_0` to the last positive level, and the step to sigma = 0 returns D. Only the first and
    the last of the time steps are used. Schedule, scaling and the number of steps have no effect, and evaluations are
    counted per image. The whole batch is evaluated until the last image is done, but no image depends on another.
    Dormand and Prince (1980); for diffusion models Song et al. (2021).
    """

    formula = r"""
        \frac{dx}{d \ln\sigma} = x - D(x; \sigma), \qquad
            h \leftarrow 0.9\, h\, \epsilon^{-1/5}, \quad \epsilon = \mathrm{rms}\!\left(\frac{\delta}
            {\mathtt{atol} + \mathtt{rtol} \max(|x_i|, |x_{i+1}|)}\right) \le 1
    """
    sources = (DORMAND_1980, SONG_2021)
    rtol: Positive = 1e-3
    atol: Positive = 1e-3

    def solve(self, flow: Flow, x: Tensor) -> Iterator[Tensor]:
        level = torch.full((len(x),), math.log(flow.sigma[0]), dtype=torch.float64)
        end = math.log(flow.sigma[flow.num_steps - 1])
        h, active = torch.full_like(level, -0.1), torch.ones(len(x), dtype=torch.bool)
        slope = self._slope(flow, x, level, active)
        while bool(active.any()):
            h = torch.where(active, torch.maximum(h, end - level), 0.0)
            x_new, slopes = self._stages(flow, x, slope, level, h, active)
            size = self._error(x, x_new, slopes, h)
            accepted = active & (size <= 1)
            x, slope = (torch.where(_like(accepted, x), new, old) for new, old in ((x_new, x), (slopes[-1], slope)))
            level = torch.where(accepted, level + h, level)
            active = active & (level > end + 1e-12)
            h = h * (0.9 * size.clamp_min(1e-10) ** -0.2).clamp(0.2, 10.0)
        yield x
        if flow.sigma[-1] == 0:
            yield flow.D(x, flow.sigma[flow.num_steps - 1])

    def _slope(self, flow: Flow, x: Tensor, level: Tensor, active: Tensor) -> Tensor:
        return x - flow.D(x, level.exp(), active)

    def _stages(
        self, flow: Flow, x: Tensor, slope: Tensor, level: Tensor, h: Tensor, active: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        slopes, x_stage = [slope], x
        for row in A:
            x_stage = x + _like(h, x) * combine(*zip(row, slopes, strict=True))
            slopes.append(self._slope(flow, x_stage, level + sum(row) * h, active))
        return x_stage, slopes

    def _error(self, x: Tensor, x_new: Tensor, slopes: list[Tensor], h: Tensor) -> Tensor:
        scale = self.atol + self.rtol * torch.maximum(x.abs(), x_new.abs())
        scaled = _like(h, x) * combine(*zip(E, slopes, strict=True)) / scale
        return scaled.double().flatten(1).square().mean(1).sqrt().cpu()


def _like(values: Tensor, x: Tensor) -> Tensor:
    """One value per image, in a shape that can be multiplied with x."""
    values = values if values.dtype == torch.bool else values.to(x.dtype)
    return values.to(x.device).reshape(-1, *[1] * (x.ndim - 1))
