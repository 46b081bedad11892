from designspace.denoising.mixture import MixtureData
from designspace.denoising.tree import Tree
from designspace.registry.literature import KARRAS_2024_AUTOGUIDANCE


class TreeData(Tree, MixtureData, name="tree"):
    """Toy data for guidance: points of the plane on two trees, each a class, as images ``[1, 1, 2]``.

    Both trees grow from the origin, in opposite directions. Every branch has two thinner and shorter ones at its end,
    up to ``depth`` levels, which all have the same probability. The distribution is a mixture of Gaussians along the
    branches, whose optimal denoiser is the denoiser ``tree`` of the same depth. Points are rounded to the 256 values of
    a pixel. The trees are modelled on those of Karras et al. (2024), Figure 1, but their shape is another one.
    """

    formula = r"x \sim \sum_k w_k\, \mathcal N(\mu_k, \Sigma_k), \quad c = \mathrm{class}(k)"
    sources = (KARRAS_2024_AUTOGUIDANCE,)
