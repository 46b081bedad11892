from torch import Tensor

from designspace.registry.literature import LIPMAN_2023, LIU_2022_RECTIFIED_FLOW
from designspace.sampling.rows import Scaling, Schedule


class Flow(Scaling, name="flow"):
    r"""Puts the sample on the straight line from the signal to the noise, on which flow matching is defined.

    The scaled sample is :math:`z = x / (1 + \sigma) = (1 - t)\, y + t\, n` with :math:`t = \sigma / (1 + \sigma)`. It
    depends on the schedule that is chosen. With the schedule ``flow`` it is :math:`1 - t`, and :math:`dz/dt` is the
    velocity that the network predicts with c_out ``flow``. Lipman et al. (2023), Section 4.1; Liu et al. (2022),
    Section 2.1.
    """

    formula = r"s(t) = 1 / (1 + \sigma(t)), \qquad \dot s = -\dot\sigma s^2"
    sources = (LIPMAN_2023, LIU_2022_RECTIFIED_FLOW)

    def s(self, t: Tensor, schedule: Schedule) -> Tensor:
        return 1 / (1 + schedule.sigma(t))

    def s_dot(self, t: Tensor, schedule: Schedule) -> Tensor:
        return -schedule.sigma_dot(t) * self.s(t, schedule) ** 2
