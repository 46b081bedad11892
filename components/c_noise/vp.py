import torch
from torch import Tensor

from designspace.denoising.rows import CNoise
from designspace.registry.component import Count, Finite, Fraction, Positive
from designspace.registry.literature import KARRAS_2022, SONG_2021
from designspace.sampling.levels import vp_sigma, vp_sigma_inv


class VP(CNoise, name="vp"):
    r"""The time of the VP schedule, in units of the M steps of DDPM.

    The network supports levels from :math:`\sigma_\mathrm{VP}(\epsilon_t)` to :math:`\sigma_\mathrm{VP}(1)`, by default
    0.0010 to 152.2. Karras et al. (2022), Table 1.
    """

    formula = r"c_\mathrm{noise} = (M - 1)\, \sigma_\mathrm{VP}^{-1}(\sigma)"
    sources = (SONG_2021, KARRAS_2022)
    beta_d: Positive = 19.9
    beta_min: Finite = 0.1
    M: Count = 1000
    epsilon_t: Fraction = 1e-5

    def __call__(self, sigma: Tensor) -> Tensor:
        return (self.M - 1) * vp_sigma_inv(sigma, self.beta_d, self.beta_min)

    def limits(self) -> tuple[float, float]:
        low, high = vp_sigma(torch.tensor([self.epsilon_t, 1.0], dtype=torch.float64), self.beta_d, self.beta_min)
        return float(low), float(high)
