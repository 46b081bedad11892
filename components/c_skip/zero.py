import torch
from torch import Tensor

from designspace.denoising.rows import CSkip


class Zero(CSkip, name="zero"):
    r"""The network predicts the signal.

    .. math:: c_\mathrm{skip} = 0

    so that :math:`D = c_\mathrm{out} F` at every :math:`\sigma \ge 0`; with c_out ``data`` the target has unit
    variance, with loss_weight ``uniform`` every level has the same loss at first. Karras et al. (2022),
    https://arxiv.org/abs/2206.00364, Section 5; as the prediction of x: Salimans and Ho (2022),
    https://arxiv.org/abs/2202.00512, Section 4.
    """

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.zeros_like(sigma)
