from torch import Tensor

from designspace.registry.literature import KARRAS_2022, SONG_2021
from designspace.sampling.rows import Schedule


class VE(Schedule, name="ve"):
    """Variance exploding: the variance of the noise grows at a constant rate.

    The schedule is due to Song et al. (2021); in this form it is that of Karras et al. (2022), Table 1.
    """

    formula = r"\sigma(t) = \sqrt t, \quad t \ge 0"
    sources = (SONG_2021, KARRAS_2022)

    def sigma(self, t: Tensor) -> Tensor:
        return t.sqrt()

    def sigma_dot(self, t: Tensor) -> Tensor:
        return 0.5 / t.sqrt()

    def sigma_inv(self, sigma: Tensor) -> Tensor:
        return sigma**2
