"""Training without some labels, snapshots on the way, and which denoisers know images without labels."""

import json
import math

import pytest
import torch
from conftest import f64
from pipeline import write_spec
from training_stand_in import SPEC, trained
from typer.testing import CliRunner

import designspace as ds
from designspace.cli.app import app
from designspace.data.images import Images
from designspace.report.write import write
from designspace.run.labels import require_labels
from designspace.run.run import run
from designspace.spec import load
from designspace.storage.cache import Cache
from designspace.training.batches import Batches
from designspace.training.checkpoints import Checkpoints
from designspace.training.checkpoints import trained as run_training
from designspace.training.export import read_about

CPU = torch.device("cpu")
EDM = ds.Design.preset("edm")
TOLD = {"labels": True, "label_dropout": 0.25}
pytestmark = pytest.mark.usefixtures("cache")


def batches(data, label_dropout):
    return Batches.of(data, EDM, None, 0, 50, labelled=True, device=CPU, label_dropout=label_dropout)


def mlp(**fields):
    """A network that can do without labels."""
    return trained(**{"network": {"name": "mlp", "width": 16, "depth": 1}} | fields)


def state_of(denoiser, data, seen=lambda progress: None):
    return run_training(denoiser.plan(data, EDM), denoiser.training_images, CPU, seen=seen)


def same(one, other):
    a, b = one.tensors(), other.tensors()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# Batches


def test_labels_are_left_out_with_their_probability_and_nothing_else_changes(digits):
    whole, some = (list(map(batches(digits, p), range(80))) for p in (0.0, 0.25))
    for a, b in zip(whole, some, strict=True):
        assert all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("y", "sigma", "noise"))
    told, left = (torch.cat([batch.labels for batch in found]) for found in (whole, some))
    assert told.min() == 0
    assert torch.equal(left[left >= 0], told[left >= 0])
    assert (left == -1).double().mean().item() == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 4000))
    shares = torch.stack([(left[told == k] == -1).double().mean() for k in range(10)])  # of each class
    assert (shares - 0.25).abs().max() < 5 * math.sqrt(0.25 * 0.75 / 400)


def test_without_label_dropout_a_training_is_the_same_as_before_there_was_any(digits):
    denoiser = mlp(images=640, labels=True)
    assert not {"label_dropout", "snapshots"} & denoiser.identity().keys()
    assert mlp(images=640, labels=True, snapshots=[0.5]).identity() == denoiser.identity()
    keys = {mlp(images=640, labels=True, label_dropout=p).plan(digits, EDM).key for p in (0.0, 0.1, 0.25)}
    assert len(keys) == 3
    assert denoiser.plan(digits, EDM).key in keys


def test_an_interrupted_training_goes_on_with_the_same_labels(digits, tmp_path, monkeypatch):
    denoiser = mlp(images=6400, **TOLD)

    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        state_of(denoiser, digits, interrupt)
    resumed = state_of(denoiser, digits)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "another"))
    assert same(resumed, state_of(denoiser, digits))


def test_the_network_learns_each_class_and_their_mixture():
    """Against the optimal denoiser of the mixture, with and without labels."""
    exact = ds.Denoiser.get("gaussian_mixture")(weights=[0.5, 0.5], means=[[-0.6], [0.6]], covs=[[[0.01]], [[0.01]]])
    data = ds.Data.get("mixture")(count=4000, **dict(exact)).load()
    network = {"name": "mlp", "width": 64, "depth": 2}
    ema = {"name": "half_life", "half_life": 4000}
    recipe = {"network": network, "batch_size": 256, "warm_up": 4000, "learning_rate": 3e-3, "ema": ema}
    found = trained(80_000, **recipe, **TOLD).load(data, EDM, CPU)
    sigma, y = f64([0.3, 0.6, 1.2]).repeat_interleave(400), data.scaled()[:1200]
    x = y + sigma.float().reshape(-1, 1, 1, 1) * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    labels = data.labels[:1200]
    expected, got = ({key: D.bind(given)(x, sigma) for key, given in told.items()} for D, told in (
        (exact, {"classes": labels, "none": None, "left out": None}),
        (found, {"classes": labels, "none": None, "left out": torch.full_like(labels, -1)}),
    ))  # fmt: skip
    between = (expected["classes"] - expected["none"]).square().mean().sqrt()
    for key, value in got.items():
        assert (value - expected[key]).square().mean().sqrt() < 0.15 * between, key
    assert torch.equal(got["none"], got["left out"])


# Snapshots


def test_a_snapshot_is_a_training_of_that_length(digits, tmp_path, monkeypatch):
    whole = mlp(images=6400, **TOLD, snapshots=[0.25, 0.0313])  # after 50 and 6.26 of 200 batches
    state_of(whole, digits)
    part = whole.snapshot(0.25)
    assert part.training_images == 1600

    def trains(progress):
        raise AssertionError("it has been trained already")

    kept = [state_of(each, digits, trains) for each in (part, whole.snapshot(0.0313))]
    assert [state.images for state in kept] == [1600, 6 * 32]
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "another"))
    assert same(kept[0], state_of(mlp(images=1600, **TOLD, snapshots=[]), digits))


def test_the_training_of_a_snapshot_first_is_continued_and_keeps_those_before_it(digits, tmp_path, monkeypatch):
    whole = mlp(images=6400, **TOLD, snapshots=[0.0313, 0.25])
    state_of(whole.snapshot(0.25), digits)
    told = []
    resumed = state_of(whole, digits, lambda progress: told.append(progress.images))
    assert told[0] > 1600
    assert Checkpoints(Cache(), whole.plan(digits, EDM))._get("now")["ends"].tolist() == [6, 50, 200]
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "another"))
    assert same(resumed, state_of(mlp(images=6400, **TOLD, snapshots=[]), digits))


def test_there_is_no_snapshot_of_everything():
    with pytest.raises(ValueError, match=r"32 training images in batches of 32 are too few for a snapshot at 0\.25"):
        mlp(images=32).snapshot(0.25)
    with pytest.raises(ValueError, match="denoiser exact has no snapshots of its training: name another"):
        ds.Denoiser.get("exact")().snapshot(0.25)


def test_snapshots_are_exported_with_the_model(tmp_path, digits):
    asked = {"training_images": 6400, "network": {"name": "mlp", "width": 16, "depth": 1}, "snapshots": [0.0313, 0.25]}
    spec = write_spec(tmp_path, **SPEC | {"denoiser": SPEC["denoiser"] | asked | TOLD})
    done = CliRunner().invoke(app, ["train", str(spec), "--export", str(tmp_path / "models")])
    assert done.exit_code == 0, done.stderr
    whole, *parts = sorted(
        (path.with_suffix("") for path in (tmp_path / "models").glob("*.json")), key=lambda p: len(p.name)
    )
    assert all(f"model: {path}\n" in done.stdout for path in (whole, *parts))
    assert [path.name for path in parts] == [f"{whole.name}-0.25", f"{whole.name}-0.0313"]
    about = read_about(parts[0])
    assert (about["images"], about["snapshot"]) == (1600, {"fraction": 0.25, "of_images": 6400})
    model = ds.Denoiser.model_validate({"name": "pretrained", "model": str(whole)})
    assert read_about(whole)["denoiser"]["label_dropout"] == 0.25
    assert not model.why_labels()
    x, sigma = torch.randn(3, 1, 8, 8), f64(0.7)
    guide, mine = model.snapshot(0.25), ds.Denoiser.model_validate(SPEC["denoiser"] | asked | TOLD).snapshot(0.25)
    got, want = (each.load(digits, EDM, CPU).bind()(x, sigma) for each in (guide, mine))
    assert torch.equal(got, want)
    with pytest.raises(
        ValueError, match=rf"{whole.name} has no snapshot {whole.name}-0\.5: `designspace train --export`"
    ):
        model.snapshot(0.5)
    parts[1].with_name(parts[1].name + ".json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match=rf"{whole.name}-0\.0313 is not the snapshot at 0\.0313"):
        model.snapshot(0.0313)


# Who knows images without labels


def test_what_a_trained_network_knows():
    needs = {p: bool(mlp(images=64, labels=True, label_dropout=p).why_labels()) for p in (0.0, 0.1)}
    assert needs == {0.0: True, 0.1: False}
    assert not mlp(images=64).why_labels()
    own = {"name": "edm", "model_channels": 8, "channel_mult": [1], "num_blocks": 1, "label_dropout": 0.1}
    assert not trained(64, network=own, labels=True).why_labels()
    assert not ds.Denoiser.get("pretrained")(model="cifar10_jpeg").why_labels()
    assert not ds.Denoiser.get("exact")().why_labels()


@pytest.mark.parametrize(
    ("denoiser", "needs"),
    [
        ({"name": "trained", "label_dropout": 0.0, "network": {"name": "mlp"}}, True),
        ({"name": "trained", "network": {"name": "mlp"}}, True),  # from before there was any
        ({"name": "trained", "network": {"name": "adm", "label_dropout": 0.1}}, False),
        ({"network": {"name": "edm2"}}, True),
        ({"network": {"name": "adm"}}, True),
        ({"network": {"name": "adm", "label_dropout": 0.1}}, False),
        ({"network": {"name": "edm2"}, "label_dropout": 0.1}, False),  # as the user says
        ({"network": {"name": "diffusers", "model": "UNet2DModel", "config": {"num_class_embeds": 10}}}, True),
        ({"network": {"name": "diffusers", "model": "UNet2DModel", "config": {"num_class_embeds": 11}}}, False),
        ({"network": {"name": "diffusers", "model": "DiTTransformer2DModel", "config": {}}}, False),
    ],
    ids=str,
)
def test_what_is_known_of_models_from_their_descriptions(tmp_path, denoiser, needs):
    rows = {row: {"name": "edm"} for row in ("c_skip", "c_out", "c_in", "c_noise", "noise_distribution", "loss_weight")}
    about = {"schema": 1, "design": rows, "data": {"shape": [1, 8, 8], "classes": 10}}
    for labels in (True, False):
        path = tmp_path / f"labels-{labels}.json"
        path.write_text(json.dumps(about | {"denoiser": denoiser | {"labels": labels, "augment": 0}}))
        model = ds.Denoiser.get("pretrained")(model=str(path))
        why = model.why_labels()
        assert (f"labels-{labels}.json does not say that training left out labels" in why) is (needs and labels)
        assert bool(why) is (needs and labels)


def spec(tmp_path, denoiser=None, **fields):
    asked = {"network": {"name": "mlp", "width": 16, "depth": 1}, "training_images": 64} | (denoiser or {})
    return write_spec(tmp_path, **SPEC | {"denoiser": SPEC["denoiser"] | asked} | fields)


def evaluated(labels):
    return {"evaluate": SPEC["evaluate"] | {"labels": labels}}


def test_label_dropout_needs_labels(tmp_path):
    wanted = r"label_dropout: leaves out labels, but the network is trained without any: set denoiser\.labels: true"
    with pytest.raises(ds.SpecError, match=wanted):
        load(spec(tmp_path, {"label_dropout": 0.1}))


def test_samples_without_labels_need_label_dropout(tmp_path):
    wanted = (
        r"does not know images without labels: set denoiser\.label_dropout: 0\.1; to sample with labels, use labels:"
    )
    with pytest.raises(ds.SpecError, match=wanted):
        require_labels(load(spec(tmp_path, {"labels": True})))
    require_labels(load(spec(tmp_path, TOLD)))
    require_labels(load(spec(tmp_path, TOLD, **evaluated("balanced"))))


def test_guidance_needs_label_dropout(tmp_path):
    asked = evaluated("balanced") | {"guidance": {"name": "cfg", "weight": 2}}
    with pytest.raises(
        ds.SpecError, match=r"guidance cfg: the network is trained with labels .*denoiser\.label_dropout: 0\.1$"
    ):
        load(spec(tmp_path, {"labels": True}, **asked))
    assert load(spec(tmp_path, TOLD, **asked)).points()


def test_a_network_of_the_users_is_called_with_a_label_that_is_left_out(tmp_path):
    (tmp_path / "net.py").write_text(
        "import torch\n\n\nclass Net(torch.nn.Module):\n"
        "    def __init__(self, classes):\n        super().__init__()\n"
        "        self.table = torch.nn.Embedding(classes, 1)\n\n"
        "    def forward(self, x, c_noise, labels=None):\n"
        "        return x if labels is None else x + self.table(labels)[:, :, None, None]\n\n\n"
        "def make(classes):\n    return Net(classes)\n"
    )
    network, asked = {"name": "module", "factory": "./net.py:make"}, evaluated("balanced")
    load(spec(tmp_path, {"network": network, "labels": True}, **asked))
    with pytest.raises(ds.SpecError, match=r"denoiser\.network: the network looks up the label -1, which stands for"):
        load(spec(tmp_path, {"network": network} | TOLD, **asked))


def test_a_network_without_an_entry_for_no_class_cannot_leave_out_labels(digits):
    network = {"name": "diffusers", "model": "UNet2DModel", "config": {"num_class_embeds": 10}}
    with pytest.raises(ds.DataError, match="has no entry for images without labels: leave out label_dropout"):
        trained(64, network=network, **TOLD).untrained(digits, EDM, CPU)


# One class for all images


@pytest.mark.parametrize(("given", "listed"), [("fixed", r"\[0\]"), (3, r"\[3\]")])
def test_a_single_class_is_a_list_of_one(tmp_path, given, listed):
    with pytest.raises(ds.SpecError, match=rf"For images of a single class, list it: {listed}\."):
        load(spec(tmp_path, **evaluated(given)))


def test_captions_and_protocols_name_the_classes(tmp_path, digits):
    hashes = {}
    for labels, told in (
        ("balanced", ", classes balanced"),
        ([3], ", class 3 only"),
        ("none", "seed 0, exact denoiser, detector"),
    ):
        exact = SPEC | {"denoiser": "exact", "grid": {"num_steps": [2]}, "components": []} | evaluated(labels)
        results = run(load(write_spec(tmp_path, **exact)), out=tmp_path / str(labels), progress=False)
        (row,) = results.rows()
        hashes[str(labels)] = row.protocol.hash
        write(tmp_path / str(labels) / "small")
        assert told in (tmp_path / str(labels) / "small" / "table.md").read_text(), labels
    assert len(set(hashes.values())) == 3


def test_images_of_a_single_class_are_of_that_class(digits):
    one = Images(digits.pixels[digits.labels == 3])
    D = ds.Denoiser.get("exact")().load(digits, EDM, CPU)
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    found = D.bind(torch.tensor([3] * 4))(x, f64(0.01))
    assert torch.cdist(found.flatten(1), one.scaled().flatten(1)).amin(1).max() < 1e-3
