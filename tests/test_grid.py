"""The axes of an ablation and their order."""

import json
from hashlib import sha256

import pytest

import designspace as ds
from designspace.errors import Kind, SpecError
from designspace.sampling.counting import cost
from designspace.spec import Ablation, evaluations

BASE = {"name": "a", "data": "digits", "denoiser": "exact", "design": "edm", "num_steps": 5}
EVALUATE = {"images": 50, "detector": "pixels", "metrics": ["frechet"]}


def ablation(**fields):
    return Ablation.model_validate({**BASE, "evaluate": EVALUATE, **fields})


def labels(**fields):
    return [point.axes for point in ablation(**fields).points()]


def designs(**fields):
    return [point.trial.design for point in ablation(**fields).points()]


def test_without_axes_there_is_one_point():
    assert labels() == [{}]
    assert ablation().axes == []


def test_grid_is_a_product_whose_last_axis_is_fastest():
    found = ablation(grid={"solver": ["euler", "heun"], "num_steps": [4, 6]})
    assert [tuple(point.axes.items()) for point in found.points()] == [
        (("solver", "euler"), ("num_steps", 4)),
        (("solver", "euler"), ("num_steps", 6)),
        (("solver", "heun"), ("num_steps", 4)),
        (("solver", "heun"), ("num_steps", 6)),
    ]
    assert [(p.trial.design.solver.name, p.trial.num_steps) for p in found.points()] == [
        ("euler", 4), ("euler", 6), ("heun", 4), ("heun", 6)
    ]  # fmt: skip
    assert found.axes == ["solver", "num_steps"]


def test_axes_of_a_zip_advance_together():
    assert labels(zip={"solver": ["euler", "heun"], "num_steps": [7, 4]}) == [
        {"solver": "euler", "num_steps": 7},
        {"solver": "heun", "num_steps": 4},
    ]


def test_only_in_a_zip_may_a_value_stand_twice():
    assert len(labels(zip={"solver": ["euler", "euler", "heun"], "num_steps": [4, 6, 4]})) == 3
    with pytest.raises(SpecError, match=r"grid.solver.1: 'euler' is given twice"):
        labels(grid={"solver": ["euler", "euler"]})


def test_one_at_a_time_is_the_baseline_and_each_single_change():
    found = ablation(one_at_a_time={"solver": ["euler"], "time_steps.rho": [3, 5], "design.schedule": ["vp"]})
    assert [point.axes["variant"] for point in found.points()] == [
        "baseline", "solver=euler", "time_steps.rho=3", "time_steps.rho=5", "schedule=vp"
    ]  # fmt: skip
    rows = [(d.solver.name, d.time_steps.rho, d.schedule.name) for d in (p.trial.design for p in found.points())]
    assert rows == [
        ("heun", 7, "linear"),
        ("euler", 7, "linear"),
        ("heun", 3, "linear"),
        ("heun", 5, "linear"),
        ("heun", 7, "vp"),
    ]
    assert found.axes == ["variant"]


def test_cumulative_applies_sets_in_order():
    stages = [
        {"label": "Heun", "set": {"solver": "heun"}},
        {"label": "our steps", "set": {"time_steps": "edm", "time_steps.rho": 5}},
        {"label": "VE steps", "set": {"design.time_steps": "ve"}},
    ]
    found = ablation(design="vp", cumulative=stages)
    assert [point.axes for point in found.points()] == [
        {"stage": "baseline"}, {"stage": "Heun"}, {"stage": "our steps"}, {"stage": "VE steps"}
    ]  # fmt: skip
    rows = [(p.trial.design.solver.name, str(p.trial.design.time_steps)) for p in found.points()]
    assert rows == [("euler", "vp"), ("heun", "vp"), ("heun", "edm(rho=5.0)"), ("heun", "ve")]
    assert found.axes == ["stage"]


def test_a_first_stage_that_sets_nothing_names_the_baseline():
    stages = [{"label": "VP"}, {"set": {"solver": "heun"}}]
    assert labels(design="vp", cumulative=stages) == [{"stage": "VP"}, {"stage": "solver=heun"}]


def test_parts_combine_as_a_product():
    found = ablation(
        cumulative=[{"label": "Euler", "set": {"solver": "euler"}}],
        zip={"time_steps.rho": [3, 5], "seed": [0, 1]},
        grid={"num_steps": [4, 6]},
    )
    assert found.axes == ["stage", "time_steps.rho", "seed", "num_steps"]
    assert len(found.points()) == 8
    assert found.points()[5].axes == {"stage": "Euler", "time_steps.rho": 3, "seed": 0, "num_steps": 6}
    assert [point.trial.seed for point in found.points()] == [0, 0, 1, 1] * 2


def test_a_value_may_set_several_fields_under_a_label():
    both = {"label": "VP", "set": {"schedule": "vp", "scaling": "vp", "time_steps.rho": 3}}
    found = ablation(grid={"flow": [{"label": "EDM", "set": {}}, both]})
    assert [point.axes for point in found.points()] == [{"flow": "EDM"}, {"flow": "VP"}]
    rows = [(d.schedule.name, d.scaling.name, d.time_steps.rho) for d in (p.trial.design for p in found.points())]
    assert rows == [("linear", "none", 7), ("vp", "vp", 3)]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("heun", "heun"),
        ({"name": "heun", "alpha": 0.5}, "heun(alpha=0.5)"),
        ({"alpha": 0.5}, "alpha=0.5"),
        ({"label": "midpoint", "set": {"solver": {"name": "heun", "alpha": 0.5}}}, "midpoint"),
    ],
)
def test_labels_of_components(value, label):
    assert labels(grid={"solver": [value]}) == [{"solver": label}]


def test_scalars_are_their_own_labels():
    found = labels(grid={"to_zero": [True, False], "time_steps.rho": [7, 0.5], "evaluate.labels": ["none", [1, 2]]})
    assert found[0] == {"to_zero": True, "time_steps.rho": 7, "evaluate.labels": "none"}
    assert found[-1] == {"to_zero": False, "time_steps.rho": 0.5, "evaluate.labels": "1, 2"}
    assert found[0]["to_zero"] is True


def test_rows_are_set_before_their_fields_whatever_the_order():
    found = designs(grid={"time_steps.sigma_max": [50], "time_steps": ["edm", "ve"], "design": ["vp"]})
    assert [str(d.time_steps) for d in found] == ["edm(sigma_max=50.0)", "ve(sigma_max=50.0)"]
    assert {d.schedule.name for d in found} == {"vp"}


def test_a_row_replaces_the_fields_of_the_baseline_and_a_field_keeps_them():
    base = {"preset": "edm", "solver": {"alpha": 0.5}, "time_steps": {"name": "edm", "rho": 3}}
    assert [str(d.solver) for d in designs(design=base, grid={"solver": ["heun"]})] == ["heun"]
    assert [str(d.solver) for d in designs(design=base, grid={"solver.euler_last": [False]})] == [
        "heun(alpha=0.5, euler_last=False)"
    ]
    changed = designs(design=base, grid={"time_steps": [{"sigma_max": 50}]})
    assert [(d.time_steps.rho, d.time_steps.sigma_max) for d in changed] == [(3, 50)]


def test_an_axis_of_presets_replaces_the_whole_design():
    base = {"preset": "edm", "time_steps": {"rho": 3}}
    found = designs(design=base, grid={"design": ["vp", "edm", {"preset": "edm", "solver": "euler"}]})
    assert [(d.solver.name, str(d.time_steps)) for d in found] == [("euler", "vp"), ("heun", "edm"), ("euler", "edm")]


def test_design_may_be_left_out_of_names():
    assert labels(grid={"design.solver": ["heun"], "design.time_steps.rho": [7]}) == [
        {"solver": "heun", "time_steps.rho": 7}
    ]


def test_any_field_of_the_spec_may_vary():
    found = ablation(
        evaluate={"images": 50, "detector": "inception"},
        grid={
            "evaluate.images": [40, 50],
            "denoiser": ["exact"],
            "data": ["digits"],
            "evaluate.detector.download": [True],
        },
    )
    assert [point.trial.evaluate.images for point in found.points()] == [40, 50]
    assert found.points()[0].trial.evaluate.detector.download


@pytest.mark.parametrize("solver", ["euler", "heun", "dpmpp_2m", {"name": "heun", "euler_last": False, "alpha": 0.5}])
@pytest.mark.parametrize("to_zero", [True, False])
def test_nfe_is_the_largest_number_of_steps_within_the_budget(solver, to_zero):
    budgets = [4, 7, 10, 35]
    design = {"preset": "edm", "solver": solver, "to_zero": to_zero}
    for budget, trial in zip(budgets, ablation(design=design, grid={"nfe": budgets}).trials(), strict=True):
        assert cost(trial.design, trial.num_steps).nfe <= budget < cost(trial.design, trial.num_steps + 1).nfe


def test_nfe_replaces_num_steps_of_the_baseline_and_back():
    found = ablation(nfe=35, num_steps=None, one_at_a_time={"num_steps": [5], "nfe": [7], "solver": ["euler"]})
    assert [point.trial.num_steps for point in found.points()] == [18, 5, 4, 35]


def test_repeats_are_points_that_differ_in_the_seed():
    found = ablation(evaluate=EVALUATE | {"repeats": 3, "seed": 7}, grid={"solver": ["euler", "heun"]})
    assert [(point.axes["solver"], point.trial.seed) for point in found.points()] == [
        ("euler", 7), ("euler", 8), ("euler", 9), ("heun", 7), ("heun", 8), ("heun", 9)
    ]  # fmt: skip
    assert len(found.trials()) == 6


def test_points_that_are_the_same_trial_are_computed_once():
    found = ablation(one_at_a_time={"solver": ["heun", {"name": "heun", "alpha": 1}, "euler"]})
    assert [point.axes["variant"] for point in found.points()] == [
        "baseline", "solver=heun", "solver=heun(alpha=1)", "solver=euler"
    ]  # fmt: skip
    assert len({point.trial.id for point in found.points()}) == len(found.trials()) == 2
    assert found.trials()[0].design.solver.name == "heun"


# What points share


def test_points_share_what_they_have_in_common():
    found = ablation(
        grid={"solver": ["euler", "heun"], "time_steps.rho": [3, 5, 7], "num_steps": [4, 6], "seed": [0, 1]}
    )
    trials = found.trials()
    assert len(trials) == 24
    assert len({id(trial.design) for trial in trials}) == 6
    assert len({id(trial.design.solver) for trial in trials}) == 2
    assert len({id(trial.design.time_steps) for trial in trials}) == 3
    assert len({id(trial.design.loss_weight) for trial in trials}) == 1
    assert len({id(trial.data) for trial in trials}) == len({id(trial.denoiser) for trial in trials}) == 1
    assert len({id(trial.evaluate) for trial in trials}) == len({trial.evaluate.seed for trial in trials}) == 2
    rows = [(t.design.solver.name, t.design.time_steps.rho, t.num_steps, t.seed) for t in trials]
    assert rows == [tuple(point.axes.values()) for point in found.points()]


def test_ids_are_those_of_the_identity_however_they_are_computed():
    sigma_data = {"preset": "edm", "sigma_data": 0.7}
    found = ablation(
        grid={
            "design": ["vp", sigma_data, {"preset": "edm", "stochasticity": {"name": "churn", "S_max": "inf"}}],
            "evaluate.labels": ["none", [1, 2]],
            "seed": [-1, 3],
        }
    )
    for trial in found.trials():
        text = json.dumps(trial.identity(), sort_keys=True, allow_nan=False)
        assert trial.id == sha256(text.encode()).hexdigest()[:16] == trial.model_copy().id
        assert trial == type(trial).model_validate(trial.model_dump())


def test_one_sigma_data_reaches_the_rows_of_every_point():
    rows = {"c_skip": ["edm", "velocity"], "loss_weight": ["edm", "vp"], "sigma_data": [0.5, 0.7]}
    for point in ablation(grid=rows).points():
        design = point.trial.design
        alone = ds.Design.preset("edm", **{row: point.axes[row] for row in rows})
        assert design == alone
        assert design.c_out.sigma_data == point.axes["sigma_data"]


def test_an_error_of_one_value_is_reported_once_and_those_of_others_too():
    wrong = ablation(
        grid={"seed": [0, 1, 2], "time_steps.rho": [7, -1], "solver": ["heun", "hein"], "num_steps": [5, 1]}
    )
    with pytest.raises(SpecError) as error:
        wrong.points()
    paths = [problem.path for problem in error.value.problems]
    assert sorted(paths) == [("grid", "num_steps", 1), ("grid", "solver", 1), ("grid", "time_steps.rho", 1)]


def test_of_very_many_configurations_some_are_tried(monkeypatch):
    monkeypatch.setattr(evaluations, "MOST_STEPS_TRIED", 100)
    many = ablation(grid={"time_steps.rho": [3, 5, 7], "num_steps": [5, 10, 20]})
    assert [point.trial.num_steps for point in many.points()] == [5, 10, 20] * 3
    (warning,) = (problem for problem in many._planned().warnings if problem.kind is Kind.UNCHECKED)
    number = int(warning.what.partition(" ")[0])
    assert 1 <= number < 9
    budgets = ablation(num_steps=None, grid={"time_steps.rho": [3, 5, 7], "nfe": [5, 10, 20]})
    assert [point.trial.num_steps for point in budgets.points()] == [3, 5, 10] * 3
    assert not [problem for problem in budgets._planned().warnings if problem.kind is Kind.UNCHECKED]


TRAINED = {"name": "trained", "network": "mlp", "training_images": 512, "batch_size": 64}


@pytest.mark.parametrize(
    ("denoiser", "repeats", "axes", "says"),
    [
        (TRAINED, 2, {}, "trainings of one configuration"),
        (TRAINED, 2, {"solver": ["euler", "heun"], "num_steps": [4, 6]}, "trainings of one configuration"),
        (TRAINED, 2, {"loss_weight": ["edm", "vp"], "num_steps": [4, 6]}, "difference between two configurations"),
        (TRAINED, 2, {"loss_weight": ["edm", "vp", "iddpm"], "num_steps": [4, 6]}, None),  # 2 and 3 degrees of freedom
        (TRAINED, 3, {}, None),
        ("exact", 2, {"solver": ["euler", "heun"]}, None),  # without trainings, errors come from the images
    ],
)
def test_two_repeats_are_too_few_where_the_pooled_variance_has_one_degree_of_freedom(denoiser, repeats, axes, says):
    """In a grid, numbers of steps are budgets: networks are pooled for each of them."""
    few = ablation(denoiser=denoiser, grid=axes, evaluate=EVALUATE | {"repeats": repeats})
    found = [problem.what for problem in few._planned().warnings if problem.kind is Kind.FEW_REPEATS]
    assert [says in what and "one degree of freedom" in what for what in found] == [True] * bool(says)
