"""From a YAML file to trials, and what a trial's id depends on."""

import json
import re
import shutil
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image

import designspace as ds
from designspace.design import preset_names, with_field
from designspace.registry.component import FOLDER, Finite
from designspace.run.run import run
from designspace.spec import Ablation, SpecError, Trial, load
from designspace.spec.schema import schema
from designspace.testing import checks

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "ablations" / "examples" / "sinh.yaml"
SPEC = """\
name: small
question: What?
data: digits
denoiser: exact
design: edm
num_steps: 5
evaluate: {images: 50, detector: pixels, metrics: [frechet]}
"""


@pytest.fixture
def write(tmp_path):
    def write(text=SPEC, name="small.yaml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.fixture
def forget(tmp_path):
    """Remove the components that a test defines in files of its own."""
    yield
    for row in (ds.LossWeight, ds.TimeSteps):
        for name, cls in list(row.known.items()):
            if Path(str(sys.modules[cls.__module__].__file__)).is_relative_to(tmp_path):
                del row.known[name]


@pytest.fixture
def trial():
    """A trial of ``SPEC`` with some fields changed."""

    def trial(**fields):
        spec = {"name": "a", "data": "digits", "denoiser": "exact", "design": "edm", **fields}
        return Ablation.model_validate(spec).trials()[0]

    return trial


def images_in(path, shade=100):
    Image.new("L", (8, 8), shade).save(path.parent / "0.png")
    with ZipFile(path, "w") as archive:
        archive.write(path.parent / "0.png", "0.png")


# The reference ablation and the example


def test_the_reference_ablation():
    ablation = load(ROOT / "ablations" / "solver_grid.yaml")
    assert ablation.axes == ["solver", "nfe"]
    assert len(ablation.points()) == len(ablation.trials()) == 18
    assert ablation.warnings == []
    assert {trial.evaluate.images for trial in ablation.trials()} == {3200}
    steps = {(p.axes["solver"], p.axes["nfe"]): p.trial.num_steps for p in ablation.points()}
    assert steps["euler", 35] == steps["dpmpp_2m", 35] == 35
    assert steps["heun", 35] == 18
    assert len(ablation.claims) >= 2


def test_the_example_runs_with_its_own_class(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    ablation = load(EXAMPLE, ["evaluate={images: 20, detector: pixels, metrics: [frechet]}", "grid.nfe=[7]"])
    with pytest.warns(UserWarning, match="20 images are fewer than 10 x 64 features"):
        frame = run(ablation, out=tmp_path, progress=False).frame
    assert list(frame["time_steps"]) == ["edm", "sinh"]
    assert list(frame["nfe"]) == [7, 7]
    assert frame["frechet"].notna().all()
    assert frame["frechet"].nunique() == 2


def test_the_example_passes_the_contract_and_fits_its_formula():
    load(EXAMPLE)
    sinh = ds.TimeSteps.get("sinh")()
    for check in checks(sinh):
        check()
    theta = (sinh.sigmas(7) / sinh.knee).asinh().diff()
    assert theta.max() - theta.min() < 1e-12
    assert len(Path(EXAMPLE).with_suffix(".py").read_text().splitlines()) < 35


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_is_a_baseline(preset, trial):
    assert trial(design=preset).design == ds.Design.preset(preset)


# Reading


def test_yaml_1_2_and_anchors(write):
    text = SPEC.replace("design: edm", "design: {preset: edm, time_steps: &steps {sigma_min: 1e-3}}")
    text += "zip:\n  time_steps: [{<<: *steps, sigma_max: 8e1}]\n"
    steps = load(write(text)).trials()[0].design.time_steps
    assert (steps.sigma_min, steps.sigma_max) == (0.001, 80)


def test_the_name_is_the_files_unless_given(write):
    assert load(write(SPEC.replace("name: small\n", ""), "other.yaml")).name == "other"
    assert load(write()).path == write()


def test_components_are_files_beside_the_yaml_or_modules(write, tmp_path, monkeypatch, forget):
    for name in ("beside", "module"):
        (tmp_path / f"{name}.py").write_text(
            "from designspace import LossWeight\n\n\n"
            f'class Mine(LossWeight, name="test_{name}"):\n'
            '    """Constant."""\n\n    def __call__(self, sigma):\n        return sigma * 0 + 1\n'
        )
    monkeypatch.syspath_prepend(tmp_path)
    spec = SPEC + "components: [./beside.py, module]\ngrid: {loss_weight: [test_beside, test_module]}"
    assert [t.design.loss_weight.name for t in load(write(spec)).trials()] == ["test_beside", "test_module"]


def test_paths_are_relative_to_the_yaml(write, tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    for name in ("a.zip", "sub/b.zip"):
        images_in(tmp_path / name)
    path = write(SPEC + "grid: {data: [{name: zip, path: a.zip}, {name: zip, path: ./sub/b.zip}]}")
    monkeypatch.chdir("/")
    assert [t.data.path for t in load(path).trials()] == [tmp_path / "a.zip"]  # the content is the same
    assert [p.trial.data.path for p in load(path).points()] == [tmp_path / "a.zip", tmp_path / "sub" / "b.zip"]
    option = load(write(), ["data={name: zip, path: sub/b.zip}"])
    assert option.trials()[0].data.path == tmp_path / "sub" / "b.zip"
    assert ds.Data.get("zip")(path="a.zip").path == Path("a.zip")
    zipped = {"name": "zip", "path": "a.zip"}
    assert ds.Data.model_validate(zipped, context={FOLDER: tmp_path}).path == tmp_path / "a.zip"
    assert ds.Data.model_validate(zipped).path == Path("a.zip")


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("num_steps=10", {"num_steps": 10}),
        ("evaluate.images=60", {"images": 60}),
        ("design.solver=euler", {"solver": "euler"}),
        ("solver=euler", {"solver": "euler"}),
        ("design=vp", {"solver": "euler", "schedule": "vp"}),
        ("time_steps.rho=5", {"rho": 5.0}),
        ("design.solver={name: heun, alpha: 0.5}", {"alpha": 0.5}),
        ("solver.alpha=1e-1", {"alpha": 0.1}),
        ("nfe=19", {"num_steps": 10}),
        ("seed=3", {"seed": 3}),
        ("evaluate.labels=balanced", {"labels": "balanced"}),
        ("grid={num_steps: [6]}", {"num_steps": 6}),
        ("one_at_a_time.schedule=[ve]", {"schedule": "linear"}),
    ],
)
def test_options_change_the_spec(option, expected, write):
    t = load(write(), [option]).trials()[0]
    d = t.design
    found = {
        "num_steps": t.num_steps, "images": t.evaluate.images, "labels": t.evaluate.labels, "seed": t.seed,
        "solver": d.solver.name, "schedule": d.schedule.name,
        "rho": getattr(d.time_steps, "rho", None), "alpha": getattr(d.solver, "alpha", None),
    }  # fmt: skip
    assert expected.items() <= found.items()


def test_a_field_is_set_without_changing_the_original():
    spec = {"design": "edm", "denoiser": ds.Solver.get("heun")(alpha=0.5), "num_steps": 5}
    kept = dict(spec)
    assert with_field(spec, ("num_steps",), 6) == spec | {"num_steps": 6}
    assert with_field(spec, ("design", "solver", "alpha"), 1)["design"] == {"preset": "edm", "solver": {"alpha": 1}}
    assert with_field(spec, ("denoiser", "euler_last"), False)["denoiser"] == {
        "name": "heun",
        "alpha": 0.5,
        "euler_last": False,
    }
    assert with_field({"solver": "heun"}, ("solver", "alpha"), 1) == {"solver": {"name": "heun", "alpha": 1}}
    assert spec == kept
    with pytest.raises(SpecError, match="'num_steps' has no fields that could be set"):
        with_field(spec, ("num_steps", "x"), 1)


def test_options_change_axes_under_any_name(write):
    path = write(SPEC + "grid: {design.solver: [euler, heun], nfe: [7]}")
    points = load(path, ["grid.solver=[heun]", "grid.nfe=[11, 7]"]).points()
    assert [point.axes for point in points] == [{"solver": "heun", "nfe": 11}, {"solver": "heun", "nfe": 7}]


def test_an_ablation_may_be_made_in_python():
    ablation = Ablation(name="mine", data="digits", denoiser="exact", design="edm", grid={"solver": ["euler", "eulr"]})
    assert ablation.path is None
    with pytest.raises(SpecError, match=r"^grid.solver.1: unknown solver 'eulr'. Did you mean 'euler'\?"):
        ablation.points()


# Claims and warnings


def test_levels_are_those_that_the_network_knows(write, tmp_path):
    """Unsupported levels are reported on loading, but only for denoisers that depend on c_noise."""
    network = "class Net(torch.nn.Module):\n    def forward(self, x, c_noise, labels=None):\n        return x\n"
    (tmp_path / "net.py").write_text(f"import torch\n{network}make = Net\n")
    design = "{preset: edm, c_noise: iddpm, solver: dpmpp_2m}"
    network = '{name: preconditioned, network: {name: module, factory: "./net.py:make"}}'
    text = SPEC.replace("design: edm", f"design: {design}").replace("num_steps: 5", "num_steps: 400")
    load(write(text))
    load(write(text.replace("denoiser: exact", f"denoiser: {network}")))
    narrow = "{name: edm, sigma_min: 0.001, sigma_max: 0.002}"
    text = text.replace("400", "5").replace("solver: dpmpp_2m", f"time_steps: {narrow}")
    with pytest.raises(SpecError, match=r"small\.yaml:5:.*0.001 to 0.002 is outside the denoiser's range"):
        load(write(text.replace("denoiser: exact", f"denoiser: {network}")))


JUMP = """
import torch
from designspace import Schedule


class Jump(Schedule, name="test_jump"):
    # A schedule that jumps from 1 to 4.
    def sigma(self, t):
        return torch.where(t < 1, t, t + 3)
"""


def test_a_wrong_schedule_is_refused_where_it_is_written(write, tmp_path):
    """The number of steps is not to blame, although the levels of few steps miss the jump."""
    (tmp_path / "jump.py").write_text(JUMP)
    named = "{preset: edm, schedule: test_jump}"
    try:
        for design, grid, place in (
            (named, "{num_steps: [5]}", "5:33: design.schedule"),
            (named, "{nfe: [35]}", "5:33: design.schedule"),
            ("edm", "{schedule: [ve, test_jump], nfe: [35]}", "6:23: grid.schedule.1"),
        ):
            head = "name: small\ncomponents: [./jump.py]\ndata: digits\ndenoiser: exact\n"
            with pytest.raises(SpecError, match=rf":{place}: schedule test_jump: sigma\(t\) jumps over .* at t = 1$"):
                load(write(f"{head}design: {design}\ngrid: {grid}\n"))
    finally:
        ds.Schedule.known.pop("test_jump", None)


def test_an_ablation_in_python_takes_components_and_designs(tmp_path):
    heun = ds.Solver.get("heun")(alpha=0.5)
    about = {"name": "a", "data": "digits", "denoiser": "exact"}
    grid = {"solver": ["heun", heun], "time_steps.rho": [7]}
    ablation = Ablation.model_validate({**about, "design": ds.Design.preset("edm"), "grid": grid})
    written = Ablation.model_validate(
        {**about, "design": "edm", "grid": grid | {"solver": ["heun", {"name": "heun", "alpha": 0.5}]}}
    )
    assert [p.axes["solver"] for p in ablation.points()] == ["heun", "heun(alpha=0.5)"]
    assert [p.trial.id for p in ablation.points()] == [p.trial.id for p in written.points()]
    metrics = {"evaluate": {"images": 20, "detector": "pixels", "metrics": [ds.Metric.get("kid")()]}}
    run(Ablation.model_validate({**about, **metrics, "design": ds.Design.preset("edm"), "num_steps": 2}), out=tmp_path)
    assert json.loads((tmp_path / "a" / "ablation.json").read_text())["baseline"]["design"]["solver"]["name"] == "heun"


def test_claims_name_axes_and_values_as_the_points_do(write):
    spec = SPEC + (
        "grid: {design.solver: [euler, {name: heun, alpha: 0.5}], time_steps.rho: [3, 7]}\n"
        "claims:\n"
        "- say: Midpoint beats Euler.\n"
        "  expect:\n"
        "    less: [{solver: {name: heun, alpha: 0.5}, time_steps.rho: 7.0}, {design.solver: euler}]\n"
        "    metric: frechet\n"
    )
    ablation = load(write(spec))
    (claim,) = json.loads(json.dumps(ablation.model_dump(mode="json", include={"claims"})["claims"]))
    less = [{"solver": "heun(alpha=0.5)", "time_steps.rho": 7}, {"solver": "euler"}]
    assert claim == {"say": "Midpoint beats Euler.", "why": "", "expect": {"less": less, "metric": "frechet"}}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("grid: {solver: [dpmpp_2m], schedule: [linear, vp]}", ["8:28: grid.schedule: has no effect: solver dpmpp_2m"]),
        (
            "grid: {solver: [dpmpp_2m, heun], schedule: [linear, vp]}",
            ["8:34: grid.schedule: has no effect with solvers that do not"],
        ),
        ("grid: {c_in: [edm, vp]}", ["8:8: grid.c_in: has no effect: denoiser exact does not depend on c_in"]),
        ("grid: {c_out.sigma_data: [0.5, 1]}", ["8:8: grid.c_out.sigma_data: has no effect: denoiser exact does"]),
        ("one_at_a_time: {loss_weight: [vp], solver: [euler]}", ["8:17: one_at_a_time.loss_weight: has no effect"]),
        ("grid: {all: [{label: a, set: {c_in: vp, solver: euler}}]}", []),
        (
            "cumulative: [{label: a, set: {c_in: vp, c_skip: vp}}]",
            ["8:14: cumulative.0: has no effect: denoiser"],
        ),
        ("grid: {design: [edm, vp]}", []),
    ],
)
def test_axes_without_effect(more, expected, write):
    path = write(SPEC + more)
    warnings = load(path).warnings
    assert len(warnings) == len(expected)
    for warning, part in zip(warnings, expected, strict=True):
        assert warning.startswith(f"{path}:{part}")


# What a trial is


@pytest.mark.parametrize(("fixed", "varied"), [("num_steps", "nfe"), ("nfe", "num_steps"), ("nfe", "nfe")])
def test_steps_of_the_baseline_that_every_point_replaces(fixed, varied, write):
    text = SPEC.replace("num_steps: 5", f"{fixed}: 9") + f"grid: {{{varied}: [7, 11]}}\n"
    ablation = load(write(text))
    (warning,) = ablation.warnings
    assert re.search(rf"small\.yaml:6:\d+: {fixed}: has no effect: grid\.{varied} sets it$", warning)
    assert load(write(SPEC + "one_at_a_time: {nfe: [7, 11]}\n")).warnings == []  # its baseline has them


def test_ids_cover_all_that_results_depend_on(trial):
    base = {"num_steps": 5, "evaluate": {"images": 50, "detector": "pixels", "metrics": ["frechet"]}}
    asked = base["evaluate"]
    different = [
        trial(**base),
        trial(**base, design="vp"),
        trial(**base, design={"preset": "edm", "time_steps": {"rho": 3}}),
        trial(**base, design={"preset": "edm", "to_zero": False}),
        trial(**base, design={"preset": "edm", "loss_weight": "vp"}),
        trial(**base | {"num_steps": 6}),
        trial(**base | {"evaluate": asked | {"images": 60}}),
        trial(**base | {"evaluate": asked | {"metrics": ["kid"]}}),
        trial(**base | {"evaluate": asked | {"detector": "lite0"}}),
        trial(**base | {"evaluate": asked | {"labels": "balanced"}}),
        trial(**base | {"evaluate": asked | {"seed": 1}}),
    ]
    assert len({t.id for t in different}) == len(different)
    assert trial(**base | {"evaluate": asked | {"repeats": 2}}).id == trial(**base).id
    assert trial(**base, design={"preset": "edm", "solver": {"name": "heun", "alpha": 1.0}}).id == trial(**base).id
    assert all(len(t.id) == 16 and int(t.id, 16) >= 0 for t in different)


def test_ids_follow_content_not_paths(trial, tmp_path):
    paths = [tmp_path / name for name in ("a.zip", "b.zip", "c.zip")]
    for path, shade in zip(paths, (100, 100, 101), strict=True):
        images_in(path, shade)
    a, b, c = (trial(data={"name": "zip", "path": str(path)}).id for path in paths)
    assert a == b != c


def test_ids_follow_the_source_of_own_components(write, tmp_path, forget):
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(EXAMPLE.with_suffix(".py"), folder)
        (folder / "sinh.py").write_text((folder / "sinh.py").read_text().replace('"sinh"', f'"sinh_{name}"'))
    ids = [
        load(write(SPEC + f"components: [{name}/sinh.py]\ngrid: {{time_steps: [sinh_{name}]}}")).trials()[0].id
        for name in ("one", "two")
    ]
    assert ids[0] != ids[1]


def same(one, other):
    return json.dumps(one.sampling_identity(), sort_keys=True) == json.dumps(other.sampling_identity(), sort_keys=True)


def test_images_depend_on_sampling_alone(trial):
    asked = {"images": 50, "detector": "pixels", "metrics": ["frechet"]}
    base = trial(evaluate=asked)
    assert same(base, trial(evaluate={"images": 60, "detector": "lite0", "metrics": ["kid"], "repeats": 2}))
    assert same(base, trial(evaluate=asked, design={"preset": "edm", "c_in": "vp", "loss_weight": "vp"}))
    assert not same(base, trial(evaluate=asked, design={"preset": "edm", "schedule": "ve"}))
    assert not same(base, trial(evaluate=asked, design={"preset": "edm", "stochasticity": {"name": "churn"}}))
    assert not same(base, trial(evaluate=asked, num_steps=6))
    assert not same(base, trial(evaluate=asked | {"seed": 1}))
    assert not same(base, trial(evaluate=asked | {"labels": "data"}))
    assert not same(base, trial(evaluate=asked, data={"name": "mixture", **MIXTURE}))  # the exact denoiser reads it


MIXTURE = {"weights": [1.0], "means": [[0.0, 0.0]], "covs": [[[0.04, 0.0], [0.0, 0.04]]]}


def test_images_do_not_depend_on_rows_and_data_that_are_not_used(trial):
    steps = {"preset": "edm", "solver": "dpmpp_2m"}
    assert same(trial(design=steps), trial(design=steps | {"schedule": "ve", "scaling": "vp"}))
    toy = {"denoiser": {"name": "gaussian_mixture", **MIXTURE}}
    assert same(trial(**toy), trial(**toy, data={"name": "mixture", **MIXTURE}))
    asked = {"evaluate": {"labels": "data"}}
    assert not same(trial(**toy, **asked), trial(**toy, **asked, data={"name": "mixture", **MIXTURE}))


def test_trials_round_trip_through_json(trial, tmp_path):
    images_in(tmp_path / "a.zip")
    churn = {"preset": "edm", "stochasticity": {"name": "churn", "S_churn": 40, "S_max": "inf"}}
    for fields in ({"evaluate": {"labels": [1, 2]}}, {"design": churn}, {"data": {"name": "zip", "path": "a.zip"}}):
        if "data" in fields:
            fields["data"]["path"] = str(tmp_path / "a.zip")
        one = trial(**fields)
        text = json.dumps(one.model_dump(mode="json"), allow_nan=False)
        again = Trial.model_validate(json.loads(text))
        assert (again, again.id, hash(again)) == (one, one.id, hash(one))
    assert json.loads(json.dumps(trial(design=churn).model_dump()))["design"]["stochasticity"]["S_max"] == "inf"


def test_a_changed_copy_is_another_trial(trial):
    one = trial()
    assert one.model_copy(update={"num_steps": one.num_steps + 1}).id != one.id
    assert one.model_copy().id == one.id


# The schema


def test_the_schema_knows_components_and_their_fields():
    class Wide(ds.CIn, name="test_wide"):
        """A wide one."""

        width: Finite = float("inf")

        def __call__(self, sigma):
            return sigma

    text = json.dumps(schema(), allow_nan=False)
    found = json.loads(text)
    assert set(found["properties"]) == set(Ablation.model_fields)
    assert not found["additionalProperties"]
    solvers = {kind["title"]: kind for kind in found["$defs"]["Solver"]["anyOf"] if "title" in kind}
    assert found["$defs"]["Solver"]["anyOf"][0]["enum"] == sorted(ds.Solver.known)
    assert set(solvers["heun"]["properties"]) == {"name", "alpha", "euler_last"}
    assert not solvers["heun"]["additionalProperties"]
    (wide,) = [kind for kind in found["$defs"]["CIn"]["anyOf"] if kind.get("title") == "test_wide"]
    assert wide["properties"]["width"] == {"title": "Width", "type": "number"}
    refs = {ref.split('"')[0] for ref in text.split('"$ref": "#/$defs/')[1:]}
    assert refs <= set(found["$defs"])
