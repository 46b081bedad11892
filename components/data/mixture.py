from designspace.denoising.mixture import GaussianMixture, MixtureData


class Mixture(GaussianMixture, MixtureData, name="mixture"):
    """Toy data: points of a Gaussian mixture in d dimensions as images ``[1, 1, d]``; the label is the mode.

    Points are rounded to the 256 values of a pixel, so the modes should lie within [-1, 1]. The same ``seed`` gives the
    same points, and a higher ``count`` adds to them. The denoiser ``gaussian_mixture`` with the same weights, means and
    covariances is the optimal denoiser.
    """

    formula = r"x \sim \sum_k w_k\, \mathcal N(\mu_k, \Sigma_k)"
