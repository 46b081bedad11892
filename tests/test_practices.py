"""The report of a search: the table of best practices, the figure of the races, and the designs as files."""

import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from studies import influence

from designspace.errors import DataError
from designspace.report import Study, terminal_table, write
from designspace.report.figures.files import figures
from designspace.report.figures.races import races
from designspace.report.tables import practices
from designspace.results.search import (
    Arm,
    FinalDesign,
    Optimum,
    Outcome,
    SearchRecord,
    Stage,
    read_search,
    write_search,
)

YAML = "name: tuned\ndesign: {preset: edm, solver: dpmpp_2m}\nnfe: 7\n"


def stage(images, value, gap=None, p=None):
    return Stage(images=images, value=value, se=2.0, gap=gap, gap_se=None if gap is None else 1.5, p=p)


DECIDED = Outcome(
    budget="nfe=7",
    row="solver",
    incumbent="heun",
    favoured="dpmpp_2m",
    decided=True,
    gain=90.0,
    gain_se=3.0,
    arms=[
        Arm(label="heun", stages=[stage(400, 150, 100, 1e-9)], dropped=0),
        Arm(label="dpmpp_2m", set={"solver": "dpmpp_2m"}, stages=[stage(400, 50), stage(800, 48)]),
        Arm(label="unipc", stages=[stage(400, 55, 5, 0.3), stage(800, 58, 10, 0.003)], dropped=1),
        Arm(label="rk45", reason="it chooses its own number of evaluations"),
    ],
)
UNDECIDED = Outcome(
    budget="nfe=7",
    row="time_steps",
    incumbent="edm",
    favoured="edm",
    decides_at=25_643,
    arms=[
        Arm(label="edm", stages=[stage(400, 50, 0.4, 1), stage(800, 49, 1.2, 0.6)]),
        Arm(label="cosine", stages=[stage(400, 49.6), stage(800, 47.8)]),
        Arm(label="linear", stages=[stage(400, 90, 40, 1e-6)], dropped=0),
    ],
)
FIELD = Outcome(
    budget="nfe=7",
    row="time_steps.rho",
    incumbent="7",
    favoured="9.2",
    gain=1.0,
    gain_se=0.7,
    arms=[
        Arm(label="7", stages=[stage(400, 50, 1, 0.4)]),
        Arm(label="9.2", stages=[stage(400, 49)]),
        Arm(label="12", stages=[stage(400, 49.5, 0.5, 0.6)]),
    ],
    optimum=Optimum(value=9.2, low=7.5, flat=[7, 9, 12]),
)
SKIPPED = Outcome(budget="nfe=7", row="schedule", favoured="linear", skipped="dpmpp_2m does not step in time")
SEARCH = SearchRecord(
    metric="frechet",
    stages=2,
    images_spent=4400,
    images_full_grid=17_600,
    seconds=12.5,
    outcomes=[DECIDED, UNDECIDED, FIELD, SKIPPED],
    final={"nfe=7": FinalDesign(set={"solver": "dpmpp_2m"}, yaml=YAML)},
)


@pytest.fixture
def searched(bench):
    """The final test of a search."""
    made = bench(["design", "nfe"])
    for i, (name, value) in enumerate((("baseline", 150.0), ("tuned", 48.0))):
        made.point({"design": name, "nfe": 7}, value, influence(i, 10))
    write_search(made.folder, SEARCH)
    return made.study()


def cells(study):
    (table,) = practices.tables(study)
    return {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    write_search(tmp_path, SEARCH)
    assert read_search(tmp_path) == SEARCH.model_copy(update={"schema_version": 1})
    assert (tmp_path / "tuned_nfe_7.yaml").read_text() == YAML
    later = json.loads((tmp_path / "search.json").read_text()) | {"more": 1}
    (tmp_path / "search.json").write_text(json.dumps(later))
    assert read_search(tmp_path).plain()["more"] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [({"schema": 2}, "schema 2 instead of 1, from a later version"), ({"stages": "two"}, "no usable 'stages'")],
)
def test_a_record_that_cannot_be_used_is_named(tmp_path, change, said):
    write_search(tmp_path, SEARCH)
    path = tmp_path / "search.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=f"search.json: not the record of a search .*{said}"):
        read_search(tmp_path)


def test_practices_say_what_is_favoured_by_how_much_and_how_sure(searched):
    found = cells(searched)
    assert found["solver"] == ["heun, dpmpp_2m, unipc", "dpmpp_2m", "90.0 ± 3.0 better than heun", "p ≤ 0.003"]
    tried, favoured, by, sure = found["time_steps"]
    assert (tried, favoured, by) == ("edm, cosine, linear", "edm", "1.2 ± 1.5 worse than cosine")
    assert sure == "undecided between edm and cosine; about 26,000 images would decide"
    assert found["time_steps.rho"][1] == "9.2 (optimum 9.2 [7.5, …], flat from 7 to 12)"
    assert found["schedule"] == ["", "", "", "no race"]
    (table,) = practices.tables(searched)
    assert [row[2].best for row in table.rows] == [True, False, False, False]


def test_an_optimum_at_the_edge_of_what_was_tried_is_called_so():
    edge, middle = Optimum(value=7.0, flat=[7, 9.2]), Optimum(value=8.0, low=7.5, high=8.5)
    assert practices.optimum_words(edge, FIELD) == "the edge of what was tried, flat from 7 to 9.2"
    assert practices.optimum_words(middle, FIELD) == "optimum 8 [7.5, 8.5]"
    churn = FIELD.model_copy(update={"arms": [Arm(label=label, stages=[stage(400, 50)]) for label in ("0", "5", "9")]})
    assert practices.optimum_words(Optimum(value=0.0, high=2.0), churn) == "optimum 0 […, 2]"  # there is none below


def test_what_was_kept_is_compared_with_the_nearest_other_candidate(searched):
    kept = DECIDED.model_copy(update={"incumbent": "dpmpp_2m", "gain": 0.0})
    assert practices.margin(kept) == "10.0 ± 1.5 better than unipc"


def test_only_the_last_race_of_a_row_is_in_the_table(searched):
    again = UNDECIDED.model_copy(update={"run_pass": 2, "favoured": "cosine", "gain": 1.2, "gain_se": 1.5})
    not_again = DECIDED.model_copy(update={"run_pass": 2, "arms": [], "skipped": "the budget of the search is spent"})
    write_search(searched.folder, SEARCH.model_copy(update={"outcomes": [*SEARCH.outcomes, again, not_again]}))
    found = cells(Study(searched.folder))
    assert found["time_steps"][1:3] == ["cosine", "1.2 ± 1.5 better than edm"]
    assert found["solver"][1] == "dpmpp_2m"


def test_the_report_shows_the_search_everywhere(searched):
    names = {path.name for path in write(searched)}
    assert {"practices.md", "races_nfe_7.png", "index.html"} <= names
    spent = "3 races took 4,400 images, 25 % of the 17,600 of a grid of all combinations."
    reasons = "Not raced: solver rk45 (it chooses its own number of evaluations)."
    page = (searched.folder / "practices.md").read_text()
    assert spent in page
    assert reasons in page
    assert f"```yaml\n{YAML}```" in page
    html = (searched.folder / "index.html").read_text()
    assert '<section id="practices">' in html
    assert all(text in html for text in (spent, reasons, "undecided between edm and cosine", "solver: dpmpp_2m"))
    console = Console(width=200, record=True, file=None)
    with console.capture() as shown:
        console.print(terminal_table(searched))
    assert spent in shown.get()
    assert "90.0" in shown.get()


def test_a_search_without_its_final_test_is_reported(bench):
    made = bench(["design", "nfe"])
    made.point({"design": "baseline", "nfe": 7}, 0, finished=False)
    write_search(made.folder, SEARCH.model_copy(update={"final": {}}))
    names = {path.name for path in write(made.study())}
    assert {"practices.md", "races_nfe_7.png"} <= names
    assert "## The design" not in (made.folder / "practices.md").read_text()


def test_other_ablations_have_no_best_practices(bench):
    made = bench(["solver"])
    made.point({"solver": "heun"}, 3.0, influence(0, 1))
    assert "practices.md" not in {path.name for path in write(made.study())}
    assert '<section id="practices">' not in (made.folder / "index.html").read_text()


def test_a_race_is_drawn_as_far_as_each_candidate_was_measured(searched):
    ((name, figure),) = races(searched)
    assert name == "races_nfe_7"
    first, *others = figure.axes
    assert len(others) == 2
    assert [label.get_text() for label in first.get_yticklabels()] == ["dpmpp_2m", "unipc", "heun"]
    ends = [(line.get_xdata()[-1], line.get_marker()) for line in first.lines if len(line.get_xdata()) == 1]
    assert ends == [(800, "o"), (800, "x"), (400, "x")]
    assert [text.get_text() for text in first.texts] == ["", "+10.0 ± 1.5", "+100.0 ± 1.5"]
    assert name in dict(figures(searched))


def test_the_figure_is_drawn(searched):
    write(searched)
    drawn = np.asarray(Image.open(searched.folder / "races_nfe_7.png").convert("L"))
    assert (drawn < 128).any()
