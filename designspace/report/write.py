"""Write a report into the folder of its results."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from designspace.files import write_whole
from designspace.report import (
    claims,
    comparisons,
    curves,
    figures,
    html,
    markdown,
    plane,
    plane_figures,
    profile_figures,
    profiles,
    samples,
)
from designspace.report.study import Study
from designspace.report.style import sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        if compared := comparisons.page(study):
            yield "comparisons.md", compared.encode()
            yield "comparisons.csv", comparisons.table(study).encode()
        with sheet():
            drawn = dict(_figures(study))
        yield from drawn.items()
        if html.available():
            yield "index.html", html.page(study, drawn)


def _figures(study: Study) -> Iterator[tuple[str, bytes]]:
    for metric in study.about["metrics"]:
        name = re.sub(r"\W", "_", metric)
        if panels := curves.panels(study, metric):
            yield from _saved(f"{name}_vs_nfe", figures.metric_vs_x(panels))
        for axis in curves.numeric_axes(study):
            if panels := curves.panels(study, metric, axis):
                yield from _saved(f"{name}_vs_{re.sub(r'[^a-zA-Z0-9]', '_', axis)}", figures.metric_vs_x(panels))
        if drawn := profiles.profile_panels(study, metric):
            yield from _saved(f"{name}_vs_sigma", profile_figures.against_sigma(drawn))
    if found := plane.planes(study):
        for name, figure in plane_figures.pictures(found):
            yield from _saved(name, figure)
    elif (shown := samples.grid(study)) is not None:
        yield "samples.png", figures.save(samples.draw(shown))["png"]


def _saved(name: str, figure: Figure) -> Iterator[tuple[str, bytes]]:
    for kind, content in figures.save(figure).items():
        yield f"{name}.{kind}", content
