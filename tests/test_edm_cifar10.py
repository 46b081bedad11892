"""The ablation for NVIDIA's network of CIFAR-10, from its commands to its claim, with a tiny network in its place."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from designspace.cli.app import app
from designspace.results.store import Results

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "data" / "import"
PKL = "edm-cifar10-32x32-cond-vp.pkl"
SMALL = (
    "data.shape=[3,16,16]",
    "evaluate.images=4",
    "evaluate.detector=pixels",
    "evaluate.reference.made_by=FD-pixels",
)


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Commands in a folder that has only the ablation: status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DESIGNSPACE_INCEPTION", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "ablations").mkdir()
    shutil.copy(ROOT / "ablations" / "edm_cifar10.yaml", tmp_path / "ablations")

    def call(*arguments):
        done = CliRunner().invoke(app, list(arguments), prog_name="designspace")
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    return call


def test_without_its_files_it_says_which_ones_to_get(shell, tmp_path):
    status, out, err = shell("check", "ablations/edm_cifar10.yaml")
    assert (status, out) == (2, "")
    lines = {line.split(": ")[1]: line for line in err.splitlines()}
    assert list(lines) == ["denoiser", "evaluate.detector", "evaluate.reference"]
    assert (
        f"there is no {tmp_path}/models/edm_cifar10.json: designspace import {PKL} from https://" in lines["denoiser"]
    )
    assert "download https://nvlabs-fi-cdn.nvidia.com" in lines["evaluate.detector"]
    assert f"there is no {tmp_path}/models/cifar10-32x32.npz: it comes from https://" in lines["evaluate.reference"]


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden networks are not part of the source distribution")
def test_with_them_it_runs_and_judges_its_claim(shell, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["write_pickle.py", str(GOLDEN / "edm-adm-cond.json"), PKL])
    runpy.run_path(str(GOLDEN / "write_pickle.py"), run_name="__main__")
    status, out, err = shell("import", PKL, "-o", "models/edm_cifar10")
    assert status == 0, err
    assert "nothing in the file was executed" in out
    assert "CC BY-NC-SA 4.0" in out
    np.savez(tmp_path / "models" / "cifar10-32x32.npz", mu=np.zeros(768), sigma=np.eye(768))
    sets = [word for setting in SMALL for word in ("--set", setting)]
    status, out, err = shell("run", "ablations/edm_cifar10.yaml", *sets)
    assert status == 0, err
    assert "The FID is 1.79, within 0.05." in out
    (row,) = Results(tmp_path / "reports" / "edm_cifar10").rows()
    assert row.nfe == 35
    assert row.sigmas[0] == 80
    assert row.protocol.reference["images"] == 50_000
    (claim,) = json.loads((tmp_path / "reports" / "edm_cifar10" / "ablation.json").read_text())["claims"]
    assert claim["expect"]["bounds"] == [1.74, 1.84]
