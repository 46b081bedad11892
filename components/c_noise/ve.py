from torch import Tensor

from designspace.denoising.rows import CNoise
from designspace.registry.component import Positive
from designspace.registry.literature import KARRAS_2022, SONG_2021


class VE(CNoise, name="ve"):
    """The logarithm of the noise level, in units of images with values in [0, 1].

    The network supports levels from ``sigma_min`` to ``sigma_max``. Karras et al. (2022), Table 1.
    """

    formula = r"c_\mathrm{noise} = \ln(\tfrac12 \sigma)"
    sources = (SONG_2021, KARRAS_2022)
    sigma_min: Positive = 0.02
    sigma_max: Positive = 100.0

    def __call__(self, sigma: Tensor) -> Tensor:
        return (sigma / 2).log()

    def limits(self) -> tuple[float, float]:
        return self.sigma_min, self.sigma_max
