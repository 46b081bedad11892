"""What numbers must share to stand in one table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from designspace.results.lines import PointKey, Row

Key = tuple[str, int, str, str, str]
PARTS = ("protocols", "numbers of images", "references", "label policies")
DETAILS = {"detector": "detectors", "resize": "resizes", "pixels": "roundings", "reference": "reference contents"}
EARLIER = "versions of the package, the earlier of which recorded less of the protocol,"


def key(row: Row, metric: str, images: int) -> Key:
    """Protocol, number of images, reference, labels, and the hash of all that a distance was measured by.

    A diagnostic, which says its own number of images, knows neither features nor a reference: the data set counts.
    """
    about, trial = row["metrics"][metric], row.get("trial") or {}
    evaluate = trial.get("evaluate") or {}
    reference = trial.get("data") if "n" in about else evaluate.get("reference") or trial.get("data")
    whole = "" if "n" in about else str(recorded(row).get("hash", ""))
    return about["protocol"], images, _text(reference), _text(evaluate.get("labels")), whole


def recorded(row: Row) -> Row:
    """All of the protocol that distances were measured by; empty for lines of earlier versions."""
    found = row.get("protocol")
    return found if isinstance(found, dict) else {}


def equally_recorded(rows: Mapping[PointKey, Row]) -> dict[PointKey, Row]:
    """The rows of a study, without the record of the protocol if lines of an earlier version are among them.

    These say less, and in one study the ids vouch for the rest.
    """
    if all(recorded(row) or not row.get("features") for row in rows.values()):
        return dict(rows)
    return {point: {**row, "protocol": None} for point, row in rows.items()}


def differences(keys: Sequence[Key], records: Sequence[Row]) -> list[str]:
    """In what protocols differ, in words; in their details, if these are all."""
    *parts, _ = zip(*keys, strict=True)
    found = [name for name, values in zip(PARTS, parts, strict=True) if len(set(values)) > 1]
    if not found and not all(records):
        return [EARLIER]
    return found or [name for part, name in DETAILS.items() if len({_text(record.get(part)) for record in records}) > 1]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
