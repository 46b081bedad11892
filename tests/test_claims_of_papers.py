"""The page of claims and reports: what it cites exists, and its verdicts are those of models that can decide them."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "make"))

import claims as made

from designspace.report import Study
from designspace.report.evidence.claims import comparisons
from designspace.report.evidence.inference import Outcome
from designspace.report.evidence.paper import EXACT
from designspace.report.evidence.verdicts import verdicts

CLAIMS = [claim for of_block in made.claims().values() for claim in of_block]
CITED = [(claim, report, say) for claim in CLAIMS for _, report, say in claim.cited]
IDS = [f"{claim.id} {report}" for claim, report, _ in CITED]


@cache
def ablation(name):
    return YAML(typ="safe").load((ROOT / "ablations" / f"{name}.yaml").read_text("utf-8"))


@cache
def study(name):
    return Study(ROOT / "reports" / name)


@cache
def functions(path):
    return {node.name for node in ast.parse((ROOT / path).read_text("utf-8")).body if isinstance(node, ast.FunctionDef)}


def test_the_page_is_that_of_the_results():
    """After ``make reports``."""
    assert made.PAGE.read_text("utf-8") == made.page()


def test_every_claim_is_decided_somewhere_or_says_what_it_would_take():
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
    assert all(claim.tests or claim.cited or claim.missing for claim in CLAIMS)


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if claim.tests], ids=lambda claim: claim.id)
def test_the_tests_that_it_names_exist(claim):
    for test in claim.tests:
        path, name = test.split("::")
        assert name in functions(path)


@pytest.mark.parametrize(("claim", "report", "say"), CITED, ids=IDS)
def test_what_it_quotes_is_a_claim_of_the_ablation(claim, report, say):
    assert say in [stated["say"] for stated in ablation(report)["claims"]]
    assert "model" in claim.model_fields_set


@pytest.mark.parametrize(("claim", "report", "say"), CITED, ids=IDS)
def test_a_verdict_is_of_a_model_that_can_decide_it(claim, report, say):
    """Otherwise the page says that there is none."""
    for text, on in made.judgements(study(report), say, claim.model):
        decided = text.startswith(("holds", "does not hold", "undecided"))
        assert decided or text.startswith(("not computed", "not decided"))
        if decided:
            assert on
            assert "exact denoiser" not in on or claim.model == "any"
        if text.startswith("undecided;"):
            assert "would decide the claim" in text


@pytest.mark.parametrize(
    ("report", "any_network", "several"),
    [("toy_1d", False, False), ("cifar10_jpeg_solvers", True, False), ("training_rows", True, True)],
)
def test_what_a_model_can_decide(report, any_network, several):
    stated = study(report).about.claims[0]
    needed = comparisons(study(report), stated.expect)
    found = [made.adequate(needed, model) for model in ("any", "network", "trainings")]
    assert found == [True, any_network, several]
    assert bool(made.judgements(study(report), stated.say, "trainings")[0][1]) is several


def test_claims_about_errors_of_networks_and_of_training_need_them():
    """Churn corrects errors of a network, and everything about training compares networks."""
    needs = {claim.id: claim.model for claim in CLAIMS if claim.cited}
    assert {needs[name] for name in ("C2", "C4")} == {"network"}
    assert {needs[name] for name in needs if name.startswith("D")} == {"trainings"}


def test_a_claim_is_judged_for_each_denoiser_unless_it_compares_them():
    both = study("solver_grid_trained")
    compared = {"less": [{"denoiser": "exact"}, {"denoiser": "trained"}], "metric": "frechet"}
    along = {"interaction": [{"solver": "heun"}, {"solver": "euler"}], "with": "denoiser", "metric": "frechet"}
    general = {"less": [{"solver": "heun"}, {"solver": "euler"}], "metric": "frechet"}
    claim = both.about.claims[0]
    for expect in (compared, along):
        one = claim.model_copy(update={"expect": expect})
        assert made.for_each_denoiser(both, one) == [one]
    each = made.for_each_denoiser(both, claim.model_copy(update={"expect": general}))
    values = dict.fromkeys(point.axes["denoiser"] for point in both.points)
    assert [one.expect["less"] for one in each] == [
        [{"solver": "heun", "denoiser": value}, {"solver": "euler", "denoiser": value}] for value in values
    ]
    learned = [
        {
            entry.trial("denoiser", "name") in ("exact", *EXACT)
            for part in comparisons(both, one.expect)
            for entry in part.entries
        }
        for one in each
    ]
    assert sorted(map(sorted, learned)) == [[False], [True]]


def test_no_report_is_missing():
    page = made.PAGE.read_text("utf-8").partition("## All reports")[2]
    folders = {path.name for path in (ROOT / "reports").iterdir() if path.is_dir()}
    assert set(re.findall(r"^\| \[[^]]+\]\((\w+)/", page, re.M)) == folders
    for report, link in re.findall(r"\]\((\w+)/([\w.]+)\)", made.PAGE.read_text("utf-8")):
        assert report == "tests" or (ROOT / "reports" / report / link).is_file()


def test_the_words_of_a_verdict_are_those_of_the_report():
    """The estimate and the p-value, which the page has from the verdict, stand in the report's sentences, too."""
    for found in verdicts(study("solver_grid")):
        assert all(
            number in found.numbers for number in re.findall(r"-?\d[\d.]* ± [\d.]*\d|p [=<] [\d.]+", found.brief)
        )
        assert found.enough in found.numbers
        assert bool(found.enough) == (found.outcome is Outcome.UNDECIDED)
