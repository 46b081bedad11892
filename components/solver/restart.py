import math
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from designspace.registry.component import Count, NonNegative, Positive
from designspace.registry.literature import XU_2023
from designspace.sampling.flow import Flow
from designspace.sampling.rows import TimeSteps
from designspace.sampling.solver import Solver


class Restart(Solver, name="restart"):
    r"""Heun's method with restarts: K times, noise is added to return to a higher level, and the ODE is solved again.

    :math:`\sigma_\min` is the level of the time steps nearest to ``sigma_min``, and :math:`N_r` is ``levels``, so that
    N steps cost 2 N - 1 + 2 K (levels - 1) evaluations. Xu et al. (2023), Algorithm 1. The defaults are those for
    CIFAR-10, but :math:`S_\mathrm{noise}` is 1, while it is 0 in the code of the authors.
    """

    formula = r"""
        x \leftarrow x + \sqrt{\sigma_\max^2 - \sigma_\min^2}\, S_\mathrm{noise}\, z, \quad
            \text{then Heun on EDM's levels } \sigma_\max = \sigma_0 > \dots > \sigma_{N_r - 1} = \sigma_\min
    """
    sources = (XU_2023,)
    uses = ("solver/heun", "time_steps/edm")
    stochastic: ClassVar[bool] = True
    in_order: ClassVar[bool] = False
    K: Annotated[int, Field(ge=1)] = 2
    levels: Count = 3
    sigma_min: Positive = 0.06
    sigma_max: Positive = 0.3
    S_noise: NonNegative = 1.0

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        x, _ = self._heun.step(flow, x, i, sigma, None)
        if i + 1 == self._bottom(flow):
            for k in range(self.K):
                x = self._again(flow, x, i, k + 1)  # draw 0 is churn's
        return x, None

    def check(self, flow: Flow) -> None:
        if flow.sigma[self._bottom(flow)] >= self.sigma_max:
            raise ValueError(f"solver restart: sigma_max = {self.sigma_max} is below the grid's levels; use more steps")

    @property
    def _heun(self) -> Solver:
        return Solver.get("heun")()

    def _bottom(self, flow: Flow) -> int:
        return min(range(1, flow.num_steps), key=lambda i: abs(flow.sigma[i] - self.sigma_min))

    def _again(self, flow: Flow, x: Tensor, i: int, draw: int) -> Tensor:
        bottom = flow.sigma[i + 1]
        rule = TimeSteps.get("edm").model_validate({"sigma_min": bottom, "sigma_max": self.sigma_max})
        loop = flow.on((*rule.sigmas(self.levels).tolist()[:-1], bottom))
        std = math.sqrt(self.sigma_max**2 - bottom**2) * self.S_noise
        x = x.add(flow.noise(i, draw), alpha=std)
        for j in range(loop.steps):
            x, _ = self._heun.step(loop, x, j, loop.sigma[j], None)
        return x
