from torch import Tensor

from designspace.registry.component import Finite, Positive
from designspace.registry.literature import ESSER_2024, HOOGEBOOM_2023
from designspace.sampling.levels import log_normal, log_normal_density
from designspace.training.rows import NoiseDistribution


class Shifted(NoiseDistribution, name="shifted"):
    r"""Log-normal with every noise level multiplied by ``shift``, since hiding a large image takes more noise.

    Noise averages out over neighbouring pixels that show the same thing. Images of d x d pixels at the level
    :math:`\sigma d / d_0` therefore look, when shrunk, like images of :math:`d_0 \times d_0` pixels at :math:`\sigma`.
    Where ``P_mean`` and ``P_std`` suit images of size :math:`d_0`, the shift for size d is :math:`d / d_0`.
    ``from_uniform`` raises ``ValueError`` for u outside the open interval (0, 1).

    Hoogeboom et al. (2023), Section 3.1, with :math:`d_0 = 64`; Esser et al. (2024), Section 5.3.2, who multiply
    :math:`\sigma = t / (1 - t)` by :math:`\sqrt{m / n}`, which is 3 at 1024 x 1024 pixels, the default here.
    """

    formula = r"\sigma = \mathrm{shift} \cdot e^{P_\mathrm{mean} + P_\mathrm{std} \Phi^{-1}(u)}, \quad 0 < u < 1"
    sources = (HOOGEBOOM_2023, ESSER_2024)
    shift: Positive = 3.0
    P_mean: Finite = -1.2
    P_std: Positive = 1.2

    def from_uniform(self, u: Tensor) -> Tensor:
        return self.shift * log_normal(u, self.P_mean, self.P_std, self.name)

    def density(self, sigma: Tensor) -> Tensor:
        return log_normal_density(sigma / self.shift, self.P_mean, self.P_std)
