"""Captions of tables: how the numbers were measured, what is printed in bold, and which numbers are misleading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from designspace.report.entry import WORDS, Entry, converged_error, precisions
from designspace.report.evidence.caveats import copies, few_effective, lossy_reference, too_few_images
from designspace.report.evidence.differences import Ranking
from designspace.report.evidence.paper import model_of
from designspace.report.protocols import differences
from designspace.report.study import Study, budgets
from designspace.report.tables import corrected
from designspace.text import NAMED, few, joined, number, one_line

COUNTED_AS_DRAWN = "Values below the drawn reference are no better than it: comparisons treat them as equal to it."
EXACT = "the exact denoiser, which has no error of its own"
CHOSEN = "because the best is chosen after seeing the values"
"""Why comparisons with the best are corrected for all pairs."""


def of_table(study: Study, metric: str, entries: list[Entry], ranked: Sequence[Ranking], why: str) -> str:
    """The caption of a table of values; ``why``, the reason why there are several tables, comes first."""
    sentences = [
        _values(metric, entries),
        training_runs(entries),
        yardstick(metric, entries[0]),
        too_few_images(metric, entries[0]),
        "" if _is_diagnostic(metric, entries[0]) else lossy_reference(entries[0]),
        corrected.absent(entries, metric),
        next(filter(None, (few_effective(metric, entry) for entry in entries)), ""),
        *_bold(study, metric, entries[0], ranked),
        copies(metric, entries),
        *_evaluations(study, entries),
        idle_steps(entries),
        *_unmeasured(study, metric),
    ]
    return why + " ".join(filter(None, sentences))


def kept_apart(groups: Sequence[list[Entry]], metric: str) -> str:
    """The reason why a metric has several tables; empty if it has one."""
    protocols = {group[0].protocol(metric) for group in groups}
    apart = f"values of different {differ(groups, metric)} cannot be compared" if len(protocols) > 1 else ""
    models = f"networks are not ranked with {EXACT}" if len(groups) > len(protocols) else ""
    reasons = " and ".join(filter(None, (apart, models)))
    return f"This table is separate because {reasons}. " if reasons else ""


def differ(groups: Sequence[Sequence[Entry]], metric: str) -> str:
    """In what the groups differ: ``protocols and references`` or, of one protocol, ``denoisers, ...``."""
    found = differences([g[0].protocol(metric) for g in groups], [g[0].record for g in groups])
    return " and ".join(found) if found else f"denoisers, networks and {EXACT},"


def protocol(metric: str, entries: Sequence[Entry]) -> str:
    """The protocol in words: ``FD-lite0-96-320, n = 3,200 images, seed 0, detector lite0 (320 features), ...``."""
    first = entries[0]
    models = {model_of(entry): None for entry in entries if entry.trial("denoiser", "name")}
    text = f"{one_line(first.about(metric).protocol)}, n = {first.images(metric):,} images{_seeds(entries)}"
    text += f", {one_line(next(iter(models)))}" if len(models) == 1 else ""
    text += _labels(first) + precisions(entries) + _decoders(entries, latents=_is_diagnostic(metric, first))
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


def training_runs(entries: Sequence[Entry]) -> str:
    """What the error bars say about training: whether they include its variation; empty without trained networks."""
    counts = sorted({entry.trainings for entry in entries if entry.trainings is not None})
    if not counts:
        return ""
    several = [f"{count}" for count in counts if count > 1]
    if not several:
        return (
            "Values and error bars are for one training run of each network; those of another run would differ by more "
            "than the error bars say."
        )
    text = (
        f"Each value is a mean over {' or '.join(several)} training runs, and its standard error includes the "
        "variation between training runs, pooled over those configurations of a budget that vary alike (Student's t)."
    )
    once = " Error bars of configurations with a single training run do not include it." if counts[0] == 1 else ""
    return f"{text} Confidence levels hold if most configurations vary alike between training runs.{once}"


def idle_steps(entries: Sequence[Entry]) -> str:
    """A note on steps of length zero, which spend evaluations in vain; empty if there are none."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        row = entry.rows[0]
        if row.levels_repeated:
            evaluations = f" and {row.nfe_idle:.4g} of {row.nfe:.4g} evaluations" if row.nfe_idle else ""
            steps = f"{row.levels_repeated} of {len(row.sigmas or ()) - 1} steps"
            found.setdefault(entry.config, []).append(f"{steps}{evaluations}")
    if not found:
        return ""
    each = [f"{name} ({', '.join(dict.fromkeys(counts))})" for name, counts in found.items()]
    return f"Levels fall together, so that steps of length zero spend evaluations and move nothing: {few(each)}."


def yardstick(metric: str, entry: Entry) -> str:
    """What values can be compared with: the drawn reference or, for an observation, the error of its exact solution."""
    if (error := converged_error(entry.rows[0], metric)) is not None:
        return f"The estimated error of the converged solution is {error:.2g}."
    if drawn := entry.drawn(metric):
        score = f"{number(*drawn)}, with a standard deviation of {drawn[1]:.2g} over draws"
        return f"Drawn reference (n images drawn from the reference and scored against it): {score}."
    if not _is_diagnostic(metric, entry) and entry.record.get("reference", {}).get("known") == "moments":
        return "No drawn reference: only the mean and covariance of the reference are known."
    return ""


def _is_diagnostic(metric: str, entry: Entry) -> bool:
    """Whether the metric is an observation, which has its own number of images and neither features nor a reference."""
    return entry.about(metric).n is not None


def _labels(entry: Entry) -> str:
    """The classes of the generated images; empty if they have none."""
    rule = entry.trial("evaluate", "labels")
    if isinstance(rule, list) and rule:
        classes = [one_line(label) for label in rule]
        return f", class {classes[0]} only" if len(set(classes)) == 1 else f", classes {few(classes)} in turn"
    if not isinstance(rule, str) or rule == "none":
        return ""
    return f", classes {'as frequent as in the data' if rule == 'data' else one_line(rule)}"


def _seeds(entries: Sequence[Entry]) -> str:
    seeds = sorted({row.seed for entry in entries for row in entry.rows})
    names = ", ".join(map(str, seeds))
    if len(seeds) == 1:
        return f", seed {names}"
    several = any(len(entry.rows) > 1 for entry in entries)
    return f" for each of the seeds {names}" if several else f" for one of the seeds {names}"


def _decoders(entries: Sequence[Entry], *, latents: bool) -> str:
    """``, decoded by vae``; for a metric of samples before they are decoded, ``, of the latents of decoder vae``."""
    found = dict.fromkeys(entry.trial("decoder", "name") for entry in entries)
    names = " or ".join(one_line(name) for name in found if name not in (None, "none"))
    return "" if not names else f", of the latents of decoder {names}" if latents else f", decoded by {names}"


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


def _bold(study: Study, metric: str, first: Entry, ranked: Sequence[Ranking]) -> Iterator[str]:
    higher = first.higher_is_better(metric)
    unknown, unpaired = sum(r.unknown for r in ranked), sum(r.unpaired - r.unknown for r in ranked)
    best = f"Bold: the {'highest' if higher else 'lowest'} {'of each column' if study.column_axis else 'of all'}"
    if unknown:
        yield f"{best}; without standard errors, differences from it cannot be tested."
    elif higher is not None:
        sure = f"95 % confidence{' for each column' if study.column_axis else ''}, corrected for all pairs {CHOSEN}"
        yield f"{best}, and all values that do not differ significantly from it ({sure})."
    if any(point.below_drawn(metric) for ranking in ranked for point in ranking.best):
        yield COUNTED_AS_DRAWN
    if unpaired > 0:
        why = "the points share no seed, or the images' influences were not kept or not reduced together"
        yield f"{unpaired} of these comparisons {'is' if unpaired == 1 else 'are'} unpaired: {why}."


def _evaluations(study: Study, entries: Sequence[Entry]) -> Iterator[str]:
    took = [(e.config, f"{e.nfe:.4g} ± {e.nfe_sd:.2g}") for e in entries if e.nfe_sd is not None]
    for name, nfe in dict.fromkeys(took):
        yield f"{name} took {nfe} evaluations per image (mean ± standard deviation)."
    yield from _of_guidance(entries)
    yield from unspent(entries)
    if study.column_axis == "num_steps":
        yield from _at_equal_steps(study, entries)


def unspent(entries: Sequence[Entry]) -> Iterator[str]:
    """What the brackets in a table of these entries mean, if there are any."""
    if limited := next((entry.limited for entry in entries if entry.unspent), None):
        what = "spends k evaluations" + (" with those of guidance" if limited == "nfe_total" else "")
        yield f"[k {WORDS[limited]}]: the configuration {what}, because it cannot spend exactly the budget."


def _of_guidance(entries: Sequence[Entry]) -> Iterator[str]:
    """What NFE and total NFE count, and both numbers for each configuration with guidance."""
    guided = [entry for entry in entries if entry.spent("nfe_guidance")]
    if not guided:
        return
    at: dict[str, dict[str, None]] = {}
    for entry in guided:
        at.setdefault(entry.config, {})[f"{entry.nfe:.4g} + {entry.spent('nfe_guidance'):.4g}"] = None
    counts = [f"{name} ({', '.join(each)})" for name, each in at.items()]
    yield f"NFE does not count the evaluations that guidance adds, and total NFE does: {few(counts)}."
    costs = [f"{e.config} ({e.rows[0].guidance_cost:.3g})" for e in guided if e.rows[0].guidance_cost != 1]
    if costs:
        what = (
            "An evaluation of a network that guides counts as much as its FLOPs divided by those of the other network"
        )
        yield f"{what}: {few([*dict.fromkeys(costs)])}."


def _at_equal_steps(study: Study, entries: Sequence[Entry]) -> Iterator[str]:
    """The evaluations of each configuration, if those with the same number of steps spend different numbers."""
    counts: dict[str, dict[object, str]] = {}
    for entry in entries:
        counts.setdefault(entry.config, {})[study.budget(entry)] = f"{entry.spent(study.count):.4g}"
    named: dict[str, list[str]] = {}
    for name, at in counts.items():
        named.setdefault(joined([at[budget] for budget in budgets(study, entries) if budget in at]), []).append(name)
    per_budget = [{at[budget] for at in counts.values() if budget in at} for budget in budgets(study, entries)]
    if any(len(found) > 1 for found in per_budget):
        each = "; ".join(f"{few(names)}: {nfe}" for nfe, names in [*named.items()][:NAMED])
        more = "; all others in table.csv" if len(named) > NAMED else ""
        yield f"Equal steps are not equal cost. Evaluations per image, column by column: {each}{more}."


def _unmeasured(study: Study, metric: str) -> Iterator[str]:
    points = [point for point in study.points if point.rows and not point.has(metric)]
    if names := list(dict.fromkeys(point.config for point in points)):
        yield f"The metric cannot be measured for {', '.join(names)}."
