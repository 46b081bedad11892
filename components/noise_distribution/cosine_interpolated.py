import torch
from torch import Tensor

from designspace.denoising.sigma_data import SigmaData
from designspace.registry.component import Positive
from designspace.registry.literature import CROWSON_2022, HOOGEBOOM_2023
from designspace.training.rows import NoiseDistribution


class CosineInterpolated(NoiseDistribution, name="cosine_interpolated"):
    r"""Uniform in the time of a cosine schedule that is shifted for large images, more at high noise than at low noise.

    A cosine schedule for images of d x d pixels multiplies the noise levels by :math:`d_\mathrm{image} / d`, because
    noise averages out over neighbouring pixels. ``noise_d_low`` is the d at high noise, ``noise_d_high`` that at low
    noise, and :math:`\ln\sigma` is interpolated between the two. ``image_d`` is the size of the images. Hoogeboom et
    al. (2023), Section 3.1, with ``sigma_data`` = 1. The defaults of the other fields are those of Crowson (2022), who
    interpolates in the opposite direction, from ``noise_d_low`` at low noise to ``noise_d_high`` at high noise: swap
    the two fields for that distribution.
    """

    formula = r"""
        \ln\sigma &= u \ln\sigma_\mathrm{low} + (1 - u) \ln\sigma_\mathrm{high}, \quad
            \sigma_d = s_d \tan\phi_d, \quad s_d = \sigma_\mathrm{data}\, d_\mathrm{image} / d, \\
        \phi_d &= \arctan(\sigma_\min / s_d) + u \left(\arctan(\sigma_\max / s_d) - \arctan(\sigma_\min / s_d)\right)
    """
    sources = (HOOGEBOOM_2023, CROWSON_2022)
    image_d: Positive = 64.0
    noise_d_low: Positive = 32.0
    noise_d_high: Positive = 64.0
    sigma_data: SigmaData = 1.0
    sigma_min: Positive = 1e-3
    sigma_max: Positive = 1e3

    def from_uniform(self, u: Tensor) -> Tensor:
        low, high = (self._shifted(d, u).log() for d in (self.noise_d_low, self.noise_d_high))
        return torch.lerp(high, low, u).exp()

    def _shifted(self, d: float, u: Tensor) -> Tensor:
        scale = self.sigma_data * self.image_d / d
        low, high = (torch.tensor(end / scale, dtype=u.dtype).atan() for end in (self.sigma_min, self.sigma_max))
        return scale * torch.lerp(low, high, u).tan()
