"""Points that are added to the folder of an ablation by later runs, and runs that are another ablation."""

import json
import signal
import subprocess
import sys

import pytest
from pipeline import SPEC, assert_same, start, wait_for, write_spec

from designspace.report import Study, write
from designspace.results.records import Description
from designspace.results.store import Results, add_description, read_description
from designspace.results.widened import unlike, widened
from designspace.run.run import run
from designspace.spec import load

SOLVERS = ["euler", "heun"]


def about(points, **changes):
    """The description of a run; points are pairs of an id and the value of the axis."""
    fields = {"schema": 1, "name": "a", "question": "", "axes": ["rho"], "claims": [], "metrics": ["frechet"]}
    fields |= {"baseline": {"data": "digits", "evaluate": {"images": 40, "repeats": 1}}}
    fields |= {"identities": {"data/digits 1": "x", "solver/heun 2": "y"}}
    found = [{"id": id, "axes": {"rho": rho}} for id, rho in points]
    return Description.model_validate(fields | {"points": found} | changes)


def points_of(description):
    return [(point.id, point.axes["rho"]) for point in description.points]


@pytest.mark.parametrize(
    ("earlier", "later", "both"),
    [
        ([("a", 3)], [("b", 5)], [("a", 3), ("b", 5)]),
        ([("b", 5)], [("a", 3), ("b", 5), ("c", 7)], [("a", 3), ("b", 5), ("c", 7)]),  # the order of the wider grid
        ([("a", 3), ("b", 5)], [("b", 5), ("c", 7)], [("a", 3), ("b", 5), ("c", 7)]),
        ([("a", 3), ("b", 5)], [("a", 3)], [("a", 3), ("b", 5)]),
        ([("a", 3), ("a2", 3)], [("a", 3), ("b", 5)], [("a", 3), ("a2", 3), ("b", 5)]),  # seeds of earlier repeats
        ([("a", 3)], [("a", 3), ("a2", 3)], [("a", 3), ("a2", 3)]),
        ([("a", 7)], [("a", 7.0)], [("a", 7), ("a", 7.0)]),  # two points of one trial
    ],
)
def test_the_points_of_all_runs(earlier, later, both):
    assert unlike(about(earlier), about(later)) == ""
    found = widened(about(earlier), about(later, question="Which?"))
    assert points_of(found) == both
    assert found.question == "Which?"
    assert points_of(widened(found, about(later))) == both


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"baseline": {"data": "digits", "evaluate": {"images": 40, "repeats": 3}}}, ""),
        ({"baseline": {"data": "digits", "guidance": None, "evaluate": {"images": 40}}}, ""),
        ({"baseline": {"data": "digits", "evaluate": {"images": 50}}}, "other values of evaluate.images"),
        ({"baseline": {"data": "points", "evaluate": {}}}, "other values of data and evaluate.images"),
        ({"axes": ["solver"]}, "other axes"),
        ({"identities": {"data/digits 1": "z", "solver/heun 2": "y"}}, "other code or files of data/digits"),
        ({"identities": {"data/digits 3": "z"}}, ""),  # other fields of the component
    ],
)
def test_in_what_runs_are_other_ablations(changes, why):
    later = about([] if "axes" in changes else [("b", 5)], **changes)
    assert unlike(about([("a", 3)]), later) == why


def test_a_point_with_another_id_is_of_another_version():
    assert unlike(about([("a", 3), ("b", 5)]), about([("a", 3)])) == ""
    assert unlike(about([("a", 3), ("b", 5)]), about([("z", 3)])) == "another version of the code or the data"


def of_solvers(*solvers, **changes):
    return {"grid": {"solver": list(solvers), "num_steps": [3]}} | changes


def go(folder, spec, out="reports"):
    folder.mkdir(exist_ok=True)
    return run(load(write_spec(folder, SPEC, **spec)), out=folder.parent / out, progress=False)


def test_a_second_run_keeps_the_points_of_the_first_in_the_report(cache, tmp_path, recwarn):
    first = go(tmp_path / "a", of_solvers("euler"))
    second = go(tmp_path / "a", of_solvers("heun"))
    assert [row.axes["solver"] for row in first.rows()] == ["euler"]
    assert [row.axes["solver"] for row in second.rows()] == ["heun"]
    assert not [w for w in recwarn if "also holds" in str(w.message)]
    assert [entry.axes["solver"] for entry in Study(second.folder).entries] == SOLVERS
    write(second.folder)
    assert all(solver in (second.folder / "table.md").read_text() for solver in SOLVERS)
    at_once = go(tmp_path / "a", of_solvers(*SOLVERS), out="at_once")
    assert read_description(second.folder) == read_description(at_once.folder)
    description = second.folder / "ablation.json"
    written = description.read_bytes()
    go(tmp_path / "a", of_solvers("euler"))
    assert sorted(json.loads(description.read_bytes())) == sorted(json.loads(written))
    assert len(Study(second.folder).entries) == 2
    description.unlink()  # which drops the earlier points
    go(tmp_path / "a", of_solvers("heun"))
    assert [entry.axes["solver"] for entry in Study(second.folder).entries] == ["heun"]


def test_another_ablation_is_kept_apart_with_a_warning(cache, tmp_path):
    go(tmp_path / "a", of_solvers("euler"))
    with pytest.warns(UserWarning, match=r"also holds 1 result of other .* \(other values of evaluate.images\), which"):
        fewer = go(tmp_path / "a", of_solvers("heun", evaluate=SPEC["evaluate"] | {"images": 400}))
    assert [entry.axes["solver"] for entry in Study(fewer.folder).entries] == ["heun"]
    assert len(Results(fewer.folder).rows()) == 2


def test_code_that_has_changed_in_between_is_noticed_at_other_points(cache, tmp_path):
    own = (
        "import designspace as ds\nfrom designspace.sampling.levels import ramp\n\n\n"
        "class Own(ds.TimeSteps, name='widened_own'):\n    factor: ds.Positive = 1.0\n\n"
        "    def sigmas(self, n):\n        return POWER ** (1 - 2 * ramp(n))\n"
    )
    spec = of_solvers("euler", design={"preset": "edm", "time_steps": "widened_own"})
    spec["components"] = [*SPEC["components"], "own_levels.py"]
    for power, solver in (("10.0", "euler"), ("9.0", "heun")):
        (tmp_path / "own_levels.py").write_text(own.replace("POWER", power))
        path = write_spec(tmp_path, SPEC, **spec | of_solvers(solver))
        code = "import sys; from designspace import load, run; run(load(sys.argv[1]), out=sys.argv[2], progress=False)"
        command = [sys.executable, "-c", code, path, tmp_path / "reports"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert [entry.axes["solver"] for entry in Study(tmp_path / "reports" / "small").entries] == [solver]
    assert "also holds 1 result of" in done.stderr
    assert "(other code or files of time_steps/widened_own)" in done.stderr


def test_two_processes_add_points_and_one_is_killed(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN_PAUSE", "0.02")
    for name in SOLVERS:
        (tmp_path / name).mkdir()
    specs = [write_spec(tmp_path / name, SPEC, **of_solvers(name)) for name in SOLVERS]
    out, images = tmp_path / "reports", cache.root / "images"
    with start(specs[0], out) as one, start(specs[1], out) as other:
        wait_for(lambda: any(images.glob("*/*.safetensors")) and (out / "small" / "ablation.json").exists(), one)
        one.send_signal(signal.SIGKILL)
        one.communicate()
        other.communicate()
        assert other.returncode == 0
    assert "heun" in {point.axes["solver"] for point in read_description(out / "small").points}
    monkeypatch.setenv("STAND_IN_PAUSE", "0")
    resumed = run(load(specs[0]), out=out, progress=False)
    assert len(resumed.rows()) == 1
    assert [entry.axes["solver"] for entry in Study(out / "small").entries] == SOLVERS
    undisturbed = go(tmp_path / "a", of_solvers(*SOLVERS), out="undisturbed")
    assert_same(Results(out / "small"), undisturbed)


ADD = """
import sys
from pathlib import Path
from designspace.results.records import Description
from designspace.results.store import add_description

for i in range(20):
    point = {"id": f"{sys.argv[2]}-{i}", "axes": {"rho": f"{sys.argv[2]}-{i}"}}
    fields = {"schema": 1, "name": "a", "question": "", "axes": ["rho"], "claims": [], "metrics": []}
    add_description(Path(sys.argv[1]), Description.model_validate(fields | {"points": [point]}))
"""


def test_no_point_is_lost_when_processes_write_at_the_same_time(tmp_path):
    running = [subprocess.Popen([sys.executable, "-c", ADD, tmp_path, str(i)]) for i in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    points = {point.id for point in read_description(tmp_path).points}
    assert points == {f"{process}-{i}" for process in range(3) for i in range(20)}


def test_a_damaged_description_is_written_anew(tmp_path):
    (tmp_path / "ablation.json").write_text('{"schema": 1, "points": [')
    assert add_description(tmp_path, about([("a", 3)])) == ""
    assert points_of(read_description(tmp_path)) == [("a", 3)]
