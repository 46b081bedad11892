"""The figures of the rows whose components are no curves of Table 1: small exact computations with the components."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from designspace.design import Design
from designspace.drawing.ends import End, label_ends
from designspace.drawing.legend import Key, Legend
from designspace.drawing.look import COLOURS, FAINT, MORE, SMALL, look
from designspace.drawing.panels import annotate, stacked
from designspace.drawing.ticks import set_log_ticks
from designspace.registry.known import ROWS
from designspace.sampling.noise import latents
from designspace.sampling.sample import Samples, sample

STD = 0.5
"""The standard deviation of the Gaussian data, and of each of two classes."""
STEPS = (8, 16, 32, 64, 128)
ACCURACIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
LEAST, MOST = 2e-6, 4.0
"""The errors of solvers that are drawn; below them, the step from the last level to 0 contributes."""


def built_in(row: str) -> dict[str, Any]:
    """The components of this package in a row, by name."""
    return {name: cls for name, cls in sorted(ROWS[row].known.items()) if cls.built_in()}


def _gaussian(std: float = STD) -> Any:
    """The denoiser of Gaussian data in closed form: it is linear, so that the samples are linear in all noise."""
    return ROWS["denoiser"].known["gaussian_mixture"](weights=(1.0,), means=((0.0,),), covs=(((std**2,),),))


def spread(design: Design, num_steps: int) -> tuple[Samples, np.ndarray]:
    """The samples of each source of noise alone, and the standard deviation of x at each level, without random numbers.

    The first image is the response to the latent, and each other one that to a draw of noise. Their squares add up. The
    start has the standard deviation of the data with noise at the highest level.
    """
    draws: dict[tuple[int, int], int] = {}

    def counted(step: int, draw: int) -> Tensor:
        draws.setdefault((step, draw), len(draws) + 1)
        return torch.zeros(1, 1, dtype=torch.float64)

    def single(step: int, draw: int) -> Tensor:
        return torch.eye(len(draws) + 1, dtype=torch.float64)[:, draws[step, draw]][:, None]

    D = _gaussian().bind()
    sample(design, D, torch.zeros(1, 1, dtype=torch.float64), num_steps, noise=counted)
    first = torch.eye(len(draws) + 1, dtype=torch.float64)[:, :1]
    found = sample(design, D, first, num_steps, noise=single, record=True)
    assert found.trajectory is not None
    responses = found.trajectory[..., 0]
    responses[:, 0] *= math.hypot(1, STD / found.sigmas[0].item())
    return found, responses.square().sum(1).sqrt().numpy()


def _errors(name: str) -> tuple[list[float], list[float]]:
    """The evaluations and the relative errors of the standard deviation of the samples."""
    cls = ROWS["solver"].known[name]
    runs = [({"rtol": a, "atol": a}, STEPS[-1]) for a in ACCURACIES] if cls.adaptive else [({}, n) for n in STEPS]
    found = [spread(_of_solver({"name": name, **fields}), steps) for fields, steps in runs]
    return [float(samples.nfe) for samples, _ in found], [abs(path[-1] / STD - 1) for _, path in found]


def solver() -> Figure:
    """The error of every solver against the evaluations, in two panels: deterministic and stochastic ones."""
    errors = {name: _errors(name) for name in built_in("solver")}
    noisy = [name for name in errors if _adds_noise(name)]
    figure, grid = stacked(2, 6.6)
    for axes, names in zip(grid, ([name for name in errors if name not in noisy], noisy), strict=True):
        _draw_orders(axes)
        ends = []
        for i, name in enumerate(names):
            style = look(i) | {"color": (*COLOURS, *MORE)[i % 12]}
            axes.plot(*errors[name], **style)
            x, y = next((x, y) for x, y in zip(*(of[::-1] for of in errors[name]), strict=True) if y > LEAST)
            place = (math.log(y) - math.log(LEAST)) / (math.log(MOST) - math.log(LEAST))
            ends.append(End(name, x, y, min(place, 1.0), style["color"]))
        axes.set(xscale="log", yscale="log", ylim=(LEAST, MOST), xlim=(7, 600), ylabel="error of the std of samples")
        set_log_ticks(axes.xaxis, [8, 512], 7)
        label_ends(axes, ends, 2.5)
        annotate(axes, "stochastic solvers" if names is noisy else "deterministic solvers", "left", strong=True)
    grid[-1].set_xlabel("NFE (denoiser evaluations per image)")
    return figure


def _of_solver(row: Any) -> Design:
    """A design whose last level is so low that the step from there to 0 is exact to 5e-7."""
    return Design.preset("edm", solver=row, time_steps={"sigma_min": 5e-4})


def _adds_noise(name: str) -> bool:
    """Whether the solver asks for noise in a design without churn."""
    samples, _ = spread(_of_solver(name), 8)
    return len(samples.x) > 1


def _draw_orders(axes: Axes) -> None:
    """Lines through a common point, along which the error falls with the orders 1 to 4."""
    start, x = 8.0, np.array([8.0, 600.0])
    for order in (1, 2, 3, 4):
        axes.plot(x, (x / start) ** -order, color=FAINT, linewidth=0.8, zorder=1)
        at = min(250.0, start * (20 * LEAST) ** (-1 / order))
        axes.annotate(
            f"order {order}",
            (at, (at / start) ** -order),
            (2, 1),
            textcoords="offset points",
            color="#777777",
            fontsize=5.5,
        )


def stochasticity() -> Figure:
    """Gamma at each level, and the standard deviation of x along the way relative to the exact one."""
    settings = {
        "S_churn=40": {"S_churn": 40},
        "S_churn=40, S_min=0.05, S_max=50": {"S_churn": 40, "S_min": 0.05, "S_max": 50},
        "the same, S_noise=1.003": {"S_churn": 40, "S_min": 0.05, "S_max": 50, "S_noise": 1.003},
        "S_churn=10": {"S_churn": 10},
        "none": {},
    }
    figure, (above, below) = stacked(2, 4.9, share_x=True)
    keys, num_steps = [], 256
    for i, (name, fields) in enumerate(settings.items()):
        row = {"name": "churn", **fields} if fields else "none"
        design = Design.preset("edm", stochasticity=row)
        samples, path = spread(design, num_steps)
        sigma = samples.sigmas[:-1].numpy()
        gamma = [design.stochasticity.lift(level, num_steps)[0] / level - 1 for level in sigma]
        style = look(i) | {"marker": "", "linewidth": 2.2 - 0.35 * i}
        keys.append(Key(name, style))
        above.plot(sigma, gamma, **style)
        below.plot(sigma, 100 * (path[:-1] / np.hypot(sigma, STD) - 1), **style)
    above.set(ylabel=r"$\gamma_i = \hat\sigma_i / \sigma_i - 1$", ylim=(-0.01, None))
    below.set(xscale="log", xlabel=r"noise level $\sigma$", ylabel="std of x: error in %")
    below.invert_xaxis()
    Legend(keys, SMALL).draw(figure)
    return figure


def ema() -> Figure:
    """The weight of the parameters at each point of a training in the average at its end."""
    batch, images = 128, 200_000
    averages: Mapping[str, Any] = {
        **{f"half_life={h:,}": ROWS["ema"].known["half_life"](half_life=h) for h in (2_000, 50_000)},
        "half_life=50,000, ramp_up=0.5": ROWS["ema"].known["half_life"](half_life=50_000, ramp_up=0.5),
        **{f"power, std={s:g}": ROWS["ema"].known["power"](std=s) for s in (0.02, 0.05, 0.1, 0.2)},
    }
    figure, (axes,) = stacked(1, 2.9)
    seen = np.arange(0, images, batch)
    keys = []
    for i, (name, average) in enumerate(averages.items()):
        kept = np.array([average.decay(int(n), batch) for n in seen])
        after = np.append(np.cumprod(kept[::-1])[::-1][1:], 1.0)
        style = look(i) | {"marker": ""}
        axes.plot(seen / images, (1 - kept) * after * len(seen), **style)
        keys.append(Key(name, style))
    axes.set(yscale="log", ylim=(0.01, 300))
    axes.set(xlabel="share of the training", ylabel="weight of the parameters")
    Legend(keys, SMALL).draw(figure)
    return figure


def guidance() -> Figure:
    """Where samples of a class end and how much they vary, against the weight, for two classes that overlap."""
    weights = (1.0, 1.5, 2.0, 3.0, 4.0)
    pattern, known = torch.tensor([0.3, -0.3, 0.3, -0.3], dtype=torch.float64), built_in("guidance")
    denoiser, weaker = (_two_classes(pattern, std) for std in (STD, 1.3 * STD))
    start = latents(0, range(1000), (4,)).double()
    labels = torch.ones(len(start), dtype=torch.int64)
    figure, (above, below) = stacked(2, 4.4, share_x=True)
    keys = []
    for i, name in enumerate(name for name in known if name != "none"):
        ends = []
        for weight in weights:
            fields = {"space": "D"} if "space" in known[name].model_fields else {}
            fields |= {"guide": weaker} if known[name].takes_guide else {}
            fields |= {"zero_steps": 0} if "zero_steps" in known[name].model_fields else {}
            guided = known[name](weight=weight, **fields).wrap(denoiser, *[weaker] * known[name].takes_guide)
            x = sample(Design.preset("edm"), guided.bind(labels), start, 32).x
            ends.append((x @ pattern) / pattern.norm())
        style = look(i)
        keys.append(Key(name, style))
        above.plot(weights, [float(end.mean() / ends[0].mean()) for end in ends], **style)
        below.plot(weights, [float(end.std() / ends[0].std()) for end in ends], **style)
    above.set(ylabel="mean / that without guidance")
    below.set(xlabel="weight g", ylabel="std / that without guidance")
    Legend(keys, SMALL).draw(figure)
    return figure


def _two_classes(pattern: Tensor, std: float) -> Any:
    cov = tuple(map(tuple, (std**2 * torch.eye(len(pattern), dtype=torch.float64)).tolist()))
    means = tuple(tuple((sign * pattern).tolist()) for sign in (-1, 1))
    return ROWS["denoiser"].known["gaussian_mixture"](weights=(0.5, 0.5), means=means, covs=(cov, cov))
