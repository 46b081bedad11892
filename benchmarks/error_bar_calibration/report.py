"""The report: cells.csv, README.md, coverage and bias as figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from cells import Cell
from figures import bias, coverage
from summary import INTERVALS, Row, interval, row, save, verdict

from designspace.drawing.files import saved
from designspace.drawing.look import style

INTRODUCTION = """\
# Do the error bars hold?

This report is made by `python benchmarks/error_bar_calibration/run.py`. It is seeded, and [cells.csv](cells.csv) has
all numbers. A 95 % interval is value ± 1.96 standard errors and should contain the true value in 95 % of draws; for
n >= 10 d, 93 to 97 % is considered good. *Low* and *high* mark coverages outside of this range, in brackets if the
binomial 95 % interval of the coverage reaches into it.

- **raw**: the Fréchet distance with its standard error, as an estimate of its mean over draws *of the same n*.
- **corrected**: `bias_corrected` with its own standard error, as an estimate of the true distance (n to infinity).
- **paired**: the difference from a second trial on the same latents, as an estimate of its mean for the same n.

The Gaussians have standard deviations that decrease as k^(-1/2), and a known reference. They are *equal* to it, or
shifted and stretched in every dimension: *near* by 0.1 standard deviations and a factor of 1.05, *apart* by 0.3 and
1.2, *far* by 1 and 1.5. The second trial is 2 % wider, with latents that have a correlation of 0.99. The cells called
lite0 draw, with replacement, from the features of all images of a set, which are then the whole distribution. The
reference is the first 10,000 images of Fashion-MNIST's training set; for d = 64, features are their first principal
components. The sets are the 10,000 images of its *test* set (second trial: the same images with noise of 2 of 255), the
1,797 *digits*, and, for *equal*, the images of the reference themselves.
"""
METHOD = """\
## Method

The standard error of the raw value is std(IF) / sqrt(n) with the influence IF of each image. Its square contains the
variance of first order and, counted twice, the variance from pairs of images (Efron and Stein 1981,
https://doi.org/10.1214/aos/1176345462). If generated images are as good as the reference, only the variance from pairs
remains, and the standard error is too large by a factor of sqrt(2) or more. `bias_corrected_se` counts pairs once.

`bias_corrected` takes the term of the bias in 1/n from the second derivative of the distance and the fourth moments of
the images, and the term in 1/n^2 by Richardson extrapolation with random halves. It is available for n >= 3 d. It is
compared with the first term alone (*one term*), a *jackknife* over ten groups, and the *line* in 1/n through all images
and halves. For n < d, the standard error of the raw value is computed in the same way with a pseudo-inverse, and
`bias_corrected` is not available, because the distance has no expansion in 1/n.
"""


def write(out: Path, found: Mapping[Cell, Mapping[str, np.ndarray]], missing: list[str]) -> None:
    """Write all files into ``out``; ``missing`` are cells without draws."""
    rows = [row(cell, numbers) for cell, numbers in sorted(found.items(), key=lambda item: _order(item[0]))]
    out.mkdir(parents=True, exist_ok=True)
    save(out / "cells.csv", rows)
    (out / "README.md").write_text("\n".join(_page(rows, missing)))
    with style():
        for name, figure in (("coverage", coverage(rows)), ("bias", bias(rows))):
            for kind in ("png", "svg"):
                (out / f"{name}.{kind}").write_bytes(saved(figure, kind))


def _order(cell: Cell) -> tuple[str, bool, int, int, str]:
    return cell.family, cell.difference == "equal", cell.d, cell.n, cell.difference


def _page(rows: list[Row], missing: list[str]) -> Iterator[str]:
    yield INTRODUCTION
    yield "![coverage](coverage.png)\n"
    if few := [f"{_name(r)} ({r['draws']} of {r['asked']})" for r in rows if r["draws"] < r["asked"]]:
        yield f"Some draws are missing for {'; '.join(few)}.\n"
    if missing:
        yield f"Without any draws: {'; '.join(missing)}.\n"
    for title, chosen in (
        ("n >= 10 d, different distributions", [r for r in rows if r["n"] >= 10 * r["d"] and not _equal(r)]),
        ("n >= 10 d, equal distributions", [r for r in rows if r["n"] >= 10 * r["d"] and _equal(r)]),
        ("n below 10 d", [r for r in rows if r["n"] < 10 * r["d"]]),
    ):
        yield f"## {title}\n"
        yield from _tallies(chosen)
        yield from _table(chosen)
    yield "## Bias\n\n![bias](bias.png)\n"
    yield from _biases([r for r in rows if r["n"] >= 10 * r["d"]])
    yield METHOD


def _equal(r: Row) -> bool:
    return bool(r["difference"] == "equal")


def _tallies(rows: list[Row]) -> Iterator[str]:
    for name in ("raw", "corrected", "paired"):
        cells = [r for r in rows if r[f"covered_{name}"] != ""]
        words = [verdict(r[f"covered_{name}"], r["draws"]) for r in cells]
        good = words.count("")
        text = f"- {INTERVALS[name]}: within 93 to 97 % in {good} of {len(cells)} cells"
        outside = [f"{_name(r)} {_share(r, name)} {word}" for r, word in zip(cells, words, strict=True) if word]
        yield text + (f"; not in {'; '.join(outside)}." if outside else ".")
    yield ""


def _name(r: Row) -> str:
    return f"{r['family']} {r['difference']} d = {r['d']} n = {r['n']}"


def _share(r: Row, name: str) -> str:
    return f"{100 * r[f'covered_{name}'] / r['draws']:.1f} %"


def _table(rows: list[Row]) -> Iterator[str]:
    yield "| | d | n / d | draws | raw | corrected | paired | raw, for the truth | se / sd: raw | corrected | paired |"
    yield "| --- |" + " ---: |" * 10
    for r in rows:
        cells = [f"{r['family']} {r['difference']}", str(r["d"]), f"{r['n'] / r['d']:g}", str(r["draws"])]
        cells += [_cell(r, name) for name in ("raw", "corrected", "paired")]
        cells += ["" if r["covered_raw_of_truth"] == "" else _share(r, "raw_of_truth")]
        cells += [f"{r[key]:.2f}" if r[key] != "" else "" for key in r if key.startswith("se_over_sd")]
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _cell(r: Row, name: str) -> str:
    if r[f"covered_{name}"] == "":
        return ""
    low, high = interval(r[f"covered_{name}"], r["draws"])
    return f"{_share(r, name)} [{100 * low:.0f}, {100 * high:.0f}] {verdict(r[f'covered_{name}'], r['draws'])}".rstrip()


def _biases(rows: list[Row]) -> Iterator[str]:
    yield "Mean error and, in brackets, root mean square error, in standard deviations of the distance,"
    yield "over the first 500 draws of a Gaussian and 100 of lite0. The mean has a standard error of 0.04 and 0.1.\n"
    yield "| | d | n / d | true distance | raw | one term | jackknife | line | bias_corrected |"
    yield "| --- |" + " ---: |" * 8
    for r in rows:
        cells = [f"{r['family']} {r['difference']}", str(r["d"]), f"{r['n'] / r['d']:g}", f"{r['truth']:.4g}"]
        names = [key.removeprefix("bias_") for key in r if key.startswith("bias_") and key != "bias_error"]
        cells += [f"{r[f'bias_{name}'] / r['sd']:.2f} ({r[f'rmse_{name}'] / r['sd']:.2f})" for name in names]
        yield "| " + " | ".join(cells) + " |"
    yield ""
