"""Trials on a Ray cluster give the same results as in one process."""

import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec

import pytest
from pipeline import assert_same, write_spec
from training_stand_in import SPEC

from designspace import load, run
from designspace.run import ray as executor

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


@pytest.fixture(scope="module", autouse=True)
def ray():
    """One cluster for all tests of this file, started as a run starts it. Two at once starve each other of time."""
    os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")  # other tests may fill the memory
    with executor._cluster() as package:
        yield package


def go(tmp_path, monkeypatch, name, spec=None, **keywords):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / f"cache_{name}"))
    return run(load(write_spec(tmp_path, **(spec or {}))), out=tmp_path / name, **{"progress": False, **keywords})


def test_workers_on_ray_give_the_same_results(tmp_path, monkeypatch, capfd):
    alone = go(tmp_path, monkeypatch, "alone")
    assert_same(go(tmp_path, monkeypatch, "ray", executor="ray", workers=2, progress=True), alone)
    assert capfd.readouterr().err.count("chunk") == 12
    made = [sorted(path.name for path in (tmp_path / f"cache_{name}").glob("images/*/*")) for name in ("alone", "ray")]
    assert made[0] == made[1]
    assert len(made[0]) > 3


def test_what_fails_on_ray_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "REPLACED", 1)  # one trial kills each worker
    spec = {"grid": {"denoiser.fail": ["", "raise", "exit", "die"], "num_steps": [3]}}
    results = go(tmp_path, monkeypatch, "failing", spec, executor="ray", workers=2)
    assert len(results.rows()) == 1
    assert {re.split(r", Ray| in /| \(/", row.error)[0] for row in results.failures} == {
        "denoiser 'stand_in_denoiser': no such luck second line",
        "EndedError: sys.exit(0)",
        "its process ended early",
    }


def test_a_run_goes_on_without_its_queue_of_events(ray, tmp_path, monkeypatch):
    pass_on = executor._pass_on

    def lose(events, report):
        ray.kill(events.actor)
        pass_on(events, report)

    monkeypatch.setattr(executor, "_pass_on", lose)
    results = go(tmp_path, monkeypatch, "alone", executor="ray", workers=2)
    assert len(results.rows()) == 4
    assert results.failures == []


def test_a_worker_on_ray_saves_its_training_when_the_run_is_interrupted(ray, tmp_path):
    spec = SPEC | {"denoiser": SPEC["denoiser"] | {"training_images": 10**8}, "grid": {"solver": ["euler"]}}
    status, said = _interrupted(ray, tmp_path / "first", spec)
    if "discovered a bug in Ray" in said:  # its driver rarely aborts while a task is cancelled
        status, said = _interrupted(ray, tmp_path / "second", spec)
    assert status == 143, said
    assert "run again to continue" in said
    saved = [*tmp_path.rglob("cache/training/**/*.safetensors")][-1]
    assert saved.stat().st_size > 1000


def _interrupted(ray, folder, spec):
    """The exit status and messages of a run that gets SIGTERM while it trains."""
    folder.mkdir()
    command = [sys.executable, "-m", "designspace", "run", write_spec(folder, **spec), "--out", folder / "reports"]
    cluster = {"RAY_ADDRESS": ray.get_runtime_context().gcs_address, executor.LOCAL_ONLY: "0"}
    environment = os.environ | cluster | {"DESIGNSPACE_CACHE": str(folder / "cache")}
    process = subprocess.Popen([*command, "--executor", "ray"], stderr=subprocess.PIPE, text=True, env=environment)
    said = ""
    while "training:" not in said:
        said += process.stderr.readline() or pytest.fail(said)
    process.send_signal(signal.SIGTERM)
    said += process.communicate(timeout=120)[1]
    return process.returncode, said


def test_a_cluster_of_our_own_cannot_be_reached_from_elsewhere():
    import psutil  # a copy that comes with Ray

    processes = psutil.Process().children(recursive=True)
    heard = {
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert {address.removeprefix("::ffff:") for address in heard} == {"127.0.0.1"}
    assert executor.LOCAL_ONLY not in os.environ


def test_components_that_ray_cannot_find_are_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    ablation = load(write_spec(tmp_path)).model_copy(update={"components": ()})
    message = r"a worker cannot work: .*stand_in_.*\(your own components must be in files that the ablation lists"
    with pytest.raises(RuntimeError, match=message):
        run(ablation, out=tmp_path / "reports", executor="ray", progress=False)
