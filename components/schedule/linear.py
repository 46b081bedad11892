import torch
from torch import Tensor

from designspace.registry.literature import KARRAS_2022
from designspace.sampling.rows import Schedule


class Linear(Schedule, name="linear"):
    """The noise level is the time.

    With s = 1, the tangent of a trajectory meets t = 0 at the output of the denoiser. It is the schedule of DDIM and
    EDM. Karras et al. (2022), Table 1 and Section 3.
    """

    formula = r"\sigma(t) = t, \quad t \ge 0"
    sources = (KARRAS_2022,)

    def sigma(self, t: Tensor) -> Tensor:
        return t

    def sigma_dot(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma_inv(self, sigma: Tensor) -> Tensor:
        return sigma
