"""What a reader must know of the numbers in a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from designspace.report.entry import Entry, floor_in
from designspace.report.evidence.compare import Ranking
from designspace.report.protocols import differences
from designspace.report.study import Study
from designspace.report.tables.caveats import copied, few_images, of_the_flow
from designspace.text import number, one_line


def kept_apart(groups: Sequence[list[Entry]], metric: str) -> str:
    """Why there are several tables; empty if there are not."""
    if len(groups) < 2:
        return ""
    return f"A table of its own, because values of different {differ(groups, metric)} cannot be compared. "


def differ(groups: Sequence[Sequence[Entry]], metric: str) -> str:
    """``protocols and references``: in what the groups differ, if anything."""
    return " and ".join(differences([g[0].protocol(metric) for g in groups], [g[0].record for g in groups]))


def of_table(study: Study, metric: str, entries: list[Entry], ranked: Sequence[Ranking], why: str) -> str:
    """The caption, in sentences; ``why`` the table is one of several comes first."""
    return " ".join([why + " ".join(_sentences(study, metric, entries, ranked)), *_unmeasured(study, metric)])


def _unmeasured(study: Study, metric: str) -> Iterator[str]:
    """Which configurations the metric cannot be measured for."""
    points = [point for point in study.points if point.rows and not point.has(metric)]
    if names := list(dict.fromkeys(point.config for point in points)):
        yield f"Cannot be measured for {', '.join(names)}."


def protocol(metric: str, entries: Sequence[Entry]) -> str:
    """``FD-lite0-96-320, n = 3,200 images, seed 0, detector lite0 (320 features), reference digits``."""
    first = entries[0]
    seeds = sorted({row.seed for entry in entries for row in entry.rows})
    each = " for each of the" if any(len(entry.rows) > 1 for entry in entries) else ", one of the"
    text = f"{one_line(first.about(metric).protocol)}, n = {first.images(metric):,} images"
    text += f", seed {seeds[0]}" if len(seeds) == 1 else f"{each} seeds {', '.join(map(str, seeds))}"
    if of_the_flow(metric, first):
        return f"{text}, data {one_line(first.trial('data', 'name'))}"
    detector, features = first.trial("evaluate", "detector", "name"), first.rows[0].features
    text += f", detector {one_line(detector)}" if detector else ""
    text += f" ({features} features)" if detector and features else ""
    text += f", reference {one_line(first.reference)}{_of_reference(first.record)}" if first.reference else ""
    return text + (f", protocol {one_line(first.record['hash'])}" if "hash" in first.record else "")


def _of_reference(record: dict[str, Any]) -> str:
    """`` (cifar10-32x32.npz, 50,000 images, from https://...)``: file, split, count and source, where recorded."""
    about = record.get("reference")
    if not isinstance(about, dict):
        return ""
    count = about.get("images")
    parts = [about.get("file"), about.get("split")]
    parts += [f"{count:,} images" if isinstance(count, int) else "of an unknown number of images"]
    parts += [f"from {about['source']}"] if about.get("source") else []
    return f" ({', '.join(one_line(part) for part in parts if part)})"


def _sentences(study: Study, metric: str, entries: list[Entry], ranked: Sequence[Ranking]) -> Iterator[str]:
    several = any(len(entry.rows) > 1 for entry in entries)
    spread = ", in brackets the standard deviation over the seeds" if several else ""
    higher = entries[0].higher_is_better(metric)
    yield f"{protocol(metric, entries)}: {'mean' if several else 'value'} ± standard error{spread}; {better(higher)}."
    yield from _floor(metric, entries)
    yield from few_images(metric, entries[0])
    unknown, unpaired = sum(r.unknown for r in ranked), sum(r.unpaired - r.unknown for r in ranked)
    where = "of each column" if study.column_axis else "of all"
    best = "highest" if higher else "lowest"
    if unknown:
        yield f"Bold: the {best} {where}; without standard errors nothing says which others are as good."
    elif higher is not None:
        holm = " (Holm's correction for the number of comparisons)" if any(len(r.against) > 1 for r in ranked) else ""
        yield f"Bold: the {best} {where}, and whatever cannot be told from it at 95 %{holm}."
    if unpaired > 0:
        why = "they share no seed, or the images' influences are not at hand"
        yield f"{unpaired} of these comparisons are not paired: {why}."
    yield from copied(metric, entries)
    yield from _adaptive(entries)
    if study.column_axis == "nfe" and any(entry.nfe != entry.axes["nfe"] for entry in entries):
        yield "NFE is the budget; where a solver cannot use all of it, it used less (counted in table.csv)."


def better(higher: bool | None) -> str:
    """``lower is better``."""
    return f"{'neither lower nor higher' if higher is None else 'higher' if higher else 'lower'} is better"


def halves_are(higher: bool | None) -> str:
    """What the value of the reference's halves is to that of generated images."""
    return "yardstick" if higher is None else "ceiling" if higher else "floor"


def _adaptive(entries: Sequence[Entry]) -> Iterator[str]:
    took = [(e.config, f"{e.nfe:.4g} ± {e.nfe_sd:.2g}") for e in entries if e.nfe_sd is not None]
    for name, nfe in dict.fromkeys(took):
        yield f"{name} took {nfe} evaluations for an image (± standard deviation over the images)."


def _floor(metric: str, entries: Sequence[Entry]) -> Iterator[str]:
    first = entries[0]
    floor, size = floor_in(first.rows[0], metric), first.about(metric).floor_n
    if floor is not None and of_the_flow(metric, first):
        yield f"Floor: {floor:.2g}, how far the converged solution itself has converged."
    if floor is None or not isinstance(size, int):
        if first.record.get("reference", {}).get("known") == "moments" and not of_the_flow(metric, first):
            yield "No floor: of the reference only mean and covariance are known."
        return
    name = halves_are(first.higher_is_better(metric)).capitalize()
    text = f"{name}: {floor:.4g}, the reference against itself in halves of n' = {size:,} images"
    n = first.images(metric)
    higher = metric == "frechet" and size < n
    if first.higher_is_better(metric):
        yield f"{text}: shares depend on the sizes of both sets, so this is no bound for n = {n:,}."
    else:
        yield text + (f"; that of n = {n:,} would be lower, so values may well lie below it." if higher else ".")
    drawn, sd = (floor_in(first.rows[0], metric, which) for which in ("drawn", "drawn_sd"))
    if drawn is not None and sd is not None:
        spread = f"with a standard deviation of {sd:.2g}"
        yield f"n images drawn from the reference itself score {number(drawn, sd)}, {spread}."
