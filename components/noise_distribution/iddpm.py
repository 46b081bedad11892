from designspace.sampling.levels import IDDPMLevels
from designspace.training.rows import DiscreteNoiseDistribution


class IDDPM(IDDPMLevels, DiscreteNoiseDistribution, name="iddpm"):
    r"""Each of the M trained noise levels is as likely as the others.

    .. math:: \sigma = u_j, \quad j \sim \mathcal U\{0, \dots, M - 1\}, \quad j = \lfloor M u \rfloor

    with the levels :math:`u_j` of the time steps ``iddpm``. Nichol and Dhariwal (2021),
    https://arxiv.org/abs/2102.09672; Karras et al. (2022), https://arxiv.org/abs/2206.00364, Table 1.
    """
