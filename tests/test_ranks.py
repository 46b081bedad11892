"""One training by two processes, which this file also is when it is run as a script."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pipeline import write_spec
from training_stand_in import SPEC, Conv, trained

import designspace as ds
from designspace.storage.cache import Cache
from designspace.training.checkpoints import trained as run_training
from designspace.training.ranks import ALONE, LostError, Ranks, joined

CPU, IMAGES = torch.device("cpu"), 960
STAND_IN = Path(__file__).parent / "training_stand_in.py"
EDM = ds.Design.preset("edm")
LEARNED = ds.Design.preset("edm", loss_weight="uncertainty", noise_distribution="adaptive")
TRAININGS = {
    "learned": ({"ema": {"name": "power", "std": 0.1}, "accumulate": 3, "stratified": True}, LEARNED),
    "augmented": ({"augmentation": {"name": "edm", "geometric": 0.5}, "batch_size": 33}, EDM),
    "labelled": ({"network": {"name": "mlp", "width": 16}, "labels": True, "label_dropout": 0.2}, EDM),
}
"""What is trained, with a batch of odd size among it: 30 steps, so that the adaptive levels have changed."""


class Failing(Conv):
    """It fails in training, but only in the second process."""

    def forward(self, x, c_noise, labels=None, augment=None):
        if self.training and os.environ["RANK"] == "1":
            raise ArithmeticError("it fails here")
        return super().forward(x, c_noise)


def failing(shape):
    return Failing(shape[0], 4, 0, 0)


def state_of(name, images, cache, ranks=ALONE):
    fields, design = TRAININGS[name]
    plan = trained(images, **fields).plan(ds.Data.get("digits")().load(), design)
    return run_training(plan, images, CPU, cache, seen=lambda progress: None, ranks=ranks)


def in_two(*arguments, cache):
    """Two processes of one training that execute Python with ``arguments``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    paths = os.pathsep.join([str(Path(ds.__file__).parents[1]), str(Path(__file__).parent)])
    given = os.environ | meeting | {"PYTHONPATH": paths, "DESIGNSPACE_CACHE": str(cache)}
    return [
        subprocess.Popen(
            [sys.executable, *map(str, arguments)], stderr=subprocess.PIPE, text=True, env=given | {"RANK": str(rank)}
        )
        for rank in range(2)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The caches of: a training by this process, by two processes, and by both in turn."""
    folder = tmp_path_factory.mktemp("ranks")
    for name in TRAININGS:
        state_of(name, IMAGES, Cache(folder / "alone"))
    state_of("learned", IMAGES // 2, Cache(folder / "alone first"))
    processes = in_two(__file__, folder, cache=folder)
    errors = [process.communicate()[1] for process in processes]
    assert "ArithmeticError: it fails here" in errors[1]
    assert [process.returncode for process in processes] == [0, 1], errors[0]
    return folder


def gap(one, other):
    """The largest difference of two states: relative to the size of each tensor."""
    a, b = (state.tensors() for state in (one, other))
    assert a.keys() == b.keys()
    pairs = [(a[name].double(), b[name].double()) for name in a if a[name].numel()]
    return max(float((x - y).abs().max() / y.abs().max().clamp_min(1e-6)) for x, y in pairs)


@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_train_what_one_does(folder, name):
    """Sums of gradients are rounded differently."""
    one, two = (state_of(name, IMAGES, Cache(folder / place)) for place in ("alone", "two"))
    assert one.record.images == two.record.images
    assert gap(two, one) < 1e-5


@pytest.mark.parametrize("place", ["two first", "alone first"])
def test_a_training_goes_on_with_another_number_of_processes(folder, place):
    whole = state_of("learned", IMAGES, Cache(folder / "alone"))
    assert gap(state_of("learned", IMAGES, Cache(folder / place)), whole) < 1e-5


def test_the_others_end_if_one_fails(folder):
    message = (folder / "lost.txt").read_text()
    assert message.startswith("another process of this training has ended; its own message says why (")


def test_shares_are_even_and_cover_the_batch():
    ranks = [Ranks(rank, 3) for rank in range(3)]
    assert [len(range(32)[each.share(32)]) for each in ranks] == [10, 11, 11]
    assert [k for each in ranks for k in range(32)[each.share(32)]] == list(range(32))


def test_a_signal_to_one_process_ends_all_after_the_same_step(tmp_path):
    cache = Cache(tmp_path / "cache")
    spec = write_spec(tmp_path, **SPEC | {"denoiser": SPEC["denoiser"] | {"training_images": 10**8}})
    first, second = in_two("-m", "designspace", "train", spec, cache=cache.root)
    assert any("of 100,000,000 images" in line for line in first.stderr)
    second.send_signal(signal.SIGTERM)
    said = [process.communicate()[1] for process in (first, second)]
    assert [first.returncode, second.returncode] == [130, 143], said  # only the second one knows which signal it was
    steps = {re.search(r"interrupted: training saved at ([\d,]+) of 100,000,000", text)[1] for text in said}
    assert len(steps) == 1, said
    assert len(list((cache.root / "training").rglob("*.safetensors"))) == 1


def test_a_batch_has_an_image_for_each_process(tmp_path):
    spec = write_spec(tmp_path, **SPEC | {"denoiser": SPEC["denoiser"] | {"batch_size": 1}})
    processes = in_two("-m", "designspace", "train", spec, cache=tmp_path / "cache")
    for process in processes:
        assert "batch_size 1 is less than the 2 processes that share a batch" in process.communicate()[1]
        assert process.returncode == 2


def main(folder):
    with joined(CPU) as (ranks, _):
        for name in TRAININGS:
            state_of(name, IMAGES, Cache(folder / "two"), ranks)
        state_of("learned", IMAGES, Cache(folder / "alone first"), ranks)
        state_of("learned", IMAGES // 2, Cache(folder / "two first"), ranks)
        TRAININGS["failing"] = {"network": {"name": "module", "factory": f"{__file__}:failing"}}, EDM
        try:
            state_of("failing", IMAGES, Cache(folder / "two"), ranks)
        except LostError as error:
            (folder / "lost.txt").write_text(str(error))
            os._exit(0)  # what is left of the group of processes cannot be closed


if __name__ == "__main__":
    main(Path(sys.argv[1]))
