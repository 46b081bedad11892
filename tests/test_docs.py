"""The pages under docs: their commands run, and their numbers are those of the reports."""

import doctest
import importlib
import json
import os
import random
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import typer
from diffusers import AutoencoderKL
from PIL import Image
from ruamel.yaml import YAML
from safetensors.torch import save_file

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "make"))

import api
import hooks
import mathml
import notebook
import readme
import rows
import rst
import tutorial
from blocks import blocks, run

import designspace
from designspace.cli.app import app
from designspace.cli.tune import race_result
from designspace.data.rows import Data
from designspace.errors import DataError
from designspace.evaluation.measure import Sample
from designspace.evaluation.rows import Detector
from designspace.registry.known import ROWS
from designspace.results.search import read_search
from designspace.results.store import Results
from designspace.run.trackers import Tracker
from designspace.spec import Ablation, SpecError, load
from designspace.testing import checks
from designspace.text import measured

BUILT_IN = [cls for kind in ROWS.values() for cls in kind.known.values() if cls.__module__.startswith("designspace.")]
PAGES = {path.stem: path.read_text("utf-8") for path in DOCS.glob("*.md")}


def blocks_of_all(page):
    return list(blocks(PAGES[page]))


def blocks_of(page, language):
    return [block for block in blocks_of_all(page) if block.language == language]


def wrong_with(path):
    try:
        load(path)
    except SpecError as error:
        return error.lines
    return []


def test_the_first_steps_run(tmp_path):
    environment = os.environ | {"DESIGNSPACE_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(DOCS / "make" / "blocks.py"), str(DOCS / "first_steps.md")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    reports = {f"reports/{name}/table.md" for name in ("toy", "digits", "mine")}
    assert reports | {"reports/toy/walks.png", "figures/rows_time_steps.png", "reports/digits/claims.md"} <= written
    run = [
        " ".join(["$ designspace", *words[1:]])
        for block in blocks_of("first_steps", "console")
        for words in block.commands
    ]
    assert [line.strip() for line in done.stdout.splitlines() if line.startswith("$ ")] == run


def test_the_tutorial_runs_and_its_figures_are_the_committed_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    page = PAGES["tutorial"]
    found = tutorial.drawn(tmp_path)
    shown = re.findall(r"!\[.+?\]\(tutorial/(\w+\.png)\)", page)
    assert sorted(found) == sorted(shown) == sorted(path.name for path in tutorial.FIGURES.iterdir())
    for name, image in found.items():
        assert (tutorial.FIGURES / name).stat().st_size < 150_000
        drawn, kept = (
            np.asarray(im.convert("RGB"), dtype=float) for im in (image, Image.open(tutorial.FIGURES / name))
        )
        assert drawn.shape == kept.shape
        assert np.abs(drawn - kept).mean() < 2
    assert (tmp_path / "practices" / "best.md").is_file()


def test_the_reports_of_the_tutorial_are_of_ablations_that_come_with_the_package():
    named = re.findall(r"\"reports/(\w+)\"", PAGES["tutorial"])
    assert len(named) >= 7
    assert [name for name in named if not (ROOT / "ablations" / f"{name}.yaml").is_file()] == []


def test_the_component_of_the_readme_is_the_example_that_is_included():
    example = (ROOT / "ablations" / "examples" / "sinh.py").read_text("utf-8")
    (shown,) = (b.text for b in blocks(readme.README.read_text("utf-8")) if b.text.startswith("# sinh.py\n"))
    (built,) = (block.text for block in blocks_of_all("first_steps") if block.file == "sinh.py")
    assert shown.removeprefix("# sinh.py\n") == built == example


@pytest.mark.parametrize(
    "page", [readme.README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))], ids=lambda p: p.stem
)
def test_links_and_pictures_exist_in_the_repository(page):
    """People read the pages where the repository is hosted, without the pages that mkdocs makes of it."""
    text = re.sub(r"^(`{3,}).*?^\1", "", page.read_text("utf-8"), flags=re.M | re.S)
    targets = [a or b for a, b in re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", text)]
    files = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    assert [name for name in files if not (page.parent / name).exists()] == []


@pytest.mark.parametrize(
    ("written", "on_the_site"),
    [
        ("[deis](../components/solver/deis.py)", "[deis](rows/solver.md#deis)"),
        ("[all](../components/solver/) and [rows](../components/)", "[all](rows/solver.md) and [rows](rows/index.md)"),
        ("[the API](../designspace/run/trackers.py)", "[the API](api.md)"),
        ("![](../reports/solver_grid/samples.png)", "![](reports/solver_grid/samples.png)"),
        ("[notebook](notebook.ipynb), [tune](tune.md)", "[notebook](notebook.md), [tune](tune.md)"),
    ],
)
def test_the_site_has_pages_in_place_of_files_of_the_repository(written, on_the_site):
    assert hooks.on_page_markdown(written) == on_the_site


@pytest.mark.parametrize("page", ["README", *PAGES])
def test_code_fits_the_page(page):
    text = PAGES.get(page) or readme.README.read_text("utf-8")
    lines = [line for block in blocks(text) for line in block.text.splitlines()]
    allowed = 170 if page == "clusters" else 98  # of the output of commands
    assert [line for line in lines if len(line) > allowed] == []


LEAST = {
    "index": 0,
    "first_steps": 16,
    "tutorial": 3,
    "coming_from": 9,
    "bring_your_model": 7,
    "recipes": 14,
    "clusters": 3,
    "tune": 4,
    "best": 1,
    "guidance": 4,
    "detectors": 1,
    "error_bars": 0,
    "security": 1,
    "tracking": 8,
}
"""The least number of commands on each page."""


def test_the_commands_of_all_pages_are_tested():
    assert set(LEAST) == set(PAGES)


@pytest.mark.parametrize(("page", "least"), LEAST.items())
def test_commands_and_their_options_exist(page, least):
    root, seen = typer.main.get_command(app), 0
    for block in blocks_of(page, "console"):
        for program, *words in block.commands:
            if program == "designspace":
                command = root
                while hasattr(command, "commands"):
                    command = command.commands[words.pop(0)]
                command.make_context("designspace", words)
                seen += 1
    assert seen >= least


def shown(cell):
    """What a cell shows, as text: without pictures."""
    return ["".join(out.get("text") or out["data"].get("text/plain", "")) for out in cell.get("outputs", [])]


def test_the_notebook_runs_and_shows_what_its_page_says(tmp_path):
    copy = shutil.copy(DOCS / "notebook.ipynb", tmp_path)
    environment = os.environ | {"DESIGNSPACE_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(DOCS / "make" / "notebook.py"), copy]
    environment["MPLBACKEND"] = "Agg"
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    number = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")
    pairs = list(zip(notebook.cells(DOCS / "notebook.ipynb"), notebook.cells(Path(copy)), strict=True))
    for committed, now in pairs:
        assert len(shown(now)) == len(shown(committed))
        for a, b in zip(shown(committed), shown(now), strict=True):
            assert re.split(r"\s+", number.sub("#", b)) == re.split(r"\s+", number.sub("#", a))
            assert [*map(float, number.findall(b))] == pytest.approx([*map(float, number.findall(a))], rel=0.02)
    assert sum(bool(shown(cell)) for cell, _ in pairs) == 8
    assert len(list((tmp_path / "reports" / "solvers").glob("*.png"))) >= 3
    text, pictures = notebook.page(Path(copy))
    assert list(pictures) == ["notebook_1.png"]
    assert pictures["notebook_1.png"].startswith(b"\x89PNG")
    assert "![What the cell draws](notebook_1.png)" in text
    assert text.count("<table>") == 4
    assert "```python\nresults.compare({" in text


NETWORK = """
import torch


class Net(torch.nn.Conv2d):
    def forward(self, x, c_noise, labels=None):
        return super().forward(x)


def make():
    return Net(3, 3, 1)
"""


@pytest.fixture
def the_readers_files(tmp_path, monkeypatch):
    """The files that the recipes assume: images, a network, its weights, and statistics."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    for k in (0, 1):
        Image.new("RGB", (32, 32), (100 * k, 0, 0)).save(tmp_path / "images" / f"{k}.png")
    (tmp_path / "my_model.py").write_text(NETWORK)
    (tmp_path / "my_latents.py").write_text(NETWORK.replace("3, 3", "4, 4"))
    AutoencoderKL(block_out_channels=(8, 8), norm_num_groups=4).save_pretrained(tmp_path / "vae")
    save_file(torch.nn.Conv2d(3, 3, 1).state_dict(), tmp_path / "weights.safetensors")
    np.savez(tmp_path / "cifar10-32x32.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    return tmp_path


def test_recipes_are_ablations_that_load(the_readers_files):
    """With these files, only the network of the detector ``inception`` may be missing."""
    found = blocks_of("recipes", "yaml")
    assert len(found) == 9
    for block in found:
        Ablation.model_validate({"name": "recipe"} | YAML(typ="safe").load(block.text))
        (the_readers_files / "recipe.yaml").write_text(block.text)
        lines = wrong_with(the_readers_files / "recipe.yaml")
        missing = (
            r"/recipe\.yaml:\d+:\d+: evaluate\.detector: detector inception needs inception-2015-12-05\.pt, and there"
        )
        assert [line for line in lines if not re.search(missing, line)] == []
        assert len(lines) <= ("inception" in block.text)


def test_recipes_in_python_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "reports").symlink_to(ROOT / "reports")
    found = blocks_of("recipes", "python")
    assert len(found) == 5
    for block in found:
        run(block)
    names = {"solvers.pdf", "both.pdf", "training.pdf", "time_steps.pdf"}
    assert {file.name for file in tmp_path.glob("*.pdf")} == names
    try:
        norm = importlib.import_module("norm").Norm()
        assert norm.measure(Sample(torch.tensor([[3.0, 4.0], [0.0, 1.0]])), Sample(torch.zeros(2, 2))).value == 3
        called = [check() for check in checks(norm)]
        assert len(called) > 1
    finally:
        ROWS["metric"].known.pop("norm")


GOLDEN = ROOT / "tests" / "data" / "import"


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden networks are not part of the source distribution")
def test_bring_your_model_runs(tmp_path, monkeypatch, capsys):
    """With a checkpoint, a folder of diffusers, weights and statistics where the page has them."""
    diffusers = pytest.importorskip("diffusers")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["write_pickle.py", str(GOLDEN / "edm-adm-cond.json"), "edm.pkl"])
    runpy.run_path(str(GOLDEN / "write_pickle.py"), run_name="__main__")
    parts = {"block_out_channels": (8, 8), "down_block_types": ("DownBlock2D",) * 2, "norm_num_groups": 4}
    unet = diffusers.UNet2DModel(sample_size=8, layers_per_block=1, up_block_types=("UpBlock2D",) * 2, **parts)
    diffusers.DDPMPipeline(unet=unet, scheduler=diffusers.DDPMScheduler()).save_pretrained("pipe")
    first, last = torch.nn.Conv2d(2, 8, 3, padding=1), torch.nn.Conv2d(8, 1, 3, padding=1)
    torch.save({"ema": torch.nn.ModuleDict({"first": first, "last": last}).state_dict()}, "weights.pt")
    for name, d in (("statistics", 768), ("small", 192)):
        np.savez(f"{name}.npz", mu=np.zeros(d), sigma=np.eye(d))
    found = [block for block in blocks_of_all("bring_your_model") if "./vae" not in block.text]
    assert len(found) == 15
    for block in found:
        run(block)
    said = capsys.readouterr().out
    assert "nothing in the file was executed; NVIDIA's weights: CC BY-NC-SA 4.0" in said
    assert said.count(": 2 points, 2 trials") == 5
    assert {path.parent.name for path in (tmp_path / "reports").glob("*/results.jsonl")} == {"edm", "function"}


def test_the_page_on_detectors_runs_except_what_needs_a_download(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    for block in blocks_of_all("detectors"):
        run(block)
    found = Path("reports/mine/results.jsonl").read_text("utf-8")
    assert set(json.loads(found)["metrics"]) == {"frechet", "cmmd", "vendi"}
    spec = Path("detectors.yaml").read_text("utf-8")
    Path("detectors.yaml").write_text(spec.replace("grid:\n  evaluate.detector: [lite0, xfeat]\n", ""), "utf-8")
    assert wrong_with("detectors.yaml") == []  # xfeat may not be installed
    for name in ("dinov2", "clip_vitl14_336"):
        with pytest.raises(DataError, match=f"network: there is no .*/{name}.*: export .* documentation says$"):
            Detector.model_validate({"name": "file", "path": name.replace("dinov2", "dinov2_vitl14")}).require()
    for name in ("dinov2.yaml", "cmmd.yaml"):
        (line,) = wrong_with_rest(name)
        assert re.search(r"evaluate\.detector.*: network: there is no", line)


def wrong_with_rest(name):
    """The errors of a block that has only a section ``evaluate``, in an ablation of the digits."""
    text = "data: digits\ndenoiser: exact\ndesign: edm\ngrid: {nfe: [5]}\n" + Path(name).read_text("utf-8")
    Path(name).write_text(text, "utf-8")
    return wrong_with(name)


def test_data_sets_of_bring_your_model_have_these_fields():
    lines = [line for line in PAGES["bring_your_model"].splitlines() if line.startswith("| ") and "`{name:" in line]
    found = [
        re.findall(r"`({name: .*?})`", line)[-1] for line in lines if "decoder" not in line and "denoiser" not in line
    ]
    assert len(found) == 6
    for text in found:
        Data.model_validate(YAML(typ="safe").load(text))


@pytest.mark.parametrize("path", readme.PAGES, ids=lambda path: path.name)
def test_tables_and_numbers_are_those_of_the_reports(path):
    """After ``make reports``, what stands at each mark is what the results have at the place that it names."""
    page = path.read_text("utf-8")
    assert readme.filled(page) == page
    assert len(re.findall(readme.MARKED, page, re.S)) == page.count("<!-- end -->") == page.count("<!--") / 2
    assert not re.search("^<!-- number", page, re.M)  # a line that begins like this is no part of a sentence


HAND_FREE = (readme.README, readme.TUTORIAL, DOCS / "error_bars.md", DOCS / "best.md")


@pytest.mark.parametrize("path", HAND_FREE, ids=lambda path: path.name)
def test_no_measured_number_is_typed_by_hand(path):
    rest = re.sub(readme.MARKED, "", path.read_text("utf-8"), flags=re.S)
    assert re.findall(r"\d ± \d|p = 0\.(?!05)\d+|\d of \d+ cells", rest) == []


def test_a_number_is_that_of_its_place():
    of_heun = "solver_grid:solver=heun,nfe=35"
    (row,) = (
        row for row in Results(readme.REPORTS / "solver_grid").rows() if row.axes == {"solver": "heun", "nfe": 35}
    )
    found = row.metrics["frechet"]
    assert readme.number(f"{of_heun} frechet") == measured(found.value, found.se)
    assert readme.number(f"{of_heun} frechet drawn") == measured(found.drawn, found.drawn_sd)
    with pytest.raises(ValueError, match="unpack"):
        readme.number("solver_grid:solver=heun frechet")  # six points


def test_a_part_of_a_page_is_the_list_or_table_below_a_heading(tmp_path, monkeypatch):
    table = "| h | x |\n| --- | --- |\n| r | 1 |\n| s | 2 |\n"
    page = f"# a\n\n- of a\n\n## b\n\ntext\n\n- one\n  more\n- two\n\n{table}\n- no\n"
    (tmp_path / "page.md").write_text(page)
    monkeypatch.setattr(readme, "REPORTS", tmp_path)
    assert readme.part("page.md", "b", "list") == ["- one", "  more", "- two"]
    assert readme.part("page.md", "b", "table") == table.splitlines()
    assert readme.part("page.md", "b", "list without more") == ["- one", "- two"]
    assert readme.part("page.md", "b", "table of s; t") == ["| h | x |", "| --- | --- |", "| s | 2 |"]


def test_every_table_of_the_readme_and_of_best_practices_is_made():
    """Every table of the README that is not a list of ablations is between marks."""
    pages = [path.read_text("utf-8") for path in (readme.README, readme.PAGE, readme.TUTORIAL)]
    page = pages[0]
    names = [re.findall(r"<!-- table: (\w+) -->\n\n\| ", text) for text in pages]
    assert names == [["best_practices", "solver_grid", "rows"], ["rows", "quality"], ["rows"]]
    assert {name for of in names for name in of} == set(readme.TABLES)
    rules = [line for line in page.splitlines() if line.startswith("| ---")]
    assert len(rules) == len(names[0]) + 1


def test_the_page_on_best_practices_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").symlink_to(ROOT / "reports")
    for block in blocks_of_all("best"):
        run(block)
    assert {path.name for path in (tmp_path / "practices").iterdir()} >= {"best.md", "best.csv", "changes_1.png"}
    assert (tmp_path / "quality.pdf").is_file()
    assert "time_steps.sigma_max" in capsys.readouterr().out


def test_the_readme_opens_with_the_images_of_the_report():
    page = readme.README.read_text("utf-8")
    order = [readme.PICTURE.name, "cifar10_jpeg_solvers/frechet_vs_nfe.png", "table: best_practices", "make demo"]
    assert sorted(order, key=page.index) == order
    (canvas,) = (image.get_array() for image in readme.picture().images)
    drawn = np.asarray(Image.open(readme.PICTURE).convert("RGB"))
    assert drawn.shape == canvas.shape
    written = canvas == 255  # where letters may be
    assert 0.3 < written.mean() < 0.6
    assert ((drawn == canvas) | written).all()


SMALLER = {
    r"images: \d+ ": "images: 200 ",
    r"metrics: .*": "metrics: [frechet]",
    r"detector: lite0": "detector: pixels",
    r"nfe: \[7, 11\]": "nfe: [7]",
    r"solver: \[.*\]": "solver: [heun, dpmpp_2m]",
    r"time_steps: \[.*\]": "time_steps: [edm]",
    r"to: 15": "to: 15, points: 3",
    r"to: 160": "to: 160, points: 3",
    r"stages: \d+ ": "stages: 1 ",
    r"final_images: \d+": "final_images: 200",
}
"""What makes the search of the page on searches take seconds."""


def ids_in(folder):
    """The ids of the trials that have results."""
    return {json.loads(line)["id"] for line in (folder / "results.jsonl").read_text("utf-8").splitlines()}


class Uniform:
    """A stand-in for Optuna, which is not installed: trials that draw their values at random."""

    def __init__(self):
        self.best_params, self.values, self._draws = {}, [], random.Random(0)

    def optimize(self, distance, n_trials):
        for _ in range(min(n_trials, 2)):
            self._drawn = {}
            value = distance(self)
            if value <= min(self.values, default=value):
                self.best_params = self._drawn
            self.values.append(value)

    def suggest_categorical(self, name, choices):
        return self._drawn.setdefault(name, self._draws.choice(choices))

    def suggest_float(self, name, low, high, log):
        assert log
        return self._drawn.setdefault(name, low * (high / low) ** self._draws.random())


def test_the_page_on_searches_has_the_ablation_that_is_included():
    (block,) = blocks_of("tune", "yaml")
    assert block.text == (ROOT / "ablations" / block.file).read_text("utf-8")


def test_the_page_on_searches_runs_with_fewer_images(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    study = Uniform()
    monkeypatch.setitem(sys.modules, "optuna", SimpleNamespace(create_study=lambda: study))
    for block in blocks_of_all("tune"):
        text = block.text
        for pattern, smaller in SMALLER.items() if block.language == "yaml" else ():
            text, found = re.subn(pattern, smaller, text)
            assert found
        if block.file.endswith(".py"):
            text, found = re.subn(r"images=\d+", "images=200", text)
            assert found
        run(block._replace(text=text.replace("--workers 2", "--workers 1"), file=re.sub(r".*\.py", "", block.file)))
    said = capsys.readouterr().out
    report = Path("reports/tuned_digits")
    assert {path.name for path in report.glob("*7*")} >= {"races_nfe_7.png", "tuned_nfe_7.yaml"}
    assert "tuned" in said
    found = json.loads((report / "search.json").read_text("utf-8"))["final"]["nfe=7"]["set"]
    assert found == study.best_params
    assert len(study.values) == 2
    of_file, of_search = (ids_in(Path("reports") / name) for name in ("tuned_digits_nfe_7", "tuned_digits"))
    assert len(of_file) == 1
    assert of_file <= of_search


def test_the_page_on_tracking_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("tensorboard")
    pytest.importorskip("wandb").teardown()  # it reads its environment variables once per process
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    try:
        for block in blocks_of_all("tracking"):
            if block.language != "toml":
                run(block)
    finally:
        Tracker.known.pop("lines", None)
    rows = {row.id: row for row in Results(Path("reports/mine")).rows()}
    lines = [line.split(",") for line in Path("reports/mine/lines.csv").read_text().splitlines()]
    assert {id: float(value) for id, _, value, _ in lines} == {i: r.metrics["frechet"].value for i, r in rows.items()}
    (exported,) = [row for row in rows.values() if row.axes == {"solver": "heun", "nfe": 7}]
    assert f"FD-pixels (frechet): {exported.metrics['frechet'].value:.5g} ± " in capsys.readouterr().out
    assert len(list(Path("heun").glob("*.png"))) == 500
    assert (
        len(list(Path("wandb").glob("offline-run-*"))) == len(list(Path("reports/tracked/tensorboard").iterdir())) == 4
    )
    assert Path(f"mine-{exported.id}.npz").is_file()
    assert Path("README.md").read_text().startswith("---\nlicense: apache-2.0\n")
    assert len(Path("tracked.csv").read_text().splitlines()) == 5


NAMED = "data: digits\ndenoiser: {name: trained, network: {name: unet, size: tiny}, labels: true, label_dropout: 0.1}\n"
"""What the pieces of the page on guidance are pieces of, unless they say it themselves."""
NOT_HERE = ("edm2.yaml", "prompt.yaml")
"""Ablations with networks that the readers have to bring."""


def test_the_ablations_of_the_page_on_guidance_load(tmp_path):
    found = [block for block in blocks_of("guidance", "yaml") if not block.file]
    assert len(found) == 9
    for block in found:
        named = "" if block.text.startswith("data:") else NAMED
        rest = "design: edm\nevaluate: {images: 4, labels: LABELS, detector: pixels, metrics: [frechet]}\n"
        unlabelled = block.text.startswith("data:") and "labels: true" not in block.text
        text = named + block.text + rest.replace("LABELS", "none" if unlabelled else "balanced")
        (tmp_path / "piece.yaml").write_text(text)
        assert wrong_with(tmp_path / "piece.yaml") == []
    for block in blocks_of("guidance", "yaml"):
        if block.file in NOT_HERE:
            Ablation.model_validate({"name": "brought"} | YAML(typ="safe").load(block.text))


def test_the_commands_and_the_code_of_the_page_on_guidance_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    try:
        code = [block.text for block in blocks_of("guidance", "python") if not block.file]
        assert len(code) == 2
        exec(compile("\n".join(code), "guidance", "exec"), {})
        assert capsys.readouterr().out == "35 35 70\n"
        for block in blocks_of_all("guidance"):
            if block.file not in (*NOT_HERE, "") or block.language == "console":
                run(block)
        assert "cautious" in capsys.readouterr().out
    finally:
        ROWS["guidance"].known.pop("cautious", None)
    rows = [json.loads(line) for line in Path("reports/cautious/results.jsonl").read_text("utf-8").splitlines()]
    counts = {(row["axes"]["guidance"], row["axes"]["guidance.weight"]): row.get("nfe_guidance", 0) for row in rows}
    assert counts == {("cfg", 1): 0, ("cfg", 2): 7, ("cautious", 1): 0, ("cautious", 2): 7}


def test_the_page_on_guidance_lists_every_component():
    page = PAGES["guidance"]
    built_in = {cls.name for cls in BUILT_IN if cls.row == "guidance"}
    assert set(re.findall(r"components/guidance/(\w+)\.py\)", page)) == built_in
    assert {name for name in built_in if f"### `{name}`:" in page} == built_in - {"none"}


@pytest.mark.parametrize("cls", BUILT_IN, ids=lambda cls: f"{cls.row}/{cls.name}")
def test_docstrings_are_pages_without_remains_of_their_mark_up(cls):
    text = rst.markdown(cls.__doc__)
    assert ":math:" not in text
    assert ".. " not in text.replace("...", "")
    assert "``" not in text.replace("```", "")
    formulas = re.findall(r"\$\$(.*?)\$\$", text, re.S) + re.findall(r"(?<![\\$])\$([^$\n]+)\$", text)
    assert all(mathml.mathml(formula).startswith("<math") for formula in formulas)
    assert f"## {cls.name} " in rows.page(cls.row)


def test_the_api_has_every_public_name_with_its_signature():
    page = api.page()
    assert all(f"## ds.{name}\n" in page for name in designspace.__all__)
    assert "device: str = 'cpu',\n    executor: str = 'local',\n    workers: int | None = None," in page
    errors = next(
        line for line in page.splitlines() if line.startswith("- `ValueError`: Time steps, solver and limits")
    )
    assert "the output of D or the noise does not have the shape" in errors


def test_every_public_name_has_an_example_that_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    for folder in ("ablations", "reports"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    found = api.EXAMPLE.findall(api.EXAMPLES.read_text("utf-8"))
    names = [name for first, more, _ in found for name in (first, *more.split())]
    assert sorted(names) == sorted(f"ds.{name}" for name in designspace.__all__ if name != "plots")
    page, parser = api.page(), doctest.DocTestParser()
    try:
        for name, _, block in [*found, ("ds.plots", "", designspace.plots.__doc__)]:
            test = parser.get_doctest(block.removesuffix("```"), {}, name, None, 0)
            said = []
            result = doctest.DocTestRunner().run(test, out=said.append)
            assert (result.failed, result.attempted > 1) == (0, True), "".join(said)
            assert block in page or name == "ds.plots"
    finally:
        for row, own in (("loss_weight", "damped"), ("schedule", "squared")):
            ROWS[row].known.pop(own, None)
        designspace.Tracker.known.pop("log", None)


def test_choices_in_tables_of_fields_are_separated_by_bars():
    page = rows.page("time_steps")
    assert "| `end` | `zero | lowest` |" in page
    assert "&#124;" not in page


def test_formulas_are_mathml():
    inline, block = (
        r'<span class="arithmatex">\(a &lt; b\)</span>',
        r'<div class="arithmatex">\[\sigma \sim \mathcal N\]</div>',
    )
    page = f"<p>{inline}</p>{block}"
    found = mathml.rendered(page)
    assert found.count("<math") == 2
    assert "arithmatex" not in found
    assert "𝒩" in found
    assert "&#x0223C;" in found
    with pytest.raises(ValueError, match="not known"):
        mathml.mathml(r"\unheard x")


def test_the_kinds_of_claims_in_the_recipes_can_be_loaded(tmp_path):
    kinds = [line for line in PAGES["recipes"].splitlines() if line.startswith("| `") and "metric:" in line]
    claims = [f"  - {{say: a claim, expect: {re.search(r'`({.*})`', row)[1]}}}" for row in kinds]
    spec = """\
data: digits
denoiser: exact
design: edm
grid:
  solver: [heun, euler, unipc]
  time_steps.rho: [3, 5, 7, 9]
  design: [edm, {label: vp, set: {schedule: vp, scaling: vp}}]
  nfe: [11, 19]
evaluate: {images: 100, detector: pixels, metrics: [frechet]}
claims:
"""
    (tmp_path / "claims.yaml").write_text(spec + "\n".join(claims) + "\n")
    assert len(load(tmp_path / "claims.yaml").claims) == len(kinds) == 8


def test_the_page_on_tuning_shows_the_races_and_the_final_test_of_the_report():
    text, report = (DOCS / "tune.md").read_text(), ROOT / "reports" / "tuned_digits"
    record = read_search(report)
    shown = re.search(r"```text\n(.*?)```", text, re.DOTALL).group(1).replace("\n    ", " ").splitlines()
    assert shown == [race_result(race) for race in record.outcomes if race.budget == "nfe=7"]
    share = 100 * record.images_spent / record.images_full_grid
    assert f"the search took {share:.1f} % of the images of a full grid" in text
    rows = {(row.axes["design"], row.nfe): row.metrics["frechet"] for row in Results(report).rows()}
    for name, design in (("Heun's method on EDM's levels", "baseline"), ("tuned", "tuned")):
        cells = [measured(rows[design, nfe].value, rows[design, nfe].se) for nfe in (7, 11)]
        assert f"| {name} | {' | '.join(cells)} |" in text


def test_the_description_on_a_package_index_has_no_relative_links_and_its_example_is_right(tmp_path):
    about = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = (ROOT / about["readme"]).read_text("utf-8")
    assert re.findall(r"\]\(([^)]*)\)|src=\"([^\"]*)\"", text) == [("https://arxiv.org/abs/2206.00364", "")]
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    (tmp_path / "my_solvers.yaml").write_text(example)
    assert len(load(tmp_path / "my_solvers.yaml").points()) == 9
    commands = [line.split()[2] for line in text.splitlines() if line.startswith("$ designspace")]
    assert commands == ["check", "run", "report"]
