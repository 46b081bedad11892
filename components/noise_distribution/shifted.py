from torch import Tensor

from designspace.registry.component import Finite, Positive
from designspace.registry.literature import ESSER_2024, HOOGEBOOM_2023
from designspace.sampling.levels import log_normal
from designspace.training.rows import NoiseDistribution


class Shifted(NoiseDistribution, name="shifted"):
    r"""Log-normal with every level ``shift`` times as high: large images need more noise to hide as much.

    Noise averages out over the pixels that show one thing, so images of d x d pixels at the level :math:`\sigma d /
    d_0` look, when shrunk, like images of :math:`d_0 \times d_0` at :math:`\sigma`: shift = :math:`d / d_0`, where
    P_mean and P_std suit images of :math:`d_0`. Hoogeboom et al. (2023), Section 3.1, with :math:`d_0 = 64`; Esser et
    al. (2024), Section 5.3.2, where :math:`\sigma = t / (1 - t)` is multiplied by :math:`\sqrt{m / n}`, 3 at 1024 x
    1024: the default. ``from_uniform`` raises ``ValueError`` for u outside of (0, 1).
    """

    formula = r"\sigma = \mathrm{shift} \cdot e^{P_\mathrm{mean} + P_\mathrm{std} \Phi^{-1}(u)}, \quad 0 < u < 1"
    sources = (HOOGEBOOM_2023, ESSER_2024)
    shift: Positive = 3.0
    P_mean: Finite = -1.2
    P_std: Positive = 1.2

    def from_uniform(self, u: Tensor) -> Tensor:
        return self.shift * log_normal(u, self.P_mean, self.P_std, self.name)
