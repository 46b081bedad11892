import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import silu

from designspace.denoising.networks import Conditions, fourier, seeded, zero
from designspace.denoising.rows import Network
from designspace.registry.literature import HE_2016, VASWANI_2017


class MLP(Network, name="mlp"):
    """Residual layers on the flattened sample, for toy data: samples may have any shape.

    Both h and e have ``width`` numbers. The embedding e is a linear layer on sinusoids of c_noise + 100
    arsinh(c_noise), plus embeddings of the labels (-1, or no labels, means no class). The initial weights are drawn
    with ``seed``. Biases are left out of the formula. The residual layers are those of He et al. (2016), the sinusoids
    those of Vaswani et al. (2017).
    """

    formula = r"""
        h_0 = A x, \quad h_{k+1} = h_k + B_k\, \mathrm{silu}(C_k h_k + E_k e), \quad
            F_\theta = G\, \mathrm{silu}(h_\mathrm{depth}), \quad G = 0 \text{ at the start}
    """
    sources = (HE_2016, VASWANI_2017)
    width: Annotated[int, Field(ge=2, le=65_536, multiple_of=2)] = 128
    depth: Annotated[int, Field(ge=1, le=1_000)] = 3
    seed: int = 0

    def build(self, shape: tuple[int, ...], classes: int = 0, augment: int = 0) -> torch.nn.Module:
        with seeded(self.seed):
            return _MLP(math.prod(shape), self.width, self.depth, Conditions(classes, augment, self.width)).eval()


class _MLP(torch.nn.Module):
    def __init__(self, dim: int, width: int, depth: int, conditions: Conditions) -> None:
        super().__init__()
        linear = torch.nn.Linear
        self.conditions, self.width = conditions, width
        self.noise, self.first, self.last = linear(width, width), linear(dim, width), linear(width, dim)
        self.inner, self.outer, self.embed = (
            torch.nn.ModuleList(linear(width, width) for _ in range(depth)) for _ in range(3)
        )
        zero(self.last)

    def forward(
        self, x: Tensor, c_noise: Tensor, labels: Tensor | None = None, augment: Tensor | None = None
    ) -> Tensor:
        e = self.noise(fourier(c_noise, self.width).to(x.dtype)) + self.conditions(labels, augment, x)
        e, h = silu(e), self.first(x.flatten(1))
        for inner, outer, embed in zip(self.inner, self.outer, self.embed, strict=True):
            h = h + outer(silu(inner(h) + embed(e)))
        return self.last(silu(h)).reshape(x.shape)  # type: ignore[no-any-return]
