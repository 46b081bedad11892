"""Whatever interrupts a run, running it again gives the results of an uninterrupted run."""

import os
import resource
import signal

import pytest
from pipeline import assert_same, start, wait_for, write_spec

from designspace.errors import StorageError
from designspace.results.store import Results
from designspace.run.run import run
from designspace.spec import load


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESIGNSPACE_CACHE", str(folder / "cache"))
        results = run(load(write_spec(folder)), out=folder / "reports", progress=False)
        assert len(results.rows()) == 4
        yield results


@pytest.fixture
def spec(tmp_path):
    return write_spec(tmp_path)


def kept(cache, stage):
    return sorted((cache.root / stage).glob("*/*.safetensors"))


def resume(spec, tmp_path, **keywords):
    return run(load(spec), out=tmp_path / "reports", progress=False, **keywords)


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("images", [1, 5])
def test_killed_while_sampling(cache, spec, tmp_path, undisturbed, monkeypatch, images):
    monkeypatch.setenv("STAND_IN_PAUSE", "0.02")
    with start(spec, tmp_path / "reports") as process:
        wait_for(lambda: len(kept(cache, "images")) >= images, process)
        kill(process)
    monkeypatch.setenv("STAND_IN_PAUSE", "0")
    made = {path: path.stat().st_mtime_ns for path in kept(cache, "images")}
    assert images <= len(made) < 12
    assert_same(resume(spec, tmp_path), undisturbed)
    assert {path: path.stat().st_mtime_ns for path in made} == made  # no chunk was lost
    assert len(kept(cache, "images")) == 12


GUIDED = {
    "name": "guided",
    "data": "digits",
    "denoiser": {
        "name": "trained",
        "network": {"name": "mlp", "width": 32},
        "training_images": 1600,
        "batch_size": 64,
        "warm_up": 160,
        "labels": True,
        "label_dropout": 0.1,
        "snapshots": [0.25],
    },
    "design": "edm",
    "num_steps": 30,
    "grid": {
        "guidance": [
            "cfg",
            {"name": "interval", "weight": 2, "sigma_min": 0.1, "sigma_max": 5, "per": "step"},
            {"name": "autoguidance", "weight": 2, "snapshot": 0.25},
        ]
    },
    "evaluate": {"images": 600, "metrics": ["frechet"], "detector": "pixels", "labels": "balanced"},
}


def test_guided_sampling_that_is_terminated_and_killed(cache, tmp_path, monkeypatch):
    spec, made = write_spec(tmp_path, GUIDED), {}
    for images, end in ((2, signal.SIGTERM), (5, signal.SIGKILL)):
        with start(spec, tmp_path / "reports") as process:
            wait_for(lambda images=images: len(kept(cache, "images")) >= images, process)
            process.send_signal(end)
            process.communicate()
        assert process.returncode != 0
        made |= {path: path.stat().st_mtime_ns for path in kept(cache, "images") + kept(cache, "training")}
    assert len(kept(cache, "images")) < 9
    results = resume(spec, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in made} == made  # nothing was computed again
    assert len(kept(cache, "images")) == 9
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "empty"))
    assert_same(results, run(load(spec), out=tmp_path / "others", progress=False))


def test_killed_while_measuring(cache, spec, tmp_path, undisturbed, monkeypatch):
    monkeypatch.setenv("STAND_IN_STOP", str(tmp_path / "measuring"))
    with start(spec, tmp_path / "reports") as process:
        wait_for((tmp_path / "measuring").exists, process)
        kill(process)
    monkeypatch.delenv("STAND_IN_STOP")
    assert_same(resume(spec, tmp_path), undisturbed)


def test_killed_between_the_artefact_and_the_line(cache, spec, tmp_path, undisturbed):
    folder = tmp_path / "reports" / "small"
    with Results(folder)._lock(), start(spec, tmp_path / "reports") as process:
        wait_for(lambda: list(folder.glob("artefacts/*.safetensors")), process)
        kill(process)
    assert Results(folder).rows() == []
    assert_same(resume(spec, tmp_path), undisturbed)


def test_killed_while_writing_a_line(cache, spec, tmp_path, undisturbed):
    results = resume(spec, tmp_path)
    path = results.folder / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.warns(UserWarning, match=r"results\.jsonl:4"):
        assert_same(resume(spec, tmp_path), undisturbed)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:-9] + bytes([data[-9] ^ 16]) + data[-8:]]
)
@pytest.mark.parametrize("stage", ["images", "features", "floor", "reference"])
def test_damaged_files_of_the_cache_are_computed_again(cache, spec, tmp_path, undisturbed, stage, damage):
    resume(spec, tmp_path)
    (tmp_path / "reports" / "small" / "results.jsonl").unlink()
    good = {path: path.read_bytes() for path in kept(cache, stage)}
    for path, data in good.items():
        path.write_bytes(damage(data))
    if stage == "images":  # else they are not looked at
        for path in kept(cache, "features"):
            path.unlink()
    with pytest.warns(UserWarning, match=f"cache/{stage}/.* damaged"):
        assert_same(resume(spec, tmp_path), undisturbed)
    assert len(list((cache.root / "damaged").iterdir())) == len(good)
    assert kept(cache, stage) == sorted(good)


def test_a_full_disk_keeps_what_is_finished(cache, tmp_path, undisturbed, monkeypatch):
    """Files are limited to the size of three lines of results, which looks like a full disk to a program."""
    spec, limit = write_spec(tmp_path), int(3.5 / 4 * (undisturbed.folder / "results.jsonl").stat().st_size)

    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # Python would write truncated files, which other tests read

    def fill_the_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    with start(spec, tmp_path / "reports", preexec_fn=fill_the_disk) as process:
        _, errors = process.communicate()
    folder = tmp_path / "reports" / "small"
    assert f"StorageError: cannot write {folder / 'results.jsonl'}: File too large" in errors
    assert process.returncode == 1
    assert len(Results(folder).rows()) == 3
    assert not list(tmp_path.glob("**/*.part"))
    assert_same(resume(spec, tmp_path), undisturbed)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_is_not_writable_is_a_clear_error(cache, spec, tmp_path):
    cache.root.mkdir()
    cache.root.chmod(0o500)
    with pytest.raises(StorageError, match=r"cannot write .*/cache/.*: Permission denied"):
        resume(spec, tmp_path)


def test_workers_end_with_a_killed_run(cache, spec, tmp_path, undisturbed, monkeypatch):
    monkeypatch.setenv("STAND_IN_STOP", str(tmp_path / "measuring"))
    with start(spec, tmp_path / "reports", workers=2) as process:
        wait_for((tmp_path / "measuring").exists, process)
        kill(process)
    monkeypatch.delenv("STAND_IN_STOP")
    assert_same(resume(spec, tmp_path), undisturbed)  # it would wait for ever for workers that still hold their trials


def test_the_trial_of_a_killed_process_is_taken_over(cache, spec, tmp_path, undisturbed, monkeypatch):
    monkeypatch.setenv("STAND_IN_PAUSE", "0.05")
    with start(spec, tmp_path / "reports") as dying:
        wait_for(lambda: kept(cache, "images"), dying)
        with start(spec, tmp_path / "reports") as heir:
            wait_for(lambda: len(kept(cache, "images")) >= 6, heir)
            kill(dying)
            _, errors = heir.communicate()
            assert heir.returncode == 0, errors
    assert_same(Results(tmp_path / "reports" / "small"), undisturbed)
