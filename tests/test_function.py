"""Denoisers that are functions of the user: named in a spec, and passed by a program."""

import re

import pytest
import torch
from pipeline import assert_same, in_another_process

import designspace as ds
from designspace.errors import SpecError
from designspace.run.run import run
from designspace.spec import load

FILE = """\
import torch
def load(scale=1.0):
    def D(x, sigma, labels=None):
        assert x.dtype == torch.float32 and sigma.dtype == torch.float64 and sigma.device.type == "cpu"
        shift = 0 if labels is None else 0.01 * labels.reshape(-1, 1, 1, 1)
        return shift + scale * x / (1 + 4 * sigma.to(x).reshape(-1, 1, 1, 1) ** 2)
    return D
class Net(torch.nn.Module):
    def __init__(self, shape, classes, device):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full(shape, 0.9))
    def forward(self, x, sigma):
        return self.scale * x / (1 + 4 * sigma.to(x).reshape(-1, 1, 1, 1) ** 2)
def of_scalars():
    return lambda x, sigma: x / (1 + sigma**2)
def too_small():
    return lambda x, sigma: x[:, :, :2]
def nan():
    return lambda x, sigma: x / 0
def text():
    return lambda x, sigma: "denoised"
def number():
    return 3
def noisy():
    return lambda x, sigma: torch.randn(x.shape) if len(x) > 2 else x
def fails():
    def D(x, sigma):
        raise KeyError("unet")
    return D
def unlabelled():
    return lambda x, sigma: x
"""
SPEC = """\
data: digits
denoiser: {name: function, factory: "./m.py:load", kwargs: {scale: 0.9}, sigma_max: 50}
design: edm
grid: {num_steps: [3, 4]}
evaluate: {images: 20, detector: pixels, metrics: [frechet]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.py").write_text(FILE)
    (tmp_path / "a.yaml").write_text(SPEC)
    return tmp_path


def go(*overrides, out="out", **keywords):
    return run(load("a.yaml", overrides), out=out, progress=False, **keywords)


def factory(name):
    return f'denoiser={{name: function, factory: "./m.py:{name}"}}'


@pytest.mark.filterwarnings("ignore:20 images")
def test_a_function_is_sampled_in_its_range_and_counted():
    results = go()
    assert results.failures == []
    assert [(row.nfe, row.sigmas[0]) for row in results.rows()] == [(5, 50), (7, 50)]
    labelled = go("evaluate.labels=balanced", out="labelled").rows()
    assert all(labelled[k].id != row.id for k, row in enumerate(results.rows()))


def test_the_identity_is_the_content_of_the_file(folder):
    def identity(*overrides):
        return load("a.yaml", overrides).points()[0].trial.denoiser.identity()

    first = identity()
    assert identity("denoiser.kwargs.scale=0.8") != first
    assert identity("denoiser.classes=10") != first
    (folder / "m.py").write_text(FILE.replace("1 + 4 *", "1 + 5 *"))
    assert identity() != first


@pytest.mark.filterwarnings("ignore:20 images")
def test_workers_find_the_factory_again(monkeypatch, folder):
    alone = go(factory("Net"))
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(folder / "other"))
    assert_same(in_another_process(load("a.yaml", [factory("Net")]), folder / "a.yaml", folder / "others"), alone)


WRONG = {
    "too_small": r"denoiser 'function': D returns float32 \[2, 1, 2, 8\] for x \[2, 1, 8, 8\]",
    "nan": r"denoiser 'function' gives NaN or infinity for noise at sigma = 0\.002",
    "text": r"denoiser 'function': D returns a str for x",
    "number": r"m\.py:number gives 3, which cannot be called: let it return a function D\(x, sigma, labels\)",
    "fails": r"denoiser 'function' fails for two images \(.*m\.py:28\): KeyError: 'unet'",
    "missing": r"m\.py has no callable 'missing'",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_function_is_called_when_a_spec_is_loaded(name):
    with pytest.raises(SpecError, match=WRONG[name]) as error:
        load("a.yaml", [factory(name)])
    assert len(error.value.lines) == 1


def test_only_solvers_that_give_each_image_its_level_need_a_function_of_several():
    load("a.yaml", [factory("of_scalars")])
    message = (
        r"denoiser 'function' fails for two images \(.*m\.py:15\): RuntimeError: .*; sigma is \[2\], one level per"
    )
    with pytest.raises(SpecError, match=message + r" image: use sigma\.to\(x\)\.reshape\(-1, 1, 1, 1\)"):
        load("a.yaml", [factory("of_scalars"), "design.solver=rk45"])


def test_labels_need_a_function_that_takes_them():
    with pytest.raises(SpecError, match=r"the function takes x and sigma, but no labels: use `labels: none`"):
        load("a.yaml", [factory("unlabelled"), "evaluate.labels=balanced"])


def test_a_program_may_pass_its_denoiser(recwarn):
    calls = []

    def D(x, sigma, labels):
        calls.append((len(x), labels))
        return x / (1 + 4 * sigma.to(x).reshape(-1, 1, 1, 1) ** 2)

    first = go(denoiser=D, denoiser_id="v3")
    assert [row.nfe for row in first.rows()] == [5, 7]
    sampling = [(20, None)] * 12
    assert [call for call in calls if call[0] == 20] == sampling
    assert_same(go(denoiser=D, denoiser_id="v3"), first)
    assert [call for call in calls if call[0] == 20] == sampling
    go(denoiser=D, denoiser_id="v4")
    assert [call for call in calls if call[0] == 20] == 2 * sampling


def test_an_ablation_made_in_python_needs_no_denoiser(recwarn):
    class Net(torch.nn.Module):
        sigma_max = 10.0

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(()))

        def forward(self, x, sigma):
            return self.weight * x / (1 + sigma.to(x).reshape(-1, 1, 1, 1) ** 2)

    evaluate = {"images": 20, "detector": "pixels", "metrics": ["frechet"]}
    ablation = ds.Ablation(name="mine", data="digits", design="edm", num_steps=3, evaluate=evaluate)
    net = Net()
    (row,) = run(ablation, denoiser=net, denoiser_id="net", progress=False).rows()
    assert net.weight.requires_grad  # it may be trained further
    assert row.sigmas[0] == pytest.approx(10)
    assert row.trial["denoiser"] == {"name": "function", "id": "net"}


REFUSED = {
    "denoiser_id: a denoiser given in Python needs a name": {"denoiser": len},
    "denoiser: should be a function D(x, sigma, labels), not None": {"denoiser_id": "v3"},
    "denoiser: should be a function D(x, sigma, labels), not a str": {"denoiser": "exact", "denoiser_id": "v3"},
    "workers: a denoiser given in Python stays in its process": {"denoiser": len, "denoiser_id": "v3", "workers": 2},
}


@pytest.mark.parametrize("message", REFUSED)
def test_arguments_that_do_not_fit_are_refused(message):
    with pytest.raises(ValueError, match=re.escape(message)):
        go(**REFUSED[message])


def test_an_axis_of_denoisers_cannot_be_replaced():
    with pytest.raises(SpecError, match=r"grid\.denoiser=\[exact\]: varies the denoiser, which is given in Python"):
        go("grid.denoiser=[exact]", denoiser=lambda x, sigma: x, denoiser_id="v3")


WRONG_D = {
    r"denoiser 'function': D returns float32 \[2, 1, 3, 8\] for x \[2, 1, 8, 8\]": lambda x, sigma: x[:, :, :3],
    r"denoiser 'function' gives NaN or infinity for noise at sigma = 0.002": lambda x, sigma: x / 0,
    r"denoiser 'function' fails for two images .*test_function.py:\d+.*: KeyError: 'no'": lambda x, sigma: {}["no"],
}


@pytest.mark.parametrize("message", WRONG_D)
def test_a_denoiser_of_a_program_is_called_before_the_run(message):
    with pytest.raises(ValueError, match=message):
        go(denoiser=WRONG_D[message], denoiser_id="small")


def test_a_denoiser_of_a_program_may_want_one_level_for_all_images(recwarn):
    assert go(denoiser=lambda x, sigma: x / (1 + sigma**2), denoiser_id="one").failures == []


def test_the_path_of_a_spec_is_no_ablation():
    with pytest.raises(TypeError, match=r"should be what designspace\.load returns, not a str"):
        run("a.yaml")


UNSEEN = """\
data: {name: unseen, shape: [1, 8, 8], classes: 10}
denoiser: {name: function, factory: "./m.py:load"}
design: edm
num_steps: 3
evaluate: {images: 40, detector: pixels, metrics: [frechet], labels: data, reference: {name: statistics, path: ./s.npz}}
"""


@pytest.fixture
def unseen(folder):
    import numpy as np

    np.savez(folder / "s.npz", mu=np.zeros(64), sigma=np.eye(64), n=50)
    (folder / "a.yaml").write_text(UNSEEN)


def test_a_data_set_may_be_known_by_its_statistics_only(unseen):
    (row,) = go().rows()
    assert row.protocol.reference["images"] == 50
    assert row.protocol.stands_for == "population"
    images = load("a.yaml").points()[0].trial.data.load()
    from designspace.run.labels import labels_for

    drawn = labels_for("data", 0, range(2000), images)
    assert torch.bincount(drawn).tolist() == pytest.approx([200] * 10, abs=60)
    assert labels_for("balanced", 0, range(12), images).tolist() == [*range(10), 0, 1]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("evaluate.reference=null", "data unseen has no images to compare with by detector pixels: name published"),
        ("design={preset: edm, sigma_data: data}", "data: data unseen has no images, only their shape"),
        ("data.classes=0", "evaluate.labels: the data set has no labels"),
        ("data.shape=[8,8]", "data.shape"),
    ],
)
def test_what_needs_its_images_is_refused(unseen, override, message):
    with pytest.raises(SpecError, match=re.escape(message)) as error:
        go(override)
    assert len(error.value.lines) == 1


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("denoiser=exact", "denoiser"),
        ("denoiser={name: trained, network: unet}", "denoiser"),
        ("guidance={name: autoguidance, guide: exact}", "guidance"),
    ],
)
def test_what_is_made_from_images_is_refused_before_anything_is_computed(unseen, override, place):
    with pytest.raises(SpecError, match=f"{place}.*is made from images, and data unseen has none: use {{name: folder"):
        load("a.yaml", [override])
