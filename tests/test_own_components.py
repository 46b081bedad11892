"""A wrong component of the user's is refused when the spec that names it is loaded."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from test_contract import BROKEN, define  # noqa: F401  # a fixture

import designspace as ds
from designspace.errors import Kind, SpecError
from designspace.evaluation.measure import Measured
from designspace.registry.known import ROWS
from designspace.spec import load, own
from designspace.testing import _CHECKS

ROOT = Path(ds.__file__).parents[1]
QUICK = {check.__name__ for group in _CHECKS[:2] for checks in group.values() for check in checks}
NAMES = {
    "data": ("data: broken", "2:7: data"),
    "denoiser": ("denoiser: broken", "2:11: denoiser"),
    "guidance": ("guidance: broken", "2:11: guidance"),
    "decoder": ("decoder: broken", "2:10: decoder"),
    "network": (
        "denoiser: {name: trained, augmentation: edm, network: broken}",
        "2:55: denoiser.network",
    ),
    "augmentation": ("denoiser: {name: trained, network: mlp, augmentation: broken}", "2:55: denoiser.augmentation"),
    "ema": ("denoiser: {name: trained, network: mlp, ema: broken}", "2:46: denoiser.ema"),
    "detector": ("evaluate: {images: 300, detector: broken}", "2:35: evaluate.detector"),
    "reference": ("evaluate: {images: 300, detector: pixels, reference: broken}", "2:54: evaluate.reference"),
    "metric": ("evaluate: {images: 300, detector: pixels, metrics: [broken]}", "2:53: evaluate.metrics.0"),
}
"""For rows that are not part of a design: a line that names a component, and its place in line 2."""
REST = {
    "data": "data: digits",
    "denoiser": "denoiser: exact",
    "design": "design: edm",
    "evaluate": "evaluate: {images: 300, detector: pixels, metrics: [frechet]}",
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def load_with(tmp_path):
    """Load a spec whose second line is given."""

    def load_with(line):
        rest = (text for field, text in REST.items() if not line.startswith(field))
        path = tmp_path / "my.yaml"
        path.write_text("\n".join(["num_steps: 18", line, *rest]))
        return load(path)

    return load_with


def refused(load_with, line):
    """The lines of the error, without the name of the file."""
    with pytest.raises(SpecError) as error:
        load_with(line)
    assert {problem.kind for problem in error.value.problems} == {Kind.USER_CODE}
    return [text.partition("my.yaml:")[2] for text in error.value.lines]


def naming(row):
    return NAMES.get(row, (f"design: {{preset: edm, {row}: broken}}", f"2:{25 + len(row)}: design.{row}"))


WRONG = [
    case
    for case in BROKEN
    if case[2] in QUICK
    and "expected no error" not in case[3]  # refused by the sampler, see test_spec.py
    and case[2] != "respects_the_limits_of_a_denoiser"  # the exact denoiser has none; see below
]


@pytest.mark.parametrize(("base", "attributes", "check", "message"), WRONG, ids=[f"{c[0].row}-{c[2]}" for c in WRONG])
def test_a_wrong_component_is_refused_where_it_is_named(base, attributes, check, message, define, load_with):  # noqa: F811
    define(base, **attributes)
    line, place = naming(base.row)
    (found,) = refused(load_with, line)
    assert found.startswith(f"{place}: {base.row} 'broken' is wrong: ")
    assert " (required: " in found


def test_every_row_that_a_spec_can_name_is_checked():
    assert {base.row for base, *_ in WRONG} == set(ROWS)


def euler(self, flow, x, i, sigma, memory):
    return flow.D(x, sigma) + (x - flow.D(x, sigma)) * flow.sigma[i + 1] / sigma, None


@pytest.mark.parametrize(
    ("base", "attributes"),
    [
        (ds.CSkip, {"__call__": lambda self, sigma: 1 + sigma}),
        (ds.CNoise, {"__call__": lambda self, sigma: 1 / (1 + sigma)}),
        (ds.TimeSteps, {"sigmas": lambda self, n: {18: 80 * 0.6 ** torch.arange(18, dtype=torch.float64)}[n]}),
        (ds.Scaling, {"s": lambda self, t, schedule: 1 / (1 + {"linear": t}[schedule.name])}),
        (ds.Metric, {"measure": lambda self, generated, reference: Measured(float(generated.features.std()))}),
        (ds.Solver, {"__doc__": "", "step": euler}),
    ],
    ids=["c_skip", "c_noise", "time_steps", "scaling", "metric", "solver"],
)
def test_unusual_choices_and_missing_documentation_are_no_errors(base, attributes, define, load_with):  # noqa: F811
    """They may fit only this ablation: a number of steps, a schedule, an order that nobody declared."""
    define(base, **attributes)
    assert len(load_with(naming(base.row)[0]).trials()) == 1


@pytest.mark.parametrize(
    ("base", "attributes"),
    [
        (
            ds.Network,
            {"build": lambda self, shape, classes=0, augment=0: Flat()},
        ),
        (
            ds.Detector,
            {
                "protocol": lambda self: "FD-flat",
                "load": lambda self, device: lambda pixels: pixels.reshape(len(pixels), 64).float(),
            },
        ),
        (
            ds.Augmentation,
            {
                "size": 1,
                "__call__": lambda self, x, g: (x.reshape(len(x), 64).reshape(x.shape), torch.zeros(len(x), 1)),
            },
        ),
    ],
    ids=["network", "detector", "augmentation"],
)
def test_components_for_images_of_one_shape_are_checked_on_the_data(base, attributes, define, load_with):  # noqa: F811
    define(base, **attributes)
    assert len(load_with(naming(base.row)[0]).trials()) == 1


class Flat(torch.nn.Module):
    """A network for images of 64 pixels."""

    def forward(self, x, c_noise, labels=None, augment=None):
        return x.reshape(len(x), 64).reshape(x.shape)


def test_levels_must_lie_within_the_limits_of_the_network(define, load_with):  # noqa: F811
    define(ds.TimeSteps, sigmas=lambda self, n: 1000 * 0.6 ** torch.arange(n, dtype=torch.float64))
    design = "design: {preset: edm, c_noise: ddpm, noise_distribution: ddpm, time_steps: broken}"
    assert len(load_with(design).trials()) == 1  # the exact denoiser has no limits
    REST_OF_TRAINED = {"denoiser: exact": "denoiser: {name: trained, network: mlp}"}
    rest = [REST_OF_TRAINED.get(text, text) for field, text in REST.items() if field != "design"]
    path = Path(load_with(design).path)
    path.write_text("\n".join(["num_steps: 18", design, *rest]))
    with pytest.raises(SpecError, match=r"time_steps 'broken' is wrong: within\(.*expected levels within these limits"):
        load(path)


# Files, the command line


SQUARED = """\
import designspace as ds


class Squared(ds.Schedule, name="test_squared"):
    def sigma(self, t):
        return t**2

    def sigma_inv(self, sigma):
        return sigma


class Raises(ds.Scaling, name="test_raises"):
    def s(self, t, schedule):
        return {}["table"]


class Weight(ds.LossWeight, name="test_weight"):
    a: float = 1.0

    def __call__(self, sigma):
        return self.a * sigma
"""
SPEC = """\
components: [./my.py]
data: digits
denoiser: exact
num_steps: 4
evaluate: {images: 20, detector: pixels, metrics: [frechet]}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my.py").write_text(SQUARED)
    yield tmp_path
    for row, name in ((ds.Schedule, "squared"), (ds.Scaling, "raises"), (ds.LossWeight, "weight")):
        row.known.pop(f"test_{name}", None)


def spec(folder, more):
    (folder / "my.yaml").write_text(SPEC + more)
    return folder / "my.yaml"


def test_a_schedule_that_was_scored_as_linear(folder):
    """Only sigma(t) and its derivative were wrong at the levels, so that sampling saw sigma = t."""
    with pytest.raises(SpecError) as error:
        load(spec(folder, "design: {preset: edm, schedule: test_squared}"))
    assert error.value.lines == [
        f"{folder}/my.yaml:6:33: design.schedule: schedule 'test_squared' is wrong: sigma(sigma_inv(sigma)) at 100: "
        "expected 100, got 10000 (required: sigma_inv gives the time of each noise level)"
    ]
    with pytest.raises(SpecError) as error:
        load(spec(folder, "design: edm\ngrid: {solver: [euler, heun], schedule: [linear, test_squared]}"))
    assert [line.partition("my.yaml:")[2][:25] for line in error.value.lines] == ["7:50: grid.schedule.1: sc"]


def test_an_exception_names_the_component_and_the_line(folder):
    with pytest.raises(SpecError) as error:
        load(spec(folder, "design: {preset: edm, scaling: test_raises}"))
    assert error.value.lines == [
        f"{folder}/my.yaml:6:32: design.scaling: scaling 'test_raises' fails: KeyError: 'table' ({folder}/my.py:14)"
    ]


@pytest.mark.parametrize("command", [["check"], ["run"], ["run", "--dry-run"]])
def test_every_command_refuses_it_before_any_work(folder, command):
    spec(folder, "design: {preset: edm, schedule: test_squared}")
    done = subprocess.run(
        [sys.executable, "-m", "designspace", command[0], "my.yaml", *command[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout) == (2, "")
    (named, line) = done.stderr.splitlines()
    assert named == "executing ./my.py (components)"
    assert line.startswith("my.yaml:6:33: design.schedule: schedule 'test_squared' is wrong: ")
    assert {path.name for path in folder.iterdir()} - {"cache", "__pycache__"} == {"my.py", "my.yaml"}


def test_each_instance_is_checked_once_and_only_some_of_a_class(folder, monkeypatch):
    seen = []
    monkeypatch.setattr(own, "_problem", lambda component, draft, images: seen.append(component.a) or "")
    monkeypatch.setattr(own, "MOST", 3)
    axes = "design: {preset: edm, loss_weight: test_weight}\ngrid: {solver: [euler, heun], loss_weight.a: [1, 2, 3, 4]}"
    assert len(load(spec(folder, axes)).points()) == 8
    assert seen == [1, 2, 3]


def test_a_check_that_takes_too_long_is_a_warning(define, load_with, monkeypatch):  # noqa: F811
    def forever(self, sigma):
        while True:
            time.sleep(0.01)

    define(ds.LossWeight, __call__=forever)
    monkeypatch.setattr(own, "SECONDS", 0.2)
    ablation = load_with("design: {preset: edm, loss_weight: broken}")
    assert [text.partition("my.yaml:")[2] for text in ablation.warnings][-1] == (
        "2:36: design.loss_weight: loss_weight 'broken' is not checked, because its check takes more than 0.2 s"
    )


def test_missing_weights_are_left_to_the_run(define, load_with):  # noqa: F811
    def missing(self, device):
        raise ds.DataError("no weights")

    define(ds.Detector, protocol=lambda self: "FD-missing", load=missing)
    assert len(load_with(naming("detector")[0]).trials()) == 1


def test_examples_and_templates_are_right(folder):
    done = subprocess.run(
        [sys.executable, "-m", "designspace", "new", "study"],
        cwd=folder,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0
    paths = [folder / "study" / "ablation.yaml", *(ROOT / "ablations/examples").glob("*.yaml")]
    for path in paths:
        try:
            assert load(path).trials()
        finally:
            for row in (ds.TimeSteps, ds.Schedule):
                for name in ("my_steps", "my_schedule"):
                    row.known.pop(name, None)


DEFAULT = """
import designspace as ds


class Mine(ds.LossWeight, name="test_default"):
    power: ds.Positive = -1.0

    def __call__(self, sigma):
        return sigma**self.power
"""


def test_a_default_outside_its_domain_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text(DEFAULT)
    (tmp_path / "my.yaml").write_text(
        "components: [mine.py]\ndesign: {preset: edm, loss_weight: test_default}\ndata: digits\ndenoiser: exact\n"
    )
    try:
        with pytest.raises(
            SpecError, match=r"2:36: design\.loss_weight: .* the default of power should be greater than 0"
        ):
            load(tmp_path / "my.yaml")
    finally:
        del ds.LossWeight.known["test_default"]


def test_components_with_lists_among_their_fields_have_a_hash(define):  # noqa: F811
    mine = type(define(ds.Schedule, sigma=lambda self, t: t, __annotations__={"scales": list[float]}, scales=[1.0]))
    assert hash(mine(scales=[1.0, 2.0])) == hash(mine(scales=[1, 2]))
    assert len({mine(scales=[1.0]), mine(scales=[1.0]), mine(scales=[2.0])}) == 2
