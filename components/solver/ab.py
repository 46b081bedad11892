from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from designspace.registry.literature import CROWSON_2022
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import NoiseMultistep
from designspace.sampling.quadrature import integrals


class AB(NoiseMultistep, name="ab"):
    """Adams-Bashforth in sigma on variable steps, also called LMS: order ``order``, one evaluation a step.

    with the Lagrange polynomials :math:`l_j` of the last ``order`` levels (1 to 4), fewer at the start; the order is
    kept down to sigma = 0. Schedule and scaling do not matter. Bashforth and Adams (1883); as LMS in Crowson's
    k-diffusion (2022).
    """

    formula = r"""
        x_{i+1} = x_i + \sum_j e_{i-j} \int_{\sigma_i}^{\sigma_{i+1}} l_j(\sigma)\, d\sigma,
            \qquad e = (x - D) / \sigma
    """
    sources = (CROWSON_2022,)
    ends_with_D: ClassVar[bool] = False
    order: Annotated[int, Field(ge=1, le=4)] = 4

    def weights(self, flow: Flow, sigmas: Sequence[float], following: float) -> list[float]:
        return integrals(sigmas, sigmas[0], following)
