"""The outcome of a search, as practices.md: what was tried, what is favoured and how sure that is, and the designs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from designspace.report.entry import WORDS
from designspace.report.evidence.factors import edges
from designspace.report.study import Study
from designspace.report.tables.table import Cell, Table, markdown, number_cell
from designspace.results.search import SPENT, Arm, Optimum, Outcome, SearchRecord, file_of
from designspace.text import counted, escape, joined, measured, one_line, p_value, sentence, value_of

MEANING = (
    "Each row was decided by a race, with the other rows as they were at that time: all candidates are measured from "
    "common latents on few images, then on twice as many in each further stage, and a candidate is dropped if it is "
    "significantly worse than the best one. The p-values are corrected for all pairs of candidates and, with the level "
    "of {level:g} % per race, for the {stages}. By how much: the favoured candidate against the one of the design "
    "before or, if that was kept, against the nearest other one, ± standard error, in the last stage that measured "
    "both. These differences come from the images that decided the race, and therefore flatter the winner; the final "
    "test on fresh latents does not. Undecided: of the candidates within one standard error of the best value, the "
    "cheapest is taken, and among equally cheap ones the best. A race ends early if further images would hardly decide "
    "more, or if the budget of the search is spent. The row start compares the baseline with the designs that were "
    "found for the budgets before."
)


def page(study: Study) -> str:
    """practices.md: the table of each budget, what the races cost, and the designs; empty without a search."""
    if (search := study.search) is None:
        return ""
    lines = [f"# {escape(study.about.name)}: best practices", ""]
    for table in tables(study):
        lines += [*markdown(table), ""]
    lines += [escape(text) + "\n" for text in told(search)]
    for budget, final in search.final.items():
        lines += [f"## {design_title(budget)}", ""]
        lines += [f"[{file_of(budget)}]({file_of(budget)}), for `designspace run`.", ""] if final.yaml else []
        lines += ["```yaml", final.yaml.rstrip("\n"), "```", ""] if final.yaml else []
    return "\n".join(lines)


def tables(study: Study) -> list[Table]:
    """One table per budget, with a line for each row or field that was searched; empty without a search."""
    search = study.search
    return [_table(search, budget) for budget in budgets(search)] if search else []


def told(search: SearchRecord) -> list[str]:
    """What the tables mean, what the races cost, and which candidates were not raced."""
    stages = counted(search.stages, "stage")
    return [MEANING.format(level=100 * search.alpha, stages=stages), spent(search), *_not_raced(search)]


def budgets(search: SearchRecord) -> list[str]:
    """The budgets for which races were run or designs were found, in the order of the search."""
    return list(dict.fromkeys([*(one.budget for one in search.outcomes), *search.final]))


def budget_name(budget: str) -> str:
    """``NFE 7`` for ``nfe=7``."""
    count, _, number = budget.partition("=")
    return one_line(f"{WORDS.get(count, count)} {number}")


def design_title(budget: str) -> str:
    """The heading of the design that was found for a budget."""
    return f"The design for {budget_name(budget)}"


def spent(search: SearchRecord) -> str:
    """What the races cost, and what all combinations of the candidates would have cost."""
    raced = sum(bool(one.arms) and not one.skipped for one in search.outcomes)
    text = f"{counted(raced, 'race')} took {counted(search.images_spent, 'image')}"
    if not search.images_full_grid:
        return f"{text}."
    share = 100 * search.images_spent / search.images_full_grid
    digits = 0 if share >= 10 else 1
    return f"{text}, {share:.{digits}f} % of the {search.images_full_grid:,} of a grid of all combinations."


def last_races(search: SearchRecord, budget: str) -> list[Outcome]:
    """For each row, the last race at this budget, or the record that says why the present design has no choice."""
    found: dict[str, Outcome] = {}
    for one in search.outcomes:
        if one.budget == budget and not (one.skipped == SPENT and one.row in found):
            found[one.row] = one
    return list(found.values())


def _table(search: SearchRecord, budget: str) -> Table:
    header = [f"at {budget_name(budget)}", "tried", "favoured", f"by how much ({one_line(search.metric)})", "how sure"]
    return Table(header, [_row(one) for one in last_races(search, budget)], MEANING)


def _row(one: Outcome) -> list[Cell]:
    if one.skipped:
        return [Cell(one_line(one.row)), Cell(""), Cell(""), number_cell(""), Cell("no race")]
    tried = ", ".join(one_line(arm.label) for arm in raced(one))
    by = number_cell(margin(one))
    return [Cell(one_line(one.row)), Cell(tried), Cell(_favoured(one), best=one.decided), by, Cell(sure(one))]


def raced(one: Outcome) -> list[Arm]:
    """The candidates that were measured."""
    return [arm for arm in one.arms if arm.stages]


def _favoured(one: Outcome) -> str:
    text = one_line(one.favoured)
    return f"{text} ({optimum_words(one.optimum, one)})" if one.optimum else text


def optimum_words(found: Optimum, race: Outcome) -> str:
    """``optimum 9.2 [7.5, 11.3], flat from 5 to 15``, or ``the edge of what was tried, flat from 80 to 160``."""
    ends = ["…" if end is None else f"{end:.3g}" for end in (found.low, found.high)]
    at_edge = value_of(found.value) in _ends(race)
    text = "the edge of what was tried" if at_edge else f"optimum {found.value:.3g} [{ends[0]}, {ends[1]}]"
    return text + (f", flat from {found.flat[0]:g} to {found.flat[-1]:g}" if len(found.flat) > 1 else "")


def _ends(race: Outcome) -> list[str]:
    """The values at the edges of what was tried of a field."""
    with suppress(ValueError):
        return [*map(value_of, edges([float(arm.label) for arm in raced(race)]))]
    return []


def margin(one: Outcome) -> str:
    """``12.3 ± 0.4 better than heun``; empty if the difference is not known."""
    if one.favoured != one.incumbent and one.gain is not None:
        return _against(one.gain, one.gain_se, one.incumbent)
    measured_arms = raced(one)
    own = next((arm.stages[-1] for arm in measured_arms if arm.label == one.favoured), None)
    if own is None:
        return ""
    if own.gap is not None:  # another candidate was the best one in the last stage
        best = [arm for arm in measured_arms if len(arm.stages) == own_stages(one) and arm.stages[-1].gap is None]
        return _against(-abs(own.gap), own.gap_se, best[0].label) if best else ""
    others = [arm for arm in measured_arms if arm.label != one.favoured and arm.stages[-1].gap is not None]
    if not others:
        return ""
    nearest = min(others, key=lambda arm: (-len(arm.stages), abs(arm.stages[-1].gap or 0.0)))
    return _against(abs(nearest.stages[-1].gap or 0.0), nearest.stages[-1].gap_se, nearest.label)


def own_stages(one: Outcome) -> int:
    """The number of stages that the favoured candidate was measured in."""
    return next((len(arm.stages) for arm in one.arms if arm.label == one.favoured), 0)


def _against(gain: float, se: float | None, other: str) -> str:
    return f"{measured(abs(gain), se)} {'worse' if gain < 0 else 'better'} than {one_line(other)}"


def sure(one: Outcome) -> str:
    """``p ≤ 0.0021``, the largest p-value among the dropped candidates; or who is left, and what would decide."""
    if one.decided:
        ps = [
            arm.stages[-1].p
            for arm in raced(one)
            if arm.dropped is not None and not arm.reason and arm.stages[-1].p is not None
        ]
        text = p_value(max(ps)) if ps else "decided"
        return text.replace("=", "≤") if len(ps) > 1 else text
    left = [one_line(arm.label) for arm in raced(one) if arm.dropped is None]
    text = f"undecided between {joined(left)}" if len(left) > 1 else "undecided"
    return f"{text}; about {float(f'{one.decides_at:.2g}'):,.0f} images would decide" if one.decides_at else text


def _not_raced(search: SearchRecord) -> Iterator[str]:
    """Rows and candidates that were not raced, with the reasons."""
    reasons: dict[tuple[str, str, str], dict[str, None]] = {}
    for budget in budgets(search):
        for one in last_races(search, budget):
            if one.skipped:
                reasons.setdefault(("not raced", one.row, one.skipped), {})[""] = None
            for arm in one.arms:
                if arm.reason and not one.skipped:
                    what = "not raced" if arm.dropped is None else "failed"
                    reasons.setdefault((what, one.row, arm.reason), {})[one_line(arm.label)] = None
    for (what, row, reason), labels in reasons.items():
        yield _reason(what, one_line(row), [*labels], one_line(reason))


def _reason(what: str, row: str, labels: Sequence[str], reason: str) -> str:
    named = [label for label in labels if label]
    return sentence(f"{what}: {row}{f' {joined(named)}' if named else ''} ({reason})")
