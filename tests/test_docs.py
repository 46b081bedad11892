"""The pages under docs: what they tell to run does run, and the numbers are those of the reports."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "make"))

import api
import mathml
import rows
import rst
from blocks import blocks, run

import designspace
from designspace.cli.app import app
from designspace.registry.known import ROWS
from designspace.spec import Ablation, SpecError, load
from designspace.testing import checks

BUILT_IN = [cls for kind in ROWS.values() for cls in kind.known.values() if cls.__module__.startswith("designspace.")]
PAGES = {path.stem: path.read_text("utf-8") for path in DOCS.glob("*.md")}


def blocks_of(page, language):
    return [block for block in blocks(PAGES[page]) if block.language == language]


def wrong_with(path):
    try:
        load(path)
    except SpecError as error:
        return error.lines
    return []


def test_the_tutorial_runs(tmp_path):
    environment = os.environ | {"DESIGNSPACE_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(DOCS / "make" / "blocks.py"), str(DOCS / "tutorial.md")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    reports = {f"reports/{name}/table.md" for name in ("toy", "digits", "mine")}
    assert reports | {"reports/toy/walks.png", "figures/rows_time_steps.png", "reports/digits/claims.md"} <= written
    run = [
        " ".join(["$ designspace", *words[1:]])
        for block in blocks_of("tutorial", "console")
        for words in block.commands
    ]
    assert [line.strip() for line in done.stdout.splitlines() if line.startswith("$ ")] == run


@pytest.mark.parametrize("page", sorted(PAGES))
def test_commands_and_their_options_exist(page):
    root = typer.main.get_command(app)
    for block in blocks_of(page, "console"):
        for program, *words in block.commands:
            if program == "designspace":
                command = root
                while hasattr(command, "commands"):
                    command = command.commands[words.pop(0)]
                command.make_context("designspace", words)


def test_recipes_are_ablations_whose_components_and_fields_exist(tmp_path, monkeypatch):
    """Files that the reader has are not there: that is all that may be wrong with them."""
    monkeypatch.chdir(tmp_path)
    found = blocks_of("recipes", "yaml")
    assert len(found) == 4
    for block in found:
        Ablation.model_validate({"name": "recipe"} | YAML(typ="safe").load(block.text))
        (tmp_path / "recipe.yaml").write_text(block.text)
        lines = wrong_with(tmp_path / "recipe.yaml")
        assert [line for line in lines if not re.search("[Nn]o such file|there is no|cannot be read", line)] == []


def test_recipes_in_python_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for block in blocks_of("recipes", "python"):
        run(block)
    try:
        for check in checks(importlib.import_module("norm").Norm()):
            check()
    finally:
        ROWS["metric"].known.pop("norm")


def test_numbers_of_the_page_on_error_bars_are_those_of_the_reports():
    sources = [*(ROOT / "reports/solver_grid").glob("*.md"), ROOT / "reports/error_bar_calibration/README.md"]
    reported = " ".join(" ".join(source.read_text("utf-8").split()) for source in sources).replace("**", "")
    page = " ".join(PAGES["error_bars"].split()).replace("**", "")
    numbers = re.findall(r"-?\d[\d.]* ± \d[\d.]*|\d+ of \d+ cells|\d\d\.\d %|\d+\.\d\d\b|p = [\d.]*\d|\d,\d{3}\b", page)
    numbers = [number for number in numbers if number not in ("p = 0.05",)]
    assert len(numbers) > 40
    assert [number for number in numbers if number.removeprefix("p = ") not in reported] == []


def test_tables_of_the_readme_are_those_of_the_reports():
    lines = [line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    shown = [line for line in lines if "](" not in line and not line.startswith(("| ---", "| ablation"))]
    sources = [ROOT / "reports/solver_grid/table.md", ROOT / "reports/sampling_trained/effects.md"]
    reported = [line for source in sources for line in source.read_text("utf-8").splitlines()]
    assert len(shown) == 11
    assert [line for line in shown if line not in reported] == []


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
    assert "device: str = 'cpu',\n    executor: str = 'local',\n    workers: int = 1," in page
    assert "- `ValueError`: The time steps, the solver and the limits of the denoiser are incompatible, or an" in page
    assert "output of D or the noise" in next(
        line for line in page.splitlines() if line.startswith("- `ValueError`: The time")
    )


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
