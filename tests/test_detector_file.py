"""Feature networks from files: lite0 exported in each format, and what is wrong with descriptions and files."""

import hashlib
import json
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import designspace as ds
from designspace.cli.app import app
from designspace.errors import DataError
from designspace.evaluation.description import SHIPPED
from designspace.evaluation.efficientnet_lite import EfficientNetLite0
from designspace.evaluation.frechet import frechet
from designspace.evaluation.moments import Moments
from designspace.evaluation.network_file import prepared

CPU = torch.device("cpu")
LITE0 = {
    "protocol": "FD-exported", "network": "lite0.pt", "size": 32, "filter": "bicubic", "antialias": True,
    "range": [0, 255], "mean": [127], "std": [128], "width": 320, "licence": "Apache-2.0",
}  # fmt: skip
TINY = {"protocol": "FD-tiny", "network": "tiny.pt", "size": 8, "filter": "bilinear", "antialias": False,
        "width": 5, "licence": "MIT"}  # fmt: skip
SPEC = """\
name: a
data: digits
denoiser: exact
design: edm
evaluate: {images: 20, metrics: [frechet], detector: {name: file, path: x.json}}
grid: {nfe: [3]}
"""


class Lite0(nn.Module):
    def __init__(self):
        super().__init__()
        weights = sys.modules[ds.Detector.get("lite0").__module__].WEIGHTS.load()
        self.network = EfficientNetLite0(weights, CPU)

    def forward(self, x):
        return self.network(x)


class Tiny(nn.Module):
    """Tokens ``[B, 4, 5]`` of an image ``[B, 3, 8, 8]``."""

    def forward(self, x):
        tokens = x.flatten(1)[:, :20].unflatten(1, (4, 5))
        return tokens + 0


class Outputs(nn.Module):
    def forward(self, x):
        return {"tokens": x.flatten(1)[:, :20].unflatten(1, (4, 5)), "map": x.mean((2, 3)).repeat(1, 2)[:, :5]}


class Pair(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)), x.flatten(1)[:, :5]


def traced(module, path, side=8):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, torch.rand(2, 3, side, side), strict=False).save(str(path))


def exported(module, path, side=8, **batch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = batch or {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
        torch.export.save(torch.export.export(module, (torch.rand(2, 3, side, side),), **batch), path)


def onnx(module, path, side=8):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = {"input_names": ["x"], "output_names": ["features"], "dynamic_axes": {"x": {0: "batch"}}}
        torch.onnx.export(module, (torch.rand(2, 3, side, side),), str(path), dynamo=False, **names)


EXPORTS = {".pt": traced, ".pt2": exported, ".onnx": onnx}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def describe(about, name="x.json", indent=1):
    Path(name).write_text(json.dumps(about, indent=indent))
    return ds.Detector.model_validate({"name": "file", "path": name})


def tiny(module=Tiny, **changes):
    traced(module().eval(), "tiny.pt")
    return describe(TINY | {"pooling": "tokens"} | changes)


def images(count, channels, side):
    return torch.randint(
        256, (count, channels, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )


@pytest.mark.parametrize("suffix", EXPORTS)
def test_exported_lite0_gives_the_same_features_and_distances(suffix):
    EXPORTS[suffix](Lite0().eval(), f"lite0{suffix}", 32)
    detector = describe(LITE0 | {"network": f"lite0{suffix}"})
    detector.require()
    own, lite0 = detector.load(CPU), ds.Detector.model_validate({"name": "lite0", "size": 32}).load(CPU)
    assert detector.width == 320
    digits = ds.Data.model_validate("digits").load().pixels[:200]
    for pixels in (digits, images(40, 3, 23)):
        got, expected = own(pixels), lite0(pixels)
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
        halves = [[Moments.of(half) for half in features.chunk(2)] for features in (got, expected)]
        distances = [frechet(*half) for half in halves]
        assert distances[0] == pytest.approx(distances[1], rel=1e-4)
    torch.testing.assert_close(own(digits[:1]), own(digits)[:1], rtol=1e-4, atol=1e-4)


class TestPreparation:
    def one(self, pixels, **changes):
        traced(Tiny().eval(), "tiny.pt")
        (x,) = prepared(pixels, describe(TINY | changes)._described().about, CPU)
        return x

    @pytest.mark.parametrize("side", [5, 21])
    @pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
    @pytest.mark.parametrize("antialias", [True, False])
    def test_resize_is_that_of_pytorch(self, side, mode, antialias):
        pixels = images(3, 3, side)
        got = self.one(pixels, filter=mode, antialias=antialias, clip=False, size=[8, 12])
        expected = nn.functional.interpolate(pixels.float(), (8, 12), mode=mode, antialias=antialias)
        torch.testing.assert_close(got, expected / 255, rtol=1e-4, atol=1e-5)

    def test_range_mean_and_standard_deviation(self):
        pixels = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1).expand(2, 3, 8, 8)
        got = self.one(pixels, range=[-1, 1], mean=[0.5, 0, 0], std=[2, 1, 4])
        torch.testing.assert_close(got[:, :, 0, 0], torch.tensor([[-0.75, -1, -0.25], [0.25, 1, 0.25]]))

    def test_grey_and_colour(self):
        grey, colour = images(2, 1, 8), images(2, 3, 8)
        assert torch.equal(self.one(grey), self.one(grey.expand(-1, 3, -1, -1)))
        torch.testing.assert_close(self.one(colour, channels=1), colour.float().mean(1, keepdim=True) / 255)

    def test_overshoot_is_clipped_unless_told_otherwise(self):
        pixels = (255 * (images(2, 1, 8) > 127)).to(torch.uint8)
        assert self.one(pixels, filter="bicubic", size=20).amax() == 1
        assert self.one(pixels, filter="bicubic", size=20, clip=False).amax() > 1

    @pytest.mark.parametrize("name", ["dinov2_vitl14", "clip_vitl14_336"])
    @pytest.mark.parametrize("side", [32, 500])
    def test_that_of_the_shipped_descriptions_is_published(self, name, side):
        """Bicubic with a = -1/2, antialiased, not clipped: that of EDM2's script, and of JAX for CMMD."""
        pixels = images(2, 3, side)
        about = ds.Detector.model_validate({"name": "file", "path": name})._described().about
        x = nn.functional.interpolate(pixels.float(), about.sides, mode="bicubic", antialias=True) / 255
        mean, std = (torch.tensor(values)[:, None, None] for values in (about.mean, about.std))
        torch.testing.assert_close(torch.cat([*prepared(pixels, about, CPU)]), (x - mean) / std, rtol=1e-4, atol=1e-4)


class TestOutput:
    @pytest.mark.parametrize(
        ("changes", "of"),
        [
            ({"output": "tokens", "pooling": "tokens"}, lambda x: x.flatten(1)[:, :20].unflatten(1, (4, 5)).mean(1)),
            ({"output": "tokens", "pooling": "class_token"}, lambda x: x.flatten(1)[:, :5]),
            ({"output": 0, "pooling": "class_token"}, lambda x: x.flatten(1)[:, :5]),
            ({"output": "map", "pooling": "none"}, lambda x: x.mean((2, 3)).repeat(1, 2)[:, :5]),
        ],
    )
    def test_is_chosen_and_pooled(self, changes, of):
        pixels = images(3, 3, 8)
        torch.testing.assert_close(tiny(Outputs, **changes).load(CPU)(pixels), of(pixels.float() / 255))

    def test_of_several_without_names(self):
        pixels = images(3, 3, 8)
        found = tiny(Pair, output=1, pooling="none").load(CPU)(pixels)
        torch.testing.assert_close(found, pixels.flatten(1)[:, :5] / 255)

    def test_mean_over_space(self):
        pixels = images(3, 3, 8)
        found = tiny(nn.Identity, pooling="space", width=3).load(CPU)(pixels)
        torch.testing.assert_close(found, pixels.float().mean((2, 3)) / 255)

    @pytest.mark.parametrize(
        ("module", "changes", "message"),
        [
            (Outputs, {}, r"x\.json:1:1: output: name one of the outputs of the network: tokens, map$"),
            (Outputs, {"output": "map2"}, r"x\.json:10:12: output: the network has no output 'map2': tokens, map$"),
            (Pair, {"output": 2}, r"x\.json:10:12: output: the network has no output 2: 0 to 1$"),
            (Tiny, {"output": "map"}, r"x\.json:10:12: output: the network has a single output without a name"),
            (Tiny, {"pooling": "none"}, r"x\.json:7:11: width: the network gives \[1, 4, 5\] .*, not \[1, 5\]$"),
            (
                Tiny,
                {"width": 6},
                r"x\.json:7:11: width: the network gives \[1, 5\] .* the pooling tokens, not \[1, 6\]",
            ),
            (Tiny, {"size": 2}, r"size: should be greater than or equal to 8"),
        ],
    )
    def test_that_does_not_fit_is_refused_before_any_work(self, module, changes, message):
        with pytest.raises(DataError, match=message):
            tiny(module, **changes).require()

    def test_features_that_are_not_finite(self):
        class Broken(nn.Module):
            def forward(self, x):
                return x.flatten(1)[:, :5] / 0

        with pytest.raises(DataError, match=r"x\.json:3:13: network: its features of noise are not finite"):
            tiny(Broken, pooling="none").require()

    def test_a_network_for_one_size_of_batches(self):
        exported(Tiny(), "tiny.pt2", dynamic_shapes=None)
        message = r"x\.json:3:13: network: the network fails for images \[1, 3, 8, 8\]: .*; it has to take any number"
        with pytest.raises(DataError, match=message):
            describe(TINY | {"network": "tiny.pt2", "pooling": "tokens"}).require()


class TestDescription:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"sise": 3}, r"x\.json:10:10: sise: unknown field 'sise'\. Did you mean 'size'\?"),
            ({"filter": "lanczos"}, r"x\.json:5:12: filter: should be 'bicubic' or 'bilinear'$"),
            ({"mean": [1, 2]}, r"x\.json:10:10: mean: should have 1 or 3 numbers, not 2$"),
            ({"std": [1, 0, 1]}, r"x\.json:10:9: std\.1: should be greater than 0$"),
            (
                {"network": "net.h5"},
                r"x\.json:3:13: network: should be the name of a file with the ending \.pt \(Torch",
            ),
            ({"protocol": "FID"}, r"x\.json:2:14: protocol: String should match pattern '\^FD-"),
            ({"sha256": "ab"}, r"x\.json:10:12: sha256: String should match pattern"),
            ({"size": "big"}, r"x\.json:4:10: size: should be a valid integer"),
        ],
    )
    def test_what_is_wrong_is_told_with_its_place(self, changes, message):
        detector = tiny()
        detector.require()
        with pytest.raises(DataError, match=message) as error:
            describe(TINY | {"pooling": "tokens"} | changes).require()
        assert "\n" not in str(error.value)

    def test_a_missing_entry(self):
        with pytest.raises(DataError, match=r"x\.json:1:1: width: Field required$"):
            describe({name: value for name, value in TINY.items() if name != "width"}).require()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('{"size": 8,\n "x" 2}', r"x\.json:2:6: is not JSON: Expecting ':' delimiter"),
            ('{"size": 8,\n "size": 9}', r"x\.json:2:10: is not JSON: the entry size is given twice"),
            ("[1]", r"x\.json: is not the description of a network: it is no JSON object"),
            ("[" * 100000, r"x\.json: is not the description of a network"),
            ("\xff", r"x\.json: is not the description of a network: .* can't decode"),
        ],
    )
    def test_that_is_no_json(self, place, text, message):
        (place / "x.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(DataError, match=message):
            ds.Detector.model_validate({"name": "file", "path": "x.json"}).require()

    def test_that_is_missing(self):
        with pytest.raises(DataError, match=r"there is no .*x\.json"):
            ds.Detector.model_validate({"name": "file", "path": "x.json"}).require()
        with pytest.raises(DataError, match=r"there is no description 'dino': .* clip_vitl14_336, dinov2_vitl14$"):
            ds.Detector.model_validate({"name": "file", "path": "dino"}).require()

    def test_published_names_are_for_the_published_preparation(self):
        message = (
            r"FD-DINOv2 is the name for the preparation of dinov2_vitl14, which has another size and another clip: "
        )
        published = json.loads((SHIPPED / "dinov2_vitl14.json").read_text())
        with pytest.raises(DataError, match=message):
            describe(published | {"size": 518, "clip": True}).require()
        with pytest.raises(
            DataError, match=r"network: there is no .*dinov2_vitl14\.pt2 and no .*/weights/dinov2_vitl14"
        ):
            describe(published).require()


class TestFile:
    def test_it_counts_by_its_content_and_is_found_in_the_cache_too(self, place):
        first = tiny()
        identity, protocol = first.identity(), first.protocol()
        (place / "cache" / "weights").mkdir(parents=True)
        (place / "tiny.pt").rename(place / "cache" / "weights" / "tiny.pt")
        (place / "other").mkdir()
        second = describe(TINY | {"pooling": "tokens", "licence": "other"}, "other/y.json")
        assert second.identity() == identity
        assert describe(TINY | {"pooling": "class_token"}).identity() != identity
        with Path("cache/weights/tiny.pt").open("ab") as file:
            file.write(b" ")
        assert second.identity() != identity
        assert second.protocol() != protocol

    def test_the_name_of_its_distance(self, place):
        detector = tiny()
        sha256 = hashlib.sha256((place / "tiny.pt").read_bytes()).hexdigest()
        assert detector.protocol() == f"FD-tiny-{sha256[:8]}"
        assert describe(TINY | {"sha256": sha256}).protocol() == "FD-tiny"
        assert detector.resize() == "8 x 8, aliased bilinear, not rounded, clipped"
        assert ds.Metric.get("cmmd")().called("FD-tiny") == "CMMD-tiny"

    def test_another_file_than_the_hash_says(self):
        tiny()
        with pytest.raises(DataError, match=r"x\.json:9:12: sha256: .*tiny\.pt has the sha256 .*: it is damaged or"):
            describe(TINY | {"sha256": "0" * 64}).require()

    @pytest.mark.parametrize(("suffix", "kind"), [(".pt", "TorchScript"), (".pt2", "an exported program")])
    def test_that_is_damaged(self, place, suffix, kind):
        (place / f"tiny{suffix}").write_bytes(b"PK\x03\x04 damaged")
        with pytest.raises(DataError, match=rf"tiny{suffix} is not {kind}.*, or it is damaged: ") as error:
            describe(TINY | {"network": f"tiny{suffix}"}).require()
        assert "\n" not in str(error.value)

    def test_onnx_that_is_damaged(self, place):
        pytest.importorskip("onnxruntime")
        (place / "tiny.onnx").write_bytes(b"damaged")
        with pytest.raises(DataError, match=r"tiny\.onnx is not ONNX, or it is damaged: "):
            describe(TINY | {"network": "tiny.onnx"}).require()

    def test_onnx_with_weights_in_a_second_file(self):
        """They would not count in the identity."""
        onnx(nn.Sequential(nn.Conv2d(3, 5, 8), nn.Flatten()).eval(), "tiny.onnx")
        own = pytest.importorskip("onnx")
        describe(TINY | {"network": "tiny.onnx"}).require()
        apart = {"save_as_external_data": True, "location": "tiny.data", "size_threshold": 0}
        own.save_model(own.load("tiny.onnx"), "tiny.onnx", **apart)
        with pytest.raises(DataError, match="if its weights are in a second file, export it with"):
            describe(TINY | {"network": "tiny.onnx"}).require()

    def test_onnx_without_its_package(self, place, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        (place / "tiny.onnx").write_bytes(b"")
        with pytest.raises(
            DataError, match=r"tiny\.onnx needs the package onnxruntime: pip install 'designspace\[onnx\]'"
        ):
            describe(TINY | {"network": "tiny.onnx"}).require()


class TestSpec:
    def test_a_run(self, place):
        (place / "sub").mkdir()
        tiny()
        for name in ("tiny.pt", "x.json"):
            (place / name).rename(place / "sub" / name)
        (place / "sub" / "a.yaml").write_text(SPEC)
        (row,) = ds.run(ds.load("sub/a.yaml"), progress=False).rows()  # relative to the spec
        assert row.metrics["frechet"].value > 0
        assert row.metrics["frechet"].protocol.startswith("FD-tiny-")
        assert row.features == 5

    def test_what_is_wrong_has_a_place_in_the_spec_and_in_the_description(self, place):
        (place / "a.yaml").write_text(SPEC)
        describe(TINY)
        message = r"a\.yaml:5:73: evaluate\.detector\.path: .*x\.json:3:13: network: there is no .*tiny\.pt and no "
        with pytest.raises(ds.SpecError, match=message):
            ds.load("a.yaml")

    def test_without_code_it_is_not_executed(self, place, capsys):
        (place / "a.yaml").write_text(SPEC)
        tiny()
        status, out = command(capsys, "check", "--no-code", "a.yaml")
        assert (status, "needs ./tiny.pt, which is not executed" in out) == (0, True)
        status, out = command(capsys, "check", "a.yaml")
        assert (status, "executing ./tiny.pt (detector file)" in out) == (0, True)

    def test_doctor_says_where_the_shipped_networks_are_expected(self, place, capsys):
        weights = place / "cache" / "weights"
        weights.mkdir(parents=True)
        status, out = command(capsys, "doctor", "--json")
        found = json.loads(out)["detectors"]
        assert status == 0
        assert str(weights / "dinov2_vitl14.pt2") in found["file: dinov2_vitl14"]
        assert "https://github.com/facebookresearch/dinov2" in found["file: dinov2_vitl14"]
        assert str(weights / "clip_vitl14_336.pt2") in found["file: clip_vitl14_336"]

        class StandIn(nn.Module):
            def forward(self, x):
                return x.flatten(1)[:, :1024] * 1

        exported(StandIn(), weights / "dinov2_vitl14.pt2", 224)
        status, out = command(capsys, "doctor", "--json")
        assert json.loads(out.partition("executing ")[0])["detectors"]["file: dinov2_vitl14"] == "ready"
        detector = ds.Detector.model_validate({"name": "file", "path": "dinov2_vitl14"})
        assert detector.protocol().startswith("FD-DINOv2-")
        assert detector.load(CPU)(images(2, 1, 8)).shape == (2, 1024)


def command(capsys, *arguments):
    """The exit status of a command and what it prints."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        app(list(arguments))
    out, err = capsys.readouterr()
    return end.value.code or 0, out + err
