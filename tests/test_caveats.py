"""Warnings in captions: their false-positive rate, and that they appear where they should."""

import pytest
import torch

import designspace as ds
from designspace.evaluation.evaluate import drawn
from designspace.evaluation.measure import Sample
from designspace.report.entry import Entry
from designspace.report.evidence.caveats import (
    copies,
    far_above_drawn,
    few_effective,
    like_copies,
    lossy_reference,
    too_few_images,
)
from designspace.results.records import Protocol, Result

KID = ds.Metric.get("kid")()


def entry(metric, images, **about):
    metrics = {metric: {"protocol": "x"} | about}
    axes = {"solver": "heun"}
    row = Result(schema=1, id="0", seed=0, nfe=7, images=images, features=8, metrics=metrics, axes=axes)
    return Entry(axes, (row,))


def measured(seed, *, memorised):
    """The record of a metric for 400 images, compared with a reference of 100 images."""
    g = torch.Generator().manual_seed(seed)
    reference = Sample(torch.randn(100, 6, generator=g))
    chosen = torch.randint(100, (400,), generator=g)
    x = reference.features[chosen] if memorised else torch.randn(400, 6, generator=g)
    found = KID.measure(Sample(x), reference)
    copies, sd = drawn(KID, reference, 400)
    about = {"value": found.value, "se": found.se, "higher_is_better": False, "drawn": copies, "drawn_sd": sd}
    return entry("kid", 400, **about)


def test_independent_images_are_not_called_copies():
    """There is no warning although KID is two standard errors below 0 for a fifth of all references."""
    found = [measured(seed, memorised=False) for seed in range(60)]
    assert sum(e.value("kid") < -2 * e.se("kid") for e in found) > 6
    assert sum(like_copies("kid", e) for e in found) <= 3


def test_copies_are_called_copies():
    found = [measured(seed, memorised=True) for seed in range(20)]
    count = sum(like_copies("kid", e) for e in found)
    assert count >= 18
    assert copies("kid", found).startswith(f"{count} values lie closer to the drawn reference than to 0")
    assert copies("kid", found[:1]).startswith("1 value lies closer")


@pytest.mark.parametrize("about", [{}, {"drawn": 0.1, "drawn_sd": 0.01}, {"drawn": -0.1, "drawn_sd": 0.2}])
def test_no_warning_if_copies_would_not_score_differently(about):
    """The same value with a drawn reference clearly below 0 does cause a warning."""
    value = {"value": -1.0, "se": 0.1, "higher_is_better": False}
    assert copies("kid", [entry("kid", 400, **value, **about)]) == ""
    assert copies("kid", [entry("kid", 400, **value, drawn=-1.0, drawn_sd=0.2)])


@pytest.mark.parametrize(("se", "called"), [(0.04, True), (0.06, False)])
def test_a_value_is_called_that_of_copies_if_it_is_significantly_nearer_to_that_of_copies(se, called):
    """-0.6 is nearer to the drawn reference than to 0 if it lies two standard errors below -0.5."""
    found = entry("kid", 400, value=-0.6, se=se, higher_is_better=False, drawn=-1.0, drawn_sd=0.2)
    assert like_copies("kid", found) is called


@pytest.mark.parametrize(
    ("drawn", "higher_is_better", "far"),
    [(0.99, False, True), (1.01, False, False), (-5.0, False, False), (0.99, True, False), (None, False, False)],
)
def test_a_value_is_far_above_the_drawn_reference_from_ten_times_it(drawn, higher_is_better, far):
    found = entry("kid", 400, value=10.0, higher_is_better=higher_is_better, drawn=drawn, drawn_sd=0.1)
    assert far_above_drawn("kid", found, 10.0) is far


@pytest.mark.parametrize(
    ("metric", "n", "few"), [("frechet", 79, True), ("fid_infinity", 79, True), ("frechet", 80, False)]
)
def test_ten_images_per_feature_are_asked_for(metric, n, few):
    warning = "n is below 10 × 8 features, so distances are biased upwards." if few else ""
    assert too_few_images(metric, entry(metric, n, value=1.0)) == warning


def test_other_metrics_need_no_number_of_images():
    assert too_few_images("kid", entry("kid", 10, value=1.0)) == ""


@pytest.mark.parametrize(
    ("formats", "named"),
    [
        (None, ""),
        ({"png": 9, "webp (lossless)": 1}, ""),
        ({"jpeg": 10}, "The reference was read from JPEG files: "),
        ({"jpeg": 1, "png": 2, "webp": 1}, "The reference was read from JPEG and lossy WebP files (50 % of them): "),
    ],
)
def test_a_compressed_reference_is_named(formats, named):
    found = entry("frechet", 80, value=1.0)
    row = found.rows[0].model_copy(update={"protocol": Protocol(hash="x", formats=formats)})
    warning = lossy_reference(Entry(found.axes, (row,)))
    assert warning == (named and f"{named}artefacts of compression that samples lack add to distances.")


@pytest.mark.parametrize(("effective", "few"), [(4.9, True), (5.0, False), (None, False)])
def test_error_bars_that_rest_on_a_few_images_are_named(effective, few):
    warning = "Error bars that rest on fewer than 5 effective images may be too narrow." if few else ""
    assert few_effective("frechet", entry("frechet", 80, value=1.0, effective_images=effective)) == warning
