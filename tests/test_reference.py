"""References in files of statistics: what is read, what is reported, and what is rejected."""

import json
import pickle

import numpy as np
import pytest
import torch
from pipeline import write_spec

import designspace as ds
from designspace.errors import DataError
from designspace.evaluation.frechet import frechet
from designspace.evaluation.measure import Summary
from designspace.evaluation.moments import Moments
from designspace.evaluation.statistics import has_statistics, read_statistics
from designspace.report import Study
from designspace.report.tables.values import tables
from designspace.run.run import run
from designspace.spec import SpecError, load

D = 5


def normal(n, d=D, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def moments(seed=0, d=D):
    x = normal(100, d, seed).numpy()
    return {"mu": x.mean(0), "sigma": np.cov(x, rowvar=False)}


def saved(folder, name="stats.npz", **arrays):
    np.savez(folder / name, **arrays)
    return folder / name


def reference(path, **fields):
    return ds.Reference.get("statistics").model_validate({"path": path, **fields})


def own_detector(width=None, protocol="FD-own"):
    class Own:
        def __init__(self):
            self.width = width

        def protocol(self):
            return protocol

        def __str__(self):
            return "own"

    return Own()


# What is taken


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mean_and_covariance_as_edm_and_pytorch_fid_write_them(tmp_path, dtype):
    x = normal(100)
    path = saved(tmp_path, **{k: v.astype(dtype) for k, v in moments().items()})
    known = reference(path, images=100).load(own_detector())
    other = Moments.of(normal(80, seed=1))
    assert isinstance(known, Summary)
    assert len(known) == 100
    assert frechet(other, known.moments) == pytest.approx(frechet(other, Moments.of(x)), rel=1e-5)


@pytest.mark.parametrize("n", [3, 30])
def test_a_covariance_that_rounding_made_a_little_negative_is_one(tmp_path, n):
    """The covariance of fewer images than features in float32."""
    x = normal(n, 40, seed=3).numpy()
    sigma = np.cov(x, rowvar=False).astype(np.float32)
    assert np.linalg.eigvalsh(sigma)[0] < 0
    known = read_statistics(saved(tmp_path, mu=x.mean(0), sigma=sigma)).sample.moments
    other = Moments.of(normal(80, 40, seed=1))
    assert frechet(other, known) == pytest.approx(frechet(other, Moments.of(x)), rel=1e-3)


def test_adms_files_have_images_and_spatial_features_that_are_not_taken(tmp_path):
    images = np.zeros((3, 4, 4, 3), np.uint8)
    path = saved(tmp_path, arr_0=images, mu_s=np.zeros(7), sigma_s=np.eye(7), **moments())
    about = reference(path, source="ADM").about()
    assert about["arrays"] == ["mu", "sigma"]
    assert sorted(about["not_used"]) == ["arr_0", "mu_s", "sigma_s"]
    assert (about["images"], about["source"], about["file"]) == (None, "ADM", "stats.npz")
    with pytest.raises(ValueError, match=r"the number of images .* is not known"):
        len(reference(path).load(own_detector()))
    with pytest.raises(ValueError, match="unknown number of images cannot be merged"):
        reference(path).load(own_detector()).moments + Moments.of(normal(9))


def test_features_as_clean_fid_writes_them_for_its_kid(tmp_path):
    x = normal(30).float()
    known = reference(saved(tmp_path, feats=x.numpy())).load(own_detector())
    assert torch.equal(known.features, x)
    assert has_statistics(tmp_path / "stats.npz")
    assert not has_statistics(saved(tmp_path, "images.npz", arr_0=np.zeros((3, 4, 4, 3), np.uint8)))


def test_a_moved_file_is_the_same_reference(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    one, other = saved(tmp_path, **moments()), saved(tmp_path / "elsewhere", "b.npz", **moments())
    assert reference(one).identity() == reference(other, source="told otherwise").identity()
    assert reference(one).identity() != reference(saved(tmp_path, "c.npz", **moments(1))).identity()


@pytest.mark.parametrize(("rounding", "known"), [(5e-4, True), (5e-3, False)])
def test_a_covariance_may_be_off_by_a_thousandth_of_its_largest_variance(tmp_path, rounding, known):
    """Deviations of the size of float32 rounding are accepted, in symmetry and in a negative eigenvalue."""
    asymmetric, indefinite = np.eye(3), np.diag([1.0, 1.0, 0.0])
    asymmetric[0, 1] += rounding
    indefinite[:2, :2] = [[1, 1 + rounding / 2], [1 + rounding / 2, 1]]
    indefinite[2, 2] = 1.0
    for name, sigma in (("a.npz", asymmetric), ("b.npz", 2 * indefinite)):
        path = saved(tmp_path, name, mu=np.zeros(3), sigma=sigma)
        if known:
            assert read_statistics(path).d == 3
            continue
        with pytest.raises(DataError, match="sigma is not a covariance"):
            read_statistics(path)


# What is refused

BAD = {
    "no numbers": ({"mu": np.arange(3), "sigma": np.eye(3)}, "mu must have a floating-point dtype, not int64"),
    "vectors": (
        {"mu": np.zeros(3), "sigma": np.ones(3)},
        r"has shape \[3\] and sigma \[3\], not \[d\] and \[d, d\]",
    ),
    "other widths": ({"mu": np.zeros(3), "sigma": np.eye(4)}, r"mu has shape \[3\] and sigma \[4, 4\]"),
    "NaN": ({"mu": np.full(3, np.nan), "sigma": np.eye(3)}, "the mean of the features is not finite"),
    "constant": ({"mu": np.zeros(3), "sigma": np.zeros((3, 3))}, "the features are all equal"),
    "not symmetric": ({"mu": np.zeros(2), "sigma": np.array([[1.0, 0.5], [0, 1]])}, "sigma is not a covariance"),
    "too large": ({"mu": np.zeros(2), "sigma": np.array([[1.0, 2], [2, 1]])}, "sigma is not a covariance"),
    "indefinite": (
        {"mu": np.zeros(3), "sigma": np.full((3, 3), -0.9) + 1.9 * np.eye(3)},
        "sigma is not a covariance: it has the negative eigenvalue -0.8",
    ),
    "features of another count": ({"feats": np.eye(3), "n": 7}, "feats has 3 images, and n says 7"),
    "another count": ({"mu": np.zeros(2), "sigma": np.eye(2), "n": 7}, "the file describes 7 images, not 9"),
    "one image": ({"mu": np.zeros(2), "sigma": np.eye(2), "n": 1}, "at least 2 images, not 1"),
    "half a count": ({"mu": np.zeros(2), "sigma": np.eye(2), "n": 1.5}, "must be one integer"),
    "NaN features": ({"feats": np.array([[1.0], [np.nan]])}, "1 of 2 images have features that are not finite"),
    "one feature vector": ({"feats": np.ones((1, 3))}, "feats has 1 images"),
    "flat features": ({"feats": np.ones(3)}, r"must have shape \[n, d\], not \[3\]"),
    "nothing of the kind": (
        {"mu": np.zeros(3), "arr_0": np.zeros(3)},
        "has neither the arrays mu and sigma nor feats, but mu, ",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_files_that_are_no_statistics(tmp_path, case):
    arrays, message = BAD[case]
    path = saved(tmp_path, **arrays)
    with pytest.raises(DataError, match=message) as error:
        read_statistics(path, 9 if case == "another count" else None)
    assert str(path) in str(error.value)


def test_damaged_missing_and_pickled_files(tmp_path):
    path = saved(tmp_path, **moments(d=64))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    (tmp_path / "edm2.pkl").write_bytes(pickle.dumps({"fid": moments()}))
    for file in (path, tmp_path / "edm2.pkl"):
        with pytest.raises(DataError, match="cannot be read as an npz file of plain arrays"):
            read_statistics(file)
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    with pytest.raises(DataError, match=r"cannot be read as .*CRC"):
        read_statistics(path)
    with pytest.raises(DataError, match=f"there is no {tmp_path / 'none.npz'}"):
        read_statistics(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("name", "fields", "detector", "message"),
    [
        ("stats.npz", {}, own_detector(width=320), "it holds 5 features, but detector own gives 320"),
        (
            "stats.npz",
            {"made_by": "FID"},
            own_detector(),
            "its features are for FID, but those of detector own are for FD-own",
        ),
        ("cifar10_clean_train_32.npz", {}, own_detector(), "its features are for FID, but"),
        (
            "cifar10_legacy_tensorflow_train_32.npz",
            {},
            own_detector(protocol="FID"),
            "are for FID-legacy_tensorflow, but",
        ),
        ("ffhq_clean_clip_vit_b_32_trainval_256.npz", {}, own_detector(protocol="FID"), "for FD-clip_vit_b_32, but"),
    ],
)
def test_statistics_of_another_network(tmp_path, name, fields, detector, message):
    with pytest.raises(DataError, match=message):
        reference(saved(tmp_path, name, **moments()), **fields).load(detector)


def test_statistics_that_fit(tmp_path):
    for name, protocol in (
        ("cifar10_clean_train_32.npz", "FID"),
        ("x_legacy_pytorch_custom_na.npz", "FID-legacy_pytorch"),
    ):
        reference(saved(tmp_path, name, **moments())).load(own_detector(D, protocol))
    reference(tmp_path / "cifar10_clean_train_32.npz", made_by="FD-own").load(own_detector(D))  # the name means nothing


# In an ablation


def spec(tmp_path, path, metrics=("frechet",), **fields):
    evaluate = {"images": 60, "detector": "stand_in_detector", "metrics": [*metrics]}
    evaluate["reference"] = {"name": "statistics", "path": str(path), **fields}
    return write_spec(tmp_path, evaluate=evaluate, grid={"num_steps": [3]})


def test_a_metric_of_features_rejects_moments(tmp_path):
    path = saved(tmp_path, **moments())
    with pytest.raises(
        SpecError, match=r"evaluate\.reference: metric kid compares with the features of each image, .*\[frechet"
    ):
        load(spec(tmp_path, path, ("frechet", "kid")))
    load(spec(tmp_path, saved(tmp_path, "feats.npz", feats=normal(30).numpy()), ("frechet", "kid")))


def test_a_wrong_reference_is_said_where_it_stands(tmp_path):
    with pytest.raises(SpecError, match=r"small\.yaml:\d+:\d+: evaluate\.reference: .*neither the arrays mu and sigma"):
        load(spec(tmp_path, saved(tmp_path, other=np.zeros(3))))
    with pytest.raises(SpecError, match=r"small\.yaml:\d+:\d+: evaluate\.reference: there is no .*/none\.npz"):
        load(spec(tmp_path, tmp_path / "none.npz"))


def test_a_run_is_measured_against_it_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    path = saved(tmp_path, **moments())
    ablation = load(spec(tmp_path, path, images=100, source="a neighbour"))
    results = run(ablation, out=tmp_path / "reports", progress=False)
    row = results.rows()[0]
    assert row.metrics["frechet"].floor is None
    told = row.protocol.reference
    assert (told["known"], told["images"], told["source"]) == ("moments", 100, "a neighbour")
    assert told["content"] == ablation.trials()[0].evaluate.reference.content_hash()
    caption = tables(Study(results.folder), "frechet")[0].caption
    assert "reference statistics (stats.npz, 100 images, from a neighbour)" in caption
    assert "No drawn reference: only the mean and covariance of the reference are known." in caption
    assert f"protocol {row.protocol.hash}" in caption
    plain = load(
        write_spec(
            tmp_path,
            grid={"num_steps": [3]},
            evaluate=json.loads(json.dumps(row.trial["evaluate"])) | {"reference": None},
        )
    )
    assert plain.trials()[0].id != row.id
    own = run(plain, out=tmp_path / "other", progress=False).rows()[0]
    assert own.metrics["frechet"].value != row.metrics["frechet"].value
    assert own.protocol.hash != row.protocol.hash
