"""How often the error bars of the Fréchet distance hold: draws from distributions whose distance is known.

    OMP_NUM_THREADS=1 python benchmarks/error_bar_calibration/run.py [--only lite0] [--out reports/error_bar_calibration]

Draws are kept in the cache, in chunks: a run that was stopped goes on, and several may run beside each other with a
different --only. The report is written from what there is. Fashion-MNIST comes with Debian's dataset-fashion-mnist.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import torch
from cells import Cell, Population, cells, population
from report import write
from torch import Tensor

import designspace as ds
from designspace.cache import Cache, content_key
from designspace.evaluation.bias import Expansion
from designspace.evaluation.measure import Sample
from designspace.evaluation.moments import Moments
from designspace.keyed import generator

CHUNK = {"gaussian": 250, "lite0": 20}
COMPARED = 400
"""Draws of each cell that other corrections are computed for."""
GROUPS = 10


def draws(cell: Cell, *, make: bool) -> dict[str, np.ndarray] | None:
    """The numbers of all draws of a cell; ``None`` if they are not all there and ``make`` is off."""
    chunk, kept = CHUNK[cell.family], Cache()
    found, source = [], None
    for start in range(0, cell.draws, chunk):
        key = content_key("error bars", cell.family, cell.difference, cell.d, cell.n, start, chunk, _version())
        one = kept.get("error bars", key)
        if one is None:
            if not make:
                return None
            source = source or population(cell)
            one = _drawn(cell, source, range(start, start + chunk))
            kept.put("error bars", key, one)
        found.append(one)
    return {name: torch.cat([one[name] for one in found]).numpy()[: cell.draws] for name in found[0]}


def _version() -> int:
    return ds.Metric.get("frechet").version


def _drawn(cell: Cell, source: Population, which: range) -> dict[str, Tensor]:
    rows = [_draw(cell, source, k) for k in which]
    found = {name: torch.tensor([row.get(name, np.nan) for row in rows], dtype=torch.float64) for name in rows[0]}
    return found | {"truth": torch.tensor([source.truth], dtype=torch.float64).expand(len(rows)).clone()}


def _draw(cell: Cell, source: Population, k: int) -> dict[str, float]:
    metric = ds.Metric.get("frechet")()
    one, other = source.draw(generator("error bars", cell.family, cell.difference, cell.d, cell.n, k), cell.n)
    measured = metric.measure(Sample(one), source.reference)
    row = {"value": measured.value, "se": measured.se or 0.0} | measured.extra
    if other is not None and source.other_truth is not None:
        second = metric.measure(Sample(other), source.reference)
        assert second.influence is not None
        assert measured.influence is not None
        se = float((second.influence - measured.influence).double().std()) / cell.n**0.5
        row |= {"difference": second.value - measured.value, "difference_se": se}
        row |= {"true_difference": source.other_truth - source.truth}
    return row | (_others(one, source.reference.moments, measured.value) if k < COMPARED else {})


def _others(x: Tensor, reference: Moments, value: float) -> dict[str, float]:
    """Corrections that were not chosen. The groups are of independent images."""
    parts = [Moments.of(part) for part in x.chunk(GROUPS)]
    without = [ds.frechet(_sum(parts[:i] + parts[i + 1 :]), reference) for i in range(GROUPS)]
    halves = [ds.frechet(Moments.of(half), reference) for half in x.chunk(2)]
    return {
        "jackknife": GROUPS * value - (GROUPS - 1) * float(np.mean(without)),
        "line": 2 * value - float(np.mean(halves)),
        "one_term": Expansion(x.double().numpy(), reference).corrected(),
    }


def _sum(parts: list[Moments]) -> Moments:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a regular expression: cells to compute, such as 'gaussian equal 64'")
    parser.add_argument("--draws", type=int, nargs=2, default=(2000, 400), help="of Gaussian and of lite0 cells")
    parser.add_argument("--out", type=Path, default=Path("reports/error_bar_calibration"))
    args = parser.parse_args()
    found = {}
    for cell in cells(*args.draws):
        name = f"{cell.family} {cell.difference} {cell.d} {cell.n}"
        numbers = draws(cell, make=bool(re.search(args.only, name)))
        print(f"{name}: {'to do' if numbers is None else 'done'}", file=sys.stderr, flush=True)
        if numbers is not None:
            found[cell] = numbers
    write(args.out, found)


if __name__ == "__main__":
    main()
