"""Main effects of design choices, Pareto fronts and heat maps, against numbers computed by hand."""

import csv
import io
import json
import math
import shutil
import subprocess

import numpy as np
import pytest
from studies import Bench, N, edit, influence

from designspace.report import write
from designspace.report.evidence.contrasts import mean_difference
from designspace.report.evidence.differences import rank
from designspace.report.evidence.effects import effects
from designspace.report.evidence.factors import factors
from designspace.report.figures.heat import heat_panels
from designspace.report.figures.pareto import cost_panels, front
from designspace.report.tables import caption
from designspace.report.tables import effects as effect_tables
from designspace.text import escape_latex


def se_of(scores):
    return float(np.std(scores.numpy().astype(float), ddof=1)) / math.sqrt(N)


@pytest.fixture
def crossed(bench):
    """Two solvers times two schedules: heun lowers the metric by 2 and by 4 and shares most of its noise with euler."""
    made = bench(axes=("solver", "schedule", "nfe"))
    made.about["baseline_axes"] = {"solver": "heun"}
    made.scores = {}
    values = {("euler", "linear"): 10.0, ("heun", "linear"): 8.0, ("euler", "vp"): 20.0, ("heun", "vp"): 16.0}
    for i, ((solver, schedule), value) in enumerate(values.items()):
        made.scores[solver, schedule] = influence(i // 2, 10.0) + influence(10 + i, 1.0)
        axes = {"solver": solver, "schedule": schedule, "nfe": 7}
        made.point(axes, value, made.scores[solver, schedule])
    return made


def test_an_effect_is_the_mean_over_the_other_axes_with_the_error_of_that_mean(crossed):
    study = crossed.study()
    solver, schedule = effects(study, "frechet")[0]
    assert solver.factor.choices == ("heun", "euler")  # the baseline first
    assert (solver.lines, solver.baseline) == (2, 12.0)
    gap = solver.against["euler"]
    s = crossed.scores
    by_hand = (s["euler", "linear"] - s["heun", "linear"] + s["euler", "vp"] - s["heun", "vp"]) / 2
    assert (gap.value, gap.paired) == (3.0, True)
    assert gap.se == pytest.approx(se_of(by_hand), rel=1e-5)
    assert gap.se < 0.2 * se_of(s["euler", "linear"])  # what they share is gone
    assert (solver.favoured, solver.decided) == (("heun",), True)
    assert schedule.factor.choices == ("linear", "vp")
    assert schedule.against["vp"].value == 9.0


def test_where_the_ablations_own_design_has_no_choice_they_are_compared_with_the_first(crossed):
    solver, schedule = factors(crossed.study())
    assert (solver.compared_with, schedule.compared_with) == ("baseline", "first")
    ((_, behind),) = effect_tables.tables(crossed.study(), "frechet")
    assert [[cell.text for cell in row[:2]] for row in behind.rows] == [
        ["solver", "heun (baseline)"],
        ["", "euler"],
        ["schedule", "linear (first)"],
        ["", "vp"],
    ]


def test_what_is_zipped_is_one_choice(bench):
    made = bench(axes=("solver", "time_steps", "schedule"))
    for schedule in ("linear", "vp"):
        for i, (solver, steps) in enumerate((("euler", "vp"), ("heun", "edm"), ("heun", "ve"))):
            axes = {"solver": solver, "time_steps": steps, "schedule": schedule}
            made.point(axes, 3.0 + i, influence(i, 1.0))
    together, schedule = factors(made.study())
    assert (together.name, schedule.name) == ("solver + time_steps", "schedule")
    assert [together.word(choice) for choice in together.choices] == ["euler + vp", "heun + edm", "heun + ve"]
    found = effects(made.study(), "frechet")[0][0]
    assert (found.lines, [gap.value for gap in found.against.values()]) == (2, [1.0, 2.0])


def crossed_with(bench, values, axes=("design", "solver")):
    made = bench(axes=axes)
    for i, (point, value) in enumerate(values.items()):
        made.point(dict(zip(axes, point, strict=True)), value, influence(0, 10.0) + influence(i + 1, 1.0))
    return made.study()


def favoured_cells(study):
    (favoured, _), *_ = effect_tables.tables(study, "frechet")
    return {row[0].text: row[2].text for row in favoured.rows}


def test_a_choice_that_is_best_on_average_only_is_not_the_favoured_one(bench):
    """heun - dpm is +13 for edm, where it is significantly worse, and -60 for ve, which decides the average."""
    values = {("ddpm", "heun"): 20.0, ("ddpm", "dpm"): 20.01, ("edm", "heun"): 33.0, ("edm", "dpm"): 20.0}
    values |= {("ve", "heun"): 40.0, ("ve", "dpm"): 100.0, ("vp", "heun"): 20.0, ("vp", "dpm"): 21.0}
    study = crossed_with(bench, values)
    (solver,) = (one for one in effects(study, "frechet")[0] if one.factor.name == "solver")
    assert solver.favoured == ("heun",)  # on average
    assert favoured_cells(study)["solver"] == "depends on design: dpm for edm, heun for ve and vp, undecided for ddpm"


def test_the_axis_that_the_best_choice_depends_on_is_found(bench):
    values = {
        (design, schedule, solver): 20.0 + (solver == "heun") * (5 if schedule == "a" else -6) + (design == "vp")
        for design in ("edm", "vp")
        for schedule in ("a", "b")
        for solver in ("heun", "dpm")
    }
    cells = favoured_cells(crossed_with(bench, values, ("design", "schedule", "solver")))
    assert cells["solver"] == "depends on schedule: dpm for a, heun for b"
    assert cells["design"] == "edm"


def test_of_two_axes_that_the_best_choice_depends_on_the_clearest_is_named(bench):
    """heun - dpm: its sign is that of the design everywhere, and that of the schedule on average over the designs."""
    gaps = {("a", "edm"): 9.0, ("b", "edm"): 1.0, ("a", "vp"): -1.0, ("b", "vp"): -9.0}
    values = {(*at, solver): 30.0 + (solver == "heun") * gap for at, gap in gaps.items() for solver in ("heun", "dpm")}
    cells = favoured_cells(crossed_with(bench, values, ("schedule", "design", "solver")))
    assert cells["solver"] == "depends on design: dpm for edm, heun for vp"


BY_SOLVER = "depends on solver: 20 for heun and euler, 80 for dpm"


def of_sigma_max(changed):
    """Values of three solvers, three rho and two sigma_max: what 80 adds to those of 20 may be ``changed``."""
    at_rho_3, at_others = {"heun": 120.0, "euler": 50.0, "dpm": 30.0}, {"heun": 40.0, "euler": 48.0, "dpm": 24.0}
    base = {(solver, 3): value for solver, value in at_rho_3.items()}
    base |= {(solver, rho): value for solver, value in at_others.items() for rho in (7, 12)}
    more = {(solver, rho): 15.0 if rho == 3 else 4.0 for solver, rho in base}
    more |= changed
    return {
        (solver, rho, sigma): value + (sigma == 80) * more[solver, rho]
        for (solver, rho), value in base.items()
        for sigma in (20, 80)
    }


@pytest.mark.parametrize(
    ("changed", "cell"),
    [
        ({("dpm", 7): -2.0, ("dpm", 12): -2.0}, "20 on average; 80 at the favoured choices of the other rows"),
        ({("heun", 7): -2.0, ("heun", 12): -2.0}, "20 on average; not at every setting"),
        ({("dpm", 7): -0.1, ("dpm", 12): -0.1}, "20"),  # not significant
        ({}, "20"),
        (
            dict.fromkeys((("dpm", rho) for rho in (3, 7, 12)), -2.0),
            "depends on solver: 20 for heun and euler, 80 for dpm",
        ),
    ],
)
def test_the_favoured_choices_of_all_rows_do_not_contradict_the_best_configuration(bench, changed, cell):
    """With dpm and rho = 7 or 12, 80 may be better, but with each solver and with each rho, 20 is better on average."""
    cells = favoured_cells(crossed_with(bench, of_sigma_max(changed), ("solver", "rho", "sigma_max")))
    assert (cells["solver"], cells["sigma_max"]) == ("dpm", cell)
    assert cells["rho"] in ("7 or 12 (edge of the grid)", "12 (edge of the grid) or 7")


def test_where_the_other_rows_depend_on_a_choice_their_favoured_ones_for_it_are_meant(bench):
    """heun is best on average and 5 with it, dpm with 7; dpm with 7 is the best of all, but not all else equal."""
    values = {("heun", 5): 20.0, ("heun", 7): 30.0, ("dpm", 5): 60.0, ("dpm", 7): 15.0}
    cells = favoured_cells(crossed_with(bench, values, ("solver", "rho")))
    assert cells == {
        "solver": "depends on rho: heun for 5, dpm for 7",
        "rho": "depends on solver: 5 for heun, 7 for dpm",
    }


def test_other_rows_may_depend_on_an_axis_at_a_value_of_which_a_choice_diverged(bench):
    values = {("heun", "edm"): 20.0, ("dpm", "edm"): 26.0, ("ab", "edm"): 40.0, ("heun", "ve"): 5.0, ("dpm", "ve"): 6.0}
    values |= {("heun", "vp"): 30.0, ("dpm", "vp"): 24.0, ("ab", "vp"): 41.0, ("ab", "ve"): math.nan}
    cells = favoured_cells(crossed_with(bench, values, ("solver", "design")))
    assert cells == {"solver": "depends on design: heun for edm, dpm for vp", "design": "ve"}


def test_a_choice_that_seems_worse_at_one_of_many_settings_is_favoured_nevertheless(bench):
    """2.5 standard errors at one of 8 settings are not significant after the correction for 8."""
    made = bench(axes=("design", "solver"))
    for k in range(8):
        a, b = influence(2 * k, 1.0), influence(2 * k + 1, 1.0)
        se = float((a - b).std()) / N**0.5
        made.point({"design": f"d{k}", "solver": "heun"}, 3.0 + (2.5 if k == 0 else -6.0) * se, a)
        made.point({"design": f"d{k}", "solver": "dpm"}, 3.0, b)
    assert favoured_cells(made.study())["solver"] == "heun"


def test_a_favoured_number_at_the_edge_of_the_grid_is_marked(bench):
    study = crossed_with(bench, {(rho,): 20.0 - rho for rho in (1, 7, 15)}, ("time_steps.rho",))
    assert favoured_cells(study) == {"time_steps.rho": "15 (edge of the grid)"}


@pytest.mark.parametrize(
    ("tried", "shown"),
    [((0, 5, 10), "0"), ((10, 5, 20), "20 (edge of the grid)"), ((0, -5, -10), "0 (edge of the grid)")],
)
def test_0_is_an_edge_only_of_values_below_it(bench, tried, shown):
    best = float(shown.split()[0])
    study = crossed_with(bench, {(v,): 3.0 + (v != best) * 9 for v in tried}, ("stochasticity.S_churn",))
    assert favoured_cells(study) == {"stochasticity.S_churn": shown}


@pytest.mark.parametrize(("values", "word"), [((7, 3, 15), "7"), ((15, 3), "15"), (("a", "b", "c"), "a")])
def test_other_favoured_values_are_not(tmp_path, values, word):
    study = crossed_with(
        lambda axes: Bench(tmp_path, list(axes)), {(v,): 3.0 + i for i, v in enumerate(values)}, ("rho",)
    )
    assert favoured_cells(study) == {"rho": word}


def test_without_influences_the_error_of_a_mean_is_an_upper_bound(bench):
    made = bench(axes=("solver", "schedule"))
    for i, (solver, schedule) in enumerate((a, b) for b in ("linear", "vp") for a in ("euler", "heun")):
        made.point({"solver": solver, "schedule": schedule}, 10.0 - i, se=0.4 if i < 2 else 0.5)
    study = made.study()
    e = study.entries
    gap = mean_difference(study, [(e[1], e[0]), (e[3], e[2])], "frechet")
    assert (gap.value, gap.paired) == (-1.0, False)
    assert gap.se == pytest.approx((0.4 + 0.5) / math.sqrt(2))
    assert effects(study, "frechet")[0][0].favoured == ("heun", "euler")  # 1 is less than two standard errors


def test_one_at_a_time_is_split_into_what_is_changed(bench):
    made = bench(axes=("variant",))
    values = {"baseline": 5.0, "time_steps.rho=3": 9.0, "time_steps.rho=5": 5.0, "solver=euler": 4.0}
    for i, (variant, value) in enumerate(values.items()):
        made.point({"variant": variant}, value, influence(i, 2.0))
    study = made.study()
    rho, solver = factors(study)
    assert (rho.name, [rho.word(c) for c in rho.choices]) == ("time_steps.rho", ["baseline", "3", "5"])
    assert (solver.name, solver.word("solver=euler")) == ("solver", "euler")
    found = effects(study, "frechet")[0]
    assert found[0].favoured == ("baseline", "time_steps.rho=5")
    assert found[1].favoured == ("solver=euler",)
    lines = [line for line in effect_tables.page(study).splitlines() if line.startswith("|")]
    assert lines[:4] == [
        "| FD-x | tried | favoured |",
        "| --- | --- | --- |",
        "| time\\_steps.rho | baseline, 3, 5 | **baseline or 5** |",
        "| solver | baseline, euler | **euler** |",
    ]
    assert lines[4:6] == ["| FD-x | choice | change |", "| --- | --- | ---: |"]


def test_the_table_of_effects_has_all_budgets_and_says_what_is_missing(bench):
    made = bench()
    for i, (nfe, solver) in enumerate((n, s) for n in (7, 11, 35, 51) for s in ("euler", "heun", "ab")):
        made.point({"solver": solver, "nfe": nfe}, 100.0 / nfe + i % 3, influence(i, 1.0), finished=i != 2)
    study = made.study()
    rows = list(csv.DictReader(io.StringIO(effect_tables.tidy(study))))
    assert [(row["nfe"], row["choice"], row["change"]) for row in rows[:3]] == [
        ("7", "heun", "1"),
        ("11", "heun", "1"),
        ("11", "ab", "2"),
    ]
    favoured, behind = effect_tables.tables(study, "frechet")[0]
    assert favoured.header[2:] == ["favoured at NFE 7", "favoured at NFE 35", "favoured at NFE 51"]
    assert [cell.text for cell in behind.rows[2]][:3] == ["", "ab", ""]  # at 7 it failed
    assert behind.rows[2][3].text.startswith("+2.0")


def test_choices_that_cost_more_evaluations_are_named(bench):
    made = bench(axes=("solver", "num_steps"))
    for i, (solver, nfe) in enumerate((("heun", 11), ("euler", 6))):
        made.point({"solver": solver, "num_steps": 6}, 3.0 + i, influence(i, 1.0), nfe=nfe)
    favoured, _ = effect_tables.tables(made.study(), "frechet")[0]
    assert favoured.caption.endswith(
        "Not at equal cost: the choices of solver take different numbers of evaluations "
        "(heun takes 11 and euler takes 6)."
    )


def test_choices_that_cannot_spend_the_budget_are_named_once(bench):
    """Heun takes an odd number of evaluations."""
    made = bench(axes=("solver", "nfe"))
    for nfe in (6, 8, 9):
        for i, solver in enumerate(("euler", "heun", "ab")):
            spent = nfe - (solver == "heun" and nfe % 2 == 0)
            made.point({"solver": solver, "nfe": nfe}, 3.0 + i, influence(i, 1.0), nfe=spent)
    favoured, _ = effect_tables.tables(made.study(), "frechet")[0]
    assert favoured.caption.endswith(
        "Not at equal cost: the choices of solver take different numbers of evaluations "
        "(at NFE 6, heun takes 5 and the others take 6; at NFE 8, heun takes 7 and the others take 8)."
    )


DRAWN = {"drawn": -1.0, "drawn_sd": 0.2, "higher_is_better": False}


def below_the_reference(bench, values, axes=("solver",)):
    made = bench(axes=axes)
    for i, (point, value) in enumerate(values.items()):
        made.point(dict(zip(axes, point, strict=True)), value, influence(i, 1.0), about=DRAWN)
    return made.study()


def test_choices_below_the_drawn_reference_are_equally_good(bench):
    """As in tables: the most negative value is no better than the others that lie below the reference."""
    values = {("heun",): -1.5, ("euler",): -1.1, ("dpm",): -9.0, ("ab",): 5.0}
    study = below_the_reference(bench, values)
    (solver,) = effects(study, "frechet")[0]
    assert solver.favoured == ("heun", "euler", "dpm")
    assert {entry.axes["solver"] for entry in rank(study, study.entries, "frechet").best} == {*solver.favoured}
    assert solver.against["dpm"].value == -7.5  # changes are given as they are
    favoured, _ = effect_tables.tables(study, "frechet")[0]
    assert favoured.rows[0][2].text == "heun or euler or dpm"
    assert caption.COUNTED_AS_DRAWN in favoured.caption


@pytest.mark.parametrize(("value", "cell"), [(-1.5, "undecided"), (5.0, "dpm")])
def test_the_favoured_choice_does_not_depend_on_how_far_values_lie_below_the_reference(bench, value, cell):
    """heun is far lower than dpm for edm, and dpm far lower than heun for ve, but the reference is at -1."""
    values = {("edm", "heun"): -9.0, ("edm", "dpm"): -1.5, ("ve", "heun"): value, ("ve", "dpm"): -20.0}
    cells = favoured_cells(below_the_reference(bench, values, ("design", "solver")))
    assert cells["solver"] == cell


def test_a_factor_whose_baseline_diverged_is_named(bench):
    made = bench(axes=("solver", "schedule"))
    made.about["baseline_axes"] = {"solver": "heun"}
    for i, (solver, schedule) in enumerate((a, b) for a in ("heun", "euler", "ab") for b in ("linear", "vp")):
        made.point({"solver": solver, "schedule": schedule}, math.nan if solver == "heun" else 5.0 + i, se=0.1)
    (favoured, _), *_ = effect_tables.tables(made.study(), "frechet")
    assert [row[0].text for row in favoured.rows] == ["schedule"]
    why = "because the choice to compare with has no finite result."
    assert favoured.caption.endswith(f"No effect is given for solver, {why}")


def test_a_factor_whose_values_have_protocols_of_their_own_is_named(bench):
    made = bench(axes=("solver", "evaluate.detector"))
    for i, (solver, detector) in enumerate((a, b) for a in ("heun", "euler") for b in ("lite0", "pixels")):
        axes = {"solver": solver, "evaluate.detector": detector}
        made.point(axes, 5.0 + i, se=0.1, protocol=f"FD-{detector}", record={"hash": detector})
    (first, _), (second, _) = effect_tables.tables(made.study(), "frechet")
    why = "No effect is given for evaluate.detector, because each value has a protocol of its own."
    assert first.caption.endswith(why)
    assert second.caption.endswith(why)


def test_a_front_is_what_nothing_beats_in_both():
    points = [(1, 9), (2, 5), (2, 6), (3, 5), (4, 1), (4, 1), (5, 2)]
    assert front(points) == [True, True, False, False, True, True, False]


def test_costs_are_evaluations_and_seconds_of_one_machine(bench):
    made = bench()
    for i, (nfe, value) in enumerate([(7, 8.0), (8, 9.0), (9, 3.0), (11, 2.0)]):
        about = {"seconds": {"sampling": float(N * (10 - i))}, "provenance": {"device": "cpu X", "threads": 1}}
        made.point({"solver": "heun", "nfe": nfe}, value, **about)
    evaluations, seconds = cost_panels(made.study(), "frechet")
    assert [(p.cost, p.on_front) for p in evaluations.points] == [(7, True), (8, False), (9, True), (11, True)]
    assert [(p.cost, p.on_front) for p in seconds.points] == [(7.0, True), (8.0, False), (9.0, False), (10.0, False)]
    assert seconds.note == "digits\nn = 400 images, no error bars\ncpu X, 1 thread"
    made.point({"solver": "heun", "nfe": 51}, 1.0, seconds={"sampling": 1.0}, provenance={"device": "cuda Y"})
    assert [panel.cost for panel in cost_panels(made.study(), "frechet")] == [evaluations.cost]


def test_one_trial_by_two_names_is_one_point_of_a_front(bench):
    made = bench(axes=("design", "nfe"))
    for nfe, value in ((7, 8.0), (11, 5.0)):
        for design in ("ddpm", "vp", "ve"):
            made.point({"design": design, "nfe": nfe}, value + (design == "ve"))
    for first in (0, 3):
        made.points[first + 1]["id"] = made.points[first]["id"]
    (made.folder / "ablation.json").write_text(json.dumps(made.about))
    edit(made.folder, lambda rows: [rows[i + 1].update(id=rows[i]["id"]) for i in (0, 3)])
    (panel,) = cost_panels(made.study(), "frechet")
    assert [(p.name, p.on_front) for p in panel.points] == [("ddpm (same as 1 other)", True), ("ve", False)] * 2


def test_a_heat_map_has_two_axes_of_numbers(bench):
    made = bench(axes=("solver", "time_steps.rho", "nfe"))
    for solver in ("euler", "heun"):
        for rho in (3, 7, 5):
            for nfe in (7, 11, 35):
                made.point({"solver": solver, "time_steps.rho": rho, "nfe": nfe}, 100.0 * rho / nfe, se=0.1)
    one, two = heat_panels(made.study(), "frechet")
    assert (one.title, two.title, one.x, one.y) == ("solver=euler", "solver=heun", "NFE", "time_steps.rho")
    assert (one.columns, one.rows) == ([7, 11, 35], [3, 5, 7])
    assert one.values[2, 0] == pytest.approx(100.0)
    assert one.best == (0, 2)
    assert not one.tied.any()


def test_where_all_diverged_there_is_no_heat_map_and_the_report_is_written(bench):
    made = bench(axes=("time_steps.rho", "nfe"))
    for rho in (3, 5, 7):
        for nfe in (7, 11, 35):
            made.point({"time_steps.rho": rho, "nfe": nfe}, math.nan)
    assert heat_panels(made.study(), "frechet") == []
    write(made.folder)
    rows = [line for line in (made.folder / "table.md").read_text().splitlines() if line.startswith("| rho")]
    assert rows == [f"| rho={rho} | nan | nan | nan |" for rho in (3, 5, 7)]


def test_numbers_that_are_zipped_are_no_heat_map(bench):
    made = bench(axes=("time_steps.rho", "nfe"))
    for rho, nfe in ((3, 7), (5, 11), (7, 35)):
        made.point({"time_steps.rho": rho, "nfe": nfe}, 3.0)
    assert heat_panels(made.study(), "frechet") == []


ODD = ["a_b & 50 % #1", r"\input{/etc/passwd}", '{$^~<>|"', "naïve é", "数 σ ± ∇", "- 3"]


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_tables_compile_with_pdflatex(bench, tmp_path):
    made = bench(axes=("solver", "nfe"))
    made.about["question"] = "Which & why?"
    for i, (name, nfe) in enumerate((name, nfe) for name in ODD for nfe in (7, 11)):
        made.point({"solver": name, "nfe": nfe}, 5.0 + i, influence(i, 1.0))
    write(made.folder)
    (made.folder / "paper.tex").write_text(
        r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{lmodern,booktabs,graphicx}"
        r"\begin{document}\input{table.tex}\end{document}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    done = subprocess.run(command, cwd=made.folder, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (made.folder / "paper.pdf").stat().st_size > 5000


def test_text_is_escaped_in_latex():
    assert escape_latex(r"\input{x}_&%") == r"\textbackslash{}input\{x\}\_\&\%"
    assert escape_latex("σ ± 1 数") == r"$\sigma$ $\pm$ 1 (U+6570)"
