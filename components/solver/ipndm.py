from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from designspace.registry.literature import LIU_2022_PNDM, ZHANG_2022
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import NoiseMultistep

WEIGHTS = [[1.0], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]]


class IPNDM(NoiseMultistep, name="ipndm"):
    """Improved PNDM: the constants of Adams-Bashforth for equal steps, used on any levels; one evaluation per step.

    The weights w are (1), (3, -1)/2, (23, -16, 5)/12 or (55, -59, 37, -9)/24, for the last ``order`` evaluations (1 to
    4), or fewer at the start. On levels with unequal spacing, which is the usual case, the order of convergence is at
    most 2. Schedule and scaling have no effect.
    """

    formula = r"x_{i+1} = x_i + (\sigma_{i+1} - \sigma_i) \sum_j w_j e_{i-j}, \qquad e = (x - D) / \sigma"
    sources = (ZHANG_2022, LIU_2022_PNDM)
    ends_with_D: ClassVar[bool] = False
    order: Annotated[int, Field(ge=1, le=4)] = 4

    @property
    def order_of_convergence(self) -> int:
        return min(self.order, 2)  # the constants are those of equal steps

    def weights(self, flow: Flow, sigmas: Sequence[float], following: float) -> list[float]:
        return [(following - sigmas[0]) * w for w in WEIGHTS[len(sigmas) - 1]]
