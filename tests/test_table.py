"""The printed output of Table 1."""

import re
import shutil
import subprocess

import pytest
from markdown import markdown as html
from rich.cells import cell_len
from rich.console import Console

from designspace.design import preset_names
from designspace.table import fields, latex, markdown, rows, terminal
from designspace.table.columns import read_columns
from designspace.table.tex import PACKAGES, escape

ALL = read_columns(preset_names())
TWO = read_columns(["edm", "edm:solver=euler,time_steps.rho=5,to_zero=false"])
ONE = read_columns(["edm"])


def printed(columns, width, **kwargs):
    console = Console(width=width, **kwargs)
    with console.capture() as capture:
        console.print(terminal(columns, width))
    return capture.get()


def test_cells_are_what_components_declare():
    edm = ALL["edm"]
    assert edm.c_skip.formula == r"c_\mathrm{skip} = \sigma_\mathrm{data}^2 / (\sigma^2 + \sigma_\mathrm{data}^2)"
    assert fields(edm.time_steps) == "sigma_min = 0.002, sigma_max = 80, rho = 7"
    assert fields(edm.solver) == "alpha = 1, euler_last = true"
    assert fields(edm.schedule) == ""


def test_cells_that_are_another_component_or_have_other_fields_differ():
    marked = {row.name: [cell.differs for cell in row.cells] for row in rows(TWO)}
    assert [name for name, marks in marked.items() if marks == [False, True]] == ["solver", "time_steps", "to_zero"]
    assert all(marks[0] is False for marks in marked.values())
    assert "to_zero" not in [row.name for row in rows(ALL)]


@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_shows_every_row_and_column(width):
    text = printed(ALL, width)
    assert max(map(cell_len, text.splitlines())) <= width
    for row in ("solver", "time_steps", "schedule", "scaling", "c_skip", "noise_distribution", "stochasticity"):
        assert len(re.findall(rf"^(│ )?{row} *(│.*)?$", text, re.M)) == 1
    assert "c_skip = σ_data² / (σ² +" in text
    assert "\\" not in text


def test_a_narrow_terminal_names_the_columns_that_share_a_component():
    lines = [line.strip() for line in printed(ALL, 80).splitlines()]
    at = lines.index("linear in ddpm, iddpm, edm, edm2, vdm++, velocity")
    assert lines[at - 1 : at + 3] == [
        "schedule",
        "linear in ddpm, iddpm, edm, edm2, vdm++, velocity",
        "σ(t) = t,  t ≥ 0",
        "≠ vp in vp",
    ]


@pytest.mark.parametrize("width", [40, 120])
def test_marks_are_seen_without_colour_and_explained(width):
    text = printed(TWO, width)
    assert [line.split("≠ ")[1].split()[0] for line in text.splitlines() if "≠" in line] == [
        *("euler", "edm", "false"),
        "differs",
    ]
    assert "≠ differs from edm" in text
    coloured = printed(TWO, width, force_terminal=True, color_system="standard")
    assert re.search(r"\x1b\[1m *(│ )?≠ euler", coloured)


def test_one_design_has_no_marks():
    assert "≠" not in printed(ONE, 120)
    assert "**" not in markdown(ONE)
    assert "Bold" not in markdown(ONE) + latex(ONE)
    assert "bfseries" not in latex(ONE)


def test_markdown_is_a_table_whose_mathematics_markdown_does_not_touch():
    lines = markdown(ALL).splitlines()
    assert lines[-1] == "Bold: differs from ddpm."
    assert {line.count("|") for line in lines[:-2]} == {12}
    assert len(lines[:-2]) == 2 + 11
    assert not [found for line in lines for found in re.findall(r"\$[^$]*\$", line) if re.search(r"\\[^A-Za-z]", found)]
    assert any(r"$\sigma(t) = \sqrt t, \quad t \ge 0$" in line for line in lines)


def test_markdown_survives_a_name_with_bars_and_dollars():
    columns = {"edm": ONE["edm"], "a|b $x$ *c*": TWO["edm:solver=euler,time_steps.rho=5,to_zero=false"]}
    page = html(markdown(columns), extensions=["tables"])
    assert page.count("<th>") == 3  # a dollar keeps its backslash here: it is for readers that know mathematics
    assert page.count("<td>") == 3 * 12
    assert r"<th>a|b \$x\$ *c*</th>" in page
    assert page.count("<strong>") == 4  # two names and the fields of one of them, and a value


def test_latex_keeps_every_formula_and_escapes_names():
    text = latex(ALL)
    assert text.count(r"\begin{table*}") == 3  # ten presets, four beside each other
    assert r"\boldmath\fit{\sigma(t) = \sqrt t}" in text
    assert r"c_\mathrm{skip}" in text
    assert "Bold: differs from ddpm." in text
    assert escape("a_b=5 $x$") == r"a\_\allowbreak{}b=\allowbreak{}5 \$x\$"


def test_latex_continues_many_columns_beside_the_baseline():
    many = {
        f"rho {rho}": read_columns([f"edm:time_steps.rho={rho}"])[f"edm:time_steps.rho={rho}"] for rho in range(1, 9)
    }
    heads = [line for line in latex(many).splitlines() if line.startswith("    & ")]
    assert [head.count("&") for head in heads] == [4, 4, 2]
    assert all(head.startswith("    & rho 1 & ") for head in heads)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("columns", [ALL, TWO, ONE], ids=["presets", "two", "one"])
def test_latex_compiles(columns, tmp_path):
    page = rf"\documentclass{{article}}\usepackage[margin=2cm]{{geometry}}\usepackage{{{PACKAGES}}}" + "\n"
    (tmp_path / "page.tex").write_text(page + rf"\begin{{document}}{latex(columns)}\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert not re.search("Overfull|undefined", done.stdout)
