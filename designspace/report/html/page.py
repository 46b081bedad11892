"""The page of an ablation: what was asked, what came out, and every number behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from designspace.report.bibtex import bibtex
from designspace.report.evidence import claims
from designspace.report.html import answer
from designspace.report.html.pictures import shown
from designspace.report.html.render import LOOK, embedded, render, scripts
from designspace.report.html.sections import Section, sections
from designspace.report.html.trials import points, trials
from designspace.report.study import Study
from designspace.report.tables import effect_tables, markdown
from designspace.text import one_line

NEEDED = "index.html needs jinja2 and plotly: pip install 'designspace[report]'"


def available() -> bool:
    """Whether the packages are there that pages are made with."""
    return find_spec("jinja2") is not None and find_spec("plotly") is not None


def page(study: Study, pictures: Mapping[str, bytes], *, live: bool = False) -> bytes:
    """The page, the same bytes each time; ``pictures`` are the report's PNGs by name, of which some are shown.

    ``live``: browsers read it anew every few seconds.
    """
    entries = study.points
    found = [*sections(study)]
    verdicts = claims.verdicts(study)
    name = one_line(study.about.name)
    known = trials(study, entries)
    choices = [pair for metric in study.about.metrics for pair in effect_tables.tables(study, metric)]
    first = {section.metric: k for k, section in reversed([*enumerate(found)])}
    data = {
        "points": points(study, entries),
        "sections": [section.data for section in found],
        "trials": known,
        "look": LOOK,
    }
    text, code = embedded(data), scripts()
    drawn = [*shown(pictures, study.about.metrics, sum(map(len, (text, *code))))]
    return render(
        "page.html",
        code,
        live=live,
        name=name,
        question=one_line(study.about.question) or name,
        answers=answers(study, verdicts, found),
        verdicts=verdicts,
        sections=found,
        choices=choices,
        pictures=[one for one in drawn if not one.metric],
        profiles={k: [one for one in drawn if one.metric == metric] for metric, k in first.items()},
        trials=bool(known["rows"]),
        gaps=[one_line(line) for line in markdown.gaps(study) if line],
        bibtex=bibtex(study.sources),
        files=[*_files(study, found, choices)],
        data=text,
    )


def answers(study: Study, verdicts: Sequence[claims.Verdict], found: Sequence[Section]) -> list[str]:
    """What has become of the claims, then the best at the highest budget."""
    return [sentence for sentence in (answer.of_claims(verdicts), *answer.of_best(study, found)) if sentence]


def _files(study: Study, found: Sequence[Section], choices: Sequence[object]) -> Iterator[str]:
    yield "table.md"
    if study.entries:
        yield "table.csv"
        yield "table.tex"
    if any(section.data["compared"]["rows"] for section in found):
        yield "comparisons.csv"
    if choices:
        yield "effects.csv"
    yield "results.jsonl"


def summary(study: Study) -> dict[str, Any]:
    """What the overview says of an ablation."""
    best = [*answer.of_best(study, [*sections(study)])]
    done, expected = sum(len(p.rows) for p in study.points), sum(p.expected for p in study.points)
    return {
        "name": one_line(study.about.name),
        "question": one_line(study.about.question),
        "size": f"{done} trials" if done == expected else f"{done} of {expected} trials",
        "counts": answer.in_short(claims.verdicts(study)),
        "answer": " ".join(best[:1]),
    }
