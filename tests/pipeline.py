"""Helpers for the tests of the pipeline: an ablation with stand-in components, and a process that runs it."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from designspace.results.store import Results
from designspace.run.job import Job
from designspace.run.local import share
from designspace.storage.provenance import now

SPEC = {
    "name": "small",
    "question": "Does the pipeline work?",
    "components": [str(Path(__file__).parent / "stand_ins.py")],
    "data": "stand_in_data",
    "denoiser": "stand_in_denoiser",
    "design": "edm",
    "grid": {"solver": ["euler", "heun"], "num_steps": [3, 4]},
    "evaluate": {"images": 450, "detector": "stand_in_detector", "metrics": ["stand_in_metric", "frechet"]},
}

RUN = """
import sys
from designspace import run
from designspace.spec import load
batch_size = int(sys.argv[4]) or None
run(load(sys.argv[1]), out=sys.argv[2], workers=int(sys.argv[3]), batch_size=batch_size)
"""


def write_spec(folder, base=SPEC, **changes):
    path = folder / f"{base['name']}.yaml"
    with path.open("w") as file:
        YAML().dump(base | changes, file)
    return path


def start(spec, out, workers=1, batch_size=0, **keywords):
    """Start a process that runs ``spec``."""
    command = [sys.executable, "-c", RUN, spec, out, str(workers), str(batch_size)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **keywords)


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)


def in_another_process(ablation, spec, out):
    """The results of an ablation that one worker has computed."""
    folder = out / ablation.name
    job = Job(ablation.name, tuple(ablation.points()), folder, "cpu", 200, spec, tuple(ablation.components), now())
    share(job, 1, lambda event: None)
    return Results(folder)


def outcome(results):
    """The results by id and axes without timings, which must not depend on how a run went."""
    rows = {(row.id, str(row.axes)): row.plain() for row in results.rows()}
    for row in rows.values():
        del row["seconds"], row["provenance"]
    return rows, {row.id: results.artefact(row.id) for row in results.rows()}


def assert_same(results, others):
    (rows, artefacts), (other_rows, other_artefacts) = outcome(results), outcome(others)
    assert rows == other_rows
    assert artefacts.keys() == other_artefacts.keys()
    for id, tensors in artefacts.items():
        assert tensors.keys() == other_artefacts[id].keys()
        assert all(np.array_equal(tensors[key], other_artefacts[id][key]) for key in tensors)
