"""Which of a report's pictures stand in its page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from designspace.report.html.render import picture
from designspace.report.text import one_line

LARGEST = 2_500_000
"""Bytes of pictures that a page holds; more stay beside it."""
PICTURES = {
    "samples": "Sample images, a row for each configuration; one above the other they come from the same latent.",
    "walks": "Random walks of the noise and what it makes of the density.",
    "backward": "The stochastic and the deterministic way back.",
    "flow": "The curves of the flow.",
    "warps": "How schedules and scalings bend the same curves.",
    "steps": "The steps of the solvers along a curve.",
}


@dataclass(frozen=True)
class Picture:
    """A PNG in the page."""

    source: str
    alt: str
    metric: str = ""
    """Whose values against the noise level it shows."""
    samples: bool = False


def shown(found: Mapping[str, bytes], metrics: Sequence[str]) -> Iterator[Picture]:
    """Those that say what the plots do not: samples, pictures of the plane, profiles against the noise level."""
    profiles = {re.sub(r"\W", "_", metric) + "_vs_sigma": metric for metric in metrics}
    room = LARGEST
    for name, png in found.items():
        stem, metric = name.removesuffix(".png"), profiles.get(name.removesuffix(".png"), "")
        alt = f"{one_line(metric)} against the noise level." if metric else PICTURES.get(stem)
        if name.endswith(".png") and alt and len(png) <= room:
            room -= len(png)
            yield Picture(picture(png), alt, metric, stem == "samples")
