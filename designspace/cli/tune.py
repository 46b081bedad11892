"""The command tune: search for the best design, or say what would be tried and how long this would take at most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

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
    Workers,
    batch_size_of,
    load_to_run,
    one_device,
    require_file,
)
from designspace.cli.report import print_report, write_overview
from designspace.cli.run import about, print_failures
from designspace.text import clean, counted, value_of

if TYPE_CHECKING:
    from designspace.results.search import Outcome
    from designspace.spec import Ablation
    from designspace.spec.candidates import Candidates
    from designspace.tune.search import Search


def tune(
    file: File,
    set_: Sets = [],  # noqa: B006  # typer copies it
    device: Devices = "cpu",
    executor: Executor = "local",
    workers: Workers = None,
    slurm: Slurm = "",
    batch_size: BatchSize = "auto",
    out: Out = Path("reports"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be tried and the longest time that it may take.")
    ] = False,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="Show no progress on stderr.")] = False,
    json: Json = False,
) -> None:
    """Search for the best design at a budget, and compare it with the baseline on fresh latents.

    The block `search:` of the file says which rows and fields are searched, and at which budgets. The candidates of one
    row after the other are raced: all are measured on few images, then on twice as many in each further stage, and
    those that are significantly worse than the best one are dropped.

    OUT/NAME gets the report of the final test with a table of best practices, and the design for each budget as a file
    that `designspace run` takes. To resume, run the same command again. The command executes the code that the file
    names, as `designspace run` does.

    Example: designspace tune ablations/tuned_digits.yaml --set search.budget.minutes=10

    Exit status: 0 if the final test succeeded, 1 if some of its trials failed, 2 for invalid input, 130 after Ctrl-C,
    143 after SIGTERM.
    """
    require_file(file)
    with clean_errors():
        size = batch_size_of(batch_size)
        ablation = load_to_run(file, set_, executor, device, slurm)
        if dry_run:
            _plan(ablation, one_device(device, of_several=True), out, json)
            return
        how = {
            "device": device,
            "executor": executor,
            "workers": workers,
            "slurm": slurm,
            "batch_size": size,
            "out": out,
        }
        raise typer.Exit(_tune(ablation, how, out, json, progress=not (json or no_progress)))


def _tune(ablation: Ablation, how: Mapping[str, Any], out: Path, json: bool, *, progress: bool) -> int:
    """Search, print the result of each race and the report of the final test. Returns the exit status."""
    from designspace.report import Study
    from designspace.results.search import file_of
    from designspace.tune.search import Search

    search = Search(ablation, **how, progress=progress)
    _race(search, quiet=json)
    results = search.final()
    if json:
        rows, failures = ([record.plain() for record in records] for records in (results.rows(), results.failures))
        print_json({"name": ablation.name, "search": search.record.plain(), "results": rows, "failures": failures})
        return 1 if failures else 0
    study = Study(results.folder)
    print_report(study)
    write_overview(out, [study])
    for budget, final in search.record.final.items():
        if final.yaml:  # files of an earlier search at other budgets may lie beside these
            typer.echo(f"design: {results.folder / file_of(budget)}")
    print_failures(search.final_test(), results.failures, results.folder)
    return 1 if results.failures else 0


def _race(search: Search, *, quiet: bool) -> None:
    """Run all races, and print the result of each as soon as it is known unless ``quiet``."""
    said = 0
    while True:
        request = search.ask()
        races = search.record.outcomes
        if not quiet:
            for race in races[said:]:
                typer.echo(clean(race_result(race)))
        said = len(races)
        if request is None:
            return
        search.tell(request, search.evaluate(request))


def race_result(race: Outcome) -> str:
    """The result of a race: ``nfe=7, solver: unipc, 5.6 ± 0.4 better than heun (p < 0.0001)``."""
    from designspace.report.tables.practices import margin, sure

    place = f"{race.budget}, pass {race.run_pass}, {race.row}"
    if race.skipped:
        return f"{place}: no race ({race.skipped})"
    return f"{place}: {', '.join(filter(None, [race.favoured, margin(race)]))} ({sure(race)})"


class _Planned(NamedTuple):
    """The first race of a row at a budget, as far as it is known before the search."""

    budget: int
    row: str
    found: Candidates

    def cells(self) -> list[str]:
        arms = self.found.reason or ", ".join(value_of(arm.label) for arm in self.found.arms)
        skipped = [] if self.found.reason else [f"{value_of(one.label)}: {one.reason}" for one in self.found.skipped]
        return [value_of(self.budget), self.row, arms, "; ".join(skipped)]

    def plain(self) -> dict[str, Any]:
        arms = [{"label": arm.label, "set": arm.set} for arm in self.found.arms]
        skipped = [one._asdict() for one in self.found.skipped]
        return {"budget": self.budget, "row": self.row, "arms": arms, "skipped": skipped, "reason": self.found.reason}


def _plan(ablation: Ablation, device: str, out: Path, json: bool) -> None:
    """Print the candidates of each row with the baseline in the other rows, and what the search costs at most."""
    from rich.table import Column, Table

    from designspace.tune.requests import stage_sizes

    space, evaluate = ablation.space(), ablation.trials()[0].evaluate
    search, sizes = space.search, stage_sizes(evaluate.images, space.search.stages)
    races = [
        _Planned(budget, row, space.candidates(row, {}, budget)) for budget in search.budgets for row in search.rows
    ]
    cost = _most(ablation, races, sizes[-1], device, out)
    if json:
        plain = [race.plain() for race in races]
        print_json({"name": ablation.name, "races": plain, "stages": sizes, **cost._asdict()})
        return
    columns = [Column(search.step_field, no_wrap=True), *map(Column, ("row", "candidates", "left out"))]
    table = Table(*columns, title=ablation.question, box=None)
    for race in races:
        table.add_row(*race.cells())
    terminal().print(table)
    typer.echo(f"a race has {counted(len(sizes), 'stage')} of {', '.join(f'{size:,}' for size in sizes)} images")
    typer.echo(cost.text(search.passes, search.budget.minutes, search.budget.images))


class _Cost(NamedTuple):
    """What a search costs at most, if no race drops a candidate; seconds are ``None`` if they are not known."""

    images_of_a_pass: int
    seconds_of_a_pass: float | None
    images_of_full_grid: int
    images_of_final_test: int
    seconds_of_final_test: float | None

    def text(self, passes: int, minutes: float | None, images: int | None) -> str:
        limits = [f"{minutes:g} min"] if minutes else []
        limits += [f"{images:,} images"] if images else []
        lines = [
            f"one pass over the rows takes {counted(self.images_of_a_pass, 'image')}, {_time(self.seconds_of_a_pass)},"
            f" if no candidate is dropped and as far as the rows are known; there are at most {passes}",
            *[f"races end once {' or '.join(limits)} are spent"] * bool(limits),
            f"all combinations of the candidates would take {counted(self.images_of_full_grid, 'image')}",
            f"the final test takes {counted(self.images_of_final_test, 'image')}, {_time(self.seconds_of_final_test)}",
        ]
        return "\n".join(lines)


def _time(seconds: float | None) -> str:
    return "for an unknown time" if seconds is None else f"{about(seconds)} in one process"


def _most(ablation: Ablation, races: Sequence[_Planned], images: int, device: str, out: Path) -> _Cost:
    """What a search costs at most: everything with the number of images of the last stage."""
    from designspace.run.estimate import dry_run
    from designspace.tune.requests import Request
    from designspace.tune.search import Search

    pass_images, seconds = 0, list[float | None]()
    for budget in dict.fromkeys(race.budget for race in races):
        here = [race for race in races if race.budget == budget]
        arms = {f"{race.row}: {arm.label}": arm.set for race in here for arm in race.found.arms}
        asked = Request.of(ablation, arms, budget, images).ablation
        pass_images += sum(trial.evaluate.images for trial in asked.trials())
        seconds += (row.seconds for row in dry_run(asked, device=device, out=out))
    search = Search(ablation, out=out, device=device)
    final = search.final_test({race.budget: {} for race in races})
    known = _sum([row.seconds for row in dry_run(final, device=device, out=out)])
    least = sum(trial.evaluate.images for trial in final.trials())  # the designs that will be found come on top
    final_images = sum(point.trial.evaluate.images for point in final.points())
    last = None if known is None else known * final_images / least
    return _Cost(pass_images, _sum(seconds), search.record.images_full_grid, final_images, last)


def _sum(seconds: Sequence[float | None]) -> float | None:
    known = [each for each in seconds if each is not None]
    return math.fsum(known) if len(known) == len(seconds) else None
