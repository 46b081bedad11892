"""The wheel works without a checkout of the repository."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TINY = """\
name: tiny
data: digits
denoiser: exact
design: {preset: iddpm, solver: heun}
grid: {nfe: [3, 5]}
evaluate: {images: 20, detector: pixels, metrics: [frechet]}
"""
SHIPPED = """\
name: shipped
data: cifar10_jpeg
denoiser: {name: pretrained, model: cifar10_jpeg}
design: edm
grid: {nfe: [3]}
evaluate: {images: 4, labels: balanced, detector: lite0, metrics: [frechet, kid]}
"""
FINDER = """\
import sys
# Dependencies come from the environment of the tests, without its editable install of the checkout.
sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in type(f).__module__.lower()]
sys.path[:] = [p for p in sys.path if p != {root!r}]
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The Python of a fresh environment with the wheel, outside the checkout."""
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)  # the source distribution, and from it the wheel
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True)
    site = Path(
        subprocess.check_output([python, "-c", "import site; print(site.getsitepackages()[0])"], text=True).strip()
    )
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "zz_dependencies.pth").write_text("\n".join(sorted(dependencies)))
    (site / "sitecustomize.py").write_text(FINDER.format(root=str(ROOT)))
    return python


@pytest.fixture
def shell(installed, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"DESIGNSPACE_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}

    def run(*command):
        done = subprocess.run([installed.parent / command[0], *command[1:]], cwd=tmp_path, env=environment,
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_wheel_is_whole(shell, tmp_path):
    code = (
        "import json, importlib.util as u, designspace as ds; from designspace.design import preset_names; "
        "dinov2 = ds.Detector.model_validate({'name': 'file', 'path': 'dinov2_vitl14'}).width; "
        "print(json.dumps([ds.__file__, u.find_spec('components') is None, preset_names(), dinov2]))"
    )
    file, no_top_level_components, presets, width = json.loads(shell("python", "-c", code).splitlines()[-1])
    assert "site-packages" in file
    assert not file.startswith(str(ROOT))
    assert no_top_level_components
    assert width == 1024
    assert presets == ["ddpm", "iddpm", "vp", "ve", "edm", "edm2", "flow", "jit", "vdm++", "velocity"]
    listed = json.loads(shell("designspace", "list", "--json"))
    here = {folder.name for folder in (ROOT / "components").iterdir() if folder.is_dir()}
    assert {row for row, names in listed.items() if names} == here - {"__pycache__"}
    (tmp_path / "tiny.yaml").write_text(TINY)
    shell("designspace", "run", "tiny.yaml")
    assert len((tmp_path / "reports/tiny/results.jsonl").read_text().splitlines()) == 2
    assert (tmp_path / "reports/tiny/index.html").is_file()
    assert "my_steps" in shell("designspace", "new", "study")


def test_included_ablations_run_without_the_repository(shell, tmp_path):
    few = ("--set", "evaluate.images=20", "--set", "evaluate.detector=pixels", "--set", "evaluate.metrics=[frechet]")
    shell("designspace", "run", "solver_grid", *few)
    assert len((tmp_path / "reports/solver_grid/results.jsonl").read_text().splitlines()) == 18


def test_the_network_of_cifar10_works_without_any_other_file(shell, tmp_path):
    (tmp_path / "shipped.yaml").write_text(SHIPPED)
    shell("designspace", "run", "shipped.yaml")
    (line,) = (tmp_path / "reports" / "shipped" / "results.jsonl").read_text().splitlines()
    assert json.loads(line)["metrics"]["frechet"]["value"] > 0
