"""float32 means float32, unless the precision of a network says otherwise."""

import pytest
import torch
from pipeline import write_spec

from designspace.data.rows import Data
from designspace.denoising.preconditioned import Preconditioned
from designspace.denoising.rows import Denoiser
from designspace.design import Design
from designspace.registry.float32 import FLOAT32, full_float32, tf32
from designspace.registry.isolation import isolated, settings_kept
from designspace.report.study import Study
from designspace.report.write import write
from designspace.run.run import run
from designspace.spec import load
from designspace.training.checkpoints import trained

CPU = torch.device("cpu")
ROUNDS = {
    "PyTorch's default": lambda: None,
    "older interface": lambda: torch.set_float32_matmul_precision("high"),
    "newer interface": lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
    "all at once": lambda: setattr(torch.backends, "fp32_precision", "tf32"),
    "convolutions only": lambda: setattr(torch.backends.cudnn.conv, "fp32_precision", "ieee"),
}


def settings():
    return [get() for get, _ in FLOAT32]


def state():
    """Whether products and convolutions are rounded to TF32, by both interfaces of PyTorch."""
    backends = torch.backends
    newer = [each.fp32_precision for each in (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)]
    older = [backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32]
    assert {one == "tf32" for one in newer} == set(older)
    return older[0]


@pytest.mark.parametrize("before", ROUNDS)
def test_stages_compute_float32_in_full_and_restore_what_was_set(before):
    with settings_kept():
        ROUNDS[before]()
        found = settings()
        for full in (full_float32(), isolated(CPU, "stage")):
            with full:
                assert not state()
                with tf32():
                    assert state()
                assert not state()
            assert settings() == found


class Watching(torch.nn.Module):
    """A network that notes how it is called."""

    def __init__(self):
        super().__init__()
        self.layer, self.seen = torch.nn.Linear(3, 3), []

    def forward(self, x, c_noise, labels):
        out = self.layer(x)
        cast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu")
        self.seen.append((out.dtype, cast))
        return out


@pytest.mark.parametrize(
    ("precision", "dtype", "error"),
    [("float32", torch.float32, 0), ("tf32", torch.float32, 0), ("bf16", torch.bfloat16, 2e-2)],
)
def test_the_network_alone_is_evaluated_in_the_precision(precision, dtype, error):
    network, design = Watching(), Design.preset("edm")
    x = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)
    with torch.no_grad():
        exact, found = (Preconditioned(network, design, precision=p)(x, 0.5) for p in ("float32", precision))
    assert network.seen[1] == (dtype, dtype if error else False)
    assert found.dtype == torch.float64
    gap = (found - exact).abs().max()
    assert gap <= error * exact.abs().max()
    assert (gap > 0) == (error > 0)
    assert not torch.is_autocast_enabled("cpu")


def trained_in(sampling, **fields):
    network = {"name": "mlp", "width": 8}
    return Denoiser.get("trained")(
        network=network, training_images=64, batch_size=32, sampling_precision=sampling, **fields
    )


def test_the_precision_belongs_to_the_identity_unless_it_is_float32():
    of = {name: Denoiser.get("pretrained")(model="digits", precision=name) for name in ("float32", "tf32", "bf16")}
    assert of["float32"].identity() == Denoiser.get("pretrained")(model="digits").identity()
    assert "precision" not in of["float32"].identity()
    assert of["bf16"].identity() == of["float32"].identity() | {"precision": "bf16"}
    assert of["bf16"].load(Data.get("digits")().load(), Design.preset("edm"), CPU).bind()._precision == "bf16"
    assert trained_in("tf32").identity() == trained_in("float32").identity() | {"sampling_precision": "tf32"}


def test_denoisers_of_several_precisions_share_a_training(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    data, design = Data.get("digits")().load(), Design.preset("edm")
    plans = [trained_in(precision).plan(data, design) for precision in ("float32", "bf16")]
    assert plans[0].key == plans[1].key
    assert plans[0].key != trained_in("bf16", precision="bf16").plan(data, design).key
    assert plans[0].spec == plans[1].spec
    denoisers = [trained_in(precision).load(data, design, CPU) for precision in ("float32", "bf16")]
    assert [denoiser.precision for denoiser in denoisers] == ["float32", "bf16"]
    assert trained(plans[0], 64, CPU).step == 2


def test_reports_name_the_precision(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    given = {"data": "digits", "components": [], "denoiser": {"name": "pretrained", "model": "digits"}, "grid": {}}
    given |= {"evaluate": {"images": 20, "detector": "pixels", "metrics": ["frechet"]}, "num_steps": 2}
    for precision, text in (("float32", "evaluated in"), ("bf16", ", networks evaluated in bf16")):
        ablation = load(write_spec(tmp_path, **given), [f"denoiser.precision={precision}"])
        results = run(ablation, out=tmp_path / precision, progress=False)
        write(Study(results.folder))
        assert (text in (results.folder / "table.md").read_text()) == (precision == "bf16")
