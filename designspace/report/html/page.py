"""The page of an ablation: the question, the answer and the numbers behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec

from designspace.drawing.look import FAINT, FAVOURED
from designspace.report.bibtex import bibtex
from designspace.report.evidence.quality import quality
from designspace.report.evidence.verdicts import verdicts
from designspace.report.figures.races import races_caption, races_name
from designspace.report.html.answer import answers
from designspace.report.html.certainty import certainty
from designspace.report.html.render import embedded, picture, render, scripts
from designspace.report.html.samples import samples
from designspace.report.html.sections import BEST, MOST, Section, listed, sections
from designspace.report.html.trials import points, trials
from designspace.report.study import Study
from designspace.report.tables import caption, claims, comparisons, effects, interactions, practices, values
from designspace.report.tables.table import Table
from designspace.results.search import file_of
from designspace.text import one_line

NEEDED = "index.html needs jinja2 and plotly: pip install 'designspace[report]'"
LARGEST = 2_500_000
"""The largest total size of the pictures in a page, in bytes; further ones are only available as files."""
PAGE = 7_500_000
"""The largest size of a page including its pictures, in bytes; the data of many trials leave less room for pictures."""
OPENING = 2
"""The number of sentences of the answer with which a page opens."""
SAID = ("As for the table before.", "All else is as for the table before.")
"""What a caption says in place of sentences that an earlier one has: of all of them, and of some."""
EXCERPT = (
    f"This ablation has more than {MOST:,} points. Plots and tables of this page show the {BEST} best of each metric "
    "at each budget; table.csv has all points. Comparisons and p-values take all points into account."
)
PICTURES = {
    "samples": "Sample images, one row per configuration. Images in the same column start from the same latent.",
    "samples_difference": "Half the difference of these images from those of the baseline; grey means none.",
    "walks": "Random walks of the noise, and the density that they lead to.",
    "backward": "Sampling by the stochastic and by the deterministic equation.",
    "flow": "Trajectories of the probability flow.",
    "warps": "How schedules and scalings warp the same trajectories on common axes, and what lies halfway between. "
    "Dashed: tangents at two noise levels, followed to t = 0.",
    "between": "The same trajectories under schedules between two of them.",
    "paths": "Paths of a solver with few steps, which leave the curves of the flow.",
    "points": "Samples in the plane, after the data. Shaded regions contain 97 % of the data of each class.",
    "steps": "The steps of the solvers along one trajectory.",
}
OF_METRIC = {
    "vs_sigma": "{} by noise level.",
    "effects": "What each design choice changes in {}, all else equal, with 95 % intervals.",
    "quality": "The evaluations that each configuration needs for the same {}, with 95 % intervals.",
    "heat": "{} at each pair of values. Framed: the best of each panel. Hatched: not significantly different from it.",
    "by_row": "{} of each configuration. Blue: the best and what does not differ significantly from it. Few training "
    "runs that vary much cannot be told from the best one, however bad they are.",
    "pareto": "{} against its cost, with the Pareto front: the points that no other one beats in both.",
}


def available() -> bool:
    """Whether the packages that pages need are installed."""
    return find_spec("jinja2") is not None and find_spec("plotly") is not None


def page(study: Study, pictures: Mapping[str, bytes], *, live: bool = False) -> bytes:
    """The page as reproducible bytes.

    Args:
        study: The ablation with its results.
        pictures: The PNGs of the report by name; some of them are embedded in the page.
        live: Whether the page will be updated: browsers then reload it every few seconds, and verdicts are always
            valid until all results are there.
    """
    found, known = [*sections(study)], trials(study, listed(study))
    decided, missing = verdicts(study, live=live), values.gaps(study)
    choices = [pair for metric in study.about.metrics for pair in effects.tables(study, metric)]
    data = {
        "points": points(study, listed(study)),
        "sections": [section.data for section in found],
        "trials": known,
        "look": {"best": FAVOURED["color"], "faint": FAINT},
    }
    text, code = embedded(data), scripts()
    drawn = [*shown(pictures, study.about.metrics, sum(map(len, (text, *code))))]
    name, told = one_line(study.about.name), answers(study, decided, found)
    return render(
        "page.html",
        code,
        live=live,
        name=name,
        question=one_line(study.about.question) or name,
        answers=told[:OPENING],
        further=told[OPENING:],
        sure=certainty(study, decided, found),
        samples=samples(study) if any(one.stem == "samples" for one in drawn) else None,
        crossed=interactions.table(study),
        verdicts=decided,
        sections=[replace(one, caption=new) for one, new in zip(found, once([s.caption for s in found]), strict=True)],
        choices=_choices(choices),
        searched=[*_searched(study, pictures)],
        pictures=[one for one in drawn if not one.metric and one.stem != "samples"],
        pictures_of=_by_section(found, drawn),
        trials=bool(known["rows"]),
        gaps=missing,
        excerpt=EXCERPT if len(study.points) > MOST else "",
        bibtex=bibtex(study.sources),
        files=[*_files(study, found, choices)],
        better=caption.better,
        practised=practices.told(study.search) if study.search else [],
        meaning=" ".join(claims.meaning(decided, live=live)),
        compared=once([comparisons.MEANING] * len(found)),
        data=text,
    )


def once(captions: Sequence[str]) -> list[str]:
    """The captions without the sentences of those before them, and with a note in place of these."""
    said: set[str] = set()
    found = []
    for text in captions:
        sentences = re.split(r"(?<=\.) (?=[A-Z])", text)
        new = [one for one in sentences if one not in said]
        said.update(sentences)
        found.append(" ".join([*new, *([SAID[bool(new)]] if len(new) < len(sentences) else [])]))
    return found


def _choices(pairs: Sequence[effects.Pair]) -> list[effects.Pair]:
    """The tables of design choices, each sentence of whose captions is said once."""
    told = once([pair.favoured.caption for pair in pairs]), once([pair.behind.caption for pair in pairs])
    return [
        effects.Pair(replace(pair.favoured, caption=above), replace(pair.behind, caption=below))
        for pair, above, below in zip(pairs, *told, strict=True)
    ]


@dataclass(frozen=True)
class Searched:
    """The races of a search at one budget, and the design that they led to."""

    table: Table
    races: Picture | None
    title: str
    yaml: str
    file: str


def _searched(study: Study, pictures: Mapping[str, bytes]) -> Iterator[Searched]:
    if search := study.search:
        for table, budget in zip(practices.tables(study), practices.budgets(search), strict=True):
            yaml = search.final[budget].yaml if budget in search.final else ""
            yield Searched(table, _races(budget, pictures), practices.design_title(budget), yaml, file_of(budget))


def _races(budget: str, pictures: Mapping[str, bytes]) -> Picture | None:
    png = pictures.get(f"{races_name(budget)}.png")
    return Picture(picture(png), races_caption(budget)) if png else None


@dataclass(frozen=True)
class Picture:
    """A PNG in the page."""

    source: str
    alt: str
    metric: str = ""
    """The metric that the picture shows, if any."""
    stem: str = ""
    """The name of the picture without its ending, such as ``samples_difference``."""


def shown(found: Mapping[str, bytes], metrics: Sequence[str], others: int = 0) -> Iterator[Picture]:
    """The pictures whose content is not in the interactive plots, as many as there is room for in the page.

    ``others`` is the size of everything else in the page, in bytes.
    """
    known = {f"{_stem(m)}_{kind}": (m, alt.format(one_line(m))) for m in metrics for kind, alt in OF_METRIC.items()}
    room = min(LARGEST, (PAGE - others) * 3 // 4)  # base64 encodes three bytes as four
    for name, png in sorted(found.items()):
        stem = name.removesuffix(".png")
        metric, alt = known.get(stem, ("", PICTURES.get(stem)))
        if name.endswith(".png") and alt and len(png) <= room:
            room -= len(png)
            yield Picture(picture(png), alt, metric, stem)


def _stem(metric: str) -> str:
    return re.sub(r"\W", "_", metric)


def _by_section(found: Sequence[Section], pictures: Sequence[Picture]) -> dict[int, list[Picture]]:
    """The pictures of each metric, under the index of the metric's first section."""
    first = {section.metric: place for place, section in reversed([*enumerate(found)])}
    return {place: [one for one in pictures if one.metric == metric] for metric, place in first.items()}


def _files(study: Study, found: Sequence[Section], choices: Sequence[object]) -> Iterator[str]:
    yield "table.md"
    if study.search:
        yield "practices.md"
    if study.entries:
        yield "table.csv"
        yield "table.tex"
    if any(section.data["compared"]["rows"] for section in found):
        yield "comparisons.csv"
    if choices:
        yield "effects.csv"
    if interactions.table(study):
        yield "interactions.csv"
    if any(quality(study, metric) for metric in study.about.metrics):
        yield "quality.csv"
    yield "results.jsonl"
