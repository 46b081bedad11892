from torch import Tensor

from designspace.registry.literature import YU_2023
from designspace.training.rows import LossWeight


class Debiased(LossWeight, name="debiased"):
    r"""The root of the signal-to-noise ratio, between the errors of the signal and of the noise.

    The weight of the error of the noise is :math:`1 / \sqrt{\mathrm{SNR}} = \sigma`. Yu et al. (2023).
    """

    formula = r"\lambda(\sigma) = 1 / \sigma"
    sources = (YU_2023,)

    def __call__(self, sigma: Tensor) -> Tensor:
        return 1 / sigma
