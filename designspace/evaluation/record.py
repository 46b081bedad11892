"""The protocol of a result as plain data: all that two numbers must share to be compared."""

from __future__ import annotations

from typing import Any

from designspace.data.images import UINT8
from designspace.data.rows import Data
from designspace.evaluation.measure import Sample, Summary
from designspace.evaluation.rows import Detector, Reference
from designspace.storage.files import content_key

Row = dict[str, Any]
DIGITS = 12
"""Of the hash that are kept: to tell protocols apart by eye."""


def record(
    detector: Detector,
    of: Data | Reference,
    known: Sample,
    *,
    images: int,
    labels: str | tuple[int, ...] | None = None,
    seed: int | None = None,
    pixels: str = UINT8,
) -> Row:
    """What a distance to the reference ``of``, of which ``known`` is used, was measured by, with a short hash of it.

    The hash is of everything but the seed, whose values are averaged, and of what is told about the reference, whose
    content it covers.
    """
    compared = of.identity() | {"known": "moments" if isinstance(known, Summary) else "features"}
    about = {
        "name": detector.protocol(),
        "images": images,
        "labels": list(labels) if isinstance(labels, tuple) else labels,
        "pixels": pixels,
        "resize": detector.resize(),
        "detector": detector.identity(),
        "reference": compared,
    }
    told = compared | {"images": _count(known)} | _told(of)
    return {"hash": content_key(about)[:DIGITS], **about, "reference": told, "seed": seed}


def _count(known: Sample) -> int | None:
    return known.moments.n if isinstance(known, Summary) else len(known)


def _told(of: Data | Reference) -> Row:
    """What a reader wants to know: the split of a data set, the origin of a file; not where it lies."""
    if isinstance(of, Reference):
        return of.about()
    return {name: value for name, value in of if isinstance(value, str | int | float)}
