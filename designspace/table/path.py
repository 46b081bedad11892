"""A path of sampling as a strip of images: the sample at each noise level and what the denoiser makes of it."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from designspace.data.rows import Data
from designspace.denoising.rows import Denoiser
from designspace.design import Design
from designspace.drawing.given import is_given
from designspace.drawing.look import NOTE, SMALL, style
from designspace.drawing.panels import stacked
from designspace.sampling.noise import latents
from designspace.sampling.sample import sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE = 0.62
"""The side of an image with the gap beside it, in inches."""
LANDS = (
    "Below each sample: where its tangent lands at σ = 0, the mean of the images that it may have come from. "
    "Samples are divided by the root of 1 + σ²."
)


def path(design: Design, data: Data, num_steps: int, seed: int) -> Figure:
    """The samples x at the noise levels of a design, with the exact denoiser D of the data, and D(x; sigma) below."""
    images = data.load()
    denoiser = Denoiser.get("exact")().load(images, design, torch.device("cpu"))
    D = denoiser.bind(None)
    found = sample(design, D, latents(seed, [0], denoiser.shape), num_steps, record=True)
    assert found.trajectory is not None
    pairs = [(x, float(sigma)) for x, sigma in zip(found.trajectory, found.sigmas, strict=True) if sigma > 0]
    columns = [(x / (1 + sigma**2) ** 0.5, D(x, torch.tensor(sigma, dtype=torch.float64)), sigma) for x, sigma in pairs]
    with style():
        figure, grid = stacked(2, 2 * SIDE + 0.5, len(columns), width=SIDE * len(columns) + 0.5)
        for i, (x, mean, sigma) in enumerate(columns):
            _show(grid[i], x[0])
            _show(grid[len(columns) + i], mean[0])
            grid[i].set_title(f"{sigma:.3g}", fontsize=SMALL, pad=2)
        grid[0].set_ylabel("x", rotation=0, ha="right", va="center")
        grid[len(columns)].set_ylabel("D(x; σ)", rotation=0, ha="right", va="center")
        if not is_given():
            figure.suptitle("noise level σ", fontsize=SMALL)
            figure.supxlabel(fill(LANDS, round(16 * figure.get_figwidth())), **NOTE)
    return figure


def _show(axes: Axes, image: Tensor) -> None:
    pixels = ((image.clamp(-1, 1) + 1) / 2).permute(1, 2, 0).numpy()
    axes.imshow(pixels.repeat(3 // pixels.shape[2], 2), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
