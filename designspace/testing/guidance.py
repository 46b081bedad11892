"""The check of the row guidance."""

from __future__ import annotations

import torch
from torch import Tensor

from designspace.denoising.guidance import Guidance
from designspace.sampling.counted import CountedDenoiser, count_call
from designspace.sampling.rows import D
from designspace.testing.assertions import SIGMAS, require
from designspace.testing.denoising import independent


def guides_a_denoiser(guidance: Guidance) -> None:
    """The guided D is a function of x and sigma that calls D with its labels once, and has the attributes of D."""
    plain = _Plain()
    guided, labels = guidance.wrap(plain, *[plain] * guidance.takes_guide), torch.tensor([0, 1, 1])
    require(tuple(guided.shape) == plain.shape, "the shape of samples", plain.shape, tuple(guided.shape))
    denoise = guided.bind(labels)
    x = torch.randn(3, *plain.shape, generator=torch.Generator().manual_seed(0))
    independent(_in_second_step(denoise), _in_second_step(guided.bind(labels[:1])), x)
    counted = CountedDenoiser(_in_second_step(denoise))
    counted(x, 1.0)
    require(counted.main.mean() == 1, "calls per evaluation that are not wrapped with guiding", 1, counted.main.mean())
    for name in ("sigma_min", "sigma_max", "round_sigma", "c_in"):
        found, expected = (_at_levels(getattr(D, name, "none")) for D in (denoise, plain.bind(labels)))
        what = f"{name} of the guided D, which has to pass on the attributes of D without guidance"
        require(bool(found == expected), what, expected, found)


def _at_levels(attribute: object) -> object:
    """An attribute of D: a number, or the numbers that a function gives for some noise levels."""
    return [float(value) for value in attribute(SIGMAS[::10])] if callable(attribute) else attribute


def _in_second_step(denoise: D) -> D:
    """``denoise`` in the second step of a trajectory, if it depends on the steps; its first may be special."""

    def run(x: Tensor, sigma: Tensor) -> Tensor:
        if begin := getattr(denoise, "at_step", None):
            for i in range(2):
                begin(i, sigma.max().item())
        return denoise(x, sigma)

    return run


class _Plain:
    """The denoiser of data with one Gaussian per class, as if by a network that predicts the noise."""

    shape = (1, 4, 4)

    def bind(self, labels: Tensor | None) -> D:
        return _PlainD(0.0 if labels is None else 0.1 * labels.reshape(-1, 1, 1, 1))


class _PlainD:
    sigma_min, sigma_max = 0.01, 50.0

    def __init__(self, mean: float | Tensor) -> None:
        self._mean = mean

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        count_call(len(x))
        return self._mean + (x - self._mean) / (1 + 4 * sigma.to(x).reshape(-1, 1, 1, 1) ** 2)

    def round_sigma(self, sigma: Tensor) -> Tensor:
        return (100 * sigma).round() / 100

    def c_skip(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)

    def c_out(self, sigma: Tensor) -> Tensor:
        return -sigma

    def c_in(self, sigma: Tensor) -> Tensor:
        return 1 / (1 + sigma**2).sqrt()
