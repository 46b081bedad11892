from designspace.registry.literature import HO_2020, LIN_2024, NICHOL_2021
from designspace.sampling.levels import BetaLevels
from designspace.training.rows import DiscreteNoiseDistribution


class BetasDistribution(BetaLevels, DiscreteNoiseDistribution, name="betas"):
    r"""Uniform over the M noise levels that any betas define.

    The fields and the levels :math:`u_j` are those of c_noise ``betas``. Ho et al. (2020); Nichol and Dhariwal (2021);
    Lin et al. (2024), Algorithm 1.
    """

    formula = r"\sigma = u_j, \quad j \sim \mathcal U\{0, \dots, M - 1\}, \quad j = \lfloor M u \rfloor"
    sources = (HO_2020, NICHOL_2021, LIN_2024)
