"""Warnings about values that are misleading, for the terminal: few images, and compression of one set only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from designspace.results.records import MetricValue

FRECHET = ("frechet", "fid_infinity")
"""Metrics that need more images than there are features, by name, because readers of results know no components."""
ENOUGH = 10
"""Images per feature, below which their bias is large."""
LEAST = 3
"""Images per feature, below which their bias cannot even be estimated."""
LOSSY = ("jpeg", "webp", "tiff (jpeg)")
"""Formats of image files that lose information; lossless WebP and TIFF have names of their own."""
FEW = 5
"""Effective images below which the error bars of Fréchet distances may be too narrow; see ``effective_images``."""

SEEDED = ("detector", "metric")
"""The rows whose components see the same images whatever the batch size is."""


def too_few_images(images: int, features: int, metrics: Iterable[str]) -> str:
    """A warning if one of the ``metrics`` needs more images for this number of features; empty if none does."""
    if images >= ENOUGH * features or not set(FRECHET).intersection(metrics):
        return ""
    return f"{images} images are fewer than {ENOUGH} x {features} features: Fréchet distances are too high"


def unseeded(drew: Iterable[str]) -> list[str]:
    """A warning for each of the components that ``drew`` from a global random generator, given as ``row/name``."""
    found = []
    for path in dict.fromkeys(drew):
        row, _, name = path.partition("/")
        instead = "flow.noise(i, draw)" if row == "solver" else "a generator of its own with a fixed seed"
        effect = "differs by chance from trial to trial" if row in SEEDED else "depends on the batch size"
        drew = f"{row} '{name}' draws from a global random generator"
        found.append(f"{drew}, so that what it computes {effect}: let it use {instead}")
    return found


def compressed(formats: Mapping[str, int] | None) -> float:
    """The share of image files in formats that lose information, from 0 to 1; 0 without files."""
    total = sum((formats or {}).values())
    return sum(count for name, count in (formats or {}).items() if name in LOSSY) / total if total else 0.0


def unlike_compressed(a: Mapping[str, int] | None, b: Mapping[str, int] | None) -> str:
    """A warning if one of two sets of image files is compressed with loss and the other is not; empty otherwise."""
    share = [compressed(formats) for formats in (a, b)]
    if abs(share[0] - share[1]) <= 0.1:
        return ""
    names = " and ".join(sorted({name for formats in (a, b) for name in formats or {} if name in LOSSY}))
    a_, b_ = (f"{100 * part:.0f} %" for part in share)
    files = f"{a_} of A and {b_} of B were read from files compressed with loss ({names})"
    return f"{files}: the compression is part of the distance"


def few_effective(metrics: Mapping[str, MetricValue]) -> str:
    """A warning if the error bar of one of the ``metrics`` rests on a few images; empty if none does."""
    found = {name: value.effective_images for name, value in metrics.items() if value.effective_images is not None}
    few = [f"{name} ({number:.1f})" for name, number in found.items() if number < FEW]
    if not few:
        return ""
    return f"the error bar rests on fewer than {FEW} effective images and may be too narrow: {', '.join(few)}"
