from torch import Tensor

from designspace.sampling.rows import Scaling, Schedule


class VP(Scaling, name="vp"):
    r"""Unit variance at every time, for data of unit variance.

    .. math:: s(t) = 1 / \sqrt{1 + \sigma(t)^2}, \qquad \dot s = -\sigma \dot\sigma s^3

    of whatever schedule is chosen; with the schedule ``vp`` this is :math:`e^{-(\frac12 \beta_d t^2 + \beta_\min
    t)/2}`. Song et al. (2021), https://arxiv.org/abs/2011.13456; Karras et al. (2022),
    https://arxiv.org/abs/2206.00364, Table 1, column VP.
    """

    def s(self, t: Tensor, schedule: Schedule) -> Tensor:
        return (1 + schedule.sigma(t) ** 2).rsqrt()

    def s_dot(self, t: Tensor, schedule: Schedule) -> Tensor:
        return -schedule.sigma(t) * schedule.sigma_dot(t) * self.s(t, schedule) ** 3
