"""The results of an ablation as Python and notebooks see them: a table, a data frame, and answers with their errors."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from designspace.report import answers
from designspace.report.study import Study
from designspace.report.tables import listing
from designspace.report.tables.table import html_table, text_table
from designspace.report.write import write
from designspace.results import store
from designspace.results.lines import PointKey
from designspace.results.store import place_of, point_keys, read_description
from designspace.storage.files import CacheFolder
from designspace.text import counted, did_you_mean

if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())  # before Python 3.12, Path itself cannot be a base class

Axes = Mapping[str, Any]


class Results(store.Results):
    """The results of an ablation: what ``ds.run`` returns, or those of a folder, ``ds.Results("reports/solver_grid")``.

    They print as a table with one row per point: the values of its axes, the counted evaluations per image (NFE), and
    each metric ± its standard error. In a notebook the table is HTML. Points that a run in progress adds are read each
    time. Results of ``ds.run`` are those of the points of its ablation; those of a folder have all points of all runs,
    as reports do, and a line below the table tells how many more these are.

    Args:
        folder: The folder of the ablation, ``reports/<name>``, or its name alone.
        only: The points, each by the id of its trial and its axes as JSON; by default all of the ablation.
        cache: The folder of the cache, by default that of the user.

    Raises:
        DataError: If the folder holds no description of an ablation.
    """

    def __init__(
        self, folder: Path | str, *, only: Collection[PointKey] | None = None, cache: CacheFolder | None = None
    ) -> None:
        place = place_of(folder) if only is None else Path(folder)
        points = point_keys(read_description(place)) if only is None else only
        super().__init__(place, only=points, cache=cache)

    def best(
        self, nfe: float | None = None, metric: str | None = None, where: Axes | None = None, **unknown: Never
    ) -> answers.Chosen:
        """The best point within a budget, and the others that do not differ significantly from it.

        All points within the budget are compared with the one that has the best value, at the 5 % level corrected for
        all pairs of points, as in the tables of reports. Differences are paired where the points share latents. Values
        below the drawn reference are no better than it, and count as equal to it.

        Args:
            nfe: The largest number of counted evaluations per image, with those that guidance adds; by default any.
            metric: The metric to judge by; by default the first of the ablation.
            where: Values of axes, such as ``{"solver": "heun"}``, that the points have.
            unknown: Nothing; for the error message about a misspelt argument.

        Raises:
            TypeError: If there is no such argument, ``nfe`` is no number, or ``where`` is no mapping.
            DataError: If no point is within the budget, there is no such metric or axis, neither higher nor lower
                values of it are better, or the points were measured under different protocols.
        """
        _refuse(unknown, "best", ("nfe", "metric", "where"))
        _require_axes("best", where=where or {})
        if not isinstance(nfe, int | float | None) or isinstance(nfe, bool):
            raise TypeError(f"best: nfe should be a number of evaluations, not {nfe!r}")
        return answers.best(self._study, nfe, metric, where or {})

    def compare(self, a: Axes, b: Axes, metric: str | None = None, **unknown: Never) -> answers.Compared:
        """The difference of a metric between two points, the first minus the second, with its standard error.

        .. code-block:: python

            results.compare({"solver": "dpmpp_2m", "nfe": 11}, {"solver": "heun", "nfe": 11})

        Args:
            a: The values of axes that only the first point has; axes that have one value only can be left out.
            b: Those of the second point.
            metric: The metric; by default the first of the ablation.
            unknown: Nothing; for the error message about a misspelt argument.

        Raises:
            TypeError: If there is no such argument, or ``a`` or ``b`` is no mapping.
            DataError: If a selection is not exactly one point with a result, or the points cannot be compared.
        """
        _refuse(unknown, "compare", ("metric",))
        _require_axes("compare", a=a, b=b)
        return answers.compare(self._study, a, b, metric)

    def report(self) -> Folder:
        """Write the report of all points in the folder, as ``designspace report`` does, and return the folder.

        Raises ``StorageError`` if a file cannot be written.
        """
        write(self.folder)
        return Folder(self.folder)

    def __str__(self) -> str:
        table = listing.table(self._study)
        return "\n".join(filter(None, [text_table(table), table.caption, self._others]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = listing.table(self._study)
        told = "".join(f"<p>{escape(text)}</p>" for text in (table.caption, self._others) if text)
        return f"{html_table(table)}{told}"

    @property
    def _others(self) -> str:
        """``4 more points of other runs in reports/digits: ds.Results("reports/digits")``; empty without others."""
        known = {axes for _, axes in point_keys(read_description(self.folder))}
        more = len(known - {axes for _, axes in self.only or ()})
        folder = self.folder.as_posix()
        return f'{counted(more, "more point")} of other runs in {folder}: ds.Results("{folder}")' if more else ""

    @property
    def _study(self) -> Study:
        """The results as they are now."""
        return Study(self.folder, only=self.only)


class Folder(_Path):
    """The folder of a report. A notebook shows a link to its page or, without one, to its table."""

    def _repr_html_(self) -> str:
        page = next((self / name for name in ("index.html", "table.md") if (self / name).is_file()), self)
        return f'<a href="{escape(Path(os.path.relpath(page)).as_posix())}">{escape(str(page))}</a>'


def _refuse(unknown: Collection[str], method: str, known: Sequence[str]) -> None:
    """Raise ``TypeError`` if there are arguments that ``method`` does not have."""
    for name in unknown:
        axes = " Values of axes are given as a mapping, such as {'solver': 'heun'}."
        raise TypeError(f"{method}: no argument '{name}'.{did_you_mean(name, known) or axes}")


def _require_axes(method: str, **given: object) -> None:
    """Raise ``TypeError`` if an argument does not give values of axes."""
    for name, axes in given.items():
        if not isinstance(axes, Mapping):
            what = f"should be values of axes, such as {{'solver': 'heun'}}, not {axes!r}"
            raise TypeError(f"{method}: {name} {what}")
