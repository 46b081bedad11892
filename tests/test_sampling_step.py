"""What the host does per step of sampling beside the network, and that it never waits for the device.

The samples are on PyTorch's device ``meta``, whose tensors have no values: whatever the host would have to wait for on
a GPU, such as ``item``, a comparison of tensors or a copy to the host, is an error there.
"""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import designspace as ds
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.errors import IdleWarning

META, SHAPE, BATCH = torch.device("meta"), (1, 8, 8), 4
COPIES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
ITEM = torch.ops.aten._local_scalar_dense.default
WAIT = {torch.ops.aten.equal.default, ITEM}


class Calls(TorchDispatchMode):
    """Counts operations other than views: those on the device, those on the host, and copies that wait."""

    def __init__(self):
        super().__init__()
        self.device = self.host = self.waits = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        on = {tensor.device.type for tensor in tree_leaves((args, kwargs, out)) if isinstance(tensor, torch.Tensor)}
        if not (func.is_view or func.namespace == "profiler"):
            self.device += "meta" in on
            self.host += "meta" not in on
        moved = func in COPIES and isinstance(out, torch.Tensor) and out.is_meta and not args[-1].is_meta
        self.waits += moved and not (kwargs or {}).get("non_blocking", args[-1] is True)
        return out


class Small(nn.Module):
    """A convolution, with the noise level and the class as biases."""

    def __init__(self):
        super().__init__()
        self.mix, self.classes = nn.Conv2d(1, 1, 3, padding=1), nn.Embedding(3, 1)

    def forward(self, x, c_noise, labels=None):
        bias = c_noise[:, None] if labels is None else c_noise[:, None] + self.classes(labels.clamp(min=0))
        return self.mix(x) + bias[..., None, None]


@pytest.fixture(scope="module")
def network():
    return Small().to(META)


def counted(network, num_steps, preset="edm", **rows):
    """The evaluations and the operations of a run, with those of its calls of the bare network taken off."""
    design = ds.Design.preset(preset, **rows)
    D = PreconditionedNetwork(network, design, SHAPE).bind(None)
    with Calls() as whole:
        nfe = ds.sample(design, D, torch.zeros(BATCH, *SHAPE, device=META), num_steps).nfe
    x, c_noise = torch.zeros(BATCH, *SHAPE, device=META), torch.zeros(BATCH, device=META)
    with Calls() as alone:
        network(x, c_noise, None)
    return nfe, whole.device - nfe * alone.device, whole.host, whole.waits


CHURN = {"stochasticity": {"name": "churn", "S_churn": 40}}


@pytest.mark.parametrize(
    ("rows", "evaluations", "device", "host"),
    [
        ({}, 2, 14, 34),  # of which 5 per evaluation are Eq. 7: the input, its two terms, their sum and c_noise
        (CHURN, 2, 16, 36),
        ({"solver": "dpmpp_2m"}, 1, 8, 17),
        ({"solver": "dpmpp_2m_sde"}, 1, 10, 20),
        ({"solver": "euler_ancestral"}, 1, 8, 20),
        ({"preset": "vp"}, 1, 8, 17),
        ({"preset": "iddpm"}, 1, 8, 22),
    ],
    ids=str,
)
def test_a_step_waits_for_nothing_and_adds_few_operations(network, rows, evaluations, device, host):
    fewer, more = counted(network, 6, **rows), counted(network, 7, **rows)
    assert more[0] - fewer[0] == evaluations
    assert more[1] - fewer[1] <= device
    assert more[2] - fewer[2] <= host
    assert more[3] == fewer[3] == 0


@pytest.mark.parametrize("guidance", ["cfg", "apg", "cfg_zero", "interval", "rescale"])
def test_guidance_waits_for_nothing(network, guidance):
    design = ds.Design.preset("edm")
    guided = ds.Guidance.model_validate(guidance).wrap(PreconditionedNetwork(network, design, SHAPE))
    D = guided.bind(torch.zeros(BATCH, dtype=torch.int64, device=META))
    with Calls() as calls:
        assert ds.sample(design, D, torch.zeros(BATCH, *SHAPE, device=META), 5).nfe == 9
    assert calls.waits == 0


def test_levels_that_fall_together_are_looked_at_once_at_the_end():
    """Whether a step between equal levels has moved the samples is known on the device, and read after the last."""

    class Reads(TorchDispatchMode):
        """After how many evaluations bools are read or compared."""

        def __init__(self):
            super().__init__()
            self.after = []

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func in WAIT and (func is not ITEM or args[0].dtype == torch.bool):
                self.after.append(len(evaluated))
            return func(*args, **(kwargs or {}))

    class Coarse:
        """It knows three levels."""

        def round_sigma(self, sigma):
            levels = torch.tensor([0.1, 1.0, 80.0], dtype=torch.float64)
            return levels[(sigma[..., None] - levels).abs().argmin(-1)]

        def __call__(self, x, sigma):
            evaluated.append(sigma)
            return x / 2

    evaluated = []
    with Reads() as reads, pytest.warns(IdleWarning, match="9 of 12 levels fall together .* 9 of 12 evaluations"):
        out = ds.sample(ds.Design.preset("edm", solver="euler"), Coarse(), torch.ones(2, 3), 12)
    assert out.nfe_idle == 9
    assert reads.after.count(12) >= 9
    assert set(reads.after) <= {0, 12}
