"""Best practices: what any number of ablations say about each row of the table, one table per protocol and data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from designspace.errors import DataError
from designspace.report import html
from designspace.report.evidence.sheets import Sheet, sheets
from designspace.report.figures import best as figures
from designspace.report.study import Study
from designspace.report.tables import best as tables
from designspace.report.tables import best_csv
from designspace.report.write import find
from designspace.storage.files import write_whole
from designspace.text import did_you_mean, escape, joined, one_line

if TYPE_CHECKING:
    import pandas as pd

FRECHET = "frechet"


@dataclass(frozen=True, eq=False)
class Best:
    """The tables of best practices. It prints as text, and as HTML in a notebook."""

    metric: str
    sheets: tuple[Sheet, ...]
    skipped: tuple[str, ...] = ()
    """The ablations without results for the metric."""

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows of best.csv: one per row of the table, ablation, budget and choice."""
        import pandas as pd  # here, because most commands do not need it and the import is slow

        return pd.DataFrame([*best_csv.flat(self.sheets, self.metric)])

    def write(self, out: Path) -> list[Path]:
        """Write best.md, best.csv, best.html and the figures into the folder ``out`` and return their paths.

        Figures of an earlier call that are no longer drawn are removed. The page best.html needs jinja2. Raises
        ``StorageError`` if a file cannot be written.
        """
        drawn = dict(figures.files(self.sheets))
        page = tables.page(self.sheets, out, drawn)
        told = f"Without values of the metric {self.metric}: {joined(self.skipped)}." if self.skipped else ""
        page += f"\n{escape(told)}\n" if told else ""
        written = {"best.md": page.encode(), "best.csv": best_csv.tidy(self.sheets, self.metric).encode()}
        if html.available():
            written["best.html"] = html.best(self.sheets, drawn, out, told)
        written |= drawn
        for name, content in written.items():
            write_whole(out / name, content)
        for path in out.iterdir():
            if figures.NAMED.fullmatch(path.name) and path.name not in written:
                path.unlink()
        return [out / name for name in written]

    def __str__(self) -> str:
        return tables.text(self.sheets)

    def _repr_html_(self) -> str:
        return tables.notebook(self.sheets)


def best(folders: Sequence[Path | str] | Path | str = "reports", metric: str = FRECHET) -> Best:
    """What ablations say about each row of the table: the choice of Karras et al. (2022) against all others tried.

    .. code-block:: python

        found = ds.best(["reports/solver_grid", "reports/time_steps"])
        found.frame.query("verdict == 'contradicts'")

    Args:
        folders: Folders of results, or folders with several of them.
        metric: The metric to judge by; ablations without it are left out.

    Raises:
        DataError: If a folder has no results, or no ablation has the metric.
    """
    paths = [Path(folders)] if isinstance(folders, str | Path) else [Path(folder) for folder in folders]
    studies = [Study(folder) for path in paths for folder in _found(path)]
    used = [study for study in studies if any(entry.has(metric) for entry in study.entries)]
    if not used:
        known = {name for study in studies for entry in study.entries for row in entry.rows for name in row.metrics}
        where = ", ".join(map(str, paths))
        hint = did_you_mean(metric, known) + f" Known: {', '.join(sorted(known))}." * bool(known)
        raise DataError(f"{where}: no ablation has results for the metric {metric}.{hint}")
    names = tuple(one_line(study.about.name) for study in studies if study not in used)
    return Best(metric, tuple(sheets(used, metric)), names)


def _found(path: Path) -> list[Path]:
    """The folders of results that a path stands for. Raises ``DataError`` if there are none."""
    if (path / "ablation.json").is_file() and (path / "results.jsonl").is_file():
        return [path]
    if not (found := find(path)):
        raise DataError(
            f"{path}: no ablation has results here; run one first, with designspace run or designspace tune"
        )
    return found
