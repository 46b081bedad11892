"""The results of an ablation in Python: their table, their frame, the best point, and the difference of two."""

import math
import re
from html import escape
from pathlib import Path

import numpy as np
import pytest
from studies import N, by_hand, gap_by_hand, influence

import designspace as ds
from designspace.errors import FewImagesWarning
from designspace.report.evidence.inference import two_sided
from designspace.results.lines import append_line, point_key
from designspace.results.points import known_as


@pytest.fixture
def found(recorded):
    return ds.Results(recorded)


def rows_of(text):
    """The words of each line of a table, where two spaces or more part columns."""
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines()]


def test_they_print_as_a_table_with_values_errors_counts_and_the_baseline(bench):
    made = bench()
    made.about["baseline_axes"] = {"solver": "heun"}
    made.point({"solver": "euler", "nfe": 7}, 12.34, se=0.56)
    made.point({"solver": "heun", "nfe": 7}, 123.4, se=5.6, nfe=9)
    made.point({"solver": "heun", "nfe": 11}, 1.0, finished=False)
    results = ds.Results(made.folder)
    header, *lines, caption = str(results).splitlines()
    assert header.split() == ["solver", "nfe", "NFE", "frechet"]
    cells = [["euler", "7", "7", "12.34 ± 0.56"], ["heun", "7", "9", "123.4 ± 5.6", "baseline"]]
    assert rows_of("\n".join(lines)) == [*cells, ["heun", "11", "missing", "baseline"]]
    assert lines[0].index("12.34 ± 0.56") + len("12.34 ± 0.56") == lines[1].index("123.4 ± 5.6") + len("123.4 ± 5.6")
    assert caption == "frechet: FD-x, n = 400, lower is better."
    assert repr(results) == str(results)
    html = results._repr_html_()
    assert html.count("<tr>") == 4
    assert '<td style="text-align: right">12.34 ± 0.56</td>' in html
    assert html.count("baseline") == 2


def test_names_from_files_are_escaped_in_html(bench):
    made = bench(["solver"])
    made.point({"solver": "<script>alert(1)</script>"}, 1.0, protocol="FD-<b>")
    html = ds.Results(made.folder)._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html


def test_a_long_table_says_where_the_others_are(bench):
    made = bench(["nfe"])
    for nfe in range(1, 64):
        made.point({"nfe": nfe}, nfe, se=0.1)
    text = str(ds.Results(made.folder))
    assert len(text.splitlines()) == 62
    assert "... and 3 more points, which the property frame has." in text


def test_results_of_a_folder_are_those_of_its_description(bench, tmp_path):
    made = bench()
    made.point({"solver": "euler", "nfe": 7}, 2.0)
    old = {"schema": 1, "id": "old", "axes": {"solver": "euler", "nfe": 7}, "seed": 0, "nfe": 7, "images": 4}
    append_line(made.folder / "results.jsonl", old | {"metrics": {"frechet": {"value": 1.0, "protocol": "FD-x"}}})
    assert ds.Results(made.folder).frame["frechet"].tolist() == [2.0]
    with pytest.raises(ds.DataError, match=r"there is no .*none/ablation\.json: check the path"):
        ds.Results(tmp_path / "none")


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_results_are_found_by_the_name_of_a_report(found, monkeypatch):
    monkeypatch.chdir(found.folder.parents[1])
    by_name = ds.Results("recorded")
    assert str(by_name) == str(ds.Results("reports/recorded")) == str(found)
    assert by_name.folder == Path("reports/recorded")
    with pytest.raises(ds.DataError, match=r"there is no .*recordde/ablation\.json"):
        ds.Results("recordde")


def test_results_of_some_points_answer_for_these_alone(found):
    axes = [row.axes for row in found.rows() if row.axes["solver"] == "euler"]
    some = ds.Results(found.folder, only={point_key(row.id, row.axes) for row in found.rows() if row.axes in axes})
    assert {row[0] for row in rows_of(str(some))[1:-2]} == {"euler"}
    more = f'6 more points of other runs in {found.folder}: ds.Results("{found.folder}")'
    assert str(some).splitlines()[-1] == more
    assert f"<p>{escape(more)}</p>" in some._repr_html_()
    assert "more point" not in str(found)
    assert some.best().best["solver"] == "euler"
    with pytest.raises(ds.DataError, match="a: no point has solver = 'heun'"):
        some.compare({"solver": "heun"}, {"solver": "euler"})
    (axes,) = ds.plots.metric_vs_nfe(some).axes
    assert "heun" not in {text.get_text() for text in axes.texts}


def test_the_best_point_within_a_budget(found):
    known = {key: value for key, value in by_hand().items() if key[1] <= 7}
    solver, nfe = min(known, key=lambda key: known[key][0])
    best = found.best(nfe=7)
    assert best.best == {"solver": solver, "nfe": nfe}
    frame = best.frame.set_index(["solver", "axes.nfe"])
    assert set(frame.index) == set(known)
    assert frame["value"].to_dict() == {key: value for key, (value, _, _) in known.items()}
    assert frame["verdict"].iloc[0] == "best"
    assert frame["value"].is_monotonic_increasing
    assert math.isnan(frame["p"].iloc[0])


def test_points_that_do_not_differ_significantly_are_equal(bench):
    made = bench()
    common = influence(0, 8)
    for solver, value, own in (("a", 10.0, 0.2), ("b", 10.01, 0.3), ("c", 12.0, 0.2)):
        made.point({"solver": solver, "nfe": 7}, value, common + influence(ord(solver), own))
    made.point({"solver": "c", "nfe": 9}, 1.0, common)
    results = ds.Results(made.folder)
    best = results.best(nfe=8)
    assert best.best == {"solver": "a", "nfe": 7}
    assert best.equal == [{"solver": "b", "nfe": 7}]
    assert best.frame.set_index("solver")["verdict"].to_dict() == {"a": "best", "b": "equal", "c": "worse"}
    gap = (influence(ord("c"), 0.2) - influence(ord("a"), 0.2)).double()
    se = float(gap.std()) / N**0.5
    worse = best.frame.set_index("solver").loc["c"]
    assert worse["difference"] == pytest.approx(2.0)
    assert worse["difference_se"] == pytest.approx(se, rel=1e-3)
    assert worse["paired"]
    assert worse["p"] == pytest.approx(min(1.0, 3 * two_sided(2.0 / se)), abs=1e-12)  # all pairs of three points
    header, first, second, caption = rows_of(str(best))
    assert header[:4] == ["NFE", "frechet", "worse by", "p"]
    assert first[:3] == ["a, nfe=7", "7", "10.00 ± 0.40"]
    assert second[0] == "b, nfe=7"
    about, others = caption[0].split(". ")
    assert about == "frechet: FD-x, n = 400, lower is better"
    assert others == "1 other is significantly worse; p is corrected for all pairs of 3 points."
    assert results.best().best == {"solver": "c", "nfe": 9}
    assert results.best(where={"solver": "b"}).best == {"solver": "b", "nfe": 7}


def test_differences_from_the_best_are_those_of_the_values_and_p_counts_the_drawn_reference(bench):
    """The best value lies 0.034 below the drawn reference, so that p is that of a difference of 0.016."""
    made = bench(["solver"])
    drawn = {"drawn": 0.336, "drawn_sd": 0.02, "higher_is_better": False}
    common = influence(0, 1)
    for solver, value in (("heun", 0.302), ("dpm", 0.33), ("euler", 0.352)):
        made.point({"solver": solver}, value, common + influence(ord(solver[0]), 0.1), about=drawn)
    results = ds.Results(made.folder)
    best = results.best()
    euler = best.frame.set_index("solver").loc["euler"]
    compared = results.compare({"solver": "euler"}, {"solver": "heun"})
    assert (euler["difference"], euler["difference_se"]) == (compared.difference, compared.se)
    assert euler["difference"] == pytest.approx(0.050)
    assert euler["p"] == pytest.approx(min(1.0, 3 * two_sided(0.016 / compared.se)))
    assert best.frame["p"].isna().tolist() == [True, False, False]
    _, _, dpm, third, (*_, told) = rows_of(str(best))
    assert dpm[-1] == "1"
    assert third[3].startswith("0.050")
    assert told.endswith("Values below the drawn reference are no better than it: p counts them as equal to it.")


def test_the_evaluations_of_guidance_count_towards_the_budget(bench):
    made = bench(["guidance"])
    made.point({"guidance": "none"}, 5.0, se=0.1, nfe=11)
    made.point({"guidance": "cfg"}, 2.0, se=0.1, nfe=11, nfe_guidance=11)
    results = ds.Results(made.folder)
    assert results.best(nfe=11).best == {"guidance": "none"}
    assert results.best(nfe=22).best == {"guidance": "cfg"}


def test_the_difference_of_two_points_is_paired(found):
    a, b = {"solver": "heun", "nfe": 7}, {"solver": "euler", "nfe": 7}
    gap, se = gap_by_hand(("heun", 7), ("euler", 7))
    one = found.compare(a, b)
    assert one.paired
    assert (one.a, one.b) == (a, b)
    assert one.difference == pytest.approx(gap)
    assert one.se == pytest.approx(se, rel=0.05)  # the reports count the variance of pairs of images once
    assert one.p == pytest.approx(two_sided(one.difference / one.se))
    assert (one.low, one.high) == pytest.approx((gap - 1.959964 * one.se, gap + 1.959964 * one.se))
    assert found.compare(b, a).difference == -one.difference
    first, second = str(one).splitlines()
    assert first.startswith("frechet of heun, nfe=7 minus euler, nfe=7: ")
    assert first.endswith("heun, nfe=7 is significantly " + ("better" if gap < 0 else "worse"))
    assert second.startswith("paired; FD-")


def test_a_field_is_selected_by_the_name_that_tables_show(bench):
    made = bench(["time_steps.rho", "nfe"])
    made.point({"time_steps.rho": 3, "nfe": 7}, 2.0, se=0.1)
    made.point({"time_steps.rho": 7, "nfe": 7}, 1.0, se=0.1)
    results = ds.Results(made.folder)
    assert results.best().best == results.best(where={"rho": 7}).best == {"time_steps.rho": 7, "nfe": 7}
    short, long = results.compare({"rho": 3}, {"rho": 7}), results.compare({"time_steps.rho": 3}, {"time_steps.rho": 7})
    assert str(short) == str(long)
    ambiguous = r"there is no axis 'weight'. Did you mean 'guidance.weight' or 'loss_weight.weight'\?"
    with pytest.raises(ds.SpecError, match=ambiguous):
        known_as({"weight": 1}, [{"guidance.weight": 1, "loss_weight.weight": 2}])


def test_what_cannot_be_answered_is_refused_in_one_line(bench):
    made = bench()
    made.point({"solver": "euler", "nfe": 7}, 2.0, se=0.1)
    made.point({"solver": "euler", "nfe": 11}, math.nan, se=None)
    made.point({"solver": "heun", "nfe": 7}, 1.0, se=0.1, protocol="FD-y")
    made.point({"solver": "heun", "nfe": 11}, 1.0, finished=False)
    results = ds.Results(made.folder)
    euler, place = {"solver": "euler", "nfe": 7}, re.escape(str(made.folder))
    for refused, why in (
        (lambda: results.best(nfe=3), "no point with the metric frechet within NFE 3: the smallest is 7"),
        (
            lambda: results.best(),
            "frechet: values of different protocols cannot be compared; choose points with where=",
        ),
        (lambda: results.best(metric="frechte"), "metric 'frechte' was not measured. Did you mean 'frechet'?"),
        (lambda: results.best(where={"solvr": 1}), "where: there is no axis 'solvr'. Did you mean 'solver'?"),
        (lambda: results.compare({"solver": "heun"}, euler), "a is 2 points: give a value of nfe too"),
        (lambda: results.compare(euler, {"nfe": 8}), "b: no point has nfe = 8. Did you mean 7?"),
        (lambda: results.compare(euler, euler), "a and b are the same point, euler, nfe=7"),
        (lambda: results.compare(euler, euler | {"nfe": 11}), "b: euler, nfe=11 has no finite value"),
        (lambda: results.compare(euler, {"solver": "heun", "nfe": 11}), "b: heun, nfe=11 is missing"),
        (lambda: results.compare(euler, {"solver": "heun", "nfe": 7}), "frechet: values of different protocols cannot"),
    ):
        with pytest.raises(ds.DataError, match=f"^{place}: {re.escape(why)}"):
            refused()


def test_the_report_is_written_and_its_folder_is_a_link(found, monkeypatch):
    monkeypatch.chdir(found.folder.parent)
    folder = found.report()
    assert folder == found.folder
    assert (folder / "table.md").read_text().startswith("# ")
    assert folder._repr_html_() == f'<a href="recorded/index.html">{folder}/index.html</a>'


def test_a_run_returns_results_that_answer(cache, tmp_path):
    spec = {"data": "digits", "denoiser": "exact", "design": "edm", "nfe": 5}
    evaluate = {"images": 40, "detector": "pixels", "metrics": ["frechet", "kid"]}
    grid = {"solver": ["euler", "heun"]}
    ablation = ds.Ablation(name="small", **spec, evaluate=evaluate, grid=grid)
    with pytest.warns(FewImagesWarning, match="40 images are fewer than") as warned:
        results = ds.run(ablation, out=tmp_path, progress=False)
    assert {warning.filename for warning in warned} == {__file__}  # the call, not the decorators of ds.run
    assert isinstance(results, ds.Results)
    euler, heun = results.frame.set_index("solver")["kid"].loc[["euler", "heun"]]
    assert results.compare({"solver": "euler"}, {"solver": "heun"}, "kid").difference == pytest.approx(euler - heun)
    assert results.best(metric="kid").best["solver"] == ("euler" if euler < heun else "heun")
    assert np.isfinite(results.frame["seconds"]).all()
    assert results.frame["label"].tolist() == ["euler", "heun"]
    assert "more point" not in str(results)
    later = ds.run(ablation.changed(grid={"solver": ["dpm2"]}), out=tmp_path, progress=False)
    assert later.frame["label"].tolist() == ["dpm2"]
    assert str(later).endswith(f'2 more points of other runs in {tmp_path}/small: ds.Results("{tmp_path}/small")')
    assert len(ds.Results(tmp_path / "small").frame) == 3


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda found: found.best(nfee=11), "best: no argument 'nfee'. Did you mean 'nfe'?"),
        (
            lambda found: found.best(solver="a"),
            "no argument 'solver'. Values of axes are given as a mapping, such as",
        ),
        (lambda found: found.best(nfe="a"), "best: nfe should be a number of evaluations, not 'a'"),
        (lambda found: found.best(nfe=True), "best: nfe should be a number of evaluations, not True"),
        (
            lambda found: found.compare("heun", {}),
            "compare: a should be values of axes, such as {'solver': 'heun'}, not",
        ),
        (lambda found: found.compare({}, "heun"), "compare: b should be values of axes"),
        (lambda found: found.best(where="heun"), "best: where should be values of axes"),
        (lambda found: found.compare({}, {}, metrc="kid"), "compare: no argument 'metrc'. Did you mean 'metric'?"),
    ],
)
def test_wrong_arguments_of_answers_are_clear_errors(found, ask, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        ask(found)
