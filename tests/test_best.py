"""The table of best practices: known numbers give known lines, verdicts and notes."""

import csv
import io
import itertools
import math
import re
import shutil
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from studies import RECORD, Bench, edit, influence
from typer.testing import CliRunner

import designspace as ds
from designspace.cli.app import app
from designspace.design import Design
from designspace.errors import DataError
from designspace.registry.known import ROWS as COMPONENTS
from designspace.report import Study, find
from designspace.report.evidence import compared
from designspace.report.evidence.claims import comparisons
from designspace.report.evidence.deciding import deciding
from designspace.report.evidence.inference import Outcome
from designspace.report.evidence.judged import Judgement
from designspace.report.evidence.paper import ROWS
from designspace.report.evidence.practices import evidence, where
from designspace.report.figures.best import changes
from designspace.report.tables import best as tables
from designspace.report.tables import best_csv
from designspace.report.tables.evidence import change, favoured, listed, notes, papers, picked, some, verdicts
from designspace.results.uncertainty import critical_value

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "make"))

import claims as papers_claims

REPORTS = ROOT / "reports"
EDM = {
    row: getattr(Design.preset("edm"), row).model_dump(mode="json") | {"name": getattr(Design.preset("edm"), row).name}
    for row in (row.name for row in ROWS if row.place == ("design",))
}
NETWORK = {"name": "trained", "training_images": 32000, "network": {"name": "unet"}, "augmentation": None}
NETWORK |= {"ema": {"name": "half_life", "half_life": 4000.0}}


class Made(Bench):
    """Results of trials whose specs are those of EDM, except for some rows."""

    def trial(self, axes, value, scores=None, *, design=None, denoiser=None, **options):
        spec = {"design": EDM | (design or {}), "denoiser": denoiser or {"name": "pretrained", "model": "digits"}}
        self.specs = [*getattr(self, "specs", []), spec]
        self.point(axes, value, scores, **options)

    def study(self):
        def set_specs(rows):
            for row, spec in zip(rows, self.specs, strict=True):
                row["trial"] |= spec

        edit(self.folder, set_specs)
        return super().study()


@pytest.fixture
def made(tmp_path):
    def make(name="mine", axes=("solver", "nfe"), baseline=None):
        folder = tmp_path / name
        folder.mkdir()
        bench = Made(folder, list(axes))
        bench.about["baseline_axes"] = baseline or {}
        return bench

    return make


def solvers(bench, values, scale=1.0):
    """Points of solvers at several NFE, which share most of their noise; values by NFE and solver."""
    for i, (nfe, of) in enumerate(values.items()):
        for k, (solver, value) in enumerate(of.items()):
            scores = influence(i, 10.0) + influence(100 + 10 * i + k, scale)
            bench.trial({"solver": solver, "nfe": nfe}, value, scores, design={"solver": {"name": solver}})
    return bench.study()


def only(study, metric="frechet"):
    ((one,),) = evidence(study, metric)
    return one


def test_the_papers_choices_are_those_of_the_preset_edm():
    design = Design.preset("edm")
    for row in ROWS:
        if row.place == ("design",):
            component = getattr(design, row.name)
            spec = component.model_dump() | {"name": component.name}
            assert row.is_papers(spec), row.name
            assert all(spec[name] == value for name, value in row.fields.items() if name in spec), row.name
    known = {row: set(kind.known) for row, kind in COMPONENTS.items()}
    assert {row.name: set(row.names) - known[row.name] for row in ROWS} == {row.name: set() for row in ROWS}
    churn = COMPONENTS["stochasticity"].known["churn"].model_fields
    assert {row.name: set(row.fields) for row in ROWS}["stochasticity"] <= set(churn)


def test_a_grid_is_compared_with_the_papers_choice_at_each_budget(made):
    study = solvers(made(), {7: {"euler": 50.0, "heun": 90.0}, 19: {"euler": 30.0, "heun": 20.0}})
    one = only(study)
    assert (one.change.name, one.factor.choices, one.of_paper) == ("solver", ("heun", "euler"), True)
    assert one.judgements == {7: Judgement.CONTRADICTS, 19: Judgement.AGREES}
    assert verdicts(one) == "contradicts at NFE 7; agrees at NFE 19"
    gap = one.at[7].against["euler"]
    assert gap.value == -40.0
    half = 1.959964 * gap.se
    assert change(one, 7) == f"euler -40.000 [{-40 - half:.3f}, {-40 + half:.3f}] of 90"
    assert deciding(one.change.rows[0], one) == ""


def test_what_the_average_hides_is_told_with_the_axis_on_which_it_depends(made):
    """heun is better for edm; for ve, the sign is not known, but the difference is certainly another one."""
    bench = made(axes=("solver", "time_steps"))
    for i, (solver, steps, value) in enumerate(
        (("heun", "edm", 20.0), ("euler", "edm", 26.0), ("heun", "ve", 50.0), ("euler", "ve", 47.0))
    ):
        scores = influence(0, 10.0) + influence(i + 1, 1.0 if steps == "edm" else 26.0)
        design = {"solver": {"name": solver}, "time_steps": {"name": steps}}
        bench.trial({"solver": solver, "time_steps": steps}, value, scores, design=design)
    (lines,) = evidence(bench.study(), "frechet")
    (averaged,) = (one for one in lines if one.change.name == "solver" and one.at[None].lines == 2)
    assert "depends on time_steps" in notes(averaged)


def test_a_difference_within_its_error_is_undecided_and_says_how_many_images_would_decide(made):
    study = solvers(made(), {19: {"euler": 20.1, "heun": 20.0}})
    one = only(study)
    assert one.judgements == {19: Judgement.UNDECIDED}
    gap = one.at[19].against["euler"]
    images = 400 * ((1.959964 + 0.841621) / (gap.value / gap.se)) ** 2
    assert (
        deciding(one.change.rows[0], one)
        == f"about {float(f'{images:.2g}'):,.0f} images with a probability of 80 % at NFE 19"
    )


def test_agreement_needs_all_other_choices_to_be_worse_and_one_better_choice_contradicts(made):
    study = solvers(made("a"), {19: {"heun": 20.0, "euler": 30.0, "deis": 20.05}})
    assert only(study).judgements == {19: Judgement.UNDECIDED}
    study = solvers(made("b"), {19: {"heun": 20.0, "euler": 30.0, "deis": 19.0}})
    assert only(study).judgements == {19: Judgement.CONTRADICTS}


@pytest.mark.parametrize(
    ("values", "judgement"),
    [
        ({"heun": 20.0, "rk4": 10.0, "euler": 30.0}, Judgement.WITHHELD),  # the only better choice costs more
        ({"heun": 20.0, "rk4": 10.0, "euler": 15.0}, Judgement.CONTRADICTS),  # one that costs less is better, too
        ({"heun": 20.0, "rk4": 30.0, "euler": 30.0}, Judgement.WITHHELD),  # heun costs more than one that is worse
        ({"heun": 20.0, "rk4": 30.0}, Judgement.AGREES),
    ],
)
def test_a_verdict_at_equal_steps_needs_a_better_choice_that_does_not_cost_more(made, values, judgement):
    bench = made(axes=("solver", "num_steps"))
    for solver, value in values.items():
        nfe, design = {"euler": 18, "heun": 35, "rk4": 71}[solver], {"solver": {"name": solver}}
        bench.trial({"solver": solver, "num_steps": 18}, value, se=0.1, design=design, nfe=nfe)
    assert only(bench.study()).judgements == {18: judgement}


def test_p_values_are_corrected_for_all_choices_and_budgets_of_a_line(made):
    study = solvers(made(), {7: {"heun": 20.0, "euler": 20.142}, 19: {"heun": 20.0, "euler": 20.01}})
    one = only(study)
    raw = one.at[7].against["euler"].p
    assert one.p[7, "euler"] == pytest.approx(2 * raw)
    assert raw < 0.05 < one.p[7, "euler"]
    assert one.judgements == {7: Judgement.UNDECIDED, 19: Judgement.UNDECIDED}


def test_one_at_a_time_gives_one_line_per_row_and_field(made):
    bench = made(axes=("variant", "nfe"))
    variants = {
        "baseline": {},
        "solver=euler": {"solver": {"name": "euler"}},
        "time_steps.rho=3": {"time_steps": EDM["time_steps"] | {"rho": 3.0}},
        "time_steps.rho=5": {"time_steps": EDM["time_steps"] | {"rho": 5.0}},
        "schedule=vp with its scaling": {"schedule": {"name": "vp"}, "scaling": {"name": "vp"}},
    }
    for k, (name, rows) in enumerate(variants.items()):
        bench.trial({"variant": name, "nfe": 19}, 20.0 - k, influence(1, 10.0) + influence(k + 5, 0.5), design=rows)
    bench.study()
    found = ds.best(bench.folder)
    (sheet,) = found.sheets
    lines = {line.name: line for line in sheet.lines if line.evidence}
    assert list(lines) == ["solver", "time_steps.rho", "schedule + scaling"]
    assert lines["time_steps.rho"].evidence.factor.choices == ("7", "3", "5")
    assert "edge of the grid" not in notes(lines["solver"].evidence)
    absent = [line.name for line in sheet.lines if line.evidence is None]
    assert {"schedule", "scaling", "c_skip", "network", "guidance"} <= set(absent)
    rows = {row[0].text: [cell.text for cell in row] for row in tables.table(sheet).rows}
    assert rows["schedule"][5:8] == ["no evidence", "", "changed only with others: see schedule + scaling"]


def test_the_best_number_at_the_end_of_a_grid_is_flagged_but_0_is_none(made):
    bench = made("rho", axes=("time_steps.rho",))
    for k, rho in enumerate((3, 5, 7, 10)):
        steps = EDM["time_steps"] | {"rho": float(rho)}
        bench.trial(
            {"time_steps.rho": rho}, 20.0 - k, influence(1, 9.0) + influence(k + 5, 0.3), design={"time_steps": steps}
        )
    one = only(bench.study())
    assert (one.factor.choices[0], notes(one)) == ("7", "edge of the grid at NFE 7; one trained network")
    bench = made("churn", axes=("stochasticity.S_churn",))
    for k, churn in enumerate((0.0, 5.0, 10.0)):
        part = {"stochasticity": {"name": "churn", "S_churn": churn}}
        bench.trial({"stochasticity.S_churn": churn}, 20.0 + k, influence(1, 9.0) + influence(k + 5, 0.3), design=part)
    one = only(bench.study())
    assert (one.change.name, one.judgements) == ("stochasticity.S_churn", {None: Judgement.AGREES})
    assert notes(one) == "one trained network"


def test_dependence_on_another_row_and_other_choices_in_it_are_noted(made):
    bench = made(axes=("solver", "time_steps"))
    values = {("heun", "edm"): 10.0, ("euler", "edm"): 20.0, ("heun", "cosine"): 30.0, ("euler", "cosine"): 15.0}
    for k, ((solver, steps), value) in enumerate(values.items()):
        rows = {"solver": {"name": solver}} | ({"time_steps": {"name": steps}} if steps != "edm" else {})
        bench.trial({"solver": solver, "time_steps": steps}, value, influence(k, 0.5), design=rows)
    alone, mean, *_ = found = evidence(bench.study(), "frechet")[0]
    assert [one.change.name for one in found] == ["solver", "solver", "time_steps", "time_steps"]
    assert (alone.others, notes(alone)) == ((), "one trained network")
    assert [one.at[None].against["euler"].value for one in (alone, mean)] == [10.0, -2.5]
    settings = "depends on time_steps at NFE 7; mean over 2 settings, not all with EDM's time_steps"
    assert notes(mean) == f"{settings}; one trained network"
    (sheet,) = ds.best(bench.folder).sheets
    assert sheet.leading[0].evidence.others == ()  # where all other rows are EDM's


def test_other_fields_of_the_row_count_like_other_rows(made):
    """With EDM's P_std, both values of P_mean are equally good; with the other, the smaller one is much worse."""
    bench = made(axes=("design.noise_distribution.P_mean", "design.noise_distribution.P_std"))
    for k, (mean, std) in enumerate(product((-1.2, -0.4), (1.2, 0.6))):
        for seed, own in enumerate((0.0, 0.6, -0.5)):
            noise = {"noise_distribution": {"name": "edm", "P_mean": mean, "P_std": std}}
            axes = {f"design.noise_distribution.{name}": value for name, value in (("P_mean", mean), ("P_std", std))}
            value = 20.0 + own * (1 + k / 9) + (50.0 if (mean, std) == (-1.2, 0.6) else 0.0)
            bench.trial(axes, value, se=0.01, seed=seed, network=f"n{k}{seed}", denoiser=NETWORK, design=noise)
    study = bench.study()
    alone, averaged = (one for one in evidence(study, "frechet")[0] if one.change.field == "P_mean")
    assert [one.at[None].lines for one in (alone, averaged)] == [1, 2]
    assert [one.others for one in (alone, averaged)] == [(), ("noise_distribution.P_std",)]
    assert [one.overall for one in (alone, averaged)] == [Judgement.UNDECIDED, Judgement.CONTRADICTS]
    assert "mean over 2 settings, not all with EDM's noise_distribution.P_std" in notes(averaged)
    (sheet,) = ds.best(study.folder).sheets
    assert {line.evidence.others for line in sheet.leading if line.evidence} == {()}


def test_a_field_of_another_component_is_not_in_the_papers_row_but_churn_is_no_setting_of_its_own_fields(made):
    bench = made("a", axes=("time_steps", "sigma_max"))
    for k, (steps, end) in enumerate(product(("edm", "cosine"), (80.0, 40.0))):
        spec = EDM["time_steps"] if steps == "edm" else {"name": steps, "sigma_min": 0.002}
        axes = {"time_steps": steps, "sigma_max": end}
        bench.trial(axes, 20.0 + k, influence(k, 0.5), design={"time_steps": spec | {"sigma_max": end}})
    ends = [one for one in evidence(bench.study(), "frechet")[0] if one.change.field == "sigma_max"]
    assert [one.others for one in ends] == [(), ("time_steps",)]
    bench = made("b", axes=("S_noise", "S_min"))
    for k, (noise, low) in enumerate(product((1.003, 1.0), (0.05, 0.5))):
        spec = {"name": "churn", "S_churn": 40.0, "S_min": low, "S_max": 50.0, "S_noise": noise}
        bench.trial({"S_noise": noise, "S_min": low}, 20.0 + k, influence(k, 0.5), design={"stochasticity": spec})
    found = [one for one in evidence(bench.study(), "frechet")[0] if one.change.field == "S_noise"]
    assert [one.others for one in found] == [(), ("stochasticity.S_min",)]


def test_a_choice_that_is_worse_at_one_setting_is_noted_if_no_single_axis_tells_which(made):
    """heun is better on average with each of the time steps and with each schedule, but not with these two."""
    bench = made(axes=("solver", "time_steps", "schedule"))
    for k, (solver, steps, schedule) in enumerate(product(("heun", "euler"), ("edm", "cosine"), ("linear", "vp"))):
        rows = {"solver": {"name": solver}, "schedule": {"name": schedule}}
        rows |= {"time_steps": {"name": steps}} if steps != "edm" else {}
        value = 20.0 + 3 * (solver == "euler") * (-1 if (steps, schedule) == ("cosine", "vp") else 2)
        value += 50 * (steps != "edm") + 50 * (schedule == "vp")
        axes = {"solver": solver, "time_steps": steps, "schedule": schedule}
        bench.trial(axes, value, influence(k, 0.5), design=rows)
    found = [one for one in evidence(bench.study(), "frechet")[0] if one.change.name == "solver"]
    mean = found[-1]
    assert mean.at[None].lines == 4
    assert notes(mean).startswith("not at every setting at NFE 7; mean over 4 settings")
    assert picked(mean) == "NFE 7: heun (not at every setting)"


def test_stages_are_compared_with_the_stage_before(made):
    bench = made(axes=("stage", "nfe"))
    stages = {
        "as published": ({"solver": {"name": "euler"}, "schedule": {"name": "vp"}}, 40.0),
        "+ Heun": ({"schedule": {"name": "vp"}}, 30.0),
        "+ EDM schedule": ({}, 29.0),
    }
    for k, (name, (rows, value)) in enumerate(stages.items()):
        bench.trial({"stage": name, "nfe": 19}, value, influence(1, 9.0) + influence(k + 5, 0.3), design=rows)
    found = {one.change.name: one for one in evidence(bench.study(), "frechet")[0]}
    assert {name: one.factor.choices for name, one in found.items()} == {
        "solver": ("heun", "euler"),
        "schedule": ("linear", "vp"),
    }
    assert {name: one.at[19].against[one.factor.choices[1]].value for name, one in found.items()} == {
        "solver": 10.0,
        "schedule": 1.0,
    }
    assert found["solver"].others == ("schedule",)


def trainings(bench, name, rows, values, once=False):
    for seed, value in enumerate(values[:1] if once else values):
        network = f"{name}{seed}"
        bench.trial({"variant": name}, value, se=0.01, seed=seed, network=network, denoiser=NETWORK, design=rows)


WEIGHT = {"loss_weight": {"name": "uniform"}}
EXACT = {"name": "exact"}
FIRST, SECOND = (20.0, 21.0, 19.5), (23.0, 24.5, 22.0)


def test_rows_of_training_have_the_t_interval_of_their_training_runs(made):
    bench = made(axes=("variant",))
    trainings(bench, "baseline", {}, FIRST)
    trainings(bench, "loss_weight=uniform", WEIGHT, SECOND)
    one = only(bench.study())
    gap = one.at[None].against["uniform"]
    own = np.subtract(SECOND, FIRST)
    assert (gap.value, gap.runs, one.repeats) == (pytest.approx(own.mean()), 3, 3)
    assert gap.se == pytest.approx(own.std(ddof=1) / math.sqrt(3))  # 0.29, where that of the images is 0.014
    half = critical_value(gap.degrees) * gap.se
    (row,) = [row for row in best_csv.flat(ds.best(bench.folder).sheets, "frechet") if row["row"] == "loss_weight"]
    assert (row["low"], row["high"], row["training_runs"]) == (gap.value - half, gap.value + half, 3)
    assert critical_value(gap.degrees) > 2.7  # at most four degrees of freedom
    assert one.judgements == {None: Judgement.AGREES if gap.p <= 0.05 else Judgement.UNDECIDED}


def test_few_training_runs_that_scatter_leave_a_row_undecided(made):
    bench = made(axes=("variant",))
    trainings(bench, "baseline", {}, (20.0, 26.0, 15.0))
    trainings(bench, "loss_weight=uniform", WEIGHT, (21.0, 17.0, 25.0))
    one = only(bench.study())
    assert one.judgements == {None: Judgement.UNDECIDED}
    assert "training runs" in deciding(one.change.rows[0], one)


def test_networks_that_were_trained_once_decide_nothing_about_training_but_about_sampling(made):
    bench = made("training", axes=("variant",))
    trainings(bench, "baseline", {}, FIRST, once=True)
    trainings(bench, "loss_weight=uniform", WEIGHT, (100.0,), once=True)
    one = only(bench.study())
    assert one.judgements == {None: Judgement.UNDECIDED}
    assert notes(one) == "one training run of each network"
    assert "evaluate.repeats: 3" in deciding(one.change.rows[0], one)
    bench = made("sampling", axes=("variant",))
    for name, rows, value in (("baseline", {}, 20.0), ("solver=euler", {"solver": {"name": "euler"}}, 100.0)):
        bench.trial({"variant": name}, value, se=0.1, network="one", denoiser=NETWORK, design=rows)
    assert only(bench.study()).judgements == {None: Judgement.AGREES}


def test_training_rows_of_a_denoiser_without_a_network_are_no_evidence(made):
    bench = made(axes=("variant",))
    for name, rows in (("baseline", {}), ("loss_weight=uniform", WEIGHT)):
        bench.trial({"variant": name}, 20.0, se=0.1, denoiser={"name": "exact"}, design=rows)
    assert evidence(bench.study(), "frechet") == [[]]


def test_without_the_papers_choice_there_is_no_verdict(made):
    bench = made(axes=("solver", "nfe"))
    one = only(solvers(bench, {19: {"euler": 30.0, "deis": 20.0}}))
    assert (one.of_paper, one.judgements) == (False, {19: Judgement.NONE})
    assert deciding(one.change.rows[0], one) == "an ablation that tries the paper's choice beside these"


def test_a_field_of_another_component_than_the_papers_has_no_verdict_either(made):
    bench = made(axes=("denoiser.ema.std",))
    for std, value in ((0.05, 20.0), (0.1, 10.0)):
        denoiser = NETWORK | {"ema": {"name": "power", "std": std}}
        bench.trial({"denoiser.ema.std": std}, value, se=0.1, network=f"std{std}", denoiser=denoiser)
    one = only(bench.study())
    assert (one.change.name, one.of_paper) == ("ema.std", False)
    assert verdicts(one) == "not in the paper"
    assert (favoured(one, None), deciding(one.change.rows[0], one)) == ("0.1", "")
    assert re.fullmatch(r"0.05 \+10.00 \[9.\d+, 10.\d+\] of 10 with 0.1", change(one, None))
    found = ds.best(one.study.folder)
    page = tables.page(found.sheets, one.study.folder, [])
    assert "1 is not in the paper" in page
    assert "that tries the paper's choice beside these" not in page


def test_a_field_that_the_paper_leaves_open_is_not_its_choice_even_in_its_component(made):
    bench = made(axes=("denoiser.ema.half_life",))
    for k, value in enumerate((4000.0, 8000.0)):
        denoiser = NETWORK | {"ema": {"name": "half_life", "half_life": value}}
        bench.trial({"denoiser.ema.half_life": value}, 20.0 + k, se=0.1, network=f"n{k}", denoiser=denoiser)
    one = only(bench.study())
    assert (one.change.name, verdicts(one)) == ("ema.half_life", "not in the paper")


def guided(bench, values):
    """Points of a network with and without guidance at 11 evaluations; values by place and weight."""
    for (place, weight), value in values.items():
        spec = {"name": "none"} if weight == 1 else {"name": place, "weight": float(weight)}
        extra = 0 if weight == 1 else 2 if place == "interval" else 11
        bench.trial({"guidance": place, "guidance.weight": weight}, value, se=0.1, nfe=11, nfe_guidance=extra)
        bench.specs[-1]["guidance"] = spec
    return bench.study()


def test_guidance_is_at_the_budget_that_was_fixed_with_its_total_cost_and_names_its_field(made):
    bench = made(axes=("guidance", "guidance.weight"))
    values = {("everywhere", 1): 30.0, ("everywhere", 2): 20.0, ("interval", 1): 30.0, ("interval", 2): 35.0}
    study = guided(bench, values)
    row, one = (one for one in evidence(study, "frechet")[0] if one.of_paper)
    assert (row.change.name, row.factor.choices) == ("guidance", ("none", "everywhere", "interval"))
    assert (one.change.name, one.factor.choices) == ("guidance.weight", ("1", "2"))
    assert where(one, None) == "NFE 11 (total 11 to 22)"
    (sheet,) = ds.best(study.folder).sheets
    (line,) = [line for line in sheet.leading if line.name == "guidance.weight"]
    assert papers(line) == "1"
    (cell,) = [cells[2].text for cells in tables.short(sheet).rows if cells[0].text == "guidance.weight"]
    assert cell == "NFE 11 (total 11 to 22): 2 (depends on guidance)"
    assert verdicts(one) == "withheld (unequal total NFE: 11 with 1 and 17.5 with 2)"
    assert deciding(one.change.rows[0], one).startswith("the same choices at equal cost (axis nfe_total)")
    (row,) = [row for row in best_csv.flat([sheet], "frechet") if row["row"] == "guidance.weight"]
    assert (row["nfe"], row["nfe_total"]) == (11.0, 17.5)


def test_the_weight_on_which_the_place_of_guidance_depends_is_named_although_none_has_no_weight(made):
    bench = made(axes=("guidance", "guidance.weight"))
    values = {("everywhere", 1): 30.0, ("everywhere", 1.5): 20.0, ("everywhere", 3): 40.0}
    values |= {("interval", 1): 30.0, ("interval", 1.5): 25.0, ("interval", 3): 22.0}
    one = next(one for one in evidence(guided(bench, values), "frechet")[0] if one.change.name == "guidance")
    assert tuple(one.at[None].nfe) == ("none", "everywhere", "interval")
    dependence = one.at[None].dependence
    assert (dependence.axis, dependence.favoured) == ("guidance.weight", {1.5: ("everywhere",), 3: ("interval",)})
    assert picked(one) == "NFE 11 (total 11 to 22): interval (depends on guidance.weight)"


def test_equal_cost_decides_only_once_a_better_choice_that_costs_more_is_significant(made):
    bench = made(axes=("guidance", "guidance.weight"))
    study = guided(bench, {("everywhere", 1): 30.0, ("everywhere", 2): 29.8})
    one = next(one for one in evidence(study, "frechet")[0] if one.change.name == "guidance.weight")
    assert (one.overall, one.is_unequal(None)) == (Judgement.UNDECIDED, True)
    text = deciding(one.change.rows[0], one)
    assert re.match(r"about [\d,]+ images with a probability of 80 % at NFE 11 \(total 11 to 22\); if the better", text)
    assert text.endswith("the same choices at equal cost (axis nfe_total)")


def test_a_line_without_any_significant_difference_says_so(made):
    study = solvers(made("a"), {19: {"heun": 20.0, "euler": 20.01, "deis": 20.02}})
    one = only(study)
    assert (favoured(one, 19), verdicts(one)) == ("no difference found", "undecided")
    study = solvers(made("b"), {19: {"heun": 20.0, "euler": 20.01, "deis": 30.0}})
    assert favoured(only(study), 19) == "heun or euler"


def bold(folder, row="solver"):
    (sheet,) = ds.best(folder).sheets
    (cells,) = [cells for cells in tables.short(sheet).rows if cells[0].text == row]
    return any(cell.best for cell in cells)


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({}, ""),
        ({"network": "one", "denoiser": NETWORK}, "one trained network"),
        ({"features": 41}, "n is below 10 × 41 features, so distances are biased upwards"),
        ({"about": {"drawn": 1.5, "drawn_sd": 0.1}}, "more than 10 times the drawn reference at NFE 19"),
        ({"about": {"drawn": 2.5, "drawn_sd": 0.1}}, ""),
    ],
)
def test_weak_evidence_is_noted_and_never_bold(made, options, note):
    bench = made()
    for solver, value in (("heun", 20.0), ("euler", 30.0)):
        rows = {"solver": {"name": solver}}
        bench.trial({"solver": solver, "nfe": 19}, value, se=0.1, design=rows, **({"denoiser": EXACT} | options))
    one = only(bench.study())
    assert (verdicts(one), notes(one)) == ("agrees", note)
    assert bold(bench.folder) is not bool(note)


def test_a_metric_without_a_better_direction_favours_nothing_and_asks_for_no_runs(made):
    bench = made()
    for solver, value in (("heun", 20.0), ("euler", 30.0)):
        about = {"higher_is_better": None}
        bench.trial({"solver": solver, "nfe": 19}, value, se=0.1, design={"solver": {"name": solver}}, about=about)
    one = only(bench.study())
    assert (favoured(one, 19), change(one, 19), deciding(one.change.rows[0], one)) == ("", "", "")
    found = ds.best(bench.folder)
    page = tables.page(found.sheets, bench.folder, [])
    assert "FD-x has no better direction" in page
    assert "FD-x has no better direction" in str(found)
    assert "would decide" not in page
    assert not any(row["would_decide"] for row in best_csv.flat(found.sheets, "frechet"))


def test_a_row_that_the_baseline_does_not_set_is_none(made):
    bench = made(axes=("variant",))
    augmented = NETWORK | {"augmentation": {"name": "edm", "x_flip": 0.5, "geometric": 0.12}}
    bench.trial({"variant": "baseline"}, 20.0, se=0.1, network="a", denoiser=NETWORK)
    bench.trial({"variant": "denoiser.augmentation=edm"}, 30.0, se=0.1, network="b", denoiser=augmented)
    assert only(bench.study()).factor.choices == ("edm", "none")


def test_choices_with_commas_are_separated_by_semicolons():
    assert listed(["half_life", "power, 0.1"]) == "half_life; power, 0.1"
    assert listed(["heun", "euler"]) == "heun, euler"


def test_an_ablation_that_is_not_complete_is_preliminary(made):
    bench = made()
    for k, solver in enumerate(("heun", "euler")):
        bench.trial({"solver": solver, "nfe": 19}, 20.0 + k, se=0.1, design={"solver": {"name": solver}})
    bench.point({"solver": "deis", "nfe": 19}, 0.0, finished=False)
    assert notes(only(bench.study())) == "one trained network; preliminary: results are missing"


def test_values_below_the_drawn_reference_count_as_equal(made):
    bench = made()
    about = {"drawn": 5.0, "drawn_sd": 0.3}
    for solver, value in (("heun", 4.5), ("euler", 3.0)):
        rows = {"solver": {"name": solver}}
        bench.trial({"solver": solver, "nfe": 19}, value, se=0.1, about=about, design=rows)
    one = only(bench.study())
    assert one.judgements == {19: Judgement.UNDECIDED}
    assert "as good as images drawn from the reference" in deciding(one.change.rows[0], one)


def test_evidence_that_can_decide_comes_first_whatever_it_says(made):
    values = {19: {"heun": 20.0, "euler": 30.0}}
    benches = [made(name) for name in ("a", "b", "c")]
    for bench in benches:
        solvers(bench, values)
    exact = {"name": "exact"}
    edit(benches[0].folder, lambda rows: [row["trial"].update(denoiser=exact) for row in rows])
    edit(benches[1].folder, lambda rows: [row["trial"]["design"].update(scaling={"name": "vp"}) for row in rows])
    for reverse in (False, True):
        if reverse:  # now a and b contradict, and c still agrees
            for bench in benches[:2]:
                edit(
                    bench.folder,
                    lambda rows: [
                        row["metrics"]["frechet"].update(value=60 - row["metrics"]["frechet"]["value"]) for row in rows
                    ],
                )
        (sheet,) = ds.best([bench.folder for bench in benches]).sheets
        order = [line.evidence.study.about.name for line in sheet.lines if line.evidence]
        assert order == ["c", "b", "a"]


def test_protocols_and_data_sets_are_never_mixed(made):
    folders = []
    for name, options in {
        "a": {},
        "b": {"record": {"detector": {"name": "other"}}},
        "c": {"data": "cifar10"},
        "d": {"protocol": "FD-y"},
        "e": {"record": {"reference": {"content": "another"}}},
    }.items():
        bench = made(name)
        for k, solver in enumerate(("heun", "euler")):
            axes, rows = {"solver": solver, "nfe": 19}, {"solver": {"name": solver}}
            bench.trial(axes, 20.0 + k, se=0.1, design=rows, **options)
        folders.append(bench.study().folder)
    sheets = ds.best(folders).sheets
    assert [[one.study.about.name for one in sheet.evidence] for sheet in sheets] == [["a"], ["b"], ["c"], ["d"], ["e"]]
    assert [sheet.title for sheet in sheets[2:4]] == ["cifar10, FD-x", "digits, FD-y"]


def test_results_of_earlier_versions_join_the_only_recorded_protocol_of_their_name(made):
    folders = []
    for name, record in (("new", RECORD), ("old", None)):
        bench = made(name)
        for k, solver in enumerate(("heun", "euler")):
            bench.trial(
                {"solver": solver, "nfe": 19}, 20.0 + k, se=0.1, design={"solver": {"name": solver}}, record=record
            )
        folders.append(bench.study().folder)
    (sheet,) = ds.best(folders).sheets
    assert sheet.unrecorded == ("old",)


def test_the_object_has_a_frame_text_and_html(made, tmp_path):
    study = solvers(made(), {7: {"euler": 50.0, "heun": 90.0}, 19: {"euler": 30.0, "heun": 20.0}})
    found = ds.best(study.folder)
    frame = found.frame.query("row == 'solver'")
    assert list(frame["verdict"]) == ["contradicts", "agrees"]
    assert list(frame["change"]) == [-40.0, 10.0]
    assert list(frame["nfe"]) == [7.0, 19.0]
    assert "| solver | Heun's 2nd-order method |" in str(found)
    page = found._repr_html_()
    assert "<b>solver</b>" in page
    assert page.count("<table>") == 1
    written = {path.name for path in found.write(tmp_path / "out")}
    assert written == {"best.md", "best.csv", "best.html", "changes_1.png", "quality_1.png"}
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "best.csv").read_text())))
    assert len(rows) == len(found.frame)
    assert [row["change"] for row in rows if row["row"] == "solver"] == ["-40", "10"]
    page = (tmp_path / "out" / "best.md").read_text()
    html = (tmp_path / "out" / "best.html").read_text()
    assert "<h1>What do the ablations say about each row of Table 1?</h1>" in html
    assert html.count("data:image/png;base64,") == 2
    assert '<a href="../mine/">mine</a>' in html
    assert "[mine](../mine/)" in page
    assert all(f"({name})" in page for name in written if name.endswith(".png"))


def test_names_from_files_cannot_break_the_page(made):
    bench = made(axes=("solver",))
    for k, (label, solver) in enumerate((("heun", "heun"), ("<b>|x</b>", "euler"))):
        bench.trial({"solver": label}, 20.0 + k, se=0.1, design={"solver": {"name": solver}})
    bench.study()
    found = ds.best(bench.folder)
    assert "<b>|x" not in found._repr_html_()
    assert r"\<b\>\|x\</b\>" in str(found) or r"\<b\>\|x" in str(found)


@pytest.mark.parametrize("command", [["best", "nothing"], ["best", "--out", "nothing"]])
def test_a_folder_without_results_is_one_line_and_status_2(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "nothing: no ablation has results here; run one first, with designspace run or designspace tune"
    ]
    assert not (tmp_path / "nothing").exists()


def test_a_metric_that_was_not_measured_is_refused(tmp_path):
    shutil.copytree(REPORTS / "solver_grid", tmp_path / "solver_grid")
    with pytest.raises(DataError, match=r"no ablation has results for the metric mmd\. Known: .*frechet, "):
        ds.best(tmp_path, "mmd")


def test_a_misspelt_metric_is_one_line_with_a_suggestion(tmp_path):
    shutil.copytree(REPORTS / "solver_grid", tmp_path / "solver_grid")
    done = CliRunner().invoke(app, ["best", str(tmp_path), "--metric", "frechett"])
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert "Did you mean 'frechet'?" in done.stderr


def test_the_command_writes_the_page_and_prints_the_table(tmp_path):
    done = CliRunner().invoke(app, ["best", str(REPORTS / "solver_grid"), "--output", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "contradicts at NFE" in " ".join(done.output.split())
    assert "exact denoiser" in done.output
    assert (tmp_path / "out" / "best.md").is_file()


def test_the_committed_reports_give_the_lines_that_they_contain():
    """By hand from effects.csv of the committed reports."""
    found = ds.best([REPORTS / "solver_grid", REPORTS / "cifar10_jpeg_steps", REPORTS / "tuned_digits"])
    frame = found.frame
    rows = list(csv.DictReader((REPORTS / "solver_grid" / "effects.csv").open()))
    checked = 0
    for row in rows:
        if row["metric"] == "frechet" and row["choice_of"] == "solver":
            (own,) = frame.query(
                f"report == 'solver_grid' and budget == '{row['nfe']}' and choice == '{row['choice']}'"
            ).iloc
            assert (f"{own['change']:.6g}", f"{own['se']:.6g}") == (row["change"], row["se"])
            checked += 1
    assert checked == 12
    own = frame.query("report == 'tuned_digits'")
    assert set(own["row"]) == {"solver", "solver + time_steps"}  # the final test of a search counts
    assert {sheet.data for sheet in found.sheets} == {"digits", "cifar10_jpeg"}


def test_the_committed_page_is_that_of_the_committed_reports(tmp_path):
    """``make reports`` writes it. Texts are equal; numbers of best.csv differ between machines in the last digits."""
    written = ds.best(find(REPORTS))
    folder = REPORTS / "best_practices"
    names = {path.name for path in written.write(tmp_path / "best_practices")}
    assert names == {path.name for path in folder.iterdir()} | {"best.html"}
    page = tables.page(written.sheets, folder, names)
    committed = (folder / "best.md").read_text("utf-8")
    assert [line for line in page.splitlines() if line.startswith("| ")] == [
        line for line in committed.splitlines() if line.startswith("| ")
    ]
    rows = [
        list(csv.reader(io.StringIO(text)))
        for text in (best_csv.tidy(written.sheets, "frechet"), (folder / "best.csv").read_text("utf-8"))
    ]
    assert len(rows[0]) == len(rows[1])
    for own, theirs in zip(*rows, strict=True):
        assert len(own) == len(theirs)
        assert all(a == b or float(a) == pytest.approx(float(b), rel=1e-3) for a, b in zip(own, theirs, strict=True))


def alphas(bench, values):
    """Points of Heun's method with several alphas, which share most of their noise."""
    for k, (alpha, value) in enumerate(values.items()):
        design = {"solver": EDM["solver"] | {"alpha": alpha}}
        scores = influence(0, 10.0) + influence(k + 1, 1.0)
        bench.trial({"solver.alpha": alpha, "nfe": 51}, value, scores, design=design)
    return bench.study()


@pytest.mark.parametrize(
    ("values", "verdict", "told"),
    [
        ({1.0: 21.0, 1.1: 20.0, 0.5: 30.0}, "agrees", "0.5 +10.00 [9.87, 10.13] of 20 with 1.1"),
        ({1.0: 20.0, 1.1: 30.0, 0.5: 25.0}, "agrees", "0.5 +5.00 [4.87, 5.13] of 20 with 1"),
        ({1.0: 30.0, 1.1: 21.0, 0.5: 20.0}, "contradicts", "0.5 -1.00 [-1.13, -0.87] of 21 with 1.1"),
        ({1.0: 30.0, 1.1: 20.01, 0.5: 20.0}, "undecided", "0.5 -0.01 [-0.14, 0.12] of 20.01 with 1.1"),
        ({1.0: 21.0, 0.5: 20.0}, "contradicts", "0.5 -1.00 [-1.13, -0.87] of 21"),
        ({1.0: 21.0, 1.1: 20.0}, "no evidence", "1 +1.00 [0.87, 1.13] of 20 with 1.1"),
    ],
)
def test_values_that_the_paper_calls_about_as_good_are_its_choice_too(made, values, verdict, told):
    one = only(alphas(made(axes=("solver.alpha", "nfe")), values))
    assert verdicts(one) == verdict
    assert re.sub(r"\d+\.\d+", "x", change(one, 51)) == re.sub(r"\d+\.\d+", "x", told)
    (sheet,) = ds.best(one.study.folder).sheets
    (line,) = (line for line in sheet.leading if line.name == "solver.alpha")
    assert papers(line) == "1 or 1.1 (Appendix D.2)"
    endorsed = {row["choice"]: (row["endorsed"], math.isnan(row["p"])) for row in best_csv.flat([sheet], "frechet")
                if row["row"] == "solver.alpha"}  # fmt: skip
    assert all(known == (choice in ("1", "1.1"), choice in ("1", "1.1")) for choice, known in endorsed.items())


def test_a_choice_has_to_be_better_than_all_that_the_paper_endorses(made):
    """It is certainly better than the best one, but not than another one, whose value is uncertain."""
    bench = made(axes=("solver.alpha", "nfe"))
    for alpha, value, se in ((1.0, 21.0, 0.1), (1.1, 22.0, 5.0), (0.5, 20.0, 0.1)):
        axes, design = {"solver.alpha": alpha, "nfe": 51}, {"solver": EDM["solver"] | {"alpha": alpha}}
        bench.trial(axes, value, se=se, design=design)
    one = only(bench.study())
    assert one.at[51].factor.choices[0] == "1"
    assert (verdicts(one), one.gaps[51, "0.5"].value) == ("undecided", -2.0)


def test_no_verdict_contradicts_where_a_claim_of_the_paper_holds():
    """What a claim of the paper says to be better is not held against the paper: alpha = 1.1 against 1."""
    better = set()
    claims = [claim for found in papers_claims.claims().values() for claim in found if claim.ablations]
    reports = dict.fromkeys(report for claim in claims for report in claim.ablations)
    for report in reports:
        study = Study(REPORTS / report)
        sayings = {say for claim in claims for say in claim.ablations.get(report, ())}
        for claim in (claim for claim in study.about.claims if claim.say in sayings):
            expect, metric = claim.expect, claim.expect["metric"]
            if metric != "frechet" or not expect.keys() & {"less", "argmin_in"}:
                continue
            for needed in comparisons(study, expect) or []:
                (at, *_) = {study.budget(entry) for entry in needed.entries}
                if compared.tested([compared.ClaimComparison(needed, metric, False)]).outcome is not Outcome.HOLDS:
                    continue
                if "less" in expect:
                    inside, outside = needed.entries[:1], needed.entries[1:]
                else:
                    chosen = expect["argmin_in"]
                    inside = [one for one in needed.entries if one.axes[expect["along"]] in chosen]
                    outside = [one for one in needed.entries if one not in inside]
                better |= {(report, at, a.rows[0].id, b.rows[0].id) for a in inside for b in outside}
                if "argmin_in" in expect:  # the claim names several values, each of which may be the best
                    better |= {(report, at, a.rows[0].id, b.rows[0].id) for a in inside for b in inside if a is not b}
    assert len(better) > 20
    wrong, contradictions = [], 0
    for report in reports:
        for one in (one for group in evidence(Study(REPORTS / report), "frechet") for one in group):
            of = {(budget, word): entry.rows[0].id for budget, word, entry in one.compared}
            for budget, kind in one.judgements.items():
                if kind is Judgement.CONTRADICTS and one.at[budget].lines == 1:
                    contradictions += 1
                    pair = of[budget, one.rival(budget)], of[budget, one.at[budget].factor.choices[0]]
                    wrong += [(report, one.change.name, budget)] * ((report, budget, *pair) in better)
    assert contradictions > 5
    assert wrong == []


def test_the_same_trials_count_once_and_all_reports_are_named(made):
    values = {7: {"heun": 20.0, "euler": 30.0}, 19: {"heun": 10.0, "euler": 12.0}}
    whole, part, other = made("whole"), made("part"), made("other")
    solvers(whole, values)
    solvers(part, {7: values[7]})
    solvers(other, {7: {"heun": 20.0, "euler": 31.0}})
    (sheet,) = ds.best([bench.folder for bench in (part, whole, other)]).sheets
    assert [one.study.about.name for one in sheet.evidence] == ["other", "whole"]
    assert [sheet.also_in(one) for one in sheet.evidence] == [[], ["part"]]
    shown = [cells[-1].text for cells in tables.table(sheet).rows if cells[-1].text]
    assert shown == ["whole (the same trials are in part)", "other"]
    assert {row["also_in"] for row in best_csv.flat([sheet], "frechet") if row.get("report") == "whole"} == {"part"}
    assert [found.study.about.name for found in sheet.quality] == ["whole"]


def test_no_guidance_is_the_papers_choice_and_a_better_one_must_not_cost_more(made):
    values = {("everywhere", 1): 30.0, ("everywhere", 2): 20.0, ("interval", 1): 30.0, ("interval", 2): 35.0}
    found = evidence(guided(made("a", axes=("guidance", "guidance.weight")), values), "frechet")[0]
    row = next(one for one in found if one.change.name == "guidance")
    assert {choice: gap.value for choice, gap in row.at[None].against.items()} == {"everywhere": -10.0, "interval": 5.0}
    assert verdicts(row) == "withheld (unequal total NFE: 11 with none and 22 with everywhere)"
    values |= {("everywhere", 2): 40.0}
    found = evidence(guided(made("b", axes=("guidance", "guidance.weight")), values), "frechet")[0]
    row = next(one for one in found if one.change.name == "guidance")
    assert verdicts(row) == "agrees"  # no guidance is better and costs less


def test_excerpts_have_signs_of_weak_evidence_and_the_model(made):
    bench = made()
    about = {"drawn": 1.5, "drawn_sd": 0.1}
    for nfe, of in {7: (20.0, 30.0), 19: (12.0, 14.0)}.items():
        for solver, value in zip(("heun", "euler"), of, strict=True):
            rows = {"solver": {"name": solver}}
            bench.trial({"solver": solver, "nfe": nfe}, value, se=0.1, about=about, design=rows, network="one")
    bench.study()
    (sheet,) = ds.best(bench.folder).sheets
    found = tables.short(sheet)
    (cells,) = (cells for cells in found.rows if cells[0].text == "solver")
    assert cells[3].text == "agrees†‡ at NFE 7; agrees‡ at NFE 19"
    assert cells[4].text == "network digits; 400 images"
    assert re.match("† Weak evidence: .* ‡ Measured on one trained network only", found.caption)
    assert found.caption in str(ds.best(bench.folder))
    figure = changes(sheet)
    (dot,) = (line for line in figure.axes[0].lines if line.get_marker() == "o")
    assert dot.get_markerfacecolor() == dot.get_color()  # NFE 19, the middle budget, is not weak
    assert "weak evidence" not in [text.get_text() for text in figure.texts]


def test_the_dot_of_weak_evidence_is_hollow(made):
    bench = made()
    for solver, value in (("heun", 20.0), ("euler", 30.0)):
        bench.trial({"solver": solver, "nfe": 19}, value, se=0.1, design={"solver": {"name": solver}}, features=41)
    bench.study()
    (sheet,) = ds.best(bench.folder).sheets
    (dot,) = (line for line in changes(sheet).axes[0].lines if line.get_marker() == "o")
    assert dot.get_markerfacecolor() == "white"


@pytest.mark.parametrize(
    ("euler", "said"),
    [
        ({7: 50.0, 19: 19.0}, "contradicts the paper"),
        ({7: 50.0, 19: 20.01}, "contradicts the paper"),  # undecided at 19
        ({7: 50.0, 19: 21.0}, "contradicts the paper at some budgets and agrees at others"),
    ],
)
def test_the_summary_counts_the_rows_and_names_the_largest_gains(made, euler, said):
    values = {nfe: {"euler": euler[nfe], "heun": heun} for nfe, heun in {7: 90.0, 19: 20.0}.items()}
    (sheet,) = ds.best(solvers(made(), values).folder).sheets
    assert tables.summary(sheet) == (
        f"Of 15 rows and fields, each judged by all budgets of its first line, 1 {said} and 14 have no evidence. Of "
        "the decided ones, 1 rests on one trained network. Largest gains over the paper's choice: solver, euler "
        "instead of heun, from 90 to 50 at NFE 7 (one trained network)."
    )


def test_the_summary_says_how_many_verdicts_are_weak_and_that_evaluations_differ(made):
    bench = made()
    for solver, value in (("heun", 20.0), ("euler", 15.0)):
        about = {"design": {"solver": {"name": solver}}, "features": 41, "nfe": 7 if solver == "heun" else 8}
        bench.trial({"solver": solver, "nfe": 8}, value, se=0.1, **about)
    bench.study()
    (sheet,) = ds.best(bench.folder).sheets
    assert tables.summary(sheet).endswith(
        "Of the decided ones, 1 rests on weak evidence only. Largest gains over the paper's choice: solver, euler "
        "instead of heun, from 20 to 15 at NFE 8 (8 evaluations instead of 7; weak evidence)."
    )


def test_the_line_with_the_budget_of_the_paper_leads_and_is_drawn_there(made):
    few = {nfe: {"heun": 90.0, "euler": 50.0, "deis": 30.0} for nfe in (5, 8, 20)}
    solvers(made("few"), few)
    study = solvers(made("many"), {35: {"heun": 14.0, "euler": 16.0}, 79: {"heun": 13.0, "euler": 13.01}})
    (sheet,) = ds.best(study.folder.parent).sheets
    first, second = (line for line in sheet.lines if line.name == "solver")
    assert [line.evidence.study.about.name for line in (first, second)] == ["many", "few"]
    assert [line.evidence.papers_budget for line in (first, second)] == [35, 20]
    assert first.verdict is Judgement.AGREES
    assert "each judged by all budgets of its first line, 1 agrees with the paper and" in tables.summary(sheet)
    assert [label.get_text() for label in changes(sheet).axes[0].get_yticklabels()] == [
        "solver: euler\nnetwork digits, NFE 35"
    ]


def test_churn_has_a_budget_of_its_own(made):
    bench = made(axes=("stochasticity.S_churn", "nfe"))
    for churn, nfe in itertools.product((0.0, 5.0), (35, 255)):
        part = {"stochasticity": {"name": "churn", "S_churn": churn}}
        bench.trial({"stochasticity.S_churn": churn, "nfe": nfe}, 20.0 + churn, se=0.1, nfe=nfe, design=part)
    assert only(bench.study()).papers_budget == 255


def test_the_budgets_that_are_shown_have_that_of_the_paper(made):
    def shown(nfes):
        return some(only(solvers(made("-".join(map(str, nfes))), {nfe: {"heun": 9.0, "euler": 8.0} for nfe in nfes})))

    assert shown([7, 11, 19, 27, 35, 51]) == [7, 35, 51]
    assert shown([7, 11, 19, 35]) == [7, 19, 35]
    assert shown([5, 8]) == [5, 8]


def test_figures_that_are_no_longer_drawn_are_removed_and_nothing_else(made, tmp_path):
    study = solvers(made(), {19: {"euler": 30.0, "heun": 20.0}})
    for name in ("changes_2.png", "quality_7.png", "changes_mine.png", "notes.md"):
        (tmp_path / name).write_bytes(b"")
    written = {path.name for path in ds.best(study.folder).write(tmp_path)}
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == written | {"changes_mine.png", "notes.md"}


def test_p_values_that_no_machine_can_resolve_are_written_as_0(made):
    study = solvers(made(), {7: {"euler": 50.0, "heun": 90.0}, 19: {"euler": 20.1, "heun": 20.0}})
    rows = list(csv.DictReader(io.StringIO(best_csv.tidy(ds.best(study.folder).sheets, "frechet"))))
    ps = [row["p"] for row in rows if row["row"] == "solver"]
    assert ps[0] == "0"
    assert re.fullmatch(r"0\.\d{3}", ps[1])
