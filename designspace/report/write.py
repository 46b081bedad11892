"""Write a report into the folder of its results."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from designspace.files import write_whole
from designspace.report import claims, curves, figures, markdown, samples
from designspace.report.study import Study
from designspace.report.style import sheet


def find(out: Path) -> list[Path]:
    """The folders of ablations below ``out`` that have results."""
    return sorted(path.parent for path in out.glob("*/results.jsonl") if (path.parent / "ablation.json").is_file())


def write(folder: Path | Study) -> list[Path]:
    """Write tables, figures and verdicts beside the results; the paths. Files that would not change are left alone.

    Raises ``DataError`` if ``folder`` describes no ablation, ``StorageError`` if a file cannot be written.
    """
    study = folder if isinstance(folder, Study) else Study(folder)
    written = []
    for name, content in _files(study):
        path = study.folder / name
        if not path.is_file() or path.read_bytes() != content:
            write_whole(path, content)
        written.append(path)
    return written


def _files(study: Study) -> Iterator[tuple[str, bytes]]:
    yield "table.md", markdown.page(study).encode()
    if study.about["claims"]:
        yield "claims.md", claims.page(study).encode()
    if study.entries:
        yield "table.csv", markdown.tidy(study).encode()
        with sheet():
            yield from _figures(study)


def _figures(study: Study) -> Iterator[tuple[str, bytes]]:
    for metric in study.about["metrics"]:
        if panels := curves.panels(study, metric):
            name = re.sub(r"\W", "_", metric)
            for kind, content in figures.save(figures.metric_vs_nfe(panels)).items():
                yield f"{name}_vs_nfe.{kind}", content
    if (shown := samples.grid(study)) is not None:
        yield "samples.png", figures.save(samples.draw(shown))["png"]
