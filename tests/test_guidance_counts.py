"""The evaluations that guidance adds: counted, priced in FLOPs, limited by budgets, and shown by reports."""

import json
import re

import pytest
import torch
from studies import edit
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

import designspace as ds
from designspace.cli.app import app
from designspace.data.load import load_images
from designspace.data.rows import Data
from designspace.denoising.flops import flops, flops_of, guidance_cost
from designspace.denoising.guidance import Guidance
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.denoising.rows import Denoiser
from designspace.design import Design
from designspace.drawing.scales import scale_through
from designspace.report import Study, write
from designspace.report.figures.curves import metric_vs_axis, metric_vs_nfe
from designspace.report.figures.pareto import cost_panels
from designspace.report.tables import comparisons, values
from designspace.run.estimate import dry_run
from designspace.sampling.counting import most_within
from designspace.spec import Ablation
from designspace.spec.evaluations import Sampled, cost_of
from designspace.spec.schema import schema

EDM = Design.preset("edm")
SPEC = """
name: guided
data: digits
denoiser: exact
design: {preset: edm, solver: SOLVER}
grid:
  guidance: [none, {name: cfg, weight: 1.5}, {name: interval, weight: 1.5, sigma_min: 0.189, sigma_max: 1.609}]
  BUDGET
evaluate: {images: 24, labels: balanced, detector: pixels, metrics: [frechet]}
"""


def spec(tmp_path, budget, solver="heun", **changes):
    text = SPEC.replace("SOLVER", solver).replace("BUDGET", budget)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "guided.yaml").write_text(text)
    return ds.load(tmp_path / "guided.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Results at two budgets of NFE, at which guidance costs extra."""
    path = tmp_path_factory.mktemp("guided")
    return ds.run(spec(path, "nfe: [7, 11]"), out=path, progress=False).folder


@pytest.mark.parametrize(("name", "added"), [("none", 0), ("cfg", 35), ("interval", 11)])
def test_samples_count_both_kinds_of_evaluations(name, added):
    images = load_images(Data.get("digits")())
    guidance = Guidance.get(name)(**({} if name == "none" else {"weight": 1.5}))
    D = guidance.wrap(Denoiser.get("exact")().load(images, EDM, torch.device("cpu"))).bind(torch.tensor([3, 4]))
    out = ds.sample(EDM, D, torch.randn(2, *images.shape), 18)
    levels = out.sigmas[:-1]
    if name == "interval":  # Heun evaluates at the start and at the end of each step, but not at 0
        inside = ((levels > guidance.sigma_min) & (levels <= guidance.sigma_max)).int()
        added = int(inside.sum() + inside[1:].sum())
    assert (out.nfe, out.nfe_guidance, out.nfe_total) == (35, added, 35 + added)


def test_flops_are_those_of_a_count_by_hand():
    images, design = load_images(Data.get("digits")()), EDM
    network = Denoiser.get("trained")(network={"name": "mlp", "width": 32, "depth": 2}, labels=True)
    square, pixels = 32 * 32, 64
    multiplications = square + pixels * 32 + 3 * 2 * square + 32 * pixels  # noise, first, two layers of three, last
    assert flops(network, design, images) == 2 * multiplications


class Various(torch.nn.Module):
    """A network with every operation whose FLOPs are counted."""

    def __init__(self):
        super().__init__()
        self.down = torch.nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.grouped = torch.nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.up = torch.nn.ConvTranspose2d(8, 6, 4, stride=2, padding=1)
        self.linear, self.last = torch.nn.Linear(6, 16), torch.nn.Linear(16, 1, bias=False)
        self.attention = torch.nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x, c_noise, labels=None):
        h = self.linear(self.up(self.grouped(self.down(x))).flatten(2).mT)
        h = self.attention(h, h, h)[0]
        h = torch.nn.functional.scaled_dot_product_attention(h[:, None], h[:, None], h[:, None])[:, 0]
        return self.last(torch.baddbmm(h, h @ h.mT, h)).mT.reshape(x.shape)


def test_flops_are_those_of_pytorchs_counter():
    D = PreconditionedNetwork(Various(), EDM, (1, 8, 8)).bind(None)
    x, sigma = torch.zeros(1, 1, 8, 8), torch.tensor(1.0)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        D(x, sigma)
    assert flops_of(D, x, sigma) == counter.get_total_flops() > 100_000


def test_a_guide_costs_its_flops_relative_to_those_of_the_denoiser():
    small, large = (
        Denoiser.get("trained")(network={"name": "mlp", "width": width, "depth": 2}, labels=True) for width in (32, 64)
    )

    def cost(guide):
        return guidance_cost(guide, large, EDM, lambda: load_images(Data.get("digits")()))

    assert cost(small) == (7 * 32**2 + 2 * 64 * 32) / (7 * 64**2 + 2 * 64 * 64)
    assert cost(large) == cost(None) == 1  # without another denoiser, it guides itself
    assert cost(Denoiser.get("exact")()) == 1  # it has no network whose FLOPs could be counted
    assert cost(large.snapshot(0.25)) == 1


@pytest.mark.parametrize("solver", ["heun", "dpmpp_2m"])
def test_a_budget_of_all_evaluations_affords_the_largest_number_of_steps(tmp_path, solver):
    ablation = spec(tmp_path, "nfe_total: [7, 22, 23]", solver)
    for point in ablation.points():
        budget = point.axes["nfe_total"]
        totals = {steps: cost_of(point.trial, steps).total() for steps in range(2, budget + 3)}
        assert point.trial.num_steps == max(steps for steps, total in totals.items() if total <= budget), point.axes


def test_a_count_that_falls_in_between_does_not_hide_a_larger_number_of_steps():
    counts = {2: 4, 3: 6, 4: 9, 5: 11, 6: 10, 7: 12, 8: 14}
    assert most_within(lambda n: counts.get(n, 2 * n), 10, "it") == 6
    with pytest.raises(ValueError, match=r"^it needs at least 4 evaluations, not 3$"):
        most_within(lambda n: counts.get(n, 2 * n), 3, "it")


def test_guidance_without_effect_needs_no_guide_for_a_budget(tmp_path):
    network = "{name: trained, network: mlp, training_images: 8, labels: true}"
    guidance = "{name: autoguidance, snapshot: 0.25, weight: 1}"
    text = SPEC.replace("SOLVER", "heun").replace("BUDGET", "nfe_total: [7]").replace("exact", network)
    text = text.replace(text[text.index("[none") : text.index("\n  nfe_total")], f"[{guidance}]")
    (tmp_path / "guided.yaml").write_text(text)
    (trial,) = ds.load(tmp_path / "guided.yaml").trials()
    assert (trial.guidance.name, trial.num_steps) == ("none", 4)


@pytest.mark.parametrize("budget", [27, 51, 100])
def test_a_costly_guide_does_not_hide_a_larger_number_of_steps(budget):
    """With a guide that costs ten evaluations, one level more or fewer within the interval is worth ten steps."""
    sampled = Sampled.of(
        EDM.model_copy(update={"solver": ds.Solver.get("euler")()}),
        Denoiser.get("exact")(),
        Guidance.get("interval")(weight=2, sigma_min=1, sigma_max=1.5),
    )
    totals = {steps: sampled.cost(steps).total(10) for steps in range(2, budget + 2)}
    expected = max(steps for steps, total in totals.items() if total <= budget)
    assert sampled.affordable_in_total(budget, 10) == expected


def test_budgets_and_numbers_of_steps_replace_each_other(tmp_path):
    (tmp_path / "guided.yaml").write_text(SPEC.replace("SOLVER", "heun").replace("  BUDGET\n", "nfe_total: 22\n"))
    changed = ds.load(tmp_path / "guided.yaml", ["nfe=11"])
    assert {point.trial.num_steps for point in changed.points()} == {6}
    with pytest.raises(ds.SpecError, match="nfe_total: num_steps is given too"):
        spec(tmp_path, "nfe: [7]", data="num_steps: 5\nnfe_total: 9\ndata")
    with pytest.raises(ds.SpecError, match=r"'nfe_guidance'\. It is 0 without .* use nfe_total"):
        spec(tmp_path, "nfe_guidance: [7]")
    with pytest.raises(ds.SpecError, match="solver heun with guidance cfg needs at least 6 evaluations, not 3"):
        spec(tmp_path, "nfe_total: [3]").points()
    assert schema()["properties"]["nfe_total"] == {"type": "integer", "minimum": 1}


def test_a_warning_says_which_budget_is_not_spent(tmp_path):
    warning, unguided = spec(tmp_path, "nfe_total: [12]").warnings
    assert "interval guides no evaluation at 5 steps" in unguided
    assert warning.endswith(
        "grid.nfe_total: heun spends 11 of 12; heun with guidance cfg spends 10 of 12; "
        "heun with guidance interval spends 9 of 12 evaluations"
    )


def test_a_dry_run_shows_both_counts_and_estimates_the_time_of_both(tmp_path):
    rows = dry_run(spec(tmp_path, "nfe: [7]"), out=tmp_path)
    assert [(row.nfe, row.nfe_guidance, row.nfe_total) for row in rows] == [(7, 0, 7), (7, 7, 14), (7, 2, 9)]
    printed = CliRunner().invoke(app, ["run", str(tmp_path / "guided.yaml"), "--dry-run", "--out", str(tmp_path)])
    assert re.search(r"NFE +guidance +total", printed.output)


@pytest.mark.parametrize(("width", "ids"), [(80, False), (200, True)])
def test_a_dry_run_leaves_out_ids_where_they_do_not_fit(tmp_path, monkeypatch, width, ids):
    monkeypatch.setenv("COLUMNS", str(width))
    guided = spec(
        tmp_path,
        "nfe: [7]\n  time_steps: [{name: edm, rho: 6.75, sigma_max: 70}, {name: edm, rho: 5.25, sigma_max: 60}]",
    )
    printed = CliRunner().invoke(app, ["run", str(guided.path), "--dry-run", "--out", str(tmp_path)]).output
    assert all((point.trial.id in printed) is ids for point in guided.points())
    assert re.search(r"steps +NFE +guidance +total +images +there +time", printed)


@pytest.mark.parametrize(("condition", "labels"), [("same", True), ("none", False)])
def test_a_dry_run_evaluates_a_guide_with_the_labels_that_it_gets(tmp_path, monkeypatch, condition, labels):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    network = {"name": "mlp", "width": 8, "depth": 1}
    guide = {"name": "trained", "network": network, "training_images": 128, "batch_size": 32, "labels": labels}
    guidance = {"name": "autoguidance", "guide": guide, "condition": condition}
    fields = {
        "name": "guided",
        "data": "digits",
        "denoiser": guide | {"training_images": 256, "labels": True},
        "design": "edm",
        "guidance": guidance,
        "num_steps": 3,
        "evaluate": {"images": 8, "labels": "balanced", "detector": "pixels", "metrics": ["frechet"]},
    }
    (row,) = dry_run(Ablation.model_validate(fields), out=tmp_path)
    assert row.error is None
    assert row.seconds > 0
    assert {"sampling", "training"} <= row.parts.keys()


def test_results_record_what_guidance_adds(folder):
    rows = {(row.axes["guidance"], row.axes["nfe"]): row for row in Study(folder).results.rows()}
    assert [row.nfe_total for (_, nfe), row in rows.items() if nfe == 7] == [7, 14, 9]
    assert all("guidance_cost" not in row.plain() for row in rows.values())
    frame = Study(folder).results.frame
    assert (frame.nfe_total == frame.nfe + frame.nfe_guidance).all()


def test_seconds_are_no_part_of_ids(folder, tmp_path):
    points = spec(tmp_path, "nfe: [7, 11]").points()
    assert {row.id for row in Study(folder).results.rows()} == {point.trial.id for point in points}
    identity = json.dumps([point.trial.identity() for point in points])
    assert not any(word in identity for word in ("seconds", "cost", "nfe_total"))


def test_tables_and_captions_say_which_evaluations_are_counted(folder):
    study = Study(folder)
    page = values.page(study)
    assert "at NFE | 7 | 11 |" in page  # a budget that is written as nfe stays one
    assert (
        "NFE does not count the evaluations that guidance adds, and total NFE does: cfg(weight=1.5) (7 + 7, 11 + 11)"
        in page
    )
    assert "| budget | configuration | NFE | total NFE |" in comparisons.page(study)
    assert "nfe_total_a" in comparisons.tidy(study).splitlines()[0]
    header = values.tidy(study).splitlines()[0].split(",")
    assert {"nfe", "nfe_guidance", "nfe_total"} <= {*header} | {name.removeprefix("axes.") for name in header}


def test_figures_compare_at_equal_cost_unless_told_otherwise(folder):
    (axes,) = metric_vs_nfe(Study(folder), "frechet").axes
    assert axes.get_xlabel() == "network evaluations per image, with those of guidance"
    assert cost_panels(Study(folder), "frechet")[0].cost == axes.get_xlabel()
    (axes,) = metric_vs_nfe(Study(folder, "nfe"), "frechet").axes
    assert axes.get_xlabel() == "NFE (denoiser evaluations per image)"
    (axes,) = metric_vs_nfe(Study(folder, "nfe_guidance"), "frechet").axes
    assert axes.get_xlabel() == "evaluations per image that guidance adds"


def test_the_cost_of_another_network_enters_the_total(folder, tmp_path):
    for name in ("results.jsonl", "ablation.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    edit(tmp_path, lambda rows: [row.update(guidance_cost=0.25) for row in rows if row.get("nfe_guidance")])
    study = Study(tmp_path)
    totals = {(e.config, e.nfe): e.spent("nfe_total") for e in study.entries}
    assert totals["cfg(weight=1.5)", 11] == 11 + 11 / 4
    assert "An evaluation of a network that guides counts" in values.page(study)
    assert "guidance_cost" in values.tidy(study).splitlines()[0]


@pytest.mark.parametrize(
    ("numbers", "label", "scale"),
    [
        ([0, 1, 2], "guidance.weight", "linear"),
        ([0, 0.5, 10, 100], "guidance.weight (symlog, linear below 0.5)", "symlog"),
        ([1, 2, 4], "guidance.weight", "log"),
    ],
)
def test_an_axis_draws_a_figure_whether_or_not_it_has_a_zero(bench, numbers, label, scale):
    made = bench(["guidance", "guidance.weight"])
    for name in ("cfg", "interval"):
        for weight in numbers:
            made.point({"guidance": name, "guidance.weight": weight}, 1.0 + weight, se=0.1, nfe=11, nfe_guidance=11)
    study = made.study()
    (axes,) = metric_vs_axis(study, "frechet", "guidance.weight").axes
    assert (axes.get_xlabel(), axes.get_xscale()) == (label, scale)
    assert list(axes.get_xticks()) == numbers
    assert sum(len(line.get_xdata()) == len(numbers) for line in axes.lines) == 2  # a curve for each guidance
    names = {path.name for path in write(study)}
    assert "frechet_vs_guidance_weight.png" in names
    assert "frechet_vs_nfe.png" not in names  # each of its curves would be a single point


def test_a_scale_with_zero_is_the_one_that_matplotlib_draws():
    from matplotlib.scale import SymmetricalLogTransform

    scale = scale_through([0, 0.5, 10, 100])
    assert scale.mixed
    own = SymmetricalLogTransform(10, 0.5, 1)
    found = [scale.place(value) for value in (-3.0, -0.2, 0.0, 0.4, 0.5, 7.0, 100.0)]
    drawn = own.transform(torch.tensor([-3.0, -0.2, 0.0, 0.4, 0.5, 7.0, 100.0]).double().numpy()) / 0.5
    assert found == pytest.approx(list(drawn))
    assert [scale.value(place) for place in found] == pytest.approx([-3.0, -0.2, 0.0, 0.4, 0.5, 7.0, 100.0])


def test_guidance_between_the_noise_levels_of_the_steps_is_told(tmp_path):
    path = tmp_path / "few.yaml"
    path.write_text(
        "data: digits\ndenoiser: exact\ndesign: {preset: edm, solver: dpmpp_2m}\nguidance: interval\n"
        "grid: {num_steps: [5, 20]}\nevaluate: {images: 20, labels: balanced, detector: pixels, metrics: [frechet]}\n"
    )
    what = "interval guides no evaluation at 5 steps, as no noise level lies between its sigma_min and sigma_max"
    assert ds.load(path).warnings == [f"{path}:4:1: guidance: {what}"]
    assert ds.load(path, ["guidance.weight=1"]).warnings == []
