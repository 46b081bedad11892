"""Trackers see what a run computes, and change nothing of it."""

import json
import os
import random
import signal
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from pipeline import SPEC, assert_same, start, wait_for, write_spec
from training_stand_in import SPEC as TRAINED

import designspace as ds
from designspace.errors import PluginError
from designspace.results.store import Results
from designspace.run.run import run
from designspace.run.trackers import BUILT_IN, Tracker, trackers_of
from designspace.run.tracking import metrics_of, pictures_of
from designspace.spec import SpecError, load
from designspace.training.checkpoints import trained

pytestmark = pytest.mark.usefixtures("cache")
TRAINED = {"name": "curves"} | TRAINED | {"grid": {"solver": ["euler", "heun"], "num_steps": [3]}}

MINE = """\
import json, os, random
from pathlib import Path
import numpy as np, torch
from designspace import Tracker

class Mine(Tracker, name="mine"):
    def began(self, trial, spec):
        self.id = trial.id
        self.write("began", name=trial.name, axes=trial.axes, ablation=trial.ablation, solver=spec["design"]["solver"])

    def progress(self, step, values):
        self.write("progress", step=step, **values)

    def ended(self, trial, metrics, pictures):
        if os.environ.get("MINE") == "fail":
            raise RuntimeError("no such server")
        if os.environ.get("MINE") == "end":
            raise BaseException("enough")
        self.write("ended", metrics=metrics, shapes={k: list(v.shape) for k, v in pictures.items()})

    @classmethod
    def require(cls):
        if os.environ.get("MINE") == "no license":
            raise RuntimeError("no license")

    def write(self, what, **more):
        random.random(), np.random.rand(), torch.rand(1)
        torch.set_default_dtype(torch.float64)
        os.environ["MINE_SET"] = "1"
        with Path(os.environ["MINE_LOG"]).open("a") as file:
            file.write(json.dumps({"what": what, "id": self.id, "pid": os.getpid()} | more) + "\\n")
"""


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What the tracker ``mine`` was told, and the component file that defines it."""
    log, file = tmp_path / "mine.log", tmp_path / "mine.py"
    file.write_text(MINE)
    monkeypatch.setenv("MINE_LOG", str(log))

    def read(what):
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [line for line in lines if line["what"] == what]

    yield read
    Tracker.known.pop("mine", None)


def with_mine(tmp_path, base=SPEC, **more):
    components = [*base["components"], str(tmp_path / "mine.py")]
    return write_spec(tmp_path, base, components=components, trackers=["mine"], **more)


@pytest.fixture(scope="module")
def untracked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("untracked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESIGNSPACE_CACHE", str(folder / "cache"))
        yield run(load(write_spec(folder)), out=folder / "reports", progress=False)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_tracker_of_ones_own_is_told_everything_in_the_main_process(tmp_path, told, untracked, workers):
    state = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    results = run(load(with_mine(tmp_path)), out=tmp_path / "reports", progress=False, workers=workers)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == state
    assert torch.get_default_dtype() == torch.float32
    assert "MINE_SET" not in os.environ
    assert_same(results, untracked)
    rows = {row.id: row for row in results.rows()}
    began, ended = told("began"), told("ended")
    assert {line["pid"] for line in began + ended} == {os.getpid()}
    assert sorted(line["id"] for line in began) == sorted(line["id"] for line in ended) == sorted(rows)
    for line in began:
        assert line["axes"] == rows[line["id"]].axes
        assert line["ablation"] == "small"
        assert line["solver"] == rows[line["id"]].trial["design"]["solver"]
    for line in ended:
        row = rows[line["id"]]
        assert line["metrics"] == pytest.approx(metrics_of(row), nan_ok=True)
        assert line["metrics"]["frechet_stderr"] == row.metrics["frechet"].se
        assert line["metrics"]["frechet_protocol"] == row.metrics["frechet"].protocol
        assert line["shapes"] == {"samples": [8, 16, 1]}
    run(load(with_mine(tmp_path)), out=tmp_path / "reports", progress=False)
    assert len(told("ended")) == len(rows)  # each once


def test_a_tracker_that_raises_is_left_alone_and_misses_nothing(tmp_path, told, untracked, monkeypatch):
    monkeypatch.setenv("MINE", "fail")
    what = r"tracker mine fails \(.*mine\.py:16\): RuntimeError: no such server; it is left alone"
    with pytest.warns(UserWarning, match=what) as warned:
        results = run(load(with_mine(tmp_path)), out=tmp_path / "reports", progress=False)
    assert len([one for one in warned if "tracker" in str(one.message)]) == 1
    assert_same(results, untracked)
    assert len(told("began")) == 1
    monkeypatch.delenv("MINE")
    run(load(with_mine(tmp_path)), out=tmp_path / "reports", progress=False)
    assert sorted(line["id"] for line in told("ended")) == sorted(row.id for row in results.rows())


def test_a_failed_trial_ends_without_metrics(tmp_path, told):
    spec = with_mine(tmp_path, grid={"denoiser.fail": ["", "raise"], "num_steps": [3]})
    run(load(spec), out=tmp_path / "reports", progress=False)
    assert [bool(line["metrics"]) for line in told("ended")] == [True, False]


def test_a_run_that_is_killed_is_resumed_with_its_tracker(tmp_path, told, untracked, cache, monkeypatch):
    spec = with_mine(tmp_path)
    monkeypatch.setenv("STAND_IN_PAUSE", "0.02")
    with start(spec, tmp_path / "reports") as process:
        wait_for(lambda: told("ended") and len(list(cache.root.glob("images/*/*"))) > 4, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    monkeypatch.setenv("STAND_IN_PAUSE", "0")
    before = len(told("ended"))
    results = run(load(spec), out=tmp_path / "reports", progress=False)
    assert_same(results, untracked)
    ended = told("ended")
    assert 1 <= before < 4
    assert {line["id"] for line in ended} == {row.id for row in results.rows()}


def test_ids_do_not_depend_on_trackers(tmp_path, told):
    ids = [trial.id for trial in load(write_spec(tmp_path)).trials()]
    assert [trial.id for trial in load(with_mine(tmp_path)).trials()] == ids


def test_unknown_and_unusable_trackers_are_clear_errors(tmp_path, told, shell, monkeypatch):
    spec = write_spec(tmp_path, trackers=["tensorbord"])
    line = next(i for i, text in enumerate(spec.read_text().splitlines(), 1) if "tensorbord" in text)
    wrong = f"{spec}:{line}:3: trackers.0: unknown tracker 'tensorbord'. Did you mean 'tensorboard'? Known: "
    for command in ("run", "check"):
        status, _, errors = shell(command, spec)
        assert status == 2
        assert wrong in errors
    status, _, errors = shell("run", write_spec(tmp_path), "--tracker", "wnadb")
    assert status == 2
    assert "unknown tracker 'wnadb'. Did you mean 'wandb'?" in errors
    monkeypatch.setattr(sys.modules["designspace.run.trackers"], "find_spec", lambda name: None)
    for name in BUILT_IN:
        with pytest.raises(
            SpecError, match=rf"tracker {name}: .* is not installed: pip install 'designspace\[{name}\]"
        ):
            run(load(write_spec(tmp_path)), out=tmp_path / "reports", trackers=[name])
    assert not (tmp_path / "reports").exists()


def test_a_tracker_whose_require_raises_is_a_clear_error(tmp_path, told, shell, monkeypatch):
    spec = with_mine(tmp_path)
    line = next(i for i, text in enumerate(spec.read_text().splitlines(), 1) if text == "- mine")
    at = MINE[: MINE.index('raise RuntimeError("no license")')].count("\n") + 1
    monkeypatch.setenv("MINE", "no license")
    for command in ("run", "check"):
        status, _, errors = shell(command, spec)
        wrong = (
            f"{spec}:{line}:3: trackers.0: tracker mine fails ({tmp_path / 'mine.py'}:{at}): RuntimeError: no license"
        )
        assert status == 2
        assert errors.splitlines()[-1] == wrong


@pytest.mark.parametrize("command", ["run", "check"])
def test_an_unknown_tracker_is_reported_with_the_other_errors(tmp_path, shell, command):
    spec = write_spec(tmp_path, trackers=["tensorbord"])
    status, _, errors = shell(command, spec, "--set", "evaluate.images=0")
    assert status == 2
    assert "evaluate.images=0: should be at least 2, not 0" in errors
    assert "trackers.0: unknown tracker 'tensorbord'. Did you mean 'tensorboard'?" in errors


def test_an_exception_that_is_no_exception_does_not_end_the_run(tmp_path, told, untracked, monkeypatch):
    monkeypatch.setenv("MINE", "end")
    with pytest.warns(UserWarning, match=r"mine fails: EndedError: raise BaseException in .*mine\.py:\d+ would end"):
        results = run(load(with_mine(tmp_path)), out=tmp_path / "reports", progress=False)
    assert_same(results, untracked)


def test_two_trackers_of_one_name_are_an_error():
    for name in ("wandb", "tensorboard"):
        with pytest.raises(TypeError, match="there is another tracker"):

            class Other(Tracker, name=name):
                pass


def trained_curve(spec):
    """The loss record of the trained network, from the cache: images seen and mean loss of each entry."""
    trial = load(spec).trials()[0]
    plan = trial.denoiser.plan(trial.data.load(), trial.design)
    state = trained(plan, trial.denoiser.training_images, torch.device("cpu"))
    return dict(zip(state.record.images, state.record.mean, strict=True))


def test_tensorboard_has_the_numbers_of_the_store(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    spec = write_spec(tmp_path, TRAINED, trackers=["tensorboard"])
    results = run(load(spec), out=tmp_path / "reports", progress=False)
    curves = []
    for row in results.rows():
        (folder,) = (results.folder / "tensorboard").glob(f"*-{row.id}")
        assert folder.name.startswith(f"solver={row.axes['solver']},_num_steps=3")
        read = EventAccumulator(str(folder)).Reload()
        numbers = {name: value for name, value in metrics_of(row).items() if not isinstance(value, str)}
        assert numbers.keys() > {"frechet", "frechet_stderr", "nfe", "images"}
        for name, value in numbers.items():
            assert [event.value for event in read.Scalars(name)] == pytest.approx([value], rel=1e-6)
        (image,) = read.Images("samples")
        assert (image.width, image.height) == (32, 16)
        if "training/loss" in read.Tags()["scalars"]:
            curves.append({event.step: event.value for event in read.Scalars("training/loss")})
    (curve,) = curves  # of the trial for which the network was trained
    record = trained_curve(spec)
    assert len(record) == 2
    assert {step: curve[step] for step in record} == pytest.approx(record, rel=1e-6)


def messages_of(data):
    """The messages in a file of W&B: after 7 bytes, LevelDB's log format, blocks of 2**15 bytes with parts in them."""
    at, message = 7, b""
    while at + 7 <= len(data):
        if (left := 2**15 - at % 2**15) < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        message += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole message, or the last part of one
            yield message
            message = b""


def records_of(folder):
    """The records of W&B's offline files by run id."""
    from wandb.proto.wandb_internal_pb2 import Record

    files = folder.glob("wandb/offline-run-*/*.wandb")
    return {
        file.stem.removeprefix("run-"): [Record.FromString(each) for each in messages_of(file.read_bytes())]
        for file in files
    }


def last(items):
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def test_wandb_has_the_numbers_of_the_store(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    spec, out = write_spec(tmp_path, TRAINED, trackers=["wandb"]), tmp_path / "reports"
    code = f"""
        import sys
        import designspace as ds

        ends = sys.exit, sys.excepthook
        ds.run(ds.load({str(spec)!r}), out={str(out)!r}, progress=False)
        assert (sys.exit, sys.excepthook) == ends  # W&B replaces both
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)  # W&B has a state for the whole process
    (folder,) = (path.parent for path in out.glob("*/results.jsonl"))
    results, found = Results(folder), records_of(tmp_path)
    assert found.keys() == {row.id for row in results.rows()}
    curves = []
    for row in results.rows():
        records = found[row.id]
        about = next(record.run for record in records if record.WhichOneof("record_type") == "run")
        config = last(about.config.update)
        assert (about.run_group, about.project) == ("curves", "designspace")
        assert config["axes"] == row.axes
        assert config["design"] == row.trial["design"]
        history = [last(record.history.item) for record in records if record.WhichOneof("record_type") == "history"]
        curves += [{line["training/images"]: line["training/loss"] for line in history if "training/loss" in line}]
        assert "image-file" in [line.get("samples._type") for line in history]
        summary = {}
        for record in records:
            summary |= last(record.summary.update)
        expected = metrics_of(row)
        assert {name: summary[name] for name in expected} == pytest.approx(expected)
    curve = max(curves, key=len)
    record = trained_curve(spec)
    assert {step: curve[step] for step in record} == pytest.approx(record)


def test_training_alone_is_tracked(tmp_path, told, shell):
    spec = with_mine(tmp_path, TRAINED)
    status, _, _ = shell("train", spec)
    assert status == 0
    (began,), (ended,) = told("began"), told("ended")
    curve = {line["step"]: line["training/loss"] for line in told("progress")}
    assert curve.items() >= trained_curve(spec).items()
    assert ended["metrics"]["training/loss"] == curve[6400]
    results = run(load(spec), out=tmp_path / "reports", progress=False)
    assert {line["id"] for line in told("ended")[1:]} == {row.id for row in results.rows()}
    assert began["id"] in {row.id for row in results.rows()}


def test_pictures_are_images_in_rows_of_four():
    images = np.arange(5 * 3 * 2 * 2, dtype=np.uint8).reshape(5, 3, 2, 2)
    grid = pictures_of({"images": images})["samples"]
    assert grid.shape == (4, 8, 3)
    for k, image in enumerate(images):
        y, x = 2 * (k // 4), 2 * (k % 4)
        assert np.array_equal(grid[y : y + 2, x : x + 2], image.transpose(1, 2, 0))
    assert not grid[2:, 2:].any()
    for other in (None, {}, {"images": images[:, :2]}, {"images": images[:, :1, :1, :1]}):
        assert pictures_of(other) == {}


def test_results_from_before_a_tracker_was_named_are_passed_on(tmp_path):
    seen = []

    class Once(ds.Tracker):
        def ended(self, trial, metrics, pictures):
            seen.append((trial.id, metrics["frechet"]))

    for trackers in ([], [Once], [Once]):
        results = run(load(write_spec(tmp_path)), out=tmp_path / "reports", progress=False, trackers=trackers)
    assert seen == [(row.id, row.metrics["frechet"].value) for row in results.rows()]


def test_an_installed_package_has_trackers(tmp_path, monkeypatch):
    info = tmp_path / "site" / "plug-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[designspace.trackers]\nfine = fine_tracker\nbroken = broken_tracker\n")
    (tmp_path / "site" / "fine_tracker.py").write_text(
        "from designspace import Tracker\n\nclass Fine(Tracker, name='fine'):\n    pass\n"
    )
    (tmp_path / "site" / "broken_tracker.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    ablation = load(write_spec(tmp_path))
    try:
        (found,) = trackers_of(ablation, ["fine", "fine"])
        assert found.name == "fine"
    finally:
        Tracker.known.pop("fine", None)
    with pytest.raises(PluginError, match=r"the plugin broken \(broken_tracker\) fails: ZeroDivisionError"):
        trackers_of(ablation, ["broken"])
    with pytest.raises(SpecError, match=r"unknown tracker 'brokn'\. Did you mean 'broken'\?"):
        trackers_of(ablation, ["brokn"])


def test_libraries_are_imported_only_if_they_are_used():
    code = "import sys, designspace.run.run, designspace.run.worker; print({'wandb', 'tensorboard'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
