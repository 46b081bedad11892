from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from designspace.flow import Flow, combine
from designspace.multistep import History, levels, remember, weighted
from designspace.quadrature import integrals
from designspace.table1 import Solver


class AB(Solver, name="ab"):
    r"""Adams-Bashforth in sigma on variable steps, also called LMS: order ``order``, one evaluation a step.

    .. math:: x_{i+1} = x_i + \sum_j e_{i-j} \int_{\sigma_i}^{\sigma_{i+1}} l_j(\sigma)\, d\sigma,
        \qquad e = (x - D) / \sigma

    with the Lagrange polynomials :math:`l_j` of the last ``order`` levels (1 to 4), fewer at the start; the order
    is kept down to sigma = 0. Schedule and scaling do not matter. Bashforth and Adams (1883); as LMS in Crowson's
    k-diffusion (2022), https://github.com/crowsonkb/k-diffusion.
    """

    one_step: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    order: Annotated[int, Field(ge=1, le=4)] = 4

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: History | None) -> tuple[Tensor, History]:
        history = remember(memory, sigma, (x - flow.D(x, sigma)) / sigma, self.order)
        weights = integrals(levels(history), sigma, flow.sigma[i + 1])
        return combine((1, x), *weighted(weights, history)), history
