from torch import Tensor

from designspace.registry.literature import KARRAS_2022, SONG_2021
from designspace.sampling.rows import Scaling, Schedule


class VP(Scaling, name="vp"):
    r"""Unit variance at every time, for data of unit variance.

    It depends on the schedule that is chosen. With the schedule ``vp`` it is :math:`e^{-(\frac12 \beta_d t^2 +
    \beta_\min t)/2}`. Song et al. (2021); Karras et al. (2022), Table 1, column VP.
    """

    formula = r"s(t) = 1 / \sqrt{1 + \sigma(t)^2}, \qquad \dot s = -\sigma \dot\sigma s^3"
    sources = (SONG_2021, KARRAS_2022)

    def s(self, t: Tensor, schedule: Schedule) -> Tensor:
        return (1 + schedule.sigma(t) ** 2).rsqrt()

    def s_dot(self, t: Tensor, schedule: Schedule) -> Tensor:
        return -schedule.sigma(t) * schedule.sigma_dot(t) * self.s(t, schedule) ** 3
