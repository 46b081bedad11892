"""Trackers, which pass on what a run computes to programs such as Weights & Biases and TensorBoard.

A tracker is called in the process that has started the run, never in its workers. It sees what happens, and has no part
in it: ids do not cover trackers, and what they raise becomes a warning (``tracking``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from designspace.errors import Problem, SpecError, brief
from designspace.interrupts import contained
from designspace.registry.isolation import settings_kept
from designspace.registry.known import import_plugin, place_of
from designspace.spec.own import users_line
from designspace.text import did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from designspace.spec import Ablation

PLUGINS = "designspace.trackers"
"""The entry point group of trackers in installed packages: each entry has the name of a tracker."""
BUILT_IN = {"tensorboard": "designspace.run.tensorboard", "wandb": "designspace.run.wandb"}
"""The modules of the trackers that come with the package."""
FIELD = "trackers"
"""The field of an ablation that names them."""

Metrics = Mapping[str, float | str]
Pictures = Mapping[str, "np.ndarray"]


@dataclass(frozen=True)
class Tracked:
    """A trial, as trackers see it."""

    id: str
    """The hash of its resolved spec: the same trial has the same id in every run."""
    ablation: str
    """The name of the ablation."""
    name: str
    """The values of its axes as text, such as ``solver=heun, nfe=35``."""
    axes: Mapping[str, Any]
    """The values of its axes; of the first point, if several points share the trial."""
    folder: Path
    """The folder of the results, for trackers that write files."""


class Tracker:
    """Base class of trackers: ``class Mine(Tracker, name="mine")``. All methods do nothing unless they are overridden.

    An object tracks one trial. It is made without arguments when the trial begins, ``began`` is called first and
    ``ended`` last; trials that several workers compute at the same time have an object each. A trial that is resumed
    begins again, with the same ``trial.id``.

    An exception becomes a warning; the tracker is then left alone until the next run, which also passes on the results
    that it has missed.
    """

    name: ClassVar[str] = ""
    """The name by which ablations name the tracker."""
    known: ClassVar[dict[str, type[Tracker]]] = {}
    """The trackers whose modules have been imported, by name."""

    def __init_subclass__(cls, *, name: str = "", **more: Any) -> None:
        """Register the class. Raises ``TypeError`` if there is another tracker of this name."""
        super().__init_subclass__(**more)
        if not name:
            return
        other = Tracker.known.get(name, cls)
        if BUILT_IN.get(name, cls.__module__) != cls.__module__ or place_of(other) != place_of(cls):
            raise TypeError(f"there is another tracker '{name}': choose another name")
        cls.name = name
        Tracker.known[name] = cls

    @classmethod
    def require(cls) -> None:
        """Raise an exception if the tracker cannot be used; called before anything is computed.

        The message of a ``ValueError`` is shown to the user as it is, that of others with their type and place.
        """

    def began(self, trial: Tracked, spec: Mapping[str, Any]) -> None:
        """The trial begins, or one whose results are there already is passed on.

        Args:
            trial: The trial.
            spec: The resolved spec with all defaults, as plain data.
        """

    def progress(self, step: int, values: Mapping[str, float]) -> None:
        """The training of the trial's network goes on; called every 100 steps, and every 10 s while they last longer.

        Args:
            step: The number of training images that the network has seen.
            values: ``training/loss``, the mean loss since the last multiple of 100 steps, and
                ``training/images_per_second``.
        """

    def ended(self, trial: Tracked, metrics: Metrics, pictures: Pictures) -> None:
        """The trial has ended.

        Args:
            trial: The trial.
            metrics: Each metric with its standard error, ``frechet`` and ``frechet_stderr``, and its protocol; the
                evaluations per image, ``nfe`` and ``nfe_total``; ``images`` and ``seconds``. Of ``designspace train``,
                the last values of ``progress``. Empty if the trial failed or the run was interrupted.
            pictures: ``samples``, a grid of the first eight images, uint8 ``[H, W, C]``, if they are images.
        """


def trackers_of(ablation: Ablation, more: Sequence[str | type[Tracker]] = ()) -> list[type[Tracker]]:
    """The trackers that an ablation names, and ``more`` of them, each once.

    Raises ``SpecError``, with the place in the file, if one is unknown or cannot be used.
    """
    found: dict[type[Tracker], None] = {}
    problems: list[Problem] = []
    for i, wanted in enumerate([*ablation.trackers, *more]):
        try:
            found[_tracker(wanted)] = None
        except ValueError as error:
            named = i < len(ablation.trackers)
            problems.append(ablation.problem((FIELD, i), wanted, str(error)) if named else Problem(str(error)))
    if problems:
        raise SpecError(problems)
    return list(found)


def require_package(name: str, package: str, title: str) -> None:
    """Raise ``ValueError`` unless the ``package`` that the tracker ``name`` needs is installed."""
    if find_spec(package) is None:
        raise ValueError(f"tracker {name}: {title} is not installed: pip install 'designspace[{name}]'")


def _tracker(wanted: str | type[Tracker]) -> type[Tracker]:
    if isinstance(wanted, type):
        found = wanted
    else:
        if wanted in BUILT_IN:
            import_module(BUILT_IN[wanted])
        elif wanted not in Tracker.known:
            _import_plugin(wanted)
        if wanted not in Tracker.known:
            names = sorted({*BUILT_IN, *Tracker.known, *(entry.name for entry in entry_points(group=PLUGINS))})
            near = did_you_mean(wanted, names)
            raise ValueError(f"unknown tracker '{wanted}'.{near} Known: {', '.join(names)}.")
        found = Tracker.known[wanted]
    try:
        with settings_kept(), contained():  # W&B replaces sys.exit
            found.require()
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"tracker {found.name or found.__name__} fails{users_line(error)}: {brief(error)}") from error
    return found


def _import_plugin(name: str) -> None:
    """Import the module of an installed package that has this tracker, if there is one. Raises ``PluginError``."""
    for entry in entry_points(group=PLUGINS, name=name):
        import_plugin(entry)
