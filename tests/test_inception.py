"""Inception against clean-fid: with a stand-in network, and with the real one if it is available."""

import hashlib
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy
import torch
from PIL import Image
from pydantic import ValidationError
from torch import nn
from torch.nn.functional import interpolate

import designspace as ds
from designspace.errors import DataError
from designspace.evaluation import inception as inception_file
from designspace.evaluation.frechet import frechet
from designspace.evaluation.inception import PYTORCH, TORCHSCRIPT, network_file, open_network
from designspace.evaluation.moments import Moments

CPU = torch.device("cpu")
MODES = ["clean", "legacy_pytorch", "legacy_tensorflow"]
OLD_SCIPY = tuple(map(int, scipy.__version__.split(".")[:2])) < (1, 18)


def detector(**fields):
    return ds.Detector.model_validate({"name": "inception", **fields})


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 32, 16, stride=16)

    def forward(self, x):
        return nn.functional.adaptive_avg_pool2d(self.convolution(x).relu(), 8)


class StandIn(nn.Module):
    """A small network with the interface of the file that clean-fid uses."""

    def __init__(self):
        super().__init__()
        self.layers = Layers()

    def forward(self, x, return_features: bool = False):
        x = interpolate(x, (299, 299), mode="bilinear", align_corners=False)
        return self.layers((x - 128) / 128)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("network") / "stand_in.pt"
    torch.jit.script(StandIn().eval()).save(str(file))
    return file, hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def stand_in_pytorch(tmp_path_factory):
    """Weights of pytorch-fid's network, drawn at random, in a place where clean-fid finds them."""
    from cleanfid import inception_pytorch

    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("torch") / "hub" / "checkpoints" / PYTORCH.name
    file.parent.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(inception_pytorch, "load_state_dict_from_url", lambda url, **_: {})
        patch.setattr(nn.Module, "load_state_dict", lambda self, weights: None)
        torch.save(inception_pytorch.fid_inception_v3().state_dict(), file)
    return file, hashlib.sha256(file.read_bytes()).hexdigest()


def random_images(count, channels, seed):
    """Noise of every frequency with random means and contrasts, which gives features of full rank."""
    g = torch.Generator().manual_seed(seed)
    contrast, mean = (torch.rand(count, channels, 1, 1, generator=g) for _ in range(2))
    noise = torch.randn(count, channels, 23, 30, generator=g)
    return (40 + 80 * mean + (20 + 100 * contrast) * noise).clip(0, 255).to(torch.uint8)


def by_clean_fid(images, network, mode, folder):
    """Features through files and clean-fid's own functions."""
    from cleanfid import fid

    folder.mkdir()
    files = [str(folder / f"{k:04}.png") for k in range(len(images))]
    for file, image in zip(files, images, strict=True):
        Image.fromarray(image.permute(1, 2, 0).squeeze(-1).numpy()).save(file)
    return fid.get_files_features(files, network, num_workers=0, device=CPU, mode=mode, verbose=False)


def clean_fid_network(mode, folder):
    """The network as built by ``cleanfid.features.build_feature_extractor``, which looks in only one place."""
    from cleanfid.features import build_feature_extractor
    from cleanfid.inception_torchscript import InceptionV3W

    if mode == "legacy_pytorch":
        return build_feature_extractor(mode, device=CPU, use_dataparallel=False)
    return InceptionV3W(str(folder), download=False, resize_inside=mode == "legacy_tensorflow").eval()


def assert_same_numbers(ours, network, mode, folder, count, channels, dims):
    """Features to 1e-4, their FID to 1e-6."""
    from cleanfid import fid

    sets = [random_images(count, channels, seed) for seed in (0, 1)]
    theirs = [by_clean_fid(images, network, mode, folder / f"{k}") for k, images in enumerate(sets)]
    got = [ours(images) for images in sets]
    for mine, expected in zip(got, theirs, strict=True):
        assert mine.dtype == torch.float32
        assert mine.shape == (count, 2048)
        assert np.abs(mine.numpy() - expected).max() < 1e-4 * np.abs(expected).max()
    if OLD_SCIPY:
        expected = fid.fid_from_feats(*(features[:, :dims].astype(np.float64) for features in theirs))
        assert frechet(*(Moments.of(features[:, :dims]) for features in got)) == pytest.approx(expected, rel=1e-6)


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No network in the cache, clean-fid's folder or the environment, but a server has it at ``nowhere / "url"``."""
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    for source in ("TORCHSCRIPT", "PYTORCH"):
        moved = replace(getattr(inception_file, source), folder=lambda: tmp_path, url=(tmp_path / "url").as_uri())
        monkeypatch.delenv(moved.variable, raising=False)
        monkeypatch.setattr(inception_file, source, moved)
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:The `disp` argument:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The parameter 'pretrained':UserWarning", "ignore:Arguments other than:UserWarning")
class TestInception:
    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("mode", ["clean", "legacy_tensorflow"])
    def test_numbers_are_those_of_clean_fid(self, stand_in, tmp_path, mode, channels):
        shutil.copy(stand_in[0], tmp_path / TORCHSCRIPT.name)
        ours = detector(weights=stand_in[0], sha256=stand_in[1], mode=mode).load(CPU)
        assert_same_numbers(ours, clean_fid_network(mode, tmp_path), mode, tmp_path, 60, channels, dims=32)

    def test_numbers_are_those_of_pytorch_fid(self, stand_in_pytorch, tmp_path, monkeypatch):
        file, sha256 = stand_in_pytorch
        monkeypatch.setenv("TORCH_HOME", str(file.parents[2]))
        ours = detector(sha256=sha256, mode="legacy_pytorch").load(CPU)
        network = clean_fid_network("legacy_pytorch", tmp_path)
        assert_same_numbers(ours, network, "legacy_pytorch", tmp_path, 3, 3, dims=2)

    @pytest.mark.weights
    @pytest.mark.parametrize("mode", MODES)
    def test_numbers_are_those_of_clean_fid_with_the_genuine_network(self, tmp_path, mode):
        genuine = detector(mode=mode)
        try:
            genuine.require()
        except DataError as missing:
            pytest.skip(str(missing))
        source = inception_file.source_of(mode)
        if mode != "legacy_pytorch":
            shutil.copy(network_file(source, None, source.sha256, False), tmp_path / TORCHSCRIPT.name)
        network = clean_fid_network(mode, tmp_path)
        assert_same_numbers(genuine.load(CPU), network, mode, tmp_path, 24, 3, dims=8)

    def test_the_distance_does_without_what_scipy_1_18_removed(self, monkeypatch):
        """``sqrtm(..., disp=False)``, with which clean-fid 0.1.35 computes it."""
        from cleanfid import fid

        monkeypatch.setattr(scipy.linalg, "sqrtm", lambda A: A)
        a, b = (torch.rand(30, 4, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
        with pytest.raises(TypeError, match="disp"):
            fid.fid_from_feats(a.numpy(), b.numpy())
        monkeypatch.undo()
        root = scipy.linalg.sqrtm(torch.cov(a.T).double().numpy() @ torch.cov(b.T).double().numpy())
        gap = (a.double().mean(0) - b.double().mean(0)).square().sum()
        exact = float(gap + torch.cov(a.T.double()).trace() + torch.cov(b.T.double()).trace()) - 2 * root.trace().real
        assert frechet(Moments.of(a), Moments.of(b)) == pytest.approx(exact, rel=1e-5)

    def test_the_modes_see_different_images(self, stand_in):
        images = random_images(3, 3, seed=0)
        clean, inside = (
            detector(weights=stand_in[0], sha256=stand_in[1], mode=mode).load(CPU)(images)
            for mode in ("clean", "legacy_tensorflow")
        )
        assert (clean - inside).abs().max() > 0.01 * clean.abs().max()

    @pytest.mark.parametrize("mode", ["legacy_pytorch", "legacy_tensorflow"])
    def test_modes_have_names_files_and_identities_of_their_own(self, mode):
        legacy = detector(mode=mode)
        assert legacy.protocol() == f"FID-{mode}"
        assert legacy.identity() != detector().identity()
        assert (legacy.identity()["sha256"] == detector().identity()["sha256"]) == (mode == "legacy_tensorflow")
        assert legacy.resize() != detector().resize()

    def test_weights_of_another_kind_are_refused(self, stand_in, stand_in_pytorch):
        for mode, (file, sha256) in (("legacy_pytorch", stand_in), ("clean", stand_in_pytorch)):
            with pytest.raises(DataError, match=r"pytorch-fid's weights|not a TorchScript network"):
                open_network(file, mode, CPU)
            with pytest.raises(DataError, match=f"has the sha256 {sha256}, not "):
                detector(weights=file, mode=mode).load(CPU)

    def test_only_the_genuine_network_gives_fid(self, stand_in):
        assert detector().protocol() == "FID"
        own = detector(weights=stand_in[0], sha256=stand_in[1])
        assert own.protocol() == f"FD-inception-{stand_in[1][:8]}"

    def test_identity_is_by_content(self, stand_in):
        path, sha256 = stand_in
        identity = detector(weights=path, sha256=sha256).identity()
        assert identity == detector(sha256=sha256, download=True).identity()
        assert sha256 in identity.values()
        assert identity != detector().identity()

    def test_looks_in_the_field_the_environment_the_cache_and_clean_fids_folder(self, stand_in, nowhere, monkeypatch):
        path, sha256 = stand_in
        source = inception_file.source_of("clean")
        shutil.copy(path, nowhere / TORCHSCRIPT.name)
        assert network_file(source, None, sha256, False) == nowhere / TORCHSCRIPT.name
        cached = nowhere / "cache" / "weights" / TORCHSCRIPT.name
        cached.parent.mkdir(parents=True)
        shutil.copy(path, cached)
        assert network_file(source, None, sha256, False) == cached
        shutil.copy(path, nowhere / "environment.pt")
        monkeypatch.setenv(TORCHSCRIPT.variable, str(nowhere / "environment.pt"))
        assert network_file(source, None, sha256, False) == nowhere / "environment.pt"
        assert network_file(source, path, sha256, False) == path

    @pytest.mark.parametrize("mode", MODES)
    def test_a_missing_file_says_which_from_where_and_put_where(self, nowhere, mode):
        source = inception_file.source_of(mode)
        with pytest.raises(DataError) as error:
            detector(mode=mode).load(CPU)
        for part in (
            source.url,
            str(nowhere / "cache" / "weights" / source.name),
            f"${source.variable}",
            "`weights`",
            "download: true",
        ):
            assert part in str(error.value)
        with pytest.raises(DataError, match=r"elsewhere\.pt"):
            detector(weights=nowhere / "elsewhere.pt").load(CPU)

    def test_downloads_only_if_asked_to(self, stand_in, nowhere):
        path, sha256 = stand_in
        shutil.copy(path, nowhere / "url")
        with pytest.raises(DataError, match="there is no"):
            detector(sha256=sha256).load(CPU)
        detector(sha256=sha256, download=True).load(CPU)
        assert (nowhere / "cache" / "weights" / TORCHSCRIPT.name).read_bytes() == path.read_bytes()

    @pytest.mark.parametrize("content", [None, b"truncated"])
    def test_a_failed_download_leaves_no_file(self, nowhere, content):
        if content:
            (nowhere / "url").write_bytes(content)
        before = [file for file in nowhere.rglob("*") if file.is_file()]
        with pytest.raises(DataError, match=r"cannot download file.*url to .*: .*(No such file|invalid hash)"):
            detector(download=True).load(CPU)
        assert [file for file in nowhere.rglob("*") if file.is_file()] == before

    def test_another_network_is_refused_unless_its_hash_is_stated(self, stand_in):
        with pytest.raises(DataError, match=f"has the sha256 {stand_in[1]}, not {TORCHSCRIPT.sha256}.*damaged"):
            detector(weights=stand_in[0]).load(CPU)

    def test_a_file_that_is_no_network_is_refused(self, tmp_path):
        (tmp_path / "other.pt").write_bytes(b"text")
        sha256 = hashlib.sha256(b"text").hexdigest()
        with pytest.raises(DataError, match="not a TorchScript network"):
            detector(weights=tmp_path / "other.pt", sha256=sha256).load(CPU)

    def test_a_network_without_layers_is_refused(self, tmp_path):
        torch.jit.script(Layers()).save(str(tmp_path / "layers.pt"))
        sha256 = hashlib.sha256((tmp_path / "layers.pt").read_bytes()).hexdigest()
        with pytest.raises(DataError, match="Inception's `layers`"):
            detector(weights=tmp_path / "layers.pt", sha256=sha256).load(CPU)

    def test_sha256_must_be_one(self):
        with pytest.raises(ValidationError, match=r"sha256\n.*pattern"):
            detector(sha256="f58c")
