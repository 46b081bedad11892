"""Write a report into the folder of its results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from designspace.report import html
from designspace.report.evidence import claims
from designspace.report.figures.files import files
from designspace.report.study import Study
from designspace.report.tables import comparison_tables, effect_tables, latex_tables, markdown
from designspace.storage.files import write_whole


def find(out: Path) -> list[Path]:
    """The folders of ablations below ``out`` that have results."""
    return sorted(path.parent for path in out.glob("*/results.jsonl") if (path.parent / "ablation.json").is_file())


def write(folder: Path | Study, *, live: bool = False) -> list[Path]:
    """Write tables, figures and verdicts beside the results; the paths. Files that would not change are left alone.

    With ``live``, a page that is to be written again soon: browsers read it anew every few seconds.
    Raises ``DataError`` if ``folder`` describes no ablation, ``StorageError`` if a file cannot be written.
    """
    study = folder if isinstance(folder, Study) else Study(folder)
    written = []
    for name, content in _files(study, live):
        path = study.folder / name
        if not path.is_file() or path.read_bytes() != content:
            write_whole(path, content)
        written.append(path)
    return written


def _files(study: Study, live: bool) -> Iterator[tuple[str, bytes]]:
    yield "table.md", markdown.page(study).encode()
    if study.about.claims:
        yield "claims.md", claims.page(study).encode()
    if study.entries:
        yield "table.csv", markdown.tidy(study).encode()
        yield "table.tex", latex_tables.page(study).encode()
        if compared := comparison_tables.page(study):
            yield "comparisons.md", compared.encode()
            yield "comparisons.csv", comparison_tables.table(study).encode()
        if chosen := effect_tables.page(study):
            yield "effects.md", chosen.encode()
            yield "effects.csv", effect_tables.tidy(study).encode()
    drawn = dict(files(study)) if study.entries else {}
    yield from drawn.items()
    if html.available():
        yield "index.html", html.page(study, drawn, live=live)
