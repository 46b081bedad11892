from typing import ClassVar

from torch import Tensor

from designspace.registry.literature import LIPMAN_2023, LIU_2022_RECTIFIED_FLOW
from designspace.sampling.rows import Schedule


class Flow(Schedule, name="flow"):
    r"""The time of flow matching, which goes from 0 at the signal to 1 at the noise.

    With the scaling ``flow`` the scaled sample is :math:`z = (1 - t)\, y + t\, n`. The noise level is infinite at t = 1
    and finite at every time that a sampler reaches. Lipman et al. (2023), Section 4.1; Liu et al. (2022), Section 2.1.
    """

    formula = r"\sigma(t) = t / (1 - t), \quad 0 \le t < 1"
    sources = (LIPMAN_2023, LIU_2022_RECTIFIED_FLOW)
    t_max: ClassVar[float] = 1.0

    def sigma(self, t: Tensor) -> Tensor:
        return t / (1 - t)

    def sigma_dot(self, t: Tensor) -> Tensor:
        return (1 - t) ** -2

    def sigma_inv(self, sigma: Tensor) -> Tensor:
        return sigma / (1 + sigma)
