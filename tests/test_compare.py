"""Comparisons at equal budgets, in reports and with the command ``compare``."""

import csv
import json
import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from studies import Bench, N, by_hand, edit, gap_by_hand, influence
from typer.testing import CliRunner

from designspace.cli.app import app
from designspace.report import Study, write
from designspace.report.evidence import differences
from designspace.report.evidence.contrasts import difference
from designspace.report.evidence.differences import rank
from designspace.report.evidence.inference import holm
from designspace.report.tables.values import tables

SOLVERS = ("euler", "heun", "dpmpp_2m")
damaged_line = pytest.mark.filterwarnings("ignore:.*results.jsonl.7")


@pytest.fixture
def compare(tmp_path, monkeypatch):
    """Run the command in a folder with the reports of a test."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments):
        done = CliRunner().invoke(app, ["compare", *map(str, arguments)], prog_name="designspace")
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    monkeypatch.chdir(tmp_path)
    return run


def p_of(z):
    return math.erfc(abs(z) / math.sqrt(2))


@damaged_line
def test_every_pair_of_equal_budget_is_in_the_csv(recorded):
    write(recorded)
    with (recorded / "comparisons.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "frechet"]
    pairs = [(a, b, nfe) for nfe in (7, 11) for a, b in combinations(SOLVERS, 2)]
    assert [(row["a"], row["b"], int(row["nfe"])) for row in rows] == pairs
    ps = []
    for row, (a, b, nfe) in zip(rows, pairs, strict=True):
        gap, se = gap_by_hand((a, nfe), (b, nfe))
        independent = math.hypot(by_hand()[a, nfe][1], by_hand()[b, nfe][1])
        ps.append(p_of(gap / se))
        assert float(row["difference"]) == pytest.approx(gap, rel=1e-4)
        assert float(row["se"]) == pytest.approx(se, rel=1e-4)
        assert float(row["gain"]) == pytest.approx((independent / se) ** 2, rel=1e-4)
        assert float(row["p"]) == pytest.approx(ps[-1], rel=1e-3)
        assert (row["protocol"], row["images"], float(row["nfe_a"])) == ("FD-lite0-96-320", "64", nfe)
    assert [float(row["p_holm"]) for row in rows] == pytest.approx(holm(ps), rel=1e-3)


@damaged_line
def test_the_page_and_the_table_agree_on_the_best(recorded):
    """The page compares each configuration with the lowest of its budget; both print the same values in bold."""
    write(recorded)
    page = (recorded / "comparisons.md").read_text()
    frechet = page.split("FD-lite0")[1].split("KID-lite0")[0].replace("\\", "")
    rows = [line.strip("| ").split(" | ") for line in frechet.splitlines() if line.startswith("| ")][2:]
    assert [row[:3] for row in rows if "best" in row[4]] == [[nfe, "**dpmpp_2m**", nfe] for nfe in ("7", "11")]
    (table,) = tables(Study(recorded), "frechet")
    bold = {(row[0].text, nfe) for row in table.rows for nfe, cell in zip((7, 11), row[1:], strict=True) if cell.best}
    assert {(row[1].strip("*"), int(row[0])) for row in rows if row[1].startswith("**")} == bold
    assert "95 % confidence for each column, corrected for all pairs because the best is chosen after" in table.caption
    for nfe, name, _, _, shown, gain, _, corrected in (row for row in rows if "best" not in row[4]):
        gap, se = gap_by_hand((name.strip("*"), int(nfe)), ("dpmpp_2m", int(nfe)))
        assert [float(x) for x in shown.split(" ± ")] == pytest.approx([gap, se], abs=0.05 * se)
        assert float(gain) > 1
        assert (name.strip("*"), int(nfe)) in bold or "<" in corrected or float(corrected) <= 0.05


def test_the_gain_is_how_many_images_independent_seeds_would_need(bench):
    """Two configurations whose images differ little: the shared variance is 200 times that of the difference."""
    made, common = bench(), influence(0, 10)
    a, b = common + influence(1, 1), common + influence(2, 1)
    made.point({"solver": "a", "nfe": 7}, 3.0, a)
    made.point({"solver": "b", "nfe": 7}, 3.5, b)
    study = made.study()
    found = difference(study, *study.entries, "frechet")
    a, b = (np.asarray(x, np.float64) for x in (a, b))
    assert found.gain == pytest.approx((a.var() + b.var()) / (a - b).var(), rel=1e-5)
    assert 50 < found.gain < 200
    assert found.independent_se / found.gain**0.5 == pytest.approx(found.se)


def named_twice(bench, other):
    """Three designs, of which the first two are the same trial."""
    made = bench(axes=("design",))
    for design, value in (("ddpm", 3.0), ("vp", 3.0), ("ve", other)):
        made.point({"design": design}, value, se=0.4)
    made.points[1]["id"] = made.points[0]["id"]
    (made.folder / "ablation.json").write_text(json.dumps(made.about))
    edit(made.folder, lambda rows: rows[1].update(id=rows[0]["id"]))
    return made.study()


def test_a_trial_by_two_names_differs_from_itself_by_nothing(bench):
    study = named_twice(bench, 3.5)
    same, other = (difference(study, study.entries[0], entry, "frechet") for entry in study.entries[1:])
    assert (same.value, same.se, same.p) == (0.0, 0.0, 1.0)
    assert (other.paired, other.se) == (False, pytest.approx(0.4 * math.sqrt(2)))


def test_a_trial_by_two_names_counts_once_in_corrections(bench):
    """Two of the three points are one trial: there is a single comparison, which needs no correction."""
    study = named_twice(bench, 4.2)
    ddpm, vp, ve = study.entries
    found = rank(study, study.entries, "frechet")
    p = p_of(1.2 / (0.4 * math.sqrt(2)))
    assert {entry: corrected for entry, (_, corrected) in found.against.items()} == {vp: 1.0, ve: pytest.approx(p)}
    assert found.best == [ddpm, vp]
    (pairs,) = differences.all_pairs(study, "frechet")
    assert [one.corrected for one in pairs] == pytest.approx([1.0, p, p])


def test_one_of_many_is_told_apart_only_after_correction(bench):
    """z = 3 has p = 0.0027 by itself; as one of the 55 pairs of eleven points, p is 0.15."""
    made = bench()
    best = influence(0, 1)
    made.point({"solver": "best", "nfe": 7}, 3.0, best)
    for i in range(1, 11):
        other = influence(i, 1)
        se = float((other.double() - best.double()).std()) / N**0.5
        made.point({"solver": f"s{i}", "nfe": 7}, 3.0 + (3.0 if i == 1 else 0.5) * se, other)
    study = made.study()
    found = rank(study, study.entries, "frechet")
    assert len(found.best) == 11
    gap, corrected = found.against[study.entries[1]]
    assert (gap.p, corrected) == pytest.approx((p_of(3.0), 55 * p_of(3.0)))
    assert len(rank(study, study.entries[:2], "frechet").best) == 1


def with_value(row, value):
    metrics = {"frechet": row.metrics["frechet"].model_copy(update={"value": value})}
    return row.model_copy(update={"metrics": metrics})


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_equal_points_are_told_apart_in_5_percent_whatever_the_number_of_seeds(bench, seeds):
    """For a metric without a standard error, only the scatter over seeds is known, and that is itself uncertain."""
    rng, ps = np.random.default_rng(0), []
    made = bench()
    for solver in ("a", "b"):
        for seed in range(seeds):
            made.point({"solver": solver, "nfe": 7}, 0.0, seed=seed)
    study = made.study()
    for _ in range(1000):
        drawn = [
            replace(e, rows=tuple(with_value(row, rng.standard_normal()) for row in e.rows)) for e in study.entries
        ]
        ps.append(difference(study, *drawn, "frechet").p)
    assert np.mean(np.array(ps) <= 0.05) < 0.06


def test_protocols_are_never_compared_in_a_report(bench):
    made = bench()
    for i, (solver, protocol) in enumerate((("a", "FD-x"), ("b", "FD-x"), ("c", "FD-y"))):
        made.point({"solver": solver, "nfe": 7}, 3.0 + i, influence(i, 1), protocol=protocol)
    found = [
        [(one.a.config, one.b.config) for one in group] for group in differences.all_pairs(made.study(), "frechet")
    ]
    assert found == [[("a", "b")], []]


@damaged_line
def test_two_configurations_at_every_budget(compare, recorded):
    status, out, _ = compare("recorded:solver=heun", "recorded:solver=euler", "--metric", "frechet", "--json")
    assert status == 0
    rows = json.loads(out)
    assert [(row["axes_a"], row["axes_b"]) for row in rows] == [
        ({"solver": "heun", "nfe": nfe}, {"solver": "euler", "nfe": nfe}) for nfe in (7, 11)
    ]
    ps = []
    for row in rows:
        gap, se = gap_by_hand(("heun", row["nfe"]), ("euler", row["nfe"]))
        ps.append(p_of(gap / se))
        assert (row["difference"], row["se"]) == pytest.approx((gap, se))
        assert row["paired"]
    assert [row["p_holm"] for row in rows] == pytest.approx(holm(ps))


@damaged_line
@pytest.mark.parametrize(
    ("sides", "count"),
    [
        (["recorded"], 6),
        (["recorded:nfe=7"], 3),
        (["recorded:solver=heun,nfe=7", "recorded:solver=euler"], 1),  # the budget is A's
        (["recorded:solver=heun", "recorded:solver=euler,nfe=11"], 1),
        (["recorded:design.solver=heun, nfe=7.0", "recorded"], 2),
        (["recorded:solver=heun,nfe=7", "recorded:nfe=11"], 3),  # unless both give one: heun at 11 as well
        (["reports/recorded:nfe=11"], 3),
    ],
)
def test_which_points_are_compared(compare, recorded, sides, count):
    status, out, _ = compare(*sides, "--metric", "frechet", "--json")
    assert status == 0
    rows = json.loads(out)
    assert len(rows) == count
    assert all(row["axes_a"] != row["axes_b"] for row in rows)


@damaged_line
def test_the_terminal_shows_protocol_and_correction(compare, recorded):
    status, out, _ = compare("recorded", "--metric", "frechet")
    assert status == 0
    assert "FD-lite0-96-320, n = 64 images, seed 0" in out
    assert "p corrected for 6 comparisons (Holm)" in " ".join(out.split())
    (line,) = [line.split() for line in out.splitlines() if line.split()[:3] == ["11", "heun", "dpmpp_2m"]]
    gap, se = gap_by_hand(("heun", 11), ("dpmpp_2m", 11))
    assert [float(line[3]), float(line[5])] == pytest.approx([gap, se], abs=0.05 * se)


@damaged_line
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["recordde"], "recordde: no results in recordde nor in reports/recordde. Did you mean 'recorded'?"),
        (["recorded:slover=heun"], "recorded:slover=heun: there is no axis 'slover'. Did you mean 'solver'?"),
        (["recorded", "recorded:solver=huen"], "recorded:solver=huen: no point has solver = 'huen'. Did you mean"),
        (["recorded:nfe=12"], "recorded:nfe=12: no point has nfe = 12. Did you mean 11? Values: 7, 11."),
        (["recorded:heun"], "recorded:heun: 'heun' is not AXIS=VALUE. Axes: solver, nfe."),
        (["recorded:nfe=7,design.solver=heun,nfe=11"], "nfe=11: nfe is given twice"),
        (["recorded", "--metric", "frechte"], "--metric frechte: not measured. Did you mean 'frechet'?"),
        (["recorded", "recorded"], "for all pairs of one report, give it once: designspace compare recorded"),
        (
            ["recorded:solver=ab"],
            "recorded:solver=ab: no two finite results with the same budget and protocol",
        ),
    ],
)
def test_wrong_input_is_one_line(compare, recorded, arguments, error):
    status, out, err = compare(*arguments)
    assert (status, out) == (2, "")
    assert error in err
    assert len(err.splitlines()) == 1


@pytest.fixture
def two(bench, tmp_path):
    """Two reports with one configuration each, on the same latents."""

    def make(**about):
        (tmp_path / "other").mkdir()
        made, other = bench(), Bench(tmp_path / "other", ["solver", "nfe", "denoiser"])
        for nfe in (7, 11):
            common = influence(nfe, 10)
            made.point({"solver": "heun", "nfe": nfe}, 3.0, common + influence(1, 1))
            for name, value in (("net", 3.5), ("exact", 3.0)):
                axes = {"solver": "heun", "nfe": nfe, "denoiser": name}
                other.point(axes, value, common + influence(2, 1), **about)

    return make


def test_a_configuration_of_two_reports(compare, two):
    two()
    status, out, _ = compare("study", "other:denoiser=net", "--out", ".", "--json")
    assert status == 0
    rows = json.loads(out)
    assert [(row["report_a"], row["report_b"], row["nfe"], row["difference"]) for row in rows] == [
        ("study", "other", nfe, -0.5) for nfe in (7, 11)
    ]
    assert all(row["gain"] > 50 for row in rows)
    _, out, _ = compare("study", "other:denoiser=net", "--out", ".")
    assert "A (study)" in out
    assert "B (other)" in out


@pytest.mark.parametrize(
    ("about", "what", "shown"),
    [
        ({"images": 800}, "numbers of images", "n = 800 images"),
        ({"protocol": "FD-y"}, "protocols", "FD-y, n = 400"),
        ({"data": "faces"}, "references", "reference faces"),
        ({"record": {"hash": "b", "resize": "nearest"}}, "resizes", "protocol b"),
        (
            {"record": None},
            "versions of the package, the earlier of which recorded less of the protocol,",
            "reference digits",
        ),
    ],
)
def test_two_protocols_are_refused_with_an_explanation(compare, two, about, what, shown):
    two(**about)
    status, out, err = compare("study", "other:denoiser=net", "--out", ".")
    assert (status, out) == (2, "")
    first, *sides = err.splitlines()
    assert first == f"frechet: values of different {what} cannot be compared"
    assert len(sides) == 2
    assert "study (solver=heun, nfe=7): FD-x, n = 400 images" in sides[0]
    assert "reference digits" in sides[0]
    assert shown in sides[1]


def test_two_reports_without_a_common_metric(compare, two, tmp_path):
    two()
    about = json.loads((tmp_path / "other" / "ablation.json").read_text()) | {"metrics": ["kid"]}
    (tmp_path / "other" / "ablation.json").write_text(json.dumps(about))
    found = compare("study", "other", "--out", ".")
    assert found == (2, "", "study and other have no metric in common: frechet against kid\n")


def test_labels_with_commas(compare, bench):
    made = bench(["stage", "nfe"])
    for i, stage in enumerate(("c_in=vp", "c_in=vp, c_skip=vp", "a: b=c")):
        made.point({"stage": stage, "nfe": 7}, 3.0 + i, influence(i, 1))
    status, out, _ = compare("study:stage=c_in=vp, c_skip=vp,nfe=7", "study:stage=a: b=c", "--out", ".", "--json")
    assert status == 0
    (row,) = json.loads(out)
    assert (row["axes_a"]["stage"], row["axes_b"]["stage"]) == ("c_in=vp, c_skip=vp", "a: b=c")
