import itertools

import numpy as np
import pytest

from designspace.results.coordinates import SPAN, per_image, reduced, span
from designspace.results.uncertainty import standard_error
from designspace.storage.arrays import whole

N = 320


def artefacts(trials=8, seed=0):
    """Trials whose influences are correlated by 0.99995, except ``d``; ``e`` repeats ``b``; ``z`` is constant."""
    rng = np.random.default_rng(seed)
    common, second = rng.standard_normal((2, N)) * 1e-6
    found = {}
    for id in "abcdefgh"[:trials]:
        influence = common + 1e-8 * rng.standard_normal(N)
        pairs = 3 * second + 1e-7 * rng.standard_normal(N)
        found[id] = {"influence.frechet": np.float32(influence - influence.mean()), "pairs.frechet": np.float32(pairs)}
    found["d"] = {"influence.frechet": np.float32(100 * np.sin(np.arange(N)))}  # without pairs
    found["e"] = dict(found["b"])
    found["z"] = {"influence.frechet": np.zeros(N, np.float32)}
    return found


def error(kept, times):
    influence = sum(by * per_image(kept[id], "influence.frechet", N) for id, by in times.items())
    pairs = [per_image(kept[id], "pairs.frechet", N) for id in times]
    known = all(each is not None for each in pairs)
    return standard_error(
        influence, sum(by * each for by, each in zip(times.values(), pairs, strict=True)) if known else None
    )


def test_all_standard_errors_stay_as_they_are():
    exact = artefacts()
    kept = reduced(exact)
    for a, b in itertools.combinations("abcdfgh", 2):
        assert error(kept, {a: 1, b: -1}) == pytest.approx(error(exact, {a: 1, b: -1}), rel=1e-4)
    for times in ({"a": 1}, {"d": 1}, {"a": 1, "b": -1, "c": -1, "f": 1}, {"a": 0.5, "d": -2, "h": 0.5}):
        assert error(kept, times) == pytest.approx(error(exact, times), rel=1e-4)
    assert error(kept, {"e": 1, "b": -1}) == error(kept, {"z": 1}) == 0  # to the bit


def test_coordinates_are_few_and_say_with_which_they_may_be_combined():
    kept = reduced(artefacts())
    assert max(array.size for arrays in kept.values() for name, array in arrays.items() if name != SPAN) <= len(kept)
    assert len({span(arrays) for arrays in kept.values()}) == 1
    others = [span(reduced(artefacts(trials, seed))["a"]) for trials, seed in ((7, 0), (8, 1), (8, 0))]
    assert [other == span(kept["a"]) for other in others] == [False, False, True]
    assert span(artefacts()["a"]) == b""


def test_reducing_again_changes_nothing_and_leaves_later_trials_apart():
    kept = reduced(artefacts())
    again = reduced(kept | {"later": artefacts(seed=5)["a"]})
    later = again.pop("later")
    assert again.keys() == kept.keys()
    assert all(np.array_equal(again[id][name], array) for id, arrays in kept.items() for name, array in arrays.items())
    assert span(later) not in (b"", span(kept["a"]))


def test_what_cannot_be_reduced_keeps_its_values():
    few = np.float32([0.5, -0.25, -0.25])
    odd = np.float32([np.nan, *range(N - 1)])
    pictures = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8)
    one = {"influence.loss": few, "influence.frechet": odd, "images": pictures}
    kept = reduced({"a": one, "b": {"influence.loss": few}})
    found = whole(kept["a"])
    assert all(np.array_equal(found[name], array, equal_nan=True) for name, array in one.items())
    assert per_image(found, "influence.loss", 3).tolist() == few.tolist()
    assert per_image(found, "influence.frechet", N) is None
    assert per_image(reduced(artefacts())["h"], "influence.frechet", 4) is None  # too few images
