"""Which of a report's pictures stand in its page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from designspace.report.html.render import picture
from designspace.text import one_line

LARGEST = 2_500_000
"""Bytes of pictures that a page holds; more stay beside it."""
PAGE = 7_500_000
"""Bytes of a page with its pictures: those of thousands of trials leave less room for them."""
PICTURES = {
    "samples": "Sample images, a row for each configuration; one above the other they come from the same latent.",
    "samples_difference": "Half the difference of these images from those of the first configuration; grey is none.",
    "walks": "Random walks of the noise and what it makes of the density.",
    "backward": "The stochastic and the deterministic way back.",
    "flow": "The curves of the flow.",
    "warps": "How schedules and scalings bend the same curves.",
    "steps": "The steps of the solvers along a curve.",
}
OF_METRIC = {
    "vs_sigma": "{} against the noise level.",
    "effects": "What each design choice changes {} by, all else equal, with 95 % intervals.",
    "heat": "{} at each pair of values; bold what cannot be told from the best of its panel.",
    "pareto": "{} against its cost: the front of what no other point beats in both.",
}


@dataclass(frozen=True)
class Picture:
    """A PNG in the page."""

    source: str
    alt: str
    metric: str = ""
    """Whose values it shows."""
    samples: bool = False


def shown(found: Mapping[str, bytes], metrics: Sequence[str], others: int = 0) -> Iterator[Picture]:
    """Those that say what the plots do not: samples, pictures of the plane, profiles, effects, fronts, heat maps.

    ``others``: the bytes of all else in the page.
    """
    known = {f"{_stem(m)}_{kind}": (m, alt.format(one_line(m))) for m in metrics for kind, alt in OF_METRIC.items()}
    room = min(LARGEST, (PAGE - others) * 3 // 4)  # in the page, three bytes take four
    for name, png in sorted(found.items()):
        stem = name.removesuffix(".png")
        metric, alt = known.get(stem, ("", PICTURES.get(stem)))
        if name.endswith(".png") and alt and len(png) <= room:
            room -= len(png)
            yield Picture(picture(png), alt, metric, stem.startswith("samples"))


def _stem(metric: str) -> str:
    return re.sub(r"\W", "_", metric)
