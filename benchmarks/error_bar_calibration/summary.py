"""Statistics of the draws of a cell: coverage, ratios of standard errors, bias."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cells import Cell

Row = dict[str, Any]
Z = 1.959963984540054
BAND = (0.93, 0.97)
INTERVALS = {
    "raw": "raw value, for its expectation at n",
    "corrected": "bias_corrected, for the true distance",
    "paired": "paired difference, for its expectation at n",
    "raw_of_truth": "raw value, for the true distance",
    "paired_of_truth": "paired difference, for the true difference",
}
CORRECTIONS = ("value", "one_term", "jackknife", "line", "bias_corrected")


def row(cell: Cell, found: Mapping[str, np.ndarray]) -> Row:
    """The numbers of a cell, all that the report is made of."""
    value, se, truth = found["value"], found["se"], found["truth"]
    corrected, own = found["bias_corrected"], found["bias_corrected_se"]
    about = {"family": cell.family, "difference": cell.difference, "d": cell.d, "n": cell.n, "draws": len(value)}
    about |= {"asked": cell.draws}
    about |= {"truth": float(truth[0]), "expectation": float(value.mean()), "sd": float(value.std(ddof=1))}
    covered = {"raw": _covered(value, se, value.mean()), "corrected": _covered(corrected, own, truth)}
    covered["raw_of_truth"] = _covered(value, se, truth)
    ratios = {"raw": _ratio(se, value), "corrected": _ratio(own, corrected)}
    if "difference" in found:
        gap, gap_se = found["difference"], found["difference_se"]
        covered["paired"] = _covered(gap, gap_se, gap.mean())
        covered["paired_of_truth"] = _covered(gap, gap_se, found["true_difference"])
        ratios["paired"] = _ratio(gap_se, gap)
    about |= {f"covered_{name}": covered.get(name, "") for name in INTERVALS}
    about |= {f"se_over_sd_{name}": ratios.get(name, "") for name in ("raw", "corrected", "paired")}
    compared = ~np.isnan(found["jackknife"])
    about["compared"] = int(compared.sum())
    for name in CORRECTIONS:
        error = (found[name] - truth)[compared]
        about |= {f"bias_{name}": float(error.mean()), f"rmse_{name}": float(np.sqrt(np.square(error).mean()))}
    about["bias_error"] = float(corrected[compared].std(ddof=1)) / math.sqrt(int(compared.sum()))
    return about


def _covered(value: np.ndarray, se: np.ndarray, of: np.ndarray | float) -> int:
    return int((np.abs(value - of) <= Z * se).sum())


def _ratio(se: np.ndarray, value: np.ndarray) -> float:
    return float(np.sqrt(np.square(se).mean()) / value.std(ddof=1))


def interval(covered: int, draws: int) -> tuple[float, float]:
    """The 95 % interval of a proportion: Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953."""
    p, z = covered / draws, Z**2 / draws
    middle, half = (p + z / 2) / (1 + z), Z * math.sqrt(p * (1 - p) / draws + z / (4 * draws)) / (1 + z)
    return middle - half, middle + half


def verdict(covered: int, draws: int) -> str:
    """Empty if the proportion is within 93 to 97 %; brackets if chance could have put it outside."""
    p, (low, high) = covered / draws, interval(covered, draws)
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
