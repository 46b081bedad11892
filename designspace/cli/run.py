"""The command run: compute an ablation and write its report, or estimate how long this would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from designspace.cli.errors import clean_errors, print_json, terminal
from designspace.cli.options import (
    BatchSize,
    Devices,
    Executor,
    File,
    Json,
    Out,
    Sets,
    Slurm,
    Trackers,
    Workers,
    batch_size_of,
    load_to_run,
    number_of,
    one_device,
    require_file,
)
from designspace.cli.report import print_report, write_overview
from designspace.text import clean, counted, describe, value_of

if TYPE_CHECKING:
    from rich.table import Table

    from designspace.results.records import Failure
    from designspace.results.store import Results
    from designspace.run.estimate import PlannedPoint
    from designspace.spec import Ablation


def run(
    file: File,
    set_: Sets = [],  # noqa: B006  # typer copies it
    device: Devices = "cpu",
    executor: Executor = "local",
    workers: Workers = None,
    slurm: Slurm = "",
    batch_size: BatchSize = "auto",
    out: Out = Path("reports"),
    tracker: Trackers = [],  # noqa: B006
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the trials and the estimated time.")] = False,
    json: Json = False,
) -> None:
    """Compute the points of an ablation that have no result yet, and write the report.

    It executes the files and modules that the ablation names under `components:` and `factory:`, and installed plugins,
    also with --dry-run; stderr names each before it is executed. To look first: designspace check --no-code FILE.

    To resume, run the same command again. Ctrl-C and SIGTERM save the training in progress before they end the run; a
    second Ctrl-C ends it at once. A process that is killed (SIGKILL) loses at most 70 s of training, or 200 images (one
    batch, if batches are larger).

    Example: designspace run ablations/solver_grid.yaml --set evaluate.images=500 --workers 2

    Exit status: 0 if all trials succeeded, 1 if some failed (the results of the others are kept), 2 for invalid input,
    130 after Ctrl-C, 143 after SIGTERM, 138 after SIGUSR1.
    """
    require_file(file)
    with clean_errors():
        size = batch_size_of(batch_size)
        ablation = load_to_run(file, set_, executor, device, slurm, tracker)
        if dry_run:
            first = one_device(device, of_several=True)
            raise typer.Exit(_estimate(ablation, first, workers or number_of(device), out, json))
        how: dict[str, Any] = {"device": device, "executor": executor, "workers": workers, "slurm": slurm}
        how |= {"batch_size": size, "trackers": tracker}
        results = _run(ablation, how, out, json)
        print_failures(ablation, results.failures, results.folder)
        raise typer.Exit(1 if results.failures else 0)


def _run(ablation: Ablation, how: Mapping[str, Any], out: Path, json: bool) -> Results:
    """Run the ablation and print its report, or its results as JSON."""
    from designspace.report import Study
    from designspace.run.run import run as run_ablation

    results = run_ablation(ablation, **how, out=out, progress=not json)
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


def print_failures(ablation: Ablation, failures: Sequence[Failure], folder: Path) -> None:
    """Print which points failed and why, and the file with the tracebacks."""
    from designspace.results.lines import point_key
    from designspace.run.job import label

    names = {point_key(point.trial.id, point.axes): label(point) for point in ablation.points()} if failures else {}
    for failure in failures:
        name = names[point_key(failure.id, failure.axes)]
        typer.secho(clean(f"failed: {name}: {failure.error}"), err=True, fg="red")
    if failures:
        typer.secho(f"tracebacks: {folder / 'failures.jsonl'}; run the command again to retry", err=True, fg="red")


def _estimate(ablation: Ablation, device: str, workers: int, out: Path, json: bool) -> int:
    """Print the trials and an estimate of the time that they would take. Returns the exit status."""
    from designspace.run.estimate import dry_run

    rows = dry_run(ablation, device=device, out=out)
    if json:
        print_json({"name": ablation.name, "trials": [row._asdict() for row in rows]})
    else:
        terminal().print(_trials(ablation, rows))
        typer.echo(_total(rows, workers))
    failing: dict[str, list[PlannedPoint]] = {}
    for row in rows:
        if row.error:
            failing.setdefault(row.error, []).append(row)
    for error, failed in failing.items():
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        typer.secho(clean(f"fails: {describe(failed[0].axes)}{more}: {error}"), err=True, fg="red")
    return 1 if failing else 0


def _trials(ablation: Ablation, rows: Sequence[PlannedPoint]) -> Table:
    """The trials as a table.

    If the terminal is too narrow, the column of ids is left out, and values of axes are wrapped to the space that the
    counts leave.
    """
    table, console = _table(ablation, rows, ids=True), terminal()
    unlimited = console.options.update(width=10_000)
    fits = console.measure(table, options=unlimited).maximum <= console.width
    return table if fits else _table(ablation, rows, ids=False)


def _table(ablation: Ablation, rows: Sequence[PlannedPoint], *, ids: bool) -> Table:
    from rich.table import Column, Table

    repeated = any(row.repeat > 1 for row in rows)
    guided = any(row.nfe_guidance for row in rows)
    searched = any(row.nfe_search for row in rows)
    counts = ["NFE", *["guidance", "total"] * guided, *["search"] * searched]
    others = [*["repeat"] * repeated, *["trial"] * ids, "steps", *counts, "images", "there", "time"]
    columns = [Column(axis, overflow="fold", min_width=8) for axis in ablation.axes]
    columns += [Column(name, no_wrap=True) for name in others]
    table = Table(*columns, title=ablation.question, box=None, padding=(0, 2 if ids else 1, 0, 0), pad_edge=False)
    for row in rows:
        axes = [value_of(row.axes.get(axis, "")) for axis in ablation.axes]
        there = "done" if row.done else f"{row.cached:.0%}"
        time = "fails" if row.error else "unknown" if row.seconds is None else time_of(row.seconds)
        spent = [row.nfe, *[row.nfe_guidance, row.nfe_total] * guided, *[row.nfe_search] * searched]
        nfe = ["unknown" if row.error else "adaptive" if n is None else f"{n:.6g}" for n in spent]
        cells = [*[row.id] * ids, row.num_steps, *nfe, row.images, there, time]
        table.add_row(*axes, *[str(row.repeat)] * repeated, *map(str, cells))
    return table


def _total(rows: Sequence[PlannedPoint], workers: int) -> str:
    """The time of the whole run: ``4 points, about 3 min in one process (training 2 min, sampling 40 s)``."""
    parts: dict[str, float] = {}
    for row in rows:
        for name, seconds in row.parts.items():
            parts[name] = parts.get(name, 0.0) + seconds
    total = sum(parts.values())
    largest = sorted(parts.items(), key=lambda part: -part[1])
    listed = ", ".join(f"{name.replace('_', ' ')} {time_of(seconds)}" for name, seconds in largest if seconds >= 1)
    unknown = sum(row.seconds is None and not row.error for row in rows)
    points = counted(len(rows), "point")
    more = f", without the sampling of {unknown} with an adaptive solver" if unknown else ""
    shared = f"; {workers} workers need at least {time_of(total / workers)}" if workers > 1 else ""
    return f"{points}, {about(total)} in one process{f' ({listed})' * bool(listed)}{more}{shared}"


def about(seconds: float) -> str:
    """An estimate as text: ``about 40 s``, ``under 1 s``."""
    return f"{'about ' if seconds >= 1 else ''}{time_of(seconds)}"


def time_of(seconds: float) -> str:
    """A time as text: ``under 1 s``, ``40 s``, ``3 min``, ``2.5 h``."""
    if 0 < seconds < 1:
        return "under 1 s"
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
