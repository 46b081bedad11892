from designspace.denoising.rows import DiscreteCNoise
from designspace.registry.literature import HO_2020, KARRAS_2022
from designspace.sampling.levels import DDPMLevels


class DDPM(DDPMLevels, DiscreteCNoise, name="ddpm"):
    """The index of the nearest noise level that the network was trained on; it grows with the noise.

    Here :math:`u_j` are the levels of the time steps ``ddpm``. The network supports :math:`u_{M-1}` to :math:`u_0`, and
    the sampler rounds to these levels; :math:`u_M = 0` has the index -1. Karras et al. (2022), Table 1 (column iDDPM).
    """

    formula = r"c_\mathrm{noise} = M - 1 - \arg\min_j |u_j - \sigma|, \quad j \le M"
    sources = (HO_2020, KARRAS_2022)
