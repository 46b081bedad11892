from designspace.sampling.levels import DDPMLevels
from designspace.training.rows import DiscreteNoiseDistribution


class DDPM(DDPMLevels, DiscreteNoiseDistribution, name="ddpm"):
    r"""Each of the M trained noise levels is as likely as the others.

    .. math:: \sigma = u_j, \quad j \sim \mathcal U\{0, \dots, M - 1\}, \quad j = \lfloor M u \rfloor

    with the levels :math:`u_j` of the time steps ``ddpm``. Ho et al. (2020), https://arxiv.org/abs/2006.11239;
    Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1 (column iDDPM).
    """
