"""What the measurements suggest for a design, each with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from designspace.survey.curve import Curves
from designspace.survey.facts import Facts
from designspace.survey.spread import Spread

ROUNDING = 2 / 255 / math.sqrt(12)
"""The standard deviation of the error of rounding values in [-1, 1] to pixels."""
NATS = 0.01
"""By so much may samples differ from the data because they begin as pure noise: at most 7 % of all probability."""
NOISE = 0.05
"""A reduction below this share of the largest is taken for chance."""
LEAST = 0.02
"""A largest reduction below this is taken for chance: held-out images are few."""
EDM_MEAN, EDM_STD, EDM_SIGMA_DATA = -1.2, 1.2, 0.5


@dataclass(frozen=True)
class Suggestion:
    """A value for a field of a design."""

    value: float
    reason: str


Suggestions = dict[str, Suggestion]


def sigma_range(spread: Spread) -> Suggestions:
    """``sigma_min`` and ``sigma_max``.

    The largest distance is the first technique of Song and Ermon (2020), https://arxiv.org/abs/2006.09011.
    """
    drowned = spread.drowned(NATS)
    high = _upwards(max(spread.distance, drowned))
    low = _digits(ROUNDING, 2)
    hidden = (
        f"the noise that the last step may leave is below the error of rounding to pixels, 2/255/√12 = {ROUNDING:.2g}"
    )
    lost = (
        f"the images farthest apart that were found differ by {spread.distance:.3g}, and from {drowned:.3g} on samples "
        f"lose at most {NATS} nats by beginning as noise (the mean image is {spread.mean_norm:.3g} long, the norm of "
        f"the covariance {spread.covariance_norm:.3g}); from {high:g} they lose {spread.divergence(high):.2g}"
    )
    return {"sigma_min": Suggestion(low, hidden), "sigma_max": Suggestion(high, lost)}


def sigma_data(facts: Facts) -> Suggestions:
    """``sigma_data``: Karras et al. (2022), https://arxiv.org/abs/2206.00364, Appendix B.6."""
    count = facts.images * math.prod(facts.shape)
    reason = f"the standard deviation of all {count:,} values: the network's input and target then have unit variance"
    return {"sigma_data": Suggestion(_digits(facts.sigma_data, 4), reason)}


def noise_levels(curves: Curves, facts: Facts) -> Suggestions:
    r"""``P_mean`` and ``P_std``: mean and standard deviation of ln sigma, weighted by the reduction of the loss.

    Training goes where the loss can be reduced: Karras et al. (2022), https://arxiv.org/abs/2206.00364, Section 5. That
    excludes what each value says of itself, such as borders that are always black: it is learnt at once. Of the 10,000
    test images of CIFAR-10 this makes P_mean -1.15 and P_std 2.0, where the paper has -1.2 and 1.2.
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
        f"what values know of each other reduces the loss from sigma {inside[0]:.2g} to {inside[-1]:.2g}, "
        f"most at {best:.2g}, by {100 * top:.0f} %"
    )
    return {
        "P_mean": Suggestion(
            round(mean, 2), f"{told}; the mean of ln sigma weighted by it, sigma {math.exp(mean):.2g}"
        ),
        "P_std": Suggestion(
            round(std, 2),
            f"the standard deviation of ln sigma with the same weight: two thirds of training between sigma "
            f"{math.exp(mean - std):.2g} and {math.exp(mean + std):.2g}",
        ),
    }


def fragment(found: Suggestions) -> dict[str, Any]:
    """The row ``design`` of an ablation."""

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
    why = f"values know nothing of each other that was found (at most {100 * top:.1f} % of the loss): EDM's own"
    return {
        "P_mean": Suggestion(round(mean, 2), f"{why} {EDM_MEAN} at sigma_data {EDM_SIGMA_DATA}, moved to {std:.3g}"),
        "P_std": Suggestion(EDM_STD, f"EDM's own {EDM_STD}, likewise"),
    }


def _digits(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _upwards(value: float) -> float:
    """The next number of two digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return _digits(math.ceil(value / unit) * unit, 3)
