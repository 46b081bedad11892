"""Jobs of Slurm give the same results as one process. There is no Slurm here: submitit runs them on this machine."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from pipeline import SPEC, assert_same, wait_for, write_spec

from designspace.errors import WorkerError
from designspace.results.store import Results
from designspace.run.executors import require_executor
from designspace.run.run import run
from designspace.run.slurm import _executor, options_of
from designspace.spec import load

pytestmark = pytest.mark.skipif(find_spec("submitit") is None, reason="submitit is not installed")


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Pretend that there is Slurm, whose sbatch refuses every job."""
    for name in ("srun", "sbatch"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: gpu' >&2\nexit 1\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_job_that_is_pre_empted_goes_on_in_the_queue(tmp_path, monkeypatch):
    """It gets SIGUSR2 while it samples, as from Slurm before its time limit."""
    together = tmp_path / "2"  # so that the first worker waits in its second chunk
    together.mkdir()
    spec = write_spec(tmp_path, grid={"solver": ["heun"]}, num_steps=4)
    command = [sys.executable, "-m", "designspace", "run", spec, "--out", tmp_path / "reports", "--executor", "slurm"]
    environment = os.environ | {"DESIGNSPACE_CACHE": str(tmp_path / "cache"), "STAND_IN_TOGETHER": str(together)}
    environment |= {"STAND_IN_LOG": str(tmp_path / "log")}
    with subprocess.Popen(
        [*command, "--slurm", "cluster=local,time=9"], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        wait_for(lambda: len(list((tmp_path / "cache" / "images").glob("*/*"))) == 1, process)
        (worker,) = together.iterdir()
        os.kill(parent_of(worker.name), signal.SIGUSR2)
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert "[1/1] solver=heun: computed by a job of Slurm" in said
    (log,) = (tmp_path / "cache" / "slurm").glob("*.err")
    assert "chunk 3/3" in log.read_text()
    (out,) = (tmp_path / "cache" / "slurm").glob("*.out")
    assert "Requeued job" in log.read_text() + out.read_text()
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "other"))
    assert_same(Results(tmp_path / "reports" / "small"), run(load(spec), out=tmp_path / "alone", progress=False))


@pytest.mark.usefixtures("slurm")
def test_options_are_those_of_sbatch():
    options = options_of("partition=gpu,gpus=8,time=90,nodelist=a,b,cpus-per-task=4")
    text = _executor(options)._make_submission_file_text("", "")
    asked = {line for line in text.splitlines() if line.startswith("#SBATCH")}
    assert asked >= {
        "#SBATCH --partition=gpu",
        "#SBATCH --gpus=8",
        "#SBATCH --time=90",
        "#SBATCH --nodelist=a,b",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --requeue",
        "#SBATCH --signal=USR2@90",
        "#SBATCH --job-name=designspace",
    }


@pytest.mark.usefixtures("slurm")
def test_jobs_that_slurm_refuses_are_a_clear_error(tmp_path):
    with pytest.raises(WorkerError, match=r"Slurm refuses the jobs: .*invalid partition specified: gpu"):
        run(load(write_spec(tmp_path, SPEC)), executor="slurm", slurm="partition=gpu", out=tmp_path, progress=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("gpus", "slurm: should be KEY=VALUE,..., such as partition=gpu,gpus=8,time=60, not 'gpus'"),
        ("time=1:00", "slurm: time should be a number of minutes, not '1:00'"),
        ("cluster=lokal", "slurm: unknown cluster 'lokal'. Did you mean 'local'? Known: slurm, local."),
        ("", "executor slurm: there is no sbatch on this machine. To try it without Slurm: --slurm cluster=local"),
    ],
)
def test_wrong_options_are_one_line(options, message, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match=r"slurm: ") as error:
        require_executor("slurm", options)
    assert str(error.value) == message
