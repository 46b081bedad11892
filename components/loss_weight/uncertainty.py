import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from designspace.denoising.device import sent
from designspace.denoising.sigma_data import SigmaData
from designspace.registry.literature import KARRAS_2024
from designspace.training.rows import LearnedWeight, LossWeight


class Uncertainty(LossWeight, name="uncertainty"):
    r"""EDM's weight, divided by the loss that is learned for each noise level, so that all levels count the same.

    :math:`\lambda_\mathrm{EDM}` is the loss weight ``edm``. :math:`u(\sigma)` is minimised together with the network;
    for a given network, :math:`e^u` is then the mean of :math:`\lambda_\mathrm{EDM} |D - y|^2 / d` at each level, which
    the profile of the metric ``loss`` shows. :math:`u` is a linear function of ``channels`` cosines of
    :math:`\ln(\sigma) / 4`, whose random frequencies and phases are drawn with ``seed``, and 0 at the start. Where no
    training is involved, as in tables, curves and the value of the metric ``loss``, the weight is the initial one.
    Karras et al. (2024), Eq. 14 to 16 and 21.
    """

    formula = r"""
        \mathcal L = \lambda_\mathrm{EDM}(\sigma)\, e^{-u(\sigma)} |D - y|^2 / d + u(\sigma), \quad
            \lambda_\mathrm{EDM}(\sigma) = (\sigma^2 + \sigma_\mathrm{data}^2) / (\sigma \sigma_\mathrm{data})^2
    """
    sources = (KARRAS_2024,)
    sigma_data: SigmaData = 0.5
    channels: Annotated[int, Field(ge=1, le=10_000)] = 128
    seed: int = 0

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data) ** 2

    def learned(self) -> LearnedWeight:
        return _LogLoss(self.channels, self.seed)


class _LogLoss(LearnedWeight):
    freqs: Tensor
    phases: Tensor

    def __init__(self, channels: int, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.register_buffer("freqs", 2 * math.pi * torch.randn(channels, generator=draw))
        self.register_buffer("phases", 2 * math.pi * torch.rand(channels, generator=draw))
        self.weight = nn.Parameter(torch.zeros(channels))

    def _u(self, sigma: Tensor) -> Tensor:
        place = sent(sigma.log() / 4, self.weight.device, torch.float32)
        return math.sqrt(2) * torch.cos(place[:, None] * self.freqs + self.phases) @ self.weight

    def forward(self, errors: Tensor, sigma: Tensor) -> Tensor:
        u = self._u(sigma)
        return errors * (-u).exp() + u

    @torch.no_grad()
    def expected(self, sigma: Tensor) -> Tensor:
        return self._u(sigma).exp().double().cpu()
