"""The survey of a data set: its measurements and the suggestions that follow from them."""

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

UNEQUAL = 1.25
"""The ratio of the channels' standard deviations above which a note is given."""


@dataclass(frozen=True)
class Survey:
    """Measurements of a data set with the suggestions that follow from them."""

    facts: Facts
    spread: Spread
    curves: Curves
    suggestions: Suggestions

    @classmethod
    def of(cls, data: Images, network: Network, images: int, seed: int, seen: Seen) -> Survey:
        """Measure ``data`` and train ``network`` on ``images`` images.

        Raises ``DataError`` if there are too few images, if all are equal, or if the network does not accept their
        shape, and ``DivergedError`` if training diverges.
        """
        facts, spread = Facts.of(data), Spread.of(data)
        ends = sigma_range(spread)
        low, high = (ends[name].value for name in ("sigma_min", "sigma_max"))
        loss = curves(data, network, images, low, high, seed, seen)
        return cls(facts, spread, loss, sigma_data(facts) | ends | noise_levels(loss, facts))

    @property
    def design(self) -> dict[str, Any]:
        """The suggestions in the form of the field ``design`` of an ablation."""
        return fragment(self.suggestions)

    @property
    def notes(self) -> list[str]:
        """Further remarks, one sentence each."""
        return [*_of_values(self.facts), *_of_curves(self.curves)]

    def dump(self) -> dict[str, Any]:
        """The survey as plain data."""
        return {
            "data": asdict(self.facts),
            "spread": asdict(self.spread),
            "loss": {name: _plain(column) for name, column in self.curves.columns.items()},
            "suggestions": {name: asdict(found) for name, found in self.suggestions.items()},
            "design": self.design,
            "notes": self.notes,
        }


def _of_values(facts: Facts) -> list[str]:
    found = []
    low, high = min(facts.channel_std), max(facts.channel_std)
    if high > UNEQUAL * low:
        found.append(f"channels have standard deviations from {low:.3g} to {high:.3g}, but share one sigma_data")
    if facts.copies:
        found.append(
            f"{facts.copies} of {facts.images} images are copies: networks memorise repeated images, and the loss on "
            "held-out images is too low if training has seen copies of them"
        )
    return found


def _of_curves(found: Curves) -> list[str]:
    if found.linear is None:
        return [
            "images are too large for the linear denoiser, so the suggestions depend on the training: with more "
            "--images, P_mean falls and P_std grows"
        ]
    if not bool((found.network < found.linear).any()):
        return ["the trained network is nowhere better than the linear denoiser, on which P_mean and P_std are based"]
    return []


def _plain(column: Tensor | None) -> list[float] | None:
    return None if column is None else column.tolist()
