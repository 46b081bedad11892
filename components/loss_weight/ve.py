from torch import Tensor

from designspace.registry.literature import KARRAS_2022, SONG_2021
from designspace.training.rows import LossWeight


class VE(LossWeight, name="ve"):
    r"""The mean squared error of the predicted noise.

    With the c_out of the same column, :math:`\lambda c_\mathrm{out}^2 = 1` for :math:`\sigma > 0`. Karras et al.
    (2022), Table 1.
    """

    formula = r"\lambda(\sigma) = 1 / \sigma^2"
    sources = (SONG_2021, KARRAS_2022)

    def __call__(self, sigma: Tensor) -> Tensor:
        return sigma**-2
