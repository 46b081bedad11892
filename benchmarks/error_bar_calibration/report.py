"""The report: cells.csv, README.md, coverage and bias as figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from cells import Cell
from figures import bias, coverage
from summary import BAND, INTERVALS, RULES, Row, binomial, read, row, save, verdict

from designspace.drawing.files import saved
from designspace.drawing.look import style
from designspace.results.caveats import FEW

INTRODUCTION = f"""\
# Do the error bars hold?

This report is made by `python benchmarks/error_bar_calibration/run.py`. It is seeded, and [cells.csv](cells.csv) has
all numbers. A 95 % interval (`designspace.results.uncertainty.interval`) should contain the true value in 95 % of
draws; for n >= 10 d, 92 to 98 % is considered good. *Low* and *high* mark coverages outside of this range, in brackets
if the binomial 95 % interval of the coverage reaches into it.

- **raw**: the Fréchet distance, as an estimate of its mean over draws *of the same n*.
- **corrected**: `bias_corrected`, as an estimate of the true distance (n to infinity).
- **equal**: the difference from a second trial of the *same* distribution on correlated latents. Its intervals should
  contain 0; the other draws would be called significantly different, 5 % of them if the level holds.
- **paired**: the difference from a trial of another distribution, as an estimate of its mean for the same n.
- **both**: `both_corrected`, as an estimate of the true distance, where generated images and reference are both drawn.

The distributions have standard deviations that decrease as k^(-1/2), or, if *dominant*, are 1 in one direction and 0.1
in all others; the reference has the same standard deviations and known moments. Numbers are normal or, for *lognormal
w*, exponentials of normal numbers of standard deviation w, with mean 0 and variance 1; their kurtosis is 8.9 for 0.5
and 34 for 0.8, where that of the leading principal components of features of Fashion-MNIST is 2 to 6. Distributions are
*equal* to the reference (in mean and covariance), or shifted and stretched in every dimension: *near* by 0.1 standard
deviations and a factor of 1.05, *apart* by 0.3 and 1.2, *far* by 1 and 1.5. Equal trials have latents with a
correlation of 0.9; the other trial is 2 % wider, with latents that have a correlation of 0.99.

The cells called lite0 draw, with replacement, from the features of all images of a set, which are then the whole
distribution. The reference is the first 10,000 images of Fashion-MNIST's training set; for d < 320, features are their
first principal components. The sets are the 10,000 images of its *test* set (other trial: the same images with noise of
2 of 255), the 1,797 *digits*, and, for *equal*, the images of the reference themselves. Equal trials share nine tenths
of their images.

*Effective* is the median of the effective number of generated images, on which the standard error of the value rests. A
single draw does not show whether this number is right: draws without an image from the tail of the distribution have a
large one, and an interval that is too narrow. The warning of results with fewer than {FEW} therefore also considers the
images of the reference, if their features are known; here, only its moments are. No draw and no cell is left out.
"""
METHOD = """\
## Method

The standard error is computed from the influence of each image and from n second-order influences of pairs. The sample
variance of the influences counts the variance from pairs twice (Efron and Stein 1981,
https://doi.org/10.1214/aos/1176345462); it is subtracted once, and at least half of the variance from pairs is left.
For differences, this is done with the differences of influences and of pairs. The squared standard error of corrected
values has a ninth of the variance from pairs more.

Intervals of values are moved towards larger values by their `skew`. It is Johnson's correction for skewed numbers
(1978, Modified t tests and confidence intervals for asymmetrical populations, Journal of the American Statistical
Association 73) with the term for the second order of the expansion: the squared error of a sum of squares grows with
its value. Intervals of differences are symmetric.

`bias_corrected` takes the term of the bias in 1/n from the second derivative of the distance and the fourth moments of
the images, and the term in 1/n^2 by Richardson extrapolation with random halves. It is available for n >= 3 d. It is
compared with the first term alone (*one term*), a *jackknife* over ten groups, and the *line* in 1/n through all images
and halves. `both_corrected` adds the same term for the reference and takes halves of both sets. For n < 3 d, the
standard error is that of the influences alone, and no corrected values are available.
"""
HELPS = """\
The same cells with other intervals around the raw value, for its expectation at n, and around `bias_corrected`, for the
true distance: value ± 1.96 standard errors of the *influences* alone; with *pairs once*; the interval of the
*logarithm* of the value; the interval of a multiple of a *chi-square* variable with the same mean and variance; and
the one with *skew*, which is used. Symmetric intervals are too short at the upper end, because a value that is small
by chance has a small standard error. The logarithm and chi-square intervals help in few dimensions, but not where a
part of the value is constant, as with one dominant direction.
"""


def write(out: Path, found: Mapping[Cell, Mapping[str, np.ndarray]], missing: list[str]) -> None:
    """Write all files into ``out``; ``missing`` are cells without draws."""
    rows = [row(cell, numbers) for cell, numbers in sorted(found.items(), key=lambda item: _order(item[0]))]
    out.mkdir(parents=True, exist_ok=True)
    save(out / "cells.csv", rows)
    show(out, missing)


def show(out: Path, missing: list[str]) -> None:
    """Write the page and the figures from the numbers in cells.csv."""
    rows = read(out / "cells.csv")
    (out / "README.md").write_text("\n".join(_page(rows, missing)))
    one = [r for r in rows if not r["m"]]
    with style():
        for name, figure in (("coverage", coverage(one)), ("bias", bias([r for r in one if r["n"] >= 10 * r["d"]]))):
            (out / f"{name}.png").write_bytes(saved(figure, "png"))


def _order(cell: Cell) -> tuple[str, bool, int, int, int, str]:
    return cell.family, cell.difference == "equal", cell.d, cell.n, cell.m, cell.difference


def _page(rows: list[Row], missing: list[str]) -> Iterator[str]:
    yield INTRODUCTION
    yield "![coverage](coverage.png)\n"
    if few := [f"{_name(r)} ({r['draws']} of {r['asked']})" for r in rows if r["draws"] < r["asked"]]:
        yield f"Some draws are missing for {'; '.join(few)}.\n"
    if missing:
        yield f"Without any draws: {'; '.join(missing)}.\n"
    one = [r for r in rows if not r["m"]]
    enough = [r for r in one if r["n"] >= 10 * r["d"]]
    for title, chosen, names in (
        ("n >= 10 d", enough, ("raw", "corrected", "equal", "paired")),
        ("n = 3 d", [r for r in one if r["n"] < 10 * r["d"]], ("raw", "corrected", "equal", "paired")),
        ("Two samples", [r for r in rows if r["m"]], ("both",)),
    ):
        yield f"## {title}\n"
        yield from _tallies(chosen, names)
        yield from _table(chosen, names)
    yield "## What helps\n"
    yield HELPS
    yield from _rules(enough)
    yield "## Bias\n\n![bias](bias.png)\n"
    yield from _biases(enough)
    yield METHOD


def _tallies(rows: list[Row], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        cells = [r for r in rows if r[f"covered_{name}"] != ""]
        words = [verdict(r[f"covered_{name}"], r["draws"]) for r in cells]
        shares = sorted(100 * r[f"covered_{name}"] / r["draws"] for r in cells)
        text = f"- {INTERVALS[name]}: {shares[0]:.1f} % to {shares[-1]:.1f} %, within 92 to 98 % in"
        text += f" {words.count('')} of {len(cells)} cells"
        low, high = (
            [f"{_name(r)} {_share(r, name)} {word}" for r, word in zip(cells, words, strict=True) if which in word]
            for which in ("low", "high")
        )
        counts = f"; outside of it in {len(low) + len(high)} of {len(cells)} cells, below it in {len(low)}"
        yield f"{text}{counts if low or high else ''}."
        for side, outside in (("Below", low), ("Above", high)):
            if outside:
                yield f"  {side}: {'; '.join(outside)}."
    yield ""


def _name(r: Row) -> str:
    more = f" m = {r['m']}" if r["m"] else ""
    return f"{r['family']} {r['difference']} d = {r['d']} n = {r['n']}{more}"


def _share(r: Row, name: str) -> str:
    return f"{100 * r[f'covered_{name}'] / r['draws']:.1f} %"


def _table(rows: list[Row], names: Sequence[str]) -> Iterator[str]:
    two = names == ("both",)
    first = ["d", "n / d", *(["m / d", "true distance", "raw", "error of both"] if two else ["effective"]), "draws"]
    yield f"| | {' | '.join([*first, *names, *(f'se / sd: {name}' for name in names)])} |"
    yield "| --- |" + " ---: |" * (len(first) + 2 * len(names))
    for r in rows:
        cells = [f"{r['family']} {r['difference']}", str(r["d"]), f"{r['n'] / r['d']:g}"]
        cells += [*(_of_both(r) if two else [f"{r['effective']:.0f}"]), str(r["draws"])]
        cells += [_cell(r, name) for name in names]
        cells += [f"{r[f'se_over_sd_{name}']:.2f}" if r[f"se_over_sd_{name}"] != "" else "" for name in names]
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _of_both(r: Row) -> list[str]:
    numbers = [f"{r['m'] / r['d']:g}", *(f"{r[key]:.4f}" for key in ("truth", "expectation"))]
    return [*numbers, f"{r['bias_both']:.4f} ± {r['bias_error']:.4f}"]


def _cell(r: Row, name: str) -> str:
    if r[f"covered_{name}"] == "":
        return ""
    low, high = binomial(r[f"covered_{name}"], r["draws"])
    return f"{_share(r, name)} [{100 * low:.0f}, {100 * high:.0f}] {verdict(r[f'covered_{name}'], r['draws'])}".rstrip()


def _rules(rows: list[Row]) -> Iterator[str]:
    yield "| interval | raw: 92 to 98 % | lowest | highest | corrected: 92 to 98 % | lowest | highest |"
    yield "| --- |" + " ---: |" * 6
    for name in RULES:
        cells = [name]
        for which in ("raw", "corrected"):
            shares = sorted(r[f"{name}_{which}"] for r in rows)
            within = sum(BAND[0] <= share <= BAND[1] for share in shares)
            cells += [
                f"{within} of {len(shares)} cells",
                *(f"{100 * share:.1f} %" for share in (shares[0], shares[-1])),
            ]
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _biases(rows: list[Row]) -> Iterator[str]:
    yield "Mean error and, in brackets, root mean square error, in standard deviations of the distance, over the first"
    yield "200 draws. The mean has a standard error of 0.07, and of 0.1 for d = 320.\n"
    yield "| | d | n / d | true distance | raw | one term | jackknife | line | bias_corrected |"
    yield "| --- |" + " ---: |" * 8
    for r in rows:
        truth = f"{r['truth']:.4g}" if r["truth"] > 1e-9 else "0"
        cells = [f"{r['family']} {r['difference']}", str(r["d"]), f"{r['n'] / r['d']:g}", truth]
        names = [key.removeprefix("rmse_") for key in r if key.startswith("rmse_")]
        cells += [f"{r[f'bias_{name}'] / r['sd']:.2f} ({r[f'rmse_{name}'] / r['sd']:.2f})" for name in names]
        yield "| " + " | ".join(cells) + " |"
    yield ""
