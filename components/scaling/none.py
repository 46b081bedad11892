import torch
from torch import Tensor

from designspace.registry.literature import KARRAS_2022
from designspace.sampling.rows import Scaling, Schedule


class NoScaling(Scaling, name="none"):
    """The sample is not scaled.

    Karras et al. (2022), Table 1, columns VE, iDDPM and EDM.
    """

    formula = r"s(t) = 1"
    sources = (KARRAS_2022,)

    def s(self, t: Tensor, schedule: Schedule) -> Tensor:
        return torch.ones_like(t)

    def s_dot(self, t: Tensor, schedule: Schedule) -> Tensor:
        return torch.zeros_like(t)
