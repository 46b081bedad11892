"""Figures that say it at once: small multiples, labels instead of legends, and colours with a meaning."""

import io
import itertools
import json

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from studies import edit, influence

from designspace.drawing.ends import spread
from designspace.drawing.files import settle
from designspace.drawing.look import BASELINE, FAVOURED, style, wrapped
from designspace.drawing.scales import scale_of_changes
from designspace.report.evidence.differences import rank
from designspace.report.figures import files
from designspace.report.figures.curves import metric_vs_axis, metric_vs_nfe
from designspace.report.figures.dots import by_row
from designspace.report.figures.effects import main_effects
from designspace.report.figures.heat import heat_map, heat_panels
from designspace.report.figures.looks import THICK, roles
from designspace.report.figures.pareto import cost_panels, pareto
from designspace.report.figures.quality import equal_quality

STAGES, DESIGNS, NFE = (
    ("as published", "+ Heun", "+ EDM time steps", "+ sigma = t"),
    ("ddpm", "iddpm", "vp", "ve"),
    (9, 19, 35),
)


def drawn(figure):
    with style():
        settle(figure)
    return figure


@pytest.fixture
def grid(bench):
    """Four systems in four stages, of which the third is best, and the fourth as good at the highest budget."""
    made = bench(axes=("stage", "design", "nfe"))
    for (i, stage), (j, design), nfe in itertools.product(enumerate(STAGES), enumerate(DESIGNS), NFE):
        value = 3 + (4 - i if i < 2 else 0.1 * i) * (1 + 0.3 * j) * 90 / nfe
        made.point({"stage": stage, "design": design, "nfe": nfe}, value, influence(4 * i + j, 0.5))
    return made.study()


def curves(axes):
    return {to_hex(line.get_color()): line for line in axes.lines if len(line.get_xdata()) == len(NFE)}


def overlaps(figure):
    """The pairs of texts of the axes that overlap, and those that leave the figure."""
    texts = [text for axes in figure.axes for text in axes.texts if text.get_text()]
    boxes = {text.get_text() + str(i): Text.get_window_extent(text) for i, text in enumerate(texts)}  # without arrows
    outside = [name for name, box in boxes.items() if not (box.x0 > -1 and box.x1 < figure.bbox.x1 + 1)]
    return outside + [
        (a, b)
        for (a, one), (b, two) in itertools.combinations(boxes.items(), 2)
        if one.padded(-1).overlaps(two.padded(-1))
    ]


def test_a_grid_of_systems_and_stages_is_a_panel_for_each_system(grid):
    with style():
        figure = metric_vs_nfe(grid, "frechet")
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(DESIGNS)
    assert not figure.legends
    for axes in figure.axes:
        assert len(curves(axes)) == len(STAGES)
        assert sorted(text.get_text().replace("\n", "") for text in axes.texts) == sorted(STAGES)
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}) == 1
    assert overlaps(drawn(figure)) == []


def test_the_baseline_is_grey_what_is_favoured_strong_and_each_has_its_colour_everywhere(grid):
    own = roles(grid)
    looks = {entry.axes["stage"]: own.style(entry) for entry in grid.entries}
    assert looks["as published"]["color"] == BASELINE["color"]
    assert looks["+ EDM time steps"]["color"] == FAVOURED["color"]
    assert looks["+ EDM time steps"]["linewidth"] > 1.5
    assert len({look["color"] for look in looks.values()}) == len(STAGES)
    with style():
        multiples, front = metric_vs_nfe(grid, "frechet"), pareto(grid, "frechet")
    for axes in multiples.axes:
        assert set(curves(axes)) == {look["color"].lower() for look in looks.values()}
    marked = {to_hex(line.get_color()) for line in front.axes[0].lines if line.get_marker() not in ("None", ".", "")}
    assert marked <= {look["color"].lower() for look in looks.values()}


def test_many_configurations_are_a_cloud_with_the_best_ones_named(bench):
    made = bench()
    for i, nfe in itertools.product(range(300), (7, 11)):
        made.point({"solver": f"s{i}", "nfe": nfe}, 5.0 + (i * 37 % 300) / 10 + 1 / nfe)
    study = made.study()
    with style():
        figure, front, rows = metric_vs_nfe(study, "frechet"), pareto(study, "frechet"), by_row(study, "frechet")
    (axes,) = figure.axes
    names = {text.get_text() for text in axes.texts}
    assert names == {"s0", "292 more", *(f"s{i}" for i in range(1, 300) if i * 37 % 300 < 8)}
    assert overlaps(drawn(figure)) == []
    assert len(front.legends[0].get_texts()) <= 9
    labels = [label.get_text() for label in rows.axes[0].get_yticklabels()]
    assert (len(labels), labels[-1]) == (21, "280 more")
    legend = drawn(front).legends[0].get_window_extent()
    assert legend.height <= front.bbox.height / 4


@pytest.mark.parametrize("count", [2, 3, 5])
def test_labels_that_are_too_wide_are_a_legend_of_at_most_a_quarter(bench, count):
    made = bench(axes=("solver", "design", "nfe"))
    for i, j, nfe in itertools.product(range(8), range(count), (7, 11)):
        axes = {"solver": f"a_long_name_solver_{i:02d}", "design": f"d{j}", "nfe": nfe}
        made.point(axes, 1.0 + i + j + 1 / nfe)
    with style():
        figure = metric_vs_nfe(made.study(), "frechet")
    assert len(figure.axes) == (count if count < 4 else 6)
    drawn(figure)
    if count == 2:
        assert not figure.legends
        assert overlaps(figure) == []
    else:
        assert figure.legends[0].get_window_extent().height <= figure.bbox.height / 4


def test_a_long_note_stays_in_the_figure(bench):
    made = bench()
    for i, nfe in itertools.product(range(8), (7, 11)):
        made.point(
            {"solver": f"a_solver_with_a_long_name_{i}", "nfe": nfe},
            1.0 + i,
            se=0.1,
            about={"drawn": 0.001, "drawn_sd": 0.1},
        )
    with style():
        (axes,) = drawn(metric_vs_nfe(made.study(), "frechet")).axes
    note = axes._right_title  # matplotlib has no public access to it
    assert "off the scale" in note.get_text()
    assert note.get_window_extent().x0 >= 0


@pytest.mark.parametrize("values", [(0, 1, 2), (0, 1, 10, 1000), (1, 10, 100)])
def test_no_marker_is_cut_by_an_axis(bench, values):
    made = bench(axes=("stochasticity.S_churn", "nfe"))
    for churn, nfe in itertools.product(values, (7, 11)):
        made.point({"stochasticity.S_churn": churn, "nfe": nfe}, 3.0 + churn / nfe, se=0.1)
    with style():
        figures = [
            metric_vs_axis(made.study(), "frechet", "stochasticity.S_churn"),
            main_effects(made.study(), "frechet"),
        ]
    for figure in figures:
        (axes,) = drawn(figure).axes
        lines = [line for line in axes.lines if line.get_marker() not in ("None", "") and len(line.get_xdata())]
        assert lines
        box = axes.get_window_extent()
        for line in lines:
            across = axes.transData.transform(np.column_stack([line.get_xdata(), line.get_ydata()]).astype(float))
            half = line.get_markersize() / 2 * figure.dpi / 72
            assert (across - half >= box.min).all()
            assert (across + half <= box.max).all()


@pytest.mark.parametrize(
    ("values", "half", "linear"), [([-250.0, -110.0], 5.0, True), ([-100.0, 0.1], 0.3, False), ([0.0, 0.0], 0.0, True)]
)
def test_changes_have_a_linear_axis_unless_their_sizes_differ_much(values, half, linear):
    scale = scale_of_changes(values, [(value - half, value + half) for value in values])
    assert scale.mixed is not linear
    assert all(scale.shows(value + side * half) for value in values for side in (-1, 0, 1))
    assert scale.shows(0.0)
    assert 0 in scale.ticks


def heat(bench, se):
    made = bench(axes=("time_steps.rho", "nfe"))
    for i, (rho, nfe) in enumerate(itertools.product((3, 5, 7), (7, 11, 35))):
        made.point({"time_steps.rho": rho, "nfe": nfe}, 3.28 + 0.02 * i, se=se)
    return made.study()


def test_the_undecided_region_of_a_heat_map_is_hatched_and_its_colours_span_two_standard_errors(bench):
    study = heat(bench, 0.32)
    (panel,) = heat_panels(study, "frechet")
    assert panel.span[1] - panel.span[0] == pytest.approx(0.64)
    assert panel.best == (0, 0)
    assert panel.tied.sum() == 8
    (axes,) = heat_map(study, "frechet").axes
    hatched = {tuple(np.add(patch.get_xy(), 0.5)) for patch in axes.patches if patch.get_hatch()}
    assert hatched == {(column, row) for row, column in np.argwhere(panel.tied)}


def test_cells_that_only_the_correction_keeps_among_the_best_are_hatched_lightly(bench):
    study = heat(bench, 0.03)
    (panel,) = heat_panels(study, "frechet")
    assert panel.tied.any()
    gaps = (panel.values - panel.values.min()) / (0.03 * 2**0.5)
    assert (panel.doubtful == (panel.tied & (gaps > 1.96))).all()
    assert 0 < panel.doubtful.sum() < panel.tied.sum()
    (axes,) = heat_map(study, "frechet").axes
    light = {tuple(np.add(patch.get_xy(), 0.5)) for patch in axes.patches if patch.get_hatch() == "//"}
    assert light == {(column, row) for row, column in np.argwhere(panel.doubtful)}


def test_a_decided_heat_map_has_no_hatches(bench):
    study = heat(bench, 0.001)
    (panel,) = heat_panels(study, "frechet")
    assert panel.span == (3.28, 3.44)
    assert not panel.tied.any()


def test_properties_of_a_network_are_drawn_once_not_against_evaluations(bench):
    made = bench(axes=("design", "nfe"))
    for design, nfe in itertools.product(("a", "b"), (7, 11)):
        made.point({"design": design, "nfe": nfe}, 1.0 if design == "a" else 2.0, se=0.1)
    with style():
        names = [name for name, _ in files.figures(made.study())]
    assert "frechet_by_row" in names
    assert "frechet_vs_nfe" not in names


def test_one_budget_is_a_row_for_each_configuration_under_the_row_that_it_changes(bench):
    made = bench(axes=("variant",))
    names = ("baseline", "solver=euler", "solver=unipc", "solver=deis", "c_in=one", "c_skip=one", "c_skip=zero")
    values = (5.0, 9.0, 4.0, 30.0, 4.05, 20.0, 8.0)
    for i, (variant, value) in enumerate(zip(names, values, strict=True)):
        made.point({"variant": variant}, value, influence(i, 2.0))
    (axes,) = by_row(made.study(), "frechet").axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["baseline", *(name.partition("=")[2] for name in names[1:])]
    assert [text.get_text() for text in axes.texts] == ["solver", "c_in", "c_skip"]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [float(dot.get_xdata()[0]) for dot in dots] == list(values)
    filled = [to_hex(dot.get_markerfacecolor()) for dot in dots]
    blue, grey, white = FAVOURED["color"].lower(), BASELINE["color"], "#ffffff"
    assert filled == [grey, white, blue, white, blue, white, white]


def test_configurations_that_do_not_fit_one_list_are_ranked_in_panels_of_their_own(bench):
    made = bench(axes=("variant", "denoiser"))
    for i in range(30):
        for j, denoiser in enumerate(("network", "exact")):
            name = f"solver={i}" if i else "baseline"
            made.point({"variant": name, "denoiser": denoiser}, 10.0 + abs(i - 7) - 6 * j, se=0.1)
    panels = by_row(made.study(), "frechet").axes
    assert [axes.get_title(loc="right").partition(":")[0] for axes in panels] == ["network", "exact"]
    for axes, best in zip(panels, (10.0, 4.0), strict=True):
        assert [label.get_text() for label in axes.get_yticklabels()] == ["baseline", *map(str, range(1, 30))]
        dots = [line for line in axes.lines if line.get_marker() == "o"]
        blue = [line for line in dots if to_hex(line.get_markerfacecolor()) == FAVOURED["color"].lower()]
        grey = [line for line in dots if to_hex(line.get_markerfacecolor()) == BASELINE["color"]]
        assert [[float(line.get_xdata()[0]) for line in of] for of in (blue, grey)] == [[best], [best + 7]]


def test_two_axes_with_panels_are_rows_and_columns_below_one_note(bench):
    made = bench(axes=("stage", "denoiser", "design", "nfe"))
    stages, designs = (
        ("as published", "+ Heun", "+ EDM time steps", "+ sigma = t and s = 1"),
        ("ddpm", "iddpm", "vp", "ve"),
    )
    for stage, denoiser, design, nfe in itertools.product(stages, ("network", "exact"), designs, (7, 11)):
        axes = {"stage": stage, "denoiser": denoiser, "design": design, "nfe": nfe}
        se = 0.1 if denoiser == "exact" else None
        made.point(axes, 10.0 / nfe + stages.index(stage) + designs.index(design), se=se)
    with style():
        figure = metric_vs_nfe(made.study(), "frechet")
        figure.savefig(io.BytesIO())
    assert len(figure.axes) == 8
    titles = [axes.get_title(loc="left").replace("\n", " ") for axes in figure.axes]
    assert titles == [
        f"denoiser={denoiser}, design={design}" for denoiser in ("network", "exact") for design in designs
    ]
    tops = [round(axes.get_position().y1, 2) for axes in figure.axes]
    assert tops[:4] == [tops[0]] * 4 > tops[4:] == [tops[4]] * 4
    (legend,) = figure.legends
    notes = legend.get_title().get_text().split("\n")
    assert [note.partition(":")[0] for note in notes] == ["digits", "denoiser=network", "denoiser=exact"]
    assert legend.get_window_extent().y0 > max(axes.get_tightbbox().y1 for axes in figure.axes)


def test_what_only_the_correction_keeps_among_the_best_is_an_open_blue_circle(bench):
    made = bench(axes=("solver",))
    for i, value in enumerate((5.0, 5.2, 6.6, *(20.0 + i for i in range(12)))):
        made.point({"solver": f"s{i}"}, value, se=0.5)
    study = made.study()
    ranking = rank(study, study.entries, "frechet")
    alone = [ranking.against[entry][0].p for entry in ranking.best[1:]]
    assert alone[0] > 0.05 > alone[1]  # the third is still one of the best after the correction for 105 pairs
    (axes,) = by_row(study, "frechet").axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    blue = FAVOURED["color"].lower()
    looks = [(to_hex(dot.get_markeredgecolor()), to_hex(dot.get_markerfacecolor())) for dot in dots[:4]]
    assert looks[:3] == [(blue, blue), (blue, blue), (blue, "#ffffff")]
    assert looks[3][0] != blue
    note = axes.get_title(loc="right").replace("\n", " ")
    assert "open blue: worse if compared alone; open dark: worse" in note
    assert "no difference is significant" not in note


def test_configurations_that_all_tie_are_all_blue(bench):
    made = bench(axes=("solver",))
    made.about["baseline_axes"] = {"solver": "s0"}
    for i in range(4):
        made.point({"solver": f"s{i}"}, 5.0 + 0.01 * i, se=0.5)
    (axes,) = by_row(made.study(), "frechet").axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [to_hex(dot.get_markerfacecolor()) for dot in dots] == [FAVOURED["color"].lower()] * 4
    note = axes.get_title(loc="right").replace("\n", " ")
    assert note.endswith("no difference is significant; grey line: baseline")


def test_many_configurations_differ_in_colour_or_line_and_the_best_in_colour(bench):
    made = bench()
    for i, nfe in itertools.product(range(40), (7, 11)):
        made.point({"solver": f"s{i}", "nfe": nfe}, 50.0 - i + 1 / nfe, se=0.1)
    study = made.study()
    looks = {entry.config: roles(study).style(entry) for entry in study.entries}
    assert len({(look["color"], str(look["linestyle"])) for look in looks.values()}) == 40
    assert len({looks[f"s{i}"]["color"] for i in range(29, 40)}) == 11


def test_each_front_has_names_below_a_heading_and_no_two_points_of_it_look_alike(bench):
    made = bench(axes=("denoiser", "solver", "nfe"))
    for denoiser, (i, nfe) in itertools.product(("network", "exact"), enumerate((7, 11, 19, 35))):
        for j in range(30):
            value = 10.0 - i if j == 7 * i % 30 else 20.0 + j
            axes = {"denoiser": denoiser, "solver": f"s{j}", "nfe": nfe}
            made.point(axes, value, se=0.1, **({"network": "one"} if denoiser == "network" else {}))
    study = made.study()
    edit(study.folder, lambda rows: [row["trial"].update(denoiser={"name": row["axes"]["denoiser"]}) for row in rows])
    with style():
        figure = drawn(pareto(made.study(), "frechet"))
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    best = ["s0", "s7", "s14", "s21"]
    assert [name for name in names if name.strip()] == [
        "digits, denoiser network:", *best, "digits, exact denoiser:", *best, "the front"
    ]  # fmt: skip
    for axes in figure.axes:
        marked = [line for line in axes.lines if line.get_marker() not in ("None", ".")]
        assert len({(line.get_color(), line.get_marker()) for line in marked}) == len(marked) == 4
    assert legend.get_window_extent().height <= figure.bbox.height / 4


@pytest.mark.parametrize(("lowest", "strong"), [(("a", "a", "b"), "a"), (("a", "b"), None), (("a", "b", "c"), None)])
def test_a_curve_is_strong_if_it_is_best_at_more_than_half_of_the_budgets_that_decide(bench, lowest, strong):
    made = bench()
    for nfe, best in zip((7, 11, 19), lowest, strict=False):
        for solver in ("base", "a", "b", "c"):
            made.point({"solver": solver, "nfe": nfe}, 3.0 if solver == best else 9.0, se=0.1)
    for solver in ("base", "a", "b", "c"):
        made.point({"solver": solver, "nfe": 51}, 3.0, se=0.1)  # decides nothing
    (axes,) = metric_vs_nfe(made.study(), "frechet").axes
    thick = [line.get_color() for line in axes.lines if line.get_linewidth() == THICK]
    assert thick == [FAVOURED["color"]] * (strong is not None)
    assert ("thick: best" in axes.get_title(loc="right")) == bool(strong)


@pytest.mark.parametrize(
    ("scalings", "named"), [(("none", "vp"), True), (("s1", "other"), False), (("other", "vp"), True)]
)
def test_titles_that_say_little_or_are_also_curves_name_their_axis(bench, scalings, named):
    made = bench(axes=("schedule", "scaling", "nfe"))
    for (i, schedule), scaling, nfe in itertools.product(enumerate(("linear", "vp", "ve")), scalings, (7, 11)):
        made.point({"schedule": schedule, "scaling": scaling, "nfe": nfe}, 3.0 + i + 1 / nfe + len(scaling))
    titles = [axes.get_title(loc="left") for axes in metric_vs_nfe(made.study(), "frechet").axes]
    assert titles == [f"scaling={scaling}" if named else scaling for scaling in scalings]


def test_curves_that_are_the_same_in_some_panels_are_named_once_and_the_note_says_so(bench):
    made = bench(axes=("stage", "design", "nfe"))
    for (i, stage), design, nfe in itertools.product(enumerate(STAGES), DESIGNS, NFE):
        same = stage == "+ sigma = t" and design in ("ddpm", "iddpm")
        made.point({"stage": stage, "design": design, "nfe": nfe}, 3.0 + (2 if same else i) + 90 / nfe, se=0.1)

    def of_one_trial(rows):
        ids = {tuple(row["axes"].values()): row["id"] for row in rows}
        for row in rows:
            stage, design, nfe = row["axes"].values()
            if stage == "+ sigma = t" and design in ("ddpm", "iddpm"):
                row["id"] = ids["+ EDM time steps", design, nfe]

    edit(made.folder, of_one_trial)
    about = json.loads((made.folder / "ablation.json").read_text())
    of_one_trial(about["points"])
    (made.folder / "ablation.json").write_text(json.dumps(about))
    figure = metric_vs_nfe(made.study(), "frechet")
    names = [{text.get_text().replace("\n", "") for text in axes.texts} for axes in figure.axes]
    assert names == [{*STAGES[:3]}] * 2 + [{*STAGES}] * 2
    assert "ddpm, iddpm: + EDM time steps is the same as + sigma = t" in figure.get_suptitle()


def test_figures_say_on_which_data_and_model_they_were_measured(bench):
    made = bench()
    for solver, nfe in itertools.product(("heun", "euler"), (7, 11, 19)):
        made.point({"solver": solver, "nfe": nfe}, 100.0 / nfe + len(solver), se=0.1)
    edit(
        made.folder,
        lambda rows: [row["trial"].update(denoiser={"name": "trained", "training_images": 32000}) for row in rows],
    )
    study = made.study()
    with style():
        figures = [drawn(draw(study, "frechet")) for draw in (metric_vs_nfe, main_effects, pareto, by_row)]
    for figure in figures:
        note = figure.axes[0]._right_title  # matplotlib has no public access to it
        assert note.get_text().startswith("digits, networks, 32,000 training images\nn = 400 images")
        assert note.get_window_extent().x0 >= 0


@pytest.mark.parametrize(("slow", "panels"), [(2.0, 2), (4.0, 1)])
def test_seconds_of_a_busy_machine_are_not_shown(bench, slow, panels):
    made = bench()
    for solver, nfe in itertools.product(("heun", "euler"), (7, 11, 19)):
        seconds = nfe * 0.01 * 400 * (slow if (solver, nfe) == ("euler", 7) else 1)
        more = {"seconds": {"sampling": seconds}, "provenance": {"device": "cpu", "threads": 1}}
        made.point({"solver": solver, "nfe": nfe}, 100.0 / nfe + len(solver), se=0.1, **more)
    found = cost_panels(made.study(), "frechet")
    assert len(found) == panels
    assert ("no seconds: they differ 4-fold per evaluation" in found[0].note) == (panels == 1)


def test_labels_are_spread_as_little_as_possible():
    assert spread([0.2, 1.0], [0.1, 0.1], 2.0) == pytest.approx([0.2, 1.0])
    assert spread([1.0, 1.0, 1.0], [0.1] * 3, 2.0) == pytest.approx([0.9, 1.0, 1.1])
    assert spread([0.0, 0.0], [0.2, 0.4], 2.0) == pytest.approx([0.1, 0.4])
    assert spread([2.0, 2.0], [0.2, 0.2], 2.0) == pytest.approx([1.7, 1.9])


def ticks_apart(axes):
    """Whether no two labels of the ticks of an axis overlap, on either axis."""
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        boxes = [label.get_window_extent() for label in labels if label.get_text()]
        if any(a.padded(-1).overlaps(b.padded(-1)) for a, b in itertools.combinations(boxes, 2)):
            return False
    return True


def test_changes_at_two_budgets_are_written_without_overlaps(bench):
    made = bench(axes=("solver", "nfe"))
    for solver, low, high in (("heun", 1000, 3), ("euler", 300, 2), ("a solver with a long name", 3000, 3.02)):
        for nfe, value in ((7, low), (35, high)):
            made.point({"solver": solver, "nfe": nfe}, value, se=value / 100)
    with style():
        figure = drawn(main_effects(made.study(), "frechet"))
    assert overlaps(figure) == []
    assert ticks_apart(figure.axes[0])


@pytest.mark.parametrize("draw", [by_row, equal_quality])
def test_names_of_two_lines_do_not_overlap(bench, draw):
    made = bench(axes=("solver", "nfe"))
    for i in range(4):
        for nfe in (7, 11) if draw is equal_quality else (7,):
            name = f"a configuration with a very long name, number {i}"
            made.point({"solver": name, "nfe": nfe}, (10 + i) / nfe, se=0.01)
    with style():
        figure = drawn(draw(made.study(), "frechet"))
    assert ticks_apart(figure.axes[0])


def test_notes_of_small_multiples_name_their_panels_unless_all_have_them(bench):
    made = bench(axes=("denoiser", "solver", "nfe"))
    for (i, denoiser), (j, solver), nfe in itertools.product(
        enumerate(("exact", "network")), enumerate("abcd"), (7, 35)
    ):
        value = 300 if i and nfe == 7 else 4 + j + 10 * i
        made.point({"denoiser": denoiser, "solver": solver, "nfe": nfe}, value, se=0.1 if i else None)
    notes = metric_vs_nfe(made.study(), "frechet").get_suptitle().split("\n")
    assert [note.partition(": ")[0] for note in notes] == ["digits", "exact", "network"]
    assert "no error bars" in notes[1]
    assert "95 % intervals" in notes[2]


def test_small_multiples_far_apart_have_axes_of_their_own_and_say_so(bench):
    made = bench(axes=("denoiser", "solver", "nfe"))
    for (i, denoiser), (j, solver), nfe in itertools.product(
        enumerate(("exact", "network")), enumerate("abcd"), (7, 35)
    ):
        value = (3 + 0.1 * j) * (1 + 99 * i)
        made.point({"denoiser": denoiser, "solver": solver, "nfe": nfe}, value, se=0.01)
    figure = metric_vs_nfe(made.study(), "frechet")
    one, two = figure.axes
    assert one.get_ylim()[1] < two.get_ylim()[0]
    assert figure.get_suptitle().split("\n")[0] == "each panel has its own y axis"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("+ magnitude-preserving network", "+ magnitude-\npreserving network"),
        ("time_steps.sigma_max=20", "time_steps.\nsigma_max=20"),
        ("weight=-1.25, method=x", "weight=-1.25,\nmethod=x"),
    ],
)
def test_words_are_divided_at_hyphens_and_dots_before_they_are_cut(name, lines):
    assert wrapped(name, 21) == lines
