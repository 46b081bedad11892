from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from designspace.registry.component import Fraction
from designspace.registry.literature import SONG_2021
from designspace.sampling.flow import Flow, combine
from designspace.sampling.solver import Solver


class PredictorCorrector(Solver, name="predictor_corrector"):
    r"""Euler's method, followed at each new level by Langevin steps; 1 + ``corrections`` evaluations per step.

    The formula is one Langevin step. For small ``delta`` it preserves the distribution at :math:`\sigma_{i+1}`, with an
    error of first order in ``delta``. The step to sigma = 0 returns D. Schedule and scaling have no effect. Song et al.
    (2021), Algorithm 1.
    """

    formula = r"""
        x \leftarrow D + \sqrt{1 - \delta}\, (x - D) + \sqrt\delta\, \sigma_{i+1} z, \qquad D = D(x; \sigma_{i+1})
    """
    sources = (SONG_2021,)
    stochastic: ClassVar[bool] = True
    in_time: ClassVar[bool] = False
    corrections: Annotated[int, Field(ge=1)] = 1
    delta: Fraction = 0.01

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        following, denoised = flow.sigma[i + 1], flow.D(x, sigma)
        if following == 0:
            return denoised, None
        x = combine((following / sigma, x), (1 - following / sigma, denoised))
        keep = (1 - self.delta) ** 0.5
        for draw in range(1, self.corrections + 1):  # draw 0 is churn's
            x = combine((keep, x), (1 - keep, flow.D(x, following)))
            x = x.add_(flow.noise(i, draw), alpha=self.delta**0.5 * following)
        return x, None
