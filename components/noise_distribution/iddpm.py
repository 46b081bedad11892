from designspace.registry.literature import KARRAS_2022, NICHOL_2021
from designspace.sampling.levels import IDDPMLevels
from designspace.training.rows import DiscreteNoiseDistribution


class IDDPM(IDDPMLevels, DiscreteNoiseDistribution, name="iddpm"):
    """Uniform over the M noise levels that the network is trained on.

    Here :math:`u_j` are the levels of the time steps ``iddpm``. Karras et al. (2022), Table 1.
    """

    formula = r"\sigma = u_j, \quad j \sim \mathcal U\{0, \dots, M - 1\}, \quad j = \lfloor M u \rfloor"
    sources = (NICHOL_2021, KARRAS_2022)
