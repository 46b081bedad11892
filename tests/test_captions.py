"""What tables and captions say about the best values, training runs, counted evaluations and corrected values."""

import csv
import io
import math

import numpy as np
import pytest
from rich.console import Console
from studies import influence

from designspace.report import terminal_table, write
from designspace.report.evidence.differences import rank
from designspace.report.figures.curves import metric_vs_nfe
from designspace.report.html.answer import of_best
from designspace.report.html.sections import sections
from designspace.report.tables import caption, comparisons, corrected, values
from designspace.results.uncertainty import LEAST, interval

DRAWN = {"drawn": 3.5, "drawn_sd": 0.3}


def texts(table):
    return {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}


def bold(table):
    return {row[0].text: [cell.best for cell in row[1:]] for row in table.rows}


# The drawn reference


def below(bench, **about):
    """Two points below the drawn reference that differ significantly, and two above it."""
    made, common = bench(), influence(0, 10)
    for i, (solver, value) in enumerate((("a", 2.5), ("b", 3.4), ("c", 3.55), ("d", 4.5))):
        made.point({"solver": solver, "nfe": 7}, value, common + influence(i + 1, 1), about=DRAWN | about)
    return made.study()


def test_values_below_the_drawn_reference_are_equally_good(bench):
    study = below(bench)
    (table,) = values.tables(study, "frechet")
    assert bold(table) == {"a": [True], "b": [True], "c": [True], "d": [False]}
    assert caption.COUNTED_AS_DRAWN in table.caption
    found = rank(study, study.entries, "frechet")
    differences = [found.against[entry][0].value for entry in study.entries[1:]]
    assert differences == pytest.approx([0, 0.05, 1.0])  # above 3.5
    assert found.against[study.entries[1]][1] == 1


@pytest.mark.parametrize("about", [{"drawn": None}, {"drawn": 2.0}])
def test_without_a_drawn_reference_above_them_values_are_compared_as_they_are(bench, about):
    study = below(bench, **about)
    (table,) = values.tables(study, "frechet")
    assert bold(table) == {"a": [True], "b": [False], "c": [False], "d": [False]}
    assert caption.COUNTED_AS_DRAWN not in table.caption


def test_higher_values_than_the_drawn_reference_are_better_where_higher_is_better(bench):
    study = below(bench, higher_is_better=True, drawn=2.0)
    (table,) = values.tables(study, "frechet")
    assert bold(table) == {"a": [False], "b": [False], "c": [False], "d": [True]}


@pytest.mark.parametrize("count", [3, 24])
def test_equal_values_near_the_drawn_reference_are_rarely_called_different(bench, count):
    """At most 5 % of columns have a value that is not bold, whether or not some values are below the reference."""
    made, rng = bench(), np.random.default_rng(0)
    for i in range(count):
        made.point({"solver": f"s{i}", "nfe": 7}, 3.5, se=0.1, about=DRAWN)
    entries, wrong = made.study().entries, 0
    for _ in range(400):
        for entry, z in zip(entries, rng.standard_normal(count), strict=True):
            entry.rows[0].metrics["frechet"] = entry.about("frechet").model_copy(update={"value": 3.5 + 0.1 * z})
        wrong += len(rank(made.study(), entries, "frechet").best) < count
    assert wrong / 400 <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / 400)


def test_the_answer_says_that_the_best_is_as_good_as_the_drawn_reference(bench):
    study = below(bench)
    (sentence,) = of_best(study, [*sections(study)])
    assert "has the lowest FD-x, 2.50 ± 0.50 (n = 400), which is as good as the drawn reference; b and c do" in sentence


def test_an_observation_has_the_error_of_its_converged_solution_and_no_drawn_reference(bench):
    made = bench()
    made.point({"solver": "a", "nfe": 7}, 0.2, se=0.01, about={"floor": 2e-7, "n": 128})
    study = made.study()
    (table,) = values.tables(study, "frechet")
    assert "The estimated error of the converged solution is 2e-07." in table.caption
    assert "frechet_error_of_converged_solution" in values.tidy(study)
    (section,) = sections(study)
    assert section.data["level"] == {"name": "error of the converged solution", "value": 2e-7, "sd": 0.0}


def test_intervals_over_few_training_runs_are_students(bench):
    made = bench()
    for seed, value in enumerate((3.0, 3.2, 3.7)):
        made.point({"solver": "a", "nfe": 7}, value, influence(seed, 0.1), seed=seed, network=f"{seed}")
    (entry,) = made.study().entries
    half = 4.3027 * np.std([3.0, 3.2, 3.7], ddof=1) / 3**0.5
    assert entry.interval("frechet") == pytest.approx((3.3 - half, 3.3 + half), rel=1e-4)


def test_the_skew_of_a_distance_moves_its_interval_up(bench):
    made = bench()
    for solver, seeds in (("a", 1), ("b", 2)):
        for seed in range(seeds):
            axes = {"solver": solver, "nfe": 7}
            made.point(axes, 3.0, se=0.5, seed=seed, about={"skew": 0.3})
    one, two = (entry.interval("frechet") for entry in made.study().entries)
    assert one == pytest.approx(interval(3.0, 0.5, 0.3))
    assert two == pytest.approx(interval(3.0, 0.5 / 2**0.5, 0.15))
    assert sum(one) / 2 == pytest.approx(3.3)


# Families of comparisons


def test_captions_claim_what_the_correction_keeps(bench):
    study = below(bench)
    (table,) = values.tables(study, "frechet")
    assert (
        "Bold: the lowest of each column, and all values that do not differ significantly from it (95 % confidence for "
        "each column, corrected for all pairs because the best is chosen after seeing the values)." in table.caption
    )
    page = comparisons.page(study)
    assert "The probability that any of several equal configurations is called different is then at most 5 %" in page
    assert "Holm" not in table.caption
    assert page.count("Holm") == 1  # the family of comparisons.csv is its list


# Training runs


def trained(bench, runs):
    """Each configuration with one result per name of a trained network."""
    made = bench()
    for solver, networks in runs.items():
        for seed, network in enumerate(networks):
            value = 3.0 + seed / 10
            made.point({"solver": solver, "nfe": 7}, value, influence(seed, 1), seed=seed, network=network)
    return made.study()


ONCE = "Values and error bars are for one training run of each network; those of another run would differ by more"
ALIKE = "Confidence levels hold if most configurations vary alike between training runs."
THREE = "Each value is a mean over 3 training runs, and its standard error includes the variation between training runs"

POOLED = "pooled over those configurations of a budget that vary alike (Student's t)"


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ({"a": ["x"], "b": ["y"]}, ONCE),
        ({"a": ["x", "x"], "b": ["y", "y"]}, ONCE),  # two sampling seeds of one network
        ({"a": ["x", "y", "z"], "b": ["u", "v", "w"]}, f"{THREE}, {POOLED}. {ALIKE}"),
        (
            {"a": ["x", "y", "z"], "b": ["u"]},
            f"{THREE}, {POOLED}. {ALIKE} Error bars of configurations with a single training run",
        ),
    ],
)
def test_captions_say_whether_errors_include_the_variation_of_training(bench, runs, said):
    study = trained(bench, runs)
    (table,) = values.tables(study, "frechet")
    assert said in table.caption
    assert said in comparisons.page(study)


def test_without_trained_networks_nothing_is_said_of_training(bench):
    assert caption.training_runs(trained(bench, {"a": [None], "b": [None]}).entries) == ""


def test_figures_and_the_answer_are_labelled_if_there_is_one_training_run(bench):
    study = trained(bench, {"a": ["x"], "b": ["y"]})
    assert "(n = 400, one training run)" in "".join(of_best(study, [*sections(study)]))
    (axes,) = metric_vs_nfe(study, "frechet").axes
    assert axes.get_title(loc="right").endswith("\nn = 400 images, bars: 95 % intervals, one training run")


# Counted evaluations


def unequal(bench):
    made = bench()
    for solver, spent in (("euler", (6, 8)), ("heun", (5, 7))):
        for budget, nfe in zip((6, 8), spent, strict=True):
            made.point({"solver": solver, "nfe": budget}, 10.0 - nfe, influence(nfe, 1), nfe=nfe)
    return made.study()


def test_evaluations_other_than_the_budget_stand_in_the_cell(bench):
    study = unequal(bench)
    (table,) = values.tables(study, "frechet")
    found = texts(table)
    assert [text.endswith("NFE]") for text in found["euler"]] == [False, False]
    assert found["heun"] == ["5.000 ± 0.048 [5 NFE]", "3.000 ± 0.046 [7 NFE]"]
    assert "[k NFE]: the configuration spends k evaluations" in table.caption
    console = Console(width=36, record=True, file=io.StringIO())
    console.print(terminal_table(study))
    lines = console.export_text().replace("\N{NO-BREAK SPACE}", " ").splitlines()
    (line,) = (k for k, line in enumerate(lines) if line.split()[:1] == ["heun"] and "5.000" in line)
    assert [line.split() for line in lines[line + 1 : line + 3]] == [
        ["±", "0.048", "±", "0.046"],
        ["[5", "NFE]", "[7", "NFE]"],
    ]


UNSPENT = "[k NFE]: the configuration spends k evaluations, because it cannot spend exactly the budget."


def test_values_without_bias_have_them_too(bench):
    made = bench()
    made.point({"solver": "heun", "nfe": 8}, 3.0, nfe=7, about={"bias_corrected": 2.5, "bias_corrected_se": 0.4})
    made.point({"solver": "euler", "nfe": 8}, 3.0, nfe=8, about={"bias_corrected": 2.5, "bias_corrected_se": 0.4})
    (table,) = values.without_bias(made.study(), "frechet")
    assert texts(table) == {"heun": ["2.50 ± 0.40 [7 NFE]"], "euler": ["2.50 ± 0.40"]}
    assert table.caption.endswith(UNSPENT)
    (section,) = sections(made.study())
    assert section.caption.count(UNSPENT) == 1


def test_comparisons_have_the_counted_evaluations_and_mark_unequal_ones(bench):
    lines = [line.split(" | ") for line in comparisons.page(unequal(bench)).splitlines() if line.startswith("| ")]
    assert [cell.strip("| ") for cell in lines[0][:4]] == ["budget", "configuration", "NFE", "value"]
    assert [row[2] for row in lines[2:]] == ["6", "5 (best: 6)", "8", "7 (best: 8)"]


def test_the_answer_has_the_evaluations_of_the_best(bench):
    study = unequal(bench)
    (sentence,) = of_best(study, [*sections(study)])
    assert sentence.startswith("At a budget of 8 NFE, euler has the lowest FD-x, 2.000 ± ")
    assert "(n = 400, 8 NFE)" in sentence


def test_at_equal_steps_the_caption_counts_the_evaluations(bench):
    made = bench(axes=("solver", "num_steps"))
    for solver, times in (("euler", 1), ("dpmpp_2m", 1), ("heun", 2)):
        for steps in (4, 8):
            made.point({"solver": solver, "num_steps": steps}, 3.0, se=0.1, nfe=times * steps - (times > 1))
    (table,) = values.tables(made.study(), "frechet")
    assert (
        "Equal steps are not equal cost. Evaluations per image, column by column: "
        "euler and dpmpp_2m: 4 and 8; heun: 7 and 15." in table.caption
    )


# Levels that fall together


def test_steps_of_length_zero_are_counted_in_the_caption(bench):
    made = bench()
    for nfe, sigmas, more in (
        (7, [8.0, 8.0, 4.0, 4.0, 4.0, 0.0], {}),
        (11, [8.0, 4.0, 2.0, 2.0, 0.0], {"nfe_idle": 2}),
    ):
        made.point({"solver": "a", "nfe": nfe}, 3.0, sigmas=sigmas, **more)
        made.point({"solver": "b", "nfe": nfe}, 3.0, sigmas=[8.0, 4.0, 0.0])
    (table,) = values.tables(made.study(), "frechet")
    assert (
        "Levels fall together, so that steps of length zero spend evaluations and move nothing: "
        "a (3 of 5 steps, 1 of 4 steps and 2 of 11 evaluations)." in table.caption
    )


def test_calls_that_guidance_adds_are_counted_in_the_caption(bench):
    made = bench()
    for scale, more in ((1, 0), (2, 7)):
        made.point({"solver": f"w{scale}", "nfe": 7}, 3.0, **({"nfe_guidance": more} if more else {}))
    (table,) = values.tables(made.study(), "frechet")
    assert "NFE does not count the evaluations that guidance adds, and total NFE does: w2 (7 + 7)." in table.caption


# Values without bias

GENERATED = {"bias_corrected": 2.5, "bias_corrected_se": 0.4}
BOTH = {"both_corrected": 0.1, "both_corrected_se": 0.5}


def with_bias_removed(bench, stands_for, about, **row):
    made = bench()
    made.point({"solver": "a", "nfe": 7}, 3.0, se=0.3, about=about, record={"stands_for": stands_for}, **row)
    return made.study()


@pytest.mark.parametrize(
    ("stands_for", "shown"),
    [
        (None, [("population", "2.50 ± 0.40")]),
        ("population", [("population", "2.50 ± 0.40")]),
        ("sample", [("sample", "0.10 ± 0.50")]),
        ("both", [("population", "2.50 ± 0.40"), ("sample", "0.10 ± 0.50")]),
    ],
)
def test_the_corrected_values_are_those_for_what_the_reference_stands_for(bench, stands_for, shown):
    study = with_bias_removed(bench, stands_for, GENERATED | BOTH)
    found = values.without_bias(study, "frechet")
    assert [(table.header[0], table.rows[0][1].text) for table in found] == [
        (f"FD-x without bias (reference: {word}) at NFE", text) for word, text in shown
    ]
    assumed = {"population": "the reference is the whole population", "sample": "the reference is a sample"}
    assert all(assumed[word] in table.caption for (word, _), table in zip(shown, found, strict=True))
    (section,) = sections(study)
    assert section.data["table"]["columns"][3:] == [f"without bias ({word})" for word, _ in shown]
    assert all(table.caption in section.caption for table in found)
    assert "Values without bias are missing" not in section.caption


def test_both_corrections_have_columns_of_table_csv(bench):
    study = with_bias_removed(bench, "both", GENERATED | BOTH)
    write(study)
    with (study.folder / "table.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert {key: float(row[f"frechet_{key}"]) for key in GENERATED | BOTH} == GENERATED | BOTH


@pytest.mark.parametrize(
    ("stands_for", "about", "row", "why"),
    [
        ("population", {}, {"features": 200}, "they need at least 3 × 200 images"),
        ("population", {}, {}, "an earlier version, which computed none, wrote the results"),
        (None, {}, {"features": None}, "an earlier version, which computed none, wrote the results"),
        ("both", GENERATED, {}, "an earlier version, which computed none, wrote the results"),
        ("both", {}, {"features": 130, "images": 200}, "they need at least 3 × 130 images"),
    ],
)
def test_the_caption_says_why_corrected_values_are_missing(bench, stands_for, about, row, why):
    study = with_bias_removed(bench, stands_for, about, **row)
    (table,) = values.tables(study, "frechet")
    assert f"Values without bias are missing{' for a' if about else ''}: {why}." in table.caption


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ({"known": "moments"}, "they need the images of the reference, not only their mean and covariance"),
        ({"images": 20}, "they need a reference of at least 3 × 8 images"),
    ],
)
def test_a_reference_that_is_too_small_or_only_summarised_is_named(bench, reference, why):
    made = bench()
    made.point({"solver": "a", "nfe": 7}, 3.0, record={"stands_for": "sample", "reference": reference})
    assert corrected.absent(made.study().entries, "frechet") == f"Values without bias are missing: {why}."


def test_the_least_number_of_images_is_that_of_the_metric():
    assert corrected.LEAST == LEAST
