"""Processes that are started separately with the same command, as by `srun`, share the work."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from pipeline import assert_same, write_spec

from designspace.interrupts import PATIENCE, Interrupted, finishing, handled
from designspace.results.store import Results
from designspace.run import stages
from designspace.run.claims import Claims
from designspace.run.job import Job, part_of_step
from designspace.run.run import run
from designspace.spec import load
from designspace.storage.cache import Cache


def as_srun(spec, folder, caches):
    """What each of the processes prints that ``srun`` starts, one for each cache."""
    command = [sys.executable, "-m", "designspace", "run", spec, "--out", folder, "--device", "auto"]
    tasks = str(len(caches))
    with ExitStack() as stack:
        processes = []
        for i, cache in enumerate(caches):
            slurm = {"PROCID": str(i), "LOCALID": str(i), "STEP_NUM_TASKS": tasks, "STEP_TASKS_PER_NODE": tasks}
            environment = os.environ | {f"SLURM_{name}": value for name, value in slurm.items()}
            process = subprocess.Popen(
                command, env=environment | {"DESIGNSPACE_CACHE": str(cache)}, text=True, stdout=-1, stderr=-1
            )
            processes.append(stack.enter_context(process))
        said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(caches), said
    return said


@pytest.mark.parametrize("caches", [["one"] * 4, ["one", "another"]], ids=["one cache", "two caches"])
def test_processes_share_a_folder_of_results(tmp_path, monkeypatch, caches):
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("STAND_IN_PAUSE", "0.01")
    spec = write_spec(tmp_path)
    said = as_srun(spec, tmp_path / "reports", [tmp_path / cache for cache in caches])
    results = Results(tmp_path / "reports" / "small")
    assert len((results.folder / "results.jsonl").read_text().splitlines()) == 4
    assert (tmp_path / "log").read_text().count("D") == 3 * (3 + 4 + 5 + 7)  # nothing was computed twice
    assert len({out for out, _ in said}) == 1  # the same report
    computed = [re.findall(r"^\[\d/\d\] (.*): stand_in_metric", err, re.MULTILINE) for _, err in said]
    assert sorted(name for names in computed for name in names) == sorted(
        f"solver={s}, num_steps={n}" for s in ("euler", "heun") for n in (3, 4)
    )
    for _, err in said:
        assert "Traceback" not in err
        rest = 4 - sum(map(int, re.findall(r"(\d) already done", err)))  # it may start when others have results
        assert err.count("stand_in_metric") + err.count("computed by another process") == rest
        assert f"[{rest}/{rest}] " in err or not rest
    assert not [path.name for path in results.folder.glob(".*") if path.name not in (".results.lock", ".ablation.lock")]
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "alone"))
    assert_same(results, run(load(spec), out=tmp_path / "alone", progress=False))


def test_processes_of_srun_begin_at_different_trials(tmp_path, monkeypatch):
    assert part_of_step() == (0, 1)
    points = tuple(load(write_spec(tmp_path)).points())
    firsts = []
    for i in range(2):
        monkeypatch.setenv("SLURM_PROCID", str(i))
        monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
        job = Job("small", points, tmp_path, "cpu", None, None, (), "", part_of_step())
        firsts += [job.first(worker, 2) for worker in range(2)]
    assert firsts == [0, 1, 2, 3]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_of_a_cluster_lets_the_chunk_finish(tmp_path, monkeypatch, number):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    generate, calls = stages.generate, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            signal.raise_signal(number)
        return generate(*arguments)

    monkeypatch.setattr(stages, "generate", interrupted)
    with pytest.raises(Interrupted) as error:
        run(load(write_spec(tmp_path)), out=tmp_path / "reports", progress=False)
    assert error.value.status == 128 + number
    assert len(list((Cache().root / "images").glob("*/*"))) == 2
    assert not list((Cache().root / "locks").glob("chunk-*"))


def _compute(number):
    """A chunk that takes a minute, in the middle of which a signal comes."""
    with finishing():
        signal.raise_signal(number)
        time.sleep(60)


def test_a_chunk_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr("designspace.interrupts.PATIENCE", 0.02)
    assert PATIENCE > 1
    before = signal.getsignal(signal.SIGALRM)
    with handled(), pytest.raises(Interrupted):
        _compute(signal.SIGTERM)
    assert signal.getsignal(signal.SIGALRM) == before


def test_ctrl_c_does_not_wait_for_the_chunk():
    with handled(), pytest.raises(Interrupted):
        _compute(signal.SIGINT)


def test_claims_after_a_failure_are_those_of_the_batches_before(tmp_path):
    """So the failure that is recorded is that of the first chunk that fails, even if another process had claimed it."""
    batches = [[range(0, 200), range(200, 400)], [range(400, 600)], [range(600, 650)]]
    claims, other = (Claims(Cache(tmp_path), "x", batches, lambda chunk: False) for _ in range(2))
    with claims, other:
        assert next(other.taken()) == range(0, 200)
        assert next(claims.taken()) == range(400, 600)
        claims.only_before_last()
        assert list(claims.taken()) == []
        other.only_before_last()  # gives up its claim
        assert list(claims.taken()) == [range(0, 200), range(200, 400)]
    assert not list((tmp_path / "locks").iterdir())


def test_only_what_is_missing_of_a_batch_is_computed(tmp_path):
    batches, made = [[range(0, 200)], [range(200, 400), range(400, 450)]], {range(0, 200)}
    with Claims(Cache(tmp_path), "x", batches, made.__contains__) as claims:
        assert (claims.done, claims.total) == (1, 3)
        made.add(range(200, 400))
        assert next(claims.taken()) == range(400, 450)
        made.add(range(400, 450))
        claims.release()
        assert not list((tmp_path / "locks").iterdir())
        assert list(claims.taken(wait=True)) == []
        assert claims.done == 3


def test_the_looks_at_files_grow_in_proportion_to_the_chunks(tmp_path):
    """On a network file system, each may take a millisecond."""
    looks, made, other = [], set(), Claims(Cache(tmp_path), "x", [[range(0, 1)]], lambda chunk: False)

    def is_done(chunk):
        looks.append(chunk)
        return chunk in made

    batches = [[range(k, k + 1)] for k in range(100)]
    with other, Claims(Cache(tmp_path), "x", batches, is_done) as claims:
        assert next(other.taken()) == range(0, 1)  # what another process holds is looked at again and again
        for chunk in claims.taken():
            made.add(chunk)
            claims.release()
        assert len(made) == claims.done == 99
    assert len(looks) <= 6 * 100
