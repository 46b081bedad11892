"""How often the error bars of the Fréchet distance hold, from draws of distributions whose distance is known.

    OMP_NUM_THREADS=1 python benchmarks/error_bar_calibration/run.py [--only lite0] [--out DIR]

Draws are kept in the cache in chunks, so that an interrupted run can be continued, and several runs with different
--only can work at the same time. The report is written from all draws that exist. Fashion-MNIST comes with Debian's
package dataset-fashion-mnist.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import torch
from batched import check, measure
from cells import Cell, Population, cells, population, reference
from report import write
from torch import Tensor

import designspace as ds
from designspace.sampling.noise import generator
from designspace.storage.cache import Cache
from designspace.storage.files import content_key

CHUNK = {"gaussian": 250, "lite0": 50}
AT_ONCE = 2**17
"""Numbers in a batch of Gaussian draws."""
COMPARED = {"gaussian": 500, "lite0": 100}
"""Draws of each cell that other corrections are computed for."""


def draws(cell: Cell, *, make: bool) -> dict[str, np.ndarray]:
    """The numbers of the draws of a cell: of all, or of those at hand if ``make`` is off; empty if there are none."""
    kept, found, source = Cache(), [], None
    for start in range(0, cell.draws, CHUNK[cell.family]):
        which = range(start, min(start + CHUNK[cell.family], cell.draws))
        version = ds.Metric.get("frechet").version
        key = content_key("error bars", cell.family, cell.difference, cell.d, cell.n, which[0], which[-1], version)
        one = kept.get("error bars", key)
        if one is None and make:
            source = source or population(cell)
            one = _drawn(cell, source, which)
            kept.put("error bars", key, one)
        found += [one] if one is not None else []
    return {name: torch.cat([one[name] for one in found]).numpy() for name in found[0]} if found else {}


def _drawn(cell: Cell, source: Population, which: range) -> dict[str, Tensor]:
    size = max(1, AT_ONCE // (cell.n * cell.d))
    parts = [_numbers(cell, source, which[i : i + size]) for i in range(0, len(which), size)]
    found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    truths = {"truth": source.truth}
    truths |= {} if source.other_truth is None else {"true_difference": source.other_truth - source.truth}
    return found | {name: torch.full((len(which),), truth, dtype=torch.float64) for name, truth in truths.items()}


def _numbers(cell: Cell, source: Population, which: range) -> dict[str, Tensor]:
    """Of the first trial, and of its difference from the second."""
    key = ("error bars", cell.family, cell.difference, cell.d, cell.n)
    pairs = [source.draw(generator(*key, k), cell.n) for k in which]
    one = torch.stack([first for first, _ in pairs])
    found, influence = measure(one, source.sd, compare=which[0] < COMPARED[cell.family])
    if which[0] % CHUNK[cell.family] == 0:
        check(one, reference(source.sd), found)
    if source.other_truth is None:
        return found
    two = torch.stack([second for _, second in pairs if second is not None])
    other, other_influence = measure(two, source.sd, correct=False)
    se = (other_influence - influence).std(1) / cell.n**0.5
    return found | {"difference": other["value"] - found["value"], "difference_se": se}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a regular expression: which cells: 'gaussian equal 64'")
    parser.add_argument("--draws", type=int, nargs=2, default=(2000, 400), help="of Gaussian and of lite0 cells")
    parser.add_argument("--out", type=Path, default=Path("reports/error_bar_calibration"))
    args = parser.parse_args()
    found, missing = {}, []
    for cell in cells(*args.draws):
        name = f"{cell.family} {cell.difference} {cell.d} {cell.n}"
        numbers = draws(cell, make=bool(re.search(args.only, name)))
        if numbers:
            found[cell] = numbers
        else:
            missing.append(name)
        print(f"{name}: {len(numbers.get('value', ()))} of {cell.draws} draws", file=sys.stderr, flush=True)
    write(args.out, found, missing)


if __name__ == "__main__":
    main()
