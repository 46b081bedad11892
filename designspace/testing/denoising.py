"""Checks of the rows of the block *Network and preconditioning*."""

from __future__ import annotations

from contextlib import suppress

import torch
from torch import Tensor

from designspace.denoising.adapted import called, tensor_of
from designspace.denoising.rows import (
    CIn,
    CNoise,
    Conditional,
    COut,
    CSkip,
    Denoiser,
    Network,
)
from designspace.errors import brief
from designspace.registry.calling import described, elementwise
from designspace.sampling.rows import D
from designspace.testing.assertions import SIGMAS, require, require_close, require_finite, require_same
from designspace.testing.context import STAND_INS, Context, stand_in_images
from designspace.training.rows import LossWeight

SHAPE = (2, 8, 8)
NEAR_ZERO = torch.tensor([1e-12, 1e-6], dtype=torch.float64)
LARGE = torch.tensor([1e6, 1e12], dtype=torch.float64)


def is_a_function_of_the_noise_level(row: CSkip | COut | CIn | CNoise | LossWeight) -> None:
    """The value is finite and float64 at each noise level, for tensors of any shape."""
    values = elementwise(row, "the value", row, SIGMAS)
    for sigma, expected in ((SIGMAS, values), (SIGMAS.reshape(5, 10), values.reshape(5, 10)), (SIGMAS[3], values[3])):
        value = elementwise(row, "the value", row, sigma)
        what = f"the value for sigma {list(sigma.shape)}"
        require(value.dtype == torch.float64, f"the dtype of {what}", torch.float64, value.dtype)
        require_finite(what, value)
        require_close(what, value, expected, at=sigma)


def is_positive(row: CIn | LossWeight) -> None:
    """The scale of the input and the weight of the loss do not vanish or change sign."""
    values = row(SIGMAS)
    require(bool((values > 0).all()), "the value for every noise level", "a positive number", values[~(values > 0)])


def passes_a_share_of_the_input(c_skip: CSkip) -> None:
    """c_skip lies in [0, 1], with limits as sigma goes to 0 and to infinity."""
    _has_limits(c_skip, NEAR_ZERO, "as sigma goes to 0")
    _has_limits(c_skip, LARGE, "as sigma goes to infinity")
    values = c_skip(torch.cat([NEAR_ZERO, SIGMAS, LARGE]))
    outside = values[~((values >= 0) & (values <= 1))]
    require(len(outside) == 0, "c_skip, the share of the input that is passed on,", "numbers in [0, 1]", outside)


def scales_the_output(c_out: COut) -> None:
    """c_out has a limit as sigma goes to 0, grows at most in proportion to sigma, and is nowhere zero in between."""
    _has_limits(c_out, NEAR_ZERO, "as sigma goes to 0")
    values = c_out(SIGMAS)
    require(bool((values != 0).all()), "c_out at positive noise levels", "numbers other than 0", values[values == 0])
    ratio = (c_out(LARGE) / LARGE).abs()
    require_finite("c_out as sigma goes to infinity", ratio)
    bounded = bool(ratio[1] <= 1.01 * ratio[0] + 1e-6)
    require(bounded, "c_out / sigma as sigma goes to infinity", f"at most {ratio[0].item():.4g}", ratio[1].item())


def scales_the_input(c_in: CIn) -> None:
    """c_in has a limit as sigma goes to 0, and does not grow with sigma."""
    _has_limits(c_in, NEAR_ZERO, "as sigma goes to 0")
    values = c_in(SIGMAS)
    require(
        bool((values.diff() <= 1e-12).all()), "c_in", "a function that does not increase", values.diff().max().item()
    )


def tells_noise_levels_apart(c_noise: CNoise) -> None:
    """c_noise is monotone."""
    changes = c_noise(SIGMAS).diff()
    monotone = bool((changes >= 0).all() or (changes <= 0).all())
    require(monotone, "c_noise", "a monotone function", f"changes from {changes.min():.4g} to {changes.max():.4g}")


def rounds_to_supported_levels(c_noise: CNoise) -> None:
    """The limits are a range of noise levels, and supported levels are rounded to themselves."""
    lo, hi = c_noise.limits()
    require(0 <= lo < hi, "limits()", "0 <= low < high", (lo, hi))
    rounded = c_noise.round_sigma(SIGMAS)
    require_close("round_sigma of rounded levels", c_noise.round_sigma(rounded), rounded, at=SIGMAS)


def keeps_the_shape(network: Network, given: Context = STAND_INS) -> None:
    """The output is reproducible and has the shape of the input, or twice its channels, with and without any labels."""
    shape = given.shapes[-1]
    x, c_noise = torch.ones(3, *shape), torch.tensor([-1.5, 0.0, 999.0])
    for classes, augment in (pair for pair in given.labels if network.takes_augmentation or not pair[1]):
        what = f"with {classes} classes and {augment} augmentation labels"
        built = network.build(shape, classes, augment).eval()
        labels = torch.tensor([0, classes - 1, 0]) if classes else None
        output = tensor_of(called(built, x, c_noise, labels), x)
        shapes = [(3, *shape), (3, 2 * shape[0], *shape[1:])]
        require(tuple(output.shape) in shapes, f"the shape of the output {what}", shapes, tuple(output.shape))
        require_finite(f"the output {what}", output)
        again = tensor_of(built(x, c_noise, labels), x)
        require_same(f"the output {what}, a second time", again, output, rtol=1e-5, atol=1e-5)
        if augment:
            try:
                zeros = built(x, c_noise, labels, torch.zeros(3, augment))
            except TypeError as error:
                call = "F(x, c_noise, labels, augment) of the network"
                require(False, call, "a fourth argument, the augmentation labels [B, L] or None", brief(error))
            require_close("the output for augmentation labels of zero and for none", output, zeros, rtol=0)


def is_built_for_evaluation(network: Network) -> None:
    """The built network is in evaluation mode."""
    require(not network.build(SHAPE).training, "the mode of the built network", "evaluation", "training")


def is_the_same_each_time(network: Network) -> None:
    """The weights depend on the fields only, and building leaves PyTorch's generator as it is."""
    before = torch.get_rng_state()
    first, second = (network.build(SHAPE, 4).state_dict() for _ in range(2))
    untouched = torch.equal(torch.get_rng_state(), before)
    require(untouched, "the state of PyTorch's generator after build", "unchanged (see denoising.networks)", "changed")
    require(first.keys() == second.keys(), "the parameters of a second build", list(first), list(second))
    for key, value in first.items():
        require(torch.equal(value, second[key]), f"the parameter {key} of a second build", "the same numbers", "others")


def is_a_function_of_x_and_sigma(denoiser: Denoiser, given: Context = STAND_INS) -> None:
    """The output has the shape of x and is reproducible, x is not modified, and images do not depend on each other.

    The same holds with labels, unless the denoiser is unconditional and refuses them with ValueError.
    """
    loaded, clean, labels = _loaded(denoiser, given)
    x = clean + 0.5 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    each = given.design.solver.adaptive or not given.in_trial
    independent(loaded.bind(None), loaded.bind(None), x, each=each)
    if labels is not None:
        with suppress(ValueError):
            independent(loaded.bind(labels), loaded.bind(labels[:1]), x, each=each)


def keeps_the_limits_of_the_flow(denoiser: Denoiser) -> None:
    """D tends to x for noisy data as sigma goes to 0, and stays bounded as sigma goes to infinity."""
    loaded, clean, _ = _loaded(denoiser, STAND_INS)
    denoise, noise = loaded.bind(None), torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    low = max(float(getattr(denoise, "sigma_min", 0.0)), 1e-3)
    high = min(float(getattr(denoise, "sigma_max", 1e3)), 1e3)
    x = clean + low * noise
    gap = (denoise(x, _level(low)) - x).abs().max().item()
    require(gap <= 20 * low, f"|D(x; sigma) - x| at sigma = {low:.4g}", f"at most {20 * low:.4g}", gap)
    largest = denoise(clean + high * noise, _level(high)).abs().max().item()
    require(largest <= 10, f"|D(x; sigma)| at sigma = {high:.4g} for data in [-1, 1]", "at most 10", largest)


def independent(together: D, alone: D, x: Tensor, *, each: bool = True) -> None:
    """Check a denoiser; with ``each``, also with a noise level of its own for each image, as in adaptive solvers."""
    before, level = x.clone(), _level(0.5)
    out = together(x, level)
    fits = isinstance(out, Tensor) and out.shape == x.shape
    require(fits, "the output of D(x; sigma)", f"a tensor {list(x.shape)}", described(out))
    require_finite("D(x; sigma)", out)
    require(torch.equal(x, before), "x after D(x; sigma)", "unchanged", "another tensor")
    require_same("D(x; sigma) a second time", together(x, level), out, rtol=1e-5, atol=1e-5)
    if each:
        require_same("D(x; sigma) with sigma [B]", together(x, level.expand(len(x))), out, rtol=1e-4, atol=1e-4)
    require_same("D(x; sigma) for an image alone", alone(x[:1], level), out[:1], rtol=1e-4, atol=1e-4)


def _loaded(denoiser: Denoiser, given: Context) -> tuple[Conditional, Tensor, Tensor | None]:
    """The denoiser, if possible without training it, with a few images and their classes."""
    data, device = given.images or stand_in_images(getattr(denoiser, "shape", None) or (1, 8, 8)), torch.device("cpu")
    untrained = denoiser.untrained(data, given.design, device) if given.in_trial else None
    loaded = untrained or denoiser.load(data, given.design, device)
    return loaded, data.scaled()[:4], None if data.labels is None else data.labels[:4]


def _level(sigma: float) -> Tensor:
    return torch.tensor(sigma, dtype=torch.float64)


def _has_limits(row: CSkip | COut | CIn, sigmas: Tensor, where: str) -> None:
    values = row(sigmas)
    require_finite(f"the value {where}", values)
    close = abs(values[0] - values[1]).item() <= 1e-2
    require(close, f"the values at {sigmas[0].item():g} and {sigmas[1].item():g}, {where},", "a common limit", values)
