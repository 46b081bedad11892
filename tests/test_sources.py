"""Results belong to the code that produced them: user-defined components and networks whose files change."""

import json
import sys

import numpy as np
import pytest
import torch
from pipeline import in_another_process

import designspace as ds
from designspace.errors import DataError
from designspace.registry.sources import beside
from designspace.run.run import run
from designspace.run.stages import Stages
from designspace.spec import SpecError, load
from designspace.storage.cache import Cache
from designspace.training.checkpoints import trained
from designspace.training.export import export

STEPS = """\
from torch import Tensor
from designspace import TimeSteps
from designspace.sampling.levels import ramp
class Mine(TimeSteps, name="mine"):
    '''Own.'''
    def sigmas(self, n: int) -> Tensor:
        return 80 * (0.002 / 80) ** (ramp(n) ** POWER)
"""
NETWORK = """\
import torch
class Net(torch.nn.Module):
    def forward(self, x, c_noise, labels=None):
        return x * FACTOR
def make():
    return Net()
"""
SPEC = """\
components: [COMPONENTS]
data: digits
denoiser: exact
design: {preset: edm, time_steps: mine}
num_steps: 3
evaluate: {images: 20, detector: pixels, metrics: [frechet]}
"""
NETWORK_SPEC = """\
data: digits
denoiser: {name: preconditioned, network: {name: module, factory: "./net.py:make"}}
design: edm
num_steps: 3
evaluate: {images: 20, detector: pixels, metrics: [frechet]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder whose modules and components are removed again afterwards."""
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules, steps = dict(sys.modules), dict(ds.TimeSteps.known)
    yield tmp_path
    for name in set(sys.modules) - set(modules):
        if name.startswith("designspace_user") or str(getattr(sys.modules[name], "__file__", "")).startswith(
            str(tmp_path)
        ):
            del sys.modules[name]
    ds.TimeSteps.known.clear()
    ds.TimeSteps.known.update(steps)


def own(power):
    return STEPS.replace("POWER", str(power))


def loaded(folder, components="./c.py"):
    (folder / "a.yaml").write_text(SPEC.replace("COMPONENTS", components))
    return load(folder / "a.yaml")


def outcome(ablation, out):
    row = run(ablation, out=out, progress=False).rows()[0]
    return row.id, row.metrics["frechet"].value, row.sigmas


def test_a_component_edited_in_a_running_process_is_imported_again(folder):
    (folder / "c.py").write_text(own(0.5))
    first = loaded(folder)
    before = outcome(first, folder / "out")
    (folder / "c.py").write_text(own(0.9))
    assert first.points()[0].trial.model_copy().id == before[0]  # in memory, it is what it was
    after = outcome(loaded(folder), folder / "out")
    assert before[0] != after[0]
    assert before[2][1] != after[2][1]
    (folder / "c.py").write_text(own(0.5))
    assert outcome(loaded(folder), folder / "again") == before


def test_a_component_that_is_gone_from_its_file_is_gone(folder):
    (folder / "c.py").write_text(own(0.5))
    loaded(folder)
    (folder / "c.py").write_text(own(0.5).replace("class Mine", "class Other"))
    assert type(loaded(folder).points()[0].trial.design.time_steps).__name__ == "Other"
    (folder / "c.py").write_text("")
    with pytest.raises(SpecError, match="unknown time_steps 'mine'"):
        loaded(folder)


def test_a_network_edited_in_a_running_process_is_imported_again(folder):
    (folder / "a.yaml").write_text(NETWORK_SPEC)
    (folder / "net.py").write_text(NETWORK.replace("FACTOR", "0.1"))
    first = load(folder / "a.yaml")
    before = outcome(first, folder / "out")
    (folder / "net.py").write_text(NETWORK.replace("FACTOR", "0.9"))
    after = outcome(load(folder / "a.yaml"), folder / "out")
    assert before[0] != after[0]
    assert before[1] != after[1]
    with pytest.raises(DataError, match="code or data have changed since the ablation was loaded"):
        run(first, out=folder / "out", progress=False)


def test_an_edit_while_a_job_runs_changes_no_key(folder, monkeypatch):
    text = SPEC.replace("num_steps: 3", "grid: {num_steps: [3, 4]}").replace("COMPONENTS", "./c.py")
    (folder / "a.yaml").write_text(text)
    (folder / "c.py").write_text(own(0.5))
    ablation = load(folder / "a.yaml")
    reference = run(ablation, out=folder / "whole", progress=False).frame["frechet"].tolist()
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(folder / "other"))
    from designspace.run import worker as claims

    evaluate = claims.evaluate

    def edit_then_evaluate(*arguments):
        (folder / "c.py").write_text(own(0.9))
        return evaluate(*arguments)

    monkeypatch.setattr(claims, "evaluate", edit_then_evaluate)
    assert run(ablation, out=folder / "edited", progress=False).frame["frechet"].tolist() == reference
    monkeypatch.undo()
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(folder / "other"))
    assert run(load(folder / "a.yaml"), out=folder / "new", progress=False).frame["frechet"].tolist() != reference


def test_files_that_change_before_they_are_read_are_detected(folder):
    np.savez(folder / "images.npz", np.zeros((3, 4, 4, 1), dtype=np.uint8))
    text = SPEC.replace("components: [COMPONENTS]\n", "").replace(", time_steps: mine", "")
    (folder / "a.yaml").write_text(text.replace("digits", "{name: npz, path: ./images.npz}"))
    trial = load(folder / "a.yaml").trials()[0]
    stages = Stages(Cache(folder / "cache"), torch.device("cpu"))
    stages.prepare(trial)
    np.savez(folder / "images.npz", np.ones((4, 4, 4, 1), dtype=np.uint8))
    with pytest.raises(DataError, match="have changed since the run began"):
        stages.loaded.denoiser(trial)


def test_a_guide_that_changes_before_it_is_read_is_detected(folder):
    """Also if the denoiser is loaded already, because an earlier trial has the same."""
    denoiser = ds.Denoiser.get("trained")(network={"name": "mlp", "width": 8}, training_images=64, batch_size=32)
    plan = denoiser.plan(ds.Data.get("digits")().load(), ds.Design.preset("edm"))
    cpu = torch.device("cpu")

    def write(name, images):
        export(trained(plan, images, cpu, Cache(folder / "cache")), plan, folder / name, cpu)

    write("one", 32)
    write("two", 64)
    guides = [
        {"name": "autoguidance", "guide": {"name": "pretrained", "model": f"./{name}"}} for name in ("one", "two")
    ]
    text = SPEC.replace("components: [COMPONENTS]\n", "").replace(", time_steps: mine", "")
    (folder / "a.yaml").write_text(f"{text}\ngrid: {{guidance: {json.dumps(guides)}}}\n")
    first, second = load(folder / "a.yaml").trials()
    stages = Stages(Cache(folder / "cache"), cpu)
    for trial in (first, second):
        stages.prepare(trial)
    stages.loaded.guided(first)
    write("two", 96)
    with pytest.raises(DataError, match="have changed since the run began"):
        stages.loaded.guided(second)
    assert load(folder / "a.yaml").trials()[1].id != second.id


IMPORTS = {
    "a module": ("import base_a\n", "base_a.P", "base_a.py"),
    "of a module": ("import middle_b\n", "middle_b.P", "base_b.py"),
    "in a folder": ("from lib_c.base import P\n", "P", "lib_c/base.py"),
    "late": ("def late():\n    import base_f\n    return base_f.P\n", "late()", "base_f.py"),
    "of another path": ("import sys\nsys.path.insert(0, HERE + '/lib')\nimport base_d\n", "base_d.P", "lib/base_d.py"),
}


@pytest.mark.parametrize("case", IMPORTS)
def test_what_a_component_imports_from_beside_itself_is_part_of_its_source(case, folder):
    head, power, file = IMPORTS[case]
    (folder / "middle_b.py").write_text("from base_b import P\n")
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text("P = 0.5\n")
    (folder / "c.py").write_text(head.replace("HERE", repr(str(folder))) + own(power))
    before = outcome(loaded(folder), folder / "out")
    (folder / file).write_text("P = 0.9\n")
    after = outcome(loaded(folder), folder / "out")
    assert before[0] != after[0]
    assert before[2][1] != after[2][1]


def test_packages_count_as_a_whole_and_installed_ones_not_at_all(folder):
    sys.path.insert(0, str(folder))
    package = folder / "own_package"
    (package / "steps").mkdir(parents=True)
    for name in ("__init__.py", "steps/__init__.py"):
        (package / name).write_text("")
    (package / "base.py").write_text("P = 0.5\n")
    (package / "unused.py").write_text("")
    (package / "steps" / "c.py").write_text("from .. import base\nimport torch, numpy.linalg\n" + own("base.P"))
    before = loaded(folder, "own_package.steps.c").points()[0].trial.id
    names = ["own_package", "own_package.base"]
    found = beside(package / "steps" / "c.py", (package / "steps" / "c.py").read_bytes())
    assert [name for name in found if "steps" not in name] == names
    (package / "unused.py").write_text("1")
    assert loaded(folder, "own_package.steps.c").points()[0].trial.id == before
    (package / "base.py").write_text("P = 0.9\n")
    after = loaded(folder, "own_package.steps.c").points()[0].trial
    assert after.id != before
    assert after.design.time_steps.sigmas(3)[1] == pytest.approx(80 * (0.002 / 80) ** (0.5**0.9))


def test_modules_of_one_name_beside_two_files(folder):
    def values(first, second):
        ids = {}
        for name in (first, second):
            ablation = loaded(folder / name)
            trial = ablation.points()[0].trial
            ids[name] = (trial.id, trial.design.time_steps.sigmas(3)[1].item())
            del ds.TimeSteps.known["mine"]
        return ids

    for name, power in (("one", 0.5), ("two", 0.9)):
        (folder / name).mkdir()
        (folder / name / "base_e.py").write_text(f"P = {power}\n")
        (folder / name / "c.py").write_text("import base_e\n" + own("base_e.P"))
    found = values("one", "two")
    assert found["one"][1] == pytest.approx(80 * (0.002 / 80) ** (0.5**0.5))
    assert found["two"][1] == pytest.approx(80 * (0.002 / 80) ** (0.5**0.9))
    assert len({id for id, _ in found.values()}) == 2


def test_a_factory_in_another_folder_imports_its_own_package_and_what_is_beside_it(folder, monkeypatch):
    """Neither the folder of the spec nor that of the factory is on Python's path or the working directory."""
    package, specs = folder / "lib" / "own_nets", folder / "specs"
    package.mkdir(parents=True)
    specs.mkdir()
    (package / "__init__.py").write_text("")
    (package / "net.py").write_text("from .scale_g import FACTOR\nimport beside_g\n" + NETWORK)
    (package / "beside_g.py").write_text("")
    (specs / "a.yaml").write_text(NETWORK_SPEC.replace("./net.py", "../lib/own_nets/net.py"))
    found = {}
    for factor in (0.1, 0.9):
        (package / "scale_g.py").write_text(f"FACTOR = {factor}\n")
        trial = load(specs / "a.yaml").points()[0].trial
        found[trial.id] = trial.denoiser.network.build((1, 8, 8))(torch.ones(1, 1, 8, 8), None).max().item()
    assert list(found.values()) == pytest.approx([0.1, 0.9])


@pytest.mark.parametrize("name", ["random", "yaml"])
def test_a_module_beside_with_the_name_of_another_one_is_refused(name, folder):
    (folder / "c.py").write_text(f"import {name}\n" + own(0.5))
    (folder / f"{name}.py").write_text("")
    with pytest.raises(SpecError, match=rf"'{name}' is both .*/{name}.py and a module .*: rename the first"):
        loaded(folder)
    (folder / "c.py").write_text(own(0.6))  # what nobody imports disturbs nobody
    loaded(folder)


def test_a_folder_of_data_hides_no_installed_package(folder):
    import yaml

    (folder / "yaml").mkdir()
    (folder / "c.py").write_text("import yaml\nassert yaml.safe_load('1') == 1\n" + own(0.5))
    loaded(folder)
    assert sys.modules["yaml"] is yaml


def test_workers_import_what_is_beside_a_file(folder):
    (folder / "base_h.py").write_text("P = 0.5\n")
    (folder / "c.py").write_text("import base_h\n" + own("base_h.P"))
    ablation = loaded(folder)
    results = in_another_process(ablation, folder / "a.yaml", folder / "out")
    assert len(results.rows()) == 1
    assert not results.failures


def test_the_identity_of_a_single_file_is_its_own_bytes(folder):
    import hashlib

    (folder / "c.py").write_text(own(0.5))
    steps = loaded(folder).points()[0].trial.design.time_steps
    assert steps.identity()["source"] == hashlib.sha256((folder / "c.py").read_bytes()).hexdigest()


def test_installed_packages_are_never_imported_again(folder):
    """A factory of torchvision, whose operators can be registered only once, then a file of one's own."""
    import torchvision

    (folder / "mine.py").write_text("import torch\n\ndef make():\n    return torch.nn.Identity()\n")
    modules = {name: module for name, module in sys.modules.items() if name.split(".")[0] in ("torch", "torchvision")}
    factory = ds.Network.get("module")
    spec = {"factory": "torchvision.ops:Permute", "kwargs": {"dims": [0, 1]}}
    assert isinstance(factory.model_validate(spec).build((1, 2, 2)), torchvision.ops.Permute)
    factory.model_validate({"factory": f"{folder}/mine.py:make"}).build((1, 2, 2))
    assert {name: sys.modules.get(name) for name in modules} == modules


def test_weights_that_are_replaced_in_place_give_another_trial(folder):
    """The factory reads them from a folder that ``kwargs`` names."""
    text = "import torch, pathlib\nfrom net import Net\ndef make(weights):\n    net = Net()\n"
    text += "    net.factor = float(pathlib.Path(weights, 'w.txt').read_text())\n    return net\n"
    (folder / "read.py").write_text(text)
    (folder / "net.py").write_text(NETWORK.replace("FACTOR", "self.factor"))
    (folder / "a.yaml").write_text(
        NETWORK_SPEC.replace('"./net.py:make"', '"./read.py:make", kwargs: {weights: ./dir}')
    )
    (folder / "dir").mkdir()
    (folder / "dir" / "w.txt").write_text("0.1")
    first = load(folder / "a.yaml")
    before = outcome(first, folder / "out")
    (folder / "dir" / "w.txt").write_text("0.9")
    with pytest.raises(DataError, match="have changed since the ablation was loaded"):
        run(first, out=folder / "out", progress=False)
    after = outcome(load(folder / "a.yaml"), folder / "out")
    assert before[0] != after[0]
    assert before[1] != after[1]
