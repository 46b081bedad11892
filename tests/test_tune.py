"""``designspace.tune``: greedy races over rows, what they cost, resuming, and the final test on fresh latents."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pipeline import wait_for
from ruamel.yaml import YAML

import designspace as ds
from designspace.report import Study
from designspace.results.search import read_search
from designspace.results.store import read_description
from designspace.run.run import run
from designspace.spec import Ablation, load
from designspace.tune.greedy import Greedy, Spent, _around
from designspace.tune.measured import MeasuredRace, told_of
from designspace.tune.race import Race
from designspace.tune.requests import Request, stage_sizes
from designspace.tune.search import Search, tune
from designspace.tune.written import as_yaml

DIGITS = {
    "name": "tuned",
    "data": "digits",
    "denoiser": "exact",
    "design": "edm",
    "evaluate": {"images": 800, "detector": "pixels", "metrics": ["frechet"]},
    "search": {
        "at": {"nfe": [7]},
        "rows": {"solver": ["heun", "dpmpp_2m", "unipc"], "time_steps.rho": {"from": 3, "to": 15, "points": 3}},
        "stages": 2,
        "against": [{"label": "Euler", "set": {"solver": "euler"}}],
    },
}
TUNE = "import sys, designspace as ds; ds.tune(sys.argv[1], out=sys.argv[2], progress=False)"


def write(folder, spec=DIGITS, **search):
    path = folder / "tuned.yaml"
    with path.open("w") as file:
        YAML().dump(spec | {"search": spec["search"] | search}, file)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A search that nothing disturbed."""
    folder = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESIGNSPACE_CACHE", str(folder / "cache"))
        yield tune(write(folder), out=folder / "reports", progress=False), folder


def decisions(record):
    """A record without times."""
    found = record.plain()
    return found | {"seconds": None, "outcomes": [one | {"seconds": None} for one in found["outcomes"]]}


def searched(path, out, **how):
    search = Search(path, out=out, progress=False, **how)
    while request := search.ask():
        search.tell(request, search.evaluate(request))
    return search


def test_the_record_of_a_search(done):
    record = done[0].record
    solver, rho = record.outcomes[:2]
    assert (solver.row, solver.incumbent, solver.favoured) == ("solver", "heun", "unipc")
    assert [len(arm.stages) for arm in solver.arms] == [1 if arm.dropped == 0 else 2 for arm in solver.arms]
    assert {stage.images for outcome in record.outcomes for arm in outcome.arms for stage in arm.stages} == {400, 800}
    assert solver.gain > 0
    best = min((arm for arm in solver.arms if arm.dropped is None), key=lambda arm: arm.stages[-1].value)
    assert best.stages[-1].gap is None
    assert {arm.label for arm in rho.arms} >= {"3", "6.71", "15", "7"}
    assert rho.optimum.flat
    assert record.images_full_grid == 3 * 4 * 800
    assert read_search(done[1] / "reports" / "tuned") == record


def test_the_images_that_were_spent_are_those_in_the_cache(done):
    """Chunks of 200 images; the final test generates as many again for each of its designs."""
    chunks = len(list((done[1] / "cache" / "images").glob("*/*.safetensors")))
    designs = len(done[0].results.rows())
    assert done[0].record.images_spent == 200 * chunks - 800 * designs
    assert done[0].record.images_spent < 0.7 * done[0].record.images_full_grid


def test_the_final_test_uses_latents_that_no_race_has_seen(done):
    tuned, folder = done
    rows = {row.axes["design"]: row for row in tuned.results.rows()}
    assert rows.keys() == {"baseline", "tuned", "Euler"}
    assert {row.seed for row in rows.values()} == {1}
    raced = [json.loads(line) for file in (folder / "cache" / "tune").glob("*/results.jsonl") for line in file.open()]
    assert {row["seed"] for row in raced} == {0}
    assert rows["tuned"].metrics["frechet"].value < rows["baseline"].metrics["frechet"].value
    about = read_description(tuned.results.folder)
    assert about.axes == ["design", "nfe"]
    assert [claim.expect["less"] for claim in about.claims] == [
        [{"design": "tuned"}, {"design": "baseline"}],
        [{"design": "tuned"}, {"design": "Euler"}],
    ]
    assert Study(tuned.results.folder).column_axis == "nfe"


def test_the_design_that_was_found_is_a_file_that_runs(done):
    """It has the id of the trial of the final test: what is written is what was measured."""
    tuned, folder = done
    found = load(folder / "reports" / "tuned" / "tuned_nfe_7.yaml").trials()
    assert [trial.id for trial in found] == [row.id for row in tuned.results.rows() if row.axes["design"] == "tuned"]
    assert found[0].design == tuned.designs[7]
    assert tuned.designs[7].solver.name == "unipc"


def test_resuming_a_finished_search_computes_nothing(done, monkeypatch):
    tuned, folder = done
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(folder / "cache"))
    before = {path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*.safetensors")}
    again = tune(folder / "tuned.yaml", out=folder / "reports", progress=False)
    assert again.record == tuned.record
    assert {path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*.safetensors")} == before


@pytest.mark.parametrize("chunks", [3, 11])
def test_a_killed_search_goes_on_where_it_was(done, cache, tmp_path, chunks):
    command = [sys.executable, "-c", TUNE, write(tmp_path), tmp_path / "reports"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: len(list((cache / "images").glob("*/*.safetensors"))) >= chunks, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    there = {path: path.stat().st_mtime_ns for path in (cache / "images").rglob("*.safetensors")}
    assert len(there) >= chunks
    tuned = tune(tmp_path / "tuned.yaml", out=tmp_path / "reports", progress=False)
    assert decisions(tuned.record) == decisions(done[0].record)
    assert {path: path.stat().st_mtime_ns for path in there} == there


def test_a_budget_of_images_is_kept(cache, tmp_path):
    search = searched(write(tmp_path, budget={"images": 1500}), tmp_path / "reports")
    first, second = search.record.outcomes[:2]
    assert search.record.images_spent == 1200
    assert [len(arm.stages) for arm in first.arms] == [1, 1, 1]
    assert not first.decided
    assert second.skipped == "the budget of the search is spent"
    assert second.favoured == second.incumbent


def test_budgets_share_what_is_left(cache, tmp_path):
    search = searched(write(tmp_path, at={"nfe": [5, 7]}, budget={"images": 3000}), tmp_path / "reports")
    raced = {outcome.budget for outcome in search.record.outcomes if not outcome.skipped}
    assert raced == {"nfe=5", "nfe=7"}
    assert search.record.images_spent <= 3000
    assert search.tuned.keys() == {5, 7}


def test_the_time_of_an_earlier_process_counts(cache, tmp_path):
    """The first request took an hour before the process was killed: of a budget of half an hour, nothing is left."""
    path = write(tmp_path, budget={"minutes": 30})
    search = Search(path, out=tmp_path / "reports", progress=False)
    first = search.evaluate(search.ask())
    (first.folder / "spent.json").write_text("[3600, true]")
    resumed = searched(path, tmp_path / "reports")
    assert resumed.record.seconds == 3600
    assert resumed.record.outcomes[0].seconds == [3600]
    assert resumed.record.outcomes[1].skipped == "the budget of the search is spent"


def test_the_time_of_an_interrupted_request_counts(cache, tmp_path, monkeypatch):
    search = Search(write(tmp_path), out=tmp_path / "reports", progress=False)
    request = search.ask()

    def interrupted(ablation, out, **how):
        (out / ablation.name).mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(Search.evaluate.__globals__, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search.evaluate(request)
    (spent,) = cache.rglob("spent.json")
    seconds, complete = json.loads(spent.read_text())
    assert seconds > 0
    assert not complete
    spent.write_text("[100, false]")
    search.evaluate(request)
    first = json.loads(spent.read_text())
    assert first[0] > 100
    assert first[1]
    search.evaluate(request)  # from the cache
    assert json.loads(spent.read_text()) == first


def test_the_pace_of_a_search_is_that_of_images_alone():
    """Searching noise levels took 100 s once; it does not make later images expensive."""
    greedy, spent = Greedy(Ablation.model_validate(DIGITS)), Spent(most_seconds=150)
    requests = [Request.of(greedy._ablation, {name: {"solver": name}}, 7, 400) for name in ("heun", "euler", "unipc")]
    spent.add(requests[0], 104)
    assert not spent.affords(requests[1])
    spent.add(requests[1], 4)
    assert spent.pace == pytest.approx(0.01)
    assert spent.affords(requests[2])


def test_another_optimiser_uses_the_same_measurement(done, monkeypatch):
    """Values of the same arms and images are those of the race."""
    tuned, folder = done
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(folder / "cache"))
    search = Search(folder / "tuned.yaml", out=folder / "other", progress=False)
    request = search.request({"a": {}, "b": {"solver": "dpmpp_2m"}}, images=400, budget=7)
    values = {row.axes["arm"]: row.metrics["frechet"].value for row in search.evaluate(request).rows()}
    raced = {arm.label: arm.stages[0].value for arm in tuned.record.outcomes[0].arms}
    assert values == {"a": raced["heun"], "b": raced["dpmpp_2m"]}
    with pytest.raises(ValueError, match=r"is not the one that ask\(\) has returned"):
        search.tell(request, search.evaluate(request))
    with pytest.warns(UserWarning, match="fewer than 10 x 64 features"):
        own = run(search.ask().ablation, out=folder / "anywhere", progress=False)
    results = search.final({7: {"solver": "dpmpp_2m"}})
    assert {row.axes["design"] for row in results.rows()} == {"baseline", "tuned", "Euler"}
    search.tell(search.ask(), own)
    assert search.ask().images == 800
    assert search.ask().arms.keys() == {"dpmpp_2m", "unipc"}


def test_an_arm_that_fails_drops_out(cache, tmp_path):
    stand_ins = str(Path(__file__).parent / "stand_ins.py")
    spec = DIGITS | {"data": "stand_in_data", "denoiser": "stand_in_denoiser", "components": [stand_ins]}
    spec["evaluate"] = {"images": 400, "detector": "stand_in_detector", "metrics": ["frechet"]}
    rows = {"denoiser": ["stand_in_denoiser", {"name": "stand_in_denoiser", "fail": "raise"}]}
    search = searched(write(tmp_path, spec, rows=rows, against=[]), tmp_path / "reports")
    (outcome,) = search.record.outcomes
    assert [arm.dropped for arm in outcome.arms] == [None, 0]
    assert outcome.arms[1].reason.startswith("denoiser 'stand_in_denoiser': no such luck second line")
    assert outcome.favoured == "stand_in_denoiser"


def test_a_denoiser_of_the_program_can_be_searched_with(cache, tmp_path):
    path = write(tmp_path, DIGITS | {"evaluate": DIGITS["evaluate"] | {"images": 200}}, rows={"solver": ["euler"]})
    tuned = tune(
        path, out=tmp_path / "reports", progress=False, denoiser=lambda x, sigma, labels: 0 * x, denoiser_id="0"
    )
    assert {row.trial["denoiser"]["id"] for row in tuned.results.rows()} == {"0"}
    assert not list(tmp_path.rglob("tuned_nfe_7.yaml"))  # no file can name it


def test_a_field_that_is_off_has_no_place_on_a_log_scale(cache, tmp_path):
    """The incumbent S_churn = 0 is raced, but the parabola in ln(S_churn) leaves it out."""
    churn = {"preset": "edm", "stochasticity": {"name": "churn", "S_churn": 0}}
    spec = DIGITS | {"design": churn, "evaluate": DIGITS["evaluate"] | {"images": 200}}
    rows = {"design.stochasticity.S_churn": {"from": 1, "to": 20, "points": 3}}
    search = searched(write(tmp_path, spec, rows=rows, against=[]), tmp_path / "reports")
    labels = {arm.label for outcome in search.record.outcomes for arm in outcome.arms}
    assert labels >= {"0", "1", "4.47", "20"}


@pytest.mark.parametrize("row", ["time_steps.rho", "design.time_steps.rho"])
def test_the_optimum_replaces_the_value_of_its_field_however_the_row_is_called(row):
    greedy = Greedy(Ablation.model_validate(DIGITS | {"search": DIGITS["search"] | {"rows": {row: [3, 15]}}}))
    arms = {str(arm.label): arm for arm in greedy._space.candidates(row, {}, 7).arms}
    found = greedy._extra(5.0, arms, row, "15", 7)
    assert found.set == {"time_steps.rho": 5.0}


def test_an_optimum_does_not_decide_a_race_that_was_undecided():
    """The optimum has met only one of the two candidates that were left."""
    first = MeasuredRace("frechet", Race(["3", "7"], "7", [400]), [object()])
    first.race.tell("3", {"7": 0.5})
    second = MeasuredRace("frechet", Race(["3", "5"], "3", [400]), [object()])
    second.race.tell("5", {"3": 1e-6})
    for race, winner in ((first, "3"), (second, "5")):
        race.winner, race.gain, race.decides_at = (lambda w=winner: w), (lambda a, b: None), (lambda: None)
    found = told_of([first, second])
    assert (found["favoured"], found["decided"], found["gain"]) == ("5", False, None)


def test_the_full_grid_has_each_distinct_design_once():
    """rho is a field of the levels edm only; sigma_max is one of both."""
    rows = {"time_steps": ["edm", "cosine"], "time_steps.rho": [3, 7, 7.0], "time_steps.sigma_max": [40, 80]}
    rows |= {"solver": ["heun", "euler", {"label": "same", "set": {"solver": {"name": "heun", "alpha": 1}}}]}
    greedy = Greedy(Ablation.model_validate(DIGITS | {"search": DIGITS["search"] | {"rows": rows}}))
    assert greedy.full_grid == 2 * (2 * 2 + 2) * 800


def test_a_row_is_raced_again_if_candidates_have_begun_to_fit():
    """The field rho comes with the levels edm, which were taken although the race was undecided."""
    rows = {"time_steps.rho": [5, 9], "solver": ["heun", "euler"], "time_steps": ["cosine", "edm"]}
    design = {"preset": "edm", "time_steps": "cosine"}
    search = DIGITS["search"] | {"rows": rows, "passes": 3}
    raced = []

    class Undecided(Greedy):
        def _row(self, found, budget, run_pass, row):
            raced.append((run_pass, row, [str(arm.label) for arm in found.arms]))
            self.tuned[budget] = {} if row != "time_steps" else {"time_steps": "edm"}
            yield from ()
            return False

    list(Undecided(Ablation.model_validate(DIGITS | {"design": design, "search": search}))._at(7))
    assert raced == [
        (1, "time_steps.rho", ["present"]),
        (1, "solver", ["heun", "euler"]),
        (1, "time_steps", ["cosine", "edm"]),
        (2, "time_steps.rho", ["7.0", "5", "9"]),
    ]


def test_a_search_may_begin_with_the_design_of_another_budget(cache, tmp_path):
    """Designs that do not fit, and those that are the baseline, are left out."""
    rows = {"solver": ["heun", "unipc"]}
    search = searched(write(tmp_path, at={"nfe": [7, 9]}, rows=rows), tmp_path / "reports")
    first, start, again = search.record.outcomes[0], *search.record.outcomes[1:3]
    assert (first.row, first.favoured) == ("solver", "unipc")
    assert (start.budget, start.row, start.incumbent, start.favoured) == (
        "nfe=9",
        "start",
        "baseline",
        "found at nfe=7",
    )
    assert [arm.set for arm in start.arms] == [{}, {"solver": "unipc"}]
    assert (again.row, again.incumbent) == ("solver", "unipc")
    space = load(tmp_path / "tuned.yaml", ["search.at={nfe: [7, 3]}"]).space()
    found = space.starts({7: {}, 5: {"solver": "heun"}, 8: {"solver": "rk4"}, 9: {"solver": "unipc"}}, 3)
    assert [arm.label for arm in found.arms] == ["baseline", "found at nfe=9"]
    assert [one.label for one in found.skipped] == ["found at nfe=8"]


def test_a_candidate_with_the_name_of_the_present_design_does_not_replace_it():
    rows = {"solver": [{"label": "heun", "set": {"solver": {"name": "heun", "alpha": 0.5}}}, "euler"]}
    greedy = Greedy(Ablation.model_validate(DIGITS | {"search": DIGITS["search"] | {"rows": rows}}))
    found = greedy._space.candidates("solver", {}, 7)
    assert [arm.label for arm in found.arms] == ["heun (present)", "heun", "euler"]
    assert found.incumbent.set == {}


def test_three_values_give_an_optimum_without_an_interval(cache, tmp_path):
    """A parabola goes through any three points, so that nothing is known of its fit."""
    search = searched(write(tmp_path, rows={"time_steps.rho": {"from": 5, "to": 9, "points": 3}}), tmp_path / "reports")
    (outcome,) = search.record.outcomes
    assert len(outcome.arms) >= 3
    assert (outcome.optimum.low, outcome.optimum.high) == (None, None)


def test_a_race_whose_other_arms_all_failed_is_not_decided():
    race = MeasuredRace("frechet", Race(["a", "b"], "a", [400]), failed={"b": "no such luck"})
    race.race.tell("a", {})
    assert race.race.decided
    assert not race.decided


def test_flat_ends_at_candidates_that_dropped_out():
    values = {"3": 3.0, "5": 5.0, "7": 7.0, "10": 10.0, "15": 15.0}
    assert _around(7.0, values, ["3", "7", "10", "15"]) == [7.0, 10.0, 15.0]
    assert _around(7.0, values, ["7"]) == [7.0]
    assert _around(None, values, []) == []


TRAINED = {
    "name": "tuned",
    "data": "digits",
    "denoiser": {"name": "trained", "network": {"name": "mlp", "width": 8}, "training_images": 256},
    "design": "edm",
    "evaluate": {"images": 200, "detector": "pixels", "metrics": ["frechet"], "repeats": 3},
    "search": {"at": {"nfe": 3}, "rows": {"noise_distribution.P_mean": [-1.2, 0]}},
}


def test_the_final_test_trains_other_networks():
    """The networks of the races are chosen by their luck as well."""
    search = Search(Ablation.model_validate(TRAINED), progress=False)
    raced = search.ask().ablation.trials()
    tuned = {3: {"noise_distribution.P_mean": 0}}
    final = search.final_test(tuned).trials()
    assert {trial.denoiser.seed for trial in raced} == {0, 1, 2}
    assert {trial.denoiser.seed for trial in final} == {trial.seed for trial in final} == {3, 4, 5}
    first = search._trials_of(search.final_test(tuned))[3]
    again = Ablation.model_validate(YAML(typ="safe").load(as_yaml(search.ablation, first, "nfe=3"))).trials()
    assert {trial.id for trial in again} < {trial.id for trial in final}
    assert len(again) == 3


def test_an_ablation_without_search_is_refused(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text("data: digits\ndenoiser: exact\ndesign: edm\ngrid: {solver: [heun, euler]}\n")
    with pytest.raises(ds.SpecError, match="designspace run"):
        ds.tune(path)


def test_the_sizes_of_stages():
    assert stage_sizes(3200, 4) == [400, 800, 1600, 3200]
    assert stage_sizes(1000, 3) == [400, 600, 1000]
    assert stage_sizes(50, 3) == [50]


def test_tune_is_a_function_although_a_package_has_its_name():
    assert callable(ds.tune)
    assert ds.Search is Search
    assert (Path(ds.__file__).parent / "tune").is_dir()
