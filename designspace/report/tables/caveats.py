"""When values are not to be taken for what they are: too few images, or copies of the reference's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from designspace.report.entry import Entry, floor_in
from designspace.results.records import FRECHET


def few_images(metric: str, entry: Entry) -> Iterator[str]:
    """A warning where a Fréchet distance has too few images for its features."""
    features = entry.rows[0].features
    if metric in FRECHET and isinstance(features, int) and entry.images(metric) < 10 * features:
        yield f"n is below 10 × {features}: distances are too high."


def of_the_flow(metric: str, entry: Entry) -> bool:
    """Whether it is a diagnostic, which knows neither features nor a reference."""
    return entry.about(metric).n is not None


def copied(metric: str, entries: Sequence[Entry]) -> Iterator[str]:
    """How many values are what copies of the reference's images score."""
    if entries[0].higher_is_better(metric) is not False:
        return
    low = [entry for entry in entries if _like_drawn(metric, entry)]
    if low:
        text = f"{len(low)} values are nearer to what images drawn from the reference score than to 0"
        yield f"{text}, by more than two standard errors: as where a denoiser gives its data back."
        yield "Lower is not better there."


def _like_drawn(metric: str, entry: Entry) -> bool:
    """Whether copies of the reference's images would score like this, and images of its distribution would not.

    Below 0 alone says nothing: what the reference adds to the metric is the same for all, and below 0 half of the time.
    """
    copies, sd = (floor_in(entry.rows[0], metric, which) for which in ("drawn", "drawn_sd"))
    se = entry.se(metric)
    if copies is None or sd is None or se is None or copies >= -2 * sd:
        return False
    return entry.value(metric) + 2 * se < copies / 2
