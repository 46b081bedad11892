"""Warnings about values that rest on too few images, for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from designspace.results.records import MetricValue, Result

FRECHET = ("frechet", "fid_infinity")
"""Metrics that need more images than there are features, by name, because readers of results know no components."""
ENOUGH = 10
"""Images per feature, below which their bias is large."""
FEW = 5
"""Effective images below which the error bars of Fréchet distances may be too narrow; see ``effective_images``."""

SEEDED = ("detector", "metric")
"""The rows whose components see the same images whatever the batch size is."""


def too_few_images(images: int, features: int, metrics: Iterable[str]) -> str:
    """A warning if one of the ``metrics`` needs more images for this number of features; empty if none does."""
    if images >= ENOUGH * features or not set(FRECHET).intersection(metrics):
        return ""
    return f"{images} images are fewer than {ENOUGH} x {features} features: Fréchet distances are too high"


def unseeded(rows: Iterable[Result]) -> list[str]:
    """A warning for each component that drew from a global random generator."""
    found = []
    for path in dict.fromkeys(path for result in rows for path in result.unseeded):
        row, _, name = path.partition("/")
        instead = "flow.noise(i, draw)" if row == "solver" else "a generator of its own with a fixed seed"
        effect = "differs by chance from trial to trial" if row in SEEDED else "depends on the batch size"
        drew = f"{row} '{name}' draws from a global random generator"
        found.append(f"{drew}, so that what it computes {effect}: let it use {instead}")
    return found


def few_effective(metrics: Mapping[str, MetricValue]) -> str:
    """A warning if the error bar of one of the ``metrics`` rests on a few images; empty if none does."""
    found = {name: value.effective_images for name, value in metrics.items() if value.effective_images is not None}
    few = [f"{name} ({number:.1f})" for name, number in found.items() if number < FEW]
    if not few:
        return ""
    return f"the error bar rests on fewer than {FEW} effective images and may be too narrow: {', '.join(few)}"
