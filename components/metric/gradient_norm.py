from copy import deepcopy
from typing import ClassVar

import torch
from torch import Tensor

from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.denoising.rows import Conditional, Denoiser
from designspace.evaluation.denoiser_probe import DenoiserProbe
from designspace.evaluation.measure import Measured
from designspace.evaluation.rows import DenoiserMetric
from designspace.registry.component import Count, Positive
from designspace.registry.literature import KARRAS_2022
from designspace.sampling.solver import SamplingRows
from designspace.training.loss import squared_errors
from designspace.training.rows import training_weights


class GradientNorm(DenoiserMetric, name="gradient_norm"):
    r"""How unevenly the noise levels contribute to the gradient of the loss.

    The norm g is the root mean square, over ``images`` images of the data set, of the gradient norm of each single
    image. The value is the standard deviation of :math:`\log_{10} g` over the levels of the profile, after training; it
    is 0 if all levels have gradients of the same size. Its standard error is a jackknife estimate over the images.
    Levels that the row c_noise does not support are left out. The metric is defined only for denoisers that are
    networks. Karras et al. (2022), Section 5.
    """

    formula = r"""
        g(\sigma) = \sqrt{\mathbb E\left[\left|\nabla_\theta\, \lambda(\sigma)
            \left|D_\theta(y + \sigma n; \sigma) - y\right|^2 / d\,\right|^2\right]}
    """
    sources = (KARRAS_2022,)
    profile_of: ClassVar[str] = "gradient norm"
    images: Count = 16
    sigma_min: Positive = 0.02

    def check(self, design: SamplingRows, denoiser: Denoiser) -> None:
        if not denoiser.has_network:
            raise ValueError(f"metric {self.name}: denoiser {denoiser.name} has no network, so no gradients")

    def observe(self, seen: DenoiserProbe) -> Measured:
        profile, squares = seen.profile(self, lambda denoiser, sigma: _squared_norms(seen, denoiser, sigma))
        n = squares.shape[1]
        spread = (squares.mean(1).log10() / 2).std()
        without = ((squares.sum(1, keepdim=True) - squares) / (n - 1)).log10() / 2
        se = ((n - 1) * without.std(0).var(correction=0)).sqrt()
        root = profile._replace(
            value=profile.value.sqrt(), before=None if profile.before is None else profile.before.sqrt()
        )
        return Measured(spread.item(), se.item(), profile=root)


def _squared_norms(seen: DenoiserProbe, denoiser: Conditional, sigma: Tensor) -> Tensor:
    assert isinstance(denoiser, PreconditionedNetwork)
    assert isinstance(denoiser.network, torch.nn.Module)
    network = deepcopy(denoiser.network).requires_grad_(True)
    own, parameters = PreconditionedNetwork(network, seen.design, denoiser.shape), list(network.parameters())
    weights, found = training_weights(seen.design, sigma), []
    for i in range(len(seen.y)):
        one = slice(i, i + 1)
        D = own.bind(None if seen.labels is None else seen.labels[one])
        loss = weights[i].item() * squared_errors(D, seen.y[one], sigma[one], seen.noise[one]).sum()
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        found.append(sum(g.square().sum().double().cpu() for g in gradients if g is not None))
    return torch.stack([torch.as_tensor(value, dtype=torch.float64) for value in found])
