from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import LU_2022_DPM_SOLVER
from designspace.sampling.levels import geometric
from designspace.sampling.rows import TimeSteps


class LogSNR(TimeSteps, name="logsnr"):
    r"""Uniform in the logarithm of the signal-to-noise ratio, that is, in :math:`\lambda = -\ln\sigma`.

    These are the levels of ``ve`` on the range of ``edm``, and the limit of ``edm`` for large rho. Lu et al. (2022),
    Section 4.
    """

    formula = r"\sigma_i = \sigma_\max (\sigma_\min / \sigma_\max)^{i/(N-1)}, \quad i < N"
    sources = (LU_2022_DPM_SOLVER,)
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0

    def sigmas(self, n: int) -> Tensor:
        return geometric(n, self.sigma_max, self.sigma_min)
