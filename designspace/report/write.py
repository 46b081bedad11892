"""Writing a report into the folder of its results. ``_files`` lists every file of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from designspace.report import html
from designspace.report.figures.files import files, is_figure
from designspace.report.study import Study
from designspace.report.tables import claims, comparisons, effects, interactions, latex, practices, quality, values
from designspace.storage.files import write_whole

TABLES = {
    f"{name}.{kind}" for name in ("comparisons", "effects", "interactions", "quality") for kind in ("md", "csv")
} | {"claims.md", "practices.md"}
"""The tables that not every report has."""


def find(out: Path) -> list[Path]:
    """The folders directly below ``out`` that hold the results of an ablation."""
    return sorted(path.parent for path in out.glob("*/results.jsonl") if (path.parent / "ablation.json").is_file())


def write(folder: Path | Study, *, live: bool = False, formats: Sequence[str] = ()) -> list[Path]:
    """Write tables, figures, verdicts and the page beside the results, and return their paths.

    Files whose content is unchanged are not touched. Tables and figures that the report no longer has, because the
    results or the version have changed, are removed; figures in other formats are kept where the PNG is drawn.

    Args:
        folder: The folder of an ablation's results, or a study.
        live: Whether the report will be updated: browsers then reload the page every few seconds, and verdicts are
            always valid until all results are there.
        formats: The file formats of figures besides PNG: ``svg`` and ``pdf``.

    Raises:
        DataError: If the folder has no readable ``ablation.json``.
        StorageError: If a file cannot be written.
    """
    study = folder if isinstance(folder, Study) else Study(folder)
    written = []
    for name, content in _files(study, live, formats):
        path = study.folder / name
        if not path.is_file() or path.read_bytes() != content:
            write_whole(path, content)
        written.append(path)
    _remove_outdated(study, {path.name for path in written})
    return written


def _remove_outdated(study: Study, written: set[str]) -> None:
    drawn = {Path(name).stem for name in written if name.endswith(".png")}
    for path in [*study.folder.iterdir()]:
        if path.name in TABLES - written or (is_figure(path.name, study.about.metrics) and path.stem not in drawn):
            path.unlink()


def _files(study: Study, live: bool, formats: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    yield "table.md", values.page(study).encode()
    if study.about.claims:
        yield "claims.md", claims.page(study, live=live).encode()
    if study.search:
        yield "practices.md", practices.page(study).encode()
    if study.entries:
        yield "table.csv", values.tidy(study).encode()
        yield "table.tex", latex.page(study).encode()
        if compared := comparisons.page(study):
            yield "comparisons.md", compared.encode()
            yield "comparisons.csv", comparisons.tidy(study).encode()
        if chosen := effects.page(study):
            yield "effects.md", chosen.encode()
            yield "effects.csv", effects.tidy(study).encode()
        if crossed := interactions.page(study):
            yield "interactions.md", crossed.encode()
            yield "interactions.csv", interactions.tidy(study).encode()
        if equal := quality.page(study):
            yield "quality.md", equal.encode()
            yield "quality.csv", quality.tidy(study).encode()
    drawn = dict(files(study, formats)) if study.entries or study.search else {}
    yield from drawn.items()
    if html.available():
        yield "index.html", html.page(study, drawn, live=live)
