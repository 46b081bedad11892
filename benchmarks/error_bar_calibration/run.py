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
from batched import check, difference, measure, two_samples
from cells import Cell, Population, cells, population, reference
from report import show, write
from torch import Tensor

from designspace.sampling.noise import generator
from designspace.storage.cache import Cache
from designspace.storage.files import content_key

CHUNK = 100
AT_ONCE = 2**19
"""Numbers in a batch of draws."""
VERSION = 2
"""The version of the metric frechet which last changed the numbers that are drawn."""
COMPARED = 200
"""Draws of each cell for which the jackknife is computed."""


def draws(cell: Cell, *, make: bool) -> dict[str, np.ndarray]:
    """The numbers of the draws of a cell: of all, or of those at hand if ``make`` is off; empty if there are none."""
    kept, found, source = Cache(), [], None
    for start in range(0, cell.draws, CHUNK):
        which = range(start, min(start + CHUNK, cell.draws))
        key = content_key("error bars", cell.name, which[0], which[-1], VERSION)
        one = kept.get("error bars", key)
        if one is None and make:
            source = source or population(cell)
            one = _drawn(cell, source, which)
            kept.put("error bars", key, one)
        found += [one] if one is not None else []
    return {name: torch.cat([one[name] for one in found]).numpy() for name in found[0]} if found else {}


def _drawn(cell: Cell, source: Population, which: range) -> dict[str, Tensor]:
    size = max(1, AT_ONCE // (cell.n * cell.d))
    one = _two_samples if cell.m else _numbers
    parts = [one(cell, source, which[i : i + size]) for i in range(0, len(which), size)]
    found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    truths = {"truth": source.truth}
    truths |= {} if source.other_truth is None else {"true_difference": source.other_truth - source.truth}
    return found | {name: torch.full((len(which),), truth, dtype=torch.float64) for name, truth in truths.items()}


def _numbers(cell: Cell, source: Population, which: range) -> dict[str, Tensor]:
    """Of the first trial, and of its differences from the others."""
    drawn = [source.draw(generator("error bars", cell.name, k), cell.n) for k in which]
    arms = {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}
    found, effect, pairs = measure(arms["first"], source.sd, compare=which[0] < COMPARED)
    if which[0] % CHUNK == 0:
        check(arms["first"], reference(source.sd), found)
    for name in set(arms) - {"first"}:
        more = difference(arms[name], source.sd, effect, pairs, found["value"])
        found |= {f"{name}_{what}": number for what, number in more.items()}
    return found


def _two_samples(cell: Cell, source: Population, which: range) -> dict[str, Tensor]:
    """Of images and a reference that are both drawn."""
    keys = [("error bars", cell.name, k) for k in which]
    x = torch.stack([source.draw(generator(*key), cell.n)["first"] for key in keys])
    y = torch.stack([torch.from_numpy(generator(*key, "y").standard_normal((cell.m, cell.d))) for key in keys])
    found = two_samples(x, y * source.sd)
    if which[0] % CHUNK == 0:
        check(x, y * source.sd, found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a regular expression: which cells: 'gaussian equal d = 64'")
    parser.add_argument("--draws", type=int, nargs=2, default=(1000, 400), help="of synthetic and of lite0 cells")
    parser.add_argument("--out", type=Path, default=Path("reports/error_bar_calibration"))
    parser.add_argument("--from-csv", action="store_true", help="only write README.md and the figures from cells.csv")
    args = parser.parse_args()
    if args.from_csv:
        show(args.out, [])
        return
    found, missing = {}, []
    for cell in cells(*args.draws):
        numbers = draws(cell, make=bool(re.search(args.only, cell.name)))
        if numbers:
            found[cell] = numbers
        else:
            missing.append(cell.name)
        print(f"{cell.name}: {len(numbers.get('value', ()))} of {cell.draws} draws", file=sys.stderr, flush=True)
    write(args.out, found, missing)


if __name__ == "__main__":
    main()
