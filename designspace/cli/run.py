"""The command run: compute an ablation and write its report, or estimate how long this would take."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from designspace.cli.errors import clean_errors, print_json, stop
from designspace.cli.options import Device, File, Json, Out, Sets, require_device
from designspace.cli.report import print_report, write_overview
from designspace.text import clean, describe

if TYPE_CHECKING:
    from designspace.results.records import Failure
    from designspace.results.store import Results
    from designspace.spec import Ablation


def run(
    file: File,
    set_: Sets = [],  # noqa: B006  # typer copies it
    device: Device = "cpu",
    executor: Annotated[str, typer.Option(help="Where workers run: local or ray.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="The number of workers that share the trials.")] = 1,
    out: Out = Path("reports"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the trials and the estimated time.")] = False,
    json: Json = False,
) -> None:
    """Compute the points of an ablation that have no result yet, and write the report.

    To resume, run the same command again: a run that is killed loses at most the images of the current chunk.

    Example: designspace run ablations/solver_grid.yaml --set evaluate.images=500 --workers 2

    Exit status: 0 if all trials succeeded, 1 if some failed (the results of the others are kept), 2 for invalid input.
    """
    with clean_errors():
        ablation = _load(file, set_, executor, device)
        if dry_run:
            _estimate(ablation, device, out, json)
            return
        results = _run(ablation, device, executor, workers, out, json)
        _print_failures(results.failures, results.folder)
        raise typer.Exit(1 if results.failures else 0)


def _load(file: Path, settings: Sequence[str], executor: str, device: str) -> Ablation:
    """The ablation, once the options are known to be possible."""
    from designspace.run.executors import require_executor
    from designspace.spec import load

    try:
        require_executor(executor)
    except ValueError as error:
        stop(2, f"--{error}")
    require_device(device)
    ablation = load(file, settings)
    for warning in ablation.warnings:
        warnings.warn(warning, stacklevel=2)
    return ablation


def _run(ablation: Ablation, device: str, executor: str, workers: int, out: Path, json: bool) -> Results:
    """Run the ablation and print its report, or its results as JSON."""
    from designspace.report import Study
    from designspace.run.run import run as run_ablation

    results = run_ablation(ablation, device=device, executor=executor, workers=workers, out=out, progress=not json)
    if json:
        rows, failures = ([record.plain() for record in records] for records in (results.rows(), results.failures))
        print_json({"name": ablation.name, "results": rows, "failures": failures})
        return results
    study = Study(results.folder)
    print_report(study)
    write_overview(out, [study])
    if results.done():
        option = "" if out == Path("reports") else f" --out {out}"
        typer.echo(f"results: {results.folder / 'results.jsonl'}")
        typer.echo(f"next: designspace report {ablation.name}{option}")
    return results


def _print_failures(failures: Sequence[Failure], folder: Path) -> None:
    for failure in failures:
        typer.secho(clean(f"failed: {describe(failure.axes)}: {failure.error}"), err=True, fg="red")
    if failures:
        typer.secho(f"tracebacks: {folder / 'failures.jsonl'}; run the command again to retry", err=True, fg="red")


def _estimate(ablation: Ablation, device: str, out: Path, json: bool) -> None:
    """Print the trials and an estimate of the time that they would take."""
    from rich.console import Console
    from rich.table import Table

    from designspace.run.estimate import dry_run

    rows = dry_run(ablation, device=device, out=out)
    if json:
        print_json({"name": ablation.name, "trials": [row._asdict() for row in rows]})
        return
    columns = [*ablation.axes, "trial", "steps", "NFE", "images", "there", "time"]
    table = Table(*columns, title=ablation.question, box=None)
    for row in rows:
        there = "done" if row.done else f"{row.cached:.0%}"
        cells = (row.id, row.num_steps, row.nfe or "adaptive", row.images, there, _time(row.seconds))
        table.add_row(*(str(row.axes.get(axis, "")) for axis in ablation.axes), *map(str, cells))
    Console().print(table)
    known = [row.seconds for row in rows if row.seconds is not None]
    more = " and adaptive trials" if len(known) < len(rows) else ""
    typer.echo(f"{len(rows)} points, about {_time(sum(known))} in one process{more}; measured on one batch")


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
