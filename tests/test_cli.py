"""The command line, run in a shell."""

import hashlib
import importlib.metadata
import io
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import designspace as ds
from designspace.cli.app import app
from designspace.cli.distance import _features as features_of
from designspace.evaluation.measure import Measured
from designspace.registry.known import ROWS
from designspace.testing import checks

ROOT = Path(__file__).parents[1]
TINY = """\
name: tiny
question: Does it run?
data: digits
denoiser: exact
design: edm
grid: {solver: [euler, heun], nfe: [3, 5]}
evaluate: {images: 40, detector: pixels, metrics: [frechet]}
claims:
  - say: Five evaluations beat three.
    expect: {less: [{solver: euler, nfe: 5}, {solver: euler, nfe: 3}], metric: frechet}
"""


@pytest.fixture
def shell(shell, tmp_path):
    """Run the command beside the file tiny.yaml."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    yield shell
    ds.Solver.known.pop("broken", None)


def test_check_run_report(shell, tmp_path):
    assert shell("check", "tiny.yaml") == (0, "tiny.yaml: tiny: 4 points, 4 trials\n", "")
    status, out, err = shell("run", "tiny.yaml")
    assert status == 0, err
    assert "40 images are fewer than 10 x 64 features" in err
    assert "Five evaluations beat three" in out
    assert "next: designspace report tiny\n" in out
    folder = tmp_path / "reports" / "tiny"
    written = {path.name for path in folder.iterdir()}
    assert {"results.jsonl", "table.md", "table.csv", "claims.md", "frechet_vs_nfe.png", "samples.png"} <= written
    before = (folder / "results.jsonl").read_bytes()
    status, _, err = shell("run", "tiny.yaml")
    assert status == 0
    assert "0 trials to do, 4 already done" in err
    assert (folder / "results.jsonl").read_bytes() == before
    for name in ((), ("tiny",), (folder,), (folder.parent,)):
        status, out, _ = shell("report", *name)
        assert status == 0
        assert "frechet_vs_nfe.png" in out


def test_warnings_of_check_say_that_they_are(shell, tmp_path):
    (tmp_path / "tiny.yaml").write_text(
        TINY.replace("solver: [euler, heun]", "c_skip: [edm, vp]").partition("claims")[0]
    )
    status, _, err = shell("check", "tiny.yaml")
    assert status == 0
    assert err == "warning: tiny.yaml:6:8: grid.c_skip: has no effect: denoiser exact does not depend on c_skip\n"


def test_a_run_says_which_results_its_report_leaves_out(shell):
    few = ("run", "tiny.yaml", "--set", "claims=[]", "--set", "grid.nfe=[3]")
    assert "also holds" not in shell(*few)[2]
    status, _, err = shell(*few, "--set", "evaluate.images=30")
    assert status == 0
    assert "reports/tiny/results.jsonl also holds 2 results of other settings or versions" in err
    assert "also holds" not in shell(*few, "--set", "evaluate.images=20", "--out", "elsewhere")[2]


def test_json_is_all_there_is_on_stdout(shell):
    status, out, err = shell("run", "tiny.yaml", "--json", "--set", "claims=[]", "--set", "grid.nfe=[3]")
    assert status == 0, err
    printed = json.loads(out)
    assert [row["axes"] for row in printed["results"]] == [{"solver": s, "nfe": 3} for s in ("euler", "heun")]
    assert printed["failures"] == []
    assert json.loads(shell("list", "solver", "--json")[1])["solver"]
    assert json.loads(shell("doctor", "--json")[1])["detectors"]["lite0"] == "ready"
    assert json.loads(shell("schema")[1])["properties"]


def test_a_dry_run_shows_text_as_it_is_and_names_what_fails(shell, tmp_path):
    (tmp_path / "net.py").write_text(
        "import sys\nimport torch\n\n\nclass Bad(torch.nn.Module):\n"
        "    def forward(self, x, c, labels=None):\n        sys.exit(0)\n\n\ndef make():\n    return Bad()\n"
    )
    question = "[bold] [/oops] :smile: [red]?"
    options = ("--dry-run", "--set", "claims=[]", "--set", f"question='{question}'")
    status, out, err = shell("run", "tiny.yaml", *options)
    assert status == 0, err
    assert question in out
    broken = "denoiser={name: preconditioned, network: {name: module, factory: './net.py:make'}}"
    status, _, err = shell("run", "tiny.yaml", *options, "--set", broken)
    assert status in (1, 2)
    first, *others = err.splitlines()
    assert first == "executing ./net.py (factory)"
    assert len(others) == 1
    assert "sys.exit(0) in " in others[0]


def test_a_dry_run_controls_no_terminal_and_names_trials_in_full_or_not_at_all(shell, monkeypatch):
    axes = "grid={solver: [euler, heun], nfe: [3, 5], c_in: [edm, vp], time_steps.rho: [3, 7]}"
    options = ("--set", "claims=[]", "--set", 'question="Where\u202e?"', "--set", axes)
    rows = json.loads(shell("run", "tiny.yaml", "--dry-run", "--json", *options)[1])["trials"]
    for columns, named in (("60", False), ("200", True)):
        monkeypatch.setenv("COLUMNS", columns)
        status, out, err = shell("run", "tiny.yaml", "--dry-run", *options)
        assert status == 0, err
        assert r"Where\u202e?" in out
        assert "\u202e" not in out
        assert {row["id"][:4] in out for row in rows} == {named}
        assert {row["id"] in out for row in rows} == {named}


def test_a_component_that_exits_is_an_error_of_the_check(shell, tmp_path):
    (tmp_path / "own.py").write_text(
        "import sys\nimport designspace as ds\n\n\nclass Quits(ds.TimeSteps, name='quits'):\n"
        "    def sigmas(self, n):\n        sys.exit(0)\n"
    )
    options = ("--set", "components=[./own.py]", "--set", "design={preset: edm, time_steps: quits}")
    for command in (("check",), ("run",), ("run", "--dry-run")):
        status, _, err = shell(*command, "tiny.yaml", *options)
        assert status == 2, err
        assert re.search(r"time_steps 'quits' fails: EndedError: sys\.exit\(0\) in .*own\.py:7", err)
        assert "Traceback" not in err


def test_results_without_a_description_are_named(shell, tmp_path):
    (tmp_path / "reports" / "tiny").mkdir(parents=True)
    (tmp_path / "reports" / "tiny" / "results.jsonl").write_text("")
    status, _, err = shell("report", "tiny")
    assert status == 2
    assert "reports/tiny: has results.jsonl, but no ablation.json" in err


def test_only_similar_file_names_are_suggested(shell, tmp_path):
    assert "Did you mean" not in shell("run", "nofile.yaml")[2]
    assert "Did you mean 'tiny.yaml'?" in shell("run", "tinny.yml")[2]


def test_dry_run_computes_nothing(shell, tmp_path):
    status, out, err = shell("run", "tiny.yaml", "--dry-run")
    assert status == 0, err
    assert re.search(r"4 points, (about \d|under 1 s in one process)", out)
    assert not (tmp_path / "reports").exists()
    rows = json.loads(shell("run", "tiny.yaml", "--dry-run", "--json")[1])["trials"]
    assert [(row["axes"]["solver"], row["num_steps"], row["nfe"]) for row in rows] == [
        ("euler", 3, 3),
        ("euler", 5, 5),
        ("heun", 2, 3),
        ("heun", 3, 5),
    ]


PIXELS = ("--detector", "pixels")
WRONG = [
    (("run", "none.yaml"), "none.yaml"),
    (("check", "tiny.yaml", "--set", "evaluate.detector=lite1"), "unknown detector 'lite1'. Did you mean 'lite0'?"),
    (("run", "tiny.yaml", "--device", "cuda:9"), "--device cuda:9: "),
    (("run", "tiny.yaml", "--executor", "dask"), "unknown executor 'dask'. Known: local, ray, slurm."),
    (("report", "tinny"), "tinny: no results"),
    (("report",), "reports: no ablation has results here. Run one first"),
    (("list", "solvers"), "unknown row 'solvers'. Did you mean 'solver'?"),
    (("show", "heunn"), "unknown component 'heunn'. Did you mean 'heun'?"),
    (("table", "edn"), "unknown preset 'edn'"),
    (("plot", "rows", "edm:time_steps.rho=-1"), "edm:time_steps.rho=-1: time_steps.rho: should be"),
    (("plot", "rows", "iddpm", "--num-steps", "1200"), "--num-steps 1200: "),
    (("table", "edm:solver=eulr"), "unknown solver 'eulr'. Did you mean 'euler'?"),
    (("table", "edm:solver=euler,solver=heun"), "edm:solver=euler,solver=heun: 'solver' is given twice"),
    (("check", "tiny.yaml", "--set", f"name={'a' * 300}"), "may have only up to 100 letters"),
    (("distance", "digits", "missing.zip"), "missing.zip: no such folder or file"),
    (
        ("distance", "digits", "/dev/zero"),
        "/dev/zero: is neither a folder nor a file that ends in .zip, .npz",
    ),
    (("distance", "digits", "{name: npz, path: /dev/zero}"), "/dev/zero is a device, not a file or folder"),
    (("distance", "digits", "{name: statistics, path: /dev/zero}"), "/dev/zero is a device, not a file or folder"),
    (
        ("distance", "digits", "tiny.yaml"),
        "tiny.yaml: is neither a folder nor a file that ends in .zip",
    ),
    (("distance", "digits", "digts"), "digts: unknown data 'digts'. Did you mean 'digits'?"),
    (("distance", "digits", "digits", "--detector", "inceptoin"), "unknown detector 'inceptoin'. Did you mean"),
    (
        ("distance", "digits", "digits", "--detector", "{name: lite0, size: 33}"),
        "--detector: size: should be a multiple",
    ),
    (("distance", "digits", "digits", "--metric", "fid"), "--metric: unknown metric 'fid'"),
    (
        ("distance", "digits", "digits", "--metric", "truncation_error", "--metric", "loss"),
        "metric truncation_error and loss: measured on a sampler or denoiser, not on images",
    ),
    (
        ("distance", "{name: mixture, count: 9}", "mixture", "--metric", "{name: recall, k: 9}", *PIXELS),
        "metric recall(k=9) needs at least 10 images, not 9 generated",
    ),
    (
        ("distance", "mixture", "{name: mixture, count: 9}", "--metric", "{name: recall, k: 9}", *PIXELS),
        "metric recall(k=9) needs at least 10 images, not 9 in the reference",
    ),
    (("distance", "digits", "digits", "--images", "1798"), "--images 1798: there are only 1797"),
    (
        ("distance", "digits", "mixture", "--detector", "pixels"),
        "images of [1, 8, 8] and of [1, 1, 1] have 64 and 1 features",
    ),
    (("new", "."), "already exists"),
    (("new", "tiny.yaml"), "already exists"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_wrong_input_is_one_line_and_status_2(shell, arguments, message):
    status, out, err = shell(*arguments)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""


def test_failing_trials_give_status_1_and_leave_the_others(shell, tmp_path):
    (tmp_path / "broken.py").write_text(
        "import designspace as ds\n"
        "class Broken(ds.Solver, name='broken'):\n"
        "    '''Fails on images, not on the numbers that it is checked with.'''\n"
        "    def step(self, flow, x, i, sigma, memory):\n"
        "        if x.ndim > 2:\n"
        "            raise RuntimeError('out of luck')\n"
        "        D = flow.D(x, sigma)\n"
        "        return D + (x - D) * flow.sigma[i + 1] / sigma, None\n"
    )
    (tmp_path / "tiny.yaml").write_text(TINY.replace("heun]", "broken]") + "components: [./broken.py]\n")
    status, out, err = shell("run", "tiny.yaml")
    assert status == 1
    assert err.count("RuntimeError: out of luck") >= 2
    assert "failed" in out
    assert len((tmp_path / "reports/tiny/results.jsonl").read_text().splitlines()) == 2
    assert "raise RuntimeError" in (tmp_path / "reports/tiny/failures.jsonl").read_text()


def test_full_disk_is_one_line_and_status_1(shell, tmp_path):
    (tmp_path / "reports").write_text("a file where a folder should be")
    status, _, err = shell("run", "tiny.yaml")
    assert status == 1
    assert "reports" in err.splitlines()[-1]
    assert "Traceback" not in err


class Layers(torch.nn.Module):
    """Pixel values, repeated up to the dimension of Inception's features."""

    def forward(self, x):
        return x.mean((2, 3)).repeat(1, 683)[:, :2048]


class StandIn(torch.nn.Module):
    """A network with the interface of the file that clean-fid uses."""

    def __init__(self):
        super().__init__()
        self.layers = Layers()

    def forward(self, x, return_features: bool = False):
        return self.layers(x)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_inception_end_to_end_with_a_network_that_gives_no_fid(shell, tmp_path):
    torch.jit.script(StandIn()).save(str(tmp_path / "stand_in.pt"))
    sha256 = hashlib.sha256((tmp_path / "stand_in.pt").read_bytes()).hexdigest()
    detector = f"evaluate.detector={{name: inception, weights: ./stand_in.pt, sha256: {sha256}}}"
    data = ("--set", "data={name: mixture, count: 8}", "--set", "denoiser=gaussian_mixture")
    less = ("--set", "evaluate.images=8", "--set", "grid.nfe=[3]", "--set", "claims=[]")
    status, out, err = shell("run", "tiny.yaml", *data, *less, "--set", detector)
    assert status == 0, err
    assert f"FD-inception-{sha256[:8]} at NFE" in out
    assert "FID" not in out


def test_labels_that_the_data_does_not_have_are_wrong_input(shell, tmp_path):
    (tmp_path / "flat").mkdir()
    for i in range(3):
        Image.new("L", (2, 2), 80 * i).save(tmp_path / "flat" / f"{i}.png")
    data = ("--set", "data={name: folder, path: ./flat}")
    for command in ("check", "run"):
        status, out, err = shell(command, "tiny.yaml", *data, "--set", "evaluate.labels=balanced")
        assert (status, out) == (2, "")
        assert "the data set has no labels" in err
    assert not (tmp_path / "reports").exists()


def test_without_its_weights_inception_is_wrong_input(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_INCEPTION", str(tmp_path / "nowhere.pt"))
    status, out, err = shell("run", "tiny.yaml", "--set", "evaluate.detector=inception")
    assert (status, out) == (2, "")
    assert "nowhere.pt" in err
    assert "https://" in err
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "report",
        "compare",
        "check",
        "list",
        "show",
        "table",
        "plot",
        "distance",
        "probe",
        "import",
        "doctor",
        "new",
        "schema",
    ],
)
def test_help_teaches_by_example(shell, command):
    status, out, _ = shell(command, "--help")
    assert status == 0
    assert f"Example: designspace {command}" in " ".join(out.split())


def test_show_and_table_have_formulas(shell):
    _, out, _ = shell("show", "heun")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "solver/heun"
    assert "zᵢ₊₁ = zᵢ + h [(1 - 1/(2α)) dᵢ + 1/(2α) d(z', tᵢ + α h)]" in lines
    assert "alpha float > 0 default 1" in lines
    assert f"defined in {ROOT}/components/solver/heun.py" in lines
    assert "2206.00364" in out
    _, out, _ = shell("show", "vp")
    assert [line for line in out.splitlines() if line.endswith("/vp")][:2] == ["time_steps/vp", "schedule/vp"]
    _, out, _ = shell("table", "edm", "vp", "--format", "markdown")
    lines = out.splitlines()
    assert lines[0] == "|  | edm | vp |"
    assert [line.split(" | ")[0] for line in lines[2:5]] == ["| solver", "| time_steps", "| schedule"]
    assert r"c_\mathrm{skip} = \sigma_\mathrm{data}^2" in out
    status, out, _ = shell("table")
    assert status == 0
    assert all(name in out for name in ("ddpm", "iddpm", "vp", "ve", "edm"))


def test_show_of_a_row_says_what_a_class_defines(shell):
    def shown(row):
        status, out, _ = shell("show", row)
        assert status == 0
        return [" ".join(line.split()) for line in out.splitlines()]

    lines = shown("schedule")
    assert lines[0] == "the row schedule"
    required, optional = lines.index("has to define"), lines.index("may define")
    assert next(line for line in lines[required:optional] if "(" in line) == "sigma(t: Tensor) -> Tensor"
    assert "sigma_inv(sigma: Tensor) -> Tensor" in lines[optional:]
    assert (
        lines[lines.index("t_max: float = math.inf") + 1]
        == "The end of the time axis. sigma is not evaluated beyond it."
    )
    assert {"linear", "ve", "vp"} <= {*lines[-1].removeprefix("components: ").split(", ")}
    lines = shown("solver")
    assert 'class Mine(Solver, name="mine")' in lines
    bases = [line.split()[-1] for line in lines if line.startswith("from designspace.")]
    assert {"AdaptiveSolver", "RungeKutta", "SingleStep"} <= set(bases)


@pytest.mark.parametrize("row", list(ROWS))
def test_show_of_any_row_names_every_abstract_method(shell, row):
    status, out, _ = shell("show", row)
    assert status == 0
    required = out.partition("has to define")[2].partition("may define")[0]
    assert ROWS[row].__abstractmethods__
    assert all(f"{name}(" in required for name in ROWS[row].__abstractmethods__)


def test_plot_writes_each_figure_in_three_formats_and_says_where(shell, tmp_path):
    status, out, _ = shell("plot", "rows", "edm", "--num-steps", "5", "--out", "figures")
    names = ("schedule", "time_steps", "preconditioning", "training")
    assert status == 0
    assert out.split() == [f"figures/rows_{name}.{kind}" for name in names for kind in ("png", "svg", "pdf")]
    assert all((tmp_path / line).is_file() for line in out.split())


def test_distance_between_images_of_several_sizes(shell, tmp_path):
    """Detectors that resize each image measure them in their order; others refuse them before anything is measured."""
    random = np.random.default_rng(0)
    for folder in "ab":
        (tmp_path / folder).mkdir()
        for k in range(12):
            image = Image.fromarray(random.integers(0, 256, (24, 24 + 8 * (k % 3), 3), np.uint8))
            image.save(tmp_path / folder / f"{k:02}.png")
    status, out, err = shell("distance", "a", "b", "--metric", "frechet", "--json")
    assert status == 0, err
    protocol = json.loads(out)["protocol"]
    assert (protocol["formats"], protocol["images"]) == ({"png": 12}, 12)
    status, out, err = shell("distance", "a", "b", *PIXELS)
    assert (status, out) == (2, "")
    assert "images of [3, 24, 24] and of [3, 24, 32]: detector pixels needs images of one size: resize one set" in err
    square = "{name: folder, path: %s, size: 8, crop: center}"
    assert shell("distance", square % "a", square % "b", *PIXELS)[0] == 0


def test_features_are_those_of_each_image_alone():
    """Batches of equal sizes do not change the order."""
    detector = ds.Detector.get("lite0")(size=32)
    network, draw = detector.load(torch.device("cpu")), torch.Generator().manual_seed(0)
    shapes = [(3, 8, 8), (1, 9, 8), (3, 8, 8), (1, 9, 8), (3, 20, 4)]
    images = [torch.randint(256, shape, dtype=torch.uint8, generator=draw) for shape in shapes]
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(features_of(detector, network, images).features, alone, rtol=1e-4, atol=1e-4)


WRONG_FEATURES = {
    "one per chunk": (
        lambda x: x.float().mean(0).flatten()[None],
        r"expected a float32 tensor [40, d], got float32 [1, 64]",
    ),
    "two per image": (
        lambda x: x.float().flatten(1).repeat(2, 1),
        "expected a float32 tensor [40, d], got float32 [80, 64]",
    ),
    "none": (lambda x: x.float().flatten(1)[:, :0], "at least one feature per image"),
    "NumPy": (lambda x: x.float().flatten(1).numpy(), "got a ndarray"),
    "double": (lambda x: x.double().flatten(1), "got float64 [40, 64]"),
}


@pytest.fixture
def own():
    """Define detectors and metrics for the duration of a test."""
    made = []

    def define(base, name, **attributes):
        made.append(type(base)(name, (base,), {"__module__": __name__, "__doc__": "Own."} | attributes, name=name))

    yield define
    for cls in made:
        del cls.known[cls.name]


@pytest.mark.parametrize(("network", "message"), WRONG_FEATURES.values(), ids=WRONG_FEATURES)
def test_distance_refuses_features_that_are_not_those_of_the_images(network, message, shell, own):
    own(ds.Detector, "own", protocol=lambda self: "FD-own", load=lambda self, device: network)
    status, out, err = shell("distance", "digits", "digits", "--images", 40, "--detector", "own", "--metric", "frechet")
    assert (status, out) == (2, "")
    assert err.startswith("detector 'own': the features of 40 images: ")
    assert message in err


def test_distance_is_repeatable_and_names_what_draws(shell, own):
    def jittered(x):
        return x.float().flatten(1) + torch.rand(len(x), 64)

    def bootstrapped(self, a, b):
        return Measured(float(torch.rand(())) + random.random())

    own(ds.Detector, "jittered_here", protocol=lambda self: "FD-own", load=lambda self, device: jittered)
    own(ds.Metric, "bootstrapped_here", measure=bootstrapped)
    mine = ("--detector", "jittered_here", "--metric", "bootstrapped_here")
    command = ("distance", "digits", "digits", "--images", 40, *mine)
    first, again = (shell(*command) for _ in range(2))
    assert first[0] == 0, first[2]
    assert first == again
    assert "detector 'jittered_here' draws from a global random generator" in first[2]
    assert "metric 'bootstrapped_here' draws from a global random generator" in first[2]


def test_compression_of_one_set_is_named(shell, tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 4), np.uint8))
    for folder, suffix in (("raw", "png"), ("jpeg", "jfif")):
        (tmp_path / folder).mkdir()
        for k in range(4):
            image.rotate(90 * k).save(tmp_path / folder / f"{k}.{suffix}", "JPEG" if suffix == "jfif" else None)
    (tmp_path / "raw" / "movie.gif").touch()
    said = "0 % of A and 100 % of B were read from files compressed with loss (jpeg)"
    status, out, err = shell("distance", "raw", "jpeg", *PIXELS, "--metric", "kid", "--json")
    assert status == 0, err
    assert said in err
    assert "raw: read 4 of 5 files; ignored: 1 .gif" in err
    assert json.loads(out)["protocol"]["formats"] == {"jpeg": 4}
    status, out, err = shell("distance", "raw", "raw", *PIXELS, "--metric", "kid", "--json")
    assert "compressed" not in err
    assert json.loads(out)["protocol"]["reference"]["ignored"] == {".gif": 1}


def test_distance_between_folders(shell, tmp_path):
    sets = [[20 * i + 40 * k for i in range(6)] for k in range(2)]
    for folder, greys in zip("ab", sets, strict=True):
        (tmp_path / folder).mkdir()
        for grey in greys:
            Image.new("L", (2, 2), grey).save(tmp_path / folder / f"{grey:03}.png")
    status, out, err = shell("distance", "a", "b", "--detector", "pixels", "--json")
    assert status == 0
    assert "6 images are fewer than 10 x 4 features" in err
    printed = json.loads(out)
    assert (printed["images"], printed["reference"]) == (6, 6)
    assert printed["metrics"].keys() == {"frechet", "kid"}
    found = printed["metrics"]["frechet"]
    assert found["value"] == pytest.approx(4 * (40 / 255) ** 2, rel=1e-5)  # the same spread, 40 brighter
    assert (found["protocol"], found["floor"]) == ("FD-pixels", None)
    assert found["drawn_sd"] > 0
    status, out, _ = shell("distance", "a", "a", "--detector", "pixels", "--metric", "frechet", "--images", 5)
    assert status == 0
    assert out.startswith("FD-pixels (frechet): ")
    assert re.search(r"n = 5 against 6, drawn reference \S+ ± \S+\n", out)


@pytest.mark.filterwarnings("ignore:.*fewer than 10")
def test_distance_is_corrected_for_what_the_reference_stands_for(shell, tmp_path):
    """A sample by default, for which both sides are corrected, and the population if only its moments are known."""
    x, y = np.random.default_rng(0).integers(0, 256, (2, 20, 2, 2, 1), np.uint8)
    np.savez(tmp_path / "x.npz", images=x)
    np.savez(tmp_path / "y.npz", images=y)
    flat = y.reshape(20, 4) / 255
    np.savez(tmp_path / "moments.npz", mu=flat.mean(0), sigma=np.cov(flat, rowvar=False))
    command = ("distance", "x.npz", "y.npz", "--detector", "pixels", "--metric", "frechet")
    found = json.loads(shell(*command, "--json")[1])
    assert found["protocol"]["stands_for"] == "sample"
    value = found["metrics"]["frechet"]
    assert value["both_corrected"] < value["bias_corrected"] < value["value"]
    assert value["both_corrected_se"] > value["bias_corrected_se"]
    both, one = (f"{value[f'{name}_corrected']:.4g} ± {value[f'{name}_corrected_se']:.3g}" for name in ("both", "bias"))
    assert f"(without the bias of A and B: {both})" in shell(*command)[1]
    assert f"(without the bias of A: {one})" in shell(*command, "--reference-is", "population")[1]
    to_moments = ("distance", "x.npz", "moments.npz", *command[3:])
    assert f"(without the bias of A: {one[:6]}" in shell(*to_moments)[1]
    status, _, err = shell(*to_moments, "--reference-is", "sample")
    assert (status, "needs the images of the reference" in err) == (2, True)
    np.savez(tmp_path / "few.npz", images=y[:11])
    assert "(B has too few images to correct for its bias" in shell("distance", "x.npz", "few.npz", *command[3:])[1]
    assert "(A has fewer than 3 images per feature" in shell("distance", "few.npz", "y.npz", *command[3:])[1]


def test_sets_that_share_images_are_no_independent_samples(shell, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (800, 4, 4, 1), np.uint8)
    for name, images in (("all", x), ("part", x[:400]), ("other", x[400:])):
        np.savez(tmp_path / f"{name}.npz", images=images)

    def warning(a, b, *more):
        return shell("distance", f"{a}.npz", f"{b}.npz", "--detector", "pixels", "--metric", "frechet", *more)[2]

    said = "frechet without bias is more than 3 standard errors below 0: A "
    assert f"{said}and B may share images" in warning("part", "all")
    assert f"{said}agrees with B better than random draws" in warning("all", "all", "--reference-is", "population")
    assert warning("part", "other") == ""
    assert warning("part", "other", "--reference-is", "population") == ""


def test_distance_to_statistics(shell, tmp_path):
    """The file has ADM's format: images together with the mean and covariance of other images."""
    x = np.random.default_rng(0).random((50, 64))
    arrays = {"mu": x.mean(0), "sigma": np.cov(x, rowvar=False)}
    np.savez(tmp_path / "adm.npz", arr_0=np.zeros((4, 8, 8, 1), np.uint8), **arrays)
    status, out, err = shell("distance", "digits", "adm.npz", *PIXELS)
    assert status == 0
    assert out.startswith("FD-pixels (frechet): ")
    assert out.endswith("n = 1797 against an unknown number, no drawn reference\n")
    assert "adm.npz: uses its arrays mu, sigma, but not arr_0" in err
    status, out, _ = shell("distance", "digits", "{name: statistics, path: adm.npz, images: 50}", *PIXELS, "--json")
    found = json.loads(out)
    assert (status, found["reference"], found["protocol"]["reference"]["known"]) == (0, 50, "moments")
    pixels = ds.Data.model_validate("digits").load().pixels.flatten(1) / 255
    expected = ds.frechet(ds.Moments.of(pixels), ds.Moments(50, *arrays.values()))
    assert found["metrics"]["frechet"]["value"] == pytest.approx(expected, rel=1e-6)
    status, _, err = shell("distance", "digits", "adm.npz", *PIXELS, "--metric", "kid")
    assert (status, "metric kid needs the features of each image" in err) == (2, True)
    assert shell("distance", "digits", "adm.npz")[0] == 2  # lite0 gives 320 features


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_distance_that_is_infinite_is_an_error(shell, tmp_path):
    np.savez(tmp_path / "huge.npz", mu=np.full(64, 1e200), sigma=np.eye(64))
    status, out, err = shell("distance", "digits", "huge.npz", *PIXELS, "--json")
    assert (status, out) == (2, "")
    assert "metric 'frechet': the value: expected a finite number, got inf" in err


def test_doctor_says_what_is_missing_and_where_it_is_looked_for(shell, tmp_path, monkeypatch):
    (tmp_path / "broken.pt").write_bytes(b"no network")
    monkeypatch.setenv("DESIGNSPACE_INCEPTION", str(tmp_path / "broken.pt"))
    status, out, _ = shell("doctor", "--json")
    assert status == 0
    found = json.loads(out)
    assert found["detectors"]["lite0"] == "ready"
    assert "broken.pt has the sha256" in found["detectors"]["inception"]
    assert found["data"]["digits"] == "ready"
    assert found["cache"]["folder"] == str(tmp_path / "cache")
    status, out, _ = shell("doctor")
    assert status == 0
    assert found["versions"]["torch"] in out


def test_new_makes_a_project_that_runs(shell, tmp_path):
    status, out, err = shell("new", "study")
    assert status == 0, err
    assert "designspace run study/ablation.yaml" in out
    status, out, err = shell("check", "study/ablation.yaml")
    assert out == "study/ablation.yaml: study: 12 points, 12 trials\n"
    assert err.splitlines() == [f"executing ./study/{name}.py (components)" for name in ("my_steps", "my_schedule")]
    settings = ("--set", "evaluate.images=20", "--set", "evaluate.detector=pixels")
    status, out, err = shell("run", "study/ablation.yaml", *settings)
    assert status == 0, err
    assert "my_steps" in out
    assert "my_schedule" in out
    for row, name in ((ds.TimeSteps, "my_steps"), (ds.Schedule, "my_schedule")):
        for check in checks(row.get(name)()):
            check()
        del row.known[name]
    schedule = (tmp_path / "study" / "my_schedule.py").read_text().partition("class ")[2]
    assert len(schedule.splitlines()) == 8  # one formula


@pytest.mark.parametrize(
    ("folder", "name", "printed"),
    [
        ("true", "my_study", "true/ablation.yaml"),
        ("my study", "my_study", "'my study/ablation.yaml'"),
        ("-x", "my_study", "./-x/ablation.yaml"),
        ("a/b", "b", "a/b/ablation.yaml"),
    ],
)
def test_new_makes_a_project_in_any_folder(shell, tmp_path, folder, name, printed):
    status, out, err = shell("new", "--", folder)
    assert status == 0, err
    assert out.splitlines()[-1] == f"next: designspace run {printed}"
    assert (tmp_path / folder / "ablation.yaml").read_text().startswith(f"name: {name}\n")


def test_an_ablation_without_a_name_is_called_after_its_file(shell, tmp_path):
    for file, name in (
        (".my [first] study!.yaml", "my_first_study_"),
        ("größe.yaml", "größe"),
        ("---.yaml", "ablation"),
    ):
        (tmp_path / file).write_text(TINY.partition("\n")[2])
        assert shell("check", "--", file)[1] == f"{file}: {name}: 4 points, 4 trials\n"


def test_a_terminal_without_unicode_ends_no_command(monkeypatch):
    def in_ascii(*arguments):
        with monkeypatch.context() as patch:
            stdout = io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True)
            patch.setattr(sys, "stdout", stdout)
            with pytest.raises(SystemExit) as ended:
                app(list(arguments), prog_name="designspace")
            assert ended.value.code == 0
        return stdout.buffer.getvalue().decode("ascii")

    assert "z' = z? + ? h d?" in in_ascii("show", "heun")
    assert json.loads(in_ascii("list", "solver", "--json"))["solver"]["deis"]


def test_a_full_device_for_the_output_is_one_line(shell, monkeypatch, capfd):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as ended:
            app(["check", "tiny.yaml"], prog_name="designspace")
        assert ended.value.code == 1
    assert capfd.readouterr().err == "cannot write to standard output: No space left on device\n"


def test_a_reader_that_has_enough_ends_the_command_quietly():
    command = [sys.executable, "-m", "designspace", "show", "solver"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


PLUGIN = "import designspace as ds\nclass P(ds.Scaling, name={name!r}):\n    '''A plugin.'''\n"


@pytest.fixture
def with_plugin(tmp_path):
    """Run the command in a process that finds an installed distribution with a scaling of this name."""

    def run(name):
        info = tmp_path / "site" / "plug-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[designspace.components]\nplug = plug\n")
        (tmp_path / "site" / "plug.py").write_text(PLUGIN.format(name=name))
        path = os.pathsep.join([str(ROOT), str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "designspace", "list", "scaling", "--json"]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})

    return run


def test_an_installed_plugin_registers(with_plugin):
    done = with_plugin("plugged")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scaling"]["plugged"] == "A plugin."


def test_a_plugin_with_a_name_that_is_taken_is_an_error_that_names_both_places(with_plugin, tmp_path):
    done = with_plugin("vp")
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert "scaling 'vp' is defined twice" in last
    assert f"{ROOT}/components/scaling/vp.py:VP" in last
    assert f"{tmp_path}/site/plug.py:P" in last


def test_the_version_is_that_of_the_metadata_and_does_not_slow_the_import():
    code = (
        "import sys, designspace; early = 'importlib.metadata' in sys.modules; "
        "print(early, designspace.__version__, '__version__' in dir(designspace))"
    )
    found = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert found == ["False", importlib.metadata.version("designspace"), "True"]


def test_options_for_what_a_command_writes_have_the_same_names(shell):
    for command in (["export"], ["best"], ["import"], ["plot", "rows"]):
        assert re.search(r"--output(,--out)? +-o", shell(*command, "--help")[1])


def test_a_suggested_ablation_is_a_name_that_works(shell):
    status, _, err = shell("check", "solver_gridd")
    assert status == 2
    name = re.search(r"Did you mean '(.*?)'\?", err)[1]
    assert name == "solver_grid"
    assert shell("check", name)[0] == 0
