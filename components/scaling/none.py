import torch
from torch import Tensor

from designspace.sampling.rows import Scaling, Schedule


class NoScaling(Scaling, name="none"):
    r"""The sample is not scaled.

    .. math:: s(t) = 1

    Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1, columns VE, iDDPM and EDM.
    """

    def s(self, t: Tensor, schedule: Schedule) -> Tensor:
        return torch.ones_like(t)

    def s_dot(self, t: Tensor, schedule: Schedule) -> Tensor:
        return torch.zeros_like(t)
