from designspace.denoising.mixture import GaussianMixture, MixtureDenoiser
from designspace.registry.literature import KARRAS_2022


class GaussianMixtureDenoiser(GaussianMixture, MixtureDenoiser, name="gaussian_mixture"):
    r"""The L2-optimal denoiser of a mixture of Gaussians in d dimensions, in closed form.

    Samples are ``[B, d]``, or ``[B, ...]`` with d numbers each; those of the data set ``mixture`` are ``[B, 1, 1, d]``.
    With labels, sample i belongs to the mode ``labels[i]`` alone. The score is :math:`(D - x) / \sigma^2`. All
    computations are in float64. Karras et al. (2022), Eq. 3 and Appendix B.3.
    """

    formula = r"""
        D(x; \sigma) = \sum_k r_k \left[\mu_k + \Sigma_k (\Sigma_k + \sigma^2 I)^{-1} (x - \mu_k)\right], \qquad
            r_k \propto w_k\, \mathcal N(x; \mu_k, \Sigma_k + \sigma^2 I)
    """
    sources = (KARRAS_2022,)
