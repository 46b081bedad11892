"""Captions of tables: how the numbers were measured, what is printed in bold, and which numbers are misleading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from designspace.report.entry import Entry, floor_in
from designspace.report.evidence.caveats import few_effective, like_copies, too_few_images
from designspace.report.evidence.differences import Ranking
from designspace.report.protocols import differences
from designspace.report.study import Study
from designspace.text import number, one_line


def of_table(study: Study, metric: str, entries: list[Entry], ranked: Sequence[Ranking], why: str) -> str:
    """The caption of a table of values; ``why``, the reason why there are several tables, comes first."""
    sentences = [
        _values(metric, entries),
        *_floor(metric, entries[0]),
        *_drawn(metric, entries[0]),
        too_few_images(metric, entries[0]),
        next(filter(None, (few_effective(metric, entry) for entry in entries)), ""),
        *_bold(study, metric, entries[0], ranked),
        copies(metric, entries),
        *_evaluations(study, entries),
        *_unmeasured(study, metric),
    ]
    return why + " ".join(filter(None, sentences))


def kept_apart(groups: Sequence[list[Entry]], metric: str) -> str:
    """The reason why a metric has several tables; empty if it has one."""
    if len(groups) < 2:
        return ""
    return f"This table is separate because values of different {differ(groups, metric)} cannot be compared. "


def differ(groups: Sequence[Sequence[Entry]], metric: str) -> str:
    """The parts in which the protocols of the groups differ: ``protocols and references``."""
    return " and ".join(differences([g[0].protocol(metric) for g in groups], [g[0].record for g in groups]))


def protocol(metric: str, entries: Sequence[Entry]) -> str:
    """The protocol in words: ``FD-lite0-96-320, n = 3,200 images, seed 0, detector lite0 (320 features), ...``."""
    first = entries[0]
    text = f"{one_line(first.about(metric).protocol)}, n = {first.images(metric):,} images{_seeds(entries)}"
    if _is_diagnostic(metric, first):
        data = first.trial("data", "name")
        return f"{text}, data {one_line(data)}" if data else text
    detector, features = first.trial("evaluate", "detector", "name"), first.rows[0].features
    text += f", detector {one_line(detector)}" if detector else ""
    text += f" ({features} features)" if detector and features else ""
    text += f", reference {one_line(first.reference)}{_of_reference(first.record)}" if first.reference else ""
    return text + (f", protocol {one_line(first.record['hash'])}" if "hash" in first.record else "")


def better(higher: bool | None) -> str:
    """Which values are better, in words: ``lower is better``."""
    return f"{'neither lower nor higher' if higher is None else 'higher' if higher else 'lower'} is better"


def halves_are(higher: bool | None) -> str:
    """The name of the metric between two halves of the reference, which depends on the direction of better values."""
    return "yardstick" if higher is None else "ceiling" if higher else "floor"


def copies(metric: str, entries: Sequence[Entry]) -> str:
    """A warning if some values are typical of copies of the reference's images, otherwise empty."""
    count = sum(like_copies(metric, entry) for entry in entries)
    if not count:
        return ""
    lie = "1 value lies" if count == 1 else f"{count} values lie"
    text = f"{lie} closer to the drawn reference than to 0, by more than two standard errors"
    return f"{text}, as happens if a denoiser reproduces its training images: there, lower is not better."


def _is_diagnostic(metric: str, entry: Entry) -> bool:
    """Whether the metric is an observation, which has its own number of images and neither features nor a reference."""
    return entry.about(metric).n is not None


def _seeds(entries: Sequence[Entry]) -> str:
    seeds = sorted({row.seed for entry in entries for row in entry.rows})
    names = ", ".join(map(str, seeds))
    if len(seeds) == 1:
        return f", seed {names}"
    several = any(len(entry.rows) > 1 for entry in entries)
    return f" for each of the seeds {names}" if several else f" for one of the seeds {names}"


def _of_reference(record: dict[str, Any]) -> str:
    """`` (cifar10-32x32.npz, 50,000 images, from https://...)``: file, split, count and source, as far as recorded."""
    about = record.get("reference")
    if not isinstance(about, dict):
        return ""
    count = about.get("images")
    parts = [about.get("file"), about.get("split")]
    parts += [f"{count:,} images" if isinstance(count, int) else "unknown number of images"]
    parts += [f"from {about['source']}"] if about.get("source") else []
    return f" ({', '.join(one_line(part) for part in parts if part)})"


def _values(metric: str, entries: Sequence[Entry]) -> str:
    several = any(len(entry.rows) > 1 for entry in entries)
    what = "value ± standard error"
    if several:
        what = "mean over the seeds ± standard error, with the standard deviation over the seeds in parentheses"
    return f"{protocol(metric, entries)}: {what}; {better(entries[0].higher_is_better(metric))}."


def _floor(metric: str, first: Entry) -> Iterator[str]:
    floor, size = floor_in(first.rows[0], metric), first.about(metric).floor_n
    if _is_diagnostic(metric, first):
        if floor is not None:
            yield f"Floor: {floor:.2g}, the estimated error of the converged solution itself."
        return
    if floor is None or not isinstance(size, int):
        if first.record.get("reference", {}).get("known") == "moments":
            yield "No floor: only the mean and covariance of the reference are known."
        return
    higher, n = first.higher_is_better(metric), first.images(metric)
    halves = f"one half of the reference scored against the other (n' = {size:,} images)"
    text = f"{halves_are(higher).capitalize()}: {floor:.4g}, {halves}"
    if higher:
        yield f"{text}; it is not a bound for n = {n:,}, because the metric depends on the sizes of both sets."
    elif metric == "frechet" and size < n:
        yield f"{text}; with n = {n:,} it would be lower, so values may well lie below it."
    else:
        yield f"{text}."


def _drawn(metric: str, first: Entry) -> Iterator[str]:
    drawn, sd = (floor_in(first.rows[0], metric, which) for which in ("drawn", "drawn_sd"))
    if drawn is not None and sd is not None:
        score = f"{number(drawn, sd)} (standard deviation {sd:.2g})"
        yield f"Drawn reference: n images drawn from the reference and scored against it give {score}."


def _bold(study: Study, metric: str, first: Entry, ranked: Sequence[Ranking]) -> Iterator[str]:
    higher = first.higher_is_better(metric)
    unknown, unpaired = sum(r.unknown for r in ranked), sum(r.unpaired - r.unknown for r in ranked)
    best = f"Bold: the {'highest' if higher else 'lowest'} {'of each column' if study.column_axis else 'of all'}"
    if unknown:
        yield f"{best}; without standard errors, differences from it cannot be tested."
    elif higher is not None:
        holm = ", Holm's correction for the number of comparisons" if any(len(r.against) > 1 for r in ranked) else ""
        yield f"{best}, and all values that do not differ significantly from it (95 % confidence{holm})."
    if unpaired > 0:
        why = "the points share no seed, or the images' influences were not kept"
        yield f"{unpaired} of these comparisons {'is' if unpaired == 1 else 'are'} unpaired: {why}."


def _evaluations(study: Study, entries: Sequence[Entry]) -> Iterator[str]:
    took = [(e.config, f"{e.nfe:.4g} ± {e.nfe_sd:.2g}") for e in entries if e.nfe_sd is not None]
    for name, nfe in dict.fromkeys(took):
        yield f"{name} took {nfe} evaluations per image (mean ± standard deviation)."
    if study.column_axis == "nfe" and any(entry.nfe != entry.axes["nfe"] for entry in entries):
        yield "NFE is the budget; solvers that cannot spend it exactly take fewer evaluations (counted in table.csv)."


def _unmeasured(study: Study, metric: str) -> Iterator[str]:
    points = [point for point in study.points if point.rows and not point.has(metric)]
    if names := list(dict.fromkeys(point.config for point in points)):
        yield f"The metric cannot be measured for {', '.join(names)}."
