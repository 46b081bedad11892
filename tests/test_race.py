"""Races and optima: error rates and intervals in simulations with a known truth.

The bounds were set before the simulations were run. Of 500 races without differences, at most 25 may drop an arm (5 %).
"""

import math

import numpy as np
import pytest

from designspace.report.evidence.inference import two_sided
from designspace.tune.optimum import Vertex, lack_of_fit, off_scale, on_scale, vertex
from designspace.tune.race import Race, chance, needed_images

RACES, WRONG = 500, 25


def simulated(rng, means, images=3200, stages=4, common=0.7):
    """A race between arms with these mean values per image, of which lower ones are better.

    Images have heavy tails (Student's t with five degrees of freedom), and arms share most of the noise of an image.
    """
    k = len(means)
    shared, own = rng.standard_t(5, (images, 1)), rng.standard_t(5, (images, k))
    each = np.asarray(means) + math.sqrt(common) * shared + math.sqrt(1 - common) * own
    sizes = [images // 2 ** (stages - 1 - stage) for stage in range(stages)]
    race, used = Race([f"arm {i}" for i in range(k)], "arm 0", sizes), 0
    while not race.over:
        n = sizes[len(race.corrected)]
        alive = [int(arm[4:]) for arm in race.alive]
        used = used + len(alive) * (n if not race.corrected else n // 2)
        values = each[:n].mean(0)
        best = min(alive, key=lambda i: values[i])
        gaps = {i: each[:n, i] - each[:n, best] for i in alive if i != best}
        ps = {f"arm {i}": two_sided(gap.mean() / (gap.std(ddof=1) / math.sqrt(n))) for i, gap in gaps.items()}
        race.tell(f"arm {best}", ps)
    return race, used


@pytest.mark.parametrize("arms", [2, 10])
@pytest.mark.parametrize("common", [0.0, 0.7])
def test_equal_arms_are_rarely_dropped(arms, common):
    rng = np.random.default_rng(17)
    races = [simulated(rng, [0.0] * arms, common=common)[0] for _ in range(RACES)]
    assert sum(bool(race.dropped) for race in races) <= WRONG


def test_the_best_arm_is_rarely_dropped_where_arms_differ():
    rng = np.random.default_rng(18)
    means = [0.05, 0.0, 0.05, 0.1, 0.2, 0.2, 0.4, 0.4]
    races = [simulated(rng, means)[0] for _ in range(RACES)]
    assert sum("arm 1" in race.dropped for race in races) <= WRONG
    assert all({"arm 6", "arm 7"} <= race.dropped.keys() for race in races)


def test_a_race_saves_most_of_the_images_where_arms_differ_much():
    rng = np.random.default_rng(19)
    found = [simulated(rng, [0.0, 1.0, 1.0, 1.0, 1.0]) for _ in range(50)]
    assert all(race.decided and race.winner({}) == "arm 0" for race, _ in found)
    assert {used for _, used in found} == {5 * 400}  # of 5 * 3200


def test_undecided_races_take_the_cheapest_arm_within_one_standard_error_then_the_best_value():
    race = Race(["heun", "euler", "unipc"], "heun", [400, 800])
    race.tell("unipc", {"heun": 0.5, "euler": 0.02})
    assert not race.over
    race.tell("unipc", {"heun": 0.4, "euler": 0.1})
    assert race.over
    assert not race.decided
    assert race.winner({"heun": 7, "euler": 7, "unipc": 7}) == "unipc"
    assert race.winner({"heun": 6, "euler": 7, "unipc": 7}) == "heun"
    assert race.winner({"heun": 7, "euler": 6, "unipc": 7}) == "unipc"  # 1.6 standard errors are no tie


def test_p_values_are_corrected_for_all_pairs_and_for_the_stages():
    """Three arms are three pairs: with two stages, an arm drops out at an uncorrected p of 0.05 / 2 / 3."""
    race = Race(["a", "b", "c"], "a", [400, 800])
    race.tell("a", {"b": 0.0084, "c": 0.0083})
    assert race.dropped == {"c": 0}
    assert race.corrected == [{"b": pytest.approx(0.0252), "c": pytest.approx(0.0249)}]
    race.tell("a", {"b": 0.0251})  # one pair is left
    assert race.alive == ["a", "b"]


def test_arms_that_were_chosen_from_an_earlier_race_are_corrected_for_its_arms():
    """Two arms after four that dropped out are 15 pairs."""
    race = Race(["a", "b"], "a", [400, 800], before=4)
    race.tell("a", {"b": 0.05 / 2 / 15 * 1.01})
    assert race.alive == ["a", "b"]
    assert race.corrected == [{"b": pytest.approx(0.02525)}]
    race.tell("a", {"b": 0.05 / 2 / 15 * 0.99})
    assert race.dropped == {"b": 1}


def test_an_arm_without_a_value_drops_out_and_one_without_an_error_does_not():
    race = Race(["a", "b", "c"], "c", [200, 400, 800])
    race.tell("a", {"b": math.nan})
    assert race.dropped == {"c": 0}
    assert race.alive == ["a", "b"]
    assert race.over  # a difference without an error is never significant
    assert race.winner({}) == "a"
    race.tell(None, {})
    assert race.alive == []
    assert race.winner({}) == "c"


@pytest.mark.parametrize(("z", "first", "over"), [(0.5, 800, True), (1.0, 800, False), (0.5, 400, False)])
def test_a_race_that_would_decide_nothing_ends_early_but_not_before_half_of_the_images(z, first, over):
    """After half of the images, z = 0.5 would become 0.71 at the end, far below 2.24 (two arms, two stages)."""
    race = Race(["a", "b"], "a", [first, 1600])
    race.tell("a", {"b": two_sided(z)})
    assert race.over is over
    assert not race.decided


def test_clear_differences_are_seldom_lost_by_ending_early():
    """Two arms differ by four standard errors in the end. Without early ends, 94 % of such races are decided."""
    rng, sizes, decided = np.random.default_rng(5), [400, 800, 1600, 3200, 6400], 0
    for images in rng.normal(4 / math.sqrt(6400 / 200), 1, (400, 32)):  # sums of 200 images each
        race = Race(["a", "b"], "a", sizes)
        while not race.over:
            chunks = sizes[len(race.corrected)] // 200
            z = images[:chunks].sum() / math.sqrt(chunks)
            race.tell("a" if z > 0 else "b", {"b" if z > 0 else "a": two_sided(z)})
        decided += race.decided
    assert decided >= 340  # of 400, four standard errors below 91 %


def test_the_chance_of_a_significant_difference_is_that_of_simulations():
    """100 images of 400 have a difference of 0.15 standard deviations, as the other 300 have on average."""
    rng = np.random.default_rng(21)
    rest = rng.normal(0.15, 1, (20000, 300)).sum(1)
    z = (15 + rest) / math.sqrt(400)
    found = chance(two_sided(1.5), 0.25, 0.01)
    assert found == pytest.approx((z > 2.5758).mean(), abs=0.02)  # 4 standard errors of the simulation are 0.014
    assert chance(0.5, 1.0, 0.05) == 0
    assert chance(math.nan, 0.5, 0.05) == 0
    assert chance(0.0, 0.5, 0.05) == pytest.approx(1)


def test_needed_images_decide_with_the_power_that_they_promise():
    """A difference of 2.8 standard errors is significant with a probability of 80 %."""
    assert needed_images(1000, 2.8016, 1) == pytest.approx(1000, abs=2)
    assert needed_images(1000, 1.4008, 1) == pytest.approx(4000, abs=4)
    assert needed_images(1000, 1.4008, 24) > 6000
    assert needed_images(1000, 0.0, 1) is None
    assert needed_images(1000, math.nan, 1) is None
    assert needed_images(1000, 1e-4, 1) is None


def test_the_vertex_of_an_exact_parabola():
    x = [math.log(v) for v in (3, 4.5, 6.7, 10, 15)]
    found = vertex(x, [2 + 5 * (one - math.log(7)) ** 2 for one in x], [0.1, 0.2, 0.1, 0.3, 0.1])
    assert found.x == pytest.approx(math.log(7))
    assert sum(found.gradient) == pytest.approx(0, abs=1e-12)
    assert vertex(x, [-one * one for one in x], [0.1] * 5) is None  # it opens downwards
    assert vertex(x[:2], [1.0, 2.0], [0.1] * 2) is None
    assert vertex(x[:3], [1.0, math.nan, 2.0], [0.1] * 3) is None


def test_the_gradient_is_the_derivative_of_the_vertex():
    x, y, se = [1.0, 1.5, 2.2, 3.0], [3.0, 1.2, 1.0, 2.5], [0.1, 0.2, 0.3, 0.1]
    found = vertex(x, y, se)
    for i, slope in enumerate(found.gradient):
        moved = [one + 1e-6 * (j == i) for j, one in enumerate(y)]
        assert (vertex(x, moved, se).x - found.x) / 1e-6 == pytest.approx(slope, rel=1e-4)


def test_the_interval_of_the_optimum_covers_the_truth():
    """Of 500 intervals of 95 %, at least 459 cover the optimum with a probability of 99.9 % (binomial)."""
    rng = np.random.default_rng(20)
    x = np.array([on_scale(v, "log") for v in (3, 4.5, 6.7, 10, 15)])
    truth, covered = on_scale(7, "log"), 0
    for _ in range(500):
        noise = rng.normal(0, 1, (400, 1)) + rng.normal(0, 0.3, (400, 5))  # images, with noise that all arms share
        each = 2 * (x - truth) ** 2 + noise
        found = vertex(x.tolist(), each.mean(0).tolist(), [1 / 20] * 5)
        se = (each @ np.array(found.gradient)).std(ddof=1) / math.sqrt(len(each))
        low, high = found.interval(se)
        covered += low <= truth <= high
    assert covered >= 459


def test_the_interval_grows_where_the_values_do_not_lie_on_a_parabola():
    """Residuals have variance 1 for a parabola with noise; a kink of five standard errors multiplies the interval."""
    rng, x, factors = np.random.default_rng(22), np.linspace(-1, 1, 7), []
    for kink in (0.0, 5.0):
        for _ in range(200):
            y = 3 * x**2 + rng.normal(0, 0.1, 7) + 0.1 * kink * np.array([0, 0, 1, -1, 1, 0, 0])
            rows = np.array(vertex(x.tolist(), y.tolist(), [0.1] * 7).residuals)
            z = rows @ y / (0.1 * np.sqrt((rows**2).sum(1)))
            factors.append(lack_of_fit(z.tolist()))
    plain, kinked = np.array(factors).reshape(2, 200).mean(1)
    assert 1.0 <= plain < 1.15
    assert kinked > 2.5
    assert lack_of_fit([math.nan]) == 1
    assert Vertex(2.0, (), ()).interval(0.1, 3.0, critical=2.0) == pytest.approx((1.4, 2.6))


def test_scales_are_inverse_to_each_other():
    assert off_scale(on_scale(7.5, "log"), "log") == pytest.approx(7.5)
    assert off_scale(on_scale(7.5, "linear"), "linear") == 7.5
