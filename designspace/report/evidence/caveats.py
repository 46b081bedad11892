"""Conditions under which a value is misleading: few images, a compressed reference, copies of the training data."""

from __future__ import annotations

from collections.abc import Sequence

from designspace.report.entry import Entry
from designspace.results.caveats import ENOUGH, FEW, FRECHET, LOSSY, compressed

FAR = 10
"""Values that are more than this many times the drawn reference are far above it."""


def too_few_images(metric: str, entry: Entry) -> str:
    """A warning if a Fréchet distance was measured on too few images for the number of features, otherwise empty."""
    features = entry.rows[0].features
    if metric not in FRECHET or not isinstance(features, int):
        return ""
    few = entry.images(metric) < ENOUGH * features
    return f"n is below {ENOUGH} × {features} features, so distances are biased upwards." if few else ""


def far_above_drawn(metric: str, entry: Entry, value: float) -> bool:
    """Whether a value is so far above the drawn reference that the model has hardly learned the data."""
    drawn = entry.drawn(metric)
    return entry.higher_is_better(metric) is False and drawn is not None and 0 < FAR * drawn[0] < value


def few_effective(metric: str, entry: Entry) -> str:
    """A warning if the error bar of a value rests on a few images, otherwise empty."""
    found = [row.metrics[metric].effective_images for row in entry.rows if metric in row.metrics]
    if not any(number is not None and number < FEW for number in found):
        return ""
    return f"Error bars that rest on fewer than {FEW} effective images may be too narrow."


def lossy_reference(entry: Entry) -> str:
    """A warning if the images of the reference were read from files compressed with loss, otherwise empty."""
    formats = entry.record.get("formats")
    if not isinstance(formats, dict) or not (share := compressed(formats)):
        return ""
    files = "files" if share == 1 else f"files ({100 * share:.0f} % of them)"
    words = {"jpeg": "JPEG", "webp": "lossy WebP"}
    names = " and ".join(words.get(name, "lossy TIFF") for name in formats if name in LOSSY)
    return f"The reference was read from {names} {files}: artefacts of compression that samples lack add to distances."


def like_copies(metric: str, entry: Entry) -> bool:
    """Whether the value is typical of copies of the reference's images rather than of new images.

    A negative value alone is not evidence of copying: the contribution of the reference to the metric has mean 0 and is
    the same for all points, so about half of all references lead to negative values.
    """
    if entry.higher_is_better(metric) is not False:
        return False
    drawn, se = entry.drawn(metric), entry.se(metric)
    if drawn is None or se is None or drawn[0] >= -2 * drawn[1]:
        return False
    return entry.value(metric) + 2 * se < drawn[0] / 2


def copies(metric: str, entries: Sequence[Entry]) -> str:
    """A warning if some values are typical of copies of the reference's images, otherwise empty."""
    count = sum(like_copies(metric, entry) for entry in entries)
    if not count:
        return ""
    lie = "1 value lies" if count == 1 else f"{count} values lie"
    text = f"{lie} closer to the drawn reference than to 0, by more than two standard errors"
    return f"{text}, as happens if a denoiser reproduces its training images."
