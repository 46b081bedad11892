"""The block ``search`` of an ablation: its points, its candidates, and what is refused."""

import pytest

import designspace as ds
from designspace.run.run import run
from designspace.spec import SpecError, load
from designspace.spec.candidates import Skipped
from designspace.spec.schema import schema
from designspace.spec.search import Range

HEAD = """\
name: tuned
data: digits
denoiser: exact
evaluate: {images: 800, detector: pixels, metrics: [frechet]}
"""
SEARCH = """\
design: edm
search:
  at: {nfe: [7, 11]}
  rows:
    solver: [heun, dpmpp_2m]
    time_steps: all
    time_steps.rho: {from: 3, to: 15, points: 3}
    schedule: [linear, vp]
    stochasticity: [none, {label: churn, set: {stochasticity: {name: churn, S_churn: 20}}}]
  against: [{label: Euler, set: {solver: euler}}]
"""


@pytest.fixture
def loaded(tmp_path):
    def loaded(search=SEARCH, options=()):
        (tmp_path / "tuned.yaml").write_text(HEAD + search)
        return load(tmp_path / "tuned.yaml", options)

    return loaded


@pytest.fixture
def space(loaded):
    return loaded().space()


def searched(rows, at="{nfe: 7}", design="edm"):
    return f"design: {design}\nsearch:\n  at: {at}\n  rows: {rows}\n"


def labels(found):
    return [arm.label for arm in found.arms]


# Points


def test_the_points_are_the_designs_of_the_final_test_at_every_budget(loaded):
    ablation = loaded()
    assert ablation.axes == ["design", "nfe"]
    found = {tuple(point.axes.values()): point.trial for point in ablation.points()}
    assert list(found) == [("baseline", 7), ("Euler", 7), ("baseline", 11), ("Euler", 11)]
    assert found["Euler", 11].num_steps == 11
    assert found["baseline", 7].num_steps == 4


def test_designs_that_were_found_are_points_of_their_budgets(loaded):
    ablation = loaded()
    tuned = ablation.search.with_tuned({7: {"solver": "dpmpp_2m"}, 11: {"time_steps.rho": 9}})
    points = [point for point in ablation.changed(search=tuned).points() if point.axes["design"] == "tuned"]
    assert [(p.axes["nfe"], str(p.trial.design.solver), p.trial.design.time_steps.rho) for p in points] == [
        (7, "dpmpp_2m", 7),
        (11, "heun", 9),
    ]
    assert not ablation.search.tuned


def test_claims_may_be_made_of_the_tuned_design(loaded):
    claims = "claims: [{say: It is better., expect: {less: [{design: tuned}, {design: DESIGN}], metric: frechet}}]\n"
    assert loaded(SEARCH + claims.replace("DESIGN", "Euler")).claims[0].expect.less[1] == {"design": "Euler"}
    with pytest.raises(SpecError, match=r"no point has design = 'Eulr'. Did you mean 'Euler'"):
        loaded(SEARCH + claims.replace("DESIGN", "Eulr"))


def test_a_run_refuses_a_search_and_a_search_needs_the_block(loaded, tmp_path):
    with pytest.raises(SpecError, match=r"tuned.yaml:6:1: search: is for designspace tune FILE .* not for run"):
        run(loaded(), out=tmp_path, progress=False)
    with pytest.raises(SpecError, match="has no block search, so there is nothing to tune: use designspace run"):
        loaded("design: edm\nnfe: 7\n").space()


def test_options_change_rows_and_budgets(loaded):
    options = ["search.at.nfe=9", "search.rows.design.time_steps.rho=[3, 5]", "search.budget.minutes=2"]
    search = loaded(options=options).search
    assert search.budgets == [9]
    assert search.rows["time_steps.rho"] == [3, 5]
    assert search.budget.minutes == 2


def test_a_denoiser_of_the_program_cannot_be_searched(loaded):
    given = ds.Denoiser.get("exact")()
    assert loaded().with_denoiser(given).space().trial({}, 7).denoiser == given
    with pytest.raises(SpecError, match=r":8:21: search.rows.denoiser.0: varies the denoiser, which is given"):
        loaded(searched("{denoiser: [{name: exact}], solver: [heun, euler]}")).with_denoiser(given)


# Candidates


def test_the_incumbent_is_the_first_arm_and_each_arm_says_all_that_it_changes(space):
    found = space.candidates("solver", {}, 7)
    assert [(arm.label, arm.set) for arm in found.arms] == [("heun", {}), ("dpmpp_2m", {"solver": "dpmpp_2m"})]
    later = space.candidates("solver", {"solver": "dpmpp_2m", "time_steps.rho": 9}, 7)
    assert [(arm.label, arm.set) for arm in later.arms] == [
        ("dpmpp_2m", {"solver": "dpmpp_2m", "time_steps.rho": 9}),
        ("heun", {"time_steps.rho": 9, "solver": "heun"}),
    ]
    assert later.arms[1].trial.design.time_steps.rho == 9


def test_all_stands_for_the_components_that_fit(space):
    found = space.candidates("time_steps", {}, 7)
    assert {"edm", "cosine", "logsnr"} < set(labels(found)) < set(ds.TimeSteps.known)
    assert Skipped("explicit", "needs levels") in found.skipped


def test_another_component_replaces_fields_that_were_tuned_and_the_present_one_keeps_them(space):
    found = space.candidates("time_steps", {"time_steps.rho": 9}, 7)
    arms = {arm.label: arm.set for arm in found.arms}
    assert arms["cosine"] == {"time_steps": "cosine"}
    assert found.incumbent.label == "edm"
    assert arms["edm"] == {"time_steps.rho": 9}


def test_a_range_has_the_values_of_its_scale_and_the_present_one(space):
    found = space.candidates("time_steps.rho", {}, 7)
    assert [arm.value for arm in found.arms] == [7, 3, 6.71, 15]
    assert Range.model_validate({"from": 1, "to": 5, "scale": "linear", "points": 3}).values() == [1, 3, 5]
    assert Range.model_validate({"from": 1, "to": 4, "points": 5}).values(integer=True) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("row", "changes", "reason"),
    [
        ("time_steps.rho", {"time_steps": "cosine"}, "time_steps cosine has no field rho"),
        ("schedule", {"solver": "dpmpp_2m"}, "solver dpmpp_2m does not step in time"),
        ("stochasticity", {"solver": "dpmpp_2m"}, "invalidates the history of the multistep solver dpmpp_2m"),
    ],
)
def test_rows_that_cannot_matter_are_not_raced(space, row, changes, reason):
    found = space.candidates(row, changes, 7)
    assert len(found.arms) == 1
    assert reason in found.reason
    assert not space.candidates(row, {}, 7).reason


def test_candidates_with_the_same_samples_are_one_arm(loaded):
    again = "{label: again, set: {solver: {name: heun, alpha: 1}}}, {label: e, set: {solver: euler}}"
    found = loaded(searched(f"{{solver: [heun, euler, {again}]}}")).space().candidates("solver", {}, 7)
    assert labels(found) == ["heun", "euler"]
    assert found.skipped == [
        Skipped("e", "gives the same samples as euler"),
        Skipped("again", "gives the same samples as heun"),
    ]


def test_a_listed_candidate_may_fit_only_beside_one_of_another_row(loaded):
    churn = "stochasticity: [none, {name: churn, S_churn: 20}]"
    edm = "{preset: edm, solver: dpmpp_2m}"
    loaded(searched(f"{{solver: [heun, dpmpp_2m], {churn}}}", design=edm))
    with pytest.raises(SpecError, match=r"rows.stochasticity.1: churn adds noise between steps"):
        loaded(searched(f"{{time_steps: [edm, cosine], {churn}}}", design=edm))


# What is refused


@pytest.mark.parametrize(
    ("search", "line"),
    [
        (
            searched("{solver: [heun, eulr]}"),
            ":8:25: search.rows.solver.1: unknown solver 'eulr'. Did you mean 'euler'?",
        ),
        (searched("{solvr: [a]}"), ":8:10: search.rows.solvr: unknown field 'solvr'. Did you mean 'solver'?"),
        (searched("{rho: all}"), ":8:10: search.rows.rho: unknown field 'rho'. Did you mean 'time_steps.rho'?"),
        (
            searched("{time_steps.roh: [3]}"),
            ":8:10: search.rows.time_steps.roh: unknown field 'roh'. Did you mean 'rho'?",
        ),
        (searched("{solver: heun}"), ":8:18: search.rows.solver: should be a list of candidates, all, or a range"),
        (searched("{solver: []}"), ":8:18: search.rows.solver: has no values"),
        (searched("{}"), ":8:9: search.rows: should have 1 or more items"),
        (searched("{solver: [heun]}"), ":8:3: search.rows: leave nothing to search: solver: the only candidate is"),
        (searched("{solver: [heun, rk4]}", "{nfe: [3, 7]}"), ":8:25: search.rows.solver.1: at nfe=3: solver rk4 needs"),
        (searched("{solver: [heun, rk45]}"), ":8:25: search.rows.solver.1: at nfe=7: solver rk45 is adaptive"),
        (
            searched("{solver: [heun, ab], design.solver: [ab]}"),
            ":8:30: search.rows.design.solver: is the same as solver",
        ),
        (searched("{seed: [1, 2]}"), ":8:10: search.rows.seed: cannot be searched: designs are compared at the same"),
        (searched("{start: all}"), ":8:17: search.rows.start: all is for rows of the design that have components"),
        (searched("{solver: {from: 1, to: 2}}"), ":8:18: search.rows.solver: a range is for fields with numbers"),
        (searched("{time_steps.rho: {from: 9, to: 3}}"), ":8:26: search.rows.time_steps.rho: from = 9 is not below"),
        (
            searched("{time_steps.rho: {from: 0, to: 3}}"),
            ":8:26: search.rows.time_steps.rho: from = 0 has no logarithm",
        ),
        (
            searched("{time_steps.rho: {from: 3, to: 5, too: 9}}"),
            "unknown field 'too'. Did you mean 'to'? Fields: from, to, scale",
        ),
        (
            searched("{time_steps.rho: {from: -3, to: 9, scale: linear}}"),
            ":8:33: search.rows.time_steps.rho.from: should be greater than 0, not -3.0",
        ),
        (
            searched("{solver.order: {from: 1.5, to: 4}}", design="{preset: edm, solver: ab}"),
            ":8:31: search.rows.solver.order.from: should be an integer, not 1.5",
        ),
        (searched("{solver: [heun, ab]}", "{nef: 7}"), ":7:7: search.at: should name one of num_steps, nfe, nfe_total"),
        (searched("{solver: [heun, ab]}", "{nfe: [7, 7]}"), ":7:13: search.at.nfe: 7 is listed twice"),
        (searched("{solver: [heun, ab]}", "{nfe: [7, x]}"), ":7:17: search.at.nfe.1: should be an integer, not 'x'"),
        (searched("{solver: [heun, ab]}") + "nfe: 7\n", ":9:1: nfe: has no effect beside search.at"),
        (
            searched("{solver: [heun, ab]}") + "grid: {nfe: [7]}\n",
            ":9:1: grid: search is given too; give one of the two",
        ),
        (searched("{solver: [heun, ab]}") + "  stages: 0\n", ":9:11: search.stages: should be at least 1, not 0"),
        (
            searched("{solver: [heun, ab]}") + "  budget: {minute: 3}\n",
            "unknown field 'minute'. Did you mean 'minutes'?",
        ),
        (
            searched("{solver: [heun, ab]}") + "  against: [{label: tuned, set: {solver: ab}}]\n",
            ":9:13: search.against.0: another design is also called 'tuned': give it another label",
        ),
        (
            searched("{solver: [heun, ab]}") + "  against: [{set: {sover: ab}}]\n",
            ":9:20: search.against.0.set.sover: unknown field 'sover'. Did you mean 'solver'?",
        ),
        ("design: edm\nsearch: yes\n", ":6:9: search: should be a mapping"),
    ],
)
def test_mistakes_are_reported_where_they_are_written(loaded, search, line):
    with pytest.raises(SpecError) as error:
        loaded(search)
    assert len(error.value.lines) == 1, error.value.lines
    assert line in error.value.lines[0]


def test_a_first_stage_with_fewer_images_than_a_frechet_distance_needs_is_warned_of(loaded):
    """lite0 has 320 features; the first of four stages has an eighth of the images."""
    lite0 = ["evaluate.detector=lite0", "evaluate.images=7600"]
    (warning,) = loaded(searched("{solver: [heun, euler]}"), lite0).warnings
    assert "search.stages: the first stage of a race has about 950 images, fewer than 3 x 320 features" in warning
    assert loaded(searched("{solver: [heun, euler]}"), [*lite0[:1], "evaluate.images=7680"]).warnings == []
    assert loaded(searched("{solver: [heun, euler]}"), [*lite0, "evaluate.metrics=[kid]"]).warnings == []


def test_a_search_of_training_rows_without_repeats_is_warned_of(loaded):
    """Only rows that change the network are named."""
    denoiser = "denoiser={name: trained, network: {name: mlp, width: 8}, training_images: 256}"
    search = searched("{solver: [heun, euler], noise_distribution.P_mean: [-1.2, 0], denoiser.network.width: [8, 16]}")
    found = loaded(search, [denoiser]).warnings
    assert [text.split(": ")[1] for text in found] == [
        "search.rows.noise_distribution.P_mean",
        "search.rows.denoiser.network.width",
    ]
    assert "each candidate is trained once" in found[0]
    assert loaded(search, [denoiser, "evaluate.repeats=3"]).warnings == []


def test_races_are_decided_by_a_metric_of_images(loaded):
    with pytest.raises(SpecError, match="curvature is not measured on images, and the first metric decides the races"):
        loaded(options=["evaluate.metrics=[curvature, frechet]"])


def test_races_are_decided_by_a_metric_with_a_direction(loaded):
    with pytest.raises(SpecError, match="nearest has no direction of better values, and the first metric decides"):
        loaded(options=["evaluate.metrics=[nearest, frechet]"])


def test_the_schema_lists_what_a_search_may_have(loaded):
    found = schema()["$defs"]["Search"]["properties"]
    assert {"at", "rows", "stages", "passes", "budget", "against", "final_images"} == set(found)
    assert "solver" in found["rows"]["properties"]
    assert set(found["at"]["properties"]) == {"nfe", "nfe_total", "num_steps"}
    assert {"from", "to"} < set(schema()["$defs"]["Range"]["properties"])
