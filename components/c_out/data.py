import torch
from torch import Tensor

from designspace.denoising.rows import COut
from designspace.denoising.sigma_data import SigmaData
from designspace.registry.literature import KARRAS_2022


class DataStd(COut, name="data"):
    r"""The network predicts the signal in units of the root mean square of the data.

    With c_skip ``zero`` the target :math:`y / \sigma_\mathrm{data}` has unit variance. At low noise the network has to
    reproduce its input: at every :math:`\sigma \ge 0` an error of F becomes an error of D that is ``sigma_data`` times
    as large. Karras et al. (2022), Appendix B.6, with :math:`c_\mathrm{skip} = 0`.
    """

    formula = r"c_\mathrm{out} = \sigma_\mathrm{data}"
    sources = (KARRAS_2022,)
    sigma_data: SigmaData = 0.5

    def __call__(self, sigma: Tensor) -> Tensor:
        return torch.full_like(sigma, self.sigma_data)
