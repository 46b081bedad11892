"""Fill in the tables of README.md and draw its sample images, both from the committed reports.

A table stands between ``<!-- table: name -->`` and ``<!-- end -->``, where name is a key of ``TABLES``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import designspace as ds
from designspace.drawing.files import saved
from designspace.report import Study
from designspace.report.evidence.effects import Effects, effects
from designspace.report.tables import values
from designspace.report.tables.effects import change, words
from designspace.report.tables.table import Cell, Table, markdown, number_cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).parents[2]
README, REPORTS, PICTURE = ROOT / "README.md", ROOT / "reports", ROOT / "docs" / "cifar10_jpeg.png"
METRIC = "frechet"
SHOWN = {"solver": ["euler", "heun", "dpmpp_2m"], "nfe": 11}
"""The points whose images are shown."""
BUDGET = 11
"""The evaluations at which choices are compared, if an ablation has them; otherwise the most that it has."""
PRACTICES = ("solvers", "steps", "guidance", "stochasticity")
"""The ablations of cifar10_jpeg whose choices the table of best practices lists, unless they have no results yet."""

NO_BREAK = "\N{NO-BREAK SPACE}"


def best_practices() -> Table:
    """What was tried for the network ``cifar10_jpeg``, how much each choice changes the distance, and the favoured."""
    folders = [REPORTS / f"cifar10_jpeg_{name}" for name in PRACTICES]
    studies = [Study(folder) for folder in folders if folder.is_dir()]
    rows = [_row(study, one) for study in studies for one in _at_budget(study)]
    return Table(["design choice", "NFE", "baseline (FD)", "change of the FD by others", "favoured"], rows, "")


def _at_budget(study: Study) -> list[Effects]:
    (found,) = effects(study, METRIC)
    budgets = [one.budget for one in found]
    return [one for one in found if one.budget == (BUDGET if BUDGET in budgets else budgets[-1])]


def _row(study: Study, one: Effects) -> list[Cell]:
    first, *others = one.factor.choices
    nfe = f"{study.entries[0].nfe if one.budget is None else one.budget:g}"  # without the evaluations of guidance
    baseline = f"{one.factor.word(first)} {change(one, first).text}"
    tried = "; ".join(f"{one.factor.word(choice)}: {change(one, choice).text}" for choice in others)
    return [Cell(one.factor.name), number_cell(nfe), Cell(baseline), Cell(tried), words(one)]


def solver_grid() -> Table:
    """The distances of the demo."""
    return values.tables(Study(REPORTS / "solver_grid"), METRIC)[0]


TABLES: dict[str, Callable[[], Table]] = {"best_practices": best_practices, "solver_grid": solver_grid}


def filled(page: str) -> str:
    """The page with the tables of the committed reports."""

    def table(found: re.Match[str]) -> str:
        lines = [line.replace(" ± ", f"{NO_BREAK}±{NO_BREAK}") for line in markdown(TABLES[found[2]]())]
        return "\n".join([found[1], "", *lines, "", found[3]])

    return re.sub(r"(<!-- table: (\w+) -->).*?(<!-- end -->)", table, page, flags=re.S)


def picture() -> Figure:
    """The images of three solvers from the same latents."""
    return ds.plots.samples(REPORTS / "cifar10_jpeg_solvers", SHOWN)


if __name__ == "__main__":
    README.write_text(filled(README.read_text("utf-8")), "utf-8")
    PICTURE.write_bytes(saved(picture(), "png"))
