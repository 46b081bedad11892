from designspace.denoising.mixture import MixtureDenoiser
from designspace.denoising.tree import Tree
from designspace.registry.literature import KARRAS_2022, KARRAS_2024_AUTOGUIDANCE


class TreeDenoiser(Tree, MixtureDenoiser, name="tree"):
    r"""The L2-optimal denoiser of the data set ``tree`` of the same depth, in closed form.

    With labels, the sums are over the modes of the class of each sample, otherwise over those of both classes. All
    computations are in float64. The data set is modelled on that of Karras et al. (2024), Figure 1; the closed form is
    Eq. 3 of Karras et al. (2022) for a mixture of Gaussians.
    """

    formula = r"""
        D(x; \sigma, c) = \sum_{k \in c} r_k \left[\mu_k + \Sigma_k (\Sigma_k + \sigma^2 I)^{-1} (x - \mu_k)\right],
            \qquad r_k \propto w_k\, \mathcal N(x; \mu_k, \Sigma_k + \sigma^2 I)
    """
    sources = (KARRAS_2022, KARRAS_2024_AUTOGUIDANCE)
