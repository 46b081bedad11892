"""Reports: numbers, verdicts and pictures from plain rows."""

import json
import math
from itertools import product

import numpy as np
import pytest
import torch

from designspace.report import find, terminal_table, write
from designspace.report.claims import verdicts
from designspace.report.compare import difference
from designspace.report.study import Study
from designspace.report.tables import escape, number, tables
from designspace.store import Results

N = 400


def influence(seed, scale):
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal(N)).float() * scale
    return x - x.mean()


class Bench:
    """A folder of results, made by hand."""

    def __init__(self, folder, axes, claims=()):
        self.folder, self.results, self.points = folder, Results(folder), []
        self.about = {"schema": 1, "name": folder.name, "question": "Which one?", "axes": axes, "claims": list(claims)}
        self.about |= {"metrics": ["frechet"], "points": self.points}

    def point(self, axes, value, scores=None, *, nfe=None, seed=0, images=N, protocol="FD-x", finished=True):
        id = f"{len(self.points):016x}"
        self.points.append({"id": id, "axes": axes})
        (self.folder / "ablation.json").write_text(json.dumps(self.about))
        if not finished:
            return
        se = None if scores is None else float(scores.double().std()) / N**0.5
        metric = {"value": value, "se": se, "protocol": protocol, "floor": 0.5, "floor_n": 100}
        row = {"id": id, "axes": axes, "seed": seed, "nfe": nfe or axes.get("nfe", 7), "images": images, "features": 8}
        pixels = torch.arange(8 * 16, dtype=torch.uint8).reshape(8, 1, 4, 4)
        kept = {"images": pixels} | ({} if scores is None else {"influence.frechet": scores})
        self.results.put_artefact(id, kept)
        self.results.append({**row, "ablation": self.folder.name, "trial": {}, "metrics": {"frechet": metric}})


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "study").mkdir()

    def make(axes=("solver", "nfe"), claims=()):
        return Bench(tmp_path / "study", list(axes), claims)

    return make


def less(a, b):
    return {"say": "A beats B.", "expect": {"less": [a, b], "metric": "frechet"}}


def test_paired_difference_uses_common_latents(bench):
    made = bench()
    common = influence(0, 10)
    a, b = common + influence(1, 1), common + influence(2, 1)
    made.point({"solver": "a", "nfe": 7}, 3.0, a)
    made.point({"solver": "b", "nfe": 7}, 3.5, b)
    study = Study(made.folder)
    found = difference(study, *study.entries, "frechet")
    expected = float((a.double() - b.double()).std()) / N**0.5
    assert found.paired
    assert found.value == -0.5
    assert found.se == pytest.approx(expected, rel=1e-6)
    assert found.p == pytest.approx(math.erfc(0.5 / expected / 2**0.5))
    assert found.se < 0.2 * math.hypot(study.entries[0].se("frechet"), study.entries[1].se("frechet"))


@pytest.mark.parametrize("how", ["other seed", "damaged", "not kept"])
def test_unpaired_where_pairs_are_not_to_be_had(bench, how):
    made = bench()
    made.point({"solver": "a", "nfe": 7}, 3.0, influence(0, 1))
    made.point({"solver": "b", "nfe": 7}, 3.5, influence(1, 1), seed=1 if how == "other seed" else 0)
    path = made.folder / "artefacts" / f"{1:016x}.safetensors"
    if how == "damaged":
        path.write_bytes(path.read_bytes()[:-40])
    if how == "not kept":
        path.unlink()
    study = Study(made.folder)
    if how == "damaged":
        with pytest.warns(UserWarning, match="damaged"):
            found = difference(study, *study.entries, "frechet")
    else:
        found = difference(study, *study.entries, "frechet")
    assert not found.paired
    assert found.se == pytest.approx(math.hypot(*(e.se("frechet") for e in study.entries)))


def test_table_marks_all_that_cannot_be_told_from_the_best(bench):
    made, common = bench(), influence(0, 10)
    for solver, value, apart in (("best", 3.0, 1.0), ("as good", 3.05, 1.0), ("worse", 4.0, 1.0)):
        made.point({"solver": solver, "nfe": 7}, value, common + influence(hash(solver) % 97, apart))
    made.point({"solver": "best", "nfe": 11}, 2.0, common)
    made.point({"solver": "worse", "nfe": 11}, 2.0, common, finished=False)
    (table,) = tables(Study(made.folder), "frechet")
    assert table.header == ["FD-x at NFE", "7", "11"]
    bold = {row[0].text: [cell.best for cell in row[1:]] for row in table.rows}
    assert bold == {"best": [True, True], "as good": [True, False], "worse": [False, False]}
    texts = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert texts["worse"][1] == "missing"
    assert texts["as good"][1] == "missing"
    assert "n = 400 images" in table.caption
    assert "n' = 100" in table.caption


def test_protocols_never_share_a_table(bench):
    made = bench()
    made.point({"solver": "a", "nfe": 7}, 3.0)
    made.point({"solver": "b", "nfe": 7}, 3.0, images=800)
    found = tables(Study(made.folder), "frechet")
    assert [[row[0].text for row in table.rows] for table in found] == [["a"], ["b"]]
    assert all(table.caption.startswith("Kept apart") for table in found)


def test_repeats_give_mean_and_spread(bench):
    made = bench()
    for seed, value in enumerate((3.0, 4.0, 5.0)):
        made.point({"solver": "a", "nfe": 7}, value, influence(seed, 1), seed=seed)
    (entry,) = Study(made.folder).entries
    assert entry.value("frechet") == 4.0
    assert entry.se("frechet") == pytest.approx(1 / 3**0.5)


VERDICTS = [(3.0, 4.0, "holds"), (4.0, 3.0, "does not hold"), (3.0, 3.02, "undecided")]


@pytest.mark.parametrize(("a", "b", "verdict"), VERDICTS)
def test_verdicts(bench, a, b, verdict):
    made = bench(claims=[less({"solver": "a"}, {"solver": "b"}), less({"solver": "c"}, {"solver": "a"})])
    common = influence(0, 10)
    made.point({"solver": "a", "nfe": 7}, a, common + influence(1, 1))
    made.point({"solver": "b", "nfe": 7}, b, common + influence(2, 1))
    made.point({"solver": "c", "nfe": 7}, 1.0, finished=False)
    first, second = verdicts(Study(made.folder))
    assert first.verdict == verdict
    assert second.verdict == "not computed"
    assert f"n = {N}" in first.numbers
    assert ("images would decide it" in first.numbers) == (verdict == "undecided")


def test_images_that_would_decide_an_undecided_claim(bench):
    """The standard error falls as 1/sqrt(n): z = 1 at 400 images is 1.96 at 1,537."""
    made = bench(claims=[less({"solver": "a"}, {"solver": "b"})])
    a, b = influence(1, 1), influence(2, 1)
    se = float((a.double() - b.double()).std()) / N**0.5
    made.point({"solver": "a", "nfe": 7}, 3.0, a)
    made.point({"solver": "b", "nfe": 7}, 3.0 + se, b)
    (found,) = verdicts(Study(made.folder))
    assert "about 1,600 images" in found.numbers


@pytest.mark.parametrize(("count", "values"), [(1, (5.0, 3.0)), (3, (900.0, 0.2)), (12, (2.0, -0.5))])
def test_every_file_is_written_and_the_same_again(bench, count, values):
    made = bench(claims=[less({"solver": "config 0"}, {"solver": "config 0", "nfe": 7})])
    for (i, nfe), value in zip(product(range(count), (7, 35)), values * count, strict=True):
        made.point({"solver": f"config {i}", "nfe": nfe}, value * (1 + i / 10), influence(i, 1))
    names = {path.name for path in write(made.folder)}
    plots = {"frechet_vs_nfe.png", "frechet_vs_nfe.svg", "samples.png"}
    assert names == {"table.md", "table.csv", "claims.md"} | plots
    before = {name: (made.folder / name).read_bytes() for name in names}
    for name in names:
        (made.folder / name).unlink()
    write(made.folder)
    assert {name: (made.folder / name).read_bytes() for name in names} == before
    assert find(made.folder.parent) == [made.folder]
    assert terminal_table(made.folder).renderables


def test_csv_has_full_precision(bench):
    made = bench()
    made.point({"solver": "a", "nfe": 7}, 1 / 3, influence(0, 1), nfe=6)
    write(made.folder)
    header, line = (made.folder / "table.csv").read_text().splitlines()
    row = dict(zip(header.split(","), line.split(","), strict=True))
    assert float(row["frechet"]) == 1 / 3
    assert (row["nfe"], row["axes.nfe"], row["images"], row["solver"]) == ("6", "7", "400", "a")


def test_without_any_result_the_report_says_what_is_missing(bench):
    made = bench()
    made.point({"solver": "a", "nfe": 7}, 0.0, finished=False)
    write(made.folder)
    assert "1 of 1 points are missing" in (made.folder / "table.md").read_text()


def test_odd_labels_are_escaped(bench):
    made = bench()
    made.point({"solver": "a|b*`<i>", "nfe": 7}, 1.0)
    write(made.folder)
    lines = (made.folder / "table.md").read_text().splitlines()
    (row,) = [line for line in lines if "a\\|b" in line]
    assert row.startswith("| a\\|b\\*\\`\\<i\\> |")
    assert escape("two\nlines") == "two lines"


@pytest.mark.parametrize(
    ("value", "se", "text"),
    [(12.3456, 0.234, "12.35"), (12.3456, 2.34, "12.3"), (1234.5, 23.4, "1234"), (0.00123, 4.5e-5, "0.001230")],
)
def test_values_are_rounded_to_two_digits_of_their_error(value, se, text):
    assert number(value, se) == text
