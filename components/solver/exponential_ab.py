from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from designspace.registry.literature import ZHANG_2022
from designspace.sampling.exponential import noise_weights
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import NoiseMultistep


class ExponentialAB(NoiseMultistep, name="exponential_ab"):
    """The multistep DPM-Solver: exponential Adams-Bashforth on the noise; one evaluation per step.

    :math:`l_j` are the Lagrange polynomials through the last ``order`` levels (1 to 4), or fewer at the start. The step
    to sigma = 0 returns D. Schedule and scaling have no effect.
    """

    formula = r"""
        x_{i+1} = x_i - \sum_j e_{i-j} \int_{\lambda_i}^{\lambda_{i+1}} e^{-\lambda} l_j(\lambda)\, d\lambda,
            \qquad e = (x - D) / \sigma, \quad \lambda = -\ln\sigma
    """
    sources = (ZHANG_2022,)
    order: Annotated[int, Field(ge=1, le=4)] = 3

    def weights(self, flow: Flow, sigmas: Sequence[float], following: float) -> list[float]:
        return noise_weights(sigmas, following)
