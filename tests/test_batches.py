"""Batches of images: how large they are, what happens if memory is full, and that images do not depend on them."""

import signal
import sys
import threading

import pytest
import torch
from pipeline import assert_same, outcome, start, wait_for, write_spec

from designspace.data.rows import Data
from designspace.denoising.rows import Denoiser
from designspace.errors import NotFiniteError
from designspace.interrupts import Interrupted
from designspace.registry.memory import Fitting
from designspace.results.store import Results
from designspace.run.batch import CHUNK, BatchSizes, fastest
from designspace.run.chunks import overlaps, share_chunks
from designspace.run.generate import Generated, chunks, generate, together
from designspace.run.loaded import Loaded
from designspace.run.run import run
from designspace.run.stages import Stages
from designspace.spec import load
from designspace.storage.cache import Cache

CPU = torch.device("cpu")
CHURN = {"preset": "edm", "stochasticity": {"name": "churn", "S_churn": 10, "S_noise": 1.003}}


class Full:
    """A denoiser for which the memory of its device suffices for ``most`` images at once."""

    shape = (1, 4, 4)

    def __init__(self, most):
        self.most, self.sizes = most, []

    def bind(self, labels):
        def D(x, sigma):
            self.sizes.append(len(x))
            if len(x) > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return x / (1 + sigma**2)

        return D


@pytest.fixture
def trial(tmp_path):
    return load(write_spec(tmp_path, design=CHURN, grid={"solver": ["heun"], "num_steps": [4]})).trials()[0]


pytestmark = pytest.mark.usefixtures("cache")


def test_the_batch_is_the_smallest_of_nearly_full_speed():
    assert fastest(lambda n: 0.001 * n) == CHUNK  # a device that is busy with one chunk
    assert fastest(lambda n: 0.1 + 1e-9 * n, most=4 * CHUNK) == 4 * CHUNK  # one that is never busy
    assert fastest(lambda n: max(0.01, 0.01 * n / 800)) == 800
    assert fastest(lambda n: 0.01 * n * (n / CHUNK)) == CHUNK  # slower with each doubling


@pytest.mark.parametrize(("most", "size"), [(1000, 800), (399, 200), (60, 50), (1, 1)])
def test_the_batch_fits_into_memory(most, size):
    def seconds(n):
        if n > most:
            raise torch.OutOfMemoryError
        return 0.1

    assert fastest(seconds) == size
    with pytest.raises(ValueError, match="another"):
        fastest(lambda n: [].index("another"))


def test_chunks_that_are_sampled_together():
    assert together(range(200, 400), 1000, 199) == together(range(200, 400), 1000, 399) == [range(200, 400)]
    assert together(range(400, 600), 900, 400) == chunks(900)[2:4]
    assert together(range(800, 900), 900, 400) == [range(800, 900)]
    assert together(range(0, 200), 900, 10_000) == chunks(900)
    assert together(range(200, 300), 900, 400) == [range(200, 300)]  # no chunk of these images


@pytest.mark.parametrize(("most", "sizes"), [(70, {70}), (40, {70, 35}), (9, {70, 35, 17, 8})])
def test_full_memory_halves_the_batch_and_changes_no_image(trial, most, sizes):
    full = Full(most)
    made, whole = generate(trial, full, None, range(70), CPU, 70), generate(trial, Full(70), None, range(70), CPU, 70)
    assert (made.x - whole.x).abs().max() <= 1e-6 * whole.x.abs().max()
    assert made.batch_size == min(sizes) <= most
    assert set(full.sizes) - {70 % made.batch_size} == sizes
    assert full.sizes.count(70) == (1 if most < 70 else 7)
    assert (made.nfe, made.sigmas) == (whole.nfe, whole.sigmas) == (7, whole.sigmas)


def test_images_of_a_network_change_by_rounding_errors_with_the_batch(tmp_path):
    """Products and convolutions add up in another order. The samples begin with numbers up to 80 x 3, which float32
    rounds by up to 1e-5, so that images cannot agree much better than this; 1e-4 is an eightieth of a step of 8 bits.
    """
    given = {"data": "digits", "denoiser": {"name": "pretrained", "model": "digits"}, "design": "edm", "components": []}
    grid, asked = {"solver": ["heun"], "num_steps": [18]}, {"images": 2, "detector": "pixels", "metrics": ["frechet"]}
    trial = load(write_spec(tmp_path, **given, grid=grid, evaluate=asked)).trials()[0]
    denoiser = Loaded(CPU).guided(trial)
    one, some, many = (
        generate(trial, denoiser, None, range(n), CPU, size).x for n, size in ((6, 1), (32, 32), (200, 200))
    )
    for x in (some[:6], many[:6]):
        assert 0 < (x - one).abs().max() <= 1e-4
    assert (many[:32] - some).abs().max() <= 1e-4


def test_memory_that_is_too_small_for_one_image_is_an_error(trial):
    with pytest.raises(torch.OutOfMemoryError):
        generate(trial, Full(0), None, range(4), CPU, 4)


def test_a_smaller_batch_is_kept_for_later_ones(trial, cache):
    sizes = BatchSizes(cache, CPU)
    denoiser = Full(70)
    assert sizes.of(trial, denoiser) == CHUNK
    sizes.lower(trial, denoiser, 50)
    assert sizes.of(trial, denoiser) == 50
    assert BatchSizes(cache, CPU).of(trial, denoiser) == CHUNK  # on a CPU, a run does not depend on earlier ones
    assert BatchSizes(cache, CPU, 33).of(trial, denoiser) == 33


class Little:
    """A function that doubles what it gets, for which memory suffices for ``most`` at once."""

    def __init__(self, most):
        self.most, self.sizes = most, []

    def __call__(self, batch):
        self.sizes.append(len(batch))
        if len(batch) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 2.0 * batch.flatten(1)


@pytest.mark.parametrize(
    ("most", "first", "second"),
    [
        (30, [30], [30]),
        (16, [30, 15, 15], [15, 15]),
        (5, [30, 15, 7, 3, 3, 1, 3, 3, 1, 1, *[3] * 5], [3] * 10),
        (1, [30, 15, 7, 3, *[1] * 30], [1] * 30),
    ],
)
def test_other_functions_are_called_with_halves_as_well(most, first, second):
    little, batch = Little(most), torch.arange(60.0).reshape(30, 2)
    whole = Fitting(little)
    assert torch.equal(whole(batch), 2 * batch)
    assert little.sizes == first
    little.sizes.clear()
    assert torch.equal(whole(batch), 2 * batch)
    assert little.sizes == second


def test_full_memory_for_a_single_element_is_an_error_and_so_is_any_other():
    little = Little(0)
    whole = Fitting(little)
    with pytest.raises(torch.OutOfMemoryError):
        whole(torch.zeros(8, 1))
    little.most = 8
    assert len(whole(torch.zeros(8, 1))) == 8
    assert little.sizes == [8, 4, 2, 1, 8]
    with pytest.raises(ValueError, match="another"):
        Fitting(lambda batch: [].index("another"))(torch.zeros(8, 1))


@pytest.mark.parametrize("row", ["decoder", "detector"])
def test_decoders_and_detectors_that_fill_the_memory_get_smaller_batches(row, tmp_path, monkeypatch):
    """A run in which both fit is compared with one in which one of them does not."""
    code = tmp_path / "own.py"
    code.write_text("def own():\n    return lambda latents: latents.tanh()\n")
    decoder = {"name": "module", "factory": f"{code}:own"}
    spec = write_spec(tmp_path, decoder=decoder, grid={"solver": ["heun"], "num_steps": [3]})
    there = go(spec, tmp_path, "enough")
    trial = load(spec).trials()[0]
    cls = type(trial.decoder if row == "decoder" else trial.evaluate.detector)
    sizes, load_it = [], cls.load

    def little(self, device):
        function = load_it(self, device)

        def called(batch):
            sizes.append(len(batch))
            if len(batch) > 60:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return function(batch)

        return called

    monkeypatch.setattr(cls, "load", little)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "other"))
    assert_same(go(spec, tmp_path, "little"), there)
    large = [size for size in sizes if size > 5]  # the others check the component
    assert large[:3] == [200, 100, 50]
    assert max(large[3:]) == 50


def test_a_broken_image_is_found_in_its_batch(trial):
    class Broken(Full):
        def bind(self, labels):
            return lambda x, sigma: x * (torch.nan if len(x) == 5 else 1)

    with pytest.raises(NotFiniteError, match=r"images 215, 216, 217 .*the network|gave NaN at step 1 of 4") as error:
        generate(trial, Broken(9), None, range(200, 220), CPU, 15)
    assert error.value.images == [215, 216, 217, 218, 219]


@pytest.fixture
def spec(tmp_path):
    return write_spec(tmp_path, design=CHURN, grid={"solver": ["heun"], "num_steps": [3, 4]})


def go(spec, tmp_path, out, **keywords):
    return run(load(spec), out=tmp_path / out, progress=False, **keywords)


def kept(cache):
    return {path.name: path for path in (cache.root / "images").glob("*/*.safetensors")}


def test_batches_that_span_chunks_give_the_same_files(spec, tmp_path, monkeypatch):
    found = {}
    for size in (None, 37, 200, 400, 10_000):
        monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / f"cache{size}"))
        results = go(spec, tmp_path, f"out{size}", batch_size=size)
        found[size] = {name: Cache().get("images", name.removesuffix(".safetensors")) for name in kept(Cache())}
        assert len(found[size]) == 6
        assert {row.provenance["batch_size"] for row in results.rows()} == {size or 200}
    for files in found.values():
        assert files.keys() == found[None].keys()
        for name, tensors in files.items():
            gap = (tensors["images"].int() - found[None][name]["images"].int()).abs()
            assert gap.max() <= 1
            assert torch.equal(tensors["nfe"], found[None][name]["nfe"])
            assert (gap > 0).double().mean() < 1e-3


def test_a_run_with_large_batches_that_is_killed_goes_on(spec, tmp_path, monkeypatch):
    whole = go(spec, tmp_path, "whole", batch_size=400)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "other"))
    resumed = Cache()
    monkeypatch.setenv("STAND_IN_PAUSE", "0.05")
    with start(spec, tmp_path / "resumed", 1, batch_size=400) as process:
        wait_for(lambda: len(kept(resumed)) >= 2, process)
        process.send_signal(signal.SIGKILL)
    monkeypatch.setenv("STAND_IN_PAUSE", "0")
    files = kept(resumed)
    made = {path: path.stat().st_mtime_ns for path in files.values()}
    assert 2 <= len(made) < 6
    lost = max(made, key=made.__getitem__)  # as if it had been killed before this file was written
    made.pop(lost)
    lost.unlink()
    assert_same(go(spec, tmp_path, "resumed", batch_size=400), whole)
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert len(kept(resumed)) >= 5  # it is not needed again if its features had been written


def test_several_workers_give_the_results_of_one(spec, tmp_path, monkeypatch):
    one = go(spec, tmp_path, "one", batch_size=400)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "other"))
    assert_same(go(spec, tmp_path, "two", batch_size=400, workers=2), one)
    assert outcome(Results(tmp_path / "two" / "small"))[0] == outcome(one)[0]


@pytest.mark.parametrize("solver", ["rk45", "dpmpp_sde"])
def test_numbers_computed_ahead_change_no_image(trial, monkeypatch, solver):
    design = trial.design.model_copy(update={"solver": type(trial.design.solver).get(solver)()})
    other = trial.model_copy(update={"design": design})
    denoiser = Denoiser.get("exact")().load(Data.get("digits")().load(), design, CPU)
    found = []
    for threads in (0, 2):
        monkeypatch.setattr(sys.modules[Generated.__module__], "threads_for", lambda device, n=threads: n)
        found.append(generate(other, denoiser, None, range(10), CPU, 4))
    assert torch.equal(found[0].x, found[1].x)
    assert found[0].nfe == found[1].nfe


@pytest.fixture
def beside(monkeypatch):
    """Let the features be computed in a thread."""
    monkeypatch.setattr(sys.modules[share_chunks.__module__], "overlaps", lambda trial, device: True)


def running():
    return [thread for thread in threading.enumerate() if thread.name.startswith(("features", "noise"))]


def test_features_that_are_computed_beside_sampling_are_the_same(spec, tmp_path, monkeypatch, beside):
    here = go(spec, tmp_path, "beside", batch_size=400)
    assert not running()
    assert_same(go(spec, tmp_path, "again"), here)  # from the cache
    monkeypatch.undo()
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "other"))
    assert_same(go(spec, tmp_path, "in turn", batch_size=400), here)


@pytest.mark.parametrize("error", [ValueError("no"), Interrupted(), torch.OutOfMemoryError("full")])
def test_an_error_beside_sampling_ends_the_run_and_its_thread(trial, cache, monkeypatch, beside, error):
    stages, detect, calls = Stages(cache, CPU), Loaded.detect, []

    def failing(self, detector, images):
        calls.append(threading.current_thread().name)
        if len(calls) == 2:
            raise error
        return detect(self, detector, images)

    monkeypatch.setattr(Loaded, "detect", failing)
    stages.prepare(trial)
    seen = []
    if isinstance(error, torch.OutOfMemoryError):  # tried again, in the thread that samples
        assert len(share_chunks(trial, stages, lambda *told: seen.append(told), wait=True)) == 3
        assert [done for done, _, _ in seen] in ([1, 2, 3], [1, 3, 3])  # the third may be done before the second
        assert {told[1:] for told in seen} == {(3, True)}
        assert calls[1].startswith("features")
        assert "MainThread" in calls[2:]
    else:
        with pytest.raises(type(error)):
            share_chunks(trial, stages, lambda *told: seen.append(told), wait=True)
    assert not running()


def test_an_interruption_of_sampling_ends_the_thread_and_keeps_what_is_done(trial, cache, monkeypatch, beside):
    stages, images = Stages(cache, CPU), Stages.images

    def interrupted(self, trial, chunk):
        if chunk.start == 400:
            raise Interrupted
        return images(self, trial, chunk)

    monkeypatch.setattr(Stages, "images", interrupted)
    stages.prepare(trial)
    with pytest.raises(Interrupted):
        share_chunks(trial, stages, lambda done, of, computed: None, wait=True)
    assert not running()
    assert [stages.has("images", trial, chunk) for chunk in chunks(450)] == [True, True, False]


def test_only_built_in_components_are_computed_beside_each_other(tmp_path, trial):
    gpu = torch.device("cuda")
    given = {"data": "digits", "denoiser": "exact", "evaluate": {"images": 2, "detector": "pixels"}}
    ours = load(write_spec(tmp_path, components=[], **given)).trials()[0]
    assert overlaps(ours, gpu)
    assert not overlaps(ours, CPU)
    assert not overlaps(trial, gpu)  # its components are of a user
    network = {"name": "pretrained", "model": "digits"}
    for precision, possible in (("bf16", True), ("tf32", False)):
        spec = write_spec(tmp_path, components=[], **given | {"denoiser": network | {"precision": precision}})
        assert overlaps(load(spec).trials()[0], gpu) == possible
