"""``designspace tune`` in a shell: the dry run, a search with its report, and what is refused."""

import json

import pytest

TUNED = """\
name: tuned
question: "Which [best] sampler?"
data: digits
denoiser: exact
design: edm
evaluate: {images: 400, detector: pixels, metrics: [frechet]}
search:
  at: {nfe: 7}
  rows: {solver: [heun, euler, dpmpp_2m], schedule: [linear, vp], stochasticity: [none, {name: churn, S_churn: 9}]}
  stages: 2
"""


@pytest.fixture
def shell(shell, tmp_path):
    """Run the command beside the file tuned.yaml."""
    (tmp_path / "tuned.yaml").write_text(TUNED)
    return shell


def test_a_dry_run_lists_the_candidates_and_what_the_search_costs_at_most(shell, tmp_path):
    options = ("--dry-run", "--set", "search.budget={minutes: 3, images: 5000}", "--set", "design.solver=dpmpp_2m")
    status, out, err = shell("tune", "tuned.yaml", *options)
    assert status == 0, err
    assert "Which [best] sampler?" in out
    assert "dpmpp_2m, heun, euler" in out
    assert "solver dpmpp_2m does not step in time" in " ".join(out.split())
    assert "a race has 2 stages of 200, 400 images" in out
    assert "one pass over the rows takes 1,200 images" in out
    assert "races end once 3 min or 5,000 images are spent" in out
    assert "the final test takes 800 images" in out
    assert not (tmp_path / "reports").exists()
    found = json.loads(shell("tune", "tuned.yaml", *options, "--json")[1])
    assert found["stages"] == [200, 400]
    assert [len(race["arms"]) for race in found["races"]] == [3, 1, 1]
    assert found["images_of_full_grid"] == 1200


def test_a_search_prints_its_races_and_writes_its_report(shell, tmp_path):
    status, out, err = shell("tune", "tuned.yaml", "--no-progress")
    assert status == 0, err
    races = [line for line in out.splitlines() if line.startswith("nfe=7, pass 1, ")]
    assert [line.split(", ")[2].partition(":")[0] for line in races] == ["solver", "schedule", "stochasticity"]
    assert "better than" in races[0]
    assert "design: reports/tuned/tuned_nfe_7.yaml" in out
    assert (tmp_path / "reports" / "tuned" / "practices.md").is_file()
    again = shell("tune", "tuned.yaml", "--json")
    found = json.loads(again[1])
    assert again[0] == 0
    assert {row["axes"]["design"] for row in found["results"]} == {"baseline", "tuned"}
    assert found["search"]["outcomes"][0]["row"] == "solver"
    assert shell("run", "reports/tuned/tuned_nfe_7.yaml", "--dry-run")[0] == 0


def test_run_and_tune_name_each_other(shell, tmp_path):
    status, _, err = shell("run", "tuned.yaml")
    assert (status, err) == (
        2,
        "tuned.yaml:7:1: search: is for designspace tune FILE (in Python, designspace.tune), not for run\n",
    )
    (tmp_path / "grid.yaml").write_text(TUNED.partition("search:")[0] + "nfe: 7\n")
    status, _, err = shell("tune", "grid.yaml")
    assert (status, err) == (
        2,
        "grid.yaml:1:1: has no block search, so there is nothing to tune: use designspace run\n",
    )
    assert shell("tune", "tuned.yaml", "--set", "search.rows.solver=[heun, eulr]")[0] == 2
    assert not (tmp_path / "reports").exists()
