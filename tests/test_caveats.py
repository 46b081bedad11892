"""Warnings in captions: how often they are false, and that they come where they should."""

import pytest
import torch

import designspace as ds
from designspace.evaluation.evaluate import drawn
from designspace.evaluation.measure import Sample
from designspace.report.entry import Entry
from designspace.report.tables.caveats import copied, few_images

KID = ds.Metric.get("kid")()


def entry(metric, images, **about):
    about = {"protocol": "x"} | about
    row = {"seed": 0, "nfe": 7, "images": images, "features": 8, "metrics": {metric: about}}
    return Entry({"solver": "heun"}, (row,))


def measured(seed, *, memorised):
    """Of 400 images against a reference of 100, as a line of results has it."""
    g = torch.Generator().manual_seed(seed)
    reference = Sample(torch.randn(100, 6, generator=g))
    chosen = torch.randint(100, (400,), generator=g)
    x = reference.features[chosen] if memorised else torch.randn(400, 6, generator=g)
    found = KID.measure(Sample(x), reference)
    copies, sd = drawn(KID, reference, 400)
    about = {"value": found.value, "se": found.se, "higher_is_better": False, "drawn": copies, "drawn_sd": sd}
    return entry("kid", 400, **about)


def test_independent_images_are_not_called_copies():
    """Though KID is below 0 by two standard errors for a fifth of the references: its mean over references is 0."""
    found = [measured(seed, memorised=False) for seed in range(60)]
    assert sum(e.value("kid") < -2 * e.se("kid") for e in found) > 6
    assert sum(bool([*copied("kid", [e])]) for e in found) <= 3


def test_copies_are_called_copies():
    found = [measured(seed, memorised=True) for seed in range(20)]
    sentence, _ = copied("kid", found)
    assert sentence.startswith(("18 values", "19 values", "20 values"))


@pytest.mark.parametrize("about", [{}, {"drawn": 0.1, "drawn_sd": 0.01}, {"drawn": -0.1, "drawn_sd": 0.2}])
def test_nothing_is_said_where_copies_score_nothing_special(about):
    assert not [*copied("kid", [entry("kid", 400, value=-1.0, se=0.1, higher_is_better=False, **about)])]


@pytest.mark.parametrize(("metric", "n", "said"), [("frechet", 79, 1), ("fid_infinity", 79, 1), ("frechet", 80, 0)])
def test_ten_images_a_feature_are_asked_for(metric, n, said):
    assert len([*few_images(metric, entry(metric, n, value=1.0))]) == said
