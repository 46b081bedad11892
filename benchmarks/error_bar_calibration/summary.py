"""Statistics of the draws of a cell: coverage, ratios of standard errors, bias."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from cells import Cell
from scipy.stats import chi2

from designspace.results.uncertainty import Z, counted_once, interval

Row = dict[str, Any]
Numbers = np.ndarray
BAND = (0.92, 0.98)
INTERVALS = {
    "raw": "raw value, for its expectation at n",
    "corrected": "bias_corrected, for the true distance",
    "both": "both_corrected, for the true distance",
    "equal": "difference of two equal trials, for 0",
    "paired": "difference of two trials, for its expectation at n",
}
CORRECTIONS = ("value", "one_term", "jackknife", "line", "bias_corrected")
Rule = Callable[[Numbers, Numbers, Numbers], tuple[Numbers, Numbers]]
"""From raw values, standard errors and skews, the distances of both ends of the interval from the estimate, ``[R]``."""

_once = np.vectorize(counted_once)
_interval = np.vectorize(interval)


def row(cell: Cell, found: Mapping[str, Numbers]) -> Row:
    """The numbers of a cell, all that the report is made of."""
    value, truth = found["value"], found["truth"]
    about: Row = {"family": cell.family, "difference": cell.difference, "d": cell.d, "n": cell.n, "m": cell.m}
    about |= {"draws": len(value), "asked": cell.draws, "truth": float(truth[0])}
    about |= {"expectation": float(value.mean()), "sd": float(value.std(ddof=1))}
    about |= {"effective": float(np.median(found["effective"])) if "effective" in found else ""}
    covered, ratios = {}, {}
    for name, (estimate, se, skew, of) in _estimates(found).items():
        low, high = _interval(estimate, se, skew)
        covered[name], ratios[name] = int(((low <= of) & (of <= high)).sum()), _ratio(se, estimate)
    about |= {f"covered_{name}": covered.get(name, "") for name in INTERVALS}
    about |= {f"se_over_sd_{name}": ratios.get(name, "") for name in INTERVALS}
    for name, rule in RULES.items():
        about |= {f"{name}_{which}": share for which, share in _shares(name, rule, found).items()}
    return about | _biases(found)


def _estimates(found: Mapping[str, Numbers]) -> dict[str, tuple[Numbers, Numbers, Numbers | float, Numbers | float]]:
    """Estimates with their standard errors and skews, and what they estimate."""
    value, skew, truth = found["value"], found["skew"], found["truth"]
    once = _once(found["first"], found["pairs"])
    without = np.sqrt(once + found["pairs"] / 9)
    if "both_corrected" in found:
        return {"both": (found["both_corrected"], without, skew, truth)}
    estimates = {"raw": (value, np.sqrt(once), skew, value.mean())}
    estimates |= {"corrected": (found["bias_corrected"], without, skew, truth)}
    for name, arm in (("equal", "equal"), ("paired", "other")):
        if f"{arm}_difference" in found:
            gap = found[f"{arm}_difference"]
            se = np.sqrt(_once(found[f"{arm}_first"], found[f"{arm}_pairs"]))
            estimates[name] = gap, se, 0.0, 0.0 if arm == "equal" else gap.mean()
    return estimates


def _biases(found: Mapping[str, Numbers]) -> Row:
    if "jackknife" not in found:
        error = found["both_corrected"] - found["truth"]
        about = {f"{what}_{name}": "" for name in CORRECTIONS for what in ("bias", "rmse")}
        return about | {"bias_both": float(error.mean()), "bias_error": float(error.std(ddof=1)) / len(error) ** 0.5}
    compared, about = ~np.isnan(found["jackknife"]), {}
    for name in CORRECTIONS:
        error = (found[name] - found["truth"])[compared]
        about |= {f"bias_{name}": float(error.mean()), f"rmse_{name}": float(np.sqrt(np.square(error).mean()))}
    error = found["bias_corrected"][compared]
    return about | {"bias_both": "", "bias_error": float(error.std(ddof=1)) / len(error) ** 0.5}


def _ratio(se: Numbers, value: Numbers) -> float:
    return float(np.sqrt(np.square(se).mean()) / value.std(ddof=1))


def _shares(name: str, rule: Rule, found: Mapping[str, Numbers]) -> Row:
    """The coverage of a rule, for the raw and for the corrected value."""
    if "bias_corrected" not in found:
        return {"raw": "", "corrected": ""}
    once = found["first"] if name == "influences" else _once(found["first"], found["pairs"])
    errors = {"raw": found["value"].mean() - found["value"], "corrected": found["truth"] - found["bias_corrected"]}
    shares: Row = {}
    for which, variance in (("raw", once), ("corrected", once + found["pairs"] / 9)):
        low, high = rule(found["value"], np.sqrt(variance), found["skew"])
        shares[which] = float(((low <= errors[which]) & (errors[which] <= high)).mean())
    return shares


def _linear(value: Numbers, se: Numbers, skew: Numbers) -> tuple[Numbers, Numbers]:
    return -Z * se, Z * se


def _log(value: Numbers, se: Numbers, skew: Numbers) -> tuple[Numbers, Numbers]:
    return value * np.expm1(-Z * se / value), value * np.expm1(np.minimum(Z * se / value, 50))


def _chi_square(value: Numbers, se: Numbers, skew: Numbers) -> tuple[Numbers, Numbers]:
    degrees = 2 * value**2 / se**2
    low, high = (value * (degrees / chi2.ppf(p, degrees) - 1) for p in (0.975, 0.025))
    return low, high


def _moved(value: Numbers, se: Numbers, skew: Numbers) -> tuple[Numbers, Numbers]:
    low, high = _interval(0.0, se, skew)
    return low, high


RULES: dict[str, Rule] = {
    "influences": _linear,
    "pairs once": _linear,
    "logarithm": _log,
    "chi-square": _chi_square,
    "skew": _moved,
}
"""Intervals: value +- 1.96 se, with the standard error of the influences alone or with pairs counted once; of the
logarithm of the value; of a multiple of a chi-square variable with the same mean and variance; and the one in use."""


def binomial(covered: int, draws: int) -> tuple[float, float]:
    """The 95 % interval of a proportion: Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953."""
    p, z = covered / draws, Z**2 / draws
    middle, half = (p + z / 2) / (1 + z), Z * math.sqrt(p * (1 - p) / draws + z / (4 * draws)) / (1 + z)
    return middle - half, middle + half


def verdict(covered: int, draws: int) -> str:
    """Empty if the proportion is within 92 to 98 %; brackets if chance could have put it outside."""
    p, (low, high) = covered / draws, binomial(covered, draws)
    if BAND[0] <= p <= BAND[1]:
        return ""
    word = "low" if p < BAND[0] else "high"
    return word if high < BAND[0] or low > BAND[1] else f"({word})"


def save(path: Path, rows: list[Row]) -> None:
    """As CSV."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: f"{v:.6g}" if isinstance(v, float) else v for key, v in row.items()} for row in rows)


def read(path: Path) -> list[Row]:
    """The rows that ``save`` wrote, with six digits."""
    with path.open(newline="") as file:
        return [{key: _number(text) for key, text in line.items()} for line in csv.DictReader(file)]


def _number(text: str) -> str | int | float:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
