"""Signals that end a run, and code that tries to end the process.

Within ``handled``, SIGINT (Ctrl-C), SIGTERM (``kill``, or a cluster that needs the machine), SIGUSR1 and SIGUSR2 (by
which Slurm announces the end of a job) raise ``Interrupted`` in the main thread. Training defers it until the current
step is complete and saved. A second Ctrl-C ends this as well.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

ENDING = (signal.SIGTERM, *(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)))
"""The signals by which clusters end a process."""
GRACE = 8.0
"""Seconds that other processes have to save their work after an interruption, before they are killed."""
PATIENCE = GRACE / 2
"""Seconds that a process has to finish what it is computing after a signal by which clusters end it."""


class Interrupted(KeyboardInterrupt):
    """A signal has asked this process to end; ``kept`` says what was saved, and ``status`` is the exit status."""

    def __init__(self, number: int = signal.SIGINT, kept: str = "") -> None:
        super().__init__(f"interrupted{': ' * bool(kept)}{kept}; run again to continue")
        self.number, self.kept = number, kept

    @property
    def status(self) -> int:
        """The exit status by the convention of shells: 130 after SIGINT, 143 after SIGTERM, 138 after SIGUSR1."""
        return 128 + self.number


class TooSlow(BaseException):
    """The time for a check of a component is over. It is no ``Exception``, so that components do not catch it."""


class EndedError(RuntimeError):
    """Code of a component tried to end the process."""


@dataclass
class _Signals:
    before: dict[int, Any] = field(default_factory=dict)
    """The handlers that ``handled`` has replaced."""
    deferring: int = 0
    finishing: bool = False
    asked: int | None = None
    """The signal that has asked this process to end."""


_signals = _Signals()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def handled() -> Iterator[None]:
    """Raise ``Interrupted`` for SIGINT and the signals of clusters, and restore their handlers afterwards.

    Without effect outside the main thread, which alone may handle signals, and within another ``handled``. Signals that
    are ignored, as under ``nohup``, or that a program handles itself keep their handlers, except for that of Ray, which
    only exits.
    """
    if not _in_main_thread() or _signals.before:
        yield
        return
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
    _signals.before = {number: handler for number, handler in found.items() if _only_ends(handler)}
    try:
        for number in _signals.before:
            signal.signal(number, _handle)
        yield
    finally:
        _restore()


def _only_ends(handler: Any) -> bool:
    of_ray = getattr(handler, "__module__", "").startswith("ray.")
    return of_ray or handler in (signal.default_int_handler, signal.SIG_DFL)


def _restore() -> None:
    for number, handler in _signals.before.items():
        signal.signal(number, handler)
    _signals.before, _signals.asked = {}, None


if hasattr(os, "register_at_fork"):  # else a child that a component starts and terminates would print a traceback
    os.register_at_fork(after_in_child=_restore)


def _handle(number: int, frame: FrameType | None) -> None:
    again = _signals.asked is not None
    if again and number in ENDING:  # clusters repeat it while the process is ending
        return
    _signals.asked = number
    if number in ENDING and _signals.finishing and not _signals.deferring:
        signal.signal(signal.SIGALRM, _lose_patience)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    elif again or not _signals.deferring:
        raise Interrupted(number)


def _lose_patience(number: int, frame: FrameType | None) -> None:
    if not _signals.deferring:  # a training ends by itself
        raise Interrupted(_signals.asked or signal.SIGTERM)


@contextmanager
def finishing() -> Iterator[None]:
    """Within the block, signals of clusters, but not Ctrl-C, are deferred, for ``PATIENCE`` seconds at most."""
    if not (_in_main_thread() and _signals.before and hasattr(signal, "setitimer")):
        yield
        return
    before, _signals.finishing = signal.getsignal(signal.SIGALRM), True
    try:
        yield
    finally:
        _signals.finishing = False
        if _signals.asked is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    stop_if_asked()


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Within the block, the first signal raises nothing; the yielded function tells whether there was one.

    The block should then save its work and call ``stop``.
    """
    with handled():
        mine = int(_in_main_thread())
        _signals.deferring += mine
        try:
            yield lambda: _signals.asked is not None
        finally:
            _signals.deferring -= mine
        stop_if_asked()


def stop(kept: str) -> NoReturn:
    """Raise the ``Interrupted`` that was deferred; ``kept`` says what was saved."""
    raise Interrupted(_signals.asked or signal.SIGINT, kept)


def stop_if_asked() -> None:
    """Raise ``Interrupted`` if a signal has asked this process to end, for instance in code that catches everything."""
    if _signals.before and _signals.asked is not None and _in_main_thread():
        raise Interrupted(_signals.asked)


@contextmanager
def contained() -> Iterator[None]:
    """Turn an exception with which code of a component would end the process into ``EndedError``.

    These are all that are no ``Exception``, such as ``SystemExit``, and a ``KeyboardInterrupt`` that no signal has
    caused, but not those that signals raise.
    """
    try:
        yield
    except (Exception, Interrupted, TooSlow):
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            stop_if_asked()  # extension modules, such as that of Ray, replace what the handler of a signal raises
        ours = signal.SIGINT in _signals.before or signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        if isinstance(error, KeyboardInterrupt) and not ours and _in_main_thread():
            raise
        raise EndedError(_what(error)) from error


def _what(error: BaseException) -> str:
    what = f"sys.exit({error.code!r})" if isinstance(error, SystemExit) else f"raise {type(error).__name__}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{what} in {last.filename}:{last.lineno} would end the whole run: raise another exception"


def end_main_thread() -> None:
    """Send SIGTERM to this process from another thread, so that it also ends a system call of the main thread."""
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGTERM)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
