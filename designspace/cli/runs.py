"""The commands run and check."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from designspace.cli.errors import print_json, stop
from designspace.cli.reports import print_report, write_overview

if TYPE_CHECKING:
    from designspace.spec import Ablation


class Options(NamedTuple):
    """How to run."""

    device: str
    executor: str
    workers: int
    out: Path
    json: bool


def run(file: Path, settings: Sequence[str], options: Options) -> int:
    """Run an ablation, write its report, print both; the exit status."""
    from designspace.report import Study
    from designspace.run.run import run as run_ablation

    ablation = _ready(file, settings, options)
    results = run_ablation(
        ablation,
        device=options.device,
        executor=options.executor,
        workers=options.workers,
        out=options.out,
        progress=not options.json,
    )
    failures = results.failures
    if options.json:
        print_json(
            {
                "name": ablation.name,
                "results": [row.plain() for row in results.rows()],
                "failures": [f.plain() for f in failures],
            }
        )
    else:
        print_report(Study(results.folder))
        write_overview(options.out)
        if results.done():
            out = "" if options.out == Path("reports") else f" --out {options.out}"
            typer.echo(f"results: {results.folder / 'results.jsonl'}")
            typer.echo(f"next: designspace report {ablation.name}{out}")
    for failure in failures:
        axes = ", ".join(f"{key}={value}" for key, value in failure.axes.items())
        typer.secho(f"failed: {axes}: {failure.error}", err=True, fg="red")
    if failures:
        typer.secho(f"tracebacks: {results.folder / 'failures.jsonl'}; run again to try again", err=True, fg="red")
    return 1 if failures else 0


def dry(file: Path, settings: Sequence[str], options: Options) -> int:
    """Print the trials and an estimate of the time."""
    from designspace.run.estimate import dry_run

    ablation = _ready(file, settings, options)
    rows = dry_run(ablation, device=options.device, out=options.out)
    if options.json:
        print_json({"name": ablation.name, "trials": rows})
        return 0
    columns = [*ablation.axes, "trial", "steps", "NFE", "images", "there", "time"]
    table = Table(*columns, title=ablation.question, box=None)
    for row in rows:
        there = "done" if row["done"] else f"{row['cached']:.0%}"
        cells = (row["id"], row["num_steps"], row["nfe"] or "adaptive", row["images"], there, _time(row["seconds"]))
        table.add_row(*(str(row["axes"].get(axis, "")) for axis in ablation.axes), *map(str, cells))
    Console().print(table)
    known = [row["seconds"] for row in rows if row["seconds"] is not None]
    more = " and adaptive trials" if len(known) < len(rows) else ""
    typer.echo(f"{len(rows)} points, about {_time(sum(known))} in one process{more}; measured on one batch")
    return 0


def check(file: Path, settings: Sequence[str]) -> None:
    """Print what an ablation is, or stop with what is wrong with it."""
    from designspace.spec import load

    ablation = load(file, settings)
    for warning in ablation.warnings:
        typer.secho(warning, err=True, fg="yellow")
    trials = ablation.trials()
    typer.echo(f"{file}: {ablation.name}: {len(ablation.points())} points, {len(trials)} trials")


def _ready(file: Path, settings: Sequence[str], options: Options) -> Ablation:
    """The ablation, if the options are possible."""
    from designspace.run.run import EXECUTORS
    from designspace.spec import load

    if options.executor not in EXECUTORS:
        stop(2, f"--executor: unknown executor '{options.executor}'. Known: {', '.join(EXECUTORS)}.")
    if options.executor == "ray" and find_spec("ray") is None:
        stop(2, "--executor ray: Ray is not installed: pip install 'designspace[ray]'")
    usable(options.device)
    ablation = load(file, settings)
    for warning in ablation.warnings:
        warnings.warn(warning, stacklevel=2)
    return ablation


def usable(device: str) -> None:
    """Stop unless PyTorch can compute on ``device``."""
    import torch

    try:
        torch.ones(1, device=device).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        stop(2, f"--device {device}: {str(error).splitlines()[0]}")


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
