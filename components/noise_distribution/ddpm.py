from designspace.registry.literature import HO_2020, KARRAS_2022
from designspace.sampling.levels import DDPMLevels
from designspace.training.rows import DiscreteNoiseDistribution


class DDPM(DDPMLevels, DiscreteNoiseDistribution, name="ddpm"):
    """Uniform over the M noise levels that the network is trained on.

    Here :math:`u_j` are the levels of the time steps ``ddpm``. Karras et al. (2022), Table 1 (column iDDPM).
    """

    formula = r"\sigma = u_j, \quad j \sim \mathcal U\{0, \dots, M - 1\}, \quad j = \lfloor M u \rfloor"
    sources = (HO_2020, KARRAS_2022)
