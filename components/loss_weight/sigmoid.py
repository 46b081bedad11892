import math

from torch import Tensor

from designspace.registry.component import Finite
from designspace.registry.literature import CROWSON_2024, HOOGEBOOM_2024, KINGMA_2023
from designspace.training.rows import LossWeight


class Sigmoid(LossWeight, name="sigmoid"):
    r"""The error of the noise, weighted by a sigmoid of the log-SNR, so that low noise counts less.

    The weight of the error of the noise is :math:`\mathrm{sigmoid}(b - \ln\mathrm{SNR}) = \sigma^2 \lambda(\sigma)`
    with the ``bias`` b. It grows from 0 to 1 around :math:`\sigma = e^{-b/2}`: a larger bias lets lower noise count.
    The default is that of Kingma and Gao (2023). Hoogeboom et al. (2024) use 0 to -3, more negative for larger
    images.

    Soft-min-SNR of Crowson et al. (2024), :math:`1 / (\sigma^2 + \sigma_\mathrm{data}^2)`, is the same weight with
    :math:`b = -2 \ln\sigma_\mathrm{data}`, which is 1.386 for :math:`\sigma_\mathrm{data} = 0.5`.

    Kingma and Gao (2023) and Hoogeboom et al. (2024) define the weight for levels that are uniform in
    :math:`\ln\sigma`. For other noise distributions, make it the ``target`` of loss_weight ``importance``.
    """

    formula = r"\lambda(\sigma) = 1 / (\sigma^2 + e^{-b})"
    sources = (KINGMA_2023, CROWSON_2024, HOOGEBOOM_2024)
    bias: Finite = 2.0

    def __call__(self, sigma: Tensor) -> Tensor:
        return 1 / (sigma**2 + math.exp(-self.bias))
