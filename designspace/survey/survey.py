"""All that is measured of a data set, and what it suggests."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from designspace.data.images import Images
from designspace.denoising.rows import Network
from designspace.survey.curve import Curves, curves
from designspace.survey.facts import Facts
from designspace.survey.spread import Spread
from designspace.survey.suggest import Suggestions, fragment, noise_levels, sigma_data, sigma_range
from designspace.training.loop import Seen

OFF, UNEQUAL = 0.1, 1.25
"""A mean of so many standard deviations, and channels so many times as wide as others, are worth a note."""


@dataclass(frozen=True)
class Survey:
    """What was measured, and what follows."""

    facts: Facts
    spread: Spread
    curves: Curves
    suggestions: Suggestions

    @classmethod
    def of(cls, data: Images, network: Network, images: int, seed: int, seen: Seen) -> Survey:
        """Measure ``data``, with a training of ``network`` on ``images`` images.

        Raises ``DataError`` if there is nothing to be learnt from the data, or if the network is not made for it, and
        ``DivergedError``.
        """
        facts, spread = Facts.of(data), Spread.of(data)
        ends = sigma_range(spread)
        low, high = (ends[name].value for name in ("sigma_min", "sigma_max"))
        loss = curves(data, network, images, low, high, seed, seen)
        return cls(facts, spread, loss, sigma_data(facts) | ends | noise_levels(loss, facts))

    @property
    def design(self) -> dict[str, Any]:
        """The field ``design`` of an ablation."""
        return fragment(self.suggestions)

    @property
    def notes(self) -> list[str]:
        """What else a user should know, a sentence each."""
        return [*_of_values(self.facts), *_of_curves(self.curves)]

    def dump(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "data": asdict(self.facts),
            "spread": asdict(self.spread),
            "loss": {name: _plain(column) for name, column in self.curves.columns.items()},
            "suggestions": {name: asdict(found) for name, found in self.suggestions.items()},
            "design": self.design,
            "notes": self.notes,
        }


def _of_values(facts: Facts) -> list[str]:
    found, relative = [], facts.mean / facts.sigma_data
    if abs(relative) > OFF:
        found.append(
            f"the mean is {facts.mean:.3g}, not 0: at high noise the loss begins at {1 + relative**2:.3g}, not 1, "
            "until the network has learnt it"
        )
    low, high = min(facts.channel_std), max(facts.channel_std)
    if high > UNEQUAL * low:
        found.append(f"channels have standard deviations from {low:.3g} to {high:.3g}, and all get one sigma_data")
    if facts.copies:
        found.append(
            f"{facts.copies} of {facts.images} images are copies: networks memorise what they see often, and the loss "
            "on images that are kept out is too low if training has seen their copies"
        )
    return found


def _of_curves(found: Curves) -> list[str]:
    if found.linear is None:
        return ["so large images have no linear denoiser here: P_mean falls, and P_std grows, with --images"]
    if not bool((found.network < found.linear).any()):
        return ["the short training was nowhere better than the linear denoiser, which P_mean and P_std rest on"]
    return []


def _plain(column: Tensor | None) -> list[float] | None:
    return None if column is None else column.tolist()
