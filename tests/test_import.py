"""``designspace import``: checkpoints of other programs, and files that would execute something."""

import importlib.util
import io
import json
import os
import pickle
import struct
import sys
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import designspace as ds
from designspace.cli.app import app
from designspace.data.images import Images
from designspace.errors import DataError
from designspace.importing.read import read_model
from designspace.sampling.levels import iddpm_levels
from designspace.storage import pickles
from designspace.storage.pickled import PickleError
from designspace.storage.pickles import Pickle
from designspace.training.export import file_of

GOLDEN = Path(__file__).parent / "data" / "import"
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="tests/data/import is not in the sdist")
EDM, CPU = ds.Design.preset("edm"), torch.device("cpu")
TOLERANCE = {"edm-adm-cond": 1e-5, "edm-ddpmpp-uncond": 1e-5, "ve-ncsnpp-uncond": 1e-5, "edm2-cond": 5e-4}
"""Of std(D); the file of EDM2 has gains in float16, which NVIDIA's code also divides in float16."""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """``designspace import`` in an empty folder: status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments):
        done = CliRunner().invoke(app, ["import", *map(str, arguments)], prog_name="designspace")
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    return call


@cache
def writer():
    """The module that writes files of NVIDIA's format."""
    spec = importlib.util.spec_from_file_location("write_pickle", GOLDEN / "write_pickle.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def described(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())


def root(name, about=None, changes=None):
    """The object at the root of a checkpoint of NVIDIA's, with ``changes`` of its tensors."""
    w, about = writer(), about or described(name)
    tensors = load_file(GOLDEN / f"{name}.safetensors")
    tensors = {key: tensors[key] for key in about["order"]} | (changes or {})
    return w.build(about["class_name"], w.tree(tensors), about, ("enc", "dec"))


def written(name, path, about=None, changes=None, **more):
    content = {"ema": root(name, about, changes), "loss_fn": None, "augment_pipe": None} | more
    path.write_bytes(pickle.dumps(content, 4))
    return path


def denoiser(model, shape):
    found = ds.Denoiser.model_validate({"name": "pretrained", "model": str(model)})
    return found.load(Images(torch.zeros(1, *shape, dtype=torch.uint8)), EDM, CPU)


def error_against_golden(name, model):
    """The largest difference of D from that of the original network, in units of its standard deviation."""
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        x, sigma, labels, d = (torch.from_numpy(arrays[key]) for key in ("x", "sigma", "labels", "d"))
    index = labels.argmax(1) if labels.numel() else None
    with torch.no_grad():
        found = denoiser(model, x.shape[1:]).bind(index)(x, sigma.double().flatten())
    return float((found - d).abs().max() / d.std())


@needs_golden
@pytest.mark.parametrize("name", TOLERANCE)
def test_a_checkpoint_of_nvidia_gives_the_denoiser_of_the_original(run, name, tmp_path):
    status, out, err = run(written(name, tmp_path / f"{name}.pkl"))
    assert status == 0, err
    about = described(name)
    shape = f"3 x {about['init_kwargs']['img_resolution']} x {about['init_kwargs']['img_resolution']}"
    classes = about["init_kwargs"]["label_dim"]
    assert f"{about['class_name']}, " in out
    assert all(words in out for words in (shape, " M parameters"))
    assert (f"{classes} classes" if classes else "unconditional") in out
    assert "rows: ve (VEPrecond: sigma_min 0.02, sigma_max 100)" in out or "sigma_data 0.5)" in out
    assert "nothing in the file was executed; NVIDIA's weights: CC BY-NC-SA 4.0" in out
    assert f"denoiser: {{name: pretrained, model: models/{name}}}" in out
    assert error_against_golden(name, f"models/{name}") < TOLERANCE[name]
    stored = load_file(f"models/{name}.safetensors")
    assert all(tensor.dtype != torch.float16 for tensor in stored.values())


@needs_golden
def test_the_identity_is_that_of_the_source_and_not_of_its_name(run, tmp_path):
    path = written("edm2-cond", tmp_path / "a-0.075.pkl")
    assert run(path)[0] == run(path.rename(tmp_path / "a-0.135.pkl"))[0] == 0
    written("edm2-cond", tmp_path / "c.pkl", note="other")
    assert run("c.pkl")[0] == 0
    first, second, third = (
        ds.Denoiser.model_validate({"name": "pretrained", "model": f"./models/{name}"}).identity()
        for name in ("a-0.075", "a-0.135", "c")
    )
    assert first == second != third
    assert json.loads(Path("models/c.json").read_text())["source"]["file"] == "c.pkl"


@needs_golden
def test_the_training_state_of_edm_and_an_mdlus_file_hold_the_same_network(run, tmp_path):
    name = "edm-ddpmpp-uncond"
    torch.save({"net": root(name), "optimizer_state": {"state": {0: {"step": torch.tensor(3.0)}}}}, tmp_path / "t.pt")
    status, out, err = run("t.pt")
    assert status == 0, err
    assert "note: `net` holds the weights of training, not their moving average" in out
    assert "NVIDIA's weights" not in out  # which are published as pickles
    assert error_against_golden(name, "models/t") < 1e-5
    for kind in ("zip", "tar"):
        status, out, err = run(mdlus(tmp_path / f"{kind}.mdlus", kind))
        assert status == 0, err
        assert "EDMPrecond, SongUNet (DDPM++)" in out
        assert error_against_golden(name, f"models/{kind}") < 1e-5


def mdlus(path, kind="zip", **arguments):
    """A file of PhysicsNeMo with the network ``edm-ddpmpp-uncond``."""
    about, tensors = described("edm-ddpmpp-uncond"), load_file(GOLDEN / "edm-ddpmpp-uncond.safetensors")
    place = "__physicsnemo.Module__.model"
    inside = {"__name__": "SongUNet", "__args__": about["children"]["model"]["init_kwargs"] | arguments}
    wrapper = {"__name__": "EDMPreconditioner", "__args__": {"model": place, "sigma_data": 0.5}, place: inside}
    names = {".norm2.": ".attn.norm.", ".qkv.": ".attn.qkv.", ".proj.": ".attn.proj."}
    state = {"sigma_data": torch.tensor(0.5), "model.map_noise.freqs": torch.ones(16)}
    for key, tensor in tensors.items():
        for ours, theirs in names.items():
            key = key.replace(ours, theirs)
        state[key] = tensor
    torch.save(state, buffer := io.BytesIO())
    members = {"args.json": json.dumps(wrapper).encode(), "metadata.json": b"{}", "model.pt": buffer.getvalue()}
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(path, "w") as tar:
            for name, data in members.items():
                info = tarfile.TarInfo(f"./{name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


ROWS = {
    "VPPrecond": ({"beta_d": 18.0, "beta_min": 0.2, "M": 500, "epsilon_t": 1e-4}, "c_noise", "vp"),
    "VEPrecond": ({"sigma_min": 0.01, "sigma_max": 50.0}, "c_noise", "ve"),
    "iDDPMPrecond": ({"M": 10, "C_1": 0.002, "C_2": 0.01}, "c_noise", "iddpm"),
    "EDMPrecond": ({"sigma_data": 0.7}, "c_out", "edm"),
}


@needs_golden
@pytest.mark.parametrize("name", ROWS)
def test_the_rows_have_the_fields_of_the_checkpoint(name, tmp_path):
    fields, row, column = ROWS[name]
    about = described("edm-ddpmpp-uncond")
    about = about | {"class_name": name, "attributes": {"sigma_min": 0, "sigma_max": float("inf")} | fields}
    model = read_model(written("edm-ddpmpp-uncond", tmp_path / "x.pkl", about))
    assert model.rows[row] == {"name": column} | fields
    assert model.why.startswith(f"rows: {column} ({name}: ")


@needs_golden
def test_iddpm_has_learned_variances_and_the_levels_that_it_was_trained_on(run, tmp_path):
    name, last = "edm-ddpmpp-uncond", "model.dec.16x16_aux_conv"
    about = described(name) | {"class_name": "iDDPMPrecond", "attributes": {"C_1": 0.001, "C_2": 0.008, "M": 1000}}
    about["children"]["model"]["init_kwargs"]["out_channels"] = 6
    tensors = load_file(GOLDEN / f"{name}.safetensors")
    changes = {key: torch.cat([tensors[key], 9 + tensors[key]]) for key in (f"{last}.weight", f"{last}.bias")}
    changes["u"] = iddpm_levels(1000, 0.001, 0.008).float()
    assert run(written(name, tmp_path / "iddpm.pkl", about, changes))[0] == 0
    assert run(written(name, tmp_path / "edm.pkl"))[0] == 0
    x, sigma = torch.randn(2, 3, 16, 16), iddpm_levels(1000, 0.001, 0.008)[300]
    network = denoiser("./models/edm", x.shape[1:]).network
    with torch.no_grad():
        expected = ds.precondition(network, ds.Design.preset("iddpm"))(x, sigma)
        found = denoiser("./models/iddpm", x.shape[1:]).bind(None)(x, sigma)
    torch.testing.assert_close(found, expected)
    changes["u"] = changes["u"] * 1.1
    status, _, err = run(written(name, tmp_path / "other.pkl", about, changes))
    assert status == 2
    assert "has noise levels that are not those of iDDPM" in err


@needs_golden
def test_numbers_of_numpy_and_the_loss_are_read(tmp_path):
    about = described("edm-ddpmpp-uncond")
    about["attributes"]["sigma_data"] = np.sqrt(0.36)
    loss = writer().Persistent("EDMLoss", {"P_mean": -0.8, "P_std": 1.6, "sigma_data": 0.5})
    model = read_model(written("edm-ddpmpp-uncond", tmp_path / "x.pkl", about, loss_fn=loss))
    assert model.rows["loss_weight"]["sigma_data"] == pytest.approx(0.6)
    assert model.rows["noise_distribution"] == {"name": "edm", "P_mean": -0.8, "P_std": 1.6}


@needs_golden
def test_a_file_with_other_tensors_or_arguments_is_refused(run, tmp_path):
    name = "edm-ddpmpp-uncond"
    cases = {
        "model_channels": (32_000, "channels, too many for the file"),
        "num_blocks": (100, "blocks, but the file has 147 tensors"),
        "attn_resolutions": ([4], "not the weights of network edm"),
        "img_resolution": ("wide", "img_resolution is no whole number"),
        "in_channels": (5, "5 to 3 channels"),
        "colour": (1, "unknown field 'colour'"),
        "embedding_type": ("none", "embedding_type"),
    }
    for key, (value, words) in cases.items():
        about = described(name)
        about["children"]["model"]["init_kwargs"][key] = value
        status, out, err = run(written(name, tmp_path / "x.pkl", about))
        assert (status, out, err.count("\n")) == (2, "", 1), (key, err)
        assert words in err
    about = described(name)
    broken = {"model.enc.16x16_conv.bias": torch.full((32,), float("nan"))}
    written(name, tmp_path / "nan.pkl", changes=broken)
    assert "NaN or infinity" in run("nan.pkl")[2]
    assert list(tmp_path.glob("models/*")) == []


def test_a_folder_of_diffusers_gives_the_denoiser_of_the_folder(run, tmp_path):
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        **{"sample_size": 8, "in_channels": 1, "out_channels": 1, "block_out_channels": (8, 16), "norm_num_groups": 4},
        **{"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2, "layers_per_block": 1},
    )
    diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler(prediction_type="v_prediction")).save_pretrained("pipe.v1")
    status, out, err = run("pipe.v1", "-o", "m")
    assert status == 0, err
    assert "diffusers UNet2DModel, " in out
    assert "predicts v_prediction" in out
    assert "; rows: c_skip " in out
    x, sigma = torch.randn(2, 1, 8, 8), torch.tensor(3.0, dtype=torch.float64)
    images = Images(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
    folder = ds.Denoiser.get("diffusers")(path=tmp_path / "pipe.v1").load(images, EDM, CPU)
    with torch.no_grad():
        found, expected = (made.bind(None)(x, sigma) for made in (denoiser("./m", (1, 8, 8)), folder))
    assert torch.equal(found, expected)
    assert found.abs().max() <= 1  # clip_sample of the scheduler
    status, _, err = run("pipe.v1/unet", "-o", "bare")
    assert status == 2
    assert "unet is a model without a scheduler, which says what it predicts: give --scheduler and its" in err


def test_a_network_that_was_trained_with_classes_only_is_checked_with_a_class(run, tmp_path):
    diffusers = pytest.importorskip("diffusers")
    unet = diffusers.UNet2DModel(
        **{"sample_size": 8, "in_channels": 1, "out_channels": 1, "block_out_channels": (8,), "norm_num_groups": 4},
        **{"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",), "layers_per_block": 1},
        num_class_embeds=3,
    )
    diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler()).save_pretrained("pipe")
    status, out, err = run("pipe", "-o", "m")
    assert status == 0, err
    assert "1 x 8 x 8, 3 classes" in out


def a_network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1))


MODULE = """
import torch
class F(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 1, 3, padding=1)
    def forward(self, x, c_noise, labels=None):
        return self.layer(x)
def make():
    return F()
"""


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_weights_alone_need_a_network_and_rows(run, tmp_path, form):
    state = {f"layer.{key}": value for key, value in a_network()[0].state_dict().items()}
    (tmp_path / "m.py").write_text(MODULE)
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pt")
    if form == "safetensors":
        save_file(state, path)
    else:
        torch.save({"step": 3, "ema": OrderedDict(state)}, path, _use_new_zipfile_serialization=form == "zip")
    key = () if form == "safetensors" else ("--key", "ema")
    status, _, err = run(path, *key)
    assert status == 2
    assert "without the network that they belong to: name it with --network" in err
    options = ("--network", "./m.py:make", "--rows", "{preset: edm, sigma_data: 0.8}", "--shape", "1,8,8")
    status, _, err = run(path, *key, *options, "-o", "sub/w")
    assert status == 0, err
    x, sigma = torch.randn(2, 1, 8, 8), torch.tensor(0.7, dtype=torch.float64)
    design = ds.Design.preset("edm", sigma_data=0.8)
    expected = ds.precondition(lambda y, c, _: a_network()(y), design)(x, sigma)
    torch.testing.assert_close(denoiser("./sub/w", (1, 8, 8)).bind(None)(x, sigma), expected)
    model = ds.Denoiser.model_validate({"name": "pretrained", "model": "./sub/w"})
    before = model.identity()
    assert json.loads(Path("sub/w.json").read_text())["denoiser"]["network"]["factory"] == "../m.py:make"
    for place in ("w.json", "w.safetensors"):
        (tmp_path / place).write_bytes((tmp_path / "sub" / place).read_bytes().replace(b"../m.py", b"m.py"))
    assert ds.Denoiser.model_validate({"name": "pretrained", "model": "./w"}).identity() == before
    if not key:
        return
    status, _, err = run(path, *options)
    assert status == 2
    assert "say which with --key ema" in err
    assert before["network"]["factory"][1] == "make"


def test_a_pickled_module_is_read_without_its_class(run, tmp_path):
    torch.save(a_network(), tmp_path / "module.pt")
    (tmp_path / "n.py").write_text(SEQUENTIAL)
    network = "{name: module, factory: './n.py:make'}"
    status, out, err = run("module.pt", "--network", network, "--rows", "edm", "--shape", "1,8,8")
    assert status == 0, err
    assert "network n.py:make, 10 parameters, 1 x 8 x 8, unconditional; rows: edm (--rows)" in out
    status, _, err = run("module.pt", "--network", network, "--rows", "edm", "--shape", "2,8,8", "--force")
    assert status == 2
    assert "its network fails for x [1, 2, 8, 8]: RuntimeError" in err


SEQUENTIAL = """
import torch
class G(torch.nn.Sequential):
    def forward(self, x, c_noise, labels=None):
        return super().forward(x)
def make():
    return G(torch.nn.Conv2d(1, 1, 3, padding=1))
"""


class Calls:
    """What pickles as a call of ``function``."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call


def op(*parts):
    """A pickle of protocol 4 with these opcodes."""
    return b"\x80\x04" + b"".join(parts) + b"."


def name(module, function):
    return b"c" + f"{module}\n{function}\n".encode()


def text(value):
    return b"\x8c" + bytes([len(value)]) + value.encode()


TOUCH = "touch canary"
TENSOR = name("torch._utils", "_rebuild_tensor_v2")


def tensor(size, stride, offset=b"K\0", count=4):
    """A pickled tensor in a storage of ``count`` numbers, with any shape."""
    with warnings.catch_warnings(action="ignore"):
        torch.save(torch.zeros(count).storage(), buffer := io.BytesIO(), _use_new_zipfile_serialization=False)
    data = buffer.getvalue()
    storage = name("torch.storage", "_load_from_bytes") + b"B" + struct.pack("<I", len(data)) + data + b"\x85R"
    shape = b"".join(b"\x8a\x08" + struct.pack("<q", n) for n in size)
    steps = b"".join(b"\x8a\x08" + struct.pack("<q", n) for n in stride)
    return TENSOR + b"(" + storage + offset + b"(" + shape + b"t(" + steps + b"t\x89Nt" + b"R"


def state_of(pickled):
    return op(b"}", text("w"), pickled, b"s")


def overlapping(count):
    """A state dict of ``count`` tensors that all are one storage of 4,000 numbers, from the memo."""
    shape = b"(M\xa0\x0ft(K\1t\x89Nt" + b"R"
    first = tensor((4000,), (1,), count=4000).replace(b"\x85RK\0", b"\x85Rq\1K\0", 1)
    again = (text(f"w{k}") + TENSOR + b"(h\1K\0" + shape + b"s" for k in range(count))
    return op(b"}", text("w"), first, b"s", *again)


def loaded_again(count):
    """A nested pickle that is loaded ``count`` times."""
    load = name("torch.storage", "_load_from_bytes")
    data = storage_claiming(0)
    first = load + b"B" + struct.pack("<I", len(data)) + data + b"q\1\x85R0"
    return op(first, *[load + b"h\1\x85R0"] * count, b"N")


def storage_claiming(count):
    """A pickled storage that says it has ``count`` numbers, in a file without them."""
    number = b"\x8a\x08" + struct.pack("<q", count)
    reference = b"(" + text("storage") + name("torch", "FloatStorage") + text("0") + text("cpu") + number + b"NtQ"
    head = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {}))
    return head + op(reference) + pickle.dumps(["0"], 2) + struct.pack("<q", count)


def nested(data):
    return op(name("torch.storage", "_load_from_bytes"), b"B", struct.pack("<I", len(data)), data, b"\x85R")


def hostile_module():
    torch.save({"a": Calls(os.system, TOUCH)}, buffer := io.BytesIO(), _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def large_key(k):
    return b"\x8a\x09" + (k * (2**61 - 1)).to_bytes(9, "little") + b"N"


SCALAR = name("numpy.core.multiarray", "scalar")
RUN = text(TOUCH) + b"\x85"
ATTACKS = {
    "os.system": pickle.dumps({"ema": Calls(os.system, TOUCH)}, 4),
    "posix.system by name": op(name("posix", "system"), RUN, b"R"),
    "eval": pickle.dumps({"ema": Calls(eval, "open('canary', 'w')")}, 4),
    "exec": pickle.dumps({"ema": Calls(exec, "open('canary', 'w')")}, 4),
    "getattr": pickle.dumps({"ema": Calls(getattr, Path("canary"), "touch")}, 4),
    "open": op(name("builtins", "open"), text("canary") + text("w") + b"\x86", b"R"),
    "__import__": pickle.dumps({"ema": Calls(__import__, "os")}, 4),
    "dotted name": op(text("os"), text("path.os.system"), b"\x93", RUN, b"R"),
    "dotted name below a known module": op(text("torch.storage"), text("os.system"), b"\x93", RUN, b"R"),
    "subprocess": op(name("subprocess", "Popen"), RUN, b"R"),
    "runpy": op(name("runpy", "run_path"), RUN, b"R"),
    "operator.attrgetter": op(name("operator", "attrgetter"), text("system") + b"\x85", b"R"),
    "functools.partial": op(name("functools", "partial"), name("os", "system") + b"\x85", b"R"),
    "BUILD on a known function": op(TENSOR, b"}", text("__defaults__"), b"Ns", b"b"),
    "BUILD with slots": op(TENSOR, b"N}", text("__code__"), b"Ns\x86", b"b"),
    "BUILD with __class__": op(tensor((4,), (1,)), b"}", text("__class__"), name("os", "system"), b"s", b"b"),
    "BUILD with __dict__ on a tensor": op(tensor((4,), (1,)), b"}", text("__dict__"), b"}s", b"b"),
    "BUILD on a number": op(b"K\1}b"),
    "items of a function": op(TENSOR, text("a"), b"K\1s"),
    "append to a tensor": op(tensor((4,), (1,)), b"K\1a"),
    "nested pickle with os.system": nested(pickle.dumps(Calls(os.system, TOUCH), 2)),
    "nested torch object": nested(hostile_module()),
    "nested in a nested pickle": nested(nested(pickle.dumps(1, 2))),
    "legacy torch file": hostile_module(),
    "persistent id": op(b"K\1Q"),
    "text persistent id": b"\x80\x02Pabc\n.",
    "EXT1": op(b"\x82\1"),
    "EXT4": op(b"\x84\1\0\0\0"),
    "INST": b"\x80\x02(S'touch canary'\nios\nsystem\n.",
    "OBJ": op(b"(", name("os", "system"), text(TOUCH), b"o"),
    "NEWOBJ": op(name("subprocess", "Popen"), RUN, b"\x81"),
    "NEWOBJ_EX": op(name("subprocess", "Popen"), RUN, b"}\x92"),
    "call of a number": op(b"K\1", RUN, b"R"),
    "call of a call": op(name("a", "b"), RUN, b"R", RUN, b"R"),
    "10 GB of bytes": op(b"\x8e", struct.pack("<Q", 10**10)),
    "10 GB of text": op(b"\x8d", struct.pack("<Q", 10**10)),
    "an exabyte": op(b"\x96", struct.pack("<Q", 2**60)),
    "a frame of 10 GB": b"\x80\x04\x95" + struct.pack("<Q", 10**10),
    "an integer of 2 GB": op(b"\x8b", struct.pack("<I", 2**31 - 1)),
    "a large place in the memo": op(b"N", b"r", b"\xff\xff\xff\xff", b"h\0"),
    "unknown memo": op(b"h\7"),
    "a key of nested tuples": op(b"}", b")" + b"\x85" * 100_000, b"Ns"),
    "many keys of one hash": op(b"}(", b"".join(map(large_key, range(1, 20))), b"u"),
    "an empty nested pickle": nested(b""),
    "a storage of 10 GB": nested(storage_claiming(25 * 10**8)),
    "a storage of an exabyte": nested(storage_claiming(2**58)),
    "a huge tensor": state_of(tensor((10**6, 10**6), (10**6, 1))),
    "a stride of zero": state_of(tensor((10**12,), (0,))),
    "a small stride of zero": state_of(tensor((5,), (0,))),
    "a negative stride": state_of(tensor((4,), (-1,))),
    "an offset outside": state_of(tensor((4,), (1,), b"K\xff")),
    "dimensions": state_of(tensor((1,) * 40, (1,) * 40)),
    "many tensors in one storage": overlapping(1000),
    "a nested pickle loaded many times": loaded_again(1000),
    "a tensor of no size": state_of(tensor((0, 2**47, 2**47), (1, 1, 1))),
    "an object of numpy": op(SCALAR, name("numpy", "dtype"), text("O8") + b"\x85R", b"C\0\x86R"),
    "an encoding": op(name("_codecs", "encode"), text("x") + text("zlib") + b"\x86R"),
    "truncated": pickle.dumps({"ema": [1, 2, 3]}, 4)[:-3],
    "an empty stack": op(b"R"),
    "no mark": op(b"t"),
    "not UTF-8": op(b"\x8c\1\xff"),
    "protocol 9": b"\x80\x09N.",
    "wrong keys": pickle.dumps({"G_ema": 1, "D": None}, 4),
    "an unknown class": pickle.dumps({"a": 1}, 4),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_file_ends_in_one_line_and_executes_nothing(run, tmp_path, attack):
    (tmp_path / "evil.pkl").write_bytes(ATTACKS[attack])
    before = set(sys.modules)
    status, out, err = run("evil.pkl")
    assert (status, out) == (2, "")
    assert err.startswith("evil.pkl ")
    assert err.count("\n") == 1, err
    assert {path.name for path in tmp_path.iterdir()} == {"evil.pkl"}
    assert not {"runpy", "antigravity"} & (set(sys.modules) - before)


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".pth", ".safetensors", ".mdlus"])
def test_the_suffix_of_a_pickle_makes_no_difference(run, tmp_path, suffix):
    (tmp_path / f"evil{suffix}").write_bytes(ATTACKS["os.system"])
    status, _, err = run(f"evil{suffix}")
    assert status == 2
    asks = f"evil{suffix} asks for {os.system.__module__}.system, which no data need: it may be hostile"
    assert err == f"{asks}; nothing in it was executed\n"


def test_deep_and_long_pickles_end_soon(monkeypatch):
    deep = op(b"]" * 100_000, b"a" * 99_999)
    assert isinstance(Pickle(memoryview(deep), {}).load(), list)
    laughs = op(b"K\1", b"\x94" + b"h\0" * 2 + b"\x86" + b"".join(b"q\1h\1\x86" for _ in range(1000)))
    assert isinstance(Pickle(memoryview(laughs), {}).load(), tuple)
    monkeypatch.setattr(pickles, "MOST_OPCODES", 1000)
    with pytest.raises(PickleError, match="more than 1,000 opcodes"):
        Pickle(memoryview(op(b"N0" * 1000)), {}).load()


def zipped(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return path


@needs_golden
def test_hostile_archives_end_in_one_line(run, tmp_path):
    torch.save({"a": torch.zeros(3)}, buffer := io.BytesIO())
    with zipfile.ZipFile(buffer) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    arguments = json.dumps({"__name__": "EDMPrecond", "__args__": {"model_type": "SongUNet"}}).encode()
    cases = {
        "bomb.mdlus": zipped(
            tmp_path / "bomb.mdlus", {"args.json": arguments, "model.pt": bytes(10**7)}, zipfile.ZIP_DEFLATED
        ),
        "bomb.pt": zipped(tmp_path / "bomb.pt", members, zipfile.ZIP_DEFLATED),
        "away.mdlus": zipped(tmp_path / "away.mdlus", {"args.json": arguments, "../../model.pt": b"x"}),
        "deep.mdlus": zipped(tmp_path / "deep.mdlus", {"args.json": b"[" * 100_000, "model.pt": b"x"}),
        "other.mdlus": mdlus(tmp_path / "other.mdlus", additive_pos_embed=True),
        "link.mdlus": tmp_path / "link.mdlus",
        "missing.pt": zipped(tmp_path / "missing.pt", {m: d for m, d in members.items() if "/data/" not in m}),
    }
    with tarfile.open(tmp_path / "link.mdlus", "w") as tar:
        for member, target in (("args.json", "/etc/passwd"), ("model.pt", "/etc/passwd")):
            info = tarfile.TarInfo(member)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(tmp_path / "twice.mdlus", "w") as archive:
        for member, data in (("args.json", arguments), ("model.pt", buffer.getvalue()), ("model.pt", b"x")):
            archive.writestr(member, data)
    with tarfile.open(tmp_path / "sparse.mdlus", "w") as tar:
        for member, data in (("args.json", arguments), ("model.pt", b"x" * 512)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    claims = bytearray((tmp_path / "sparse.mdlus").read_bytes())
    at = claims.index(b"model.pt")
    claims[at + 156 : at + 157] = b"S"  # a sparse file, in the format of GNU: zeros up to its real size
    claims[at + 386 : at + 495] = (b"0".zfill(11) + b"\0" + b"1000".zfill(11) + b"\0").ljust(
        97, b"\0"
    ) + b"%011o\0" % 10**9
    claims[at + 148 : at + 156] = b" " * 8
    claims[at + 148 : at + 156] = b"%06o\0 " % sum(claims[at : at + 512])
    (tmp_path / "sparse.mdlus").write_bytes(claims)
    said = {
        "bomb.mdlus": "is a compressed archive",
        "twice.mdlus": "has model.pt twice",
        "sparse.mdlus": "has a model.pt of 1,000,000,000 bytes",
    }
    before = {path.name for path in tmp_path.iterdir()}
    for path in [*cases.values(), tmp_path / "twice.mdlus", tmp_path / "sparse.mdlus"]:
        status, out, err = run(path)
        assert (status, out, err.count("\n")) == (2, "", 1), (path, err)
        assert said.get(path.name, "") in err
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no "),
        (b"", "is empty: copy or download it again"),
        (b"<!DOCTYPE html><html>", "is a web page (HTML), not weights: download the file again"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS, not the file itself: run"),
        (b"hello", "is neither a safetensors file nor a checkpoint of PyTorch"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_checkpoint_is_named_with_a_remedy(run, tmp_path, content, words):
    if content is not None:
        (tmp_path / "x.pkl").write_bytes(content)
    status, out, err = run("x.pkl")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err


@needs_golden
def test_options_are_checked_before_the_file_is_read(run, tmp_path):
    torch.save({"a": torch.zeros(3)}, tmp_path / "w.pt")
    (tmp_path / "m.py").write_text(MODULE)
    complete = {"--network": "./m.py:make", "--rows": "edm", "--shape": "1,8,8"}
    for option, value, words in [
        ("--rows", "edmm", "Did you mean 'edm'?"),
        ("--shape", "8x", "--shape 8x: write the shape of a sample as C,H,W"),
        ("--network", "unett", "Did you mean 'unet'?"),
        ("--network", "./none.py:make", "none.py"),
        ("--network", "./m.py", "name the function in it that returns the network, for instance ./m.py:make"),
        ("--network", None, "weights alone need --network, --rows and --shape"),
    ]:
        options = {k: v for k, v in (complete | {option: value}).items() if v is not None}
        status, _, err = run("w.pt", *(part for pair in options.items() for part in pair))
        assert status == 2, option
        assert words in err
    given = [part for pair in complete.items() for part in pair]
    status, _, err = run("w.pt", *given)
    assert status == 2
    assert "w.pt: not the weights of network module" in err
    for path, options, words in [
        ("w.pt", ["--classes", "3"], "weights alone need --network, --rows and --shape"),
        ("w.pt", ["--scheduler", "s.json"], "w.pt is a file: --scheduler is for a folder"),
        (".", ["--rows", "edm"], "leave out --key, --network, --rows and --classes"),
        (mdlus(tmp_path / "n.mdlus"), given, "holds its network and rows itself: leave out --network"),
    ]:
        status, _, err = run(path, *options)
        assert status == 2, path
        assert words in err


FAILING = """
import torch
class Lacking(torch.nn.Conv2d):
    def forward(self, x): return x
class Wide(torch.nn.Conv2d):
    def forward(self, x, c_noise, labels): return torch.cat([x, x], 3)
def lacking(): return Lacking(1, 1, 3)
def wide(): return Wide(1, 1, 3)
"""


def test_a_network_that_fails_is_refused_in_one_line(run, tmp_path):
    torch.save(a_network()[0].state_dict(), tmp_path / "w.pt")
    (tmp_path / "m.py").write_text(FAILING)
    for name, words in [
        ("lacking", "the network takes x; it is called as F(x, c_noise, labels)"),
        ("wide", "the network returns [1, 1, 8, 16]"),
    ]:
        status, out, err = run("w.pt", "--network", f"./m.py:{name}", "--rows", "edm", "--shape", "1,8,8")
        assert (status, out) == (2, "")
        assert f"w.pt: its network fails for x [1, 1, 8, 8]: ValueError: {words}" in err.splitlines()[-1]


@needs_golden
def test_another_model_is_not_overwritten(run, tmp_path):
    path = written("edm2-cond", tmp_path / "a.pkl")
    assert run(path, "-o", "m")[0] == run(path, "-o", "m.json")[0] == 0
    other = written("edm2-cond", tmp_path / "b.pkl", note="other")
    status, _, err = run(other, "-o", "m")
    assert (status, err) == (2, "m.json is another model: choose another name with -o, or overwrite it with --force\n")
    assert run(other, "-o", "m", "--force")[0] == 0
    status, _, err = run(other, "-o", "n" * 300)
    assert (status, err.count("\n")) == (1, 1)
    assert err.endswith("nnn: File name too long\n")
    assert file_of(Path("m"), ".json").exists()


@needs_golden
def test_the_state_dicts_of_edm2_and_known_programs_are_recognised(run, tmp_path):
    tensors = load_file(GOLDEN / "edm2-cond.safetensors")
    torch.save({"net": tensors, "ema": {"stds": [0.05, 0.1], "emas": [tensors, tensors]}}, tmp_path / "state.pt")
    status, _, err = run("state.pt")
    hint = "--network '{name: edm2, model_channels: 64}' --key ema.emas.0.unet --rows edm, --shape and --classes"
    assert status == 2
    assert hint in err
    network = "{name: edm2, model_channels: 64, channel_mult: [1, 2], num_blocks: 1, attn_resolutions: [8]}"
    status, _, err = run(
        *("state.pt", "--key", "ema.emas.1.unet", "--network", network),
        *("--rows", "edm", "--shape", "3,16,16", "--classes", "10"),
    )
    assert status == 0, err
    assert error_against_golden("edm2-cond", "models/state") < 5e-4
    save_file({"a": torch.zeros(1)}, tmp_path / "k.safetensors", {"config": "{}"})
    torch.save({"time_embed.0.weight": torch.zeros(1), "input_blocks.0.0.weight": torch.zeros(1)}, tmp_path / "g.pt")
    assert "is a checkpoint of k-diffusion" in run("k.safetensors")[2]
    assert "is a state dict of guided-diffusion" in run("g.pt")[2]


def test_a_model_for_the_command_line_is_asked_for_by_name(tmp_path):
    with pytest.raises(DataError, match="`designspace import` makes one from a checkpoint"):
        ds.Denoiser.model_validate({"name": "pretrained", "model": str(tmp_path / "none")}).require()
