"""The page for users of other tools: what it says to type runs, and gives what the other tool gives."""

import ast
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML

diffusers = pytest.importorskip("diffusers")

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "make"))

from blocks import blocks, run

import designspace as ds
from designspace.data.rows import Data
from designspace.registry.known import ROWS
from designspace.spec import Ablation

GOLDEN = ROOT / "tests" / "data" / "import"
PAGE = (ROOT / "docs" / "coming_from.md").read_text("utf-8")
TABLE = PAGE.partition("<!-- compared with diffusers by the tests -->")[2]
SCHEDULERS = re.findall(r"^\| `(\w+\(.*\))` \| `(\{.*\})` \|$", TABLE, re.M)
MEANS = torch.tensor([[0.4, -0.6, 0.2, 0.1], [-0.5, 0.3, -0.2, 0.6]], dtype=torch.float64)


def D(x, sigma):
    """The ideal denoiser of two peaks."""
    sigma = torch.as_tensor(sigma, dtype=torch.float64)
    total = 0.01 + sigma**2
    weights = (-((x[:, None] - MEANS) ** 2).sum(-1) / (2 * total)).softmax(1)
    return ((0.01 * x[:, None] + sigma**2 * MEANS) / total * weights[..., None]).sum(1)


def made(call):
    """The scheduler of a call such as ``DDIMScheduler(clip_sample=False)``."""
    parsed = ast.parse(call, mode="eval").body
    return getattr(diffusers, parsed.func.id)(**{one.arg: ast.literal_eval(one.value) for one in parsed.keywords})


def level(scheduler, t):
    """The noise level of the next evaluation."""
    if not hasattr(scheduler, "sigmas"):
        alpha_bar = scheduler.alphas_cumprod[t].double()
        return ((1 - alpha_bar) / alpha_bar).sqrt()
    within_a_step = hasattr(scheduler, "sigmas_interpol") and not scheduler.state_in_first_order
    sigmas = scheduler.sigmas_interpol if within_a_step else scheduler.sigmas
    return sigmas[scheduler.step_index or 0].double()


def of_flow(scheduler, z):
    for i, t in enumerate(scheduler.timesteps):
        time = scheduler.sigmas[i].double()
        sigma = (time / (1 - time)).clamp(max=4096)
        z = scheduler.step((z - D(z * (1 + sigma), sigma)) * (1 + sigma) / sigma, t, z).prev_sample
    return z


def of_diffusers(call, latents, steps):
    """Its samples, with the ideal output of its network."""
    scheduler = made(call)
    scheduler.set_timesteps(steps)
    if call.startswith("FlowMatch"):
        return of_flow(scheduler, latents)
    first, edm = level(scheduler, scheduler.timesteps[0]), call.startswith("EDM")
    preserving = scheduler.init_noise_sigma == 1
    z = latents * first / ((1 + first**2).sqrt() if preserving else 1)
    for t in scheduler.timesteps:
        sigma = level(scheduler, t)
        x = z if edm else scheduler.scale_model_input(z, t) * (1 + sigma**2).sqrt()
        noise = (x - D(x, sigma)) / sigma
        output = (D(x, sigma) - 0.25 * x / (sigma**2 + 0.25)) * 2 * (sigma**2 + 0.25).sqrt() / sigma if edm else noise
        z = scheduler.step(output, t, z).prev_sample
    return z


def test_the_table_has_the_schedulers_that_people_use():
    names = {call.partition("(")[0].removesuffix("Scheduler") for call, _ in SCHEDULERS}
    assert len(SCHEDULERS) == 24
    assert {"DDIM", "DDPM", "EulerDiscrete", "DPMSolverMultistep", "UniPCMultistep", "FlowMatchEulerDiscrete"} <= names


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("steps", [10, 20])
@pytest.mark.parametrize(
    ("call", "rows"), SCHEDULERS, ids=[f"{i}-{call[:60]}" for i, (call, _) in enumerate(SCHEDULERS)]
)
def test_the_rows_of_a_scheduler_give_its_samples(call, rows, steps, monkeypatch):
    module = sys.modules[type(made(call)).__module__]
    monkeypatch.setattr(module, "randn_tensor", lambda shape, dtype=None, **_: torch.zeros(shape, dtype=dtype), False)
    latents = torch.randn(16, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    design = ds.Design.preset("edm", **YAML(typ="safe").load(rows))
    ours = ds.sample(design, D, latents, steps, noise=lambda step, draw: torch.zeros_like(latents)).x
    theirs = of_diffusers(call, latents, steps)
    assert ((ours - theirs).abs().max() / ours.std()).item() < 5e-4


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden networks are not part of the source distribution")
def test_the_blocks_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["write_pickle.py", str(GOLDEN / "edm-adm-cond.json"), "edm.pkl"])
    runpy.run_path(str(GOLDEN / "write_pickle.py"), run_name="__main__")
    np.savez("statistics.npz", mu=np.zeros(768), sigma=np.eye(768))
    for label in "ab":
        Path("images", label).mkdir(parents=True)
        Image.new("RGB", (40, 32)).save(f"images/{label}/0.png")
    elsewhere = ("inception", "--device cuda")  # they need a file of weights or a GPU
    for block in blocks(PAGE):
        if not any(word in block.text for word in elsewhere):
            run(block._replace(text=block.text.replace("--workers 2", "--workers 1")))
        elif "check" in block.text:
            run(block._replace(text=block.text.partition("\n")[0]))
    ran = {path.parent.name for path in Path("reports").glob("*/results.jsonl")}
    assert ran == {"generate", "dpmpp", "grid"}
    assert "a race has 2 stages" in capsys.readouterr().out


LAST = [line.rstrip(" |").rpartition(" | ")[2] for line in PAGE.splitlines() if line.startswith("| ")]
CELLS = [cell for last in LAST for cell in re.findall(r"`([\w.]+: [^`]*)`", last) if "..." not in cell]


@pytest.mark.parametrize("cell", CELLS)
def test_the_fields_of_the_tables_exist(cell):
    """Each cell such as ``solver: heun`` is a setting of a design, of the denoiser ``trained`` or of an ablation."""
    settings = YAML(typ="safe").load(cell)
    trained = ds.Denoiser.get("trained")
    for name, value in settings.items():
        if name in ds.Design.model_fields:
            ds.Design.preset("edm", **{name: value})
        elif name in trained.model_fields:
            trained.model_validate({"network": "edm"} | {name: value})
        elif name == "data":
            Data.model_validate(value)
        elif name == "design":
            ds.Design.preset(value) if isinstance(value, str) else ds.Design.preset(**value)
        elif name == "time_steps.rho":
            assert "rho" in ROWS["time_steps"].known["edm"].model_fields
        else:
            assert name in {*Ablation.model_fields, "nfe", "metrics"}
