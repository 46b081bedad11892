"""A search by races against the full grid: which design each finds, and with how many images.

The grid has 4 solvers, 4 rules for time steps and 3 largest noise levels, for the exact denoiser of the digits at 11
evaluations. It is computed for each of ten seeds, and so is a search over the same choices. The design of the search
is compared with the best of the grid on the same latents (paired, corrected for all pairs of the grid) and by its mean
value over the grids of all seeds, which is the best estimate of the truth.

    python benchmarks/race_against_grid.py --images 1600 --seeds 10
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from designspace.report import Study
from designspace.report.evidence.contrasts import difference
from designspace.report.evidence.differences import rank
from designspace.run.run import run
from designspace.spec import Ablation
from designspace.tune.search import Search

NFE, METRIC = 11, "frechet"
ROWS: dict[str, list[Any]] = {
    "solver": ["heun", "euler", "dpmpp_2m", "unipc"],
    "time_steps": ["edm", "cosine", "logsnr", "vp_power"],
    "time_steps.sigma_max": [80, 40, 20],
}


class Compared(NamedTuple):
    """A search and the grid of the same seed."""

    found: str
    best: str
    share: float
    """The images that the search took, divided by those of the grid."""
    told: bool
    """Whether the grid tells its best from the design of the search."""
    alone: float
    """The p-value of this difference without the correction for all pairs of the grid."""
    values: dict[str, float]
    """The values of all designs of the grid."""


def ablation(seed: int, images: int, **parts: Any) -> Ablation:
    evaluate = {"images": images, "seed": seed, "detector": "pixels", "metrics": [METRIC]}
    about = {"name": f"race_against_grid_{seed}", "data": "digits", "denoiser": "exact", "design": "edm"}
    return Ablation.model_validate({**about, "evaluate": evaluate, **parts})


def compare(seed: int, images: int, stages: int, out: Path) -> Compared:
    grid = Study(run(ablation(seed, images, nfe=NFE, grid=ROWS), out=out, progress=False).folder)
    searched = ablation(seed, images, search={"at": {"nfe": NFE}, "rows": ROWS, "stages": stages})
    search = Search(searched, out=out / "searches", progress=False)
    while request := search.ask():
        search.tell(request, search.evaluate(request))
    entries = {entry.rows[0].id: entry for entry in grid.entries}
    (trial,) = search.request({"found": search.tuned[NFE]}, images, NFE).ablation.trials()
    found, ranking = entries[trial.id], rank(grid, grid.entries, METRIC)
    best = ranking.best[0]
    return Compared(
        found.config,
        best.config,
        search.record.images_spent / (len(entries) * images),
        found not in ranking.best,
        1.0 if found is best else difference(grid, found, best, METRIC).p,
        {entry.config: entry.value(METRIC) for entry in grid.entries},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=1600)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--stages", type=int, default=4)
    parser.add_argument("--out", type=Path, default=None, help="the folder of the reports; by default a temporary one")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        out = options.out or Path(folder)
        print("| seed | images | found | best of the grid | told from it | p alone |")
        print("| --- | ---: | --- | --- | --- | ---: |")
        found = []
        for seed in range(options.seeds):
            one = compare(100 * seed, options.images, options.stages, out)
            found.append(one)
            told = "yes" if one.told else "no"
            print(
                f"| {100 * seed} | {one.share:.1%} | {one.found} | {one.best} | {told} | {one.alone:.2g} |", flush=True
            )
    shares = sorted(one.share for one in found)
    means = {design: statistics.fmean(one.values[design] for one in found) for design in found[0].values}
    order = sorted(means, key=lambda design: means[design])
    print(f"\nimages: median {statistics.median(shares):.1%}, {shares[0]:.1%} to {shares[-1]:.1%} of those of the grid")
    print(f"told from the best of the grid: {sum(one.told for one in found)} of {len(found)}")
    print(f"\nmean value over all seeds: best {order[0]} {means[order[0]]:.5g}, worst {means[order[-1]]:.5g}")
    for what in ("found", "best"):
        regrets = [means[getattr(one, what)] - means[order[0]] for one in found]
        ranks = [order.index(getattr(one, what)) + 1 for one in found]
        print(
            f"{what}: mean value above the best {statistics.fmean(regrets):.3g}, ranks {sorted(ranks)} of {len(order)}"
        )


if __name__ == "__main__":
    main()
