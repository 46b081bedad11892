"""Whether the head of a Ray cluster answers.

Ray itself tries for many minutes to connect to a head that does not. If the head of a running job is lost, Ray waits
for a minute, because a fault-tolerant head comes back, and then ends the process without an exception.
"""

from __future__ import annotations

import math
import os
import re
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

from designspace.errors import WorkerError

WAIT = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""The environment variable with the seconds after which Ray ends a process without a head; 60 by default."""
SECONDS = 2.0
"""The time between two attempts to reach the head, and the longest time that one takes."""


class HeadLostError(WorkerError):
    """The head of the cluster is lost, and with it all that Ray does for this process."""


class Head:
    """The head of a cluster in use, at ``address``, which may not answer for half as long as Ray would wait."""

    def __init__(self, address: str) -> None:
        self._address, self._patience = address, float(os.environ.get(WAIT, "60")) / 2
        self._tried = self._heard = monotonic()

    def require(self) -> None:
        """Raise ``HeadLostError`` if the head is lost."""
        if monotonic() < self._tried + SECONDS:
            return
        answered = answers(self._address)
        self._tried = monotonic()
        if answered:
            self._heard = self._tried
        elif self._tried - self._heard > self._patience:
            silent = f"its head at {self._address} has not answered for {self._tried - self._heard:.0f} seconds"
            raise HeadLostError(f"the Ray cluster is lost ({silent}); finished trials are kept; run again to go on")

    def wait(self) -> None:
        """Wait until the head answers. Raises ``HeadLostError`` if it is lost."""
        self._tried = -math.inf
        self.require()
        while self._heard < self._tried:
            sleep(SECONDS)
            self.require()

    def left(self) -> float:
        """Half of the seconds that are left before Ray ends this process if the head does not answer again."""
        return max(0.0, self._patience - (monotonic() - self._heard) / 2)


def require_head() -> None:
    """Raise ``WorkerError`` if there is nothing where ``$RAY_ADDRESS`` or, without it, Ray says that a cluster is."""
    named = os.environ.get("RAY_ADDRESS")
    address = named or _latest()
    if address and not answers(address):
        forget = "correct or unset RAY_ADDRESS" if named else "`ray stop` makes Ray forget this cluster"
        raise WorkerError(f"Ray cannot be reached: nothing answers at {address}; {forget}")


def answers(address: str) -> bool:
    """Whether something listens at ``host:port``; true for addresses of other forms, which Ray has to judge."""
    found = re.fullmatch(r"\[?([^/\[\]]+?)\]?:(\d+)", address)
    if not found:
        return True
    try:
        with socket.create_connection((found[1], int(found[2])), timeout=SECONDS):
            return True
    except (OSError, OverflowError):
        return False


def end_as_ray_would() -> None:
    """End this process with the status with which Ray ends it some time after its head is lost.

    The interpreter cannot end in another way then: threads of Ray use what it has freed.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(1)


def _latest() -> str:
    """The address of the cluster that ``ray start`` has started or joined last on this machine, if there was one."""
    folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    try:
        return Path(folder, "ray", "ray_current_cluster").read_text().strip()
    except OSError:
        return ""
