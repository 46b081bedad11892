"""What components hand over is checked, and what they do to the state of the process stays with them."""

import contextlib
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import designspace as ds
from designspace.data.images import Images
from designspace.errors import BrokenRowError, RowError
from designspace.evaluation.boundary import checked, features_of, joined, known_of, protocol_of, value_of
from designspace.evaluation.measure import Measured, Profile, Sample, Summary
from designspace.evaluation.moments import Moments
from designspace.registry.isolation import drawing, isolated
from designspace.results.store import Results
from designspace.run.loaded import Attributed
from designspace.run.run import run
from designspace.sampling.solver import AdaptiveSolver
from designspace.spec import SpecError, load
from designspace.training.batches import augmented

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def define():
    """Define a component from methods and class variables for the duration of a test."""
    made = []

    def make(base, **attributes):
        cls = type(base)("Mine", (base,), {"__module__": __name__, "__doc__": "Mine."} | attributes, name="mine")
        made.append(cls)
        return cls()

    yield make
    for cls in made:
        cls.known.pop("mine", None)


def denoise(x, sigma):
    return x / (1 + 4 * sigma.to(x).reshape(-1, *[1] * (x.ndim - 1)) ** 2)


def sample(**rows):
    return ds.sample(ds.Design.preset("edm", **rows), denoise, torch.ones(3, 1, 4, 4), 5)


def euler(change=lambda x: x):
    def step(self, flow, x, i, sigma, memory):
        D = flow.D(x, sigma)
        return change(D + (x - D) * flow.sigma[i + 1] / sigma), None

    return step


STEPS = {
    "samples are missing": (
        lambda x: x[:1],
        r"x after step 1: .* \[3, 1, 4, 4\], got float32 \[1, 1, 4, 4\]",
    ),
    "another dtype": (lambda x: x.double(), "x after step 1: .* got float64"),
    "an array": (lambda x: x.numpy(), "x after step 1: .* got a ndarray"),
    "an average": (lambda x: x.mean().item(), "x after step 1: .* got "),
}


@pytest.mark.parametrize(("change", "message"), STEPS.values(), ids=STEPS)
def test_what_a_step_returns_is_checked(change, message, define):
    with pytest.raises(BrokenRowError, match=f"^solver 'mine': {message}"):
        sample(solver=define(ds.Solver, step=euler(change)))


ENDS = {
    "too few": (
        lambda self, flow, x: iter([x]),
        "solve: expected x at the last positive level and at 0, got 1 of them",
    ),
    "too many": (lambda self, flow, x: iter([x] * 3), "solve: .*, got more"),
    "another shape": (lambda self, flow, x: iter([x, x[:2]]), r"x number 2 of solve: .*, got float32 \[2, 1, 4, 4\]"),
    "none": (lambda self, flow, x: None, "fails: TypeError: 'NoneType' object is not iterable"),
}


@pytest.mark.parametrize(("solve", "message"), ENDS.values(), ids=ENDS)
def test_what_an_adaptive_solver_yields_is_checked(solve, message, define):
    with pytest.raises(BrokenRowError, match=f"solver 'mine'.*{message}"):
        sample(solver=define(AdaptiveSolver, solve=solve))


ROWS = {
    "time_steps as a list": (ds.TimeSteps, {"sigmas": lambda self, n: [80.0] * n}, r"sigmas\(5\): .*, got a list"),
    "time_steps that are too few": (
        ds.TimeSteps,
        {"sigmas": lambda self, n: torch.ones(n - 1)},
        r"sigmas\(5\): expected a floating-point tensor \[5\], got float32 \[4\]",
    ),
    "schedule by math": (
        ds.Schedule,
        {"sigma": lambda self, t: __import__("math").pow(t, 2)},
        r"\(.*:\d+\); its argument is a tensor of any shape, for functions of torch and not of math$",
    ),
    "schedule with one value": (
        ds.Schedule,
        {"sigma": lambda self, t: t.mean()},
        r"sigma\(t\) of float64 \[64\]: .*, got float64 \[\]",
    ),
    "slope of a schedule": (
        ds.Schedule,
        {"sigma": lambda self, t: t, "sigma_inv": lambda self, s: s, "sigma_dot": lambda self, t: 1.0},
        r"sigma_dot\(t\) of float64 \[6\]: .*, got 1\.0",
    ),
    "scaling": (ds.Scaling, {"s": lambda self, t, schedule: 1.0}, r"s\(t\) of float64 \[6\]: .*, got 1\.0"),
    "stochasticity of one number": (ds.Stochasticity, {"lift": lambda self, sigma, n: sigma}, "expected the pair"),
    "stochasticity without a number": (
        ds.Stochasticity,
        {"lift": lambda self, sigma, n: (float("nan"), 1.0)},
        r"sigma_hat of lift\(80, 5\): expected a finite number, got nan",
    ),
    "stochasticity downwards": (
        ds.Stochasticity,
        {"lift": lambda self, sigma, n: (sigma / 2, 1.0)},
        r"sigma_hat of lift\(80, 5\): expected at least 80, got 40",
    ),
}


@pytest.mark.parametrize(("base", "attributes", "message"), ROWS.values(), ids=ROWS)
def test_what_the_other_rows_of_sampling_return_is_checked(base, attributes, message, define):
    with pytest.raises(RowError, match=f"^{base.row} 'mine'.*{message}"):
        sample(**{base.row: define(base, **attributes)})


def test_what_a_denoiser_returns_is_checked():
    for D, given in (
        (lambda x, s: x[:2], r"float32 \[2, 1, 4, 4\]"),
        (lambda x, s: x.long(), "int64"),
        (len, "a TypeE"),
    ):
        with pytest.raises((ValueError, TypeError), match=f"D returns {given}|takes exactly one argument"):
            ds.sample(ds.Design.preset("edm"), D, torch.ones(3, 1, 4, 4), 5)
    conditional = SimpleNamespace(bind=lambda labels: lambda x, sigma: x[:2])
    D = Attributed(conditional, ds.Denoiser.get("exact")()).bind(None)
    with pytest.raises(BrokenRowError, match=r"^denoiser 'exact': D returns float32 \[2, 1, 4, 4\]"):
        ds.sample(ds.Design.preset("edm"), D, torch.ones(3, 1, 4, 4), 5)


def test_an_error_names_the_component_and_its_line(define):
    def fails(self, flow, x, i, sigma, memory):
        return {}["table"]

    def refuses(self, n):
        raise ValueError("no such number of steps")

    line = fails.__code__.co_firstlineno + 1
    with pytest.raises(BrokenRowError, match=rf"^solver 'mine' fails: KeyError: 'table' \({__file__}:{line}\)$"):
        sample(solver=define(ds.Solver, step=fails))
    with pytest.raises(RowError, match=rf"^time_steps 'mine': no such number of steps \({__file__}:{line + 3}\)$"):
        sample(time_steps=define(ds.TimeSteps, sigmas=refuses))


PIXELS = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
DATA = {
    "float": ((PIXELS.float(),), r"the pixels are float32 \[4, 1, 2, 2\]; they must be a uint8 tensor \[N, C, H, W\]"),
    "no channels": ((PIXELS[:, 0],), r"the pixels are uint8 \[4, 2, 2\]"),
    "no images": ((PIXELS[:0],), r"the pixels are uint8 \[0, 1, 2, 2\]"),
    "array": ((PIXELS.numpy(),), "the pixels are a ndarray"),
    "labels that are too few": ((PIXELS, torch.zeros(3).long()), r"the labels are int64 \[3\]"),
    "labels that are floats": ((PIXELS, torch.zeros(4)), r"the labels are float32 \[4\]; they must be an int64"),
    "labels without a class": ((PIXELS, torch.arange(4), ("a", "b")), "the labels are 0 to 3; they must be 0 to 1"),
    "negative labels": ((PIXELS, torch.arange(4) - 1), "the labels are -1 to 2; they must be at least 0"),
}


@pytest.mark.parametrize(("given", "message"), DATA.values(), ids=DATA)
def test_images_are_checked(given, message):
    with pytest.raises(ValueError, match=message):
        Images(*given)


def test_features_are_checked(define):
    detector = define(ds.Detector, protocol=lambda self: "FD-mine", load=lambda self, device: None)
    for network, message in (
        (
            lambda x: x.float().mean(0, keepdim=True).flatten(1),
            r"float32 \[1, 4\]",
        ),
        (lambda x: x.double().flatten(1), r"float64 \[4, 4\]"),
        (lambda x: x.float().flatten(1).numpy(), "a ndarray"),
        (lambda x: x.float().flatten(1)[:, :0], r"float32 \[4, 0\]"),
    ):
        with pytest.raises(
            BrokenRowError,
            match=f"^detector 'mine': the features of 4 images: expected .*, got {message}",
        ):
            features_of(detector, network, PIXELS)
    with pytest.raises(BrokenRowError, match="the number of features: expected the same for all images, got 3 and 4"):
        joined(detector, [torch.zeros(2, 3), torch.zeros(2, 4)], 4)
    with pytest.raises(BrokenRowError, match="the features: expected those of 5 images, got those of 4"):
        joined(detector, [torch.zeros(2, 3), torch.zeros(2, 3)], 5)
    reference = define(ds.Reference, content_hash=lambda self: "", load=lambda self, detector: torch.zeros(3, 2))
    with pytest.raises(BrokenRowError, match=r"^reference 'mine': load\(\): expected a Sample .*, got float32"):
        known_of(reference, detector)

    for found in (None, b"FD"):
        detector = define(ds.Detector, protocol=lambda self, found=found: found, load=lambda self, device: None)
        with pytest.raises(BrokenRowError, match=r"^detector 'mine': protocol\(\): expected text, got (None|a bytes)"):
            protocol_of(detector)


@pytest.mark.parametrize("cov", [-np.eye(2), [[1.0, 3], [0, 1]], [[1.0, 2], [2, 1]], np.zeros((2, 2))])
def test_the_covariance_of_a_reference_is_checked(cov, define):
    known = Summary(Moments(50, np.zeros(2), np.asarray(cov)))
    reference = define(ds.Reference, content_hash=lambda self: "", load=lambda self, detector: known)
    message = r"^reference 'mine': load\(\): expected the covariance of features, got .*sigma"
    with pytest.raises(BrokenRowError, match=message):
        known_of(reference, ds.Detector.get("pixels")())


EFFECT = torch.zeros(4)
MEASURED = {
    "a number": (1.0, r"its result: expected a Measured\(value, se, influence\), got 1\.0"),
    "value": (Measured(float("nan")), "the value: expected a finite number, got nan"),
    "tensor": (Measured(torch.tensor(1.0)), r"the value: expected a finite number, got float32 \[\]"),
    "bool": (Measured(True), "the value: expected a finite number, got True"),
    "se": (Measured(1.0, -0.5), r"the standard error: expected None or a number that is not negative, got -0\.5"),
    "infinite se": (Measured(1.0, float("inf")), "the standard error: expected a finite number, got inf"),
    "influence": (
        Measured(1.0, 1.0, EFFECT[:3]),
        r"the influence: .* \[4\], got float32 \[3\]",
    ),
    "infinite influence": (
        Measured(1.0, 1.0, EFFECT / 0),
        r"the influence: .* 4 images \(0, 1, 2, 3\)",
    ),
    "pairs": (Measured(1.0, 1.0, EFFECT, EFFECT[:2]), r"the pairs: .*, got float32 \[2\]"),
    "extra": (Measured(1.0, extra={"skew": None, "other": "x"}), "other: expected a finite number, got a str"),
    "no extra": (Measured(1.0, extra=None), "extra: expected a dictionary of numbers by name, got None"),
    "extra field": (Measured(1.0, extra={"n": 3.0}), "extra: expected names that results do not use otherwise, got n"),
    "too large": (Measured(10**400), "the value: expected a finite number, got an integer above 1e308"),
    "profile": (Measured(1.0, profile=Profile(EFFECT, EFFECT[:3])), "the column value of the profile: .*, got float32"),
}


@pytest.mark.parametrize(("found", "message"), MEASURED.values(), ids=MEASURED)
def test_what_a_metric_returns_is_checked(found, message):
    frechet = ds.Metric.get("frechet")()
    with pytest.raises(BrokenRowError, match=f"^metric 'frechet': {message}"):
        checked(frechet, found, 4)


def test_the_value_of_a_metric_is_a_number(define):
    metric = define(ds.Metric, measure=lambda self, a, b: Measured(1.0), value=lambda self, a, b: torch.ones(()))
    with pytest.raises(BrokenRowError, match=r"^metric 'mine': the value: expected a finite number, got float32 \[\]"):
        value_of(metric, Sample(torch.zeros(3, 2)), Sample(torch.zeros(3, 2)))


def test_what_an_augmentation_returns_is_checked(define):
    images = torch.zeros(4, 1, 2, 2)
    for returned, message in (
        (images, r"its result: expected the pair \(images, labels\), got float32"),
        ((images[:3], torch.zeros(4, 2)), r"the images: .*, got float32 \[3, 1, 2, 2\]"),
        ((images.double(), torch.zeros(4, 2)), "the images: .*, got float64"),
        ((images, torch.zeros(4, 3)), r"the labels: expected a floating-point tensor \[4, 2\], got float32 \[4, 3\]"),
    ):
        augmentation = define(ds.Augmentation, size=2, __call__=lambda self, x, draw, returned=returned: returned)
        with pytest.raises(BrokenRowError, match=f"^augmentation 'mine'.*{message}"):
            augmented(augmentation, images, torch.Generator())


def test_a_loss_weight_for_the_whole_batch_is_refused(define):
    from designspace.training.loss import errors

    design = ds.Design.preset("edm", loss_weight=define(ds.LossWeight, __call__=lambda self, sigma: sigma.mean()))
    y, sigma = torch.zeros(4, 1, 2, 2), torch.ones(4, dtype=torch.float64)
    with pytest.raises(BrokenRowError, match=r"^loss_weight 'mine': the weight .* \[4\], got float64 \[\]"):
        errors(denoise, design, y, sigma, y)


GLOBAL = {
    "torch": lambda: torch.rand(1),
    "numpy": lambda: np.random.rand(),
    "python": lambda: random.random(),
    "the second of two normal numbers": lambda: random.gauss(0, 1),
}


@pytest.mark.parametrize("draw", GLOBAL.values(), ids=GLOBAL)
def test_global_generators_are_seeded_and_restored_and_their_users_are_named(draw):
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    expected = [torch.rand(1).item(), np.random.rand(), random.random()]
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    numbers = []
    for key in ("a", "a", "b"):
        with isolated(CPU, key) as drew:
            random.gauss(0, 1)  # keeps a second number, which takes nothing from the generator
            with drawing("solver/quiet"):
                pass
            with drawing("solver/mine"), drawing("denoiser/loud"):
                numbers.append(float(draw()))
        assert drew == {"denoiser/loud"}
    assert numbers[0] == numbers[1] != numbers[2]
    assert [torch.rand(1).item(), np.random.rand(), random.random()] == expected


def test_settings_of_the_process_are_restored(tmp_path):
    threads, folder, environment, filters = torch.get_num_threads(), Path.cwd(), dict(os.environ), warnings.filters[:]

    def careless():
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.set_num_threads(threads + 1)
        torch.set_grad_enabled(False)
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")
        torch.backends.fp32_precision = "tf32"
        torch.backends.mkldnn.enabled = False
        torch.set_autocast_enabled("cpu", True)
        torch.set_anomaly_enabled(True)
        np.seterr(all="raise")
        os.chdir(tmp_path)
        os.environ["CARELESS"] = os.environ.pop("PATH")
        warnings.simplefilter("error")
        raise KeyError

    with pytest.raises(KeyError), isolated(CPU, "settings"):
        careless()
    assert torch.ones(1).dtype == torch.float32
    assert torch.ones(1).device == CPU
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    precisions = torch.backends, torch.backends.cuda.matmul, torch.backends.mkldnn.matmul
    assert "tf32" not in [backend.fp32_precision for backend in precisions]
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.mkldnn.enabled
    assert not torch.is_autocast_enabled("cpu")
    assert not torch.is_anomaly_enabled()
    assert (Path.cwd(), dict(os.environ), warnings.filters) == (folder, environment, filters)
    assert np.geterr()["divide"] == "warn"


SPEC = """
name: mine
components: [{code}]
data: digits
denoiser: {denoiser}
design: edm
grid: {{solver: [{solver}], num_steps: [3]}}
evaluate: {{images: 240, detector: {detector}, metrics: [frechet]}}
"""
CODE = Path(__file__).parent / "careless.py"
NETWORK = "{{name: preconditioned, network: {{name: module, factory: '{code}:net', kwargs: {{at: {at}}}}}}}"


def network(at):
    return NETWORK.format(code=CODE, at=at)


def spec(folder, solver="euler", denoiser="exact", detector="pixels"):
    folder.mkdir(exist_ok=True)
    path = folder / "mine.yaml"
    path.write_text(SPEC.format(solver=solver, denoiser=denoiser, detector=detector, code=CODE))
    return path


def go(path, out="reports", **keywords):
    return run(load(path), out=path.parent / out, progress=False, **keywords)


def value(results):
    return results.rows()[0].metrics["frechet"].value


def test_a_solver_that_draws_from_a_global_generator_is_repeatable_and_named(tmp_path, monkeypatch):
    path = spec(tmp_path / "a", solver="noisy")
    with pytest.warns(UserWarning, match=r"solver 'noisy' draws from a global random generator, .* flow\.noise"):
        here = go(path)
    assert [row.unseeded for row in here.rows()] == [["solver/noisy"]]
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "other"))
    code = f"import designspace as ds; ds.run(ds.load({str(path)!r}), out={str(tmp_path / 'b')!r}, progress=False)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    there = Results(tmp_path / "b" / "mine")
    assert [row.id for row in here.rows()] == [row.id for row in there.rows()]
    assert value(here) == value(there)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "third"))
    with pytest.warns(UserWarning, match="global random generator"):
        assert value(go(path, out="c", batch_size=50)) != value(here)


def test_built_in_components_and_networks_that_draw_nothing_are_not_named(tmp_path):
    for solver in ("sa_solver", "euler_ancestral"):
        results = go(spec(tmp_path / solver, solver=solver))
        assert "unseeded" not in results.rows()[0].plain()


def test_a_network_that_draws_is_named(tmp_path):
    path = spec(tmp_path, solver="heun", denoiser=network(-10.0))
    with pytest.warns(UserWarning, match="network 'module' draws from a global random generator, so"):
        results = go(path)
    assert [row.unseeded for row in results.rows()] == [["network/module"]]


def test_detectors_and_metrics_that_draw_are_named(tmp_path):
    path = spec(tmp_path, detector="jittered")
    path.write_text(path.read_text().replace("[frechet]", "[frechet, bootstrapped, hasty]"))
    with pytest.warns(UserWarning, match="detector 'jittered' draws .* computes differs by chance from trial to trial"):
        first, again = (go(path, out=out).rows()[0] for out in ("a", "b"))
    assert first.unseeded == ["detector/jittered", "metric/bootstrapped", "metric/hasty"]
    assert first.metrics == again.metrics


def test_settings_that_a_component_leaves_behind_do_not_change_other_trials(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESIGNSPACE_CACHE", "cache")
    alone = go(spec(tmp_path / "a", solver="euler"))
    monkeypatch.setenv("DESIGNSPACE_CACHE", "other")
    after = run(load(spec(tmp_path / "b", solver="sloppy, euler")), out="reports", progress=False)
    assert Results(tmp_path / "reports" / "mine").done() == after.done()
    assert len(after.rows()) == 2
    assert (tmp_path / "other" / "images").is_dir()
    assert torch.get_default_dtype() == torch.float32
    assert value(alone) == next(row for row in after.rows() if row.axes["solver"] == "euler").metrics["frechet"].value


@pytest.fixture
def doubled():
    """A function that calls another one while the default type is float64."""

    def call(what):
        torch.set_default_dtype(torch.float64)
        try:
            return what()
        finally:
            torch.set_default_dtype(torch.float32)

    yield call
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "rows",
    [
        *({"solver": solver} for solver in ("euler_ancestral", "dpmpp_2m_sde", "predictor_corrector", "restart")),
        {"solver": "unipc", "time_steps": "cosine"},
        {"stochasticity": {"name": "churn", "S_churn": 10}},
    ],
)
def test_samples_do_not_depend_on_the_default_type(rows, doubled):
    latents = torch.ones(3, 1, 4, 4)

    def sample():
        return ds.sample(ds.Design.preset("edm", **rows), denoise, latents, 5)

    one, other = sample(), doubled(sample)
    assert one.x.dtype == other.x.dtype == torch.float32
    assert torch.equal(one.x, other.x)
    assert torch.equal(one.sigmas, other.sigmas)


def test_a_run_computes_the_same_networks_and_values_with_another_default_type(tmp_path, monkeypatch, doubled):
    """From the training to the metrics, in two caches."""
    (tmp_path / "a.yaml").write_text(
        "data: digits\ndenoiser: {name: trained, network: {name: mlp, width: 16}, batch_size: 8, training_images: 32}\n"
        "design: {preset: edm, stochasticity: {name: churn, S_churn: 5}}\ngrid: {solver: [euler]}\nnum_steps: 3\n"
        "evaluate: {images: 80, detector: pixels, metrics: [frechet, kid, precision, sliced_wasserstein, loss]}\n"
    )

    def values(out):
        monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / f"cache_{out}"))
        (row,) = run(load(tmp_path / "a.yaml"), out=tmp_path / out, progress=False).rows()
        return row.id, {name: (metric.value, metric.se) for name, metric in row.metrics.items()}

    assert values("one") == doubled(lambda: values("other"))


def test_one_row_of_features_per_chunk_is_no_result(tmp_path):
    results = go(spec(tmp_path, detector="few"))
    assert not results.rows()
    assert results.failures[0].error.startswith(
        "detector 'few': the features of 200 images: expected a float32 tensor [200, d], got"
    )


@pytest.mark.parametrize(
    ("at", "origin"),
    [
        (9.0, r"the network gave NaN at step 1 of 3, sigma 80\."),
        (0.5, r"the network gave NaN at step 2 of 3, sigma 2\.515\."),
    ],
)
def test_values_that_are_not_finite_are_traced_to_their_origin(at, origin, tmp_path):
    results = go(spec(tmp_path, denoiser=network(at)))
    (failure,) = results.failures
    assert failure.not_finite == list(range(200))
    assert origin.replace("\\", "") in failure.error
    assert "diverged" not in failure.error


@pytest.mark.parametrize(
    "code",
    [
        "torch.set_default_dtype(torch.float64)\ndef make(): return torch.nn.Identity()",
        "def make(): return Net()\nclass Net(torch.nn.Module):\n"
        "    def forward(self, x, c_noise, labels=None):\n"
        "        torch.set_default_dtype(torch.float64)\n        return x",
    ],
    ids=["import", "call"],
)
def test_a_factory_leaves_the_settings_of_the_process_as_they_were(code, tmp_path):
    (tmp_path / "net.py").write_text(f"import torch\n{code}\n")
    denoiser = "{name: preconditioned, network: {name: module, factory: './net.py:make', labels: none}}"
    (tmp_path / "a.yaml").write_text(
        f"question: q\ndesign: {{preset: edm}}\ndata: mixture\ndenoiser: {denoiser}\n"
        "evaluate: {detector: pixels}\ngrid: {solver: [euler]}\n"
    )
    with contextlib.suppress(SpecError):  # the network may be refused
        load(tmp_path / "a.yaml")
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("name", ["FID", "mine", "FD-"])
def test_only_the_detector_inception_has_an_fid(define, name):
    detector = define(ds.Detector, protocol=lambda self: name, load=lambda self, device: None)
    with pytest.raises(BrokenRowError, match=rf"protocol\(\): expected FD- and a name for the features, got '{name}'"):
        protocol_of(detector)


def test_a_class_that_is_not_complete_says_what_is_missing():
    class Half(ds.NoiseDistribution, name="half"):
        def sample(self, n):
            return torch.ones(n)

    with pytest.raises(ValidationError, match="noise_distribution 'half' does not define from_uniform; see"):
        ds.NoiseDistribution.model_validate("half")
    del ds.NoiseDistribution.known["half"]
    with pytest.raises(TypeError, match="solver 'own_init' defines __init__: its arguments are fields"):

        class OwnInit(ds.Solver, name="own_init"):
            def __init__(self, order=2):
                self.order = order
