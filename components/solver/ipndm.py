from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from designspace.registry.literature import LIU_2022_PNDM, ZHANG_2022
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import NoiseMultistep

WEIGHTS = [[1.0], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]]


class IPNDM(NoiseMultistep, name="ipndm"):
    """Improved PNDM: the constants of Adams-Bashforth for equal steps, used on any grid; one evaluation a step.

    with w = (1), (3, -1)/2, (23, -16, 5)/12 or (55, -59, 37, -9)/24, lower orders at the start. ``order`` (1 to 4) is
    nominal: on grids of unequal steps, all the usual ones, the order is at most 2. Schedule and scaling do not matter.
    """

    formula = r"x_{i+1} = x_i + (\sigma_{i+1} - \sigma_i) \sum_j w_j e_{i-j}, \qquad e = (x - D) / \sigma"
    sources = (ZHANG_2022, LIU_2022_PNDM)
    ends_with_D: ClassVar[bool] = False
    order: Annotated[int, Field(ge=1, le=4)] = 4

    def weights(self, flow: Flow, sigmas: Sequence[float], following: float) -> list[float]:
        return [(following - sigmas[0]) * w for w in WEIGHTS[len(sigmas) - 1]]
