"""Reading sets of images and components from the command line: a path, a name, or a mapping as in YAML."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from designspace.cli.errors import stop

if TYPE_CHECKING:
    from designspace.data.rows import Data
    from designspace.evaluation.rows import Metric, Reference

FILES = {".zip": "zip", ".npz": "npz", ".parquet": "parquet"}
HF = ("state.json", "dataset_dict.json")
"""Files in folders that the library ``datasets`` has written."""


def reference_set(place: str) -> Data | Reference:
    """A data set, or the statistics of one: an npz that contains them, or ``{name: statistics, ...}``."""
    import designspace as ds
    from designspace.evaluation.statistics import has_statistics

    path = Path(place)
    if path.is_file() and path.suffix.lower() == ".npz" and has_statistics(path):
        found: Reference = ds.Reference.get("statistics").model_validate({"path": path})
    elif _name(place) in ds.Reference.known:
        found = component(ds.Reference, place, place)
    else:
        return data_set(place)
    about = found.about()
    if about.get("not_used"):
        used, unused = (", ".join(about[key]) for key in ("arrays", "not_used"))
        warnings.warn(f"{about['file']}: uses its arrays {used}, but not {unused}", stacklevel=2)
    return found


def refuse_observations(metrics: list[Metric]) -> None:
    """Stop the command if a metric observes a sampler or a denoiser, because it cannot be computed from images."""
    from designspace.evaluation.rows import Observation

    if watching := [metric.name for metric in metrics if isinstance(metric, Observation)]:
        stop(2, f"metric {' and '.join(watching)}: measured on a sampler or denoiser, not on images; use an ablation")


def usable_metrics(metrics: list[Metric], asked: bool) -> list[Metric]:
    """The metrics that need only the mean and covariance of the reference.

    Other metrics stop the command if they were ``asked`` for, and are dropped otherwise.
    """
    needy = [metric.name for metric in metrics if not metric.moments_suffice]
    if needy and asked:
        stop(
            2,
            f"metric {' and '.join(needy)} needs the features of each image, but B has only their mean and covariance",
        )
    return [metric for metric in metrics if metric.moments_suffice]


def data_set(place: str) -> Data:
    """The data set that ``place`` names: a path, or a component as in YAML."""
    import designspace as ds

    path = Path(place)
    if path.exists():
        folder = "hf" if any((path / name).is_file() for name in HF) else "folder"
        kind = folder if path.is_dir() else FILES.get(path.suffix.lower())
        if kind is None:
            stop(2, f"{place}: is neither a folder nor a file that ends in {', '.join(FILES)}")
        return ds.Data.get(kind).model_validate({"path": path})
    if path.suffix.lower() in FILES or ("/" in place and not place.startswith("{")):
        stop(2, f"{place}: no such folder or file")
    data: Data = component(ds.Data, place, place)
    return data


def component(row: Any, text: str, where: str) -> Any:
    """The component that ``text`` denotes, as in YAML: ``{name: lite0, size: 128}``. Errors stop the command."""
    from designspace.errors import SpecError
    from designspace.spec.document import parse

    document = parse(text, where, lines=False)
    if document.problems:
        raise SpecError(document.problems)
    return validated(row, document.data, where)


def validated(row: Any, data: Any, where: str) -> Any:
    """``data`` as a component or design, with files relative to the working directory. Errors stop the command."""
    from pydantic import ValidationError

    from designspace.errors import dotted
    from designspace.registry.component import FOLDER
    from designspace.registry.wording import problems_of

    try:
        return row.model_validate(data, context={FOLDER: Path.cwd()})
    except ValidationError as error:
        stop(2, *(": ".join(filter(None, (where, dotted(p.path), p.what))) for p in problems_of(error)))


def _name(place: str) -> str | None:
    """The name of the component if ``place`` is a mapping, otherwise ``None``."""
    from designspace.spec.document import parse

    data = parse(place, place, lines=False).data if place.startswith("{") else None
    return str(data.get("name")) if isinstance(data, dict) else None
