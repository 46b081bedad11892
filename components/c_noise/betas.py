from designspace.denoising.rows import DiscreteCNoise
from designspace.registry.literature import HO_2020, LIN_2024, NICHOL_2021
from designspace.sampling.levels import BetaLevels


class BetasCNoise(BetaLevels, DiscreteCNoise, name="betas"):
    r"""The index of the nearest noise level that the network was trained on, for any betas.

    ``schedule`` says how beta grows from ``beta_1`` to ``beta_M``: ``linear``, as in ``ddpm``; ``scaled_linear``, in
    which its square root is linear, as in Stable Diffusion; ``sigmoid``; or ``cosine``, which is that of ``iddpm`` and
    ignores the two. ``betas``, if they are given, replace all of these and ``M``. With ``zero_terminal_snr`` the betas
    are rescaled so that no signal is left at the highest level, which is taken to be :math:`\sigma = 4096`. The network
    supports :math:`u_{M-1}` to :math:`u_0`, and the sampler rounds to these levels; :math:`u_M = 0` has the index -1.
    Ho et al. (2020); Nichol and Dhariwal (2021); Lin et al. (2024), Algorithm 1.
    """

    formula = r"""
        c_\mathrm{noise} = M - 1 - \arg\min_j |u_j - \sigma|, \quad
            u_{M-t}^2 = \prod_{s \le t} (1 - \beta_s)^{-1} - 1
    """
    sources = (HO_2020, NICHOL_2021, LIN_2024)
