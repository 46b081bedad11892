"""The training step: how much the host does besides the network, and what is prepared in another thread."""

import threading
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import designspace as ds
from designspace.data.images import Images
from designspace.training.batches import Batches
from designspace.training.loop import AHEAD, Trainer, in_advance
from designspace.training.ranks import ALONE
from designspace.training.recipe import Recipe
from designspace.training.state import Gradients, State

CPU = torch.device("cpu")
DATA = Images(torch.arange(3 * 8 * 8 * 40, dtype=torch.int64).remainder(251).to(torch.uint8).reshape(40, 3, 8, 8))
WAIT = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.masked_select.default,
}
"""Operations whose result the host needs, for which it waits until a GPU has computed it."""


class Deep(nn.Module):
    """A product with the sum of many parameters."""

    def __init__(self, parameters):
        super().__init__()
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(2)) for _ in range(parameters))
        self.register_buffer("running", torch.zeros(3))

    def forward(self, x, c_noise, labels=None, augment=None):
        return x * torch.cat(list(self.scales)).mean()


class Calls(TorchDispatchMode):
    """Counts operations other than views, and those for which the host waits."""

    def __init__(self):
        super().__init__()
        self.count, self.waits = 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.waits += func in WAIT
        self.count += not (func.is_view or func.namespace == "profiler")
        return func(*args, **(kwargs or {}))


def trainer_of(network, design="edm", augmentation=None, label_dropout=0.0, **fields):
    design = ds.Design.preset(design) if isinstance(design, str) else design
    recipe = Recipe(batch_size=16, warm_up=0, **fields)
    given = {"labelled": bool(label_dropout), "device": CPU, "label_dropout": label_dropout}
    data = Images(DATA.pixels, torch.arange(40) % 4) if label_dropout else DATA
    batches = Batches.of(data, design, augmentation, 0, 16, **given)
    return Trainer(State(network, recipe, CPU, design), design, batches), batches


def counted(parameters, **fields):
    """The operations of a step beside those of the network's forward and backward pass, and the waits of all."""
    network = Deep(parameters)
    trainer, batches = trainer_of(network, **fields)
    for step in range(3):
        trainer.step(batches(step, trainer.state.levels))
    drawn = batches.drawn(3)
    with Calls() as whole:
        trainer.step(batches.made(drawn, trainer.state.levels))
    with Calls() as alone:
        network(torch.ones(16, 3, 8, 8), torch.ones(16)).sum().backward()
    return whole.count - alone.count, whole.waits


def test_the_work_beside_the_network_does_not_grow_with_its_parameters():
    few, many = counted(2)[0], counted(60)[0]
    assert few == many
    assert few <= 40


ROWS = {"loss_weight": "uncertainty", "noise_distribution": "adaptive"}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"augmentation": ds.Augmentation.get("edm")(colour=0.5)},
        {"label_dropout": 0.5},
        {"ema": "power", "accumulate": 2, "channels_last": True},
        {"design": ds.Design.preset("edm", **ROWS), "stratified": True},
        {"design": "iddpm"},
    ],
    ids=str,
)
def test_a_step_waits_for_nothing(fields):
    assert counted(3, **fields)[1] == 0


def test_the_work_for_learned_rows_is_bounded():
    assert counted(3, design=ds.Design.preset("edm", **ROWS))[0] <= 110


# Gradients


def test_gradients_that_are_not_finite_are_replaced_and_missing_ones_stay():
    bad = [float("nan"), float("inf"), -float("inf"), 2e5]
    layers = nn.Linear(2, 2), nn.Conv2d(2, 3, 2).to(memory_format=torch.channels_last), nn.Linear(1, 4).double()
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    parameters[1].requires_grad_(False)
    for parameter in parameters[2:]:
        parameter.grad = torch.randn_like(parameter)
        parameter.grad.as_strided((3,), (1,)).copy_(torch.tensor(bad[:3]))
        parameter.grad.as_strided((1,), (1,), parameter.numel() - 1).fill_(bad[3])
    expected = [p.grad if p.grad is None else p.grad.nan_to_num(0.0, 1e5, -1e5) for p in parameters]
    gradients = Gradients(parameters)
    for _ in range(2):
        gradients.clean(ALONE)
    assert [p.grad is None for p in parameters] == [True, True, *[False] * 4]
    for parameter, want in list(zip(parameters, expected, strict=True))[2:]:
        assert torch.equal(parameter.grad, want)
        assert parameter.grad.stride() == parameter.stride()


# In advance


def test_batches_that_were_drawn_in_advance_train_the_same():
    (trainer, batches), (other, _) = (trainer_of(Deep(3), label_dropout=0.3, stratified=True) for _ in range(2))
    trainer.run(16 * 12, lambda progress: None, lambda: None)
    for step in range(12):
        other.step(batches(step))
    a, b = trainer.state.tensors(), other.state.tensors()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_drawing_in_advance_keeps_the_order_and_ends_with_the_block():
    asked = []

    def draw(step):
        asked.append((step, threading.current_thread()))
        if step == 20:
            raise ValueError("twenty")
        return SimpleNamespace(step=step)

    with in_advance(draw, range(30)) as coming:
        assert [next(coming).step for _ in range(5)] == list(range(5))
    assert len(asked) <= 5 + AHEAD
    assert {thread for _, thread in asked} & {threading.current_thread()} == set()
    assert not any(thread.is_alive() for _, thread in asked)
    with pytest.raises(ValueError, match="twenty"), in_advance(draw, range(20, 30)) as coming:
        next(coming)


def test_rows_of_users_are_called_by_the_main_thread():
    """They may draw from the global generators, whose state the network's own random numbers depend on."""
    threads = set()

    class Own(ds.NoiseDistribution, name="of_a_user"):
        """It remembers who calls it."""

        def from_uniform(self, u):
            threads.add(threading.current_thread())
            return (4 * u - 3).exp()

    try:
        trainer, _ = trainer_of(Deep(1), ds.Design.preset("edm", noise_distribution=Own()))
        trainer.run(64, lambda progress: None, lambda: None)
        assert threads == {threading.current_thread()}
    finally:
        ds.NoiseDistribution.known.pop("of_a_user")
