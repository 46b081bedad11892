"""Fill in the tables and numbers of README.md and of pages of docs, and draw their figures, from committed reports.

What is filled in stands between one of these marks and ``<!-- end -->``:

- ``<!-- table: NAME -->``: a table of ``TABLES``;
- ``<!-- from: FILE, HEADING, PART -->``: a part of a page of ``reports/``: the first ``list`` or ``table`` after the
  heading, the ``list without A``, which leaves out lines that begin with A, or the ``table of A; B``, which has only
  the rows whose first cell is A or B;
- ``<!-- number: REPORT:AXIS=VALUE,... METRIC -->``: the value of a point, or with ``METRIC drawn`` that of its drawn
  reference, within a line; ``MODEL.json METRIC``: what was measured of a network that comes with the package.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import designspace as ds
from designspace.cli.compare import side
from designspace.drawing.files import saved
from designspace.drawing.look import style
from designspace.report import Study
from designspace.report.evidence.caveats import far_above_drawn, too_few_images
from designspace.report.evidence.effects import Effects, effects
from designspace.report.evidence.paper import ROWS
from designspace.report.evidence.quality import Quality
from designspace.report.evidence.sheets import Sheet
from designspace.report.figures import best as figures
from designspace.report.tables import values
from designspace.report.tables.best import MOST, outcome, reached
from designspace.report.tables.effects import change, words
from designspace.report.tables.evidence import legend, papers, signs
from designspace.report.tables.table import Cell, Table, markdown, number_cell
from designspace.text import escape, measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).parents[2]
README, REPORTS, PICTURE = ROOT / "README.md", ROOT / "reports", ROOT / "docs" / "cifar10_jpeg.png"
PAGE, CHANGES = ROOT / "docs" / "best.md", ROOT / "docs" / "best_changes.png"
TUTORIAL = ROOT / "docs" / "tutorial.md"
PAGES = (README, PAGE, TUTORIAL, ROOT / "docs" / "error_bars.md", ROOT / "docs" / "recipes.md")
"""The pages with tables and numbers to fill in."""
METRIC = "frechet"
SHOWN = {"solver": ["euler", "heun", "dpmpp_2m"], "nfe": 11}
"""The points whose images are shown."""
BUDGET = 11
"""The evaluations at which choices are compared, if an ablation has them; otherwise the most that it has."""
PRACTICES = ("solvers", "steps", "guidance", "stochasticity")
"""The ablations of cifar10_jpeg whose choices the table of best practices lists, unless they have no results yet."""

SHOWN_DATA = ("digits", "cifar10_jpeg")
"""The data sets of the table of all rows."""
NO_BREAK = "\N{NO-BREAK SPACE}"


def best_practices() -> Table:
    """What was tried for the network ``cifar10_jpeg``, how much each choice changes the distance, and the favoured."""
    folders = [REPORTS / f"cifar10_jpeg_{name}" for name in PRACTICES]
    studies = [Study(folder) for folder in folders if folder.is_dir()]
    rows = [_row(study, one) for study in studies for one in _at_budget(study)]
    table = Table(["design choice", "NFE", "baseline (FD)", "change of the FD by others", "favoured"], rows, "")
    return replace(table, caption=legend(table))


def _at_budget(study: Study) -> list[Effects]:
    (found,) = effects(study, METRIC)
    budgets = [one.budget for one in found]
    return [one for one in found if one.budget == (BUDGET if BUDGET in budgets else budgets[-1])]


def _row(study: Study, one: Effects) -> list[Cell]:
    first, *others = one.factor.choices
    nfe = f"{study.entries[0].nfe if one.budget is None else one.budget:g}"  # without the evaluations of guidance
    baseline = f"{one.factor.word(first)} {change(one, first).text}"
    sure = not any(entry.trainings == 1 or too_few_images(METRIC, entry) for entry in study.entries)
    tried = "; ".join(f"{one.factor.word(choice)}: {change(one, choice).text}" for choice in others)
    favoured = words(one)
    best = one.baseline + min(0.0, *(gap.value for gap in one.against.values()))
    point = study.entries[0]
    weak = bool(too_few_images(METRIC, point)) or far_above_drawn(METRIC, point, best)
    return [
        Cell(one.factor.name),
        number_cell(nfe),
        Cell(baseline),
        Cell(tried),
        Cell(favoured.text + signs(weak=weak, once=point.trainings == 1), best=favoured.best and sure),
    ]


def solver_grid() -> Table:
    """The distances of the demo."""
    return replace(values.tables(Study(REPORTS / "solver_grid"), METRIC)[0], caption="")


@cache
def practices() -> list[Sheet]:
    """What all committed reports say about each row, for the networks that come with the package."""
    return [sheet for sheet in ds.best(REPORTS).sheets if sheet.data in SHOWN_DATA]


def rows() -> Table:
    """The verdict on each row of the table, by the evidence that can decide it, for each data set."""
    found = [{line.name: line for line in sheet.leading} for sheet in practices()]
    order = [row.name for row in ROWS]
    names = sorted({n for of in found for n in of}, key=lambda n: (order.index(n.partition(".")[0]), n))
    body = []
    for name in names:
        line = next(of[name] for of in found if name in of)
        cells = [outcome(of[name]) if name in of else [Cell(""), Cell(""), Cell("")] for of in found]
        body.append([Cell(name), Cell(papers(line)), *(cell for of in cells for cell in of)])
    heads = [head for sheet in practices() for head in (f"favoured for {sheet.data}", "verdict", "measured on")]
    table = Table(["row", "the paper's choice", *heads], body, "")
    return replace(table, caption=legend(table))


def equal_quality() -> Table:
    """The evaluations for equal quality in the ablations of solvers."""
    found = [replace(sheet, quality=tuple(q for q in sheet.quality if _of_solvers(q))) for sheet in practices()]
    tables = [reached(sheet) for sheet in found if sheet.quality]
    return Table(tables[0].header, [row for table in tables for row in table.rows], "")


def _of_solvers(found: Quality) -> bool:
    return "solver" in found.study.about.axes and len(found.reached) <= MOST


TABLES: dict[str, Callable[[], Table]] = {
    "best_practices": best_practices,
    "solver_grid": solver_grid,
    "rows": rows,
    "quality": equal_quality,
}


MARKED = r"(<!-- (table|from|number): (.*?) -->).*?(<!-- end -->)"
"""What is filled in: the mark, its kind, the place, and the end."""


def filled(page: str) -> str:
    """The page with the tables and numbers of the committed reports."""

    def fill(found: re.Match[str]) -> str:
        mark, kind, place, end = found.groups()
        if kind == "number":
            return f"{mark}{number(place)}{end}"
        lines = _lines(TABLES[place]()) if kind == "table" else part(*place.split(", "))
        return "\n".join([mark, "", *(line.replace(" ± ", f"{NO_BREAK}±{NO_BREAK}") for line in lines), "", end])

    return re.sub(MARKED, fill, page, flags=re.S)


def _lines(table: Table) -> list[str]:
    """The table, and its caption below."""
    return [*markdown(table), *(["", escape(table.caption)] if table.caption else [])]


def number(place: str) -> str:
    """The value of a point with its standard error, or that of its drawn reference with the standard deviation."""
    found = re.fullmatch(r"(.+?) (\w+)( drawn)?", place)  # names of points may have spaces
    assert found, place
    text, metric, drawn = found.groups()
    if text.endswith(".json"):
        known = json.loads((ROOT / "designspace" / "models" / text).read_text("utf-8"))["measured"]["metrics"][metric]
        return measured(known["value"], known["se"])
    (point,) = side(text, REPORTS).points
    value, error = point.drawn(metric) if drawn else (point.value(metric), point.se(metric))
    return measured(value, error)


def part(file: str, heading: str, wanted: str) -> list[str]:
    """The lines of the first list or table below a heading of a report's page, or some of them."""
    lines = (REPORTS / file).read_text("utf-8").splitlines()
    below = lines[next(i for i, line in enumerate(lines) if re.fullmatch(f"#+ {re.escape(heading)}", line)) + 1 :]
    kind, *names = re.split(" without | of ", wanted)
    starts = ("- ", "  ") if kind == "list" else ("|",)
    found = dropwhile(lambda line: not line.startswith(starts), below)
    found = [*takewhile(lambda line: line.startswith(starts), found)]
    if kind == "list":  # the documentation's Markdown has no escaped signs
        return [line.replace(r"\<", "<") for line in found if not line.lstrip().startswith(tuple(names))]
    kept = names[0].split("; ") if names else [line.split("|")[1].strip() for line in found]
    return found[:2] + [line for line in found[2:] if line.split("|")[1].strip() in kept]


def picture() -> Figure:
    """The images of three solvers from the same latents."""
    return ds.plots.samples(REPORTS / "cifar10_jpeg_solvers", SHOWN)


def changes() -> Figure:
    """What the best other choice of each row changes for the network of digits."""
    with style():
        figure = figures.changes(practices()[0])
    assert figure is not None
    return figure


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(filled(path.read_text("utf-8")), "utf-8")
    PICTURE.write_bytes(saved(picture(), "png"))
    CHANGES.write_bytes(saved(changes(), "png"))
