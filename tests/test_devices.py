"""Several GPUs, which are pretended: what `--device` means, what each worker sees, and the same results."""

import pytest
import torch
from pipeline import SPEC, assert_same, write_spec
from safetensors.torch import load_file

from designspace.run import devices
from designspace.run.devices import Place, device_of, devices_of
from designspace.run.executors import require_devices
from designspace.run.run import run
from designspace.spec import load


@pytest.fixture
def gpus(monkeypatch):
    """Pretend that there are GPUs; those that ``CUDA_VISIBLE_DEVICES`` lists, if it is given."""

    def pretend(count, named=None, **slurm):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if named is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        for name, value in slurm.items():
            monkeypatch.setenv(f"SLURM_{name}", str(value))

    return pretend


def seen_by_workers(asked):
    return [Place.of(device).environment["CUDA_VISIBLE_DEVICES"] for device in devices_of(asked)]


@pytest.mark.parametrize(
    ("named", "count", "asked", "seen"),
    [
        (None, 4, "cuda:all", ["0", "1", "2", "3"]),
        (None, 4, "cuda:0,2", ["0", "2"]),
        ("3,1", 2, "cuda:all", ["3", "1"]),
        ("3, 1", 2, "cuda:1,0", ["1", "3"]),  # cuda:1 is the second one that is visible
        ("GPU-8932f937,GPU-12345678", 2, "cuda:all", ["GPU-8932f937", "GPU-12345678"]),
        ("MIG-a,MIG-b", 2, "auto", ["MIG-a", "MIG-b"]),
        ("0,1,-1,2", 2, "cuda:all", ["0", "1"]),  # CUDA ignores what follows a number that is none of a GPU
    ],
)
def test_each_worker_sees_its_own_gpu(gpus, named, count, asked, seen):
    gpus(count, named)
    assert seen_by_workers(asked) == seen
    assert {Place.of(device).device for device in devices_of(asked)} == {"cuda"}


def test_a_device_without_a_number_is_left_to_pytorch():
    assert Place.of("cuda") == Place("cuda", {})
    assert Place.of("cpu") == Place("cpu", {})
    assert devices_of("cpu") == ["cpu"]


@pytest.mark.parametrize(
    ("count", "slurm", "found"),
    [
        (0, {}, ["cpu"]),
        (2, {}, ["cuda:0", "cuda:1"]),
        (4, {"STEP_TASKS_PER_NODE": "1(x2)", "NODEID": 1, "LOCALID": 0}, ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]),
        (4, {"STEP_TASKS_PER_NODE": "4(x2)", "NODEID": 1, "LOCALID": 2}, ["cuda:2"]),
        (4, {"STEP_TASKS_PER_NODE": "8,2", "NODEID": 1, "LOCALID": 1}, ["cuda:1", "cuda:3"]),
        (4, {"STEP_TASKS_PER_NODE": "8,2", "NODEID": 0, "LOCALID": 6}, ["cuda:2"]),
        (1, {"STEP_TASKS_PER_NODE": "8", "NODEID": 0, "LOCALID": 6}, ["cuda:0"]),  # Slurm hides the others
        (2, {"STEP_TASKS_PER_NODE": "4", "NODEID": 0, "LOCALID": 3, "GPUS_PER_TASK": 2}, ["cuda:0", "cuda:1"]),
    ],
)
def test_auto_is_all_gpus_or_those_of_a_task_of_slurm(gpus, count, slurm, found):
    gpus(count, **slurm)
    assert devices_of("auto") == found
    assert device_of("auto") == found[0]


FORMS = "should be a name such as cuda, one GPU such as cuda:1, several such as cuda:0,2, or cuda:all"
WRONG = {
    "cuda:0,7": "device cuda:0,7: there is no cuda:7. PyTorch can use: cpu, cuda:0, cuda:1, cuda:2, cuda:3.",
    "cuda:0,0": "device cuda:0,0: names cuda:0 twice; for several workers per GPU, use --workers",
    "cuda:0,x": f"device cuda:0,x: {FORMS}",
    "cpu,cuda": f"device cpu,cuda: {FORMS}",
    "cuda:al": f"device cuda:al: {FORMS}. Did you mean 'cuda:all'?",
    "atuo": "device atuo: there is no such device. Did you mean 'auto'? Known: cpu, cuda, mps, xpu, cuda:all, auto.",
}


@pytest.mark.parametrize("asked", WRONG)
def test_devices_that_are_not_there_are_one_line(gpus, asked):
    gpus(4)
    with pytest.raises(ValueError, match=r"^device") as error:
        devices_of(asked)
    assert str(error.value) == WRONG[asked]


def test_commands_stop_before_any_work(gpus, shell, tmp_path):
    spec = write_spec(tmp_path)
    said = "--device cuda:all: PyTorch finds no GPU. It can use: cpu.\n"
    gpus(0)
    for command in (["run", spec], ["run", spec, "--dry-run"], ["tune", spec]):
        assert shell(*command, "--device", "cuda:all") == (2, "", said)
    gpus(4)
    status, _, err = shell("train", spec, "--device", "cuda:all")
    assert (status, err) == (2, "--device cuda:all: should be one device here, such as cuda:0\n")


@pytest.mark.parametrize("device", ["auto", "cuda:1", "cuda:0,1"])
def test_ray_chooses_the_gpus_itself(device):
    with pytest.raises(ValueError, match=r"^device .*: Ray chooses the GPU of each worker"):
        require_devices("ray", device)
    require_devices("ray", "cuda:all")


def test_workers_share_the_chunks_of_one_trial_and_see_their_gpus(gpus, tmp_path, monkeypatch):
    """Three workers for two GPUs, which are pretended: they compute on the CPU."""
    many = SPEC["evaluate"] | {"images": 1000}
    ablation = load(write_spec(tmp_path, grid={"solver": ["heun"]}, num_steps=4, evaluate=many))
    monkeypatch.setattr(devices, "SOLE", "cpu")
    gpus(2, "GPU-a,MIG-b")
    together = tmp_path / "3"
    together.mkdir()
    monkeypatch.setenv("STAND_IN_TOGETHER", str(together))
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    shared = run(ablation, device="cuda:all", workers=3, out=tmp_path / "shared", progress=False)
    assert sorted(path.read_text() for path in together.iterdir()) == ["GPU-a", "GPU-a", "MIG-b"]
    assert (tmp_path / "log").read_text().count("D") == 5 * 7  # no chunk was computed twice
    assert not list((tmp_path / "cache" / "locks").glob("chunk-*"))
    monkeypatch.delenv("STAND_IN_TOGETHER")
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "other"))
    assert_same(shared, run(ablation, out=tmp_path / "alone", progress=False))
    made, others = (sorted((tmp_path / cache / "images").glob("*/*")) for cache in ("cache", "other"))
    assert [path.name for path in made] == [path.name for path in others]
    for one, other in zip(made, others, strict=True):
        assert torch.equal(load_file(one)["images"], load_file(other)["images"])
