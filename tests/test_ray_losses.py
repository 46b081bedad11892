"""Runs on Ray that lose a worker, a machine or the head of the cluster; here, machines are groups of processes."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from pipeline import assert_same, wait_for, write_spec

from designspace.errors import WorkerError
from designspace.results.store import Results
from designspace.run import ray_head
from designspace.run.ray_head import Head, require_head
from designspace.run.run import run
from designspace.spec import load

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def machines(tmp_path, monkeypatch):
    """Start machines of a cluster with one or more CPUs each, the first of which is the head.

    Workers sample no second chunk before ``together`` processes have begun to sample.
    """
    address, started = f"127.0.0.1:{free_port()}", []
    ray = {"AUTH_MODE": "token", "AUTH_TOKEN": secrets.token_hex(32), "TMPDIR": tempfile.mkdtemp(prefix="r")}
    ray |= {"memory_monitor_refresh_ms": "0", "gcs_rpc_server_reconnect_timeout_s": "8", "USAGE_STATS_ENABLED": "0"}
    given = {f"RAY_{name}": value for name, value in ray.items()} | {"DESIGNSPACE_CACHE": str(tmp_path / "cache")}
    given |= {"STAND_IN_PAUSE": "0.1", "RAY_ADDRESS": address}
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    def start(cpus, together=2):
        (tmp_path / "together" / str(together)).mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv("STAND_IN_TOGETHER", str(tmp_path / "together" / str(together)))
        place = ["--address", address] if started else ["--head", "--port", address.rpartition(":")[2]]
        options = [*place, "--block", "--num-cpus", str(cpus), "--node-ip-address", "127.0.0.1"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options]
        log = (tmp_path / f"machine_{len(started)}").open("w+")
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        started.append(process)
        wait_for(lambda: "Ray runtime started" in Path(log.name).read_text(), process)
        return process

    yield start
    for process in started:
        lose(process)
    shutil.rmtree(ray["TMPDIR"], ignore_errors=True)  # not in tmp_path, since paths of sockets must be short


def lose(machine):
    """Kill all processes of a machine; workers of Ray, which have groups of their own, then end by themselves."""
    with suppress(ProcessLookupError):
        os.killpg(machine.pid, signal.SIGKILL)
    machine.wait()


def children(process):
    """The ids of the children of a process, without Ray's copy of psutil: this process must not import Ray.

    It reads its settings only then, so that other tests could not start a cluster of their own.
    """
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def start_run(tmp_path, *options, **spec):
    command = [sys.executable, "-m", "designspace", "run", write_spec(tmp_path, **spec), "--out", tmp_path / "reports"]
    return subprocess.Popen([*command, *options], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def sampling(tmp_path):
    """The ids of the processes that have begun to sample."""
    return [int(path.name) for path in (tmp_path / "together").glob("*/*")]


def assert_complete(tmp_path, monkeypatch):
    """Compare the results with those of one process; each trial has been finished once."""
    monkeypatch.delenv("STAND_IN_TOGETHER")
    monkeypatch.setenv("STAND_IN_PAUSE", "0")
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "alone"))
    results = Results(tmp_path / "reports" / "small")
    assert len((results.folder / "results.jsonl").read_text().splitlines()) == 4
    assert results.failures == []
    assert_same(results, run(load(tmp_path / "small.yaml"), out=tmp_path / "alone", progress=False))


@needs_ray
def test_a_worker_that_is_killed_is_replaced(machines, tmp_path, monkeypatch):
    machines(2, together=3)
    with start_run(tmp_path, "--executor", "ray", "--workers", "2") as process:
        wait_for(lambda: len(sampling(tmp_path)) == 2, process)
        os.kill(sampling(tmp_path)[0], signal.SIGKILL)
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert "warning: a worker ended early, Ray says: WorkerCrashedError: The worker died unexpectedly" in said
    assert "[4/4]" in said
    assert len(sampling(tmp_path)) == 3
    assert_complete(tmp_path, monkeypatch)


@needs_ray
def test_a_machine_that_is_lost_leaves_its_work_to_the_others(machines, tmp_path, monkeypatch):
    machines(1)
    other = machines(1)
    (raylet,) = (child for child in children(other) if Path(f"/proc/{child}/comm").read_text() == "raylet\n")
    with start_run(tmp_path, "--executor", "ray", "--workers", "2") as process:
        wait_for(lambda: len(sampling(tmp_path)) == 2, process)
        os.kill(raylet, signal.SIGKILL)
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert re.search(r"^warning: a worker ended early, Ray says: (NodeDied|WorkerCrashed)Error", said, re.MULTILINE)
    assert "[4/4]" in said
    assert "StackTrace" not in said
    assert_complete(tmp_path, monkeypatch)


LONG = {"grid": {"num_steps": [3, 60], "solver": ["euler", "heun"]}}
"""Two short trials, and two for which workers would need much longer than Ray needs to end them without a head."""


@needs_ray
def test_a_run_ends_with_the_head_and_goes_on_without_ray(machines, tmp_path, monkeypatch):
    head = machines(2)
    rows = tmp_path / "reports" / "small" / "results.jsonl"
    with start_run(tmp_path, "--executor", "ray", "--workers", "2", **LONG) as process:
        wait_for(lambda: rows.exists() and rows.read_text().count("\n") > 0, process)
        lose(head)
        said = process.stderr.read()
    assert process.returncode == 1, said
    assert re.fullmatch(
        r"the Ray cluster is lost \(.*\); finished trials are kept; run again to go on", said.splitlines()[-1]
    )
    assert "Traceback" not in said
    with start_run(tmp_path, "--executor", "ray", **LONG) as process:
        said = process.stderr.read()
    assert process.returncode == 1, said
    assert "Ray cannot be reached: nothing answers at 127.0.0.1:" in said.splitlines()[-1]
    monkeypatch.setenv("STAND_IN_PAUSE", "0")
    kept = rows.read_text()
    assert 0 < kept.count("\n") < 4
    run(load(tmp_path / "small.yaml"), out=tmp_path / "reports", progress=False)
    assert rows.read_text().startswith(kept)
    assert_complete(tmp_path, monkeypatch)


def test_a_head_that_does_not_answer_is_lost(monkeypatch):
    monkeypatch.setattr(ray_head, "SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        monkeypatch.setenv(ray_head.WAIT, "1")
        head = Head(address)
        time.sleep(0.6)  # longer than it may not answer
        head.require()
    head.require()
    time.sleep(0.6)
    with pytest.raises(WorkerError, match=rf"the Ray cluster is lost \(its head at {address} has not answered for"):
        head.require()


def test_nothing_is_tried_where_no_cluster_is(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    require_head()
    nobody = f"127.0.0.1:{free_port()}"
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(nobody)
    with pytest.raises(WorkerError, match=rf"nothing answers at {nobody}; `ray stop` makes Ray forget this cluster"):
        require_head()
    for address in ("ray://head:10001", "auto", "local"):  # Ray judges these
        monkeypatch.setenv("RAY_ADDRESS", address)
        require_head()
    monkeypatch.setenv("RAY_ADDRESS", "localhost:99999")
    with pytest.raises(WorkerError, match="nothing answers at localhost:99999; correct or unset RAY_ADDRESS"):
        require_head()
