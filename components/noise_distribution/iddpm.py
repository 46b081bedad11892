from designspace.registry.literature import KARRAS_2022, NICHOL_2021
from designspace.sampling.levels import IDDPMLevels
from designspace.training.rows import DiscreteNoiseDistribution


class IDDPM(IDDPMLevels, DiscreteNoiseDistribution, name="iddpm"):
    """Each of the M trained noise levels is as likely as the others.

    with the levels :math:`u_j` of the time steps ``iddpm``. Karras et al. (2022), Table 1.
    """

    formula = r"\sigma = u_j, \quad j \sim \mathcal U\{0, \dots, M - 1\}, \quad j = \lfloor M u \rfloor"
    sources = (NICHOL_2021, KARRAS_2022)
