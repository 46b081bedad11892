"""Table 1 as it is printed."""

import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from designspace.design import preset_names
from designspace.table import fields, formula, markdown, presets, terminal

ALL = presets(preset_names())


def printed(columns, width):
    console = Console(width=width)
    with console.capture() as capture:
        console.print(terminal(columns, width))
    return capture.get()


def test_cells_are_formulas_of_the_docstrings():
    edm = ALL["edm"]
    assert formula(edm.c_skip) == r"c_\mathrm{skip} = \sigma_\mathrm{data}^2 / (\sigma^2 + \sigma_\mathrm{data}^2)"
    assert fields(edm.time_steps) == "sigma_min = 0.002, sigma_max = 80, rho = 7"
    assert fields(edm.solver) == "alpha = 1, euler_last = true"
    assert fields(edm.schedule) == ""


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
    at = lines.index("linear in ddpm, iddpm, edm, velocity")
    assert lines[at - 1 : at + 2] == ["schedule", "linear in ddpm, iddpm, edm, velocity", "σ(t) = t,  t ≥ 0"]


def test_markdown_is_a_table_whose_mathematics_markdown_does_not_touch():
    lines = markdown(ALL).splitlines()
    assert len(lines) == 2 + 11
    assert {line.count("|") for line in lines} == {8}
    assert not re.search(r"\\[^A-Za-z]", "".join(lines))
    assert any(r"$\sigma(t) = \sqrt t, \quad t \ge 0$" in line for line in lines)
