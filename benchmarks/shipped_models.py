"""Write what the networks that come with the package measure into their JSON files, from the committed results.

    python benchmarks/shipped_models.py [REPORTS]

Each network that has a report has the result of one point of one ablation: Heun's method with 18 steps, as in EDM,
where the ablation has it. It is not part of the identity of a model.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import designspace as ds
from designspace.results.records import Result
from designspace.results.store import Results
from designspace.storage.files import write_whole
from designspace.training.export import as_text, file_of, read_about

POINTS = {
    "digits": ("solver_grid_trained", "heun", 35),
    "cifar10_jpeg": ("cifar10_jpeg_solvers", "heun", 35),
}
"""The ablation, the solver and the number of evaluations for each network."""
REPORTS = Path(__file__).parents[1] / "reports"


def main() -> None:
    """Write ``measured`` into the description of each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, nargs="?", default=REPORTS, help="the folder of the reports")
    reports = parser.parse_args().reports
    for model, (ablation, solver, nfe) in POINTS.items():
        path = ds.Denoiser.get("pretrained").model_validate({"model": model}).path  # type: ignore[attr-defined]
        rows = [row for row in Results(reports / ablation).rows() if row.trial["denoiser"].get("model") == model]
        (found,) = (row for row in rows if (solver_of(row), row.nfe) == (solver, nfe))
        about = read_about(path) | {"measured": measured(found)}
        write_whole(file_of(path, ".json"), as_text(about).encode())
        print(f"{model}: " + ", ".join(f"{name} {value.value:.4g}" for name, value in found.metrics.items()))


def solver_of(row: Result) -> str:
    name: str = row.trial["design"]["solver"]["name"]
    return name


def measured(row: Result) -> dict[str, Any]:
    """What the description of a network says about the result of one point."""
    return {
        "ablation": row.ablation,
        "trial": row.id,
        "design": row.trial["design"],
        "solver": solver_of(row),
        "nfe": row.nfe,
        "images": row.images,
        "labels": row.trial["evaluate"]["labels"],
        "protocol": row.protocol.hash if row.protocol else None,
        "metrics": {
            name: {"value": value.value, "se": value.se, "protocol": value.protocol}
            for name, value in row.metrics.items()
        },
        "device": row.provenance["device"],
        "time": row.provenance["time"],
    }


if __name__ == "__main__":
    main()
