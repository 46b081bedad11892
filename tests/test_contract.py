"""What every component owes, for each registered one: a new file is tested without a new test."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import designspace as ds
from designspace.errors import DataError
from designspace.registry.known import ROWS
from designspace.testing import checks, checks_of

BUILT_IN = [
    pytest.param(cls, id=f"{row}/{name}")
    for row, kind in ROWS.items()
    for name, cls in kind.known.items()
    if cls.__module__.startswith("designspace.components.")
]
TABLE_1 = ["solver", "time_steps", "schedule", "scaling", "c_skip", "c_out", "c_in", "c_noise", "noise_distribution"]


@pytest.mark.parametrize("check", [pytest.param(check, id=name) for name, check in checks_of("designspace.components")])
def test_contract(check):
    try:
        check()
    except DataError as missing:  # weights and data sets that are not embedded
        pytest.skip(str(missing))


@pytest.mark.parametrize("cls", BUILT_IN)
def test_one_component_a_file_of_its_name(cls):
    path = Path(inspect.getfile(cls))
    assert (path.parent.name, path.stem) == (cls.row, cls.name)
    assert [c for c in ROWS[cls.row].known.values() if Path(inspect.getfile(c)) == path] == [cls]


def test_components_folder_reads_as_the_table():
    root = Path(ds.__file__).parents[1] / "components"
    assert {p.name for p in root.iterdir() if p.is_dir() and p.name != "__pycache__"} <= set(ROWS)
    assert list(ROWS)[: len(TABLE_1)] == TABLE_1
    assert not (root / "__init__.py").exists()


@pytest.mark.parametrize(
    "row", ["time_steps", "c_skip", "c_out", "c_in", "c_noise", "noise_distribution", "loss_weight"]
)
def test_table_1_is_complete(row):
    assert {"ddpm", "iddpm", "vp", "ve", "edm"} <= set(ROWS[row].known)


def test_a_broken_component_fails_its_checks():
    class Wrong(ds.Schedule, name="test_wrong"):
        """Its derivative is off by a factor of two."""

        def sigma(self, t):
            return t**2

        def sigma_dot(self, t):
            return t

        def sigma_inv(self, sigma):
            return sigma.sqrt()

    try:
        failed = []
        for check in checks(Wrong()):
            try:
                check()
            except AssertionError:
                failed.append(check.__name__)
        assert failed == ["inverse_and_derivative_fit"]
    finally:
        del ds.Schedule.known["test_wrong"]


def test_duplicates_name_both_places(tmp_path):
    source = "import designspace as ds\nclass E(ds.Solver, name='euler'):\n    def step(self, *a): ...\n"
    (tmp_path / "mine.py").write_text(source)
    code = "import designspace.registry.discovery as d, pathlib; d.import_file(pathlib.Path('mine.py').resolve())"
    environment = os.environ | {"PYTHONPATH": str(Path(ds.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert "solver 'euler' is defined twice" in done.stderr
    assert "mine.py:E" in done.stderr
    assert "euler.py:Euler" in done.stderr
