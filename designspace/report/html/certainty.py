"""How sure the results are, in plain words: images, training runs, bias, comparisons, and what would decide more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from designspace.report.entry import Entry
from designspace.report.evidence.caveats import few_effective, too_few_images
from designspace.report.evidence.inference import Outcome
from designspace.report.evidence.interactions import interactions
from designspace.report.evidence.verdicts import Verdict
from designspace.report.html.sections import Section
from designspace.report.study import Study
from designspace.report.tables import corrected
from designspace.text import counted, measured


def certainty(study: Study, found: Sequence[Verdict], sections: Sequence[Section]) -> list[str]:
    """Sentences about the first metric that has a best value, and about all claims; empty without one."""
    ranked = [section for section in sections if any(ranking.best for ranking in section.ranked)]
    if not ranked:
        return []
    section = ranked[0]
    top = [ranking.best[0] for ranking in section.ranked if ranking.best][-1]
    parts = [_images(section, top), _training(section.entries), _bias(section, top), _comparisons(study, section)]
    return [*filter(None, [*parts, _claims(found), *_deciding(found)])]


def _images(section: Section, top: Entry) -> str:
    metric, se = section.metric, top.se(section.metric)
    seeds = f" for each of {top.expected} seeds" if top.expected > 1 else " with one seed"
    text = f"Each value of {section.title} comes from {top.images(metric):,} images{seeds}"
    if se is None:
        return f"{text}, and its error is not known: a small difference may be chance."
    value = measured(top.value(metric), se)
    warnings = " ".join(filter(None, [too_few_images(metric, top), few_effective(metric, top)]))
    chance = f"{text}. The best one, {value}, would typically change by the number after ± if all of that were repeated"
    return f"{chance} with other random numbers. {warnings}".strip()


def _training(entries: Sequence[Entry]) -> str:
    counts = {entry.trainings for entry in entries} - {None}
    if not counts:
        return "No network was trained here, so that no result depends on the luck of a training run."
    if counts == {1}:
        return (
            "Each network was trained only once. Training is random, too: another run of the same configuration would "
            "differ by more than the error bars say, and might change the order of configurations that are close."
        )
    if 1 in counts:
        return "Some networks were trained only once; the error bars of these do not include the luck of training."
    runs = " to ".join(dict.fromkeys(str(end(count for count in counts if count)) for end in (min, max)))
    return (
        f"Each network was trained {runs} times, and error bars include how much these runs differ. So few runs say "
        "little about a single configuration; how much it varies is estimated from all configurations that vary alike."
    )


def _bias(section: Section, top: Entry) -> str:
    metric, drawn = section.metric, top.drawn(section.metric)
    if drawn is None or top.higher_is_better(metric) is not False:
        return ""
    value, se = top.value(metric), top.se(metric)
    text = (
        f"Not even perfect images score 0: as many images drawn from the reference itself score {measured(*drawn)} "
        "(mean and standard deviation)."
    )
    if value <= drawn[0]:
        text += " The best value is no worse than that, so that only chance and this bias are left of it."
    elif se is not None and value - drawn[0] <= 2 * (se**2 + drawn[1] ** 2) ** 0.5:
        text += " The best value does not differ clearly from that."
    else:
        text += f" The best value is {measured(value - drawn[0], None)} above that."
    known = [corrected.estimate(top, metric, one) for one, of in corrected.shown([top], metric) if of]
    estimates = [measured(*one) for one in known if one]
    return f"{text} Without the bias, it is estimated at {' or '.join(estimates)}." if estimates else text


def _comparisons(study: Study, section: Section) -> str:
    pairs = [len(one.against) * (len(one.against) + 1) // 2 for one in section.ranked if one.against]
    tests = sum(len(of) for metric in study.about.metrics for of in interactions(study, metric))
    crossed = f" Whether effects depend on another axis takes {tests} tests, with Holm's correction." if tests else ""
    if not pairs:
        return crossed.strip()
    each = " at each budget" if len(pairs) > 1 else ""
    return (
        "Configurations that are equally good are called different in at most 5 % of such reports"
        f"{each}. The best one is found in the same data, so that p-values are corrected for all "
        f"{counted(max(pairs), 'pair')} of configurations. “Does not differ significantly” does not mean equally good."
        f"{crossed}"
    )


def _claims(found: Sequence[Verdict]) -> str:
    tested = sum(one.outcome is not Outcome.MISSING for one in found)
    if tested < 2:
        return ""
    return (
        f"{tested} claims are tested, without a correction for their number. A false claim seems to hold in at most "
        f"2.5 % of cases, so that of {tested} false claims, {tested * 0.025:.2g} would on average."
    )


def _deciding(found: Sequence[Verdict]) -> Iterator[str]:
    for one in found:
        if one.enough:
            part = "Undecided" if one.outcome is Outcome.UNDECIDED else "Undecided at some budgets"
            yield f"{part}: {one.say.rstrip('.')}. If the estimates stayed the same, {one.enough}."
