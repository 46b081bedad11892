"""Fixtures for all tests: the reference values, and the Gaussian mixture for which they were computed."""

import json
import os
import shutil
import signal
import tempfile
from functools import cache
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: tests run in parallel, and threads that wait for a core spin
if os.environ.get("PYTHONDONTWRITEBYTECODE"):  # tests start dozens of processes, each of which would compile PyTorch
    _bytecode = tempfile.TemporaryDirectory()  # until the tests end
    os.environ |= {"PYTHONPYCACHEPREFIX": _bytecode.name, "PYTHONDONTWRITEBYTECODE": ""}

import pytest
import torch
from studies import RECORDED, Bench
from typer.testing import CliRunner

import designspace as ds
from designspace.cli.app import app
from designspace.storage.cache import Cache

torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it for what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
GOLDEN = json.loads((Path(__file__).parent / "data" / "edm.json").read_text())


def f64(values) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


@cache
def _mixture_parameters():
    return tuple(f64(GOLDEN["gmm"][k]) for k in ("weights", "means", "covs"))


def posterior_mean(x, sigma):
    """The ideal denoiser of the mixture, written independently of the package."""
    weights, means, covs = (p.to(x.dtype) for p in _mixture_parameters())
    noisy = covs + sigma.to(x.dtype) ** 2 * torch.eye(4, dtype=x.dtype)
    gap = x[:, None] - means
    solved = torch.linalg.solve(noisy, gap[..., None])[..., 0]
    logits = weights.log() - 0.5 * (gap * solved).sum(-1) - 0.5 * torch.logdet(noisy)
    each = means + torch.einsum("kij,bkj->bki", covs, solved)
    return (logits.softmax(-1)[..., None] * each).sum(1)


@pytest.fixture(scope="session")
def golden():
    return GOLDEN


@pytest.fixture
def latents():
    return f64(GOLDEN["latents"])


@pytest.fixture(scope="session")
def digits():
    """The images of the data set ``digits``."""
    return ds.Data.get("digits")().load()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, which the test and the processes that it starts use."""
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    return Cache()


@pytest.fixture(scope="session")
def mixture():
    return posterior_mean


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "study").mkdir()

    def make(axes=("solver", "nfe"), claims=()):
        return Bench(tmp_path / "study", list(axes), claims)

    return make


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(RECORDED, tmp_path / "reports" / "recorded"))


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Run the command in an empty folder with a cache of its own: status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments):
        done = CliRunner().invoke(app, list(map(str, arguments)), prog_name="designspace")
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    return run
