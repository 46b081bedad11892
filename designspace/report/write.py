"""Write a report into the folder of its results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from designspace.files import write_whole
from designspace.report import claims, plots, tables
from designspace.report.study import Study
from designspace.report.style import RC


def find(out: Path) -> list[Path]:
    """The folders of ablations below ``out`` that have results."""
    return sorted(path.parent for path in out.glob("*/results.jsonl") if (path.parent / "ablation.json").is_file())


def write(folder: Path) -> list[Path]:
    """Write tables, figures and verdicts; the paths. Files that would not change are left as they are."""
    study = Study(folder)
    written = []
    for name, content in _files(study):
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            write_whole(path, content)
        written.append(path)
    return written


def terminal_table(folder: Path) -> Group:
    """The tables and verdicts for a terminal."""
    study = Study(folder)
    parts: list[RichTable | Text] = [Text(study.about["question"], style="bold")]
    for metric in study.metrics if study.entries else ():
        for table in tables.tables(study, metric):
            parts += [Text(table.header[0], style="italic"), _rich(table), Text(table.caption, style="dim"), Text()]
    for found in claims.verdicts(study):
        parts += [Text.assemble((f"{found.verdict}: ", "bold"), found.say), Text(f"  {found.numbers}", style="dim")]
    if study.missing:
        parts.append(Text(f"{len(study.missing)} of {len(study.about['points'])} points are missing"))
    return Group(*parts)


def _files(study: Study) -> Iterator[tuple[str, bytes]]:
    yield "table.md", tables.markdown(study).encode()
    if study.about["claims"]:
        yield "claims.md", claims.markdown(study).encode()
    if not study.entries:
        return
    yield "table.csv", study.results.frame.to_csv(index=False).encode()
    import matplotlib as mpl

    with mpl.rc_context(RC):
        for metric in study.metrics:
            for kind, content in plots.save(plots.metric_vs_nfe(study, metric)).items():
                yield f"{metric}_vs_nfe.{kind}", content
        figure = plots.samples(study)
        if figure is not None:
            yield "samples.png", plots.save(figure)["png"]


def _rich(table: tables.Table) -> RichTable:
    drawn = RichTable(box=None, header_style="bold")
    for i, name in enumerate(table.header):
        drawn.add_column("" if i == 0 else name, justify="left" if i == 0 else "right", no_wrap=True)
    for row in table.rows:  # errors below their values, so that six columns fit into 80 characters
        drawn.add_row(*(Text(c.text.replace(" ± ", "\n± "), style="bold green" if c.best else "") for c in row))
    return drawn
