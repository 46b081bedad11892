import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from designspace.registry.literature import ZHAO_2023
from designspace.sampling.exponential import data_weights
from designspace.sampling.flow import Flow
from designspace.sampling.multistep import CorrectedMultistep, LowerOrderFinal, allowed_order


class UniPC(CorrectedMultistep, name="unipc"):
    r"""UniPC: a multistep predictor, and a corrector that reuses the next evaluation; one evaluation per step.

    B(h) is -h (``bh1``) or :math:`e^{-h} - 1` (``bh2``), and the coefficients :math:`\rho` are chosen for the highest
    order. The sum of the corrector includes :math:`D_{i+1}`, evaluated at the predicted point only. The predictor uses
    ``order`` evaluations (1 to 3), fewer at the start, and with ``lower_order_final`` at the end; the order of
    convergence is ``order`` + 1. ``lower_order_final`` is ``true`` for any number of steps, as in diffusers, ``false``
    for none, or a number n for runs of fewer than n steps. The last step is not corrected, and the step to sigma = 0
    returns D. Schedule and scaling have no effect.
    """

    formula = r"""
        x_{i+1} = \tfrac{\sigma_{i+1}}{\sigma_i} x_i - (e^{-h} - 1) D_i
            - B(h) \sum_k \rho_k \frac{D_{i-k} - D_i}{r_k},
            \qquad h = \ln\tfrac{\sigma_i}{\sigma_{i+1}}, \quad r_k = \tfrac{\lambda_{i-k} - \lambda_i}{h}
    """
    sources = (ZHAO_2023,)
    order: Annotated[int, Field(ge=1, le=3)] = 3
    variant: Literal["bh1", "bh2"] = "bh2"
    lower_order_final: LowerOrderFinal = True

    @property
    def order_of_convergence(self) -> int:
        return self.order + 1

    def order_at(self, flow: Flow, i: int) -> int:
        return allowed_order(flow, i, self.order, self.lower_order_final)

    def corrector_order_at(self, flow: Flow, i: int) -> int:
        return self.order_at(flow, i)

    def weights(self, sigmas: Sequence[float], following: float) -> list[float]:
        if len(sigmas) != 2:
            return data_weights(sigmas, following)  # B cancels
        h = math.log(sigmas[0] / following)
        B = -h if self.variant == "bh1" else math.expm1(-h)
        other = -B / 2 * h / math.log(sigmas[0] / sigmas[1])  # rho = 1/2, as published
        return [-math.expm1(-h) - other, other]
