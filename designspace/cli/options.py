"""Arguments and options that several commands share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from designspace.cli.errors import stop

if TYPE_CHECKING:
    from designspace.spec import Ablation

File = Annotated[
    Path, typer.Argument(help="An ablation: a YAML file, or the name of an included one.", show_default=False)
]
Designs = Annotated[
    list[str] | None,
    typer.Argument(
        help="Designs: edm, edm:solver=euler,time_steps.rho=5, or all designs of an ablation file. Default: presets.",
        show_default=False,
    ),
]
Sets = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change a field, for instance evaluate.images=50.")
]
Device = Annotated[str, typer.Option(help="A PyTorch device: cpu, cuda, cuda:1; auto: the first GPU, if there is one.")]
Devices = Annotated[
    str,
    typer.Option(help="cpu, cuda, cuda:1, or several GPUs: cuda:0,2, cuda:all. auto: all GPUs, or else the CPU."),
]
Executor = Annotated[str, typer.Option(help="Where workers run: local, ray or slurm.")]
Slurm = Annotated[
    str, typer.Option(metavar="KEY=VALUE,...", help="Options of sbatch: partition=gpu,gpus=8,time=60 (minutes).")
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="The number of workers, by default one per device; of jobs with --executor slurm."),
]
BatchSize = Annotated[
    str,
    typer.Option(
        metavar="N|auto",
        help="Images per call of the denoiser. auto: about 25,600 pixels for a network on a CPU; on a GPU, the fastest "
        "number, which is measured once.",
    ),
]
Trackers = Annotated[
    list[str],
    typer.Option("--tracker", metavar="NAME", help="wandb, tensorboard or one of your own; may be repeated."),
]
OUTPUT = "--output", "-o"
"""The names of the option for what a command writes; ``--out`` is the folder of all reports."""
Out = Annotated[Path, typer.Option(help="The folder of all reports.")]
Json = Annotated[bool, typer.Option("--json", help="Print only JSON on stdout.")]


def batch_size_of(text: str) -> int | None:
    """The value of ``--batch-size``, ``None`` for ``auto``. Stops the command if it is neither."""
    if text == "auto":
        return None
    if not text.isdecimal() or not int(text):
        stop(2, f"--batch-size: should be a number of images or auto, not {text}")
    return int(text)


def one_device(device: str, *, of_several: bool = False) -> str:
    """The device of a command that uses one only, or the first ``of_several``; stops the command if it is not there."""
    from designspace.run.devices import device_of, devices_of

    try:
        return devices_of(device)[0] if of_several else device_of(device)
    except ValueError as error:
        stop(2, f"--{error}")


def number_of(devices: str) -> int:
    """The number of devices that a user asks for."""
    from designspace.run.devices import devices_of

    return len(devices_of(devices))


def require_file(file: Path) -> None:
    """Stop the command if there is no such ablation, before anything that takes long is imported, such as PyTorch."""
    from designspace.storage.included import located, no_such_file

    if not located(file).exists():
        stop(2, f"{file}: {no_such_file(file)}")


def load_ablation(file: Path, settings: Sequence[str], trackers: Sequence[str] | None = None) -> Ablation:
    """Load an ablation and print its warnings. Raises ``SpecError``.

    With ``trackers``, it is also an error if these, or those that the ablation names, cannot be used.
    """
    from designspace.run.trackers import trackers_of
    from designspace.spec import load

    ablation = load(file, settings, also=None if trackers is None else partial(trackers_of, more=trackers))
    for warning in ablation.warnings:
        warnings.warn(warning, stacklevel=2)
    return ablation


def load_to_run(
    file: Path, settings: Sequence[str], executor: str, device: str, slurm: str, trackers: Sequence[str] = ()
) -> Ablation:
    """The ablation, once the options and its trackers are known to be possible."""
    from designspace.run.executors import require_devices, require_executor

    try:
        require_executor(executor, slurm)
        require_devices(executor, device)
    except ValueError as error:
        stop(2, f"--{error}")
    return load_ablation(file, settings, trackers)
