import torch
from torch import Tensor

from designspace.sampling.rows import Schedule


class Linear(Schedule, name="linear"):
    r"""Noise grows at a constant rate.

    .. math:: \sigma(t) = t, \quad t \ge 0

    With s = 1, the tangent of a trajectory meets t = 0 at the denoiser's output. The schedule of DDIM and EDM.
    Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1 and Section 3.
    """

    def sigma(self, t: Tensor) -> Tensor:
        return t

    def sigma_dot(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma_inv(self, sigma: Tensor) -> Tensor:
        return sigma
