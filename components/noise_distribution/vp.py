from torch import Tensor

from designspace.registry.component import Finite, Fraction, Positive
from designspace.registry.literature import KARRAS_2022, SONG_2021
from designspace.sampling.levels import vp_sigma, vp_sigma_inv
from designspace.training.rows import NoiseDistribution


class VP(NoiseDistribution, name="vp"):
    """Uniform in the time of the VP schedule.

    The largest level, 152.2 by default, belongs to u = 0. Karras et al. (2022), Table 1.
    """

    formula = r"\sigma = \sigma_\mathrm{VP}(1 + u (\epsilon_t - 1)), \quad u \sim \mathcal U(0, 1)"
    sources = (SONG_2021, KARRAS_2022)
    beta_d: Positive = 19.9
    beta_min: Finite = 0.1
    epsilon_t: Fraction = 1e-5

    def from_uniform(self, u: Tensor) -> Tensor:
        return vp_sigma(1 + u * (self.epsilon_t - 1), self.beta_d, self.beta_min)

    def density(self, sigma: Tensor) -> Tensor:
        beta = self.beta_min + self.beta_d * vp_sigma_inv(sigma, self.beta_d, self.beta_min)
        return 2 * sigma**2 / (1 + sigma**2) / beta / (1 - self.epsilon_t)
