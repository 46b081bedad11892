"""Studies for the tests of reports: some made by hand, and a recorded one."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

from designspace.report import Study
from designspace.results.lines import append_line
from designspace.results.store import Results

N = 400
RECORDED = Path(__file__).parent / "data" / "report" / "recorded"


def influence(seed, scale):
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal(N)).float() * scale
    return x - x.mean()


RECORD = {"hash": "a", "resize": "bicubic", "reference": {"content": "some", "images": 1797, "split": "train"}}


class Bench:
    """A folder of results that are made by hand."""

    def __init__(self, folder, axes, claims=()):
        self.folder, self.results, self.points = folder, Results(folder), []
        self.about = {"schema": 1, "name": folder.name, "question": "Which one?", "axes": axes, "claims": list(claims)}
        self.about |= {"metrics": ["frechet"], "points": self.points}

    def point(
        self,
        axes,
        value,
        scores=None,
        *,
        finished=True,
        protocol="FD-x",
        data="digits",
        se=None,
        labels="none",
        record=RECORD,
        about=None,
        **row,
    ):
        id = f"{len(self.points):016x}"
        self.points.append({"id": id, "axes": axes})
        (self.folder / "ablation.json").write_text(json.dumps(self.about))
        if not finished:
            return
        se = float(scores.double().std()) / N**0.5 if scores is not None else se
        metric = {"value": value, "se": se, "protocol": protocol, "floor": 0.5, "floor_n": 100} | (about or {})
        pixels = torch.arange(8 * 16, dtype=torch.uint8).reshape(8, 1, 4, 4)
        kept = {"images": pixels} | ({} if scores is None else {"influence.frechet": scores})
        self.results.put_artefact(id, kept)
        row = {"seed": 0, "nfe": axes.get("nfe", 7), "images": N, "features": 8} | row
        trial = {"data": {"name": data}, "evaluate": {"labels": labels}}
        row |= {"ablation": self.folder.name, "trial": trial, "metrics": {"frechet": metric}}
        row |= {"protocol": record and RECORD | record}
        append_line(self.folder / "results.jsonl", {"schema": 1, "id": id, "axes": axes, **row})

    def study(self):
        return Study(self.folder)


def edit(folder, change):
    """Change the lines of results.jsonl, each a dict, and write them as another version would: without checksums."""
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    for row in rows:
        row.pop("sha256", None)
    change(rows)
    (folder / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def by_hand():
    """The value, standard error and influence of each recorded point, read without using the package."""
    found = {}
    for line in (RECORDED / "results.jsonl").read_text().splitlines()[:6]:
        row = json.loads(line)
        kept = load_file(RECORDED / "artefacts" / f"{row['id']}.safetensors")
        metric = row["metrics"]["frechet"]
        scores = kept["influence.frechet"].astype(np.float64)
        found[row["axes"]["solver"], row["axes"]["nfe"]] = (metric["value"], metric["se"], scores)
    return found


def gap_by_hand(a, b):
    (value_a, _, scores_a), (value_b, _, scores_b) = by_hand()[a], by_hand()[b]
    return value_a - value_b, float(np.std(scores_a - scores_b, ddof=1)) / math.sqrt(len(scores_a))
