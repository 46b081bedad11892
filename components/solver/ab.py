from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from designspace.registry.literature import CROWSON_2022
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import NoiseMultistep, integrals


class AB(NoiseMultistep, name="ab"):
    """Adams-Bashforth on levels with variable spacing, also known as LMS; one evaluation per step.

    :math:`l_j` are the Lagrange polynomials in sigma through the last ``order`` levels (1 to 4), or fewer at the start.
    The step to sigma = 0 is a step like any other. Schedule and scaling have no effect. The method is due to Bashforth
    and Adams (1883); as LMS it is part of Crowson's k-diffusion (2022).
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
