"""Values of an axis that add the same noise are a warning when an ablation is loaded."""

import pytest

from designspace.errors import Kind
from designspace.spec import load

SPEC = """\
question: q
data: digits
denoiser: exact
design: {preset: edm, stochasticity: {name: churn, S_churn: 20, S_min: 0.05, S_max: 50}}
evaluate: {images: 50, detector: pixels, metrics: [frechet]}
"""
SAYS = "has values that add the same noise, so that nothing differs: "


def told(tmp_path, text):
    (tmp_path / "a.yaml").write_text(SPEC + text)
    found = load(tmp_path / "a.yaml")._planned().warnings
    return [str(problem) for problem in found if problem.kind is Kind.NO_EFFECT]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        # gamma = min(S_churn / N, sqrt(2) - 1): with 32 steps the limit is at 13.3, and with 64 at 26.5
        (
            "grid: {stochasticity.S_churn: [0, 10, 20, 40], nfe: [63, 127]}",
            "6:31: grid.stochasticity.S_churn: " + SAYS + "20 and 40 with 32 steps (nfe 63)",
        ),
        (
            "grid: {stochasticity.S_churn: [20, 30, 40], solver: [heun, euler], num_steps: [32, 64]}",
            "6:31: grid.stochasticity.S_churn: " + SAYS + "20, 30 and 40 with 32 steps; 30 and 40 with 64 steps",
        ),
        (
            "grid: {stochasticity: [none, {name: churn, S_churn: 0}, {name: churn, S_churn: 9}]}\nnum_steps: 8",
            "6:23: grid.stochasticity: " + SAYS + "none and churn(S_churn=0) with 8 steps",
        ),
        # no level of the ten lies between 50 and 60
        (
            "one_at_a_time: {stochasticity.S_max: [60, 20]}\nnum_steps: 10",
            "6:38: one_at_a_time.stochasticity.S_max: " + SAYS + "baseline and stochasticity.S_max=60 with 10 steps",
        ),
    ],
)
def test_values_that_add_the_same_noise_are_named_with_their_steps(tmp_path, text, says):
    assert told(tmp_path, text) == [f"{tmp_path / 'a.yaml'}:{says}"]


@pytest.mark.parametrize(
    "text",
    [
        "grid: {stochasticity.S_churn: [0, 5, 10], nfe: [63]}",
        "grid: {stochasticity.S_churn: [20, 40], nfe: [127]}",
        "grid: {seed: [0, 1], solver: [heun, euler], nfe: [63]}",
        "zip: {stochasticity.S_churn: [20, 40], solver: [heun, euler]}\nnfe: 63",
    ],
)
def test_values_that_differ_in_anything_are_not(tmp_path, text):
    assert told(tmp_path, text) == []
