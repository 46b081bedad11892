"""Exports: images that other programs read are those that were measured; cards and tables have the recorded numbers."""

import csv
import io
import json
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image
from pipeline import write_spec

import designspace as ds
from designspace.data.written import WRITERS
from designspace.errors import DataError
from designspace.evaluation.boundary import features_of
from designspace.results.store import Results
from designspace.run.run import run
from designspace.run.stages import Stages
from designspace.spec import load
from designspace.storage.cache import Cache

SPEC = {
    "name": "exported",
    "data": "digits",
    "denoiser": "exact",
    "design": "edm",
    "grid": {"solver": ["euler", "heun"], "num_steps": [3, 4]},
    "evaluate": {"images": 450, "labels": "balanced", "detector": "pixels", "metrics": ["frechet"]},
}
FORMS = {"npz": ".npz", "zip": ".zip", "png": ""}
DATA = {"npz": "npz", "zip": "zip", "png": "folder"}


def distance(images, reference):
    """The Fréchet distance between two sets of images, as a trial measures it."""
    detector = ds.Detector.get("pixels")()
    network = detector.load(torch.device("cpu"))
    found = [torch.cat([features_of(detector, network, part) for part in x.split(200)]) for x in (images, reference)]
    return ds.frechet(*map(ds.Moments.of, found))


@pytest.fixture
def spec(tmp_path, cache):
    return write_spec(tmp_path, SPEC)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fresh", [False, True])
def test_images_are_those_that_were_measured(spec, tmp_path, shell, monkeypatch, digits, form, fresh):
    results = run(load(spec), out=tmp_path / "reports", progress=False)
    (row,) = [row for row in results.rows() if row.axes == {"solver": "heun", "num_steps": 4}]
    if fresh:  # sampled again
        monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "empty"))
    status, said, _ = shell("export", "exported:solver=heun,num_steps=4", "--as", form)
    file = tmp_path / f"exported-{row.id}{FORMS[form]}"
    assert status == 0
    assert said == f"images: {file.name} (450 of trial {row.id})\n"
    read = ds.Data.get(DATA[form])(path=file).load()
    assert torch.equal(read.labels, torch.arange(450) % 10)
    assert distance(read.pixels, digits.pixels) == row.metrics["frechet"].value
    trial = next(trial for trial in load(spec).trials() if trial.id == row.id)
    stages = Stages(Cache(), torch.device("cpu"))
    measured = [stages.images(trial, chunk)["images"] for chunk in (range(200), range(200, 400), range(400, 450))]
    assert torch.equal(read.pixels, torch.cat(measured))


@pytest.mark.parametrize("form", FORMS)
def test_an_ablation_can_be_sampled_without_results(spec, tmp_path, shell, form):
    where = f"{spec}:solver=euler,num_steps=3"
    status, _, _ = shell("export", where, "--as", form, "--images", 220, "-o", "some", "--set", "evaluate.labels=none")
    assert status == 0
    read = ds.Data.get(DATA[form])(path=tmp_path / "some").load()
    assert read.pixels.shape == (220, 1, 8, 8)
    assert read.labels is None
    assert not (tmp_path / "reports").exists()
    results = run(load(spec, ["evaluate.labels=none", "evaluate.images=220"]), out=tmp_path / "reports", progress=False)
    row = next(row for row in results.rows() if row.axes == {"solver": "euler", "num_steps": 3})
    assert torch.equal(read.pixels[:8], torch.from_numpy(results.artefact(row.id)["images"]))


def test_files_have_the_layouts_of_the_programs_that_read_them(tmp_path):
    images = torch.arange(1002 * 3 * 2 * 2).reshape(1002, 3, 2, 2).to(torch.uint8)
    labels = torch.arange(1002) % 7
    parts = [(images[:600], labels[:600]), (images[600:], labels[600:])]
    for form, suffix in FORMS.items():
        WRITERS[form](tmp_path / f"a{suffix}", 1002, parts)
    with np.load(tmp_path / "a.npz") as archive:
        assert archive.files == ["arr_0", "arr_1"]
        assert np.array_equal(archive["arr_0"], images.permute(0, 2, 3, 1).numpy())
        assert np.array_equal(archive["arr_1"], labels.numpy())
    with ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist()[::1001] == ["00000/img00000000.png", "00001/img00001001.png"]
        listed = json.loads(archive.read("dataset.json"))["labels"]
        assert listed[1001] == ["00001/img00001001.png", 0]
        picture = Image.open(io.BytesIO(archive.read("00001/img00001001.png")))
        assert np.array_equal(np.asarray(picture), images[1001].permute(1, 2, 0).numpy())
    assert sorted(path.name for path in (tmp_path / "a").iterdir())[:2] == ["dataset.json", "img00000000.png"]
    again = tmp_path / "again.zip"
    WRITERS["zip"](again, 1002, parts)
    assert again.read_bytes() == (tmp_path / "a.zip").read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_left_of_an_export_that_fails(tmp_path, form):
    def parts():
        yield torch.zeros(2, 1, 4, 4, dtype=torch.uint8), None
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        WRITERS[form](tmp_path / "a", 4, parts())
    with pytest.raises(DataError, match=r"samples of shape \[4, 8, 8\] are not images: these have 1 or 3 channels"):
        WRITERS[form](tmp_path / "a", 2, [(torch.zeros(2, 4, 8, 8, dtype=torch.uint8), None)])
    assert list(tmp_path.iterdir()) == []


def test_wrong_input_is_a_clear_error(spec, tmp_path, shell):
    run(load(spec), out=tmp_path / "reports", progress=False)
    for words, expected in (
        (["exported", "--as", "npz"], "exported: selects 4 points, and images are those of one: solver=euler, num_s"),
        (["exported:solver=hun", "--as", "npz"], "no point has solver = 'hun'. Did you mean 'heun'?"),
        (["exportd", "--as", "csv"], "exportd: no results in exportd nor in reports/exportd. Did you mean 'exported'?"),
        ([f"{spec}:num_step=3", "--as", "zip"], "there is no axis 'num_step'. Did you mean 'num_steps'?"),
        (["exported:solver=heun,num_steps=3", "--as", "npz", "--repeat", 2], "--repeat 2: there is only 1"),
        ([spec, "--as", "card"], "--as card: reads results, so that it takes the name or folder of a report"),
        (["exported", "--as", "csv", "--images", 3], "--images: has no effect on --as csv of results"),
        (["exported", "--as", "csv", "-o", spec], "exists already; delete it, or name another file with --output"),
    ):
        status, said, errors = shell("export", *words)
        assert (status, said) == (2, "")
        assert expected in errors
        assert len(errors.splitlines()) == 1


def test_a_result_of_other_data_is_not_sampled(tmp_path, cache, digits, shell):
    images = tmp_path / "set.zip"
    WRITERS["zip"](images, 300, [(digits.pixels[:300], digits.labels[:300])])
    results = run(load(write_spec(tmp_path, SPEC, data={"name": "zip", "path": str(images)})), progress=False)
    WRITERS["zip"](images, 300, [(digits.pixels[300:600], digits.labels[300:600])])
    status, _, errors = shell("export", "exported:solver=heun,num_steps=3", "--as", "npz")
    (row,) = [row for row in results.rows() if row.axes == {"solver": "heun", "num_steps": 3}]
    assert status == 2
    assert f"code, data or weights have changed since trial {row.id} was measured; name the ablation's file" in errors


def test_a_table_has_a_row_per_result_with_its_spec(recorded, tmp_path, monkeypatch, shell):
    status, _, _ = shell("export", recorded, "--as", "csv", "-o", "all.csv")
    assert status == 0
    rows = list(csv.DictReader((tmp_path / "all.csv").open()))
    results = {row.id: row for row in Results(recorded).rows()}
    assert [row["id"] for row in rows] == list(results)
    for row in rows:
        result = results[row["id"]]
        assert float(row["frechet"]) == result.metrics["frechet"].value
        assert float(row["frechet_se"]) == result.metrics["frechet"].se
        assert row["trial.design.solver.name"] == result.trial["design"]["solver"]["name"]
        assert int(row["trial.num_steps"]) == result.trial["num_steps"]


def test_a_card_has_the_results_where_the_hub_reads_them(spec, tmp_path, shell):
    hub = pytest.importorskip("huggingface_hub")
    model = {"name": "pretrained", "model": "digits"}
    results = run(load(spec, [f"denoiser={json.dumps(model)}", "evaluate.labels=none"]), out="reports", progress=False)
    status, _, _ = shell("export", "exported:num_steps=4", "--as", "card", "--licence", "apache-2.0", "-o", "README.md")
    assert status == 0
    loaded = hub.ModelCard.load(tmp_path / "README.md")
    assert loaded.data.license == "apache-2.0"
    rows = [row for row in results.rows() if row.axes["num_steps"] == 4]
    assert len(loaded.data.eval_results) == len(rows) == 2
    for found, row in zip(loaded.data.eval_results, rows, strict=True):
        metric = row.metrics["frechet"]
        assert (found.metric_type, found.metric_name) == ("frechet", metric.protocol)
        assert found.metric_value == metric.value
        args = found.metric_args
        assert (args["stderr"], args["n"], args["nfe"], args["seeds"]) == (metric.se, 450, row.nfe, [0])
        assert args["axis.solver"] == row.axes["solver"]
        assert (found.task_type, found.dataset_name) == ("unconditional-image-generation", "digits")
    assert "training_images: 400000" in loaded.text  # from the description of the model
    assert f"id: {rows[0].id}" in loaded.text


def test_a_card_does_not_name_folders_of_this_machine(tmp_path, cache, digits, shell):
    WRITERS["zip"](tmp_path / "private" / "set.zip", 300, [(digits.pixels[:300], None)])
    data = {"name": "zip", "path": str(tmp_path / "private" / "set.zip")}
    spec = write_spec(tmp_path, SPEC, data=data, evaluate=SPEC["evaluate"] | {"labels": "none"})
    run(load(spec), out=tmp_path / "reports", progress=False)
    shell("export", "exported", "--as", "card")
    card = (tmp_path / "exported.md").read_text()
    assert "path: set.zip" in card
    assert str(tmp_path) not in card
