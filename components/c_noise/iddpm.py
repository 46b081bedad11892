from designspace.denoising.rows import DiscreteCNoise
from designspace.registry.literature import KARRAS_2022, NICHOL_2021
from designspace.sampling.levels import IDDPMLevels


class IDDPM(IDDPMLevels, DiscreteCNoise, name="iddpm"):
    """The index of the nearest noise level that the network was trained on; it grows with the noise.

    Here :math:`u_j` are the levels of the time steps ``iddpm``. The network supports :math:`u_{M-1}` to :math:`u_0`,
    and the sampler rounds to these levels; :math:`u_M = 0` has the index -1. Karras et al. (2022), Table 1.
    """

    formula = r"c_\mathrm{noise} = M - 1 - \arg\min_j |u_j - \sigma|, \quad j \le M"
    sources = (NICHOL_2021, KARRAS_2022)
