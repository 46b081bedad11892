"""Files of weights that other programs wrote: what is read, and what is said about those that cannot be."""

import pickle
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from designspace.denoising.weights import load_weights, read_weights
from designspace.errors import DataError
from designspace.spec import SpecError, load

GIVEN = {"a.weight": torch.full((1, 1, 1, 1), 3.0), "a.bias": torch.full((1,), 2.0)}
NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Conv2d(1, 1, 1)

    def forward(self, x, c_noise, labels=None):
        return self.a(x)
"""
SPEC = """\
data: digits
denoiser: {name: preconditioned, network: {name: module, factory: './net.py:Net', weights: WEIGHTS}}
design: edm
num_steps: 3
evaluate: {images: 20, detector: pixels, metrics: [frechet]}
"""


def network():
    return torch.nn.ModuleDict({"a": torch.nn.Conv2d(1, 1, 1)})


def named(prefix, tensors=GIVEN):
    return {prefix + name: tensor for name, tensor in tensors.items()}


FITTING = {
    "safetensors": (lambda path: save_file(GIVEN, path), None, ""),
    "checkpoint": (lambda path: torch.save(GIVEN, path), None, ""),
    "old checkpoint": (lambda path: torch.save(GIVEN, path, _use_new_zipfile_serialization=False), None, ""),
    "a key": (lambda path: torch.save({"model": {}, "ema": GIVEN, "step": 1}, path), "ema", ""),
    "a prefix": (lambda path: torch.save(named("ema.") | {"a.bias": torch.ones(2)}, path), "ema", ""),
    "a dotted key": (lambda path: torch.save({"state": {"ema": GIVEN, "step": 1}}, path), "state.ema", ""),
    "parallel": (lambda path: torch.save(named("module."), path), None, "module."),
    "compiled": (lambda path: torch.save(named("module._orig_mod."), path), None, "module._orig_mod."),
    "average": (lambda path: save_file(named("ema."), path), None, "ema."),
    "a compiled part": (
        lambda path: torch.save({n.replace("a.", "a._orig_mod."): t for n, t in GIVEN.items()}, path),
        None,
        "_orig_mod.",
    ),
    "half": (lambda path: save_file({name: t.half() for name, t in GIVEN.items()}, path), None, ""),
}


@pytest.mark.parametrize(("write", "key", "prefix"), FITTING.values(), ids=FITTING)
def test_weights_are_loaded_and_prefixes_are_told(write, key, prefix, tmp_path, recwarn):
    write(tmp_path / "w")
    built = network()
    load_weights(built, tmp_path / "w", key, "net")
    assert {name: t.flatten().tolist() for name, t in built.state_dict().items()} == {
        "a.weight": [3.0],
        "a.bias": [2.0],
    }
    told = [str(w.message) for w in recwarn if "prefix" in str(w.message)]
    assert told == ([f"{tmp_path / 'w'}: the prefix '{prefix}' of its names is left out"] if prefix else [])


def test_tensors_that_share_memory_may_be_stored_once(tmp_path):
    built = network()
    built["b"] = built["a"]
    save_file(GIVEN, tmp_path / "w")
    load_weights(built, tmp_path / "w", None, "net")
    assert built["b"].bias.item() == 2.0


def cut(write, keep):
    def write_part(path):
        write(path)
        path.write_bytes(path.read_bytes()[:keep])

    return write_part


def of_torchscript(path):
    with pytest.warns(FutureWarning, match="deprecated") if hasattr(torch, "export") else pytest.warns():
        torch.jit.script(torch.nn.Linear(2, 2)).save(path)


UNFIT = {
    "no key": (
        lambda path: torch.save({"model": GIVEN, "ema": GIVEN, "step": 1}, path),
        None,
        "w is a PyTorch checkpoint with the keys model, ema, step: say which with `key: ema` or `key: model`",
    ),
    "a wrong key": (
        lambda path: torch.save({"model": GIVEN}, path),
        "ema",
        "nothing at `key: ema`: at 'ema', it has the keys model",
    ),
    "a key above": (
        lambda path: torch.save({"state": {"ema": GIVEN}}, path),
        "state",
        "with the keys ema: say which with `key: state.ema`",
    ),
    "a key two levels below": (
        lambda path: torch.save({"state": {"model": GIVEN, "optimizer": {"state": {0: GIVEN}}}}, path),
        None,
        "with the keys state: say which with `key: state.model`",
    ),
    "two networks": (
        lambda path: torch.save(GIVEN | named("ema."), path),
        None,
        "2 unexpected: ema.a.weight, ema.a.bias; `key: ema` takes the names that begin so",
    ),
    "an npz": (lambda path: np.savez(path.open("wb"), a=np.ones(2)), None, "w is an npz archive of NumPy, not weights"),
    "a number": (
        lambda path: torch.save({"step": 1}, path),
        "step",
        "is of type int, not a state dict: write one with",
    ),
    "no tensors": (lambda path: torch.save({"shadow": [1]}, path), None, "has no tensors: its keys are shadow"),
    "another network": (
        lambda path: torch.save({"a.weight": torch.ones(2, 1), "b": torch.ones(1)}, path),
        None,
        "not the weights of net: 1 missing: a.bias; 1 unexpected: b; 1 of another shape or type: a.weight "
        r"\(file: float32 \[2, 1\], network: float32 \[1, 1, 1, 1\]\)",
    ),
    "quantised": (
        lambda path: save_file({name: t.to(torch.int8) for name, t in GIVEN.items()}, path),
        None,
        "2 of another shape or type: a.weight",
    ),
    "diverged": (
        lambda path: torch.save(GIVEN | {"a.bias": torch.tensor([torch.nan])}, path),
        None,
        r"1 tensor \(a.bias\) with NaN or infinity: the training diverged",
    ),
    "objects": (
        lambda path: torch.save({"args": SimpleNamespace(x=1), "model": GIVEN}, path),
        None,
        "contains objects of types.SimpleNamespace beside tensors, and reading them could run any code",
    ),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), None, "damaged checkpoint .* another pickle"),
    "TorchScript": (of_torchscript, None, "is an archive of TorchScript: load it with torch.jit.load"),
    "a zip": (lambda path: zipfile.ZipFile(path, "w").writestr("a", "b"), None, "is a damaged checkpoint of PyTorch"),
    "empty": (lambda path: path.write_bytes(b""), None, "w is empty: copy or download it again"),
    "a web page": (lambda path: path.write_text("<!DOCTYPE html>"), None, r"w is a web page \(HTML\), not weights"),
    "Git LFS": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
        None,
        "is a pointer of Git LFS, not the file itself: run `git lfs pull`",
    ),
    "of Keras": (
        lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)),
        None,
        "is neither a safetensors file nor a checkpoint of PyTorch: .* torch.save",
    ),
    "cut safetensors": (
        cut(lambda path: save_file(GIVEN, path), -2),
        None,
        "damaged safetensors file, perhaps cut off",
    ),
    "cut checkpoint": (cut(lambda path: torch.save(GIVEN, path), -99), None, "damaged checkpoint .* perhaps cut off"),
    "a folder": (lambda path: path.mkdir(), None, "w: Is a directory"),
}


@pytest.mark.parametrize(("write", "key", "message"), UNFIT.values(), ids=UNFIT)
def test_files_that_cannot_be_used_say_why_on_one_line(write, key, message, tmp_path):
    write(tmp_path / "w")
    with pytest.raises(DataError, match=message) as error:
        load_weights(network(), tmp_path / "w", key, "net")
    assert "\n" not in str(error.value)


WITH_OBJECTS = {
    "a module": lambda: network(),
    "of EDM": lambda: {"ema": network(), "loss": SimpleNamespace()},
    "arguments": lambda: {"model": GIVEN, "args": SimpleNamespace()},
    "of Lightning": lambda: {"state_dict": GIVEN, "hyper_parameters": SimpleNamespace()},
}


@pytest.mark.parametrize("content", WITH_OBJECTS.values(), ids=WITH_OBJECTS)
def test_the_code_that_converts_a_checkpoint_with_objects_works(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(content(), "w")
    with pytest.raises(DataError, match="If you trust the file") as error:
        read_weights(tmp_path / "w")
    exec(str(error.value).partition("in Python: ")[2], {})
    assert read_weights(tmp_path / "weights.pt").keys() == GIVEN.keys()


def test_reading_a_checkpoint_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    torch.save({"model": Evil()}, tmp_path / "w")
    with pytest.raises(DataError, match="could run any code"):
        read_weights(tmp_path / "w", "model")
    assert not (tmp_path / "ran").exists()


def test_a_spec_with_such_a_file_is_refused_where_it_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "a.yaml").write_text(SPEC.replace("WEIGHTS", "./ckpt.pt"))
    torch.save({"model": GIVEN, "ema": {}, "step": 1}, tmp_path / "ckpt.pt")
    with pytest.raises(SpecError) as error:
        load(tmp_path / "a.yaml")
    place = f"{tmp_path / 'a.yaml'}:2:92: denoiser.network.weights"
    assert error.value.lines == [
        f"{place}: {tmp_path / 'ckpt.pt'} is a PyTorch checkpoint with the keys model, ema, step:"
        " say which with `key: model`"
    ]
    (tmp_path / "a.yaml").write_text(SPEC.replace("WEIGHTS", "./ckpt.pt, key: model"))
    assert len(load(tmp_path / "a.yaml").trials()) == 1
