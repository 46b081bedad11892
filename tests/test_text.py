"""Text from elsewhere: on a terminal, in CSV files, and in messages."""

import csv
import io

import pandas as pd
import pytest
from rich.console import Console
from studies import Bench
from typer.testing import CliRunner

from designspace.cli.app import app
from designspace.errors import brief
from designspace.report import Study, find, html, terminal_table
from designspace.report.figures.pareto import front
from designspace.report.tables.table import csv_text
from designspace.report.tables.values import tidy
from designspace.text import LONGEST, clean, counted, one_line

HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b31m\u202eevil\u2066\x00\r\nnext"


def harmless(text):
    return all(c.isprintable() or c == "\n" for c in text)


def test_control_characters_are_shown_as_escapes_on_one_line():
    assert clean(HOSTILE) == r"\x1b]0;title\x07\x1b[2J\x9b31m\u202eevil\u2066\x00 next"
    assert one_line(" a\n\n b\x1b ") == r"a b\x1b"
    assert clean("\ud800") == r"\ud800"
    assert clean("×" * LONGEST) == "×" * LONGEST
    assert clean("x" * 10**6) == "x" * LONGEST + "..."


def test_a_message_of_a_component_is_brief():
    assert brief(ValueError(HOSTILE)) == rf"ValueError: {clean(HOSTILE)}"
    assert len(brief(RuntimeError("x" * 10**6))) < LONGEST + 10
    assert brief(KeyboardInterrupt()) == "KeyboardInterrupt"


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "reports" / "made").mkdir(parents=True)
    made = Bench(tmp_path / "reports" / "made", ["solver", HOSTILE, "nfe"])
    made.about["question"] = HOSTILE
    made.point({"solver": f"=cmd|' /C calc'!A0{HOSTILE}", HOSTILE: "@x", "nfe": 7}, 3.0, se=0.5, protocol=HOSTILE)
    made.point({"solver": "-1.5", HOSTILE: "+1", "nfe": 7}, 2.0, se=0.5, protocol=HOSTILE)
    return made


def test_nothing_that_is_printed_controls_a_terminal(hostile):
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    console.print(terminal_table(hostile.folder))
    assert harmless(console.file.getvalue())
    told = CliRunner().invoke(app, ["report", "made", "--out", str(hostile.folder.parent)])
    assert told.exit_code == 0
    assert harmless(told.output)
    told = CliRunner().invoke(app, ["compare", "made", "--out", str(hostile.folder.parent)])
    assert told.exit_code == 0
    assert harmless(told.output)


def test_a_spreadsheet_executes_no_cell_and_numbers_stay_numbers(hostile):
    text = tidy(Study(hostile.folder))
    rows = list(csv.reader(io.StringIO(text)))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+1 ", "@"))]
    first, second = rows[1:]
    assert first[0].startswith("'=cmd|")
    assert first[1] == "'@x"
    assert second[0] == "-1.5"
    frame = pd.read_csv(io.StringIO(csv_text(lambda: [{"x": -1.5, "-y": "-2e-3"}, {"x": "-inf", "-y": 3}])))
    assert frame["x"].tolist() == [-1.5, float("-inf")]
    assert frame["'-y"].tolist() == [-0.002, 3.0]


def test_cells_of_csv_files_do_not_control_a_terminal():
    rows = [{f"axis {HOSTILE}": HOSTILE, "b": " =1+1\x1b[31m"}]
    text = csv_text(lambda: rows)
    assert len(text.splitlines()) == 2
    assert all(line.isprintable() for line in text.splitlines())
    assert text.splitlines()[1].endswith(r"'=1+1\x1b[31m")


def test_a_number_of_things_is_in_the_singular_or_plural():
    assert [counted(n, "point") for n in (0, 1, 2, 1000)] == ["0 points", "1 point", "2 points", "1,000 points"]


def test_a_front_of_many_points_is_that_of_the_definition():
    points = [(i * 7 % 31, i * 11 % 29) for i in range(200)]
    beaten = [any(c <= x and v <= y and (c, v) != (x, y) for c, v in points) for x, y in points]
    assert front(points) == [not b for b in beaten]


def test_a_page_of_many_points_lists_the_best_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(html.sections, "MOST", 10)
    monkeypatch.setattr(html.sections, "BEST", 3)
    made = Bench(tmp_path, ["solver", "nfe"])
    for i in range(8):
        for nfe in (7, 9):
            made.point({"solver": f"s{i}", "nfe": nfe}, 10.0 - i, se=0.1)
    study = made.study()
    (section,) = html.sections.sections(study)
    listed = html.sections.listed(study)
    assert {point.axes["solver"] for point in listed} == {"s5", "s6", "s7"}
    assert len(section.data["table"]["rows"]) == len(section.data["intervals"]) == len(listed) == 6
    assert section.data["compared"]["rows"]
    assert len(section.entries) == 16


def test_a_watched_report_waits_for_the_first_result(hostile, monkeypatch):
    out = hostile.folder.parent
    hidden = out / "hidden"
    hostile.folder.rename(hidden)
    monkeypatch.setattr("designspace.cli.report.time.sleep", lambda seconds: hidden.rename(hostile.folder))
    told = CliRunner().invoke(app, ["report", str(hostile.folder), "--watch", "--out", str(out)])
    assert told.exit_code == 0
    assert "waiting for the first result of" in told.output
    assert find(out) == [hostile.folder]
