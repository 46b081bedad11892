"""Protocols: what two values must share to be comparable and to appear in one table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from designspace.results.lines import PointKey
from designspace.results.records import Result

Key = tuple[str, int, str, str, str]
PARTS = ("protocols", "numbers of images", "references", "label policies")
DETAILS = {"detector": "detectors", "resize": "resizes", "pixels": "roundings", "reference": "reference contents"}
EARLIER = "versions of the package, the earlier of which recorded less of the protocol,"


def key(row: Result, metric: str, images: int) -> Key:
    """The protocol's name, number of images, reference, labels, and the hash of the full protocol.

    An observation uses neither features nor a reference, so its key contains the space of its samples and no hash.
    """
    about, trial = row.metrics[metric], row.trial or {}
    evaluate = trial.get("evaluate") or {}
    is_observation = about.n is not None
    reference = _space(trial) if is_observation else evaluate.get("reference") or trial.get("data")
    whole = "" if is_observation else (row.protocol and row.protocol.hash) or ""
    return _once((about.protocol, images, _text(reference), _text(evaluate.get("labels")), whole))


def _space(trial: Mapping[str, Any]) -> Any:
    """The space of samples: the data set, and whether they are latents, whose errors are those of no image."""
    data, decoder = trial.get("data"), trial.get("decoder") or {}
    return data if decoder.get("name", "none") == "none" else [data, "latents"]


@lru_cache(maxsize=1024)
def _once(key: Key) -> Key:
    """The first of equal keys: thousands of points have the same one."""
    return key


def equally_recorded(rows: Mapping[PointKey, Result]) -> dict[PointKey, Result]:
    """The results of an ablation; if some lack a full protocol (earlier versions), it is removed from all of them.

    Within one ablation, the trials' ids already guarantee that the protocols are the same.
    """
    if all(row.protocol or not row.features for row in rows.values()):
        return dict(rows)
    return {point: row.model_copy(update={"protocol": None}) for point, row in rows.items()}


def differences(keys: Sequence[Key], records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of the parts in which protocols differ or, if none do, of the details in which ``records`` differ."""
    *parts, _ = zip(*keys, strict=True)
    found = [name for name, values in zip(PARTS, parts, strict=True) if len(set(values)) > 1]
    if not found and not all(records):
        return [EARLIER]
    return found or [name for part, name in DETAILS.items() if len({_text(record.get(part)) for record in records}) > 1]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
