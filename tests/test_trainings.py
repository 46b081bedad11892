"""Training is random, too: repeats train networks of their own, and their variation enters bars and tests."""

import json
import math
import re

import numpy as np
import pytest
from studies import Bench, edit
from test_grid import EVALUATE, ablation

from designspace.report import write
from designspace.report.evidence.contrasts import difference, mean_difference
from designspace.report.evidence.differences import rank
from designspace.report.evidence.inference import LEVEL, as_normal, two_sided, with_best
from designspace.report.evidence.verdicts import verdicts
from designspace.report.moderated import fitted
from designspace.report.tables.effects import page as effects_page
from designspace.report.trainings import Series, TrainingRuns

FOUR = (0.3228, 0.3180, 0.3352, 0.3288)
"""FD of the digits in pixels, n = 3,200, of a network trained with four seeds; each has a standard error of 0.005."""
TRAINED = {"name": "trained", "network": {"name": "mlp", "seed": 3}, "training_images": 64, "seed": 5}


def test_repeats_move_the_seeds_of_sampling_training_and_network():
    found = ablation(evaluate=EVALUATE | {"repeats": 3, "seed": 7}, grid={"solver": ["heun"]}, denoiser=TRAINED)
    trials = [point.trial for point in found.points()]
    assert [(t.seed, t.denoiser.seed, t.denoiser.network.seed) for t in trials] == [(7, 5, 3), (8, 6, 4), (9, 7, 5)]
    assert len({t.network() for t in trials}) == len({t.id for t in trials}) == 3
    one = ablation(evaluate=EVALUATE | {"seed": 7}, grid={"solver": ["heun", "euler"]}, denoiser=TRAINED)
    assert one.points()[0].trial.id == trials[0].id
    assert len({point.trial.network() for point in one.points()}) == 1


def test_repeats_of_a_denoiser_without_a_network_have_none():
    found = ablation(evaluate=EVALUATE | {"repeats": 2}, grid={"solver": ["heun"]})
    assert [point.trial.network() for point in found.points()] == [None, None]
    assert len({point.trial.denoiser for point in found.points()}) == 1


def trained(made, name, values, *, network=None, nfe=7, se=0.005):
    for seed, value in enumerate(values):
        made.point({"design": name, "nfe": nfe}, value, se=se, seed=seed, network=f"{network or name}{seed}")


def test_the_spread_of_four_trainings_is_in_value_and_bar(bench):
    """The standard error of one network's images, 0.005, is less than a run differs from another."""
    made = bench(axes=("design", "nfe"))
    trained(made, "edm", FOUR)
    (entry,) = made.study().entries
    assert entry.trainings == 4
    assert entry.value("frechet") == pytest.approx(np.mean(FOUR))
    assert entry.se("frechet") == pytest.approx(np.std(FOUR, ddof=1) / 2)
    assert entry.degrees("frechet") == 3


def test_a_single_training_run_has_the_error_of_its_images(bench):
    made = bench(axes=("design", "nfe"))
    trained(made, "edm", FOUR[:1])
    (entry,) = made.study().entries
    assert (entry.trainings, entry.se("frechet"), entry.degrees("frechet")) == (1, 0.005, None)


def test_the_variance_is_pooled_over_configurations_in_units_of_their_values(bench):
    """Two configurations of equal relative variance, one of which is ten times worse."""
    made = bench(axes=("design", "nfe"))
    relative = np.array([-0.01, 0.0, 0.04])
    a, b, c = 0.3 * (1 + relative), 3 * (1 + relative[[1, 2, 0]]), 0.3 * (1.1 + relative[[2, 0, 1]])
    for name, values in (("a", a), ("b", b), ("c", c)):
        trained(made, name, values, se=1e-4)
    first, second, third = made.study().entries
    pooled = np.mean([np.var(x, ddof=1) / np.mean(x) ** 2 for x in (a, b, c)])
    for entry, values in ((first, a), (second, b)):
        se = math.sqrt(max(pooled * np.mean(values) ** 2, np.var(values, ddof=1)) / 3)
        assert (entry.se("frechet"), entry.degrees("frechet")) == (pytest.approx(se), 6)
    gap = difference(made.study(), first, third, "frechet")
    pairs = [np.var(x - y, ddof=1) / (np.mean(x) ** 2 + np.mean(y) ** 2) for x, y in ((a, b), (a, c), (b, c))]
    variance = max(np.mean(pairs) * (np.mean(a) ** 2 + np.mean(c) ** 2), np.var(a - c, ddof=1))
    assert gap.value == pytest.approx(np.mean(a) - np.mean(c))
    assert (gap.se, gap.degrees, gap.runs) == (pytest.approx(math.sqrt(variance / 3)), 4, 3)
    assert gap.p == pytest.approx(two_sided(as_normal(gap.value / gap.se, 4)))


def test_samplers_of_the_same_networks_are_compared_on_each_of_them(bench):
    """What a network does to all samplers alike cancels in their differences."""
    made = bench(axes=("design", "nfe"))
    common = np.array([1.0, 2.0, 1.5])
    trained(made, "heun", common, network="n", se=1e-4)
    trained(made, "euler", common + np.array([0.11, 0.10, 0.12]), network="n", se=1e-4)
    gap = difference(made.study(), *made.study().entries, "frechet")
    assert gap.value == pytest.approx(-0.11)
    assert (gap.se, gap.degrees) == (pytest.approx(0.01 / math.sqrt(3)), 2)


def test_the_mean_over_settings_has_the_variation_of_its_networks(bench):
    """The same networks at two settings are not two independent trainings."""
    made = bench(axes=("design", "nfe"))
    a, b = np.array([1.0, 1.1, 1.2]), np.array([2.0, 2.3, 2.1])
    trained(made, "a1", a, network="a", se=1e-4)
    trained(made, "b1", b, network="b", se=1e-4)
    trained(made, "a2", a + 1e-3, network="a", se=1e-4)
    trained(made, "b2", b + 1e-3, network="b", se=1e-4)
    one, two, three, four = made.study().entries
    alone = difference(made.study(), one, two, "frechet")
    both = mean_difference(made.study(), [(one, two), (three, four)], "frechet")
    assert both.value == pytest.approx(alone.value)
    assert both.se == pytest.approx(alone.se, rel=0.01)


CLAIM = {
    "say": "EDM beats VP.",
    "expect": {"less": [{"design": "edm"}, {"design": "vp"}], "metric": "frechet"},
}


@pytest.mark.parametrize(
    ("edm", "vp", "outcome", "said"),
    [
        (FOUR[1:2], FOUR[2:3], "holds", "n = 400, for one training run of each network."),
        (
            FOUR[:3],
            (0.332, 0.326, 0.321),
            "undecided",
            "n = 400 for each of 3 training runs.",
        ),
        (
            FOUR[:3],
            FOUR[:1],
            "undecided",
            "n = 400 for each of 3 seeds, for one training run of some networks.",
        ),
        (FOUR[:3], [2 * x for x in FOUR[:3]], "holds", "n = 400 for each of 3 training runs."),
    ],
)
def test_verdicts_say_what_they_know_of_training(bench, edm, vp, outcome, said):
    made = bench(axes=("design", "nfe"), claims=[CLAIM])
    trained(made, "edm", edm)
    trained(made, "vp", vp)
    (found,) = verdicts(made.study())
    assert (found.outcome, said in found.numbers) == (outcome, True)
    at_most = re.search(r"at most about [\d,]+ training runs would decide the claim", found.numbers)
    assert (at_most is not None) is (outcome == "undecided" and len(vp) > 1)


def test_a_verdict_on_two_samplers_of_a_network_is_for_this_one_training_run(bench):
    made = bench(axes=("design", "nfe"), claims=[CLAIM])
    for design in ("edm", "vp"):
        trained(made, design, FOUR[:1], network="same")
    (found,) = verdicts(made.study())
    assert "n = 400, for this one training run." in found.numbers


def test_effects_are_labelled_as_those_of_one_training_run(bench):
    made = bench(axes=("design", "nfe"))
    trained(made, "edm", FOUR[:1])
    trained(made, "vp", FOUR[1:2])
    assert "for one training run of each network" in effects_page(made.study())


DRAWS = 1500


def repeated(rng, relative, runs=3, common=0.02):
    """Series of equal configurations: a relative scatter of each, and one that a seed adds to all of them."""
    shared = common * rng.standard_normal(runs)
    scatter = np.asarray(relative)[:, None] * rng.standard_normal((len(relative), runs))
    values = 1 + scatter + shared
    return [Series("group", dict(enumerate(v)), {k: f"{i}.{k}" for k in range(runs)}) for i, v in enumerate(values)]


def p_of(runs, series, a, b):
    found = runs.scatter("m", [(1.0, series[a]), (-1.0, series[b])])
    return two_sided(as_normal((series[a].mean - series[b].mean) / math.sqrt(found.variance), found.degrees))


@pytest.mark.parametrize("count", [3, 6])
def test_equal_configurations_are_told_apart_in_at_most_5_percent(count):
    """All of equal relative variance, which is what pooling assumes: each pair, and any pair with the observed best."""
    rng, single, family = np.random.default_rng(0), 0, 0
    for _ in range(DRAWS):
        series = repeated(rng, [0.03] * count)
        runs = TrainingRuns(lambda metric, series=series: series)
        single += p_of(runs, series, 0, 1) <= LEVEL
        best = min(range(count), key=lambda i: series[i].mean)
        family += min(with_best([p_of(runs, series, i, best) for i in range(count) if i != best])) <= LEVEL
    error = 3 * math.sqrt(LEVEL / DRAWS)
    assert LEVEL / 3 <= single / DRAWS <= LEVEL + error
    assert family / DRAWS <= LEVEL + error


@pytest.mark.parametrize("count", [5, 12])
def test_configurations_of_unequal_variance_are_told_apart_more_often(count):
    """What docs/error_bars.md says of pairs with a configuration that varies five times as much as the others."""
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(DRAWS):
        series = repeated(rng, [0.03] * (count - 1) + [0.15])
        runs = TrainingRuns(lambda metric, series=series: series)
        wrong += p_of(runs, series, count - 2, count - 1) <= LEVEL
    assert LEVEL < wrong / DRAWS <= 0.15 + 3 * math.sqrt(0.15 / DRAWS)


def test_pooling_decides_what_three_repeats_alone_cannot():
    """A difference of 10 % with a scatter of 3 %: with two degrees of freedom it is decided in a minority of draws."""
    rng, pooled, alone = np.random.default_rng(0), 0, 0
    for _ in range(300):
        series = repeated(rng, [0.03] * 8)
        worse = series[0]._replace(values={k: 1.1 * v for k, v in series[0].values.items()})
        series = [worse, *series[1:]]
        pooled += p_of(TrainingRuns(lambda metric, series=series: series), series, 0, 1) <= LEVEL
        alone += p_of(TrainingRuns(lambda metric: ()), series, 0, 1) <= LEVEL
    assert pooled / 300 > 0.8
    assert alone / 300 < 0.6


def test_a_much_worse_configuration_that_varies_more_is_told_from_the_best_one():
    """Ten times worse, with a scatter of 8 % instead of 3 %; its own two degrees of freedom rarely decide it."""
    rng, moderated, alone, draws = np.random.default_rng(0), 0, 0, 100
    for _ in range(draws):
        series = repeated(rng, [0.03] * 11 + [0.08])
        series[-1] = series[-1]._replace(values={k: 10 * v for k, v in series[-1].values.items()})
        best = min(range(11), key=lambda i: series[i].mean)
        pooled, own = TrainingRuns(lambda metric, series=series: series), TrainingRuns(lambda metric: ())
        moderated += with_best([p_of(pooled, series, 11, best)] + [1.0] * 10)[0] <= LEVEL
        alone += with_best([p_of(own, series, 11, best)] + [1.0] * 10)[0] <= LEVEL
    assert moderated / draws > 0.9
    assert alone / draws < 0.6


@pytest.mark.parametrize("worth", [4.0, 8.0])
def test_the_scatter_of_variances_is_found_again(worth):
    """Variances of two degrees of freedom, whose true values are inverse chi-square with some more."""
    rng, count = np.random.default_rng(0), 50_000
    true = 0.01 * worth / rng.chisquare(worth, count)
    pool = fitted(true * rng.chisquare(2, count) / 2, np.full(count, 2), count)
    assert pool.worth == pytest.approx(worth, rel=0.15)
    assert pool.center == pytest.approx(0.01, rel=0.05)
    assert pool.variance == pytest.approx(0.01 * worth / (worth - 2), rel=0.1)


def in_units(series, names):
    """Series of networks that are called ``names``."""
    return [s._replace(networks={k: f"{name}.{k}" for k in s.networks}) for s, name in zip(series, names, strict=True)]


def without(series, seed):
    """A point whose trial with a seed is missing."""
    return series._replace(values={k: v for k, v in series.values.items() if k != seed}, networks=series.networks)


def pooled_degrees(series, a, b):
    found = TrainingRuns(lambda metric: series).scatter("m", [(1.0, series[a]), (-1.0, series[b])])
    return found.degrees


def test_samplers_of_shared_networks_have_as_many_degrees_of_freedom_as_differences():
    """Three samplers of two networks, three repeats: (6 - 2) (3 - 1), unless the F-test finds a pair to be unlike."""
    rng, usual, draws = np.random.default_rng(0), 0, 200
    for _ in range(draws):
        networks = 0.2 * rng.standard_normal((2, 1, 3))
        values = (1 + networks + 0.02 * rng.standard_normal((2, 3, 3))).reshape(6, 3)
        series = [Series("group", dict(enumerate(v)), dict.fromkeys(range(3))) for v in values]
        series = in_units(series, [0, 0, 0, 1, 1, 1])
        degrees = pooled_degrees(series, 0, 1)
        assert 2 <= degrees <= 8
        usual += degrees == 8
    assert usual / draws > 0.8


def test_a_missing_repeat_does_not_make_other_networks_of_the_same_ones():
    """heun, dpm and euler of three networks; heun lacks one trial."""
    rng = np.random.default_rng(1)
    networks = 0.2 * rng.standard_normal((3, 1, 3))
    values = (1 + networks + 0.01 * rng.standard_normal((3, 3, 3))).reshape(9, 3)
    series = [Series("group", dict(enumerate(v)), dict.fromkeys(range(3))) for v in values]
    series = in_units(series, [0, 0, 0, 1, 1, 1, 2, 2, 2])
    missing = [without(series[0], 2), *series[1:]]
    full, some = (TrainingRuns(lambda metric, of=of: of) for of in (series, missing))
    terms = [(1.0, series[1]), (-1.0, series[2])]
    assert some.scatter("m", terms).variance == pytest.approx(full.scatter("m", terms).variance, rel=0.2)
    found = some.scatter("m", [(1.0, missing[0]), (-1.0, missing[2])])
    assert (found.runs, found.variance < 0.01**2) == (2, True)  # not that of different networks, 0.2 ** 2
    assert found.degrees > 6


def test_a_variance_far_above_the_pooled_one_is_not_pooled():
    """Ten equal configurations and one whose variance is eight times as large; F(2, 22) is 2.6 at 90 %."""
    pattern = np.array([-1.0, 0.0, 1.0])
    series = repeated(np.random.default_rng(0), [0.03] * 10 + [0.0], common=0.0)
    pooled = np.mean([np.var([*s.values.values()], ddof=1) / s.mean**2 for s in series[:10]])
    odd = series[10]._replace(values=dict(enumerate(1 + pattern * math.sqrt(8 * pooled))))
    runs = TrainingRuns(lambda metric: [*series[:10], odd])
    assert 2 <= runs.scatter("m", [(1.0, odd)]).degrees <= 4
    assert runs.scatter("m", [(1.0, odd)]).variance >= 8 * pooled / 3 * (1 - 1e-9)
    assert runs.scatter("m", [(1.0, series[0])]).degrees == 22


def test_values_that_are_not_far_from_0_have_their_own_variance():
    """Six configurations, whose mean is twice their standard deviation."""
    values = 1 + 0.5 * np.array([-1.0, 0.0, 1.0])
    series = [Series("g", dict(enumerate(np.roll(values, i))), {k: f"{i}.{k}" for k in range(3)}) for i in range(6)]
    assert TrainingRuns(lambda metric: series).scatter("m", [(1.0, series[0])]).degrees == 2


def test_a_trial_by_two_names_is_pooled_once():
    series = repeated(np.random.default_rng(0), [0.03] * 5)
    twice = [*series, series[2]]
    terms = [(1.0, series[0]), (-1.0, series[1])]
    one, two = (TrainingRuns(lambda metric, of=of: of).scatter("m", terms) for of in (series, twice))
    assert two.degrees == one.degrees
    assert two.variance == pytest.approx(one.variance, rel=0.3)


def test_a_trial_by_two_names_differs_from_itself_by_nothing(bench):
    made = bench(axes=("design", "nfe"))
    trained(made, "ddpm", FOUR[:3])
    trained(made, "vp", FOUR[:3], network="ddpm")
    trained(made, "ve", FOUR[1:4])
    for point, other in zip(made.points[3:6], made.points[:3], strict=True):
        point["id"] = other["id"]
    (made.folder / "ablation.json").write_text(json.dumps(made.about))
    edit(made.folder, lambda rows: [row.update(id=other["id"]) for row, other in zip(rows[3:6], rows[:3], strict=True)])
    ddpm, vp, ve = made.study().entries
    gap = difference(made.study(), ddpm, vp, "frechet")
    assert (gap.value, gap.se, gap.p) == (0.0, 0.0, 1.0)
    assert difference(made.study(), ddpm, ve, "frechet").se > 0


def test_values_of_any_size_have_a_report(bench):
    made = bench(axes=("design", "nfe"))
    trained(made, "tiny", (1e-200, 1.1e-200, 0.9e-200), se=1e-202)
    trained(made, "small", (1e-190, 1.1e-190, 0.9e-190), se=1e-192)
    trained(made, "large", (1e30, 1.1e30, 0.9e30), se=1e28)
    made.point({"design": "diverged", "nfe": 7}, float("inf"), seed=0)
    made.point({"design": "diverged", "nfe": 7}, float("-inf"), seed=1)
    assert "table.md" in {path.name for path in write(made.folder)}


def test_a_wild_configuration_does_not_drown_the_others(bench):
    """Three quiet configurations and one whose runs differ by half of its value."""
    made = bench(axes=("design", "nfe"))
    rng = np.random.default_rng(0)
    for name, value, sd in (("a", 2.7, 0.03), ("b", 11.4, 0.005), ("c", 4.4, 0.03)):
        trained(made, name, value * (1 + sd * rng.standard_normal(3)), se=1e-3)
    trained(made, "wild", (2.0, 15.0, 30.0), se=1e-3)
    study = made.study()
    assert all(entry.se("frechet") < 0.1 * entry.value("frechet") for entry in study.entries[:3])
    assert {study.entries[0]} <= {*rank(study, study.entries, "frechet").best} <= {study.entries[0], study.entries[3]}


def test_values_near_0_are_not_pooled(bench):
    """KID of six configurations, three of which are as good as the reference, with the same absolute scatter."""
    made = bench(axes=("design", "nfe"))
    rng = np.random.default_rng(3)
    for name, value in zip("abcdef", (0.0, 0.0, 0.0, 0.02, 0.04, 0.06), strict=True):
        trained(made, name, value + 1e-3 * rng.standard_normal(3), se=1e-5)
    study = made.study()
    assert all(entry.se("frechet") < 2e-3 for entry in study.entries)
    best = {*rank(study, study.entries, "frechet").best}
    assert best >= {*study.entries[:3]}
    assert not best & {*study.entries[4:]}


def test_an_unfinished_point_with_trained_networks_is_not_judged(bench):
    made = bench(axes=("design", "nfe"), claims=[CLAIM])
    trained(made, "edm", FOUR[:2])
    made.point({"design": "edm", "nfe": 7}, 0.3, finished=False)
    trained(made, "vp", (0.5, 0.51, 0.52))
    (found,) = verdicts(made.study())
    assert found.outcome == "not computed"


def test_two_studies_pool_their_configurations(tmp_path):
    """What ``designspace compare A B`` does, if both trained networks repeatedly."""
    rng, studies = np.random.default_rng(0), []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made = Bench(tmp_path / name, ["design", "nfe"])
        for design in "abc":
            trained(made, name + design, 1 + 0.03 * rng.standard_normal(3), se=1e-4)
        studies.append(made.study())
    first, second = studies
    gap = difference(first, first.entries[0], second.entries[0], "frechet", other=second)
    assert (gap.degrees, gap.runs, gap.gain) == (10, 3, None)


def test_the_best_of_repeated_trainings_is_not_decided_by_their_luck(bench):
    """Seeds of one configuration, as if they were configurations: each pair differed significantly by its images."""
    made = bench(axes=("design", "nfe"))
    rng = np.random.default_rng(1)
    for name in "abcdef":
        trained(made, name, 0.3262 * (1 + 0.023 * rng.standard_normal(3)), se=0.002)
    study = made.study()
    assert len(rank(study, study.entries, "frechet").best) == 6
