"""The pipeline: what a run computes, what it reuses, and what it prints."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from pipeline import SPEC, assert_same, write_spec

from designspace.data.images import Images
from designspace.data.rows import Data
from designspace.denoising.rows import Denoiser
from designspace.errors import DataError
from designspace.interrupts import EndedError, Interrupted
from designspace.results.store import Results
from designspace.results.uncertainty import standard_error
from designspace.run.batch import on_cpu
from designspace.run.estimate import dry_run
from designspace.run.generate import chunks, generate
from designspace.run.job import Job
from designspace.run.labels import labels_for, require_labels
from designspace.run.run import run
from designspace.run.worker import Worker
from designspace.spec import SpecError, load
from designspace.storage.provenance import git_state, now

CPU = torch.device("cpu")
EVALUATE = SPEC["evaluate"]

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def evaluations(tmp_path, monkeypatch):
    """The number of uses of denoiser, detector and data since the last call."""
    log = tmp_path / "log"
    monkeypatch.setenv("STAND_IN_LOG", str(log))

    def count():
        text = log.read_text() if log.exists() else ""
        log.write_text("")
        return {letter: text.count(letter) for letter in "DFR"}

    return count


def go(tmp_path, overrides=(), out="reports", spec=None, **keywords):
    path = write_spec(tmp_path, **(spec or {}))
    ablation = load(path, overrides)
    if log := os.environ.get("STAND_IN_LOG"):
        Path(log).write_text("")  # the check of the components does not count
    return run(ablation, out=tmp_path / out, **{"progress": False, **keywords})


def test_a_row_says_what_was_measured_and_how(tmp_path):
    results = go(tmp_path)
    frame = results.frame.set_index(["solver", "num_steps"])
    assert frame["nfe"].to_dict() == {("euler", 3): 3, ("euler", 4): 4, ("heun", 3): 5, ("heun", 4): 7}
    row = results.rows()[0]
    assert list(row.plain())[:5] == ["schema", "id", "ablation", "trial", "seed"]
    assert row.plain()["schema"] == 1
    assert row.ablation == "small"
    assert row.axes == {"solver": "euler", "num_steps": 3}
    assert (row.images, row.features, row.seed) == (450, 5, 0)
    assert row.sigmas == pytest.approx([80, (80 ** (1 / 7) / 2 + 0.002 ** (1 / 7) / 2) ** 7, 0.002, 0])
    assert row.metrics["frechet"].protocol == "FD-stand_in"
    assert row.metrics["stand_in_metric"].protocol == "STAND_IN_METRIC-stand_in"
    assert row.metrics["frechet"].floor_n == 30
    assert all(seconds > 0 for seconds in row.seconds.values())
    assert row.provenance["versions"]["torch"] == torch.__version__
    assert row.provenance["device"].startswith("cpu")
    artefact = results.artefact(row.id)
    assert artefact["influence.frechet"].shape == artefact["pairs.frechet"].shape == (450,)
    se = standard_error(artefact["influence.frechet"], artefact["pairs.frechet"])
    assert se == pytest.approx(row.metrics["frechet"].se, rel=1e-5)
    assert row.protocol.stands_for == "sample"  # the denoiser does not read the data set
    assert row.metrics["frechet"].both_corrected < row.metrics["frechet"].bias_corrected
    assert artefact["images"].shape == (8, 1, 4, 4)
    assert results.failures == []


def test_what_the_report_needs_is_written_once(tmp_path):
    go(tmp_path)
    path = tmp_path / "reports" / "small" / "ablation.json"
    about, written = json.loads(path.read_text()), path.stat().st_mtime_ns
    assert about["question"] == "Does the pipeline work?"
    assert about["axes"] == ["solver", "num_steps"]
    assert about["metrics"] == ["stand_in_metric", "frechet"]
    assert about["baseline"]["design"] == "edm"
    assert about["sources"]["solver/heun"][0].keys() == {"authors", "year", "title", "url"}
    assert [point["axes"] for point in about["points"]][:2] == [
        {"solver": "euler", "num_steps": 3},
        {"solver": "euler", "num_steps": 4},
    ]
    go(tmp_path)
    assert path.stat().st_mtime_ns == written


def test_nothing_is_computed_twice(tmp_path, evaluations):
    results = go(tmp_path)
    assert evaluations() == {"D": 3 * (3 + 4 + 5 + 7), "F": 4 * 3 + 1, "R": 1}
    assert_same(go(tmp_path), results)
    assert evaluations() == {"D": 0, "F": 0, "R": 0}
    (results.folder / "results.jsonl").unlink()
    assert_same(go(tmp_path), results)
    assert evaluations() == {"D": 0, "F": 0, "R": 0}


def test_another_metric_or_detector_uses_the_images_that_are_there(tmp_path, evaluations):
    go(tmp_path)
    evaluations()
    go(tmp_path, ["evaluate.metrics=[frechet]"])
    assert evaluations() == {"D": 0, "F": 0, "R": 0}
    go(tmp_path, ["evaluate.detector={name: stand_in_detector, seed: 1}"])
    assert evaluations() == {"D": 0, "F": 4 * 3 + 1, "R": 1}


def test_more_images_use_the_chunks_that_are_there(tmp_path, evaluations):
    go(tmp_path, ["evaluate.images=400"])
    evaluations()
    results = go(tmp_path, ["evaluate.images=650"])
    assert evaluations()["D"] == 2 * (3 + 4 + 5 + 7)
    assert set(results.frame["images"]) == {650}
    assert_same(go(tmp_path, ["evaluate.images=650"], out="other"), results)


def test_two_points_that_are_one_trial_are_computed_once(tmp_path, evaluations):
    spelt = ["edm", {"name": "edm", "rho": 7}, {"name": "edm", "rho": 8}]
    results = go(tmp_path, spec={"grid": {"num_steps": [3], "time_steps": spelt}})
    assert evaluations()["D"] == 2 * 3 * 5
    assert len(results.rows()) == 3
    assert len({row.id for row in results.rows()}) == 2


def test_a_trial_that_raises_is_recorded_and_the_others_finish(tmp_path):
    spec = {"grid": {"denoiser.fail": ["", "raise", "diverge"], "num_steps": [3]}}
    results = go(tmp_path, spec=spec)
    assert [row.axes["denoiser.fail"] for row in results.rows()] == [""]
    raised, diverged = results.failures
    assert raised.axes == {"denoiser.fail": "raise", "num_steps": 3}
    assert raised.error.startswith("denoiser 'stand_in_denoiser': no such luck second line (")
    assert "stand_ins.py:" in raised.error
    assert "stand_ins.py" in raised.traceback
    assert diverged.error.startswith("NotFiniteError: 200 of the images 0 to 199 are not finite (0, 1, 2, 3, 4, 5, 6,")
    assert "(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...): denoiser 'stand_in_denoiser' gave NaN at step 1 of 3, sigma 80." in (
        diverged.error
    )
    assert diverged.not_finite == list(range(200))
    assert len(go(tmp_path, spec=spec).failures) == 2  # tried again, said again
    assert go(tmp_path, spec=spec | {"grid": {"num_steps": [3]}}).failures == []  # of this ablation's points only


@pytest.mark.parametrize("workers", [1, 2])
def test_code_that_fails_or_ends_the_process_fails_its_trial_only(tmp_path, workers):
    killed = ["die"] if workers > 1 else []
    spec = {"grid": {"denoiser.fail": ["", "raise", "exit", "interrupt", *killed], "num_steps": [3]}}
    results = go(tmp_path, spec=spec, workers=workers)
    assert [row.axes["denoiser.fail"] for row in results.rows()] == [""]
    errors = {row.axes["denoiser.fail"]: row.error for row in results.failures}
    assert errors["raise"].startswith("denoiser 'stand_in_denoiser': no such luck second line (")
    for died in killed:  # both workers, one after the other
        assert errors[died].startswith("its process ended early, with exit")
        assert "[-9, -9]" in errors[died]
    assert re.match(r"EndedError: sys\.exit\(0\) in .*stand_ins\.py:\d+ would end the whole run", errors["exit"])
    assert "raise KeyboardInterrupt in " in errors["interrupt"]


def test_code_that_ends_the_process_before_the_first_trial_is_an_error(tmp_path, monkeypatch):
    evaluate = {"images": 20, "labels": "data", "detector": "pixels", "metrics": ["frechet"]}
    ablation = load(write_spec(tmp_path, data="digits", denoiser="exact", evaluate=evaluate))
    monkeypatch.setattr(type(ablation.points()[0].trial.data), "load", lambda self: sys.exit(0))
    with pytest.raises(EndedError, match=r"sys\.exit\(0\) in .*test_run\.py"):
        run(ablation, out=tmp_path / "reports")


def test_handlers_of_signals_are_restored(tmp_path):
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in signals]
    go(tmp_path, spec={"grid": {"num_steps": [3]}})
    assert [signal.getsignal(number) for number in signals] == before
    thread = Thread(target=go, args=(tmp_path, (), "other"))  # where no handler can be installed
    thread.start()
    thread.join()
    assert len(Results(tmp_path / "other" / "small").rows()) == 4


def test_images_that_are_not_finite_are_named_not_averaged_in(tmp_path):
    trial = load(write_spec(tmp_path)).trials()[0]

    class Broken:
        shape = (1, 4, 4)

        def bind(self, labels):

            def D(x, sigma):
                x = x.clone()
                x[[1, 3] if len(x) == 5 else []] = math.nan
                return x

            return D

    with pytest.raises(FloatingPointError, match=r"2 of the images 200 to 206 are not finite \(201, 203\)") as error:
        generate(trial, Broken(), None, range(200, 207), CPU, batch_size=5)
    assert error.value.images == [201, 203]


def test_the_protocol_is_recorded_and_hashed(tmp_path):
    """It holds what numbers depend on besides the configuration; the seed is not part of the hash."""
    grid = {"grid": {"solver": ["euler", "heun"], "num_steps": [3]}}
    rows = go(tmp_path, ["evaluate.repeats=2"], spec=grid).rows()
    one = rows[0].protocol
    assert [row.protocol.seed for row in rows] == [0, 1, 0, 1]
    assert {row.protocol.hash for row in rows} == {one.hash}
    assert (one.name, one.images, one.labels, one.resize) == ("FD-stand_in", 450, "none", "its own")
    assert one.pixels == "uint8: 127.5 x + 128, clipped to 0..255, truncated"
    assert one.reference["content"] == "sixty images of 4 x 4"
    assert (one.reference["images"], one.reference["known"]) == (60, "features")
    others = (["evaluate.images=300"], ["evaluate.labels=balanced"], ["evaluate.detector.seed=1"])
    hashes = [go(tmp_path, other, out=f"{k}", spec=grid).rows()[0].protocol.hash for k, other in enumerate(others)]
    assert len({*hashes, one.hash}) == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_is_finished(tmp_path, monkeypatch, number):
    from designspace.run import worker

    evaluate, calls = worker.evaluate, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            signal.raise_signal(number)
        return evaluate(*arguments)

    monkeypatch.setattr(worker, "evaluate", interrupted)
    with pytest.raises(Interrupted, match=r"^interrupted; run again to continue$") as interrupted:
        go(tmp_path)
    assert interrupted.value.status == 128 + number
    monkeypatch.undo()
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    assert len((tmp_path / "reports" / "small" / "results.jsonl").read_text().splitlines()) == 2
    assert len(go(tmp_path).rows()) == 4


def test_workers_give_the_same_results(tmp_path, cache, monkeypatch):
    """They do not import the user's main script, so it need not stand under ``if __name__ == "__main__":``."""
    results = go(tmp_path)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "other_cache"))
    script = tmp_path / "script.py"
    script.write_text("import designspace as ds\nds.run(ds.load('small.yaml'), workers=2, out='out')\n")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_same(Results(tmp_path / "out" / "small"), results)
    assert done.stdout == ""
    assert done.stderr.count("chunk") == 12
    assert "Warning" not in done.stderr
    mine, others = cache.root / "images", tmp_path / "other_cache" / "images"
    names = sorted(path.relative_to(mine) for path in mine.glob("*/*"))
    assert names == sorted(path.relative_to(others) for path in others.glob("*/*"))


def test_a_worker_that_dies_is_mentioned_if_the_others_do_its_work(tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN_ONCE", str(tmp_path / "once"))
    with pytest.warns(UserWarning, match=r"a worker ended early, with exit statuses \[(-9, 0|0, -9)\] .* all trials"):
        results = go(tmp_path, spec={"grid": {"denoiser.fail": ["die_once", ""], "num_steps": [3]}}, workers=2)
    assert len(results.rows()) == 2
    assert results.failures == []


def test_components_that_workers_cannot_find_are_a_clear_error(tmp_path):
    ablation = load(write_spec(tmp_path)).model_copy(update={"components": ()})
    message = r"a worker cannot work: .*stand_in_.*\(your own components must be in files that the ablation lists"
    with pytest.raises(RuntimeError, match=message):
        run(ablation, out=tmp_path / "reports", workers=2, progress=False)


def test_progress_is_one_line_per_chunk_with_the_time_left(tmp_path, capsys):
    go(tmp_path, progress=True)
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0] == "4 trials to do"
    assert lines[1].startswith("[0/4] solver=euler, num_steps=3: chunk 1/3, ")
    assert lines[1].endswith(" s left")
    assert lines[4].startswith("[1/4] solver=euler, num_steps=3: stand_in_metric ")
    assert len(lines) == 1 + 4 * (3 + 1)
    go(tmp_path, progress=True)
    assert capsys.readouterr().err == "0 trials to do, 4 already done\n"


def test_bars_on_a_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("STAND_IN_PAUSE", "0.05")  # long enough to be drawn
    go(tmp_path, progress=True, spec={"grid": {"num_steps": [3]}})
    said = capsys.readouterr().err
    assert "1/1" in said
    assert "chunk 2/3" in said


EXECUTORS = "Known: local, ray, slurm"
DEVICES = "Known: cpu, cuda, mps, xpu, cuda:all, auto"
WRONG = {
    "executor": ("dask", rf"executor: unknown executor 'dask'\. {EXECUTORS}\."),
    "executor, nearly": ("locl", rf"executor: unknown executor 'locl'\. Did you mean 'local'\? {EXECUTORS}\."),
    "slurm": ("time=60", "slurm: is for the executor slurm, not for 'local'"),
    "workers": (0, "workers: should be at least 1, not 0"),
    "batch_size": (0, "batch_size: should be at least 1, not 0"),
    "device": (
        "cdua",
        r"device cdua: there is no such device\. Did you mean 'cuda'\? Known: cpu, cuda, mps, xpu, cuda:all, auto\.",
    ),
    "device, absent": ("cuda:99", r"device cuda:99: PyTorch cannot use it\. It can use: cpu"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_options_are_refused_before_anything_is_written(case, tmp_path):
    value, message = WRONG[case]
    with pytest.raises(ValueError, match=f"^{message}") as error:
        go(tmp_path, **{case.partition(",")[0]: value})
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "reports").exists()


class Unscanned(dict):
    """A dict whose keys can be looked up, but not gone through."""

    def __iter__(self):
        raise AssertionError("all lines were gone through")

    keys = items = values = __iter__


def test_whether_a_trial_is_settled_is_looked_up(tmp_path):
    """Once for each trial of a run: going through all lines would take a time quadratic in their number."""
    ablation = load(write_spec(tmp_path))
    job = Job("small", tuple(ablation.points()), tmp_path, "cpu", 200, None, (), "2020-01-01")
    results = Results(tmp_path)
    first, second, third, _ = job.trials.values()
    job.fail(results, second, "failed")
    done = go(tmp_path, spec={"grid": {"solver": ["euler"], "num_steps": [3]}})
    results.append(done.rows()[0].model_copy(update={"axes": first[0].axes}))
    for file in (results._results, results._failures):
        file.of_trial("")  # gathers the lines of each trial once
        file._found = Unscanned(file._found)
    assert [job.settled(results, points) for points in (first, second, third)] == [True, True, False]
    assert not replace(job, started="9999-12-31").settled(results, second)  # a later run tries again
    assert [row.axes for row in results.of_trial(first[0].trial.id)] == [first[0].axes]
    with pytest.raises(AssertionError, match="gone through"):
        results.done()


def test_few_images_are_warned_of_once(tmp_path, recwarn):
    go(tmp_path, ["evaluate.images=49"])
    assert [str(w.message).partition(":")[0] for w in recwarn] == ["49 images are fewer than 10 x 5 features"]
    recwarn.clear()
    go(tmp_path, ["evaluate.images=50"], out="enough")
    assert not len(recwarn)


def test_few_images_spoil_frechet_distances_only(tmp_path, recwarn):
    go(tmp_path, ["evaluate.images=49", "evaluate.metrics=[stand_in_metric]"])
    assert not len(recwarn)
    go(tmp_path, ["evaluate.images=49", "evaluate.metrics=[fid_infinity]"], out="infinity")
    assert [str(w.message).partition(":")[0] for w in recwarn] == ["49 images are fewer than 10 x 5 features"]
    recwarn.clear()
    go(tmp_path, ["evaluate.images=49"], out="frechet")
    assert str(recwarn[0].message) == "49 images are fewer than 10 x 5 features: Fréchet distances are too high"


def test_a_line_without_metrics_is_not_done(tmp_path, recwarn):
    results = go(tmp_path)
    reference = results.frame
    path = results.folder / "results.jsonl"
    first, *rest = path.read_text().splitlines()
    damaged = json.dumps({key: value for key, value in json.loads(first).items() if key not in ("metrics", "sha256")})
    path.write_text("\n".join([damaged, *rest]) + "\n")
    recwarn.clear()
    again = go(tmp_path)
    frame = again.frame.set_index("id").loc[reference["id"]].reset_index()
    (said,) = recwarn
    assert "results.jsonl:1: not a result, skipped (no usable 'metrics')" in str(said.message)
    assert frame["frechet"].tolist() == reference["frechet"].tolist()
    assert len(path.read_text().splitlines()) == 5


def test_artefacts_are_made_again_without_sampling(tmp_path, evaluations, cache):
    results = go(tmp_path)
    kept = {row.id: results.artefact(row.id) for row in results.rows()}
    gone, damaged, *_ = sorted((results.folder / "artefacts").iterdir())
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1])
    lines = (results.folder / "results.jsonl").read_bytes()
    evaluations()
    with pytest.warns(UserWarning, match="damaged"):
        again = go(tmp_path)
    assert evaluations() == {"D": 0, "F": 0, "R": 0}
    for id, tensors in kept.items():
        assert all(np.array_equal(again.artefact(id)[name], array) for name, array in tensors.items())
    assert (results.folder / "results.jsonl").read_bytes() == lines
    shutil.rmtree(cache.root)
    gone.unlink()
    go(tmp_path)
    assert evaluations() == {"D": 0, "F": 0, "R": 0}  # with no features left, nothing is sampled for it
    assert not gone.exists()


LABELS = {
    "absent": ({"denoiser": "exact"}, "[0, 77]", "the data set has no image of class 77; it has the classes 0 to 2"),
    "no labels": ({"denoiser": "exact", "data": "unlabelled"}, "[0]", "the data set has no labels; use labels: none$"),
    "data": ({"data": "unlabelled"}, "data", "the data set has no labels; use labels: none, or a list of labels"),
    "balanced": (
        {"data": "unlabelled"},
        "balanced",
        "the data set has no labels; use labels: none, or a list of labels",
    ),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_that_the_data_does_not_have(case, tmp_path):
    spec, labels, message = LABELS[case]
    if spec.get("data") == "unlabelled":
        np.savez(tmp_path / "images.npz", np.zeros((3, 4, 4, 1), dtype=np.uint8))
        spec = spec | {"data": {"name": "npz", "path": "./images.npz"}}
    ablation = load(write_spec(tmp_path, **spec), [f"evaluate.labels={labels}"])
    for attempt in (run, dry_run):
        with pytest.raises(SpecError, match=rf"--set evaluate\.labels=.*: {message}"):
            attempt(ablation, out=tmp_path / "reports")
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(
    ("denoiser", "labels", "message"),
    [
        ("exact", "[3]", "the data set has no image of class 3; it has the classes 0, 2$"),
        ("gaussian_mixture", "[0, 2]", "denoiser gaussian_mixture knows the classes 0 to 1, not 2$"),
        ("gaussian_mixture", "balanced", "denoiser gaussian_mixture knows the classes 0 to 1, not 2$"),
        ("{name: pretrained, model: digits}", "[0]", "the network is trained without class labels"),
    ],
)
def test_classes_that_nobody_has_are_refused_by_check(denoiser, labels, message, tmp_path):
    pixels = np.arange(64, dtype=np.uint8).reshape(4, 4, 4, 1)
    np.savez(tmp_path / "gaps.npz", pixels, np.array([0, 2, 2, 0]))
    path = write_spec(tmp_path, data={"name": "npz", "path": "./gaps.npz"})
    ablation = load(path, [f"denoiser={denoiser}", f"evaluate.labels={labels}"])
    with pytest.raises(SpecError, match=rf"--set evaluate\.labels=.*: ({message})"):
        require_labels(ablation)


def test_a_list_of_labels_is_the_networks_own_business(tmp_path):
    assert len(go(tmp_path, ["evaluate.labels=[77]"]).rows()) == 4


def test_wrong_labels_are_named_where_they_are_written(tmp_path):
    path = write_spec(tmp_path, denoiser="exact", grid={"evaluate.labels": ["none", [0, 77]], "num_steps": [3]})
    with pytest.raises(SpecError, match=r"small\.yaml:\d+:\d+: grid\.evaluate\.labels\.1: the data set has no image"):
        run(load(path), out=tmp_path / "reports")


def test_a_dry_run_says_what_is_to_do_and_does_nothing(tmp_path, cache):
    spec = write_spec(tmp_path)
    rows = dry_run(load(spec), out=tmp_path / "reports")
    assert rows[0].axes == {"solver": "euler", "num_steps": 3}
    assert [row.nfe for row in rows] == [3, 4, 5, 7]
    assert all((row.images, row.done, row.cached) == (450, False, 0) for row in rows)
    assert all(0 < row.seconds == pytest.approx(sum(row.parts.values())) for row in rows)
    sampling = [row.parts["sampling"] for row in rows]
    assert (sampling[3] - sampling[0]) / (sampling[1] - sampling[0]) == pytest.approx(4)  # linear in NFE
    assert ["reference" in row.parts for row in rows] == [True, False, False, False]
    assert rows[0].parts["metrics"] > rows[1].parts["metrics"] > 0  # with the floor and the draws
    assert not (tmp_path / "reports").exists()
    assert not cache.root.exists()
    run(load(spec), out=tmp_path / "reports", progress=False)
    after = dry_run(load(spec), out=tmp_path / "reports")
    assert all((row.done, row.cached, row.seconds) == (True, 1, 0) for row in after)


def test_a_dry_run_counts_the_chunks_in_the_cache(tmp_path, cache):
    spec, out = write_spec(tmp_path), tmp_path / "reports"
    run(load(spec), out=out, progress=False)
    more = dry_run(load(spec, ["evaluate.images=650"]), out=out)
    assert [row.cached for row in more] == [pytest.approx(400 / 650)] * 4  # the third chunk had 50 images


def test_a_dry_run_names_the_trials_that_fail(tmp_path):
    spec = {"grid": {"denoiser.fail": ["", "raise", "exit"], "num_steps": [3]}}
    fine, raises, exits = dry_run(load(write_spec(tmp_path, **spec)), out=tmp_path / "reports")
    assert (fine.error, fine.seconds > 0) == (None, True)
    assert (raises.error, raises.seconds) == ("ValueError: no such luck second line", None)
    assert exits.error.startswith("EndedError: sys.exit(0) in ")


def test_a_dry_run_counts_the_evaluations_of_measured_time_steps_and_diagnostics(tmp_path):
    """With four images each, which share a solution of 1,025 evaluations, they cost more than sampling."""
    steps = {"name": "equal_error", "images": 4}
    metrics = [{"name": "truncation_error", "images": 4}, "frechet"]
    spec = {"grid": {"num_steps": [3]}, "design": {"preset": "edm", "solver": "euler", "time_steps": steps}}
    (row,) = dry_run(load(write_spec(tmp_path, **spec), [f"evaluate.metrics={json.dumps(metrics)}"]), out=tmp_path)
    each = row.parts["sampling"] / (450 * 3)
    assert row.parts["time_steps"] / each == pytest.approx(4 * 1025, rel=0.1)
    assert row.parts["observations"] / each == pytest.approx(4 * 1025, rel=0.1)


def test_repeats_have_names(tmp_path, capsys):
    spec = write_spec(tmp_path, grid={"num_steps": [3]}, evaluate=EVALUATE | {"repeats": 2})
    assert [row.repeat for row in dry_run(load(spec), out=tmp_path)] == [1, 2]
    run(load(spec), out=tmp_path / "reports")
    said = capsys.readouterr().err
    assert "[0/2] num_steps=3, repeat 1 of 2: chunk 1/3" in said
    assert "[2/2] num_steps=3, repeat 2 of 2: stand_in_metric" in said


def test_one_trial_is_singular(tmp_path, capsys):
    go(tmp_path, spec={"grid": {"num_steps": [3]}}, progress=True)
    assert capsys.readouterr().err.startswith("1 trial to do\n")


class Watched:
    """The ideal denoiser of a Gaussian, which records the first input of each batch."""

    shape = (1, 4, 4)

    def __init__(self):
        draw = torch.randn(16, 16, generator=torch.Generator().manual_seed(0))
        self.axes, self.first = torch.linalg.qr(draw).Q, []

    def bind(self, labels):
        seen = []

        def D(x, sigma):
            if not seen:
                seen.append(self.first.append(x.clone()))
            mean = 0 if labels is None else labels[:, None] * 0.1
            variance = torch.linspace(0.01, 0.5, 16)
            shrunk = (x.flatten(1) - mean) @ self.axes * (variance / (variance + sigma**2)).float()
            return (mean + shrunk @ self.axes.T).reshape(x.shape)

        return D


@pytest.fixture
def trial(tmp_path):
    churn = {"name": "churn", "S_churn": 10, "S_noise": 1.003}
    design = {"preset": "edm", "stochasticity": churn}
    return load(write_spec(tmp_path, design=design, grid={"solver": ["heun"], "num_steps": [18]})).points()[0].trial


def sampled(trial, images, batch_size, labels=None):
    denoiser = Watched()
    made = generate(trial, denoiser, labels, images, CPU, batch_size)
    return torch.cat(denoiser.first), made


def test_an_image_does_not_depend_on_its_batch(trial):
    first, made = sampled(trial, range(200, 270), 70)
    assert (made.nfe, made.x.dtype, made.x.shape) == (35, torch.float32, (70, 1, 4, 4))
    for size in (1, 7, 64):
        other_first, other = sampled(trial, range(200, 270), size)
        assert torch.equal(other_first, first)  # latents and the noise of churn, bit for bit
        assert (other.x - made.x).abs().max() <= 1e-5 * made.x.abs().max()
    _, part = sampled(trial, range(200, 210), 10)
    assert (part.x - made.x[:10]).abs().max() <= 1e-5 * made.x.abs().max()
    other_seed = trial.model_copy(update={"seed": 1})
    assert not torch.equal(sampled(other_seed, range(200, 270), 70)[0], first)


def test_an_image_of_the_exact_denoiser_does_not_depend_on_its_batch(trial):
    denoiser = Denoiser.get("exact")().load(Data.get("digits")().load(), trial.design, CPU)
    made = generate(trial, denoiser, None, range(10), CPU, 10).x
    for size in (1, 7):
        assert (generate(trial, denoiser, None, range(10), CPU, size).x - made).abs().max() <= 1e-5


@pytest.mark.parametrize(
    ("shape", "network", "size"),
    [
        ((1, 8, 8), True, 200),
        ((1, 28, 28), True, 29),  # 7 batches per chunk
        ((3, 32, 32), True, 25),
        ((3, 512, 512), True, 1),
        ((3, 32, 32), False, 200),
    ],
)
def test_the_batch_of_a_network_on_a_cpu_has_a_number_of_pixels(shape, network, size):
    assert on_cpu(shape, has_network=network) == size


def test_labels_go_with_their_images(trial):
    labels = torch.arange(10) % 3
    _, whole = sampled(trial, range(10), 10, labels)
    _, batched = sampled(trial, range(10), 4, labels)
    assert (batched.x - whole.x).abs().max() <= 1e-5 * whole.x.abs().max()
    assert (whole.x - sampled(trial, range(10), 10)[1].x).abs().max() > 1e-3


def test_chunks_do_not_move_when_images_are_added():
    assert chunks(450) == [range(0, 200), range(200, 400), range(400, 450)]
    assert chunks(650)[:2] == chunks(450)[:2]
    assert chunks(2) == [range(0, 2)]


def test_labels_are_a_function_of_seed_and_image():
    data = Images(torch.zeros(100, 1, 2, 2, dtype=torch.uint8), torch.tensor([0] * 80 + [2] * 20), ("a", "b", "c"))
    assert labels_for("none", 0, range(5), data) is None
    assert labels_for((4, 5), 0, range(3, 6), data).tolist() == [5, 4, 5]
    assert labels_for("balanced", 0, range(1, 6), data).tolist() == [2, 0, 2, 0, 2]
    drawn = labels_for("data", 0, range(1000), data)
    assert drawn.dtype == torch.int64
    assert torch.equal(labels_for("data", 0, range(200, 400), data), drawn[200:400])
    assert not torch.equal(labels_for("data", 1, range(1000), data), drawn)
    share = (drawn == 2).float().mean().item()
    assert abs(share - 0.2) < 4 * math.sqrt(0.2 * 0.8 / 1000)
    assert set(drawn.tolist()) == {0, 2}
    with pytest.raises(DataError, match=r"evaluate\.labels: data: the data set has no labels"):
        labels_for("data", 0, range(3), Images(data.pixels))


def test_the_commit_is_recorded_and_so_are_changes(tmp_path):
    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.check_output(["git", "-C", tmp_path, *identity, *arguments], text=True).strip()

    assert git_state(tmp_path) is None
    git("init")
    (tmp_path / "reports").mkdir()
    for name in ("code.py", "reports/results.jsonl"):
        (tmp_path / name).write_text("1")
    git("add", ".")
    git("commit", "-m", "one")
    commit = git("rev-parse", "HEAD")
    (tmp_path / "reports" / "results.jsonl").write_text("2")
    assert git_state(tmp_path) == commit
    (tmp_path / "code.py").write_text("2")
    assert git_state(tmp_path) == commit + "-dirty"


def test_a_worker_begins_where_it_is_told_to_and_does_all(tmp_path):
    ablation = load(write_spec(tmp_path))
    points, told = tuple(ablation.points()), []
    job = Job("small", points, tmp_path / "reports" / "small", "cpu", 200, None, (), now())
    Worker(job, told.append).work(2)
    done = [event.trial for event in told if event.kind == "finished"]
    ids = [point.trial.id for point in points]
    assert done == ids[2:] + ids[:2]
    assert [job.first(i, 3) for i in range(3)] == [0, 1, 2]
    assert [job.first(i, 2) for i in range(2)] == [0, 2]
