"""A piece of evidence in words: what was tried and is favoured, by how much, the verdict, and notes on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from designspace.report.entry import WORDS
from designspace.report.evidence.caveats import FAR, too_few_images
from designspace.report.evidence.contrasts import Difference
from designspace.report.evidence.effects import Effects
from designspace.report.evidence.factors import edges
from designspace.report.evidence.inference import LEVEL
from designspace.report.evidence.judged import UNEQUAL, Evidence, Judgement
from designspace.report.evidence.practices import amount, unit
from designspace.report.evidence.sheets import Line
from designspace.report.tables.table import Table
from designspace.results.caveats import ENOUGH
from designspace.text import counted, joined, number, one_line, value_of

NO_DIFFERENCE = "no difference found"
NOT_EVERYWHERE = "not at every setting"
"""Said of a choice that is best on average and significantly worse than another at some setting."""
NAMED = 6
"""The largest number of choices that a cell lists."""
TIED = 3
"""The largest number of favoured choices that a cell names."""
MARKS = {
    "†": f"Weak evidence: even the best value is more than {FAR} times the drawn reference, as of networks that have "
    f"hardly learned the data, or there are fewer than {ENOUGH} images per feature, which biases distances upwards.",
    "‡": "Measured on one trained network only: another training run might lead to another verdict.",
}
"""The signs at verdicts, and what they mean."""


def papers(line: Line) -> str:
    """The paper's choice in a row, or its value of a field; empty for several rows together.

    If the paper calls further values of the field about as good, they and the source are given.
    """
    if line.row is None:
        return ""
    _, _, name = line.name.partition(".")
    if good := line.row.endorsed.get(name):
        return f"{good.text} ({good.source})"
    return value_of(line.row.fields[name]) if name in line.row.fields else "" if name else line.row.formula


def some(one: Evidence) -> list[object]:
    """The lowest and the highest budget, and the one nearest to the paper's or, if that is an end, a middle one."""
    known = [*one.at]
    inner = one.papers_budget if one.papers_budget in known[1:-1] else known[len(known) // 2]
    return list(dict.fromkeys((known[0], inner, known[-1])))


def told(one: Evidence, at: Mapping[object, str]) -> str:
    """``NFE 7: euler; NFE 11 and 19: heun``: what is true at which budget."""
    by: dict[str, list[object]] = {}
    for budget, text in at.items():
        by.setdefault(text, []).append(budget)
    return "; ".join(f"{places(one, budgets)}: {text}" for text, budgets in by.items() if text)


def places(one: Evidence, budgets: Sequence[object]) -> str:
    """``NFE 7, 11 and 19``."""
    return f"{unit(one)} {joined([amount(one, budget) for budget in budgets])}"


def listed(choices: Sequence[Any]) -> str:
    """The choices as text, at most ``NAMED`` of them, separated by semicolons if one contains a comma."""
    words = [one_line(choice) for choice in choices]
    mark = "; " if any("," in word for word in words) else ", "
    if len(words) <= NAMED:
        return mark.join(words)
    return f"{mark.join(words[: NAMED - 1])} and {len(words) - NAMED + 1} more"


def favoured(one: Evidence, budget: object) -> str:
    """The best choice at a budget and all that do not differ significantly from it.

    It is ``no difference found`` if no choice differs significantly from any other, and empty if the metric has no
    better direction.
    """
    at = one.at[budget]
    if one.higher is None:
        return ""
    if not at.decided and all(one.p.get((budget, choice), 1.0) > LEVEL for choice in at.against):
        return NO_DIFFERENCE
    names = [one_line(choice) for choice in at.favoured]
    return " or ".join(names) if len(names) <= TIED else f"{names[0]} or {len(names) - 1} others"


def picked(one: Evidence) -> str:
    """What is favoured at three budgets, and on which axes that depends."""
    text = told(one, {budget: favoured(one, budget) for budget in some(one)})
    told_apart = [f"depends on {joined([one_line(axis) for axis in depends])}"] if (depends := _depends(one)) else []
    told_apart += [NOT_EVERYWHERE] if _not_everywhere(one) else []
    return f"{text} ({'; '.join(told_apart)})" if told_apart else text


def change(one: Evidence, budget: object) -> str:
    """``dpmpp_2m -236.1 [-242, -230] of 374.4``: the best other choice against the paper's.

    If the paper endorses several choices, it is compared with the best of them, which is named. If none was tried, the
    second best choice is compared with the best one: ``0.1 +2.3 of 40 with 0.05``.
    """
    if one.higher is None:
        return ""
    if not one.of_paper:
        found = one.nearest[budget]
        return f"{_gap(found.other, found.gap)} of {found.value:.4g} with {one_line(found.best)}"
    at, choice = one.at[budget], one.rival(budget)
    named = f" with {one_line(at.factor.choices[0])}" if one.alternatives(budget) > 1 else ""
    return f"{_gap(choice, at.against[choice])} of {at.baseline:.4g}{named}"


def gain(one: Evidence, budget: object) -> str:
    """``dpmpp_2m instead of heun, from 20.16 to 12.86 at NFE 19``: the best other choice against the paper's.

    Evaluations are added if they differ, and doubts: ``(8 evaluations instead of 7; one trained network)``.
    """
    at, choice = one.at[budget], one.rival(budget)
    base = at.factor.choices[0]
    ends = f"from {at.baseline:.4g} to {at.baseline + at.against[choice].value:.4g} at {places(one, [budget])}"
    own, papers = (f"{at.nfe[each]:.4g}" for each in (choice, base))
    notes = [f"{own} evaluations instead of {papers}"] if own != papers else []
    notes += ["weak evidence"] if one.is_weak(budget) else ["one trained network"] if one.repeats == 1 else []
    return f"{one_line(choice)} instead of {one_line(base)}, {ends}" + (f" ({'; '.join(notes)})" if notes else "")


def _gap(choice: Any, gap: Difference) -> str:
    text = f"{one_line(choice)} {'+' if gap.value > 0 else ''}{number(gap.value, gap.se)}"
    ends = gap.interval()
    return f"{text} [{number(ends[0], gap.se)}, {number(ends[1], gap.se)}]" if ends else text


def verdicts(one: Evidence, *, marked: bool = False) -> str:
    """``contradicts at NFE 7 and 11; agrees at NFE 19``, or one word if it is the same at all budgets.

    With ``marked``, the signs of ``MARKS`` follow the words to which they apply.
    """
    by: dict[tuple[Judgement, str], list[object]] = {}
    for budget, found in one.judgements.items():
        by.setdefault((found, marks(one, budget) if marked else ""), []).append(budget)
    said = []
    for kind, sign in sorted(by, key=lambda key: [*Judgement].index(key[0])):
        budgets = by[kind, sign]
        where = f" at {places(one, budgets)}" if len(by) > 1 else ""
        said.append(f"{kind}{sign}{where}{_why_withheld(one, budgets[-1]) if kind is Judgement.WITHHELD else ''}")
    return "; ".join(said)


def _why_withheld(one: Evidence, budget: object) -> str:
    at, choice = one.at[budget], one.rival(budget)
    costs = " and ".join(f"{at.nfe[c]:.4g} with {one_line(c)}" for c in (at.factor.choices[0], choice))
    return f" (unequal {WORDS[one.study.count]}: {costs})"


def marks(one: Evidence, budget: object) -> str:
    """The signs of ``MARKS`` that apply to the results at a budget."""
    return signs(weak=one.is_weak(budget), once=one.repeats == 1)


def signs(*, weak: bool, once: bool) -> str:
    """The signs of weak evidence and of a single trained network."""
    return "†" * weak + "‡" * once


def legend(table: Table) -> str:
    """What the signs in a table mean; empty if it has none."""
    text = "".join(cell.text for row in table.rows for cell in row)
    return " ".join(f"{sign} {meaning}" for sign, meaning in MARKS.items() if sign in text)


def model(one: Evidence) -> str:
    """The model, the number of training runs and the number of images."""
    runs = f", {counted(one.repeats, 'run')}" if one.repeats and one.model.startswith("networks") else ""
    each = " each" if len(one.points[0].rows) > 1 else ""
    return f"{one.model}{runs}; {one.points[0].images(one.metric):,} images{each}"


def notes(one: Evidence) -> str:
    """Flags: edges of the grid, dependence on another axis, unequal cost, what else differs, and doubts."""
    found = []
    if at := _at_the_edge(one):
        found.append(f"edge of the grid at {places(one, at)}")
    found += [f"depends on {one_line(axis)} at {places(one, budgets)}" for axis, budgets in _depends(one).items()]
    if budgets := _not_everywhere(one):
        found.append(f"{NOT_EVERYWHERE} at {places(one, budgets)}")
    if one.change.settings:
        found.append(f"with its own {joined(one.change.settings)}")
    settings = max(at.lines for at in one.at.values())
    if one.others:
        rows = f"with EDM's {joined(one.others)}"
        found.append(f"mean over {settings} settings, not all {rows}" if settings > 1 else f"not {rows}")
    if unequal := [at for at in one.at.values() if max(at.nfe.values()) > UNEQUAL * min(at.nfe.values())]:
        found.append(_costs(unequal[-1], WORDS[one.study.count]))
    found += doubts(one)
    if one.study.waiting:
        found.append("preliminary: results are missing")
    return "; ".join(found)


def doubts(one: Evidence) -> list[str]:
    """Why the evidence is weak, however significant it is: such a line has nothing in bold."""
    once = "one training run of each network" if one.change.trained else "one trained network"
    found = [once] if one.repeats == 1 else []
    if few := too_few_images(one.metric, one.points[0]):
        found.append(few.removesuffix("."))
    if one.far:
        found.append(f"more than {FAR} times the drawn reference at {places(one, one.far)}")
    return found


def _depends(one: Evidence) -> dict[str, list[object]]:
    """The axes on which the favoured choice depends, with the budgets at which it does."""
    found: dict[str, list[object]] = {}
    for budget, at in one.at.items():
        if at.dependence:
            found.setdefault(at.dependence.axis, []).append(budget)
    return found


def _not_everywhere(one: Evidence) -> list[object]:
    """The budgets at which the best choice on average is worse than another somewhere, and no axis tells where."""
    return [budget for budget, at in one.at.items() if not (at.everywhere or at.dependence)]


def _costs(at: Effects, word: str) -> str:
    least, most = (kind(at.nfe, key=lambda choice: at.nfe[choice]) for kind in (min, max))
    return f"unequal cost: {one_line(least)} {at.nfe[least]:.4g} {word}, {one_line(most)} {at.nfe[most]:.4g}"


def _at_the_edge(one: Evidence) -> list[object]:
    """The budgets at which the best choice is a number at the edge of the grid."""
    try:
        numbers = {choice: float(choice) for choice in one.factor.choices}
    except ValueError:
        return []
    ends = edges(numbers.values())
    return [budget for budget, at in one.at.items() if at.decided and numbers[at.favoured[0]] in ends]
