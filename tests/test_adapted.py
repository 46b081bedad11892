"""Networks of other people: adapted to F(x, c_noise, labels), or refused with a way out, when a spec is loaded."""

import json
import re
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import designspace as ds
from designspace.denoising.adapted import Adapted
from designspace.spec import SpecError, load

EDM = ds.Design.preset("edm")
NETS = """
import numpy as np
import torch
from types import SimpleNamespace
from torch import nn

class Plain(nn.Module):
    def forward(self, x, c_noise, labels=None):
        return x

class Two(nn.Module):
    def forward(self, x, t):
        return x

class Pair(nn.Module):
    def forward(self, x, c_noise, labels=None):
        return x, c_noise

class Output(nn.Module):
    def forward(self, x, c_noise, labels=None):
        return SimpleNamespace(sample=x, loss=c_noise)

class Table(nn.Module):
    def __init__(self, entries=1000):
        super().__init__()
        self.table = nn.Embedding(entries, 1)

    def forward(self, x, c_noise, labels=None):
        return x + self.table(c_noise)[:, :, None, None]

class Vector(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(10, 1)

    def forward(self, x, c_noise, labels):
        return x + self.linear(labels)[:, :, None, None]

class Text(nn.Module):
    def forward(self, x, t, text, mask, size):
        return x

class Infinite(nn.Module):
    def forward(self, x, c_noise, labels=None):
        return x / 0

class Narrow(nn.Module):
    def forward(self, x, c_noise, labels=None):
        return x[..., 1:]

class Whole(nn.Module):
    def forward(self, x, c_noise, labels=None):
        return x.int()

class Complex(nn.Module):
    def forward(self, x, c_noise, labels=None):
        return x + 1j

class Chance(nn.Module):
    def forward(self, x, c_noise, labels=None):
        return x + 1e-3 * np.random.default_rng().random()

class Classes(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 64)

    def forward(self, x, c_noise, labels):
        return x + self.table(labels)[:, :1, None, None]

class Index(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 1)

    def forward(self, x, c_noise, labels):
        return x + self.table(labels)[:, :, None, None]

class Misshapen(nn.Module):
    def forward(self, x, c_noise, labels=None):
        return x + torch.zeros(3)  # here

class Nothing(nn.Module):
    def forward(self, x, c_noise, labels=None):
        pass

class Refusing(nn.Module):
    def forward(self, x, c_noise, labels=None):
        raise ValueError("no")

class Broken(nn.Module):
    def forward(self, x, c_noise, labels=None):
        raise KeyError("weights")

def function():
    return lambda x, c_noise, labels: x

def leaves():
    raise SystemExit
"""


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Load a spec with a network of ``NETS``, given by the fields of ``network: module``."""
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "nets.py").write_text(NETS)

    def spec(name, design="edm", of_images="none", **fields):
        network = {"name": "module", "factory": f"./nets.py:{name}", **fields}
        evaluate = {"images": 20, "detector": "pixels", "metrics": ["frechet"], "labels": of_images}
        text = {"data": "digits", "denoiser": {"name": "preconditioned", "network": network}, "design": design}
        (tmp_path / "a.yaml").write_text(json.dumps(text | {"num_steps": 3, "evaluate": evaluate}))
        return load(tmp_path / "a.yaml")

    return spec


ADAPTED = {
    "plain": ("Plain", {}),
    "two arguments": ("Two", {"labels": "none"}),
    "an index": ("Pair", {"output": 0}),
    "an attribute": ("Output", {"output": "sample"}),
    "whole numbers": ("Table", {"design": "ddpm", "noise": "int"}),
    "no class": ("Vector", {"labels": "one_hot"}),
}


@pytest.mark.parametrize(("name", "fields"), ADAPTED.values(), ids=ADAPTED)
def test_fields_adapt_a_network(name, fields, spec):
    (trial,) = spec(name, **fields).trials()
    assert trial.denoiser.network.build((1, 8, 8), 10).training is False


REFUSED = {
    "two arguments": ("Two", {}, "the network takes x, t, but no labels: set `labels: none` of network module"),
    "a pair": (
        "Pair",
        {},
        "the network returns a tuple (0: tensor [2, 1, 8, 8], 1: tensor [2]), not a tensor: set `output: 0`",
    ),
    "an object": (
        "Output",
        {},
        "the network returns an object of SimpleNamespace (sample: tensor [2, 1, 8, 8], loss: tensor [2])",
    ),
    "no such part": ("Output", {"output": "x"}, "which has no part 'x': use `output: sample` or `output: loss`"),
    "nothing": ("Nothing", {"output": 0}, "returns None, which has no part 0: it must return a tensor of the shape"),
    "no parts": (
        "Plain",
        {"output": 5},
        "the network returns a tensor [2, 1, 8, 8], which has no part 5: leave out `output`",
    ),
    "a table": ("Table", {}, "the network looks c_noise up in a table, which takes integers: set `noise: int`"),
    "no whole numbers": ("Table", {"noise": "int"}, "`noise: int` needs whole numbers, but c_noise 'edm' gives"),
    "a short table": (
        "Table",
        {"design": "ddpm", "noise": "int", "kwargs": {"entries": 500}},
        "a table of the network has too few entries: c_noise is up to 9",
    ),
    "no labels": ("Vector", {}, "the network fails without labels (TypeError: linear(): argument 'input'"),
    "more arguments": ("Text", {}, "the network takes x, t, text, mask, size; it is called as F(x, c_noise, labels)"),
    "not finite": ("Infinite", {}, "the network gives NaN or infinity for noise at sigma = 0.002"),
    "another shape": ("Narrow", {}, "the network returns [2, 1, 8, 7] for an input [2, 1, 8, 8]"),
    "whole numbers": ("Whole", {}, "the network returns numbers of type int32; it must return floating-point numbers"),
    "complex numbers": ("Complex", {}, "the network returns numbers of type complex64"),
    "chance": ("Chance", {}, "the network gives other numbers when it is called again: a random generator, such as"),
    "a table of classes": ("Classes", {"labels": "one_hot"}, "the network looks its labels or c_noise up in a table"),
    "labels that it does not get": (
        "Two",
        {"labels": "none", "of_images": "balanced"},
        "`labels: none` of network module keeps the labels from the network, but the run has some",
    ),
    "an exception": ("Broken", {}, "): KeyError: 'weights'"),
    "a ValueError": ("Refusing", {}, "): ValueError: no"),
    "another width": (
        "Misshapen",
        {},
        f"nets.py:{NETS[: NETS.index('# here')].count(chr(10)) + 1}): RuntimeError: The size of tensor a (8) must match"
        " the size of tensor b (3) at non-singleton dimension 3; called as F(x [2, 1, 8, 8], c_noise [2], labels None)",
    ),
    "an exit": ("leaves", {}, "would end the whole run: raise another exception"),
}


@pytest.mark.parametrize(("name", "fields", "message"), REFUSED.values(), ids=REFUSED)
def test_a_network_that_cannot_be_used_is_refused_where_it_is_named(name, fields, message, spec, tmp_path):
    with pytest.raises(SpecError) as error:
        spec(name, **fields)
    (line,) = error.value.lines
    assert message in line
    assert re.match(rf"{tmp_path}/a.yaml:1:\d+: denoiser.network: ", line)


def test_a_network_is_called_with_labels_if_the_run_has_labels(spec):
    assert spec("Index", of_images="balanced").trials()
    with pytest.raises(SpecError, match=r"fails without labels .* set `labels: balanced` of evaluate"):
        spec("Index")


def test_labels_are_vectors_or_indices(spec):
    with pytest.raises(SpecError, match="computes with its labels, which are int64: set `labels: one_hot`"):
        spec("Vector", "edm", "balanced")


def test_the_ids_of_networks_that_need_no_fields_stay(spec):
    one, same, other = (spec("Pair", output=0, **more).trials()[0] for more in ({}, {"labels": "index"}, {"seed": 1}))
    assert one.id == same.id != other.id
    assert set(spec("Plain").trials()[0].denoiser.network.identity()) == {
        "name", "version", "factory", "kwargs", "weights", "shape",
    }  # fmt: skip


def test_one_hot_vectors_are_zero_without_a_class():
    seen = []

    class Net(nn.Module):
        def forward(self, x, c_noise, labels):
            seen.append((c_noise, labels))
            return x

    adapted = Adapted(Net(), noise="int", labels="one_hot", classes=3)
    x, c_noise = torch.zeros(2, 1, 4, 4), torch.tensor([3.0, 998.99])
    adapted(x, c_noise, torch.tensor([2, -1]))
    adapted(x, c_noise)
    assert [level.tolist() for level, _ in seen] == [[3, 999]] * 2
    assert [labels.tolist() for _, labels in seen] == [[[0, 0, 1], [0, 0, 0]], [[0, 0, 0]] * 2]


WAYS = {
    "tuple": lambda x, c_noise, labels: (x,),
    "object": lambda x, c_noise, labels: SimpleNamespace(sample=x),
    "mapping": lambda x, c_noise, labels: {"sample": x},
}


@pytest.mark.parametrize("network", WAYS.values(), ids=WAYS)
def test_a_tensor_that_is_alone_is_taken(network):
    x = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = ds.sample(EDM, ds.precondition(lambda x, c_noise, labels: x, EDM), x, num_steps=3).x
    assert torch.equal(ds.sample(EDM, ds.precondition(network, EDM), x, num_steps=3).x, expected)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            lambda x, c_noise, labels: (x, x),
            r"returns a tuple .*, not a tensor: .* lambda \*args: network\(\*args\)\[0\]",
        ),
        (lambda x, c_noise, labels: {"eps": x}, r"returns a dict \(eps: tensor \[2, 1, 4, 4\]\), .*\['eps'\]"),
        (
            lambda x, c_noise, labels: None,
            "returns None, not a tensor: it must return a tensor of the shape of x",
        ),
        (lambda x, c_noise: x, r"takes x, c_noise, but no labels: .* lambda x, c_noise, labels: network\(x, c_noise\)"),
    ],
)
def test_a_function_that_gives_something_else_says_what_to_do(network, message):
    with pytest.raises(ValueError, match=message):
        ds.sample(EDM, ds.precondition(network, EDM), torch.zeros(2, 1, 4, 4), num_steps=3)


def test_errors_inside_a_network_stay_what_they_are():
    def network(x, c_noise, labels):
        return x + torch.zeros(3)

    with pytest.raises(RuntimeError, match="size of tensor"):
        ds.precondition(network, EDM)(torch.zeros(2, 1, 4, 4), torch.tensor(1.0))


def test_a_factory_that_gives_a_function_is_told_to_give_a_module(spec):
    with pytest.raises(
        SpecError, match=r"gives a function, not a torch.nn.Module: let it return a Module whose forward"
    ):
        spec("function")
