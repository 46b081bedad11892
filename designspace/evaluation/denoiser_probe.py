"""A denoiser applied to noisy images of its data set, for the metrics of training.

Images and noise depend only on the data set, so that all denoisers of an ablation see the same inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from designspace.data.images import Images
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.denoising.rows import Conditional
from designspace.evaluation.measure import Profile
from designspace.sampling.noise import generator, latents
from designspace.training.loss import squared_errors
from designspace.training.rows import AdaptedLevels, LearnedWeight, TrainingRows

BATCH = 200
"""Images per batch."""
DRAWS = 100_000
"""The number of quantiles of the noise distribution from which its density is estimated."""

Each = Callable[[Conditional, Tensor], Tensor]
"""Maps a denoiser and the noise level of each image, ``[n]``, to a value per image, float64 ``[n]``."""


class Grid(Protocol):
    """The noise levels of a profile, evenly spaced in ln sigma: the fields of a ``DenoiserMetric``."""

    @property
    def sigma_min(self) -> float:
        """The lowest level."""

    @property
    def sigma_max(self) -> float:
        """The highest level."""

    @property
    def levels(self) -> int:
        """The number of levels."""


@dataclass(frozen=True, eq=False)
class DenoiserProbe:
    """A denoiser with some images of its data set and noise for them: the input of a ``DenoiserMetric``."""

    design: TrainingRows
    """The rows c_*, noise_distribution and loss_weight that the denoiser was trained with."""
    denoiser: Conditional
    untrained: Conditional | None
    """The denoiser before training, if available."""
    y: Tensor
    """Images of the data set in [-1, 1], float32 ``[n, C, H, W]``, on the device."""
    labels: Tensor | None
    """The class labels passed to the denoiser, int64 ``[n]``."""
    noise: Tensor
    """Unit Gaussian noise of the same shape as ``y``."""
    sigma_data: float
    """The root mean square of all values of the data set."""
    learned: Mapping[str, nn.Module] = field(default_factory=dict)
    """What rows of training have learned together with the denoiser, by row."""

    def squared_errors(self, denoiser: Conditional, sigma: Tensor) -> Tensor:
        r""":math:`|D(y + \sigma n; \sigma) - y|^2 / d` of each image, float64 ``[n]`` on the CPU, for sigma ``[n]``."""
        with torch.no_grad():
            return torch.cat([self._part(denoiser, sigma, slice(i, i + BATCH)) for i in range(0, len(self.y), BATCH)])

    def _part(self, denoiser: Conditional, sigma: Tensor, part: slice) -> Tensor:
        D = denoiser.bind(None if self.labels is None else self.labels[part])
        return squared_errors(D, self.y[part], sigma[part], self.noise[part]).double().cpu()

    def drawn(self) -> Tensor:
        """A noise level for each image: even quantiles of the training distribution, shuffled, float64 ``[n]``."""
        n = len(self.y)
        u = (torch.from_numpy(generator("denoising", "levels").permutation(n)) + 0.5) / n
        return self.design.c_noise.supported(self.design.noise_distribution.from_uniform(u))

    def profile(self, grid: Grid, of: Each) -> tuple[Profile, Tensor]:
        """The mean of ``of`` over the images at each level, before and after training.

        Also returns its values for each image after training, ``[L, n]``.
        """
        levels, width = self._levels(grid)
        at = [self.design.c_noise.round_sigma(level.repeat(len(self.y))) for level in levels]
        after = torch.stack([of(self.denoiser, sigma) for sigma in at])
        before = None if self.untrained is None else torch.stack([of(self.untrained, sigma) for sigma in at]).mean(1)
        return Profile(levels, after.mean(1), before, self._density(levels, width)), after

    def expected(self, profile: Profile) -> Tensor | None:
        """The weighted errors that a learned loss weight expects at the levels of a profile; ``None`` without one."""
        weight = self.learned.get("loss_weight")
        return weight.expected(profile.sigma) if isinstance(weight, LearnedWeight) else None

    def _levels(self, grid: Grid) -> tuple[Tensor, float]:
        ends = torch.tensor([grid.sigma_min, grid.sigma_max], dtype=torch.float64).log()
        places = torch.lerp(ends[0], ends[1], torch.linspace(0, 1, grid.levels, dtype=torch.float64))
        low, high = self.design.c_noise.limits()
        levels = places.exp()
        return levels[(levels >= low) & (levels <= high)], float(places[1] - places[0])

    def _density(self, levels: Tensor, width: float) -> Tensor:
        u = (torch.arange(DRAWS, dtype=torch.float64) + 0.5) / DRAWS
        adapted = self.learned.get("noise_distribution")
        distribution = adapted if isinstance(adapted, AdaptedLevels) else self.design.noise_distribution
        drawn = self.design.c_noise.supported(distribution.from_uniform(u)).log()
        near = (drawn[:, None] - levels.log()).abs() < width / 2
        return near.double().mean(0) / width


def denoising(
    data: Images,
    design: TrainingRows,
    loaded: tuple[Conditional, Conditional | None],
    images: int,
    device: torch.device,
    *,
    labelled: bool,
) -> DenoiserProbe:
    """Select ``images`` images of ``data``, the same for every denoiser, with noise for them.

    ``loaded`` is the denoiser and, if available, the denoiser before training; ``labelled`` tells whether class labels
    are passed to it.
    """
    network = loaded[0]
    learned = network.learned if isinstance(network, PreconditionedNetwork) else {}
    chosen = torch.from_numpy(generator("denoising", "images").permutation(len(data))[:images])
    y = data.pixels[chosen].to(device).float() / 127.5 - 1
    labels = data.labels[chosen].to(device) if labelled and data.labels is not None else None
    noise = latents("denoising", range(len(chosen)), data.shape).to(device)
    return DenoiserProbe(design, *loaded, y, labels, noise, data.sigma_data, learned)
