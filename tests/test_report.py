"""Reports: numbers, verdicts and pictures made from plain results."""

import csv
import hashlib
import io
import json
import math
import re
import subprocess
import sys
import time
import warnings
from itertools import combinations, product
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from safetensors.numpy import load_file
from studies import RECORDED, Bench, N, by_hand, gap_by_hand, influence

from designspace.errors import DataError
from designspace.report import Study, find, merge, terminal_table, write
from designspace.report.evidence.contrasts import difference
from designspace.report.evidence.verdicts import verdicts
from designspace.report.figures.metric import panels
from designspace.report.figures.samples import grid
from designspace.report.tables.claims import LIVE
from designspace.report.tables.values import gaps, tables
from designspace.text import config_name, escape, measured, number, one_line


def less(a, b):
    return {"say": "A beats B.", "expect": {"less": [a, b], "metric": "frechet"}}


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_recorded_table_has_the_numbers_of_the_rows(recorded):
    write(recorded)
    lines = (recorded / "table.md").read_text().splitlines()
    cells = {}
    for line in lines[6:10]:
        solver, *values = line.replace("\\", "").strip("| ").split(" | ")
        cells |= {(solver, nfe): text for nfe, text in zip((7, 11), values, strict=True)}
    for key, (value, se, _) in by_hand().items():
        shown = [float(part) for part in cells[key].strip("*").split(" ± ")]
        assert shown == pytest.approx([value, se], abs=0.05 * se)
    assert (cells["ab", 7], cells["ab", 11]) == ("failed", "missing")
    bold = {key for key, text in cells.items() if text.startswith("**")}
    for nfe in (7, 11):
        gap, se = gap_by_hand(("dpmpp_2m", nfe), ("heun", nfe))
        assert (("heun", nfe) in bold) == (abs(gap) < 1.96 * se)
        assert ("dpmpp_2m", nfe) in bold
        assert ("euler", nfe) not in bold
    caption = lines[11]
    assert caption.startswith(
        "FD-lite0-96-320, n = 64 images, seed 0, exact denoiser, detector lite0 (320 features), reference digits"
    )
    assert "Values without bias are missing: they need at least 3 × 320 images." in caption
    assert not any("loor" in path.read_text() for path in recorded.glob("*.md"))
    assert "n is below 10 × 320 features" in caption
    assert lines[-4:] == [
        "2 of 8 points are not complete:",
        "",
        "- failed: solver=ab, nfe=7: RuntimeError: it diverged",
        "- missing: solver=ab, nfe=11",
    ]


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_recorded_claims_have_the_numbers_of_the_influences(recorded):
    study = Study(recorded)
    holds, least, undecided, missing = verdicts(study)
    assert [v.outcome for v in (holds, least, undecided, missing)] == [
        "holds",
        "holds in part",
        "undecided",
        "not computed",
    ]
    assert least.headline == "holds at 11, not at 7 (preliminary)"  # a point is missing
    pairs = {
        holds: (("heun", 11), ("euler", 11)),
        least: (("heun", 7), ("euler", 7)),
        undecided: (("dpmpp_2m", 11), ("heun", 11)),
    }
    for verdict, (a, b) in pairs.items():
        gap, se = gap_by_hand(a, b)
        shown = re.search(r"difference (\S+) ± (\S+) \(paired\)", verdict.numbers)
        assert [float(x) for x in shown.groups()] == pytest.approx([gap, se], abs=0.05 * se)
    gap, se = gap_by_hand(*pairs[undecided])
    p = math.erfc(abs(gap / se) / math.sqrt(2))
    assert f"p = {p:.2g}" in undecided.numbers
    images = int(re.search(r"about ([\d,]+) images", undecided.numbers)[1].replace(",", ""))
    assert images == pytest.approx(64 * (2.80 * se / gap) ** 2, rel=0.05)
    assert "This is the least favourable of 2 comparisons" in least.numbers
    assert missing.numbers == "2 of 2 comparisons have no finite result yet."


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_recorded_csv_is_tidy_and_in_full(recorded):
    write(recorded)
    with (recorded / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    for row in rows:
        value, se, _ = by_hand()[row["solver"], int(row["axes.nfe"])]
        assert (float(row["frechet"]), float(row["frechet_se"])) == (value, se)
        assert (row["frechet_protocol"], row["kid_protocol"]) == ("FD-lite0-96-320", "KID-lite0-96-320")
        assert (row["images"], row["seed"], row["nfe"]) == ("64", "0", row["axes.nfe"])
        assert not any("floor" in name for name in row)


def test_a_damaged_line_is_named_once(recorded):
    study = Study(recorded)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write(study)
        terminal_table(study)
    assert [str(w.message).split(": ")[0] for w in caught] == [f"{recorded}/results.jsonl:7"]


PAGES = {"table.md", "table.csv", "table.tex"}
COMPARED = {"comparisons.md", "comparisons.csv", "effects.md", "effects.csv", "quality.md", "quality.csv"}
"""With two configurations at least."""


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_a_report_is_the_same_again_whatever_the_users_style(recorded):
    formats = ("svg", "pdf")
    names = [path.name for path in write(recorded, formats=formats)]
    figures = ("frechet_vs_nfe", "kid_vs_nfe", "frechet_pareto", "frechet_effects", "frechet_quality")
    plots = {f"{name}.{kind}" for name in figures for kind in ("png", "svg", "pdf")}
    assert set(names) == {"samples.png", "samples_difference.png", "claims.md", "index.html"} | PAGES | COMPARED | plots
    before = {name: hashlib.sha256((recorded / name).read_bytes()).hexdigest() for name in names}
    times = {name: (recorded / name).stat().st_mtime_ns for name in names}
    write(recorded, formats=formats)
    assert {name: (recorded / name).stat().st_mtime_ns for name in names} == times
    for name in names:
        (recorded / name).unlink()
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black", "savefig.dpi": 30}):
        write(recorded, formats=formats)
    assert {name: hashlib.sha256((recorded / name).read_bytes()).hexdigest() for name in names} == before
    assert not list(recorded.glob(".*"))
    assert find(recorded.parent) == [recorded]


def shown(study, width):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(terminal_table(study))
    return console.export_text().replace("\N{NO-BREAK SPACE}", " ").splitlines()


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_the_terminal_shows_values_once_then_what_is_favoured_and_the_verdicts(recorded):
    lines = shown(recorded, 80)
    assert max(map(len, lines)) <= 80
    rows = [line.split("  ") for line in lines if line.split()[:1] == ["euler"]]
    assert len(rows) == len(Study(recorded).about.metrics)
    cells = [cell.strip() for cell in rows[0] if cell.strip()]
    assert [cell.rstrip("*") for cell in cells[1:]] == [measured(*by_hand()["euler", nfe][:2]) for nfe in (7, 11)]
    favoured = next(k for k, line in enumerate(lines) if "favoured at NFE 7" in line)
    verdict = next(k for k, line in enumerate(lines) if line.startswith("undecided (preliminary): At 11"))
    assert lines.index(next(line for line in lines if "euler" in line)) < favoured < verdict
    assert "missing: solver=ab, nfe=11" in lines
    more = next(k for k, line in enumerate(lines) if line.startswith("More: "))
    assert {"effects.md", "claims.md."} <= {*" ".join(lines[more:]).split()}
    assert not [line for line in lines if "without bias" in line and "table.md" not in line]


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_the_best_values_are_marked_where_bold_print_cannot_be_seen(recorded):
    (table, *_) = tables(Study(recorded), "frechet")
    best = sorted(cell.text for row in table.rows for cell in row if cell.best)
    lines = shown(recorded, 80)
    end = next(k for k, line in enumerate(lines) if "* marks" in line)
    assert best
    assert sorted(re.findall(r"[\d.-]+ ± [\d.]+(?=\*)", "\n".join(lines[:end]))) == best


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
@pytest.mark.parametrize("width", [44, 60])
def test_cells_take_two_lines_only_if_the_terminal_is_narrow_and_words_stay_whole(recorded, width):
    lines = shown(recorded, width)
    heads = [line for line in lines if line.split()[-2:] == ["7", "11"]]
    split = [line for line in lines if line.split()[:1] == ["±"]]
    assert bool(split) == (width == 44)
    assert "FD-lite0-96-320" in "".join(lines[2:4])
    assert len(heads) == len(Study(recorded).about.metrics)
    assert {name for name in ("euler", "heun", "dpmpp_2m") if any(line.split()[:1] == [name] for line in lines)} == {
        "euler", "heun", "dpmpp_2m"
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*results.jsonl.7")
def test_samples_keep_every_pixel(recorded):
    """One row per configuration; each pixel of the artefact becomes a square of whole pixels."""
    write(recorded)
    shown = grid(Study(recorded))
    assert (shown.rows, shown.columns) == (["euler", "heun", "dpmpp_2m"], ["NFE 7", "NFE 11"])
    kept = load_file(RECORDED / "artefacts" / "00000000000000a3.safetensors")["images"]
    (block,) = [b for b in shown.blocks if (b.row, b.column) == (1, 1)]
    times = block.images.shape[1] // 4
    small = block.images[:, ::times, ::times, 0]
    latents = [next(i for i, image in enumerate(kept[:, 0]) if np.array_equal(image, one)) for one in small]
    assert latents == sorted(set(latents))
    assert len(latents) == 4
    drawn = np.asarray(Image.open(recorded / "samples.png").convert("RGB"))
    wanted = block.images[3]
    h, w, _ = wanted.shape
    first_rows = np.lib.stride_tricks.sliding_window_view(drawn[..., 0], w, axis=1)
    places = np.argwhere((first_rows == wanted[0, :, 0]).all(-1))
    assert any(np.array_equal(drawn[y : y + h, x : x + w, 0], wanted[..., 0]) for y, x in places)


def test_files_that_a_report_no_longer_has_are_removed(bench):
    made = bench(axes=("solver", "schedule", "nfe"))
    for solver in ("heun", "euler"):
        for schedule in ("linear", "vp"):
            made.point({"solver": solver, "schedule": schedule, "nfe": 7}, 3.0, se=0.1)
    first = {path.name for path in write(made.folder, formats=["svg"])}
    assert {"interactions.md", "interactions.csv", "frechet_effects.png", "frechet_effects.svg"} <= first
    (made.folder / "mine.png").write_bytes(b"a picture of the user")
    (made.folder / "frechet_heat.svg").write_text("drawn by an earlier version")
    made.points[:] = made.points[:1]
    (made.folder / "ablation.json").write_text(json.dumps(made.about))
    second = {path.name for path in write(made.folder)}
    assert not {"interactions.md", "frechet_effects.png"} & second
    there = {path.name for path in made.folder.iterdir() if path.is_file()}
    drawn = {Path(name).stem for name in second if name.endswith(".png")}
    assert there - second - {"results.jsonl", "ablation.json", "mine.png"} <= {f"{name}.svg" for name in drawn}


def test_paired_difference_uses_common_latents(bench):
    made = bench()
    common = influence(0, 10)
    a, b = common + influence(1, 1), common + influence(2, 1)
    made.point({"solver": "a", "nfe": 7}, 3.0, a)
    made.point({"solver": "b", "nfe": 7}, 3.5, b)
    study = made.study()
    found = difference(study, *study.entries, "frechet")
    expected = float((a.double() - b.double()).std()) / N**0.5
    assert found.paired
    assert found.value == -0.5
    assert found.se == pytest.approx(expected, rel=1e-6)
    assert found.p == pytest.approx(math.erfc(0.5 / expected / 2**0.5))
    assert found.se < 0.2 * math.hypot(study.entries[0].se("frechet"), study.entries[1].se("frechet"))


def test_a_report_of_compact_results_is_the_same(bench):
    made, common = bench(), influence(0, 10)
    for i, solver in enumerate("abc"):
        made.point({"solver": solver, "nfe": 7}, 3.0 + i / 10, common + influence(i + 1, 1.0))
    before = [difference(made.study(), *pair, "frechet") for pair in combinations(made.study().entries, 2)]
    made.results.compact()
    after = [difference(made.study(), *pair, "frechet") for pair in combinations(made.study().entries, 2)]
    assert [gap.se for gap in after] == pytest.approx([gap.se for gap in before], rel=1e-5)
    assert all(gap.paired for gap in after)


@pytest.mark.parametrize("how", ["other seed", "damaged", "not kept", "reduced alone"])
def test_unpaired_where_pairing_is_impossible(bench, how):
    made = bench(claims=[less({"solver": "a"}, {"solver": "b"})])
    made.point({"solver": "a", "nfe": 7}, 3.0, influence(0, 1))
    if how == "reduced alone":
        made.results.compact()
    made.point({"solver": "b", "nfe": 7}, 3.5, influence(1, 1), seed=1 if how == "other seed" else 0)
    path = made.folder / "artefacts" / f"{1:016x}.safetensors"
    if how == "damaged":
        path.write_bytes(path.read_bytes()[:-40])
    if how == "not kept":
        path.unlink()
    study = made.study()
    if how == "damaged":
        with pytest.warns(UserWarning, match="damaged"):
            found = difference(study, *study.entries, "frechet")
    else:
        found = difference(study, *study.entries, "frechet")
    assert not found.paired
    assert found.se == pytest.approx(math.hypot(*(e.se("frechet") for e in study.entries)))
    assert "1 of these comparisons is unpaired" in tables(study, "frechet")[0].caption
    assert "(unpaired)" in verdicts(study)[0].numbers


def test_bold_is_what_does_not_differ_significantly_from_the_best(bench):
    made, common = bench(), influence(0, 10)
    for i, (solver, value) in enumerate((("best", 3.0), ("as good", 3.05), ("worse", 4.0))):
        made.point({"solver": solver, "nfe": 7}, value, common + influence(i + 1, 1.0))
    made.point({"solver": "best", "nfe": 11}, 2.0, common)
    made.point({"solver": "worse", "nfe": 11}, 2.0, common, finished=False)
    (table,) = tables(made.study(), "frechet")
    assert table.header == ["FD-x at NFE", "7", "11"]
    bold = {row[0].text: [cell.best for cell in row[1:]] for row in table.rows}
    assert bold == {"best": [True, True], "as good": [True, False], "worse": [False, False]}
    texts = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert texts["worse"][1] == "missing"
    assert texts["as good"][1] == ""  # not asked for


def test_without_standard_errors_only_the_lowest_is_bold(bench):
    made = bench()
    for solver, value in (("a", 3.0), ("b", 3.000001)):
        made.point({"solver": solver, "nfe": 7}, value)
    (table,) = tables(made.study(), "frechet")
    assert [row[1].best for row in table.rows] == [True, False]
    assert "without standard errors" in table.caption


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"images": 800}, "numbers of images"),
        ({"protocol": "FD-y"}, "protocols"),
        ({"data": "faces"}, "references"),
        ({"labels": "balanced"}, "label policies"),
        ({"record": {"hash": "b", "resize": "bilinear"}}, "resizes"),
        ({"record": {"hash": "c", "reference": {"content": "other"}}}, "reference contents"),
    ],
)
def test_what_cannot_be_compared_never_shares_a_table_or_a_plot(bench, other, why):
    made = bench(claims=[less({"solver": "a"}, {"solver": "b"})])
    made.point({"solver": "a", "nfe": 7}, 3.0)
    made.point({"solver": "b", "nfe": 7}, 4.0, **other)
    study = made.study()
    found = tables(study, "frechet")
    assert [[row[0].text for row in table.rows] for table in found] == [["a"], ["b"]]
    start = f"This table is separate because values of different {why} cannot be compared. FD-"
    assert all(table.caption.startswith(start) for table in found)
    assert [[curve.name for curve in panel.curves] for panel in panels(study, "frechet")] == [["a"], ["b"]]
    assert verdicts(study)[0].outcome == "not computed"


def test_lines_of_before_protocols_were_recorded_stay_in_the_table(bench):
    made = bench()
    made.point({"solver": "a", "nfe": 7}, 3.0, record=None)
    made.point({"solver": "b", "nfe": 7}, 4.0)
    (table,) = tables(made.study(), "frechet")
    assert len(table.rows) == 2
    assert "reference digits: value" in table.caption


def test_the_caption_names_the_protocol(bench):
    made = bench()
    made.point({"solver": "a", "nfe": 7}, 3.0)
    (table,) = tables(made.study(), "frechet")
    assert "reference digits (train, 1,797 images), protocol a: value" in table.caption


def test_without_a_budget_all_points_are_listed(bench):
    made = bench(["time_steps.rho"])
    for rho in (3.0, 7.0):
        made.point({"time_steps.rho": rho}, rho, influence(1, 1), nfe=35)
    (table,) = tables(made.study(), "frechet")
    assert table.header == ["configuration", "NFE", "FD-x"]
    assert [[cell.text for cell in row[:2]] for row in table.rows] == [["rho=3", "35"], ["rho=7", "35"]]


def test_repeats_give_mean_and_spread(bench):
    made = bench()
    for seed, value in enumerate((3.0, 4.0, 5.0)):
        made.point({"solver": "a", "nfe": 7}, value, influence(seed, 1), seed=seed)
    (entry,) = made.study().entries
    assert entry.value("frechet") == 4.0
    assert entry.spread("frechet") == 1.0
    assert entry.se("frechet") == pytest.approx(1 / 3**0.5)  # they scatter more than their own errors of 0.05 say
    ((cell,),) = [row[1:] for row in tables(made.study(), "frechet")[0].rows]
    assert cell.text == "4.00 ± 0.58 (1.0)"


def test_repeats_that_agree_have_the_errors_of_their_images(bench):
    made = bench()
    scores = [influence(seed, 20) for seed in range(2)]
    for seed in range(2):
        made.point({"solver": "a", "nfe": 7}, 4.0 + seed / 100, scores[seed], seed=seed)
        made.point({"solver": "b", "nfe": 7}, 5.0, scores[seed] + influence(seed + 5, 1), seed=seed)
    study = made.study()
    a, b = study.entries
    assert a.se("frechet") == pytest.approx(math.hypot(*(float(s.double().std()) / N**0.5 for s in scores)) / 2)
    found = difference(study, a, b, "frechet")
    gaps = [float(influence(seed + 5, 1).double().std()) / N**0.5 for seed in range(2)]
    assert found.paired
    assert found.se == pytest.approx(math.hypot(*gaps) / 2, rel=1e-4)


def test_a_seed_that_is_missing_is_said_and_the_others_are_compared(bench):
    made = bench()
    for seed in range(2):
        made.point({"solver": "a", "nfe": 7}, 4.0 + seed, influence(seed, 1), seed=seed)
        made.point({"solver": "b", "nfe": 7}, 5.0, influence(seed, 1), seed=seed, finished=seed == 0)
    study = made.study()
    assert difference(study, *study.entries, "frechet").value == -1.0  # seed 0 against seed 0
    (table,) = tables(study, "frechet")
    assert [row[1].text for row in table.rows] == ["4.50 ± 0.50 (0.71)", "5.000 ± 0.050 [1 of 2 seeds]"]
    assert gaps(study).points == ["missing: solver=b, nfe=7 (1 of 2 seeds)"]


VERDICTS = [(3.0, 4.0, "holds"), (4.0, 3.0, "does not hold"), (3.0, 3.02, "undecided")]


@pytest.mark.parametrize(("a", "b", "verdict"), VERDICTS)
def test_verdicts(bench, a, b, verdict):
    made = bench(claims=[less({"solver": "a"}, {"solver": "b"}), less({"solver": "c"}, {"solver": "a"})])
    common = influence(0, 10)
    made.point({"solver": "a", "nfe": 7}, a, common + influence(1, 1))
    made.point({"solver": "b", "nfe": 7}, b, common + influence(2, 1))
    made.point({"solver": "c", "nfe": 7}, 1.0, finished=False)
    first, second = verdicts(made.study())
    assert (first.outcome, second.outcome) == (verdict, "not computed")
    assert f", n = {N}." in first.numbers
    assert ("would decide the claim" in first.numbers) == (verdict == "undecided")


def test_images_that_would_decide_an_undecided_claim(bench):
    """The standard error falls as 1/sqrt(n): z = 1 at 400 images is 1.96 + 0.84 at 3,140."""
    made = bench(claims=[less({"solver": "a"}, {"solver": "b"})])
    a, b = influence(1, 1), influence(2, 1)
    se = float((a.double() - b.double()).std()) / N**0.5
    made.point({"solver": "a", "nfe": 7}, 3.0, a)
    made.point({"solver": "b", "nfe": 7}, 3.0 + se, b)
    (found,) = verdicts(made.study())
    assert found.numbers.endswith(
        "If the estimates stayed the same, about 3,100 images would decide the claim with a probability of 80 %."
    )


def test_a_claim_of_many_points_compares_like_with_like(bench):
    """Heun at 35 evaluations is not compared with Euler at 7, and one contradicted pair decides the claim."""
    made = bench(claims=[less({"solver": "heun"}, {"solver": "euler"})])
    for nfe, heun, euler in ((7, 80.0, 30.0), (35, 3.0, 4.0)):
        made.point({"solver": "heun", "nfe": nfe}, heun, influence(1, 1))
        made.point({"solver": "euler", "nfe": nfe}, euler, influence(2, 1))
    made.point({"solver": "heun", "nfe": 51}, 0.0, finished=False)
    made.point({"solver": "euler", "nfe": 51}, 0.0, finished=False)
    (found,) = verdicts(made.study())
    assert [statement.z.item() > 0 for statement in found.statements] == [True, False]
    assert "(solver=heun, nfe=7) against 30.000 ± 0.050 (solver=euler, nfe=7)" in found.numbers
    assert (found.outcome, found.where) == ("holds in part", "holds at 35, not at 7, not computed at 51")
    assert "Difference at each budget: 50.000 ± 0.067 at 7, -1.000 ± 0.067 at 35." in found.numbers


@pytest.mark.parametrize("value", [None, "inf"])
def test_a_diverged_trial_is_shown_and_left_out(bench, value):
    made = bench(claims=[less({"solver": "a"}, {"solver": "b"})])
    made.point({"solver": "a", "nfe": 7}, 3.0, influence(0, 1))
    made.point({"solver": "b", "nfe": 7}, value, se=value)
    (table,) = tables(made.study(), "frechet")
    assert [(row[1].text, row[1].best) for row in table.rows][1] == ("nan" if value is None else "inf", False)
    assert table.rows[0][1].best
    assert [curve.name for curve in panels(made.study(), "frechet")[0].curves] == ["a"]
    assert verdicts(made.study())[0].outcome == "not computed"
    write(made.folder)
    assert f"| b | {table.rows[1][1].text} |" in (made.folder / "table.md").read_text().splitlines()


ODD = ["_hidden", "$x^2$ and $", "a|b*`<i>", "a name that " + "goes on " * 20, "two\nlines", "数"]


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (["one"], (5.0, 3.0)),
        (["a", "b", "c"], (900.0, 0.002)),
        ([f"c{i}" for i in range(12)], (2.0, -0.5)),
        ([f"c{i}" for i in range(30)], (2.0, 0.0)),
        (ODD, (1e-7, 1e-9)),
    ],
)
@pytest.mark.filterwarnings("ignore:Glyph")
def test_every_file_is_written(bench, names, values):
    made = bench(claims=[less({"solver": names[0]}, {"solver": names[0], "nfe": 7})])
    for (i, name), (nfe, value) in product(enumerate(names), zip((7, 35), values, strict=True)):
        made.point({"solver": name, "nfe": nfe}, value * (1 + i / 10), influence(i, abs(value)))
    written = {path.name for path in write(made.folder, formats=("svg",))}
    figures = {"frechet_vs_nfe"} | ({"frechet_effects", "frechet_quality"} if len(names) > 1 else set())
    figures |= {"frechet_pareto"} if len(names) > 1 and min(values) > 0 else set()
    plots = {f"{name}.{kind}" for name in figures for kind in ("png", "svg")}
    pages = PAGES | ({"samples_difference.png"} | COMPARED if len(names) > 1 else set())
    assert written == {"samples.png", "claims.md", "index.html"} | plots | pages
    with Image.open(made.folder / "frechet_vs_nfe.png") as picture:
        assert picture.info["dpi"] == pytest.approx((200, 200), abs=0.1)
        assert picture.width == 700
    assert "<dc:date>" not in (made.folder / "frechet_vs_nfe.svg").read_text()


@pytest.mark.filterwarnings("ignore:Glyph")
def test_odd_labels_are_escaped(bench):
    made = bench(claims=[{"say": "a|b <b>", "expect": less({"solver": "x"}, {"solver": "y"})["expect"]}])
    made.about["question"] = "# <script>?"
    for name in ODD:
        made.point({"solver": name, "nfe": 7}, 1.0)
    write(made.folder)
    text = (made.folder / "table.md").read_text()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| ")]
    assert {len(row) for row in rows} == {2}
    names = [row[0].strip() for row in rows[2:]]
    assert names == [escape(name) for name in ODD]
    assert names[2] == "a\\|b\\*\\`\\<i\\>"
    assert names[4] == "two lines"
    assert text.splitlines()[2] == "\\# \\<script\\>?"
    assert "a\\|b \\<b\\>" in (made.folder / "claims.md").read_text()
    with (made.folder / "table.csv").open(newline="") as file:
        assert [row["solver"] for row in csv.DictReader(file)] == [one_line(name) for name in ODD]
    assert escape("&amp;") == "&amp;amp;"


def test_without_any_result_the_report_says_what_is_missing(bench):
    made = bench()
    made.point({"solver": "a", "nfe": 7}, 0.0, finished=False)
    write(made.folder)
    assert "missing: solver=a, nfe=7" in (made.folder / "table.md").read_text()


def test_rows_that_cannot_be_used_are_skipped_and_named(bench):
    made = bench()
    made.point({"solver": "a", "nfe": 7}, 3.0)
    made.point({"solver": "b", "nfe": 7}, 3.0, nfe=None)
    with pytest.warns(UserWarning, match=r"results\.jsonl:2: not a result, skipped \(no usable 'nfe': None is not"):
        assert [entry.config for entry in made.study().entries] == ["a"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", "not the description"),
        ('{"schema": 2}', "schema 2 instead of 1, from a later version: update designspace$"),
        ('{"schema": 0}', "schema 0 instead of 1, from an earlier version: run the ablation again$"),
        ('{"schema": 1}', "no usable 'name'"),
    ],
)
def test_a_damaged_description_is_a_clear_error(tmp_path, text, error):
    (tmp_path / "ablation.json").write_text(text)
    with pytest.raises(DataError, match=rf"ablation\.json: .*{error}"):
        write(tmp_path)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"axes": ["solver", ["nfe"]]}, "no usable 'axes.1': .*"),
        ({"baseline_axes": []}, "no usable 'baseline_axes': .*"),
        ({"claims": [{"say": "x", "expect": []}]}, "no usable 'claims.0.expect': .*"),
        ({"points": [{"id": [1], "axes": {"solver": "a", "nfe": 7}}]}, "no usable 'points.0.id': .*"),
        ({"points": [{"id": "0", "axes": {"solver": {}, "nfe": 7}}]}, ".*the value of axis 'solver' is not text, .*"),
        (
            {"points": [{"id": "0", "axes": {"solver": "a", "nfe": 10**400}}]},
            ".*the value of axis 'nfe' is not .*",
        ),
        ({"points": [{"id": "0", "axes": {"solver": "a"}}]}, "a point has no value on the axis 'nfe'"),
    ],
)
def test_a_description_of_another_shape_is_a_clear_error(bench, changed, error):
    made = bench()
    made.point({"solver": "a", "nfe": 7}, 3.0)
    (made.folder / "ablation.json").write_text(json.dumps(made.about | changed))
    with pytest.raises(
        DataError, match=rf"ablation\.json: not the description of an ablation \({error}\); run the ablation again"
    ):
        write(made.folder)


@pytest.mark.parametrize("expect", [{"less": [3, {}]}, {"less": [{}]}, {"monotone": "decreasing"}, {"within": 3}])
def test_a_claim_that_is_written_otherwise_is_not_computed(bench, expect):
    made = bench(claims=[{"say": "odd", "expect": expect | {"metric": "frechet"}}])
    made.point({"solver": "a", "nfe": 7}, 3.0, se=0.1)
    made.point({"solver": "b", "nfe": 7}, 4.0, se=0.1)
    assert [(verdict.outcome, verdict.numbers) for verdict in verdicts(made.study())] == [
        ("not computed", "This version of designspace does not know this kind of claim.")
    ]


@pytest.mark.parametrize(
    ("value", "se", "text"),
    [
        (12.3456, 0.234, "12.35"),
        (12.3456, 2.34, "12.3"),
        (0.00123, 4.5e-5, "0.001230"),
        (29654.3, 1315.0, "29700"),
        (3.4, 1e-15, "3.400000"),
        (3.4, None, "3.4"),
        (-0.001, 0.68, "0.00"),
        (math.inf, 1.0, "inf"),
    ],
)
def test_values_are_rounded_to_two_digits_of_their_error(value, se, text):
    assert number(value, se) == text


def test_values_with_errors():
    assert measured(-0.206, 0.0401) == "-0.206 ± 0.040"
    assert measured(1.2e-7, 3.4e-9) == "(1.200 ± 0.034)e-7"
    assert measured(29654.3, 1315.0) == "29700 ± 1300"
    assert measured(math.nan, None) == "nan"


def test_names_of_configurations():
    assert config_name({"solver": "heun"}) == "heun"
    assert config_name({"solver": "heun", "time_steps.rho": 7.0}) == "heun, rho=7"
    assert config_name({"c_in": "edm", "c_out": "vp"}) == "c_in=edm, c_out=vp"
    assert config_name({"variant": "solver=heun", "data": "digits"}) == "solver=heun, data=digits"
    assert config_name({}) == "baseline"


def _two(bench, tmp_path, **second):
    made = bench()
    other = Bench(tmp_path / "reports" / "other", ["solver", "rho", "nfe"])
    other.folder.mkdir(parents=True)
    made.point({"solver": "heun", "nfe": 7}, 5.0, influence(0, 2.0))
    made.point({"solver": "euler", "nfe": 7}, 9.0, influence(1, 2.0))
    for k in range(2):  # ids are those of the place
        other.point({"solver": f"{k}", "rho": 3, "nfe": 7}, 0.0, finished=False)
    other.point({"solver": "heun", "rho": 3, "nfe": 7}, 5.5, influence(0, 2.0) + influence(2, 0.1), **second)
    return made.study(), other.study()


def test_ablations_of_one_protocol_are_one_table_and_are_paired(bench, tmp_path):
    one, two = _two(bench, tmp_path)
    whole = merge([one, two], tmp_path / "reports")
    assert [entry.config for entry in whole.entries] == ["study, heun", "study, euler", "other, heun, rho=3"]
    gap = difference(whole, whole.entries[2], whole.entries[0], "frechet")
    assert gap.paired
    assert gap.se == pytest.approx(0.1 / N**0.5, rel=0.1)
    (table,) = tables(whole, "frechet")
    assert table.header == ["FD-x at NFE", "7"]
    write(whole)
    assert "study, heun" in (tmp_path / "reports" / "study+other" / "table.md").read_text()
    assert tmp_path / "reports" / "study+other" not in find(tmp_path / "reports")


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ({"protocol": "FD-y"}, "values of different protocols cannot be compared (ablation=study: FD-x"),
        ({"data": "faces"}, "values of different references cannot"),
        ({"record": {"hash": "b", "resize": "bilinear"}}, "values of different resizes cannot"),
        ({"record": None}, "an earlier version wrote the results of other without their full protocol"),
    ],
)
def test_ablations_of_different_protocols_are_not_merged(bench, tmp_path, second, why):
    with pytest.raises(DataError, match=re.escape(why)):
        merge(_two(bench, tmp_path, **second), tmp_path)


def test_a_watched_report_is_written_again_until_all_is_there(recorded, tmp_path):
    lines = (recorded / "results.jsonl").read_text().splitlines(keepends=True)
    (recorded / "results.jsonl").write_text("".join(lines[:2]))
    points = json.loads((recorded / "ablation.json").read_text())
    points["points"] = [p for p in points["points"] if p["axes"]["solver"] != "ab"]
    (recorded / "ablation.json").write_text(json.dumps(points))
    (recorded / "failures.jsonl").unlink(missing_ok=True)
    command = [sys.executable, "-m", "designspace", "report", "recorded", "--watch", "--out", str(recorded.parent)]
    table = recorded / "table.md"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _until(lambda: table.is_file() and "4 of 6 points are not complete" in table.read_text(), process)
        page = recorded / "index.html"
        _until(lambda: page.is_file() and 'http-equiv="refresh"' in page.read_text(), process)
        with (recorded / "results.jsonl").open("a") as file:
            file.write(lines[2])
        _until(lambda: "3 of 6 points are not complete" in table.read_text(), process)
        claims = recorded / "claims.md"
        _until(lambda: "(preliminary)" in claims.read_text() and LIVE in claims.read_text(), process)
        with (recorded / "results.jsonl").open("a") as file:
            file.writelines(lines[3:6])
        assert process.wait(60) == 0
    finally:
        process.kill()
    assert "not complete" not in table.read_text() + claims.read_text()
    assert 'http-equiv="refresh"' not in page.read_text()


def _until(true, process):
    end = time.monotonic() + 60
    while not true():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)
