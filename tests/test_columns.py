"""Designs written as text on the command line."""

from pathlib import Path

import pytest

from designspace.design import Design
from designspace.spec import Ablation, SpecError
from designspace.table.columns import designs_of, read_columns, read_design

ABLATIONS = Path(__file__).parents[1] / "ablations"


@pytest.mark.parametrize(
    ("text", "design"),
    [
        ("edm", Design.preset("edm")),
        ("edm:solver=euler,schedule=vp", Design.preset("edm", solver="euler", schedule="vp")),
        ("edm:time_steps.rho=5", Design.preset("edm", time_steps={"rho": 5})),
        ("edm:time_steps={name: vp_power, rho: 2}", Design.preset("edm", time_steps={"name": "vp_power", "rho": 2})),
        ("edm: solver.alpha = 0.5, solver=heun", Design.preset("edm", solver={"name": "heun", "alpha": 0.5})),
        ("edm:sigma_data=0.7,to_zero=false", Design.preset("edm", sigma_data=0.7, to_zero=False)),
    ],
)
def test_a_design_is_a_preset_with_changes(text, design):
    assert read_design(text) == design


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("edn", "edn: unknown preset 'edn'. Did you mean 'edm'?"),
        ("edm:solvr=euler", "edm:solvr=euler: unknown field 'solvr'. Did you mean 'solver'?"),
        ("edm:solver=eulr", "edm:solver=eulr: solver: unknown solver 'eulr'. Did you mean 'euler'?"),
        ("edm:euler", "edm:euler: 'euler' is not ROW=VALUE"),
        ("edm:nfe=5", "edm:nfe=5: 'nfe' is not a row of a design."),
        ("edm:time_steps.rho=-1", "edm:time_steps.rho=-1: time_steps.rho: should be"),
        ("edm:time_steps.roh=5", "unknown field 'roh'. Did you mean 'rho'?"),
        ("edm:solver={", "edm:solver={: is not YAML"),
        ("edm:sigma_data=data", "is measured on the data set of an ablation"),
        ("none.yaml", "none.yaml: no such file."),
        (str(ABLATIONS / "solver_grid"), f"Did you mean '{ABLATIONS}/solver_grid.yaml'?"),
    ],
)
def test_text_that_is_no_design_gives_one_line_with_a_suggestion(text, error):
    with pytest.raises(SpecError) as caught:
        read_columns(["edm", text])
    (line,) = caught.value.lines
    assert error in line


def test_all_wrong_columns_are_said_at_once():
    with pytest.raises(SpecError) as caught:
        read_columns(["edn", "edm", "vq"])
    assert len(caught.value.lines) == 2


def test_an_ablation_stands_for_its_designs_each_once():
    columns = read_columns([str(ABLATIONS / "solver_grid.yaml"), "edm"])
    assert list(columns) == ["euler", "heun", "dpmpp_2m", "edm"]
    assert columns["euler"] == Design.preset("edm", solver="euler")


def test_points_of_one_design_share_a_column():
    names = list(read_columns([str(ABLATIONS / "training_rows.yaml")]))
    assert "as published, design=vp" in names
    assert names[-1] == "+ EDM noise levels and weight, design=ddpm (same as 7 others)"


def test_axes_that_advance_together_are_told_apart():
    spec = {"data": "digits", "denoiser": "exact", "design": "edm", "name": "both"}
    together = Ablation(**spec, zip={"solver": ["euler", "heun"], "time_steps.rho": [3, 5]}, grid={"nfe": [7, 9]})
    assert list(designs_of(together)) == ["euler", "heun"]
    assert list(designs_of(Ablation(**spec, grid={"nfe": [7, 9]}))) == ["both"]


def test_the_same_name_for_another_design_is_told_apart(tmp_path):
    text = (ABLATIONS / "solver_grid.yaml").read_text()
    other = tmp_path / "other.yaml"
    other.write_text(text.replace("design: edm ", "design: vp ").split("claims:")[0])
    names = list(read_columns([str(ABLATIONS / "solver_grid.yaml"), str(other)]))
    assert names == ["euler", "heun", "dpmpp_2m", *(f"{other}: {solver}" for solver in ("euler", "heun", "dpmpp_2m"))]
