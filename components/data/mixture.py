from functools import cache

import torch

from designspace.data.images import Images, to_uint8
from designspace.data.limits import require_room
from designspace.data.rows import Data
from designspace.denoising.mixture import GaussianMixture
from designspace.registry.component import Count
from designspace.sampling.noise import generator


class Mixture(GaussianMixture, Data, name="mixture"):
    """Toy data: points of a Gaussian mixture in d dimensions as images ``[1, 1, d]``; the label is the mode.

    Points are rounded to the 256 values of a pixel, so the modes should lie within [-1, 1]. The same ``seed`` gives the
    same points, and a higher ``count`` adds to them. The denoiser ``gaussian_mixture`` with the same weights, means and
    covariances is the optimal denoiser.
    """

    formula = r"x \sim \sum_k w_k\, \mathcal N(\mu_k, \Sigma_k)"
    count: Count = 10_000
    seed: int = 0

    def load(self) -> Images:
        require_room(16 * self.count * (self.dim + 1), "data mixture")
        weights, means, covs = self.parameters()
        u = torch.from_numpy(generator("mixture", "mode", self.seed).random(self.count))
        x = torch.from_numpy(generator("mixture", "point", self.seed).standard_normal((self.count, self.dim)))
        labels = torch.bucketize(u, weights.cumsum(0)[:-1], right=True)
        for k, root in enumerate(torch.linalg.cholesky(covs)):
            x[labels == k] = means[k] + x[labels == k] @ root.T
        return Images(to_uint8(x)[:, None, None], labels, tuple(map(str, range(len(weights)))))

    def content_hash(self) -> str:
        return _hash(self)


@cache
def _hash(mixture: Mixture) -> str:
    return mixture.load().content_hash
