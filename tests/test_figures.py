"""The figures of results show the numbers of the results."""

import math
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from studies import influence

import designspace as ds
from designspace.drawing.legend import Key, Legend
from designspace.drawing.look import wrapped
from designspace.drawing.scales import (
    dodge,
    linear_scale,
    scale_of_changes,
    scale_of_distances,
    scale_through,
    spaced,
)
from designspace.drawing.ticks import labels, log_ticks
from designspace.report.evidence.effects import effects
from designspace.report.figures.best import _ticks
from designspace.report.figures.curves import metric_vs_axis, metric_vs_nfe
from designspace.report.figures.effects import main_effects
from designspace.report.figures.heat import heat_map
from designspace.report.figures.pareto import pareto
from designspace.report.figures.samples import samples, samples_difference

NFE = (7, 11, 19)
VALUES = {"euler": (30.0, 20.0, 9.0), "heun": (80.0, 8.0, 4.0)}
SE = 0.5


@pytest.fixture
def study(bench):
    made = bench()
    for solver, values in VALUES.items():
        for nfe, value in zip(NFE, values, strict=True):
            made.point({"solver": solver, "nfe": nfe}, value, se=SE)
    return made.study()


def keys(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def end_labels(axes):
    """The labels at the ends of the curves."""
    return [text.get_text() for text in axes.texts]


def bars(container):
    """The ends of the error bars."""
    (lines,) = container[2]
    return np.array(lines.get_segments())


def test_curves_and_error_bars_are_values_and_their_intervals(study):
    figure = metric_vs_nfe(study, "frechet")
    (axes,) = figure.axes
    assert sorted(end_labels(axes)) == ["euler", "heun"]
    curves = [line for line in axes.lines if line.get_linewidth() > 1]
    for line, container, (solver, values) in zip(curves, axes.containers, VALUES.items(), strict=True):
        assert list(line.get_ydata()) == list(values), solver
        moved = np.array(line.get_xdata()) / NFE
        assert moved == pytest.approx(moved[0])
        assert moved[0] == pytest.approx(1, abs=0.05)
        ends = bars(container)
        assert ends[:, :, 0] == pytest.approx(np.stack([line.get_xdata()] * 2, 1))
        assert ends[:, :, 1] == pytest.approx(np.array([(y - 1.96 * SE, y + 1.96 * SE) for y in values]), rel=1e-4)
    assert curves[0].get_color() != curves[1].get_color()
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("FD-x", "NFE (denoiser evaluations per image)")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["7", "11", "19"]
    note = axes.get_title(loc="right")
    assert note.replace("\n", " ") == ("digits n = 400 images, bars: 95 % intervals thick: best at most budgets")


def with_drawn(bench, drawn, sd):
    made = bench()
    for nfe, value in zip(NFE, (3.0, 1.0, 0.7), strict=True):
        made.point({"solver": "heun", "nfe": nfe}, value, about={"drawn": drawn, "drawn_sd": sd})
    return made.study()


def test_the_drawn_reference_is_a_line_with_its_spread_if_it_is_near_the_values(bench):
    figure = metric_vs_nfe(with_drawn(bench, 0.5, 0.1), "frechet")
    (axes,) = figure.axes
    (line,) = (line for line in axes.lines if line.get_linestyle() == "--" and len(line.get_xdata()) == 2)
    assert list(line.get_ydata()) == [0.5, 0.5]
    (band,) = axes.patches
    assert (band.get_y(), band.get_height()) == pytest.approx((0.4, 0.2))
    assert end_labels(axes) == ["drawn reference", "heun"]
    assert axes.get_title(loc="right") == "digits\nn = 400 images, no error bars"


def test_a_drawn_reference_off_the_scale_is_a_number(bench):
    (axes,) = metric_vs_nfe(with_drawn(bench, 0.01, 0.001), "frechet").axes
    assert end_labels(axes) == ["heun"]
    note = axes.get_title(loc="right")
    assert note == "digits\nn = 400 images, no error bars\ndrawn reference: 0.01, off the scale"


def test_intervals_that_are_not_symmetric_are_drawn_as_they_are(bench):
    made = bench()
    for nfe, value in zip(NFE, (3.0, 2.0, 1.5), strict=True):
        made.point({"solver": "heun", "nfe": nfe}, value, se=0.3, about={"skew": 0.2})
    study = made.study()
    (axes,) = metric_vs_nfe(study, "frechet").axes
    ends = np.array([entry.interval("frechet") for entry in study.entries])
    assert bars(axes.containers[0])[:, :, 1] == pytest.approx(ends)
    assert (ends.mean(1) > [3.0, 2.0, 1.5]).all()


def test_of_many_curves_the_best_have_names_and_the_others_are_grey(bench):
    made = bench()
    for i in range(15):
        for nfe in (7, 11):
            made.point({"solver": f"s{i}", "nfe": nfe}, 100.0 - i - nfe)
    (axes,) = metric_vs_nfe(made.study(), "frechet").axes
    assert sorted(end_labels(axes)) == sorted(["s0", *(f"s{i}" for i in range(8, 15)), "7 more"])  # s0 is the baseline
    (grey,) = (line for line in axes.lines if line.get_color() == "#BDBDBD")  # one line with gaps
    wanted = [y for i in range(1, 8) for y in (93 - i, 89 - i, np.nan)]
    assert np.array_equal(grey.get_ydata(), wanted, equal_nan=True)


def test_values_of_different_protocols_stand_in_panels_of_their_own(bench):
    made = bench()
    made.point({"solver": "a", "nfe": 7}, 3.0)
    made.point({"solver": "a", "nfe": 11}, 2.0, protocol="FD-y")
    figure = metric_vs_nfe(made.study(), "frechet")
    assert [axes.get_ylabel() for axes in figure.axes] == ["FD-x", "FD-y"]
    assert [list(axes.lines[0].get_ydata()) for axes in figure.axes] == [[3.0], [2.0]]


def test_a_metric_against_an_axis(bench):
    made = bench(axes=("time_steps.rho", "nfe"))
    for rho in (1, 3, 5, 7):
        made.point({"time_steps.rho": rho, "nfe": 7}, 10.0 / rho)
    figure = metric_vs_axis(made.study(), "frechet", "time_steps.rho")
    (axes,) = figure.axes
    assert axes.get_xlabel() == "time_steps.rho"
    assert list(axes.lines[0].get_xdata()) == [1, 3, 5, 7]
    assert list(axes.lines[0].get_ydata()) == [10.0 / rho for rho in (1, 3, 5, 7)]
    assert end_labels(axes) == ["NFE 7"]


def test_the_front_goes_through_the_points_that_nothing_beats(study):
    figure = pareto(study, "frechet")
    (axes,) = figure.axes
    front = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in front] == [([7, 11, 19], [30.0, 8.0, 4.0])]
    marked = [line for line in axes.lines if line.get_marker() != "None"]
    single = {(float(x), float(y)) for line in marked for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}
    assert single == {(nfe, value) for values in VALUES.values() for nfe, value in zip(NFE, values, strict=True)}
    uprights = [line.get_ydata() for line in axes.lines if len(line.get_xdata()) == 2 and line not in marked]
    assert np.array(uprights) == pytest.approx(np.array([(y - 1.96 * SE, y + 1.96 * SE) for y in (30, 8, 4)]), rel=1e-4)
    assert keys(figure) == ["euler", "heun", "the front"]


def test_a_heat_map_shows_its_values_and_frames_the_best(bench):
    made = bench(axes=("time_steps.rho", "nfe"))
    for rho in (3, 5, 7):
        for nfe in (7, 11, 35):
            value = math.nan if (rho, nfe) == (7, 7) else 100.0 * rho / nfe
            made.point({"time_steps.rho": rho, "nfe": nfe}, value, se=0.1)
    (axes,) = heat_map(made.study(), "frechet").axes
    cells = {text.get_position(): (text.get_text(), text.get_weight()) for text in axes.texts}
    assert not [patch for patch in axes.patches if patch.get_hatch()]  # nothing is undecided
    assert cells.pop((2, 0)) == ("8.57", "bold")
    assert cells[0, 1] == ("71.4", "normal")
    assert {weight for _, weight in cells.values()} == {"normal"}
    assert (0, 2) not in cells
    (image,) = axes.images
    assert list(image.get_array()[1]) == pytest.approx([500 / 7, 500 / 11, 500 / 35])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["7", "11", "35"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["3", "5", "7"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("NFE", "rho")


def test_a_budget_that_is_not_spent_is_called_so(bench):
    made = bench(axes=("time_steps.rho", "nfe"))
    made.about["baseline_axes"] = {"time_steps.rho": 3}
    for rho in (3, 5, 7):
        for nfe in (6, 8, 10):
            made.point({"time_steps.rho": rho, "nfe": nfe}, rho / nfe, se=0.1, nfe=nfe - 1)
    study = made.study()
    assert heat_map(study, "frechet").axes[0].get_xlabel() == "NFE (budget)"
    assert keys(main_effects(study, "frechet")) == ["budget of 6 NFE", "budget of 10 NFE"]
    assert [label.get_text() for label in metric_vs_nfe(study, "frechet").axes[0].get_xticklabels()] == ["5", "7", "9"]


def test_the_front_does_not_pay_for_values_below_the_drawn_reference(bench):
    made = bench()
    for nfe, value in ((5, 9.0), (7, 3.4), (11, 3.3), (19, 3.2)):
        made.point({"solver": "heun", "nfe": nfe}, value, about={"drawn": 3.5, "drawn_sd": 0.3})
    (axes,) = pareto(made.study(), "frechet").axes
    (front,) = (line for line in axes.lines if line.get_drawstyle() == "steps-post")
    assert list(front.get_xdata()) == [5, 7]


def test_effects_are_the_differences_with_their_intervals(bench):
    made = bench(axes=("solver", "schedule", "nfe"))
    made.about["baseline_axes"] = {"solver": "heun", "schedule": "linear"}
    for i, (solver, schedule) in enumerate((a, b) for a in ("heun", "euler") for b in ("linear", "vp")):
        for nfe in (7, 35):
            made.point({"solver": solver, "schedule": schedule, "nfe": nfe}, 9.0 + i + nfe, influence(i, 1.0 + i))
    study = made.study()
    figure = main_effects(study, "frechet")
    (axes,) = figure.axes
    assert keys(figure) == ["NFE 7", "NFE 35"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["euler", "vp"]
    words, points = [text.get_text() for text in axes.texts], [float(line.get_xdata()[0]) for line in axes.lines[:4]]
    assert points == pytest.approx([2.0, 1.0] * 2)
    for container, budget in zip(axes.containers, (7, 35), strict=True):
        found = [one for one in effects(study, "frechet")[0] if one.budget == budget]
        gaps = [gap for one in found for gap in one.against.values()]
        assert [gap.value for gap in gaps] == pytest.approx([2.0, 1.0])
        assert [text.partition(" ")[0] for text in words[:2]] == ["2.00", "1.00"]  # few changes are also numbers
        ends = np.array([(gap.value - 1.96 * gap.se, gap.value + 1.96 * gap.se) for gap in gaps])
        assert bars(container)[:, :, 0] == pytest.approx(ends, rel=1e-4)
    assert words[4:] == ["solver, against heun", "schedule, against linear"]


def test_differences_of_samples_are_half_the_difference_around_grey(study):
    figure = samples_difference(study)
    assert [text.get_text() for text in figure.texts if text.get_text()][:4] == ["NFE 7", "NFE 11", "NFE 19", "heun"]
    assert "Half the difference from euler at the same cost; grey is none." in [t.get_text() for t in figure.texts]
    (canvas,) = figure.images
    assert {128, 255} == set(np.unique(canvas.get_array()))  # equal images, on white


def test_samples_differ_from_those_of_the_baseline_if_it_has_images(bench):
    made = bench()
    made.about["baseline_axes"] = {"solver": "heun"}
    for solver in ("euler", "heun", "dpmpp_2m"):
        made.point({"solver": solver, "nfe": 7}, 3.0, se=SE)
    shown = [text for text in words(samples_difference(made.study())) if text]
    assert shown == ["NFE 7", "euler", "dpmpp_2m", "Half the difference from heun at the same cost; grey is none."]


def test_images_of_exact_denoisers_differ_from_those_of_their_own_baseline(bench):
    made = bench(axes=("denoiser", "solver", "nfe"))
    made.about["baseline_axes"] = {"denoiser": "network", "solver": "heun"}
    for denoiser, network in (("exact", {}), ("network", {"network": "one"})):
        for solver in ("euler", "heun", *(f"s{i}" for i in range(11))):
            made.point({"denoiser": denoiser, "solver": solver, "nfe": 7}, 3.0, se=SE, **network)
    shown = [text for text in words(samples_difference(made.study())) if text]
    assert len(shown) == 1 + 22 + 1
    assert not [text for text in shown[:-1] if "heun" in text]
    assert shown[-1].splitlines() == [
        "Half the difference from denoiser=network, solver=heun at the same cost; grey is none."
        " First 24 of 26 configurations.",
        "Images of exact denoisers: from denoiser=exact, solver=heun.",
    ]


def words(figure):
    return [text.get_text() for text in figure.texts]


def test_samples_have_the_values_of_their_points_beside_them(study):
    values = [f"{value:.2f}\n± 0.50" for of in VALUES.values() for value in of]
    shown = words(samples(study))
    assert shown[:6] == ["NFE 7", "FD", "NFE 11", "FD", "NFE 19", "FD"]
    assert shown[6:-1] == [*values, "euler", "heun"]
    assert shown[-1].splitlines()[1] == "FD-x ± standard error; lower is better."


def test_samples_of_some_points(study):
    figure = ds.plots.samples(study, {"solver": ["heun", "euler"], "nfe": 11})
    assert words(figure)[:6] == ["NFE 11", "FD", "20.00\n± 0.50", "8.00\n± 0.50", "euler", "heun"]
    with pytest.raises(ds.DataError, match=r"no axis 'solvr'. Did you mean 'solver'\? Axes: solver, nfe."):
        ds.plots.samples(study, {"solvr": "heun"})
    with pytest.raises(ds.DataError, match="no images of these points were kept"):
        ds.plots.samples(study, {"nfe": 12})


def test_values_of_different_protocols_are_not_shown_side_by_side(bench):
    made = bench()
    for solver, protocol in (("euler", "FD-x"), ("heun", "FD-y")):
        made.point({"solver": solver, "nfe": 7}, 3.0, se=SE, protocol=protocol)
    assert words(samples(made.study()))[-3:] == [
        "euler",
        "heun",
        "Images one above the other come from the same latent.",
    ]


RESULTS = ["metric_vs_nfe", "pareto", "main_effects", "equal_quality", "samples", "samples_difference"]


@pytest.mark.parametrize("name", RESULTS)
def test_the_public_figures_take_a_folder_or_results(study, name):
    draw = getattr(ds.plots, name)
    shown = [draw(source) for source in (study, study.folder, str(study.folder), study.results)]
    assert all(isinstance(figure, Figure) for figure in shown)
    assert len({len(figure.axes) for figure in shown}) == 1


def test_the_look_of_public_figures_is_that_of_reports(study):
    figure = ds.plots.metric_vs_nfe(study, "frechet")
    (axes,) = figure.axes
    assert axes.xaxis.label.get_size() == 8
    assert not axes.spines["top"].get_visible()


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        (
            "metric_vs_nfe",
            ("frechett",),
            r"metric 'frechett' was not measured. Did you mean 'frechet'\? Metrics: frechet\.",
        ),
        ("metric_vs_axis", ("nfe",), "'nfe' is not an axis of at least three numbers. Such axes: none."),
        ("heat_map", (), "nothing to draw: frechet: no two axes"),
        ("metric_vs_sigma", (), "nothing to draw: frechet: the metric has no values at single noise levels"),
        ("walks", (), "nothing to draw: the data are not one-dimensional"),
        ("points", (), "nothing to draw: the samples are not two numbers"),
        ("main_effects", ("frechet", 1), "nothing to draw: frechet: no choices can be compared in group 1"),
    ],
)
def test_what_cannot_be_drawn_is_a_clear_error(study, name, arguments, error):
    with pytest.raises(ds.DataError, match=error):
        getattr(ds.plots, name)(study, *arguments)


def test_distances_have_a_logarithmic_axis_unless_some_are_not_positive():
    scale = scale_of_distances([1.0, 1000.0], [], [])
    assert scale.threshold is None
    assert scale.ticks == [1, 10, 100, 1000]
    scale = scale_of_distances([3.0, 2.0], [(0.0001, 5.9999), (1.9, 2.1)], [])
    assert 0.5 < scale.low < 1.0  # an interval that reaches 0 does not stretch the axis
    scale = scale_of_distances([17.0, 0.5, -0.2], [(16.0, 18.0), (0.3, 0.7), (-0.28, -0.12)], [])
    assert scale.threshold == 0.5  # all negative values lie in the linear part
    assert scale.low <= -0.28
    assert scale.ticks == [-0.25, 0, 0.25, 0.5, 1, 3, 10]
    assert scale_of_distances([0.001, -0.002], [], []).threshold == math.inf  # linear throughout


@pytest.mark.parametrize("make", [scale_of_distances, linear_scale])
def test_a_level_far_off_does_not_squeeze_the_curves(make):
    assert make([3.0, 4.0], [], [2.5]).shows(2.5)
    assert not make([3.0, 4.0], [], [0.1]).shows(0.1)
    assert not make([3.0, 4.0], [], [-0.1]).shows(-0.1)


def test_ticks_are_round_and_do_not_touch():
    assert log_ticks(2.7, 92.0) == [3, 10, 30]
    assert log_ticks(3.35, 3.42) == [3.36, 3.38, 3.4, 3.42]
    assert linear_scale([0.0, 1.0], [], []).ticks == [0, 0.2, 0.4, 0.6, 0.8, 1]
    scale = scale_through([15, 16, 31, 32, 63, 64])
    assert scale.ticks == [15, 16, 31, 32, 63, 64]
    assert spaced(scale, 2.8) == [15, 31, 64]


@pytest.mark.parametrize("low", [5e-4, 0.02, 0.15, 0.35, 0.5, 0.8])
@pytest.mark.parametrize("high", [1.25, 1.9, 2.9, 40.0])
def test_ticks_of_ratios_have_room(low, high):
    found = _ticks(low, high)
    assert 1 in found
    assert len(found) <= 9
    gaps = np.diff(np.log(found)) / math.log(high / low)
    assert gaps.min(initial=1) > 0.07


def test_labels_are_all_plain_or_all_powers():
    assert labels([0.5, 100, -3]) == {0.5: "0.5", 100: "100", -3: "\N{MINUS SIGN}3"}
    assert list(labels([0, 1e-9, 2e-3, -10]).values()) == ["0", "$10^{-9}$", r"$2\times10^{-3}$", "$-10^{1}$"]


@pytest.mark.parametrize("count", [1, 3, 12])
def test_points_stand_nearer_to_their_own_evaluations_than_to_others(count):
    scale = scale_through([7, 11, 19, 27, 35, 51])
    moved = [scale.moved(27, distance) for distance in dodge(scale, count)]
    assert len(set(moved)) == count
    assert max(moved) / min(moved) < (35 / 27) ** 0.31


@pytest.mark.parametrize(("names", "columns"), [(["a"] * 6, 4), (["a name of twenty lett"] * 3, 2), (["x" * 60], 1)])
def test_a_legend_has_as_many_columns_as_fit(names, columns):
    legend = Legend([Key(name, {}) for name in names], 7.5)
    assert legend.columns == columns
    figure = Figure(figsize=(3.5, 2), layout="constrained")
    figure.subplots()
    legend.draw(figure)
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("heun", "heun"),
        ("autoguidance(snapshot=0.25)", "autoguidance(\nsnapshot=0.25)"),
        ("autoguidance(guide=exact, condition=none), weight=2", "autoguidance(guide=exact,\ncondition=none), weight=2"),
        ("autoguidance(guide=trained(network=mlp)), weight=2", "autoguidance(\n… network=mlp)), weight=2"),
        ("noise_distribution=log_logistic", "noise_distribution=\nlog_logistic"),
        ("a_solver_with_a_long_name_12", "a_solver_with_a_long_name_\n12"),
    ],
)
def test_names_are_wrapped_at_brackets_and_keep_what_they_differ_in(name, lines):
    assert wrapped(name, 26) == lines


def test_a_name_on_three_lines_keeps_all_of_its_values():
    name = "training=velocity, method=DPM-Solver++(2M), time_steps=flow"
    assert wrapped(name, 28, 3) == name.replace(", ", ",\n")
    assert wrapped(f"{name}, and much more besides", 28, 3).split("\n")[:2] == name.replace(", ", ",\n").split("\n")[:2]


@pytest.mark.parametrize(
    ("low", "high"), [(-300.0, 10.0), (-100.0, 300.0), (-2.0, 1283.0), (0.0, 30000.0), (-9.0, 4.0)]
)
@pytest.mark.parametrize("inches", [0.8, 1.5, 2.5, 6.0])
def test_ticks_of_changes_are_the_same_powers_of_ten_on_both_sides(low, high, inches):
    values = [low, 0.1, high]
    scale = scale_of_changes(values, [(value - 0.4, value + 0.4) for value in values])
    assert scale.mixed
    kept = spaced(scale, inches)
    assert 0 in kept
    sizes = sorted({abs(tick) for tick in kept} - {0})
    shown = {side * size for side in (-1, 1) for size in sizes if scale.shows(side * size)}
    assert {*kept} == shown | {0}
    steps = [math.log10(b / a) for a, b in pairwise(sizes)]
    assert sizes
    assert steps == pytest.approx(steps[:1] * len(steps), abs=0.05)  # 1, 3, 10, 30 differ by 0.48 and 0.52


def test_ticks_of_changes_are_finer_where_there_is_room():
    scale = scale_of_changes([-300.0, 0.5, 20.0], [(-301.0, -299.0), (-0.5, 1.5), (19.0, 21.0)])
    assert spaced(scale, 6.0) == [-300, -100, -30, -10, -3, -1, 0, 1, 3, 10, 30]
    assert spaced(scale, 2.0) == [-100, -10, -1, 0, 1, 10]
    assert spaced(scale, 1.2) == [-100, -1, 0, 1]
