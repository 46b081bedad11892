from torch import Tensor

from designspace.registry.literature import YU_2023
from designspace.training.rows import LossWeight


class Debiased(LossWeight, name="debiased"):
    r"""The square root of the signal-to-noise ratio, :math:`\sqrt{\mathrm{SNR}} = 1 / \sigma`.

    This is the geometric mean of the weights ``uniform``, which weights the error of the signal equally at all levels,
    and ``ddpm``, which does so with the error of the noise. Yu et al. (2023) state it as a weight of the error of the
    noise, which is :math:`1 / \sqrt{\mathrm{SNR}} = \sigma`.
    """

    formula = r"\lambda(\sigma) = 1 / \sigma"
    sources = (YU_2023,)

    def __call__(self, sigma: Tensor) -> Tensor:
        return 1 / sigma
