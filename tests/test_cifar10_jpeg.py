"""The data set cifar10_jpeg, which has features instead of images, and the network that comes with it."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from pipeline import write_spec

import designspace as ds
from designspace.errors import DataError
from designspace.evaluation.expansion import expanded
from designspace.evaluation.measure import PartlyKnown, Sample
from designspace.evaluation.moments import Moments
from designspace.results.store import Results
from designspace.results.uncertainty import suffices
from designspace.run.run import run
from designspace.spec import SpecError, load
from designspace.training.export import described

Cifar10Jpeg, Lite0 = ds.Data.get("cifar10_jpeg"), ds.Detector.get("lite0")
MODELS = Path(str(files("designspace"))) / "models"
ROOT = Path(__file__).parents[1]
SPEC = {
    "data": "cifar10_jpeg",
    "denoiser": {"name": "pretrained", "model": "cifar10_jpeg"},
    "design": "edm",
    "grid": {"solver": ["dpmpp_2m"]},
    "num_steps": 2,
    "evaluate": {"images": 10, "labels": "balanced", "detector": "lite0", "metrics": ["frechet", "precision"]},
}


def test_what_is_known_without_the_images():
    data = Cifar10Jpeg().load()
    assert data.shape == (3, 32, 32)
    assert len(data) == 50_000
    assert torch.bincount(data.labels).tolist() == [5000] * 10
    assert data.classes[0] == "airplane"
    assert data.sigma_data == pytest.approx(0.50367, abs=1e-5)
    with pytest.raises(DataError, match="has no images"):
        data.scaled()


def test_its_features_are_a_fifth_of_those_that_the_moments_describe():
    known = Cifar10Jpeg().known_features(Lite0().identity())
    assert known.n == 50_000
    assert known.features.shape == (10_000, 320)
    # the mean of 10,000 of 50,000 images: the error has the standard deviation s sqrt(1 / 10,000 - 1 / 50,000)
    deviation = (known.features.double().mean(0) - known.mean) / (known.cov.diagonal() * (1e-4 - 2e-5)).sqrt()
    assert deviation.square().mean().item() == pytest.approx(1, abs=0.35)
    assert Moments.of(known.features).cov.trace().item() == pytest.approx(known.cov.trace().item(), rel=0.02)
    assert Cifar10Jpeg().known_features(Lite0(size=128).identity()) is None


def test_a_partly_known_reference_corrects_the_generated_side_only():
    x = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    reference = PartlyKnown(x[:100], Moments.of(x))
    assert suffices(len(reference), 3)
    measured = expanded(0.1, Sample(x[::2] + 0.1), reference)
    assert "bias_corrected" in measured.extra
    assert "both_corrected" not in measured.extra


def test_a_trial_needs_no_images(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    (result,) = run(load(write_spec(tmp_path, **SPEC)), out=tmp_path / "out", progress=False).rows()
    reference = result.protocol.reference
    assert (reference["images"], reference["features_of"]) == (50_000, 10_000)
    assert result.protocol.stands_for == "population"
    assert result.metrics["frechet"].drawn is not None
    assert result.metrics["frechet"].floor_n == 10


def test_what_needs_the_images_says_what_to_use(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    change = {"evaluate": SPEC["evaluate"] | {"detector": "pixels"}}
    with pytest.raises(SpecError, match=r"has no images to compare with by detector pixels: use detector lite0, or"):
        load(write_spec(tmp_path, **SPEC | change))
    change = {"denoiser": "exact", "evaluate": SPEC["evaluate"] | {"labels": "none"}}
    with pytest.raises(SpecError, match=r"denoiser exact is made from images, and data cifar10_jpeg has none: use"):
        load(write_spec(tmp_path, **SPEC | change))


@pytest.mark.parametrize("model", ["cifar10_jpeg", "digits"])
def test_a_shipped_network_says_what_the_committed_results_say(model):
    measured = json.loads((MODELS / f"{model}.json").read_text())["measured"]
    rows = {row.id: row for row in Results(ROOT / "reports" / measured["ablation"]).rows()}
    row = rows[measured["trial"]]
    assert (row.trial["denoiser"]["name"], row.trial["denoiser"]["model"]) == ("pretrained", model)
    assert row.trial["design"] == measured["design"]
    assert row.trial["evaluate"]["labels"] == measured["labels"]
    assert (row.nfe, row.images) == (measured["nfe"], measured["images"])
    assert (row.protocol.hash if row.protocol else None) == measured["protocol"]
    for name, value in row.metrics.items():
        assert (value.value, value.se, value.protocol) == tuple(measured["metrics"][name].values())


def test_the_documentation_lists_the_shipped_networks_and_the_marks_of_what_they_measure():
    page = (ROOT / "docs" / "recipes.md").read_text()
    for path in MODELS.glob("*.json"):
        about = json.loads(path.read_text())
        where = f"{about['measured']['solver']}, {about['measured']['nfe']} evaluations"
        (line,) = (line for line in page.splitlines() if line.startswith(f"| `{path.stem}` |"))
        assert f"| {about['images']:,} | {where} | <!-- number: {path.name} frechet -->" in line


def test_the_identity_of_a_model_does_not_depend_on_what_it_measures(tmp_path):
    about = json.loads((MODELS / "cifar10_jpeg.json").read_text())
    for name, content in (("with", about), ("without", {key: about[key] for key in about if key != "measured"})):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    assert described(tmp_path / "with") == described(tmp_path / "without") == described(MODELS / "cifar10_jpeg")
