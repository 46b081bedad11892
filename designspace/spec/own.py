"""The check of a user's own components when a spec is loaded: does each compute what its row promises?

Built-in components are tested with the package. Those of a user or a plugin are checked with the quick part of their
contract (``designspace.testing``), because a wrong one, such as a schedule whose inverse is not its inverse, would be
scored like any other.
"""

from __future__ import annotations

import os
import signal
import sysconfig
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from pydantic import ValidationError

from designspace.data.images import Images
from designspace.data.load import load_images
from designspace.data.rows import Data
from designspace.denoising.rows import Denoiser, Network
from designspace.errors import DataError, DocPath, Kind, Problem, RowError, brief, dotted
from designspace.interrupts import TooSlow, contained
from designspace.registry.calling import blame
from designspace.registry.component import Component
from designspace.registry.wording import worded
from designspace.spec.paths import Location, Setting, written
from designspace.spec.problems import Problems
from designspace.spec.sections import Draft
from designspace.spec.trial import Trial

if TYPE_CHECKING:
    from designspace.testing.context import Context

MOST = 50
"""The number of instances of a class that are checked. They differ only in their fields."""
SECONDS = 10.0
"""The time that the check of an instance may take."""
ROOT = Path(__file__).parents[2]
INSTALLED = tuple(
    f"{path}{os.sep}"
    for path in (ROOT / "designspace", ROOT / "components", *map(sysconfig.get_path, ("stdlib", "purelib", "platlib")))
)
"""The folders of this package, of Python, and of installed packages such as PyTorch."""


class OwnComponents:
    """The user's own components that have been checked so far, and what was found."""

    def __init__(self) -> None:
        self.unchecked = Problems()
        """A warning for each class whose check took too long."""
        self._found: dict[Component, str] = {}
        self._networks: dict[tuple[object, ...], tuple[str, Kind, DocPath]] = {}
        self._used: dict[int, Component] = {}
        self._right: dict[int, Component] = {}  # by id, since points share components
        self._instances = Counter[type[Component]]()
        self._images: Callable[[Data], Images] = lru_cache(1)(load_images)

    def problems(self, draft: Draft, settings: Sequence[Setting]) -> Iterator[Problem]:
        """Yield a problem for each of the user's own components in ``draft`` that does not compute what it should.

        Each distinct instance is checked the first time that it appears, at most ``MOST`` of a class.
        """
        yield from self._network_problems(draft, settings)
        for location, component in draft.components():
            if id(component) in self._right:
                continue
            self._right[id(component)] = component  # for now
            for place, part in _with_parts(location, component):
                if not type(part).built_in():
                    path = written(settings, place)
                    if part not in self._found:
                        self._found[part] = self._check(part, draft, path)
                    if what := self._found[part]:
                        self._right.pop(id(component), None)
                        yield Problem(what, path, Kind.USER_CODE)

    def _network_problems(self, draft: Draft, settings: Sequence[Setting]) -> Iterator[Problem]:
        """Yield the problem of calling the network or the denoiser that the user's code makes, for each use of it.

        It is called with and without labels as training, the run and its guidance call it. A network of a denoiser of
        the user's own is checked with the denoiser.
        """
        uses = [(denoiser, *use) for at, denoiser in draft.denoisers() for use in _with_parts(at, denoiser)]
        for denoiser, location, part in uses:
            of_guide = denoiser is not draft.denoiser
            asked = draft.evaluate.labels != "none" and (draft.guidance.guide_gets_labels or not of_guide)
            if isinstance(part, Network | Denoiser) and part.runs_user_code and type(denoiser).built_in():
                without = getattr(denoiser, "label_dropout", 0) or (
                    draft.guidance.effective and not draft.guidance.takes_guide
                )
                labelled = tuple(dict.fromkeys([asked, getattr(denoiser, "labels", asked), *[False] * bool(without)]))
                used = (denoiser, draft.data, draft.design.c_noise)
                self._used.update((id(each), each) for each in used)  # kept, so that ids stay theirs
                key = (id(part), *map(id, used), labelled)
                if key not in self._networks:
                    called = replace(draft, denoiser=denoiser)
                    self._networks[key] = why_not_called(part, called, self._images, labelled)
                what, kind, inside = self._networks[key]
                if what:
                    yield Problem(what, written(settings, (*location, *inside)), kind)

    def _check(self, component: Component, draft: Draft, path: DocPath) -> str:
        cls = type(component)
        self._instances[cls] += 1
        if self._instances[cls] > MOST:
            return ""
        try:
            with _time_limit(SECONDS):
                return _problem(component, draft, partial(self._images, draft.data))
        except TooSlow:
            self._instances[cls] = MOST
            what = f"{cls.row} '{cls.name}' is not checked, because its check takes more than {SECONDS:g} s"
            self.unchecked.append(Problem(what, path, Kind.UNCHECKED))
            return ""


def _with_parts(location: Location, component: Component) -> Iterator[tuple[Location, Component]]:
    """``component``, and the components in its fields at any depth."""
    yield location, component
    for name, value in component:
        if isinstance(value, Component):
            yield from _with_parts((*location, name), value)


def _problem(component: Component, draft: Draft, images: Callable[[], Images]) -> str:
    """What is wrong with ``component``, or an empty string."""
    from designspace.testing import require_correct  # here, because most specs name built-in components only
    from designspace.testing.assertions import UnmetError

    if what := _why_wrong_default(component):
        return f"{component.row} '{component.name}' is wrong: {what}"
    try:
        with contained():
            require_correct(component, _context(draft), images)
    except DataError:  # a file is missing, which is reported elsewhere
        return ""
    except UnmetError as error:
        return f"{component.row} '{component.name}' is wrong: {' '.join(str(error).split())}"
    except RowError as error:
        return str(error)
    except Exception as error:
        return blame(component, error)
    return ""


def why_not_called(
    part: Network | Denoiser,
    draft: Draft | Trial,
    images: Callable[[Data], Images],
    labelled: Sequence[bool],
    device: str = "cpu",
) -> tuple[str, Kind, DocPath]:
    """Why the user's code cannot be used, of which kind the problem is, and the field to blame; all empty if it can."""
    from designspace.testing.code import code_answers

    who = "the network" if isinstance(part, Network) else f"denoiser '{part.name}'"
    try:
        part.require()
        part.identity()
        data = images(draft.data)
    except DataError:  # a file is missing, which is reported elsewhere
        return "", Kind.FILE, ()
    try:
        code_answers(draft.denoiser, who, data, draft.design, labelled, draft.design.solver.adaptive, device)
    except DataError as error:
        return str(error), Kind.FILE, error.at
    except Exception as error:
        line = users_line(error)
        if isinstance(error, ValueError) and not line:  # one of this package, which says what to do
            return str(error), Kind.USER_CODE, ()
        notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        return f"{who} fails for two images{line}: {brief(error):.300}{notes}", Kind.USER_CODE, ()
    return "", Kind.USER_CODE, ()


def users_line(error: Exception) -> str:
    """The last line of the user's code in the traceback, as `` (file:line)``; empty if there is none."""
    files = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    lines = [f" ({file}:{line})" for file, line in files if file[:1] != "<" and not file.startswith(INSTALLED)]
    return lines[-1] if lines else ""


def _why_wrong_default(component: Component) -> str:
    """Which default of its class is outside the domain of its field, which pydantic does not check; or nothing."""
    fields = type(component).model_fields.items()
    given = {name: getattr(component, name) for name, field in fields if field.is_required()}
    defaults = {name: field.get_default(call_default_factory=True) for name, field in fields if name not in given}
    try:
        type(component).model_validate(given | defaults)
    except ValidationError as error:
        wrong = (details for details in error.errors() if details["loc"] and details["loc"][0] in defaults)
        return next((f"the default of {dotted(details['loc'])} {worded(details)}" for details in wrong), "")
    return ""


def _context(draft: Draft) -> Context:
    """What the components of ``draft`` meet in its trials."""
    from designspace.testing.context import Context

    denoiser, num_steps = draft.denoiser, (draft.steps.num_steps,) if draft.steps.budget is None else (2, 5, 18)
    known = denoiser.supported(draft.design)
    limits = known.limits() if known else (0.0, float("inf"))
    augmentation = getattr(denoiser, "augmentation", None)
    labels = (4 if getattr(denoiser, "labels", False) else 0, augmentation.size if augmentation else 0)
    return Context(
        draft.design, draft.evaluate.detector, num_steps, limits, (labels,), shape_of=draft.denoiser.shape_of
    )


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise ``TooSlow`` in the ``with`` block after this time.

    Without effect outside the main thread and on Windows, where no signal can interrupt the block.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
