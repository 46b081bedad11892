from functools import cache, partial

import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.denoising.mixture import GaussianMixture
from designspace.denoising.rows import Conditional, Denoiser, PreconditioningRows
from designspace.registry.literature import KARRAS_2022
from designspace.sampling import rows
from designspace.sampling.counted import count_call


class GaussianMixtureDenoiser(GaussianMixture, Denoiser, name="gaussian_mixture"):
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

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an image of the data set ``mixture``."""
        return (1, 1, self.dim)

    def known_classes(self, data: Images) -> int:
        return len(self.weights)

    def shape_of(self, data: Images) -> tuple[int, ...]:
        return self.shape

    def load(self, data: Images, design: PreconditioningRows, device: torch.device) -> Conditional:
        return self

    def bind(self, labels: Tensor | None = None) -> rows.D:
        """``D(x, sigma)``, in the dtype of ``x``. Raises ``ValueError`` if a label is not the number of a mode."""
        modes = len(self.weights)
        if labels is not None and not bool(((labels >= 0) & (labels < modes)).all()):
            raise ValueError(f"denoiser gaussian_mixture: labels are 0 to {modes - 1}, not {labels.tolist()}")
        return partial(_denoise, _axes(self), labels)


@cache
def _axes(mixture: GaussianMixture) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log weights [K], means [K, d], variances [K, d] along the principal axes, and these axes [K, d, d]."""
    weights, means, covs = mixture.parameters()
    variances, axes = torch.linalg.eigh(covs)
    return weights.log(), means, variances, axes


def _denoise(mixture: tuple[Tensor, ...], labels: Tensor | None, x: Tensor, sigma: Tensor) -> Tensor:
    count_call(len(x))
    log_weights, means, variances, axes = (p.to(x.device) for p in mixture)
    noisy = variances + torch.as_tensor(sigma, device=x.device).double().square().reshape(-1, 1, 1)
    along = torch.einsum("bkd,kde->bke", x.double().flatten(1)[:, None] - means, axes)
    logits = log_weights - (along.square() / noisy + noisy.log()).sum(-1) / 2
    if labels is not None:
        other = labels.to(x.device)[:, None] != torch.arange(len(means), device=x.device)
        logits = logits.masked_fill(other, -torch.inf)
    modes = means + torch.einsum("bke,kde->bkd", along * (variances / noisy), axes)
    return torch.einsum("bk,bkd->bd", logits.softmax(1), modes).reshape(x.shape).to(x.dtype)
