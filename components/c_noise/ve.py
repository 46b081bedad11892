from torch import Tensor

from designspace.denoising.rows import CNoise
from designspace.registry.component import Positive


class VE(CNoise, name="ve"):
    r"""The logarithm of the noise level in units of images in [0, 1].

    .. math:: c_\mathrm{noise} = \ln(\tfrac12 \sigma)

    The network supports ``sigma_min`` to ``sigma_max``. Song et al. (2021), https://arxiv.org/abs/2011.13456;
    Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1.
    """

    sigma_min: Positive = 0.02
    sigma_max: Positive = 100.0

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma / 2).log()

    def limits(self) -> tuple[float, float]:
        return self.sigma_min, self.sigma_max
