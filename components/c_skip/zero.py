import torch
from torch import Tensor

from designspace.denoising.rows import CSkip
from designspace.registry.literature import KARRAS_2022, SALIMANS_2022


class Zero(CSkip, name="zero"):
    r"""The network predicts the signal.

    The denoiser is :math:`D = c_\mathrm{out} F` at every :math:`\sigma \ge 0`. With c_out ``data`` the target has unit
    variance; with loss_weight ``uniform`` every noise level has the same loss when training begins. Karras et al.
    (2022), Section 5; Salimans and Ho (2022), Section 4, call it the prediction of x.
    """

    formula = r"c_\mathrm{skip} = 0"
    sources = (KARRAS_2022, SALIMANS_2022)

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.zeros_like(sigma)
