from functools import cached_property

import torch
from torch import Tensor

from designspace import rows
from designspace.design import Design
from designspace.gaussians import GaussianMixture
from designspace.images import Images
from designspace.rows import Conditional, Denoiser


class GaussianMixtureDenoiser(GaussianMixture, Denoiser, name="gaussian_mixture"):
    r"""The L2-optimal denoiser of a mixture of Gaussians in d dimensions, in closed form.

    .. math:: D(x; \sigma) = \sum_k r_k \left[\mu_k + \Sigma_k (\Sigma_k + \sigma^2 I)^{-1} (x - \mu_k)\right], \qquad
        r_k \propto w_k\, \mathcal N(x; \mu_k, \Sigma_k + \sigma^2 I)

    Samples are ``[B, d]`` or any shape of d numbers; with labels, sample i is of the mode ``labels[i]`` alone. The
    score is :math:`(D - x) / \sigma^2`. Karras et al. (2022), https://arxiv.org/abs/2206.00364, Eq. 3 and Appendix
    B.3.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """As the images of the data set ``mixture``."""
        return (1, 1, self.dim)

    def load(self, data: Images, design: Design, device: torch.device) -> Conditional:
        return self

    def bind(self, labels: Tensor | None = None) -> rows.D:
        """``D(x, sigma)``, computed and returned in the dtype of ``x``."""
        return lambda x, sigma: self._denoise(x, sigma, labels)

    @cached_property
    def _basis(self) -> tuple[Tensor, ...]:
        """Log weights [K], means [K, d], variances [K, d] along the axes of each mode, and the axes [K, d, d]."""
        weights, means, covs = self.parameters()
        variances, axes = torch.linalg.eigh(covs)
        return weights.log(), means, variances, axes

    def _denoise(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        log_weights, means, variances, axes = (p.to(x) for p in self._basis)
        noise = (sigma.double() ** 2).to(x).reshape(-1, 1, 1)
        along = torch.einsum("bkd,kde->bke", x.flatten(1)[:, None] - means, axes)
        noisy = variances + noise
        logits = log_weights - (along.square() / noisy + noisy.log()).sum(-1) / 2
        if labels is not None:
            other = torch.arange(len(means), device=x.device) != labels.to(x.device)[:, None]
            logits = logits.masked_fill(other, -torch.inf)
        modes = means + torch.einsum("bke,kde->bkd", along * (variances / noisy), axes)
        return torch.einsum("bk,bkd->bd", logits.softmax(1), modes).reshape(x.shape)
