"""A race between the choices of one row: all are measured on few images, and those that are worse drop out.

Each stage measures the arms that are left on twice as many images as the one before. All arms start from the same
latents, so that their differences are known better than their values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

from designspace.report.evidence.inference import LEVEL, POWER, two_sided

CHANCE = 0.1
"""A race ends undecided if the probability of dropping an arm is smaller than this for each arm."""
EARLIEST = 0.5
"""The share of the images of the last stage before which no race ends early.

At less, the trend says little: of two arms that differ by four standard errors in the end, races that may end at a
sixteenth of the images decide 66 % instead of 94 %."""
NEAR = two_sided(1.0)
"""Undecided arms whose p-value, without correction, is above this one are within one standard error of the best one."""


@dataclass
class Race:
    r"""A race, to which ``tell`` reports each stage.

    An arm drops out if a paired test tells it from the arm with the best value. The p-values have Bonferroni's
    correction for all :math:`K (K - 1) / 2` pairs of the K arms that are alive, because the best one is seen in the
    same data (as in ``report.evidence.inference.with_best``), and for the number of stages J: an arm is dropped at
    :math:`p \le \alpha / J`. If all arms are equal, any is dropped with a probability of at most :math:`\alpha`.
    """

    arms: Sequence[str]
    incumbent: str
    """The arm of the present design."""
    sizes: Sequence[int]
    """The number of images of each stage."""
    before: int = 0
    """The number of arms that dropped out of an earlier race on the same images, from which these arms were chosen.
    They count in K."""
    level: float = LEVEL
    dropped: dict[str, int] = field(default_factory=dict)
    """The stage after which an arm dropped out, counted from 0."""
    corrected: list[dict[str, float]] = field(default_factory=list)
    """For each stage, the p-values of the differences from the best arm, corrected for all pairs of arms."""
    best: str | None = None
    """The arm with the best value in the last stage."""
    near: frozenset[str] = frozenset()
    """The arms that were within one standard error of the best one in the last stage, and the best one itself."""
    promising: bool = True
    """Whether further stages may drop an arm: with a probability of at least ``CHANCE``, if the differences stayed as
    they are, or with any probability before ``EARLIEST``."""

    @property
    def alive(self) -> list[str]:
        """The arms that have not dropped out."""
        return [arm for arm in self.arms if arm not in self.dropped]

    @property
    def over(self) -> bool:
        """Whether the race ends: at most one arm is left, all stages have been run, or more would decide nothing."""
        return len(self.alive) <= 1 or len(self.corrected) == len(self.sizes) or not self.promising

    @property
    def decided(self) -> bool:
        """Whether all arms but one have dropped out."""
        return len(self.alive) == 1

    def tell(self, best: str | None, ps: Mapping[str, float]) -> None:
        """Report a stage.

        Args:
            best: The arm with the best value; ``None`` if no arm has one.
            ps: The two-sided p-value of the difference between each other arm and the best one. NaN stands for a
                difference without a standard error. Arms without a value are absent; they drop out.
        """
        stage, pairs = len(self.corrected), self.pairs(len(ps) + (best is not None))
        found = {arm: p if math.isnan(p) else min(1.0, pairs * p) for arm, p in ps.items()}
        self.best = best
        self.near = frozenset(arm for arm, p in ps.items() if p > NEAR) | {best or self.incumbent}
        self.corrected.append(found)
        for arm in self.alive:
            if arm != best and (arm not in found or found[arm] <= self.level / len(self.sizes)):
                self.dropped[arm] = stage
        share, tests = self.sizes[stage] / self.sizes[-1], self.pairs(len(self.alive)) * len(self.sizes)
        chances = [chance(ps[arm], share, self.level / tests) for arm in self.alive if arm != best]
        known = any(not math.isnan(ps[arm]) for arm in self.alive if arm != best)
        self.promising = (known and share < EARLIEST) or any(one >= CHANCE for one in chances)

    def pairs(self, arms: int) -> float:
        """The number of pairs for which p-values are corrected while this number of arms is in the race."""
        return (arms + self.before) * (arms + self.before - 1) / 2

    def winner(self, costs: Mapping[str, float]) -> str:
        """The arm that is left or, of several, the cheapest within one standard error of the best value.

        Of equally cheap ones, it is the one with the best value; if no arm has a value, it is the incumbent. That an
        arm has the best value is no evidence if it is not told from the others; but it loses less on average than to
        keep the incumbent, which may be much worse if images are few.

        Args:
            costs: The counted evaluations per image of each arm that is left.
        """
        left = [arm for arm in self.alive if arm in self.near] or [self.incumbent]
        return min(left, key=lambda arm: (costs.get(arm, math.inf), arm != self.best, arm != self.incumbent))


def chance(p: float, share: float, level: float) -> float:
    r"""The probability that a difference is significant in the last stage, if it stays as it is.

    .. math:: \Phi\left(\frac{z / \sqrt{t} - z_{1 - \alpha / 2}}{\sqrt{1 - t}}\right)

    This is the conditional power under the current trend (Lan and Wittes 1988, The B-value,
    https://doi.org/10.2307/2531870).

    Args:
        p: The two-sided p-value so far, which gives z.
        share: The share t of the images of the last stage with which it was measured.
        level: The level :math:`\alpha` of the test in the last stage.
    """
    if math.isnan(p) or share >= 1:
        return 0.0
    normal = NormalDist()
    z, critical = (-normal.inv_cdf(max(one, 1e-300) / 2) for one in (p, level))
    return normal.cdf((z / math.sqrt(share) - critical) / math.sqrt(1 - share))


def needed_images(images: int, z: float, tests: float) -> int | None:
    r"""The number of images with which a difference would be significant with a probability of ``POWER``.

    .. math:: n' = n \left(\frac{z_{1 - \alpha / (2 m)} + z_{0.8}}{z}\right)^2

    It presumes that the difference is as estimated.

    Args:
        images: The number of images n with which it was estimated.
        z: Its estimate in standard errors.
        tests: The number of tests m for which its p-value is corrected.

    Returns:
        The number of images; ``None`` if it is more than a billion, or if z is 0 or unknown.
    """
    if not abs(z) > 0:
        return None
    normal = NormalDist()
    times = ((normal.inv_cdf(1 - LEVEL / 2 / tests) + normal.inv_cdf(POWER)) / z) ** 2
    return math.ceil(images * times) if images * times <= 1e9 else None
