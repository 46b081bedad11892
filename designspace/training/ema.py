"""Moving averages of a network's parameters."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from designspace.training.recipe import Recipe


def decay(recipe: Recipe, images: int) -> float:
    r"""The weight of the old average in the step after which ``images`` images have been seen.

    .. math:: \beta = 2^{-B / \min(h, r n)} \quad\text{or}\quad \beta = (1 - B / n)^{\gamma + 1}

    with the batch size B, half-life h, ramp-up r and n images. The first is from Karras et al. (2022),
    https://arxiv.org/abs/2206.00364, Appendix F.2; the second, used if ``ema_sigma_rel`` is given, from Karras et al.
    (2023), https://arxiv.org/abs/2312.02696, Eq. 3.
    """
    share = recipe.batch_size / images
    if recipe.ema_sigma_rel is not None:
        return float(max(1 - share, 0.0) ** (power(recipe.ema_sigma_rel) + 1))
    return float(0.5 ** (recipe.batch_size / min(recipe.ema_half_life, recipe.ema_ramp_up * images)))


def power(sigma_rel: float) -> float:
    r"""The exponent :math:`\gamma` whose profile has the relative width :math:`\sigma_\mathrm{rel}`.

    .. math:: \sigma_\mathrm{rel}^2 = \frac{\gamma + 1}{(\gamma + 2)^2 (\gamma + 3)}
    """
    inverse = sigma_rel**-2
    return float(max(np.roots([1, 7, 16 - inverse, 12 - inverse]).real))


@torch.no_grad()
def update(average: list[Tensor], parameters: list[Tensor], beta: float) -> None:
    """Move ``average`` towards ``parameters``, in place."""
    torch._foreach_lerp_(average, parameters, 1 - beta)
