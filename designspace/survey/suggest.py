"""Suggested values for a design, derived from the measurements, each with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from designspace.survey.curve import Curves
from designspace.survey.facts import Facts
from designspace.survey.spread import Spread

ROUNDING = 2 / 255 / math.sqrt(12)
"""The standard deviation of the rounding error when values in [-1, 1] are stored as 8-bit pixels."""
NATS = 0.01
"""The accepted divergence of samples from the data that is caused by starting from pure noise; it implies a total
variation distance of at most 7 %."""
NOISE = 0.05
"""Reductions of the loss below this fraction of the largest are treated as noise."""
LEAST = 0.02
"""If the largest reduction is below this value, all are treated as noise, because there are few held-out images."""
EDM_MEAN, EDM_STD, EDM_SIGMA_DATA = -1.2, 1.2, 0.5
WIDTH = (
    f"P_std is a heuristic that has not been validated: for CIFAR-10 it gives 2.0, but EDM was tuned to {EDM_STD}, so "
    "compare both"
)


@dataclass(frozen=True)
class Suggestion:
    """A value for a field of a design."""

    value: float
    reason: str


Suggestions = dict[str, Suggestion]


def sigma_range(spread: Spread) -> Suggestions:
    """``sigma_min`` and ``sigma_max``.

    Technique 1 of Song and Ermon (2020), https://arxiv.org/abs/2006.09011, is to choose sigma_max at least as large as
    the largest distance between images.
    """
    drowned = spread.drowned(NATS)
    high = _upwards(max(spread.distance, drowned))
    low = _digits(ROUNDING, 2)
    hidden = f"the noise left by the last step is then below the rounding error of pixels, 2/255/√12 = {ROUNDING:.2g}"
    lost = (
        f"the largest distance found between two images is {spread.distance:.3g}, and from sigma_max = {drowned:.3g} "
        f"on, starting from pure noise costs at most {NATS} nats (the mean image has norm {spread.mean_norm:.3g}, "
        f"the covariance {spread.covariance_norm:.3g}); at {high:g} it costs {spread.divergence(high):.2g}"
    )
    return {"sigma_min": Suggestion(low, hidden), "sigma_max": Suggestion(high, lost)}


def sigma_data(facts: Facts) -> Suggestions:
    """``sigma_data``: Karras et al. (2022), https://arxiv.org/abs/2206.00364, Appendix B.6."""
    count = facts.images * math.prod(facts.shape)
    reason = (
        f"the root mean square of all {count:,} values (mean {facts.mean:.3g}, standard deviation {facts.std:.3g}), so "
        "that input and target of the network have a mean square of 1 and the loss starts at 1 at every noise level"
    )
    return {"sigma_data": Suggestion(_digits(facts.sigma_data, 4), reason)}


def noise_levels(curves: Curves, facts: Facts) -> Suggestions:
    r"""``P_mean`` and ``P_std``: mean and standard deviation of ln sigma, weighted by the reduction of the loss.

    Training should concentrate on noise levels at which the loss can be reduced: Karras et al. (2022),
    https://arxiv.org/abs/2206.00364, Section 5. The reduction is relative to the best denoiser of each value by itself,
    because properties of single values, such as borders that are always black, are learnt almost immediately.

    Both values are heuristics, since networks trained with them have not been compared with others. For the 10,000 test
    images of CIFAR-10 the suggestion is P_mean = -1.15 and P_std = 2.0. The mean agrees with the -1.2 that the paper
    chose by its results, but the width does not: the paper chose 1.2.
    """
    reduction, log = curves.reduction, curves.sigma.log()
    top = float(reduction.max())
    if top < LEAST:
        return _as_edm(facts.sigma_data, top)
    weight = torch.where(reduction >= NOISE * top, reduction, 0)
    mean = float((weight * log).sum() / weight.sum())
    std = float((weight * (log - mean).square()).sum() / weight.sum()) ** 0.5
    inside = curves.sigma[weight > 0]
    best = curves.sigma[reduction.argmax()]
    told = (
        f"correlations between values reduce the loss from sigma {inside[0]:.2g} to {inside[-1]:.2g}, "
        f"most at {best:.2g}, by {100 * top:.0f} %"
    )
    return {
        "P_mean": Suggestion(
            round(mean, 2),
            f"{told}; this is the mean of ln sigma weighted by the reduction (sigma = {math.exp(mean):.2g})",
        ),
        "P_std": Suggestion(
            round(std, 2),
            f"the standard deviation of ln sigma with the same weights: two thirds of the training levels lie between "
            f"sigma {math.exp(mean - std):.2g} and {math.exp(mean + std):.2g}; {WIDTH}",
        ),
    }


def fragment(found: Suggestions) -> dict[str, Any]:
    """The suggestions in the form of the field ``design`` of an ablation."""

    def fields(*names: str) -> dict[str, float]:
        return {name: found[name].value for name in names}

    return {
        "preset": "edm",
        **fields("sigma_data"),
        "time_steps": fields("sigma_min", "sigma_max"),
        "noise_distribution": fields("P_mean", "P_std"),
    }


def _as_edm(std: float, top: float) -> Suggestions:
    mean = EDM_MEAN + math.log(std / EDM_SIGMA_DATA)
    why = f"no correlations between values were found (at most {100 * top:.1f} % of the loss): EDM's"
    return {
        "P_mean": Suggestion(round(mean, 2), f"{why} {EDM_MEAN} at sigma_data {EDM_SIGMA_DATA}, shifted to {std:.3g}"),
        "P_std": Suggestion(EDM_STD, f"EDM's {EDM_STD}, for the same reason"),
    }


def _digits(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _upwards(value: float) -> float:
    """Round up to two significant digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return _digits(math.ceil(value / unit) * unit, 3)
