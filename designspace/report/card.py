"""A model card for the Hugging Face Hub: results with their errors, and how the model was trained and sampled.

The head is the metadata that the Hub reads, https://huggingface.co/docs/hub/model-cards#evaluation-results
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ruamel.yaml import YAML

from designspace.report.entry import Entry
from designspace.report.study import Study
from designspace.report.tables import caption
from designspace.report.tables.table import Cell, Table, markdown, number_cell
from designspace.results.records import plain
from designspace.text import describe, escape, joined, measured, one_line

TASK = "unconditional-image-generation"
UNKNOWN = "unknown"
"""What the Hub calls a licence that is not known."""
FID = "FID"
"""The name of the protocol of the Fréchet distance of Inception's features, which the Hub calls fid."""
OF_TRAINING = ("key", "images", "snapshot", "denoiser", "design", "data", "source", "provenance")
"""What is told of the description of a model."""


def card(
    study: Study, entries: Sequence[Entry], *, licence: str = UNKNOWN, model: Mapping[str, Any] | None = None
) -> str:
    """The card, README.md of a repository on the Hub.

    Args:
        study: The ablation.
        entries: The points to tell of, with results.
        licence: The licence of the model, by its identifier on the Hub, such as ``apache-2.0``.
        model: The description of the model, the content of its JSON file, if there is one.
    """
    labelled = any(_labelled(entry) for entry in entries)
    head = {
        "license": licence,
        "library_name": "designspace",
        **({} if labelled else {"pipeline_tag": TASK}),
        "tags": ["diffusion", "designspace"],
        "model-index": [{"name": study.about.name, "results": [_result(study, entry) for entry in entries]}],
    }
    body = [f"# {escape(study.about.name)}", escape(study.about.question), *_results(study, entries)]
    body += ["## Training", *_training(entries, model), "## Sampling", *_sampling(entries)]
    body += ["## Licence", f"{escape(licence)}, as stated by who wrote this card."]
    return f"---\n{_yaml(head)}---\n\n" + "\n\n".join(filter(None, body)) + "\n"


def _labelled(entry: Entry) -> bool:
    return bool(entry.trial("evaluate", "labels") not in (None, "none"))


def _result(study: Study, entry: Entry) -> dict[str, Any]:
    """An entry of the field ``results`` of ``model-index``: the metrics of a point on its reference."""
    kind = "class-conditional-image-generation" if _labelled(entry) else TASK
    reference = (entry.rows[0].protocol.reference if entry.rows[0].protocol else None) or {}
    name = str(reference.get("name") or (entry.trial("data") or {}).get("name"))
    about = {
        "type": name,
        "name": name,
        "revision": reference.get("content"),
        "args": {"images": reference.get("images")},
    }
    metrics = [_metric(entry, metric) for metric in study.about.metrics if _finite(entry, metric)]
    return {"task": {"type": kind, "name": kind}, "dataset": _known(about), "metrics": metrics}


def _metric(entry: Entry, metric: str) -> dict[str, Any]:
    protocol, n = entry.about(metric).protocol, entry.images(metric)
    record, drawn = entry.rows[0].protocol, entry.drawn(metric)
    args = {
        "stderr": entry.se(metric),
        "n": n,
        "seeds": sorted(entry.seeds),
        "nfe": entry.nfe,
        "nfe_total": entry.spent("nfe_total"),
        "protocol": protocol,
        "protocol_hash": record.hash if record else None,
        "labels": record.labels if record else None,
        "drawn_reference": drawn[0] if drawn else None,
        **{f"axis.{axis}": value for axis, value in entry.axes.items()},
    }
    kind = "fid" if protocol == FID else metric
    return {"type": kind, "name": protocol, "value": entry.value(metric), "args": _known(args)}


def _finite(entry: Entry, metric: str) -> bool:
    return entry.has(metric) and math.isfinite(entry.value(metric))


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without those that are not known; files are named without the folders of this machine."""
    kept = {key: _public(value) for key, value in values.items()}
    return {key: value for key, value in kept.items() if value is not None and value != {}}


def _public(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _known(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return PurePath(value).name if isinstance(value, str) and value.startswith("/") else plain(value)


def _results(study: Study, entries: Sequence[Entry]) -> Iterator[str]:
    """The table of all values, and what they are."""
    metrics = [metric for metric in study.about.metrics if any(entry.has(metric) for entry in entries)]
    header = ["configuration", "NFE", *(escape(one_line(metric)) for metric in metrics), "n", "seeds"]
    rows = [[*_cells(entry, metrics)] for entry in entries]
    yield "## Results"
    yield "\n".join(markdown(Table(header, rows, "")))
    for metric in metrics:
        of = [entry for entry in entries if entry.has(metric)]
        names = joined(list(dict.fromkeys(one_line(entry.about(metric).protocol) for entry in of)))
        better = {True: "higher is better", False: "lower is better", None: "neither is better"}
        yield f"{escape(metric)}: {escape(names)}, value ± standard error; {better[of[0].higher_is_better(metric)]}."
    yield one_line(caption.training_runs(entries))
    yield (
        "Values depend on the number of images n: compare them only with values of the same n, features, resizing and "
        "reference. A Fréchet distance is an FID only if its protocol is called FID."
    )


def _cells(entry: Entry, metrics: Sequence[str]) -> Iterator[Cell]:
    yield Cell(describe(entry.axes) or entry.rows[0].id)
    yield number_cell(f"{entry.spent('nfe_total'):g}")
    for metric in metrics:
        yield number_cell(measured(entry.value(metric), entry.se(metric)) if entry.has(metric) else "")
    yield number_cell(f"{entry.rows[0].images:,}")
    yield number_cell(str(len(entry.rows)))


def _training(entries: Sequence[Entry], model: Mapping[str, Any] | None) -> Iterator[str]:
    """Where the model comes from: its description, or else the denoisers of the trials."""
    if model is not None:
        yield "The description of the model:"
        yield _block(_known({key: model[key] for key in OF_TRAINING if key in model}))
        loss = model.get("loss", {}).get("mean")
        yield f"The last recorded loss is {loss[-1]:.4g}." if loss else ""
        return
    yield "The denoiser, as the ablation states it, and the data:"
    distinct = {_yaml(_source(entry)): _source(entry) for entry in entries}
    for about in distinct.values():
        yield _block(about)


def _source(entry: Entry) -> dict[str, Any]:
    rows = ("c_skip", "c_out", "c_in", "c_noise", "noise_distribution", "loss_weight")
    design = {row: entry.trial("design", row) for row in rows}
    about = {"data": entry.trial("data"), "denoiser": entry.trial("denoiser"), "network": entry.rows[0].network}
    return _known(about | {"design": design})


def _sampling(entries: Sequence[Entry]) -> Iterator[str]:
    yield "The resolved spec of the first of these results, and what computed it:"
    first = entries[0].rows[0]
    spec = {key: (first.trial or {}).get(key) for key in ("design", "num_steps", "guidance", "decoder", "seed")}
    yield _block(_known({"id": first.id, **spec, "provenance": first.provenance}))


def _block(value: Mapping[str, Any]) -> str:
    return f"```yaml\n{_yaml(value)}```"


def _yaml(value: Mapping[str, Any]) -> str:
    file = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = False, False  # type: ignore[assignment]
    yaml.width = 1000
    yaml.dump(plain(value), file)
    return file.getvalue()
