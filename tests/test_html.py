"""Pages in a real browser: their content, their controls, and that no foreign code runs and nothing is loaded."""

import base64
import io
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML
from studies import RECORDED
from typer.testing import CliRunner

from designspace.cli.app import app
from designspace.report import Study, write
from designspace.report.best import best
from designspace.report.bibtex import bibtex
from designspace.report.evidence.inference import Outcome
from designspace.report.evidence.verdicts import Verdict, verdicts
from designspace.report.figures.looks import roles
from designspace.report.html import page
from designspace.report.html.answer import answers, of_best
from designspace.report.html.certainty import certainty
from designspace.report.html.page import once, shown
from designspace.report.html.render import embedded
from designspace.report.html.samples import samples
from designspace.report.html.sections import sections
from designspace.report.html.trials import _Shared, as_ablation
from designspace.report.tables.claims import MEANING, PRELIMINARY, labels, summary
from designspace.report.tables.values import tables
from designspace.results.records import Result
from designspace.results.sources import sources_of
from designspace.spec import load

HOSTILE = '</script><img src=x onerror="hit()"><!--<script>hit()</script>&lt;b&gt;\u2028$x$ {{7*7}} %{x} 名'
METRIC = f"metric\n{HOSTILE}"
COMMITTED = Path(__file__).parents[1] / "reports" / "solver_grid"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def row(id, axes, nfe, value, **more):
    metric = {"value": value, "se": 0.5, "protocol": f"FD {HOSTILE}", "floor": 3.0, "floor_n": 9}
    spec = {"design": {"solver": {"name": HOSTILE}}, "data": {"name": HOSTILE}, "__proto__": {"a b": [1, {"c": "no"}]}}
    spec |= {
        "seed": 2**60,
        "small": 1e-7,
        "list": [1.5, "~", None, True],
        "empty": {},
        "text": "a: 'b' #\n\t\x85 \u2028é",
    }
    about = {"provenance": {"device": HOSTILE, "time": id}}
    shown = {"schema": 1, "id": id, "axes": axes, "seed": 0, "nfe": nfe, "images": 90, "trial": spec}
    return shown | {"metrics": {METRIC: metric}} | about | more


def write_study(folder, axes, rows, claims=()):
    folder.mkdir(parents=True)
    about = {"schema": 1, "name": folder.name, "question": f"Which? {HOSTILE}", "axes": axes, "claims": list(claims)}
    about |= {"metrics": [METRIC], "points": [{"id": r["id"], "axes": r["axes"]} for r in rows]}
    (folder / "ablation.json").write_text(json.dumps(about))
    (folder / "results.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """A recorded ablation, one in which every string is hostile, and one with 5,000 points, with their pages."""
    out = tmp_path_factory.mktemp("pages") / "reports"
    shutil.copytree(RECORDED, out / "recorded")
    names = [HOSTILE, "plain"]
    rows = [
        row(f"{i}", {HOSTILE: name, "nfe": n}, n, 9.0 / n)
        for i, (name, n) in enumerate((a, b) for a in names for b in (3, 5))
    ]
    write_study(out / "hostile", [HOSTILE, "nfe"], rows, [{"say": HOSTILE, "expect": {}}])
    many = [
        row(f"{i}", {"rho": i // 5 + 1, "nfe": n}, n, 1 + i % 997 / n)
        for i in range(5000)
        for n in [(3, 5, 9, 17, 33)[i % 5]]
    ]
    flat = [
        row(name, {"solver": name, "nfe": 5}, 5, value)
        for name, value in (("worst", 9.0), (HOSTILE, 3.0), ("mid", 4.0))
    ]
    write_study(out / "flat", ["solver", "nfe"], flat)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESIGNSPACE_CACHE", str(out.parent / "cache"))
        told = CliRunner().invoke(app, ["report", "--out", str(out)])
        write_study(out / "many", ["rho", "nfe"], many)
        shutil.copytree(COMMITTED, out / "committed", ignore=shutil.ignore_patterns("*.png", "*.svg", "*.pdf"))
        for name in ("many", "committed"):
            (out / name / "index.html").write_bytes(page(Study(out / name), {}))
    assert told.exit_code == 0, told.output
    return out, told.output


@pytest.fixture(scope="module")
def browser():
    """One browser for all tests."""
    playwright = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser, reports):
    """Open a page, and check at the end of the test that it has logged nothing and requested nothing."""
    contexts, said, asked = [], [], []

    def open_page(name, **options):
        contexts.append(browser.new_context(viewport={"width": 1100, "height": 900}, **options))
        opened = contexts[-1].new_page()
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(str(error)))
        opened.on("dialog", lambda dialog: said.append(dialog.message))
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto((reports[0] / name).as_uri())
        return opened

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def column(opened, name, where="#section-0 .listed"):
    header = opened.locator(f"{where} thead th").all_inner_texts()
    k = [re.sub(r"\W+$", "", text) for text in header].index(name) + 1
    return opened.locator(f"{where} tbody tr > :nth-child({k})").all_inner_texts()


def points(opened):
    """The configuration, budget and value in each row of the first table."""
    return list(zip(*(column(opened, name) for name in ("configuration", "NFE", "value")), strict=True))


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_the_table_has_the_values_and_sorts_them_with_missing_ones_last(visit, reports):
    opened = visit("recorded/index.html")
    study = Study(reports[0] / "recorded")
    expected = {(e.config, f"{e.nfe:g}"): e.value("frechet") for e in study.entries}
    shown = {(config, nfe): value for config, nfe, value in points(opened) if nfe}
    assert {key: float(value) for key, value in shown.items()} == pytest.approx(expected, rel=0.05)
    header = opened.locator("#section-0 .listed thead button", has_text="value")
    for order in (sorted(expected.values()), sorted(expected.values(), reverse=True)):
        header.press("Enter")
        values = [value for _, _, value in points(opened)]
        assert [float(value) for value in values[: len(order)]] == pytest.approx(order, rel=0.05)
        assert set(values[len(order) :]) == {"failed", "missing"}
    assert header.locator("xpath=..").get_attribute("aria-sort") == "descending"


def test_thousands_of_points_and_a_filter_for_table_and_plot(visit, reports):
    assert (reports[0] / "many" / "index.html").stat().st_size < 8_000_000
    opened = visit("many/index.html")
    lines = opened.locator("#section-0 .listed tbody tr")
    assert lines.count() == 200
    assert "and 988 more" in opened.locator("#lead .legend").inner_text()
    opened.get_by_role("button", name="Show all 5000").click()
    assert lines.count() == 5000
    lines.last.locator("button").click()
    assert opened.locator(".trials details[open] summary").inner_text().startswith("rho=1000, 33 NFE")
    opened.locator("#section-0 input").fill("rho=7 nfe=9")
    opened.locator("#section-0 .listed .more", has_text="of 5000 rows match").wait_for()
    assert {config[:5] for config in column(opened, "configuration")} == {"rho=7"}
    assert set(column(opened, "NFE")) == {"9"}
    assert {name[:5] for name in opened.locator("#lead .legend button").all_inner_texts()} == {"rho=7"}
    opened.locator("#section-0 input").fill("nothing like it")
    opened.get_by_text("No row matches.").wait_for()


def opacities(opened):
    return opened.evaluate("document.querySelector('.plot').data.map((trace) => trace.opacity)")


def test_one_configuration_is_singled_out_by_legend_or_curve_and_restored(visit):
    opened = visit("recorded/index.html")
    assert opacities(opened) == [1, 1, 1]
    key = opened.locator(".legend button", has_text="heun").first
    key.press("Enter")
    assert sorted(opacities(opened)) == [0.1, 0.1, 1]
    assert key.get_attribute("aria-pressed") == "true"
    assert opened.locator("#section-0 .listed tr.marked").count() == 2
    key.press("Enter")
    assert opacities(opened) == [1, 1, 1]
    opened.locator(".plot").first.scroll_into_view_if_needed()
    box = opened.locator(".plot .trace.scatter").nth(1).locator(".point").first.bounding_box()
    for expected in ([0.1, 0.1, 1], [1, 1, 1]):
        opened.mouse.move(box["x"] + box["width"] / 2 + 30, box["y"] + 30)
        opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        opened.locator(".hoverlayer .hovertext").first.wait_for()
        assert "n = 64" in opened.locator(".hoverlayer").first.text_content()
        opened.mouse.down()
        opened.mouse.up()
        opened.wait_for_timeout(50)
        assert sorted(opacities(opened)) == expected


def test_axes_become_linear_and_logarithmic_again(visit):
    opened = visit("recorded/index.html")
    for which in ("x", "y"):
        switch = opened.locator(f"#lead [data-axis={which}]")
        for expected in ("linear", "log"):
            switch.click()
            assert switch.inner_text() == f"{which}: {expected}"
            assert opened.evaluate(f"document.querySelector('.plot')._fullLayout.{which}axis.type") == expected


def copied_yaml(opened):
    opened.locator("#trials summary").first.press("Enter")
    opened.get_by_role("button", name="Copy as YAML").click()
    opened.get_by_role("button", name="Copied").wait_for()
    return opened.evaluate("navigator.clipboard.readText()")


CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}


def test_whatever_a_trial_holds_is_copied_as_yaml(visit, reports):
    text = copied_yaml(visit("hostile/index.html", **CLIPBOARD))
    trial = json.loads((reports[0] / "hostile" / "results.jsonl").read_text().splitlines()[0])["trial"]
    assert YAML(typ="safe").load(text) == trial
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(text) == trial


def matches(now, recorded):
    """Whether two specs are equal, apart from fields that were added later."""
    if isinstance(recorded, dict):
        return all(key in now and matches(now[key], value) for key, value in recorded.items())
    if isinstance(recorded, list):
        return len(now) == len(recorded) and all(map(matches, now, recorded))
    return now == recorded


def test_what_is_copied_runs_the_same_trial_again(visit, reports, tmp_path):
    opened = visit("committed/index.html", **CLIPBOARD)
    file = tmp_path / "trial.yaml"
    file.write_text(copied_yaml(opened))
    id = opened.locator("#trials summary code").first.inner_text()
    lines = (reports[0] / "committed" / "results.jsonl").read_text().splitlines()
    recorded = next(row["trial"] for row in map(json.loads, lines) if row["id"] == id)
    (trial,) = load(file).trials()  # its id is that of the record unless a version has been raised since
    assert matches(trial.model_dump(mode="json"), recorded)
    assert "designspace run trial.yaml" in opened.locator(".trials").inner_text()


def test_what_runs_a_trial_again_has_its_seed_its_components_and_the_metrics_it_was_measured_by():
    spec = {"seed": 3, "evaluate": {"repeats": 2, "seed": 2, "metrics": [{"name": "frechet"}, {"name": "curvature"}]}}
    metrics = {"frechet": {"value": 1.0, "protocol": "FD"}}
    row = Result(schema=1, id="0", trial=spec, seed=3, nfe=1, images=1, metrics=metrics, axes={})
    assert as_ablation(row, ["./sinh.py"]) == {
        "components": ["./sinh.py"],
        "evaluate": {"repeats": 1, "seed": 3, "metrics": [{"name": "frechet"}]},
    }


def test_hostile_strings_stay_text(visit):
    opened = visit("hostile/index.html")
    visible = " ".join(HOSTILE.replace("\u2028", " ").split())
    assert visible in " ".join(opened.locator("h1").inner_text().split())
    assert visible in " ".join(opened.locator(".claims .say").inner_text().split())
    assert visible in column(opened, "configuration")
    assert visible in opened.locator(".legend button").first.inner_text()
    title = opened.locator(".plot .ytitle").text_content()
    assert len(title) > 50
    assert f"FD {visible}".startswith(title.removesuffix("…"))
    opened.locator(".plot").first.scroll_into_view_if_needed()
    point = opened.locator(".plot .trace.scatter").first.locator(".point").first.bounding_box()
    opened.mouse.move(point["x"] + 4, point["y"] + 4)
    opened.locator(".hoverlayer .hovertext").first.wait_for()
    assert visible in opened.locator(".hoverlayer .hovertext").first.text_content()
    opened.locator("#trials summary").first.click()
    opened.locator(".compared summary").click()
    sources = opened.locator("img").evaluate_all("(all) => all.map((one) => one.src)")
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert opened.locator("script").count() == 3
    assert opened.evaluate("typeof hit") == "undefined"


def test_configurations_of_one_cost_are_dots_the_best_at_the_top(visit):
    opened = visit("flat/index.html")
    labels = opened.locator(".plot .ytick text")
    heights = {labels.nth(k).text_content(): labels.nth(k).bounding_box()["y"] for k in range(3)}
    best, *others = sorted(heights, key=heights.get)
    assert HOSTILE.startswith(best.removesuffix("…"))
    assert others == ["mid", "worst"]


def test_light_and_dark(visit):
    opened = visit("recorded/index.html")
    seen = {}
    for scheme in ("dark", "light"):
        opened.emulate_media(color_scheme=scheme)
        opened.wait_for_timeout(200)
        paper = opened.evaluate("getComputedStyle(document.body).backgroundColor")
        ink = opened.locator(".plot .xtitle").first.evaluate("(node) => getComputedStyle(node).fill")
        seen[scheme] = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (paper, ink)]
    assert seen["light"][0] > 700
    assert seen["light"][1] < 150
    assert seen["dark"][0] < 150
    assert seen["dark"][1] > 600


def test_it_fits_a_phone_and_a_sheet_of_paper(visit):
    opened = visit("recorded/index.html", color_scheme="dark")
    opened.set_viewport_size({"width": 360, "height": 700})
    opened.wait_for_timeout(300)
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360
    opened.set_viewport_size({"width": 1100, "height": 700})
    opened.emulate_media(media="print")
    assert not opened.locator("#lead [data-axis=x]").is_visible()
    assert opened.locator("#section-0 .scroll").evaluate("(node) => node.scrollHeight === node.clientHeight")
    assert opened.pdf(format="A4").startswith(b"%PDF")


def test_tables_of_words_wrap_and_tables_of_numbers_do_not(visit):
    opened = visit("recorded/index.html")
    opened.locator(".static td:not(.number)").last.evaluate("cell => cell.textContent = 'depends on it '.repeat(30)")
    widths = opened.locator(".scrolls").evaluate_all("each => each.map(one => [one.scrollWidth, one.clientWidth])")
    assert widths
    assert all(wide <= shown for wide, shown in widths)
    assert opened.locator("#choices td.number", has_text="±").count() > 0


def test_the_overview_leads_to_the_pages(visit, reports):
    opened = visit("index.html")
    links = opened.locator("main a")
    assert sorted(links.evaluate_all("(all) => all.map((a) => a.getAttribute('href'))")) == [
        "flat/index.html",
        "hostile/index.html",
        "recorded/index.html",
    ]
    links.last.click()
    opened.get_by_role("link", name="Ablations").click()
    assert opened.url == (reports[0] / "index.html").as_uri()
    labels = ["1 not computed", "1 holds (preliminary)", "1 holds in part (preliminary)"]
    labels += ["1 undecided (preliminary)", "1 not computed"]
    assert opened.locator(".overview .counts .verdict").all_inner_texts() == labels


def test_the_command_says_where_the_pages_are(reports):
    out, told = reports
    lines = told.splitlines()
    named = [line.removeprefix("page: ") for line in lines if line.startswith("page: ")]
    assert named == [str(out / name / "index.html") for name in ("flat", "hostile", "recorded")]
    assert lines[-1] == f"all: {out / 'index.html'}"


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_the_page_has_the_verdicts_with_their_numbers_and_their_meaning(visit, reports):
    opened = visit("recorded/index.html")
    found = verdicts(Study(reports[0] / "recorded"))
    assert opened.locator(".claims .verdict").all_inner_texts() == [verdict.headline for verdict in found]
    assert opened.locator(".claims .numbers").all_inner_texts() == [verdict.numbers for verdict in found]
    assert {kind for kind in opened.locator(".claims li").evaluate_all("(all) => all.map((li) => li.className)")} == {
        "holds",
        "part",
        "undecided",
        "missing",
    }
    assert opened.locator("#claims > .caption").inner_text() == f"{PRELIMINARY} {MEANING}"


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_pages_are_the_same_each_time_and_hold_plotly_once(reports):
    written = (reports[0] / "recorded" / "index.html").read_bytes()
    pictures = {path.name: path.read_bytes() for path in sorted((reports[0] / "recorded").glob("*.png"))}
    assert page(Study(reports[0] / "recorded"), pictures) == page(Study(reports[0] / "recorded"), pictures) == written
    assert written.count(b"plotly.js v") == 1
    assert len(written) < 8_000_000


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_bold_are_those_of_the_table(recorded):
    study = Study(recorded)
    for metric in study.about.metrics:
        shown = next(section for section in sections(study) if section.metric == metric)
        best = [study.points[place] for place, best, *_ in shown.data["table"]["rows"] if best]
        bold = {(point.config, point.axes["nfe"]) for point in best}
        (table,) = tables(study, metric)
        cells = [(line[0].text, cell, nfe) for line in table.rows for cell, nfe in zip(line[1:], (7, 11), strict=True)]
        assert bold == {(config, nfe) for config, cell, nfe in cells if cell.best}


def test_the_answer_is_made_of_the_verdicts():
    def say(*found):
        return summary([Verdict("", Outcome(outcome), "") for outcome in found])

    assert (
        say("holds", "undecided", "holds", "does not hold")
        == "Of 4 claims, 2 hold, 1 does not hold and 1 is undecided."
    )
    assert say("undecided", "undecided", "undecided") == "All 3 claims are undecided."
    assert say("does not hold", "does not hold") == "Both claims do not hold."
    assert say("holds") == "The one claim holds."
    assert say("holds", "holds in part") == "Of 2 claims, 1 holds and 1 holds in part."
    assert say() == ""
    early = [Verdict("", Outcome.HOLDS, "", preliminary=True), Verdict("", Outcome.MISSING, "")]
    assert summary(early) == "Of 2 claims, 1 holds and 1 is not computed (preliminary: the run is not complete)."
    assert labels(early) == {Outcome.HOLDS: "1 holds (preliminary)", Outcome.MISSING: "1 not computed"}


def test_the_answer_names_what_does_not_differ_from_the_best(bench):
    made = bench(axes=["solver", "rho", "nfe"])
    for solver, value in (("heun", 3.0), ("euler", 3.1), ("ab", 9.0)):
        for nfe, more in ((5, 4.0), (9, 0.0)):
            made.point({"solver": solver, "rho": 7, "nfe": nfe}, value + more, se=0.2)
    (sentence,) = of_best(made.study(), [*sections(made.study())])
    assert sentence == (
        "At 9 NFE, “heun, rho=7” has the lowest FD-x, 3.00 ± 0.20 (n = 400); "
        "“euler, rho=7” does not differ significantly from it (95 % confidence)."
    )


def test_the_answer_is_at_the_budget_that_tells_configurations_apart_if_the_highest_ties_all(bench):
    made = bench(axes=["solver", "nfe"])
    for solver, values in (("heun", (9.0, 3.5, 3.0)), ("euler", (9.1, 6.0, 3.1)), ("ab", (9.2, 5.0, 3.05))):
        for nfe, value in zip((5, 9, 17), values, strict=True):
            made.point({"solver": solver, "nfe": nfe}, value, se=0.2)
    (sentence,) = of_best(made.study(), [*sections(made.study())])
    assert sentence == (
        "At 9 NFE, heun has the lowest FD-x, 3.50 ± 0.20 (n = 400); all others are significantly worse "
        "(95 % confidence, corrected for the 3 budgets). At 17 NFE, no difference from the best is significant."
    )


def test_the_budget_is_corrected_for_because_it_is_chosen_by_its_result(bench):
    """p = 0.019 after the correction for the pair at 5 NFE is 0.057 after that for three budgets."""
    made = bench(axes=["solver", "nfe"])
    for solver, values in (("heun", (3.0, 3.0, 3.0)), ("euler", (3.0 + 2.346 * 0.2 * 2**0.5, 3.1, 3.1))):
        for nfe, value in zip((5, 9, 17), values, strict=True):
            made.point({"solver": solver, "nfe": nfe}, value, se=0.2)
    (sentence,) = of_best(made.study(), [*sections(made.study())])
    assert sentence.startswith("At 17 NFE, heun has the lowest FD-x, 3.00 ± 0.20 (n = 400); euler does not differ")


def test_pages_open_with_the_evaluations_for_equal_quality_if_these_differ(bench):
    made = bench(axes=("solver", "nfe"))
    for solver, values in (("heun", (9.0, 5.0, 3.0)), ("dpm", (9.0, 3.0, 3.0))):
        for nfe, value in zip((5, 9, 17), values, strict=True):
            made.point({"solver": solver, "nfe": nfe}, value, se=0.2)
    study = made.study()
    first, *rest = answers(study, [Verdict("", Outcome.HOLDS, "")], [*sections(study)])
    assert first.startswith(
        "dpm comes within 3 % of the best value with 9 evaluations (95 % interval [9, …], 1.9 times fewer than heun)"
    )
    assert [text.partition(" ")[0] for text in rest] == ["The", "At"]
    made = bench(axes=("solver", "nfe"))
    for solver, value in (("heun", 3.0), ("dpm", 5.0)):
        for nfe in (5, 9):
            made.point({"solver": solver, "nfe": nfe}, value + 9 - nfe, se=0.2)
    study = made.study()
    first, last = answers(study, [], [*sections(study)])
    assert first.startswith("At 9 NFE, heun has the lowest FD-x")
    assert (
        last == "heun comes within 3 % of the best value with 9 evaluations (95 % interval [9, 9]); dpm above 9 (FD-x)."
    )


def test_ablations_of_one_row_at_a_time_open_with_the_rows_that_matter_most(bench):
    made = bench(axes=["variant"])
    values = {"baseline": 10.0, "solver=euler": 14.0, "solver=ab": 10.5, "scaling=vp": 9.8, "c_in=one": 4.0}
    for variant, value in values.items():
        made.point({"variant": variant}, value, se=0.3)
    study = made.study()
    first, second = answers(study, [], [*sections(study)])
    half = 2.4977 * 0.3 * 2**0.5  # of four choices together
    assert first == (
        f"c_in=one changes FD-x most, by -6.00 [{-6 - half:.2f}, {-6 + half:.2f}] from the baseline's 10.00; "
        f"then solver=euler by +4.00 [{4 - half:.2f}, {4 + half:.2f}]; no significant change by scaling "
        "(largest change of each row or field, with 95 % intervals that hold together for all 4 choices)."
    )
    assert second.startswith("c_in=one has the lowest FD-x")
    made = bench(axes=["variant"])
    for variant, value in {"baseline": 10.0, "solver=euler": 10.2, "c_in=one": 9.9}.items():
        made.point({"variant": variant}, value, se=0.3)
    study = made.study()
    first, _ = answers(study, [], [*sections(study)])
    assert first.startswith(
        "No row changes FD-x significantly from the baseline's 10.00; the largest change is that of"
    )


def test_the_answer_says_what_the_best_costs_where_the_others_cost_something_else(bench):
    made = bench(axes=["solver"])
    for solver, nfe, value in (("rk45", 70.5, 3.0), ("euler", 6, 9.0)):
        made.point({"solver": solver}, value, se=0.2, nfe=nfe)
    (sentence,) = of_best(made.study(), [*sections(made.study())])
    assert sentence.startswith("rk45 has the lowest FD-x, 3.00 ± 0.20 (n = 400, 70.5 NFE);")


def test_a_page_opens_with_the_answer_the_main_figure_and_the_samples(visit):
    opened = visit("recorded/index.html")
    assert 1 <= opened.locator(".answer p").count() <= 2
    order = opened.locator("main > section").evaluate_all("(found) => found.map((one) => one.id)")
    assert order[:3] == ["lead", "sure", "claims"]
    assert opened.locator("#lead .plot").count() == 1
    assert opened.locator("#lead .samples img").count() == 6
    assert opened.locator("#pictures .samples, #section-0 .plot").count() == 0


def test_captions_say_each_sentence_once():
    first = "A, n = 10 images: value ± standard error. Drawn reference: 3.5. Bold: the lowest."
    assert once([first, "B, n = 10 images: value. Bold: the lowest.", first, "C."]) == [
        first,
        "B, n = 10 images: value. All else is as for the table before.",
        "As for the table before.",
        "C.",
    ]


def test_samples_fold_away_all_but_the_first_configurations(bench):
    made = bench(axes=["solver"])
    for k in range(9):
        made.point({"solver": f"s={k}"}, 3.0 + k, se=0.1)
    made.point({"solver": "late"}, 3.0, finished=False)
    found = samples(made.study())
    assert [name for name, _ in found.first] == [f"s={k}" for k in range(6)]
    assert [name for name, _ in found.rest] == ["s=6", "s=7", "s=8"]
    ((name, (cell,)), *_) = found.rows
    assert (name, cell.column, cell.told) == ("s=0", "NFE 7", "3.00 ± 0.10")
    png = base64.b64decode(cell.source.partition(",")[2])
    drawn = np.asarray(Image.open(io.BytesIO(png)))
    side, gap = 160, 4  # of 4 x 4 pixels each enlarged 40 times
    assert drawn.shape == (side, 4 * side + 3 * gap, 4)
    assert (drawn[:, side : side + gap, 3] == 0).all()
    assert drawn[0, ::40][:4, 0].tolist() == [0, 1, 2, 3]
    text = page(made.study(), {"samples.png": b""}).decode()
    assert "Samples of 3 more configurations" in text
    assert '<th scope="row">s=<wbr>0</th>' in text


def test_pages_fit_on_a_phone(visit):
    opened = visit("recorded/index.html")
    opened.set_viewport_size({"width": 390, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    box = opened.locator("#lead .samples img").first.bounding_box()
    assert box["width"] > 150  # of four images, beside those of another cost
    size = "(one) => parseFloat(getComputedStyle(one).fontSize)"
    assert opened.locator("#lead .samples tbody th").first.evaluate(size) > 11


def test_curves_have_the_colours_of_the_figures(visit, recorded):
    study = Study(recorded)
    styles = {roles(study).name(entry): roles(study).style(entry)["color"] for entry in study.entries}
    keys = visit("recorded/index.html").locator("#lead .legend button")
    shown = {key.inner_text().strip(): key.locator("line").get_attribute("stroke") for key in keys.all()}
    assert shown == styles
    assert len({*styles.values()}) > 1


def test_how_sure_a_report_is_comes_from_its_results(bench):
    claims = [{"say": "b beats a.", "expect": {"less": [{"solver": "b"}, {"solver": "a"}], "metric": "frechet"}}]
    made = bench(axes=("solver", "nfe"), claims=claims)
    about = {"drawn": 2.0, "drawn_sd": 0.1, "higher_is_better": False}
    for solver, value in (("a", 3.0), ("b", 3.01), ("c", 9.0)):
        made.point({"solver": solver, "nfe": 7}, value, se=0.1, about=about)
    images, training, bias, comparisons, deciding = certainty_of(made)
    assert images.startswith("Each value of FD-x comes from 400 images with one seed. The best one, 3.00 ± 0.10,")
    assert training == "No network was trained here, so that no result depends on the luck of a training run."
    assert "score 2.00 ± 0.10 (mean and standard deviation). The best value is 1 above that." in bias
    assert "corrected for all 3 pairs of configurations" in comparisons
    assert deciding.startswith("Undecided: b beats a. If the estimates stayed the same, ")


def certainty_of(made):
    study = made.study()
    return certainty(study, verdicts(study), [*sections(study)])


@pytest.mark.parametrize(("runs", "text"), [(1, "trained only once"), (3, "trained 3 times")])
def test_how_sure_it_is_about_training(bench, runs, text):
    made = bench(axes=("solver", "nfe"))
    for solver, value in (("a", 3.0), ("b", 4.0)):
        for seed in range(runs):
            made.point({"solver": solver, "nfe": 7}, value + 0.1 * seed, se=0.1, seed=seed, network=f"{solver}{seed}")
    assert text in certainty_of(made)[1]


def test_pictures_leave_the_page_below_its_size():
    pictures = {"samples.png": bytes(1_500_000), "samples_difference.png": bytes(800_000), "walks.png": bytes(900_000)}
    kept = {1_500_000: "Sample images", 800_000: "Half the difference"}  # the third stays beside the page
    assert [one.alt.startswith(start) for one, start in zip(shown(pictures, []), kept.values(), strict=True)] == [
        True
    ] * 2
    for others, count in ((5_000_000, 1), (6_900_000, 0), (7_700_000, 0)):
        found = list(shown(pictures, [], others))
        assert len(found) == count
        assert others + sum(len(one.source) for one in found) < 8_000_000


def test_the_page_links_to_the_files_that_are_there(bench):
    made = bench(axes=["solver", "time_steps", "nfe"])
    for solver, steps, nfe in (("heun", "edm", 5), ("euler", "vp", 5), ("heun", "vp", 7)):  # never all else equal
        made.point({"solver": solver, "time_steps": steps, "nfe": nfe}, 3.0, se=0.2)
    write(made.folder)
    linked = set(re.findall('<a href="([^"#./]+[.][a-z]+)"', (made.folder / "index.html").read_text()))
    assert linked == {"table.md", "table.csv", "table.tex", "comparisons.csv", "results.jsonl"}
    assert all((made.folder / name).is_file() for name in linked)


def test_several_seeds_have_their_spread(bench):
    made = bench(axes=["solver", "nfe"])
    for seed, value in enumerate((3.0, 4.0)):
        made.point({"solver": "heun", "nfe": 5}, value, se=0.2, seed=seed)
    (section,) = sections(made.study())
    assert section.data["table"]["columns"] == ["value", "se", "sd over seeds", "n"]
    ((_, _, value, se, sd, n),) = section.data["table"]["rows"]
    assert (value, n) == ([3.5, "3.50"], [800, "400 × 2"])
    assert (se, sd) == ([0.5, "0.50"], [0.70710678, "0.71"])


def test_json_in_a_page_cannot_end_its_element():
    text = embedded([HOSTILE, "\ud800"])
    assert not re.search("[<>&\u2028\ud800]", text)
    assert json.loads(text) == [HOSTILE, "\ud800"]


def test_equal_parts_of_specs_stand_once_and_unequal_ones_apart():
    shared = _Shared()
    same = [shared.put({"a": {"b": 1}}), shared.put({"a": {"b": 1}})]
    assert same[0] == same[1]
    assert len({str(shared.put({"b": value})) for value in (1, 1.0, True, "1")}) == 4


def test_bibtex_of_what_was_used():
    design = {"solver": {"name": "rk45"}, "noise_distribution": {"name": "edm2"}, "schedule": {"name": "of a plugin"}}
    text = bibtex(sources_of([{"design": design, "evaluate": {"metrics": [{"name": "kid"}]}}, None], None))
    entries = {entry.partition(",")[0]: entry for entry in text.split("\n\n")}
    keys = ["binkowski2018", "dormand1980", "hoeffding1948", "karras2024", "song2021"]
    assert list(entries) == [f"@misc{{{key}" for key in keys]
    title = "  title = {{Analyzing and Improving the Training Dynamics of Diffusion Models}},"
    assert title in entries["@misc{karras2024"].splitlines()
    lines = ["  author = {Dormand and Prince},", "  year = {1980},", "  doi = {10.1016/0771-050X(80)90013-3},"]
    assert set(lines) <= set(entries["@misc{dormand1980"].splitlines())
    assert "  eprint = {1801.01401}," in entries["@misc{binkowski2018"].splitlines()


def test_without_the_packages_all_else_is_written(recorded, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    told = CliRunner().invoke(app, ["report", "--out", str(recorded.parent)])
    assert told.exit_code == 0
    assert told.output.splitlines()[-1] == "index.html needs jinja2 and plotly: pip install 'designspace[report]'"
    assert (recorded / "table.md").is_file()
    assert not list(Path(recorded.parent).glob("**/index.html"))


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
@pytest.mark.parametrize("width", [390, 1200])
def test_best_practices_fit_the_window_with_the_verdict_beside_the_row(browser, reports, tmp_path, width):
    best(reports[0] / "committed").write(tmp_path)
    opened = browser.new_page(viewport={"width": width, "height": 900})
    opened.goto((tmp_path / "best.html").as_uri())
    opened.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    for box in opened.locator(".scrolls").all():
        wide, shown = box.evaluate("box => [box.scrollWidth, box.clientWidth]")
        assert wide <= shown
    row = opened.locator(".stacked tr.first", has_text="solver").first
    name, verdict = (row.locator("td").nth(i).bounding_box() for i in (0, 1))
    assert re.match(r"contradicts|agrees|undecided", row.locator("td").nth(1).inner_text())
    assert name["x"] + name["width"] <= verdict["x"] + 1
    assert verdict["x"] + verdict["width"] <= width
    assert abs(name["y"] - verdict["y"]) < 2
    opened.close()
